use std::collections::BTreeMap;

use ffd::ids::{FdNumber, FnNumber};
use serde_json::Value;

use super::*;

/// The worked example of the tax-service notes, a real document 11: its bytes as `rawData` has them.
const EXAMPLE: &str = "CwCGAREEEAA5OTk5MDc4OTAwMDA1NDg4DQQUADAwMDAwMDAwMDUwMDg1NzAgICAg+gMMADc3MDIyMDMyNzYgIBAEBAABAAAA9AMEAJhVuVg1BAYAIQSqEHVBIAQBAADqAwEAAOkDAQAAVQQBAAFWBAEAAFQEAQAAJgQBAAZNBAEAAfUDDAAwMDAwMDAwMDAwMDIYBBEAjo6OIJCAj4qAki3mpa3i4CDxAzAAMTExMTQxIKMujK7hqqKgLCDjqy4giuPhqq6i4aqg7yCkLjIwgCCu5KjhIIItMjAy+QMMADc3MDQzNTg1MTggICQECABuYWxvZy5ydV0EEwBleGFtcGxlQGV4YW1wbGUuY29t/QMKAJilra2urSCKLiAWBAoAT09PIFRBWENPTaUEAQACuQQBAAKkBAMAMi4wowQxADExMTE0MSCjLoyu4aqioCwg46suIIrj4aquouGqoO8NCqQuMjCAIK7kqOEggi0yMDKzBAwANzcxMjM0NTY3ODkwxQQBAAC3BAEAAYEGpVrhDE11";

fn example() -> DocumentBody {
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, EXAMPLE).unwrap();
    let (opened, sign) = raw.split_at(raw.len() - 8);
    DocumentBody {
        seq: 7,
        fn_number: "9999078900005488".parse::<FnNumber>().unwrap(),
        fd_number: FdNumber::FIRST,
        form: 11,
        opened: opened.to_vec(),
        message_sign: sign.try_into().unwrap(),
        received_at: "2017-03-03T08:38:11.987Z".parse().unwrap(),
        code: 0,
        acknowledged_at: 1_488_530_291,
        ffd_version: Some(2),
        marks: 0,
    }
}

fn envelope(max_bytes: u64) -> Envelope {
    Envelope { ofd_inn: "7704358518".parse().unwrap(), max_bytes }
}

fn identity(map_ver: u32) -> Identity {
    let id = BatchId::from_bytes([
        0x01, 0x93, 0x1f, 0x0e, 0x6a, 0x3c, 0x7c, 0x21, 0x9d, 0x10, 0x0c, 0x5f, 0x3f, 0x6f, 0x1a, 0x77,
    ]);
    Identity { id, created_at: "2017-03-03T08:38:12.5Z".parse().unwrap(), map_ver }
}

fn modern() -> Identity {
    identity(map_version(FnsNames::Modern))
}

