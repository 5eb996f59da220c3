//! Endpoint 1: every refusal of the door and every answer of the batch.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const YANDEX: &str = "CwCGAREEEAA5OTk5MDc4OTAwMDA1NDg4DQQUADAwMDAwMDAwMDUwMDg1NzAgICAg+gMMADc3MDIyMDMyNzYgIBAEBAABAAAA9AMEAJhVuVg1BAYAIQSqEHVBIAQBAADqAwEAAOkDAQAAVQQBAAFWBAEAAFQEAQAAJgQBAAZNBAEAAfUDDAAwMDAwMDAwMDAwMDIYBBEAjo6OIJCAj4qAki3mpa3i4CDxAzAAMTExMTQxIKMujK7hqqKgLCDjqy4giuPhqq6i4aqg7yCkLjIwgCCu5KjhIIItMjAy+QMMADc3MDQzNTg1MTggICQECABuYWxvZy5ydV0EEwBleGFtcGxlQGV4YW1wbGUuY29t/QMKAJilra2urSCKLiAWBAoAT09PIFRBWENPTaUEAQACuQQBAAKkBAMAMi4wowQxADExMTE0MSCjLoyu4aqioCwg46suIIrj4aquouGqoO8NCqQuMjCAIK7kqOEggi0yMDKzBAwANzcxMjM0NTY3ODkwxQQBAAC3BAEAAYEGpVrhDE11";

/// The worked example of the spec.
fn worked_example() -> Made {
    let mut bytes = STANDARD.decode(YANDEX).unwrap();
    let sign = bytes.split_off(bytes.len() - 8).try_into().unwrap();
    Made {
        fn_number: "9999078900005488".parse().unwrap(),
        fd: 1,
        form: FormCode::REGISTRATION_CHANGE,
        bytes,
        sign,
    }
}

#[tokio::test]
async fn the_worked_example_is_taken_and_its_signs_survive() {
    let mut stand = Stand::new().await;
    let example = worked_example();
    assert_eq!(example.sha256(), "ab356de557fa024192aa9a36504f7bbea74205f6753d8b2bb7d9bfa3765a3c02");
    assert_eq!(stand.outcomes(std::slice::from_ref(&example)).await, ["received"]);
    let shown = stand.control.get("/sim/documents/9999078900005488-1").await.json();
    // Past 2^63, bit for bit.
    assert_eq!(shown["messageFiscalSign"].as_u64(), Some(9_297_300_290_494_287_221));
    assert_eq!(shown["fiscalSign"], 2_853_205_313_u32);
    assert_eq!(shown["rnm"], "0000000005008570");
    assert_eq!(stand.verdict(&example).await, "accepted");
    let card = stand.main.get("/v1/ofds/ofd1/kkts/0000000005008570/card").await.json();
    assert_eq!(card["user"]["name"], "ООО РАПКАТ-центр");
    assert_eq!(
        (&card["kkt"]["serial"], &card["fn"]["serial"]),
        (&"000000000002".into(), &"9999078900005488".into())
    );
}

/// The worked example as a till would have made it that fills nothing with spaces: tags 1018, 1017 and 1037 are shorter.
fn without_spaces() -> Made {
    let mut made = worked_example();
    let mut bytes = made.bytes[4..].to_vec();
    for (head, spaces) in [([0xFA, 0x03, 12, 0], 2), ([0xF9, 0x03, 12, 0], 2), ([0x0D, 0x04, 20, 0], 4)] {
        let at = bytes.windows(4).position(|window| window == head).unwrap();
        let width = usize::from(head[2]);
        assert_eq!(bytes[at + 4 + width - spaces..at + 4 + width], b"    "[..spaces], "{head:?}");
        bytes[at + 2] = u8::try_from(width - spaces).unwrap();
        bytes.drain(at + 4 + width - spaces..at + 4 + width);
    }
    made.bytes = [&[11, 0][..], &u16::try_from(bytes.len()).unwrap().to_le_bytes(), &bytes].concat();
    made
}

