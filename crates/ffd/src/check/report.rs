//! Where findings are gathered: weighed, bounded, and put in the order of the document.
//!
//! A text is only written for a finding that is kept. A receipt of 32 KiB may hold thousands of equal faults, so of one
//! rule at one path only the first few are kept, and of one rule at all places some more; the rest is counted in the
//! text of the last one kept.

use std::collections::BTreeMap;

use super::rules::{self, COUNT};
use super::{Finding, IDENTITY, Severities, Severity, Weight};
use crate::dict::FfdVersion;
use crate::text::plural;
use crate::tlv::MAX_DEPTH;

/// Findings kept of one rule at one path.
pub(super) const MAX_PER_PATH: usize = 20;

/// Findings kept of one rule at all its paths.
pub(super) const MAX_PER_RULE: usize = 100;

/// Tags from the top level down to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    tags: [u16; MAX_DEPTH + 2],
    len: usize,
}

impl Path {
    /// The document as a whole.
    pub(super) const DOCUMENT: Self = Self { tags: [0; MAX_DEPTH + 2], len: 0 };

    /// A record of the top level.
    pub(super) fn top(tag: u16) -> Self {
        Self::DOCUMENT.with(tag)
    }

    /// The record one level deeper. The reader goes no deeper than there is room.
    pub(super) fn with(mut self, tag: u16) -> Self {
        if let Some(place) = self.tags.get_mut(self.len) {
            *place = tag;
            self.len += 1;
        }
        self
    }

    fn tags(&self) -> &[u16] {
        self.tags.get(..self.len).unwrap_or_default()
    }
}

/// Where in the document something was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Offset of the record, or of what lacks it.
    pub(super) offset: usize,
    /// Its path.
    pub(super) path: Path,
}

impl Place {
    /// The document as a whole.
    pub(super) const DOCUMENT: Self = Self { offset: 0, path: Path::DOCUMENT };
}

/// The findings of one document.
pub(super) struct Report<'s> {
    severities: &'s Severities,
    version: FfdVersion,
    only_warn: bool,
    found: Vec<Found>,
    /// How many findings of a rule at a path were kept, and which is the last of them.
    kept: BTreeMap<(usize, Path), Kept>,
    of_rule: [Kept; COUNT],
    /// Top-level tags that identity has already spoken of.
    judged: Vec<u16>,
}

struct Found {
    offset: usize,
    finding: Finding,
    more: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    count: usize,
    last: usize,
}

impl<'s> Report<'s> {
    /// An empty report on a document judged as one of `version`.
    pub(super) fn new(severities: &'s Severities, version: FfdVersion) -> Self {
        Self {
            severities,
            version,
            only_warn: false,
            found: Vec::new(),
            kept: BTreeMap::new(),
            of_rule: [Kept::default(); COUNT],
            judged: Vec::new(),
        }
    }

    /// From here on nothing weighs more than a warning: the version of the format is not known.
    pub(super) fn only_warn(&mut self) {
        self.only_warn = true;
    }

    /// Takes over the findings of identity, which say all there is to say about their requisites.
    pub(super) fn identity(&mut self, findings: Vec<Finding>, offset_of: impl Fn(u16) -> Option<usize>) {
        for finding in findings {
            let offset = finding.path.first().and_then(|&tag| offset_of(tag)).unwrap_or_default();
            self.judged.extend(finding.path.first());
            self.found.push(Found { offset, finding, more: 0 });
        }
    }

    /// Whether identity has already found this requisite missing or wrong.
    #[inline]
    pub(super) fn is_judged(&self, tag: u16) -> bool {
        self.judged.contains(&tag)
    }

