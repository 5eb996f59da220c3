//! One fault: which rule it breaks, on which documents, and what it brings about later.

use ffd::check::{self, Severity};
use ffd::{FfdVersion, FormCode, tags};

use super::body::Body;
use super::memory::{Memory, Skips};
use crate::kkt::Draft;

/// What a fault makes the operator say of a later, honest document. That is the nature of the rule: the operator
/// compares the document with the spoiled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing.
    Nothing,
    /// This rule at the next document of the same ФН.
    Next(&'static str),
    /// This rule at the next opening of a shift (form 2).
    Opening(&'static str),
    /// This rule at the closing of the shift (form 5), in versions with totals of the shift (1194).
    Closing(&'static str),
}

/// A fault; its name is the rule that it breaks.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The rule of the control.
    pub(crate) rule: &'static str,
    /// What is done to which document.
    pub(crate) done: &'static str,
    /// What follows from it.
    pub(super) after: After,
    /// A number is missing from now on: the closing of the ФН (form 6) will say so.
    pub(super) loses: bool,
    /// The operator knows less of the shift afterwards: no other fault before the next shift.
    pub(super) rests: bool,
    /// No operator judges it: it is not sent, or never gets past the check of the sign.
    pub(super) is_unsent: bool,
    /// What an earlier registration report must say for it, where honest ones do not.
    pub(super) prepare: Option<Change>,
    /// Spoils the document; nothing when it does not fit.
    pub(super) spoil: Change,
}

/// A change of a document, or nothing when the document does not fit.
pub(super) type Change = fn(&mut Work<'_>) -> Option<()>;

impl Fault {
    pub(super) const fn new(rule: &'static str, done: &'static str, spoil: Change) -> Self {
        let after = After::Nothing;
        Self { rule, done, after, loses: false, rests: false, is_unsent: false, prepare: None, spoil }
    }

    pub(super) const fn then(self, after: After) -> Self {
        Self { after, rests: true, ..self }
    }

    pub(super) const fn losing(self) -> Self {
        Self { loses: true, rests: true, ..self }
    }

    /// The operator keeps the document, but not in mind.
    pub(super) const fn unremembered(self) -> Self {
        self.then(After::Next("numbering.document")).losing()
    }

    pub(super) const fn resting(self) -> Self {
        Self { rests: true, ..self }
    }

    pub(super) const fn unsent(self) -> Self {
        Self { is_unsent: true, ..self }
    }

    pub(super) const fn prepared(self, prepare: Change) -> Self {
        Self { prepare: Some(prepare), ..self }
    }

    /// What the rule weighs unless the operator has set it otherwise.
    pub(crate) fn severity(&self) -> Severity {
        severity(self.rule)
    }

    /// What the operator will say of later documents, for people; empty when nothing.
    pub(crate) fn consequence(&self) -> String {
        let later = match self.after {
            After::Nothing => String::new(),
            After::Next(rule) => format!("{rule} at the next document"),
            After::Opening(rule) => format!("{rule} at the next opening of a shift"),
            After::Closing(rule) => format!("{rule} at the closing of the shift (FFD 1.1, 1.2)"),
        };
        match (later.is_empty(), self.loses) {
            (_, false) => later,
            (true, true) => "closing.unacknowledged at the closing of the ФН".to_owned(),
            (false, true) => format!("{later}, closing.unacknowledged at the closing of the ФН"),
        }
    }
}

/// Weight of a rule unless the operator has set it otherwise.
pub(super) fn severity(rule: &str) -> Severity {
    check::rule(rule).map_or(Severity::Soft, |def| def.severity)
}

/// A document under a fault's hands.
#[derive(Clone, Debug)]
pub(super) struct Work<'m> {
    /// Its records.
    pub(super) body: Body,
    /// Everything else of it.
    pub(super) draft: Draft,
    /// Version that it states.
    pub(super) ffd: FfdVersion,
    /// Number that the storage will give it.
    pub(super) fd: u32,
    /// The storage is one for tests.
    pub(super) is_debug: bool,
    /// What a right clock shows, unix seconds.
    pub(super) now: u32,
    /// What went before.
    pub(super) memory: &'m Memory,
    /// What the register keeps to afterwards.
    pub(super) skips: Skips,
}

impl Work<'_> {
    /// The records, if the document has one of these forms.
    pub(super) fn of(&mut self, forms: &[FormCode]) -> Option<&mut Body> {
        forms.contains(&self.draft.form).then_some(&mut self.body)
    }

    /// The records of a receipt or a strict reporting form.
    pub(super) fn receipt(&mut self) -> Option<&mut Body> {
        self.of(&[FormCode::RECEIPT, FormCode::BSO])
    }

    /// The records of a correction.
    pub(super) fn correction(&mut self) -> Option<&mut Body> {
        self.of(&[FormCode::RECEIPT_CORRECTION, FormCode::BSO_CORRECTION])
    }

    /// The records of a receipt or a correction.
    pub(super) fn settlement(&mut self) -> Option<&mut Body> {
        self.draft.form.is_receipt_like().then_some(&mut self.body)
    }

    /// The records of a report on registration or on its change.
    pub(super) fn registration(&mut self) -> Option<&mut Body> {
        self.draft.form.is_registration().then_some(&mut self.body)
    }

    /// Whether the version is one of FFD 1.1 and 1.2.
    pub(super) fn is_newer(&self) -> bool {
        matches!(self.ffd, FfdVersion::V1_1 | FfdVersion::V1_2)
    }

    /// Moves the time of the document.
    pub(super) fn set_time(&mut self, time: u64) -> Option<()> {
        self.body.put_u32(&[tags::DATE_TIME], time)
    }

    /// The time of the document.
    pub(super) fn time(&self) -> Option<u64> {
        self.body.number(&[tags::DATE_TIME])
    }
}
