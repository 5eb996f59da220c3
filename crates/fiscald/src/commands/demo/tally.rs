//! The journal counted by a reader of its own, and the comparison with what the registers say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ffd::dict::FormCode;
use ffd::document::Document;
use ffd::tags;
use ofd_sim::live::LiveReport;
use ofd_store::{ExportFilter, MAX_PAGE_ROWS, Reader};

/// What is in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) documents: u64,
    pub(super) conflicts: u64,
    pub(super) by_form: BTreeMap<u16, u64>,
    pub(super) by_code: BTreeMap<u8, u64>,
    pub(super) by_verdict: BTreeMap<String, u64>,
    pub(super) by_register: BTreeMap<String, u64>,
    /// Sales less refunds of the receipts (form 3), kopecks, read out of the opened documents.
    pub(super) turnover_kopecks: u64,
}

/// Kinds of settlement (признак расчета).
const SALE: u64 = 1;
const REFUND: u64 = 2;

impl Tally {
    /// Counts every row, page by page.
    pub(super) fn of_journal(url: &str) -> Result<Self> {
        let reader = Reader::open(url)?;
        let mut tally = Self::default();
        let mut cursor = 0;
        loop {
            let page = reader.export_page(cursor, &ExportFilter::default(), MAX_PAGE_ROWS)?;
            let Some(last) = page.last() else { return Ok(tally) };
            cursor = last.seq;
            for row in &page {
                tally.documents += 1;
                tally.conflicts += u64::from(row.conflict_no > 0);
                *tally.by_form.entry(row.form).or_default() += 1;
                *tally.by_code.entry(row.code).or_default() += 1;
                *tally.by_verdict.entry(row.verdict.clone()).or_default() += 1;
                *tally.by_register.entry(row.fn_number.to_string()).or_default() += 1;
                tally.add_turnover(row.opened_document());
            }
        }
    }

    fn add_turnover(&mut self, document: &[u8]) {
        let Ok(document) = Document::decode(document) else { return };
        if document.form() != FormCode::RECEIPT {
            return;
        }
        let sum = document.unsigned(tags::TOTAL_SUM).unwrap_or_default();
        match document.unsigned(tags::OPERATION_TYPE) {
            Some(SALE) => self.turnover_kopecks = self.turnover_kopecks.wrapping_add(sum),
            // A day may begin with a refund; in the end sales outweigh.
            Some(REFUND) => self.turnover_kopecks = self.turnover_kopecks.wrapping_sub(sum),
            _ => {}
        }
    }

    /// Everything in which the registers and the journal do not agree; empty when they do.
    pub(super) fn differences(&self, report: &LiveReport) -> Vec<String> {
        let counts = &report.counts;
        let code = |code: u8| self.by_code.get(&code).copied().unwrap_or_default();
        let mut differences = Vec::new();
        for (what, registers, journal) in [
            ("documents", counts.acknowledged(), self.documents),
            ("code 0", counts.accepted, code(0)),
            ("code 11", counts.unrecognised, code(11)),
            ("code 14", counts.format_logic, code(14)),
            ("conflicts", 0, self.conflicts),
            ("turnover, kopecks", counts.turnover_kopecks, self.turnover_kopecks),
        ] {
            if registers != journal {
                differences.push(format!("{what}: registers {registers}, journal {journal}"));
            }
        }
        let forms: BTreeSet<u16> = counts.by_form.keys().chain(self.by_form.keys()).copied().collect();
        for form in forms {
            let of = |side: &BTreeMap<u16, u64>| side.get(&form).copied().unwrap_or_default();
            let (registers, journal) = (of(&counts.by_form), of(&self.by_form));
            if registers != journal {
                differences.push(format!("form {form}: registers {registers}, journal {journal}"));
            }
        }
        for register in &report.registers {
            let waiting = u64::try_from(register.waiting).unwrap_or(u64::MAX);
            let acknowledged = u64::from(register.documents).saturating_sub(waiting);
            let number = register.fn_number.to_string();
            let journal = self.by_register.get(&number).copied().unwrap_or_default();
            if acknowledged != journal {
                differences.push(format!("ФН {number}: register {acknowledged}, journal {journal}"));
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use ofd_sim::live::{LiveCounts, RegisterReport};

    use super::*;

    fn report() -> LiveReport {
        LiveReport {
            counts: LiveCounts {
                documents: 3,
                accepted: 2,
                format_logic: 1,
                by_form: BTreeMap::from([(2, 1), (3, 2)]),
                ..LiveCounts::default()
            },
            seconds: 1.0,
            cancelled: false,
            registers: vec![RegisterReport {
                fn_number: "9999000000000001".parse().unwrap(),
                documents: 4,
                waiting: 1,
                failure: None,
                spoiled: Vec::new(),
            }],
        }
    }

    fn tally() -> Tally {
        Tally {
            documents: 3,
            by_code: BTreeMap::from([(0, 2), (14, 1)]),
            by_form: BTreeMap::from([(2, 1), (3, 2)]),
            by_register: BTreeMap::from([("9999000000000001".to_owned(), 3)]),
            ..Tally::default()
        }
    }

    fn check(change: impl FnOnce(&mut Tally), expected: usize) {
        let mut tally = tally();
        change(&mut tally);
        let differences = tally.differences(&report());
        assert_eq!(differences.len(), expected, "{differences:?}");
    }

    #[test]
    fn every_difference_is_seen() {
        check(|_| {}, 0);
        check(|tally| tally.documents = 4, 1);
        check(|tally| tally.by_code = BTreeMap::from([(0, 3)]), 2);
        check(|tally| tally.conflicts = 1, 1);
        check(|tally| tally.by_register.clear(), 1);
        check(|tally| tally.by_form = BTreeMap::from([(2, 1), (3, 1), (5, 1)]), 2);
        check(|tally| *tally = Tally::default(), 6);
    }
}
