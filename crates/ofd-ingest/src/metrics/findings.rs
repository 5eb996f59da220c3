//! Counters of findings: one pair for each rule of the control's table, so that labels never come from a document.

use ffd::check::{Finding, Severity};
use metrics::{Counter, counter};

use super::OTHER;

/// What is counted of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FindingLabel {
    rule: &'static str,
    severity: Severity,
}

impl From<&Finding> for FindingLabel {
    fn from(finding: &Finding) -> Self {
        Self { rule: finding.rule, severity: finding.severity }
    }
}

/// One pair of counters per rule of the table.
#[derive(Debug)]
pub(super) struct FindingCounters {
    /// In the order of [`ffd::check::rules`], which is the one of the names: hard, soft.
    pairs: Vec<(Counter, Counter)>,
    other: (Counter, Counter),
}

impl FindingCounters {
    pub(super) fn new() -> Self {
        let pair = |rule: &'static str| (finding_counter(rule, "hard"), finding_counter(rule, "soft"));
        Self { pairs: ffd::check::rules().iter().map(|rule| pair(rule.name)).collect(), other: pair(OTHER) }
    }

    pub(super) fn of(&self, finding: FindingLabel) -> &Counter {
        let position = ffd::check::rules().binary_search_by(|rule| rule.name.cmp(finding.rule)).ok();
        let pair = position.and_then(|position| self.pairs.get(position)).unwrap_or(&self.other);
        match finding.severity {
            Severity::Hard => &pair.0,
            Severity::Soft => &pair.1,
        }
    }
}

fn finding_counter(rule: &'static str, severity: &'static str) -> Counter {
    counter!("fiscald_findings_total", "rule" => rule, "severity" => severity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::check;

    #[test]
    fn findings_are_counted_by_the_rules_of_the_table() {
        for rule in ffd::check::rules() {
            for (severity, name) in [(Severity::Hard, "hard"), (Severity::Soft, "soft")] {
                let label = FindingLabel { rule: rule.name, severity };
                let line = format!(r#"fiscald_findings_total{{rule="{}",severity="{name}"}}"#, rule.name);
                check(|_| {}, &format!("{line} 0"));
                check(|metrics| metrics.found(label), &format!("{line} 1"));
            }
        }
        let new = FindingLabel { rule: "new.rule", severity: Severity::Soft };
        check(|metrics| metrics.found(new), r#"fiscald_findings_total{rule="other",severity="soft"} 1"#);
    }
}
