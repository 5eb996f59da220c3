use proptest::prelude::*;

use super::*;
use crate::test_keys;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn line(purpose: &str, generation: &str, rest: &str) -> String {
    format!(
        r#"{{"purpose":"{purpose}","generation":{generation},"not_before":1000,"not_after":"1970-01-01T01:00:00Z","key_hex":"{KEY}"{rest}}}"#
    )
}

fn parse(text: &str) -> Result<Keystore, KeystoreError> {
    Keystore::parse(text, Purpose::Message)
}

/// The error's text holds `expected` and nothing of the key.
fn check_refused(text: &str, expected: &str) {
    let error = parse(text).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(expected), "{shown:?} should hold {expected:?}");
    assert!(!shown.contains("0102030405"), "key material in {shown:?}");
}

#[test]
fn good_lines_are_read_in_any_order() {
    let text = format!("{}\n\n{}\r\n", line("msg", "2", ""), line("msg", "0", ""));
    let store = parse(&text).unwrap();
    let numbers: Vec<u8> = store.records().iter().map(|record| record.generation().get()).collect();
    assert_eq!(numbers, [0, 2]);
    assert_eq!((store.records()[0].not_before_s(), store.records()[0].not_after_s()), (1000, 3600));
    assert_eq!(store.records()[0].kcv(), store.records()[1].kcv());
    assert!(!store.has_published_test_key());
}

#[test]
fn faults_are_named_with_their_line() {
    let good = line("msg", "1", "");
    check_refused("", "no key");
    check_refused(" \n\n", "no key");
    check_refused(&format!("{good}\n{{"), "line 2, column");
    check_refused(&format!("{good}\n{good}"), "line 2: generation 1 is there already, on line 1");
    check_refused(&line("opr", "1", ""), "line 1: purpose is opr, but this file is for msg keys");
    check_refused(&line("doc", "1", ""), "document master");
    check_refused(&line(KEY, "1", ""), BAD_PURPOSE);
    check_refused(&line("msg", "16", ""), BAD_GENERATION);
    check_refused(&line("msg", "-1", ""), BAD_GENERATION);
    check_refused(&line("msg", "1.5", ""), BAD_GENERATION);
    check_refused(&line("msg", &format!("\"{KEY}\""), ""), BAD_GENERATION);
    check_refused(&line("msg", "1", r#","extra":1"#), "unknown field");
    check_refused(&line("msg", "1", &format!(r#","{KEY}":1"#)), "unknown field");
    check_refused(&line("msg", "1", r#","generation":1"#), "duplicate field generation");
    check_refused(&good.replace(r#""generation":1,"#, ""), "missing field generation");
    check_refused(&good.replace("1000", "true"), BAD_MOMENT);
    check_refused(&good.replace("1000", &format!("\"{KEY}\"")), BAD_MOMENT);
    check_refused(&good.replace("1000", "18446744073709551615"), BAD_MOMENT);
    check_refused(&good.replace("1000", "3600"), "not later");
    check_refused(&good.replace("1e1f", "1e1"), BAD_KEY);
    check_refused(&good.replace("1e1f", "1e1fff"), BAD_KEY);
    check_refused(&good.replace("1e1f", "1e1g"), BAD_KEY);
    check_refused(&good.replace("0001", "\\u003001"), BAD_KEY);
    check_refused(&good.replace(KEY, &"ab".repeat(32)), "placeholder");
    check_refused(&format!("[{good}]"), "line 1");
    check_refused(&format!("\"{KEY}\""), "line 1");
}

#[test]
fn document_masters_have_an_error_of_their_own() {
    let text = line("doc", "1", "");
    assert_eq!(parse(&text).unwrap_err(), KeystoreError::DocumentMaster { line: 1 });
    let operator = Keystore::parse(&text, Purpose::Operator).unwrap_err();
    assert_eq!(operator, KeystoreError::DocumentMaster { line: 1 });
    assert!(Keystore::parse(&text, Purpose::Document).is_ok());
}

#[test]
fn generated_lines_are_read_back() {
    let generation = Generation::new(7).unwrap();
    let mut key = [0; 32];
    for (byte, value) in key.iter_mut().zip(0..) {
        *byte = value;
    }
    let text = generate_line(Purpose::Message, generation, 1_767_225_600, 1_924_992_000, key);
    assert!(text.contains("2026-01-01T00:00:00Z"), "{text}");
    let store = parse(&text).unwrap();
    let record = store.record(generation).unwrap();
    assert_eq!((record.not_before_s(), record.not_after_s()), (1_767_225_600, 1_924_992_000));
    assert_eq!(record.kcv(), parse(&line("msg", "7", "")).unwrap().records()[0].kcv());
    assert!(text.len() <= LINE_CAPACITY, "the line was moved while growing");
}

#[test]
fn periods_decide_what_a_generation_is_good_for() {
    let text = format!("{}\n{}", line("msg", "3", ""), line("msg", "1", r#","revoked_at":2000"#))
        .replacen("1000", "1500", 1);
    let store = parse(&text).unwrap();
    let check = |now, accepted: &[u8], newest: Option<u8>| {
        let found: Vec<u8> = store.generations_at(now).into_iter().map(Generation::get).collect();
        assert_eq!(found, accepted, "accepted at {now}");
        assert_eq!(store.newest_at(now).map(|record| record.generation().get()), newest, "newest at {now}");
    };
    check(0, &[1, 3], None);
    check(1000, &[1, 3], Some(1));
    check(1500, &[1, 3], Some(3));
    check(1999, &[1, 3], Some(3));
    check(2000, &[3], Some(3));
    check(3600, &[3], Some(3));
    check(3601, &[3], None);
    check(3600 + VERIFY_GRACE_S, &[3], None);
    check(3601 + VERIFY_GRACE_S, &[], None);
}

#[test]
fn published_keys_are_recognised_and_never_shown() {
    let published = [
        (test_keys::message_keystore(), Purpose::Message),
        (test_keys::operator_keystore(), Purpose::Operator),
        (test_keys::document_keystore(), Purpose::Document),
    ];
    for (text, purpose) in published {
        let store = Keystore::parse(text, purpose).unwrap();
        assert_eq!(store.records().len(), 2);
        assert!(store.records().iter().all(KeyRecord::is_published_test_key));
        let shown = format!("{store:?}");
        assert!(shown.contains("kcv") && !shown.contains("d4eed208"), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_to_a_good_line_panics_or_shows_the_key(at in 0usize..170, byte in 0u8..128) {
        let mut bytes = line("msg", "1", r#","revoked_at":2000"#).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(error) = parse(&String::from_utf8(bytes).unwrap()) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("05060708") && !shown.contains("15161718"), "{}", shown);
        }
    }

    #[test]
    fn any_key_survives_its_line(key in any::<[u8; 32]>(), generation in 0u8..16, from in 0i64..4_000_000_000) {
        prop_assume!(key.iter().any(|byte| *byte != key[0]));
        let generation = Generation::new(generation).unwrap();
        let text = generate_line(Purpose::Operator, generation, from, from + 1, key);
        let store = Keystore::parse(&text, Purpose::Operator).unwrap();
        let expected = MasterKey::new(Purpose::Operator, generation, Box::new(Zeroizing::new(key))).kcv();
        prop_assert_eq!(store.record(generation).unwrap().kcv(), expected);
    }
}