#[test]
fn the_envelope_of_the_worked_example() {
    let built = build(&envelope(1 << 20), modern(), &[example()]).unwrap();
    assert_eq!(built.request.batch_id, "01931f0e-6a3c-7c21-9d10-0c5f3f6f1a77");
    assert_eq!(hex(&built.hashes[0]), "ab356de557fa024192aa9a36504f7bbea74205f6753d8b2bb7d9bfa3765a3c02");
    let text = String::from_utf8(built.json()).unwrap();
    assert!(text.contains(r#""messageFiscalSign":9297300290494287221"#), "exact beyond 2^63: {text}");
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let body = json["documents"][0]["document"]["fiscalReportCorrection"].take();
    assert_eq!((&body["rawData"], &body["userInn"]), (&EXAMPLE.into(), &"7702203276  ".into()));
    let expected = serde_json::json!({
        "batchId": "01931f0e-6a3c-7c21-9d10-0c5f3f6f1a77",
        "formatVersion": 13,
        "ofdInn": "7704358518",
        "createdAt": "2017-03-03T08:38:12Z",
        "documents": [{
            "docKey": "9999078900005488-1",
            "docSha256": "ab356de557fa024192aa9a36504f7bbea74205f6753d8b2bb7d9bfa3765a3c02",
            "subtype": "fiscalReportCorrection",
            "protocolVersion": "1.05",
            "receiveDate": "2017-03-03T08:38:11Z",
            "ack": { "dateTime": 1_488_530_291, "ofdResponseCode": 0 },
            "document": { "fiscalReportCorrection": null }
        }]
    });
    assert_eq!(json, expected);
}

#[test]
fn the_same_gives_the_same_bytes() {
    let documents = vec![example(); 3];
    let first = build(&envelope(1 << 20), modern(), &documents).unwrap();
    let second = build(&envelope(1 << 20), modern(), &documents).unwrap();
    assert_eq!(first.request, second.request);
    let legacy = build(&envelope(1 << 20), identity(map_version(FnsNames::Legacy)), &documents).unwrap();
    assert!(String::from_utf8(legacy.json()).unwrap().contains("fnsSite"));
}

#[test]
fn as_many_as_fit_and_at_least_one() {
    let one = build(&envelope(1), modern(), &[example(), example()]).unwrap();
    assert_eq!(one.hashes.len(), 1, "one goes however long it is");
    let documents = vec![example(); 5];
    for count in 1..=5_usize {
        let exact = build(&envelope(u64::MAX), modern(), &documents[..count]).unwrap().json().len();
        let exact = u64::try_from(exact).unwrap();
        assert_eq!(build(&envelope(exact), modern(), &documents).unwrap().hashes.len(), count);
        let built = build(&envelope(exact - 1), modern(), &documents).unwrap();
        assert_eq!(built.hashes.len(), (count - 1).max(1));
        let json: Value = serde_json::from_slice(&built.json()).unwrap();
        assert_eq!(json["documents"].as_array().unwrap().len(), built.hashes.len());
    }
}

#[test]
fn marks_and_codes() {
    let check = |marks: u8, expected: &[&str]| {
        let document = DocumentBody { marks, code: 14, ..example() };
        let built = build(&envelope(1 << 20), modern(), &[document]).unwrap();
        let json: Value = serde_json::from_slice(&built.json()).unwrap();
        let item = &json["documents"][0];
        assert_eq!(item["ack"]["ofdResponseCode"], 14);
        let words: Option<Vec<&str>> =
            item["marks"].as_array().map(|words| words.iter().filter_map(Value::as_str).collect());
        assert_eq!(words.unwrap_or_default(), expected, "{marks}");
    };
    check(0, &[]);
    check(1, &[]);
    check(3, &["sign"]);
    check(14, &["sign", "fn_changed", "after_deregistration"]);
}

#[test]
fn what_cannot_be_written_costs_only_itself() {
    let broken = DocumentBody { opened: vec![1, 2, 3], ..example() };
    assert!(build(&envelope(1 << 20), modern(), std::slice::from_ref(&broken)).is_err());
    let built = build(&envelope(1 << 20), modern(), &[example(), broken, example()]).unwrap();
    assert_eq!(built.hashes.len(), 1, "the batch ends before it");
    assert!(build(&envelope(1 << 20), identity(99), &[example()]).is_err(), "a mapping of another program");
}

#[test]
fn evidence_is_what_was_sent() {
    let mut second = example();
    second.fd_number = FdNumber::new(2).unwrap();
    let built = build(&envelope(1 << 20), modern(), &[example(), second]).unwrap();
    let json = built.json();
    for (index, key) in ["9999078900005488-1", "9999078900005488-2"].into_iter().enumerate() {
        let item: BTreeMap<String, Value> = serde_json::from_slice(&built.item(&json, index)).unwrap();
        assert_eq!(item["docKey"], key);
    }
    assert_eq!(built.item(&json, 2), Vec::<u8>::new());
}

#[test]
fn versions_of_the_mapping() {
    for names in [FnsNames::Modern, FnsNames::Legacy] {
        assert!(names_of(map_version(names)).is_some());
    }
    assert_ne!(names_of(map_version(FnsNames::Modern)), names_of(map_version(FnsNames::Legacy)));
    for other in [0, 1, 2, 3, 6] {
        assert_eq!(names_of(other), None, "{other} is of another mapping");
    }
}
