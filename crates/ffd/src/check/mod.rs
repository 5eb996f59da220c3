//! The format and logic control (ФЛК): findings, what a readable document says against the rules.
//!
//! Three parts, each reading the tree once: [`identity()`] (whether the document is the one its container says it is),
//! structure (what the dictionary's tables demand of the form) and logic (what requisites say about each other and about
//! the register's history). What the rules are, what they weigh and which check of the order they carry out is data:
//! [`rules()`]. What is remembered of a register between its documents is [`RegisterState`].
//!
//! Checks collect everything they find instead of stopping at the first. They give findings, not answers: which code
//! the operator sends follows from the severity elsewhere. Three habits hold in all of them. A finding needs a rule that
//! clearly applies: what is missing, unreadable or unknown decides nothing beyond its own finding, because code 14 to an
//! honest receipt can never be taken back. One fault is one finding. And the work is linear in the document, the
//! findings of one rule bounded, so that no sender can make a check expensive.

mod case;
mod identity;
mod logic;
mod register;
mod report;
mod rules;
mod severities;
mod structure;

use serde::Serialize;

use case::Case;
use report::Report;

use crate::document::Document;
use crate::ids::Inn;

pub use identity::{Claimed, identity};
pub use register::RegisterState;
pub use rules::{RuleDef, rule, rules};
pub use severities::{Severities, UnknownRule, Weight};

/// What the names of the rules of identity begin with.
const IDENTITY: &str = "identity.";

/// What stands around a document when it is judged. Everything may be missing: what cannot be compared is not judged.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// What the container says about the document.
    pub claimed: Option<Claimed>,
    /// When the operator received it, unix seconds UTC.
    pub received_at: u32,
    /// The operator's own ИНН.
    pub operator_inn: Option<Inn>,
    /// What is known of the ФН *before* this document.
    pub register: Option<&'a RegisterState>,
}

/// Judges a document: identity (if the container's claim is given), structure, logic. All findings in the order of the
/// document, with the severities in force.
pub fn check(doc: &Document<'_>, around: &Surroundings<'_>, severities: &Severities) -> Vec<Finding> {
    let case = Case::new(doc, around);
    let mut report = Report::new(severities, case.version);
    if let Some(claimed) = &around.claimed {
        report.identity(identity(doc, claimed), |tag| doc.node(tag).map(|node| node.offset));
    }
    structure::check(&case, &mut report);
    logic::check(&case, &mut report);
    report.finish()
}

/// Weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The operator answers with code 14.
    Hard,
    /// Only a warning.
    Soft,
}

/// One thing against the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Tags from the top level down to the record; empty when the document as a whole is meant.
    pub path: Vec<u16>,
    /// Stable name of the rule, `group.name`, for settings and statistics.
    pub rule: &'static str,
    /// Weight of the finding.
    pub severity: Severity,
    /// What is wrong, for people, in Russian.
    pub text_ru: String,
}

#[cfg(test)]
mod tests;
