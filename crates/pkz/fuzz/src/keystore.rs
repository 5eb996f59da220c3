//! Keystore files: any text is read or refused, and a refusal repeats nothing of the text.

use pkz::keystore::{Keystore, Purpose};

/// Longest piece of the input that a refusal may hold by chance: a field name, a purpose, a number.
const CHANCE: usize = 24;

/// Checks one text for each purpose.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for purpose in [Purpose::Message, Purpose::Operator, Purpose::Document] {
        match Keystore::parse(&text, purpose) {
            Ok(store) => consistent(&store, purpose, &text),
            Err(error) => {
                let shown = format!("{error} {error:?}");
                for key in
                    text.split(|letter: char| !letter.is_ascii_hexdigit()).filter(|key| key.len() > CHANCE)
                {
                    assert!(!shown.contains(key), "an error repeats a key");
                }
            }
        }
    }
}

fn consistent(store: &Keystore, purpose: Purpose, text: &str) {
    assert_eq!(store.purpose(), purpose);
    let records = store.records();
    assert!(!records.is_empty() && records.len() <= text.lines().count());
    assert!(records.windows(2).all(|pair| pair[0].generation() < pair[1].generation()));
    for record in records {
        assert!(record.not_before_s() < record.not_after_s());
        assert_eq!(store.record(record.generation()).map(|same| same.kcv()), Some(record.kcv()));
        for now in [record.not_before_s(), record.not_after_s(), 0, i64::MIN, i64::MAX] {
            assert!(!record.issues_at(now) || record.verifies_at(now));
            assert_eq!(store.generations_at(now).contains(&record.generation()), record.verifies_at(now));
            assert!(store.newest_at(now).is_none_or(|newest| newest.issues_at(now)));
        }
    }
    let shown = format!("{store:?}");
    for key in text.split('"').filter(|word| word.len() == 64) {
        assert!(!shown.contains(key), "a key is printed");
    }
}
