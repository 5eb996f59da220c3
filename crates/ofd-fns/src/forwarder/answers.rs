//! What the answer to a batch says about each of its documents (B5.2).

use crate::client::wire::{BatchAnswer, ItemResult};

/// Code of a refusal that passes by itself, and of a result that is missing.
pub const BUSY: &str = "BUSY";

/// What the service did with one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has it.
    Received {
        /// Number of the ticket.
        ticket_id: Option<String>,
        /// It had it before.
        duplicate: bool,
    },
    /// Not now.
    Busy {
        /// Why.
        error: String,
    },
    /// Never, as it is.
    Refused {
        /// Code.
        code: String,
        /// Sentence for people.
        error: String,
        /// The item of the answer as it came.
        answer: String,
    },
}

/// One outcome for each key, in the order of `keys`, which is that of the batch.
///
/// The service keeps order and length; where it does not, the keys decide, and what is missing counts as busy.
pub fn outcomes(keys: &[String], answer: BatchAnswer) -> Vec<Outcome> {
    let mut results: Vec<Option<ItemResult>> = answer.results.into_iter().map(Some).collect();
    keys.iter()
        .enumerate()
        .map(|(index, key)| {
            let fits =
                |result: &Option<ItemResult>| result.as_ref().is_some_and(|result| result.doc_key == *key);
            let index = if results.get(index).is_some_and(fits) {
                Some(index)
            } else {
                results.iter().position(fits)
            };
            let result = index.and_then(|index| results.get_mut(index)).and_then(Option::take);
            result.map_or_else(|| busy("the answer says nothing about it"), outcome)
        })
        .collect()
}

fn outcome(result: ItemResult) -> Outcome {
    let ItemResult { result: word, ticket_id, duplicate, code, detail, text, .. } = result;
    match word.as_str() {
        "received" => Outcome::Received { ticket_id, duplicate },
        "refused" => match code {
            Some(code) if code != BUSY => {
                let error = match detail {
                    Some(detail) => format!("{code}: {detail}"),
                    None => code.clone(),
                };
                Outcome::Refused { code, error, answer: text }
            }
            Some(_) => busy(BUSY),
            // A refusal without a code might be anything; a person would not know what to do with it either.
            None => busy("refused without a code"),
        },
        _ => busy("the answer about it cannot be read"),
    }
}

fn busy(error: &str) -> Outcome {
    Outcome::Busy { error: error.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words: `r` received, `R` received as a duplicate, `b` busy, `x` refused for ever.
    #[track_caller]
    fn check(keys: &[&str], results: &str, expected: &str) {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let answer: BatchAnswer = serde_json::from_str(&format!(r#"{{"results":[{results}]}}"#)).unwrap();
        let word = |outcome: &Outcome| match outcome {
            Outcome::Received { duplicate: false, .. } => 'r',
            Outcome::Received { duplicate: true, .. } => 'R',
            Outcome::Busy { .. } => 'b',
            Outcome::Refused { .. } => 'x',
        };
        let words: String = outcomes(&keys, answer).iter().map(word).collect();
        assert_eq!(words, expected, "{results}");
    }

    #[test]
    fn results() {
        let received = r#"{"docKey":"1-1","result":"received","ticketId":"T"}"#;
        let duplicate = r#"{"docKey":"1-2","result":"received","duplicate":true}"#;
        let refused = r#"{"docKey":"1-3","result":"refused","code":"SCHEMA_INVALID"}"#;
        let foreign = r#"{"docKey":"1-3","result":"refused","code":"SOMETHING_NEW"}"#;
        let busy = r#"{"docKey":"1-3","result":"refused","code":"BUSY"}"#;
        let bare = r#"{"docKey":"1-3","result":"refused"}"#;
        let odd = r#"{"docKey":"1-3","result":"later"}"#;
        let keys = &["1-1", "1-2", "1-3"];
        check(keys, &format!("{received},{duplicate},{refused}"), "rRx");
        check(keys, &format!("{received},{duplicate},{foreign}"), "rRx");
        check(keys, &format!("{received},{duplicate},{busy}"), "rRb");
        check(keys, &format!("{received},{duplicate},{bare}"), "rRb");
        check(keys, &format!("{received},{duplicate},{odd}"), "rRb");
        check(keys, &format!("{received},{duplicate}"), "rRb");
        check(keys, &format!("{received},7,{refused}"), "rbx");
        check(keys, &format!("{refused},{duplicate},{received}"), "rRx");
        check(keys, &format!("{refused},{refused}"), "bbx");
        check(keys, "", "bbb");
        check(&[], received, "");
        // The same key twice: two chains of a debug ФН.
        check(&["1-1", "1-1"], &format!("{received},{received}"), "rr");
        check(&["1-1", "1-1"], received, "rb");
    }

    #[test]
    fn a_refusal_keeps_what_was_said() {
        let text = r#"{"docKey":"1-1", "result":"refused", "code":"RAWDATA_MISMATCH", "detail":"totalSum"}"#;
        let answer = serde_json::from_str(&format!(r#"{{"results":[{text}]}}"#)).unwrap();
        let expected = Outcome::Refused {
            code: "RAWDATA_MISMATCH".to_owned(),
            error: "RAWDATA_MISMATCH: totalSum".to_owned(),
            answer: text.to_owned(),
        };
        assert_eq!(outcomes(&["1-1".to_owned()], answer), [expected]);
    }
}
