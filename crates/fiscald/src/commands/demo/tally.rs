//! The journal counted by a reader of its own, the tax service's own counts, and the comparison of both with what the
//! registers say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ffd::dict::FormCode;
use ffd::document::Document;
use ffd::tags;
use ofd_sim::fns::FnsTally;
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
        differences.extend(compare("journal", &counts.by_form, &self.by_form));
        differences.extend(compare_registers("journal", report, &self.by_register));
        differences
    }
}

/// What the tax service has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AtTheTaxService {
    pub(super) accepted: u64,
    pub(super) soft: u64,
    pub(super) hard: u64,
    /// Without a verdict.
    pub(super) waiting: u64,
    pub(super) cards: u64,
    pub(super) by_form: BTreeMap<u16, u64>,
    pub(super) by_register: BTreeMap<String, u64>,
}

impl AtTheTaxService {
    pub(super) fn of(tally: &FnsTally) -> Self {
        let by_register = tally.by_fn.iter().map(|(number, count)| (number.to_string(), *count));
        Self {
            accepted: tally.accepted,
            soft: tally.soft,
            hard: tally.hard,
            waiting: tally.waiting,
            cards: tally.cards,
            by_form: tally.by_form.clone(),
            by_register: by_register.collect(),
        }
    }

    /// Everything in which the registers and the tax service do not agree. It accepts what it has: registers make no faults.
    pub(super) fn differences(&self, report: &LiveReport) -> Vec<String> {
        let counts = &report.counts;
        let mut differences = compare("tax service", &counts.by_form, &self.by_form);
        for (what, registers, tax) in [
            ("documents accepted", counts.accepted, self.accepted),
            ("in soft quarantine", 0, self.soft),
            ("refused", 0, self.hard),
            ("without a verdict", 0, self.waiting),
        ] {
            if registers != tax {
                differences.push(format!("{what}: registers {registers}, tax service {tax}"));
            }
        }
        differences.extend(compare_registers("tax service", report, &self.by_register));
        differences
    }
}

fn compare(name: &str, registers: &BTreeMap<u16, u64>, other: &BTreeMap<u16, u64>) -> Vec<String> {
    let forms: BTreeSet<u16> = registers.keys().chain(other.keys()).copied().collect();
    let of = |side: &BTreeMap<u16, u64>, form: u16| side.get(&form).copied().unwrap_or_default();
    let pairs = forms.into_iter().map(|form| (form, of(registers, form), of(other, form)));
    let different = pairs.filter(|(_, registers, other)| registers != other);
    different
        .map(|(form, registers, other)| format!("form {form}: registers {registers}, {name} {other}"))
        .collect()
}

fn compare_registers(name: &str, report: &LiveReport, other: &BTreeMap<String, u64>) -> Vec<String> {
    let mut differences = Vec::new();
    for register in &report.registers {
        let waiting = u64::try_from(register.waiting).unwrap_or(u64::MAX);
        let acknowledged = u64::from(register.documents).saturating_sub(waiting);
        let number = register.fn_number.to_string();
        let found = other.get(&number).copied().unwrap_or_default();
        if acknowledged != found {
            differences.push(format!("ФН {number}: register {acknowledged}, {name} {found}"));
        }
    }
    differences
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

    #[test]
    fn the_tax_service_must_have_accepted_everything() {
        let check = |change: fn(&mut AtTheTaxService), expected: usize| {
            let mut report = report();
            report.counts.format_logic = 0;
            report.counts.accepted = 3;
            let mut tax = AtTheTaxService {
                accepted: 3,
                by_form: BTreeMap::from([(2, 1), (3, 2)]),
                by_register: BTreeMap::from([("9999000000000001".to_owned(), 3)]),
                ..AtTheTaxService::default()
            };
            change(&mut tax);
            let differences = tax.differences(&report);
            assert_eq!(differences.len(), expected, "{differences:?}");
        };
        check(|_| {}, 0);
        check(|tax| (tax.accepted, tax.soft) = (2, 1), 2);
        check(|tax| (tax.accepted, tax.waiting) = (2, 1), 2);
        check(|tax| tax.hard = 1, 1);
        check(|tax| tax.by_register.clear(), 1);
        check(|tax| tax.by_form = BTreeMap::from([(3, 3)]), 2);
        check(|tax| tax.cards = 5, 0);
    }
}
