//! Findings of the format and logic control (ФЛК): what a readable document says against the rules.
//!
//! Checks collect everything they find instead of stopping at the first. They give findings, not answers: which code
//! the operator sends follows from the severity elsewhere. Here so far: [`identity()`], whether the document is the one
//! its container says it is.

mod identity;

use serde::Serialize;

pub use identity::{Claimed, identity};

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