#[tokio::test]
async fn numbers_of_user_operator_and_register_have_one_width() {
    for made in [worked_example(), without_spaces()] {
        let mut stand = Stand::new().await;
        for right in [
            r#""userInn":"7702203276  ""#,
            r#""ofdInn":"7704358518  ""#,
            r#""kktRegId":"0000000005008570    ""#,
        ] {
            let (name, value) = right.trim_end_matches('"').split_once(":\"").unwrap();
            let plain = value.trim_end();
            for wrong in [
                format!(r#"{name}:"{plain}""#),
                format!(r#"{name}:"{value} ""#),
                format!(r#"{name}:" {value}""#),
                format!(r#"{name}:["{value}","{plain}"]"#),
                format!(r#"{name}:"{}""#, value.replace("  ", "\\t")),
                format!(r#"{name}:{}"#, plain.trim_start_matches('0')),
                format!("{name}:null"),
            ] {
                let mut item = made.item();
                assert!(item.document.contains(right), "{}", item.document);
                item.document = item.document.replacen(right, &wrong, 1);
                let reply = stand.send_items(&[item.text()]).await;
                assert_eq!(outcomes(&reply), ["SCHEMA_INVALID"], "{wrong}: {}", reply.text());
            }
            // Of the right width, and of something else.
            let mut item = made.item();
            item.document = item.document.replacen(right, &right.replacen('7', "8", 1), 1);
            let reply = stand.send_items(&[item.text()]).await;
            assert_eq!(outcomes(&reply), ["RAWDATA_MISMATCH"], "{}", reply.text());
        }
        assert_eq!(stand.outcomes(std::slice::from_ref(&made)).await, ["received"]);
    }
}

#[tokio::test]
async fn documents_of_every_form_and_version_pass() {
    for (number, ffd) in [(10, FfdVersion::V1_05), (20, FfdVersion::V1_1), (30, FfdVersion::V1_2)] {
        let mut stand = Stand::with(FnsSimOptions { check_signs: true, ..FnsSimOptions::default() }).await;
        let life = whole_life(number, ffd);
        stand.receive(&life).await;
        for made in &life {
            assert_eq!(stand.verdict(made).await, "accepted", "{} {}", made.key(), made.form);
        }
    }
}

#[tokio::test]
async fn names_of_2017_and_other_orders_and_spellings_of_numbers_pass() {
    let mut stand = Stand::new().await;
    let life = whole_life(10, FfdVersion::V1_05);
    for made in &life {
        let mut item = made.item();
        let document = made.document();
        let legacy = FnsJson::new(&document, Some(made.sign), Names::Legacy);
        item.document = serde_json::to_string(&legacy).unwrap();
        let reply = stand.send_items(&[item.text()]).await;
        assert_eq!(outcomes(&reply), ["received"], "{}", item.document);
    }
    let made = opened(40, 1).pop().unwrap();
    let mut item = made.item();
    item.document = item.document.replacen(r#""code":3,"#, "", 1).replacen(
        "\"rawData\"",
        "\n \"code\" : 3.0, \"rawData\"",
        1,
    );
    assert_eq!(outcomes(&stand.send_items(&[item.text()]).await), ["received"]);
}

#[tokio::test]
async fn every_refusal_of_the_door_has_its_code() {
    let mut stand = Stand::new().await;
    let made = opened(50, 1).pop().unwrap();
    let raw = [made.bytes.as_slice(), &made.sign].concat();
    let fresh = || made.item();
    let mut check = async |name: &str, item: String, code: &str| {
        let reply = stand.send_items(&[item]).await;
        assert_eq!(outcomes(&reply), [code], "{name}: {}", reply.text());
    };
    let replaced = |from: &str, to: &str| {
        let mut item = fresh();
        assert!(item.document.contains(from), "{from}");
        item.document = item.document.replacen(from, to, 1);
        item.text()
    };
    let with = |change: fn(&mut Item)| {
        let mut item = fresh();
        change(&mut item);
        item.text()
    };
    check("no object", "7".to_owned(), "SCHEMA_INVALID").await;
    check("nothing in it", "{}".to_owned(), "SCHEMA_INVALID").await;
    check("hash in capitals", with(|item| item.sha256.make_ascii_uppercase()), "SCHEMA_INVALID").await;
    check("subtype", with(|item| item.subtype = "bso".to_owned()), "SCHEMA_INVALID").await;
    check("two kinds", replaced(r#"{"receipt""#, r#"{"a":1,"receipt""#), "SCHEMA_INVALID").await;
    check("no rawData", replaced(r#""rawData""#, r#""rawDate""#), "SCHEMA_INVALID").await;
    check("a name twice", replaced(r#""rawData""#, r#""code":3,"rawData""#), "SCHEMA_INVALID").await;
    check("date", fresh().text().replace("05:00:00Z", "05:00:00+03:00"), "SCHEMA_INVALID").await;
    check(
        "code 11",
        fresh().text().replace("\"ofdResponseCode\":0", "\"ofdResponseCode\":11"),
        "SCHEMA_INVALID",
    )
    .await;
    check(
        "a deep document",
        with(|item| item.document = "[".repeat(100) + &"]".repeat(100)),
        "SCHEMA_INVALID",
    )
    .await;
    check("base64", replaced(r#""rawData":""#, r#""rawData":"*"#), "RAWDATA_INVALID").await;
    check("hash", with(|item| item.sha256 = "0".repeat(64)), "RAWDATA_INVALID").await;
    let short = raw_data(&raw[..raw.len() - 1]);
    check("length", replaced(&raw_data(&raw), &short), "RAWDATA_INVALID").await;
    check("empty", replaced(&raw_data(&raw), ""), "RAWDATA_INVALID").await;
    let total = made.document().unsigned(1020).unwrap();
    let differs = [
        (format!(r#""totalSum":{total}"#), format!(r#""totalSum":{}"#, total + 1)),
        (r#""shiftNumber":1"#.to_owned(), r#""shiftNumber":"1""#.to_owned()),
        (r#""code":3,"#.to_owned(), r#""code":3,"extra":1,"#.to_owned()),
        (r#""code":3,"#.to_owned(), String::new()),
        (r#""items":["#.to_owned(), r#""items":[{},"#.to_owned()),
    ];
    for (from, to) in differs {
        check(&to, replaced(&from, &to), "RAWDATA_MISMATCH").await;
    }
    check("one bit of the sign", sign_off_by_one(&made), "RAWDATA_MISMATCH").await;
    check(
        "another kind",
        replaced(r#"{"receipt""#, r#"{"bso""#).replace("\"receipt\"", "\"bso\""),
        "RAWDATA_MISMATCH",
    )
    .await;
    check("version of the document", with(|item| item.version = "1.05".to_owned()), "RAWDATA_MISMATCH").await;
    check("version", with(|item| item.version = "2.0".to_owned()), "UNSUPPORTED_FORMAT").await;
    check(
        "document 7",
        replaced(r#"{"receipt""#, r#"{"operatorAck""#).replace("\"receipt\"", "\"operatorAck\""),
        "UNSUPPORTED_FORMAT",
    )
    .await;
    check("key of another", with(|item| item.doc_key.push('1')), "KEY_MISMATCH").await;
    check("no key at all", with(|item| item.doc_key = "x".to_owned()), "KEY_MISMATCH").await;
    check("the document as it is", fresh().text(), "received").await;
}

/// `messageFiscalSign` less by one: equal for whoever reads it through a float.
fn sign_off_by_one(made: &Made) -> String {
    let sign = u64::from_be_bytes(made.sign);
    let mut item = made.item();
    item.document = item.document.replacen(&sign.to_string(), &(sign - 1).to_string(), 1);
    item.text()
}

#[tokio::test]
async fn known_documents_are_duplicates_or_conflicts() {
    let mut stand = Stand::new().await;
    let life = opened(60, 2);
    stand.receive(&life).await;
    assert_eq!(stand.outcomes(&life).await, ["duplicate"; 4]);
    let other = life[3].with_other_sign();
    assert_eq!(stand.outcomes(&[other.clone(), life[3].clone()]).await, ["CONFLICT_HASH", "duplicate"]);
    stand.configure(serde_json::json!({ "conflictAtDoor": false })).await;
    assert_eq!(stand.outcomes(std::slice::from_ref(&other)).await, ["received"]);
    let key = life[3].key();
    assert_eq!(stand.events().await.last().unwrap(), &format!("{key} hard 912"));
    // The first one keeps its name.
    assert_eq!(stand.verdict(&life[3]).await, "accepted");
    assert_eq!(stand.control.get(&format!("/sim/documents/{key}")).await.json()["times"], 3);
}

#[tokio::test]
async fn a_debug_storage_begins_again_and_a_genuine_one_does_not() {
    let mut stand = Stand::new().await;
    let life = |number: FnNumber, seed| {
        let mut kkt = register(number, FfdVersion::V1_2, seed);
        kkt.register().unwrap();
        kkt.open_shift().unwrap();
        drain(&mut kkt)
    };
    let debug = storage(70);
    stand.receive(&life(debug, 1)).await;
    assert_eq!(stand.outcomes(&life(debug, 2)).await, ["received"; 2]);
    assert_eq!(stand.outcomes(&life(debug, 1)).await, ["duplicate"; 2]);
    stand.receive(&life(genuine(70), 1)).await;
    assert_eq!(stand.outcomes(&life(genuine(70), 2)).await, ["CONFLICT_HASH"; 2]);
}

#[tokio::test]
async fn batches_are_refused_as_wholes() {
    let mut stand = Stand::configured(|config| config.max_batch_documents = 2).await;
    let life = opened(80, 1);
    let item = life[0].item().text();
    let id = new_id();
    let good = batch_of(&id, std::slice::from_ref(&item));
    let json = ("content-type", "application/json");
    let key = ("idempotency-key", id.as_str());
    let mut check = async |headers: &[(&str, &str)], body: &[u8], status: u16, code: &str| {
        let reply = stand.main.request("POST", "/v1/ofds/ofd1/documents", headers, body).await.unwrap();
        assert_eq!((reply.status, reply.problem().as_str()), (status, code), "{}", reply.text());
    };
    check(&[key], good.as_bytes(), 415, "UNSUPPORTED_MEDIA_TYPE").await;
    check(&[("content-type", "text/json"), key], good.as_bytes(), 415, "UNSUPPORTED_MEDIA_TYPE").await;
    check(&[json, key, ("content-encoding", "br")], good.as_bytes(), 415, "UNSUPPORTED_MEDIA_TYPE").await;
    check(&[json, key], b"", 400, "BAD_JSON").await;
    check(&[json, key], &good.as_bytes()[..good.len() - 1], 400, "BAD_JSON").await;
    check(&[json, key, ("content-encoding", "gzip")], good.as_bytes(), 400, "BAD_JSON").await;
    check(&[json, key], b"{}", 422, "BATCH_INVALID").await;
    check(&[json], good.as_bytes(), 422, "BATCH_INVALID").await;
    check(&[json, ("idempotency-key", "other")], good.as_bytes(), 422, "BATCH_INVALID").await;
    check(&[json, key], batch_of(&id, &[]).as_bytes(), 422, "BATCH_INVALID").await;
    check(&[json, key], good.replace("7704358518", "77").as_bytes(), 422, "BATCH_INVALID").await;
    check(&[json, key], good.replace("05:00:01Z", "05:00:01").as_bytes(), 422, "BATCH_INVALID").await;
    let three = batch_of(&id, &[item.clone(), item.clone(), item.clone()]);
    check(&[json, key], three.as_bytes(), 413, "BATCH_TOO_LARGE").await;
    let huge = vec![b' '; SimConfig::default().max_batch_bytes + 1];
    check(&[json, key], &huge, 413, "BATCH_TOO_LARGE").await;
    check(&[json, key, ("content-encoding", "gzip")], &zip(&huge), 413, "BATCH_TOO_LARGE").await;
    // Exactly the limit is read.
    check(&[json, key], &huge[1..], 400, "BAD_JSON").await;
    check(&[json, key, ("content-encoding", "gzip")], &zip(&huge[1..]), 400, "BAD_JSON").await;
    let counts = stand.control.get("/sim/requests").await.json()["counts"].clone();
    assert_eq!((&counts["batches"], &counts["documents"]), (&0.into(), &0.into()));
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_key_means_one_content() {
    let mut stand = Stand::new().await;
    let life = opened(90, 1);
    let id = new_id();
    let body = batch_of(&id, &[life[0].item().text(), life[1].item().text()]);
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", id.as_str()),
        ("content-encoding", "gzip"),
    ];
    let first =
        stand.main.request("POST", "/v1/ofds/ofd1/documents", &headers, &zip(body.as_bytes())).await.unwrap();
    assert_eq!(outcomes(&first), ["received"; 2]);
    let again = stand.main.batch(&id, &body).await;
    assert_eq!(outcomes(&again), ["duplicate"; 2]);
    let ticket = |reply: &Reply, at: usize| reply.json()["results"][at]["ticketId"].clone();
    for at in 0..2 {
        assert_eq!(ticket(&first, at), ticket(&again, at));
    }
    assert_eq!(ticket(&first, 0), "T-0000000000000001");
    let reused = stand.main.batch(&id, &batch_of(&id, &[life[2].item().text()])).await;
    assert_eq!((reused.status, reused.problem().as_str()), (409, "BATCH_KEY_REUSED"));
    let requests = stand.control.get("/sim/requests").await.json();
    let counts = &requests["counts"];
    let seen = ["batches", "repeatedBatches", "documents", "received", "duplicates"]
        .map(|name| counts[name].as_u64());
    assert_eq!(seen, [Some(3), Some(1), Some(4), Some(2), Some(2)]);
    let batches = requests["batches"].as_array().unwrap();
    assert_eq!(
        (batches.len(), &batches[1]["repeated"], &batches[1]["duplicates"]),
        (2, &true.into(), &2.into())
    );
}