    /// Adds a finding; `text` is only called when it is kept. Kept out of the checks that call it: nearly every document
    /// passes without a finding.
    #[cold]
    #[inline(never)]
    pub(super) fn add(&mut self, rule: &'static str, place: Place, text: impl FnOnce() -> String) {
        let Some(severity) = self.severity(rule) else { return };
        let Some(number) = rules::position(rule) else { return };
        let Some(of_rule) = self.of_rule.get_mut(number) else { return };
        if of_rule.count >= MAX_PER_RULE {
            more(&mut self.found, of_rule.last);
            return;
        }
        let kept = self.kept.entry((number, place.path)).or_default();
        if kept.count >= MAX_PER_PATH {
            more(&mut self.found, kept.last);
            return;
        }
        for seen in [of_rule, kept] {
            seen.count += 1;
            seen.last = self.found.len();
        }
        let finding = Finding { path: place.path.tags().to_vec(), rule, severity, text_ru: text() };
        self.found.push(Found { offset: place.offset, finding, more: 0 });
    }

    /// What a finding of this rule weighs here; `None` when the rule is off.
    fn severity(&self, rule: &'static str) -> Option<Severity> {
        debug_assert!(rules::rule(rule).is_some(), "{rule} is not in the table");
        match self.severities.weight(rule, self.version) {
            Weight::Off => None,
            Weight::Soft => Some(Severity::Soft),
            Weight::Hard if self.only_warn && !rule.starts_with(IDENTITY) => Some(Severity::Soft),
            Weight::Hard => Some(Severity::Hard),
        }
    }

    /// All findings in the order of the document.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|found| found.offset);
        let finished = self.found.into_iter().map(|Found { mut finding, more, .. }| {
            if more > 0 {
                let words = plural(more, ["такое нарушение", "таких нарушения", "таких нарушений"]);
                finding.text_ru.push_str(&format!(" (и ещё {more} {words})"));
            }
            finding
        });
        finished.collect()
    }
}

fn more(found: &mut [Found], last: usize) {
    if let Some(found) = found.get_mut(last) {
        found.more += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: usize, tag: u16) -> Place {
        Place { offset, path: Path::top(tag) }
    }

    #[test]
    fn repetitions_are_counted_not_kept() {
        let severities = Severities::default();
        let mut report = Report::new(&severities, FfdVersion::V1_2);
        for offset in 0..=MAX_PER_PATH {
            report.add("item.vat", place(offset + 2000, 1200), || format!("строка {offset}"));
        }
        for offset in 0..1000 {
            report.add("item.cost", place(offset, 1059), || format!("строка {offset}"));
        }
        for tag in 0..1000 {
            report.add("structure.undeclared", place(1000, tag), || format!("тег {tag}"));
        }
        let findings = report.finish();
        assert_eq!(findings.len(), 2 * MAX_PER_PATH + MAX_PER_RULE);
        assert_eq!(findings[MAX_PER_PATH - 1].text_ru, "строка 19 (и ещё 980 таких нарушений)");
        let last = &findings[MAX_PER_PATH + MAX_PER_RULE - 1];
        assert_eq!(last.text_ru, "тег 99 (и ещё 900 таких нарушений)");
        assert_eq!(findings.last().unwrap().text_ru, "строка 19 (и ещё 1 такое нарушение)");
    }

    #[test]
    fn findings_come_in_the_order_of_the_document() {
        let severities = Severities::default();
        let mut report = Report::new(&severities, FfdVersion::V1_2);
        report.add("sum.items", place(90, 1020), || "б".to_owned());
        report.add("time.order", place(10, 1012), || "а".to_owned());
        report.add("sum.payments", place(90, 1020), || "в".to_owned());
        let texts: Vec<_> = report.finish().into_iter().map(|finding| finding.text_ru).collect();
        assert_eq!(texts, ["а", "б", "в"]);
    }

    #[test]
    fn a_rule_that_is_off_finds_nothing_and_an_unknown_version_only_warns() {
        let mut severities = Severities::default();
        severities.set("sum.items", Weight::Off).unwrap();
        let mut report = Report::new(&severities, FfdVersion::V1_2);
        report.add("sum.items", Place::DOCUMENT, || unreachable!("a text nobody reads"));
        report.add("sum.payments", Place::DOCUMENT, String::new);
        report.only_warn();
        report.add("sum.payments", Place::DOCUMENT, String::new);
        let severities: Vec<_> = report.finish().into_iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Hard, Severity::Soft]);
    }
}
