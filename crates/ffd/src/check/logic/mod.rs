//! Logic: what requisites say about each other and about what the operator remembers of the ФН (checks 3 to 22 of the
//! operator), one module per noun.
//!
//! A check speaks only when it can read everything it compares. What is missing or unreadable is a finding of structure,
//! and nothing follows from it here.

mod agents;
mod corrections;
mod counters;
mod inn;
mod items;
mod numbering;
mod payments;
mod registration;
mod rnm;
mod sums;
mod times;
mod vat;

use super::case::Case;
use super::report::Report;

/// Checks the whole document.
pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    times::check(case, report);
    inn::check(case, report);
    rnm::check(case, report);
    registration::check(case, report);
    numbering::check(case, report);
    if case.form().is_receipt_like() {
        let items = items::check(case, report);
        payments::check(case, report);
        sums::check(case, &items, report);
        vat::check(case, &items, report);
        agents::check(case, &items, report);
        corrections::check(case, report);
    }
    counters::check(case, report);
}
