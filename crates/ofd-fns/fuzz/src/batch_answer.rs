//! The answer to a batch: every document gets exactly one outcome, a document counts as taken only when the service said
//! so under its key, and the order of the answer does not matter.

use std::collections::HashSet;

use ofd_fns::client::wire::{BatchAnswer, ItemResult};
use ofd_fns::forwarder::answers::{Outcome, outcomes};

/// A document that no answer of the corpus names.
const UNKNOWN: &str = "9999078900005488-16777215";

/// Checks one answer.
pub fn check(input: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<BatchAnswer>(input) else { return };
    for result in &answer.results {
        assert!(contains(input, result.text.as_bytes()), "an item is kept as it came");
        assert_eq!(serde_json::from_str::<ItemResult>(&result.text).as_ref().ok(), Some(result));
    }
    let mut keys: Vec<String> = answer.results.iter().map(|result| result.doc_key.clone()).collect();
    keys.push(UNKNOWN.to_owned());
    judged(&keys, &answer);
    // Fewer documents than results, and none at all.
    judged(&keys[1..], &answer);
    judged(&[], &answer);
    let unique = keys.iter().collect::<HashSet<_>>().len() == keys.len();
    let mut reversed = answer.clone();
    reversed.results.reverse();
    if unique {
        assert_eq!(outcomes(&keys, reversed), outcomes(&keys, answer));
    }
}

fn judged(keys: &[String], answer: &BatchAnswer) {
    let outcomes = outcomes(keys, answer.clone());
    assert_eq!(outcomes.len(), keys.len());
    let with_word = |word: &'static str| answer.results.iter().filter(move |result| result.result == word);
    let taken = |outcome: &&Outcome| matches!(outcome, Outcome::Received { .. });
    assert!(outcomes.iter().filter(taken).count() <= with_word("received").count());
    for (key, outcome) in keys.iter().zip(&outcomes) {
        match outcome {
            Outcome::Received { ticket_id, duplicate } => assert!(with_word("received").any(|result| {
                (&result.doc_key, &result.ticket_id, &result.duplicate) == (key, ticket_id, duplicate)
            })),
            Outcome::Refused { code, answer, .. } => {
                assert_ne!(code, "BUSY");
                assert!(with_word("refused").any(|result| result.doc_key == *key && result.text == *answer));
            }
            Outcome::Busy { error } => assert!(!error.is_empty()),
        }
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}
