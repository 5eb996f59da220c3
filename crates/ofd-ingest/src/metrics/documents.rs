//! Counters of stored documents by form, code and verdict; labels come from closed lists, never from a document.

use ffd::dict::FormCode;
use kkt_proto::ack::OperatorCode;
use metrics::{Counter, counter};

use super::OTHER;

/// The forms that have counters of their own; everything else is counted as `other`.
const FORMS: [FormCode; 10] = [
    FormCode::REGISTRATION,
    FormCode::REGISTRATION_CHANGE,
    FormCode::SHIFT_OPEN,
    FormCode::STATE_REPORT,
    FormCode::RECEIPT,
    FormCode::RECEIPT_CORRECTION,
    FormCode::BSO,
    FormCode::BSO_CORRECTION,
    FormCode::SHIFT_CLOSE,
    FormCode::FN_CLOSE,
];

const CODES: [OperatorCode; 3] =
    [OperatorCode::ACCEPTED, OperatorCode::UNRECOGNISED, OperatorCode::FORMAT_LOGIC];

/// Verdicts that a journalled document can have, by their names in the store.
const VERDICTS: [&str; 8] = [
    "valid",
    "mismatch",
    "malformed",
    "wrong_kind",
    "foreign_scheme",
    "unknown_generation",
    "disabled",
    "cannot_decrypt",
];

/// One counter per form, code and verdict, found by position.
#[derive(Debug)]
pub(super) struct DocumentCounters {
    /// Forms, then codes, then verdicts; each with one place more, at its end, for what has no name here.
    cells: Vec<Counter>,
    other: Counter,
}

impl DocumentCounters {
    pub(super) fn new() -> Self {
        let mut cells = Vec::with_capacity((FORMS.len() + 1) * CODES.len() * VERDICTS.len());
        let forms = FORMS.iter().map(|form| form.0.to_string()).chain([OTHER.to_owned()]);
        for form in forms {
            for code in CODES {
                for verdict in VERDICTS {
                    cells.push(document_counter(form.clone(), code.0.to_string(), verdict));
                }
            }
        }
        Self { cells, other: document_counter(OTHER.to_owned(), OTHER.to_owned(), OTHER) }
    }

    pub(super) fn of(&self, form: FormCode, code: OperatorCode, verdict: &str) -> &Counter {
        self.find(form, code, verdict).unwrap_or(&self.other)
    }

    fn find(&self, form: FormCode, code: OperatorCode, verdict: &str) -> Option<&Counter> {
        let form = FORMS.iter().position(|known| *known == form).unwrap_or(FORMS.len());
        let code = CODES.iter().position(|known| *known == code)?;
        let verdict = VERDICTS.iter().position(|known| *known == verdict)?;
        self.cells.get((form * CODES.len() + code) * VERDICTS.len() + verdict)
    }
}

fn document_counter(form: String, code: String, verdict: &'static str) -> Counter {
    counter!("fiscald_documents_total", "form" => form, "code" => code, "verdict" => verdict)
}
