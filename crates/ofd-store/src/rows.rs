//! What is read back: rows for people, for export, and the filters that choose them.

use std::collections::BTreeMap;

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::{Derived, FindingSeverity, Forward, StoredFinding};

/// Most rows given out by one call; a larger limit is cut down to it.
pub const MAX_PAGE_ROWS: usize = 10_000;

/// One document of the journal as lists show it: everything that is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSummary {
    /// Position in the journal (arrival order).
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Chain of a debug ФН (9999...), from 0; always 0 for others.
    pub chain: u32,
    /// 0 for the first content of (ФН, chain, ФД), else the number of the conflict.
    pub conflict_no: u32,
    /// Form code.
    pub form: u16,
    /// When it came, our clock.
    pub received_at: Timestamp,
    /// From where.
    pub peer: Option<String>,
    /// Code of the acknowledgement.
    pub code: u8,
    /// Name of the sign verdict.
    pub verdict: String,
    /// Scheme of the sign.
    pub sign_scheme: Option<String>,
    /// Key generation of the sign.
    pub sign_generation: Option<u8>,
    /// Whether it is forwarded.
    pub forward: Forward,
    /// Mark "did not pass the format and logic control".
    pub flk_mark: bool,
    /// Mark "fiscal sign not confirmed".
    pub sign_mark: bool,
    /// Mark "a report names a register that a contract has under another ФН".
    pub fn_changed_mark: bool,
    /// Mark "newer than the deregistration of its register".
    pub after_deregistration_mark: bool,
    /// SHA-256 of the opened document.
    pub identity: [u8; 32],
    /// Columns taken out of the document.
    pub derived: Derived,
    /// Findings in their order.
    pub findings: Vec<StoredFinding>,
}

/// One document of the journal with everything kept about it. Reads like its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// What is short.
    pub summary: DocumentSummary,
    /// The container as received.
    pub container: Vec<u8>,
    /// The opened document beside an encrypted container.
    pub opened: Option<Vec<u8>>,
    /// The acknowledgement container.
    pub acknowledgement: Vec<u8>,
}

impl std::ops::Deref for DocumentRow {
    type Target = DocumentSummary;

    fn deref(&self) -> &DocumentSummary {
        &self.summary
    }
}

impl DocumentRow {
    /// The opened document: form, length, TLV.
    #[must_use]
    pub fn opened_document(&self) -> &[u8] {
        opened_document(&self.container, self.opened.as_deref())
    }
}

/// Which documents to list; an empty filter takes all, several conditions must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Of this ФН.
    pub fn_number: Option<FnNumber>,
    /// With this ФД.
    pub fd_number: Option<FdNumber>,
    /// Of this form.
    pub form: Option<u16>,
    /// Answered with this code.
    pub code: Option<u8>,
    /// With this verdict.
    pub verdict: Option<String>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
    /// Only conflicts.
    pub conflicts_only: bool,
    /// With this decision about forwarding.
    pub forward: Option<Forward>,
    /// With such findings.
    pub findings: Option<FindingFilter>,
    /// Only rows before this position: the next page of a newest-first list.
    pub before_seq: Option<i64>,
}

/// Findings by which to choose documents. Looks at those stored, so at the first
/// [`MAX_STORED_FINDINGS`](crate::MAX_STORED_FINDINGS) of each document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingFilter {
    /// At least one of any kind.
    Any,
    /// At least one of this rule, such as `sum.items`.
    Rule(String),
    /// At least one of this weight.
    Severity(FindingSeverity),
}

/// A piece of a newest-first list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// Documents that pass the filter; none is possible although there is a next page.
    pub rows: Vec<DocumentSummary>,
    /// What [`DocumentFilter::before_seq`] has to be for the next page; none at the end.
    pub next_before_seq: Option<i64>,
}

/// Which documents to export; an empty filter takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Of this ФН.
    pub fn_number: Option<FnNumber>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
}

/// One document for export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Position in the journal: the cursor of the next page.
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Chain of a debug ФН.
    pub chain: u32,
    /// 0, or the number of the conflict.
    pub conflict_no: u32,
    /// Form code.
    pub form: u16,
    /// When it came, our clock.
    pub received_at: Timestamp,
    /// Code of the acknowledgement.
    pub code: u8,
    /// Name of the sign verdict.
    pub verdict: String,
    /// The container as received.
    pub container: Vec<u8>,
    /// The opened document beside an encrypted container.
    pub opened: Option<Vec<u8>>,
}

impl ExportRow {
    /// The opened document: form, length, TLV.
    #[must_use]
    pub fn opened_document(&self) -> &[u8] {
        opened_document(&self.container, self.opened.as_deref())
    }
}

/// A run of ФД numbers that are missing between two that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// ФН.
    pub fn_number: FnNumber,
    /// Chain of a debug ФН.
    pub chain: u32,
    /// First missing number.
    pub from: u32,
    /// Last missing number.
    pub to: u32,
}

/// One known register or one known serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRow {
    /// ФН; absent while only the serial number was stated.
    pub fn_number: Option<FnNumber>,
    /// Serial number of the ККТ.
    pub kkt_serial: Option<String>,
    /// Registration number.
    pub rnm: Option<String>,
    /// INN of the user.
    pub inn: Option<String>,
    /// How it became known: `report`, `operator` or `released`.
    pub source: String,
    /// Position of the newest report (form 1 or 11) that told about it.
    pub report_seq: Option<i64>,
    /// When it became known.
    pub created_at: Timestamp,
    /// When a fact last changed.
    pub updated_at: Timestamp,
}

/// Which quarantined copies to list; an empty filter takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Of this ФН.
    pub fn_number: Option<FnNumber>,
    /// With this reason.
    pub reason: Option<String>,
    /// Only those whose ФН was not released since.
    pub held_only: bool,
    /// Only rows with a smaller number: the next page of a newest-first list.
    pub before_id: Option<i64>,
}

/// One quarantined copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Number of the row.
    pub id: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Form code.
    pub form: u16,
    /// Reason at its first arrival.
    pub reason: String,
    /// First arrival.
    pub received_at: Timestamp,
    /// Newest arrival of the same content.
    pub last_at: Timestamp,
    /// Arrivals of the same content.
    pub times: u64,
    /// From where it first came.
    pub peer: Option<String>,
    /// The container as first received.
    pub container: Vec<u8>,
    /// SHA-256 of the opened document, if it could be opened.
    pub identity: Option<[u8; 32]>,
    /// When the hold of its ФН was lifted.
    pub released_at: Option<Timestamp>,
}

/// Quarantined messages of one ФН and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineCount {
    /// ФН; absent: all those past the number of ФН that are counted one by one.
    pub fn_number: Option<FnNumber>,
    /// Reason.
    pub reason: String,
    /// Copies kept.
    pub kept: u64,
    /// Messages past the limits, counted only.
    pub not_kept: u64,
}

/// How much is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the journal, conflicts included.
    pub documents: u64,
    /// Rows that are conflicts.
    pub conflicts: u64,
    /// Rows by code of the acknowledgement.
    pub by_code: BTreeMap<u8, u64>,
    /// Quarantined copies.
    pub quarantine: u64,
    /// Known registers and serial numbers.
    pub registers: u64,
}

/// Length of the header of a container in bytes.
const CONTAINER_HEADER_LEN: usize = 32;
/// Length of what follows the data of a container in bytes.
const CONTAINER_TRAILER_LEN: usize = 10;

/// The opened document: beside an encrypted container it is stored, in an open one it lies between header and trailer.
/// Empty for a container too short to hold any.
pub(crate) fn opened_document<'r>(container: &'r [u8], opened: Option<&'r [u8]>) -> &'r [u8] {
    opened.unwrap_or_else(|| {
        let end = container.len().saturating_sub(CONTAINER_TRAILER_LEN);
        container.get(CONTAINER_HEADER_LEN..end).unwrap_or_default()
    })
}

/// The sign after the document in a container (ФПС): the first eight of the ten bytes at its end, open or encrypted.
/// Zeros for a container too short to have any.
pub(crate) fn message_sign(container: &[u8]) -> [u8; 8] {
    if container.len() < CONTAINER_HEADER_LEN.saturating_add(CONTAINER_TRAILER_LEN) {
        return [0; 8];
    }
    let trailer = container.last_chunk::<CONTAINER_TRAILER_LEN>();
    trailer.and_then(|trailer| trailer.first_chunk::<8>()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_document_lies() {
        let check = |container: usize, opened: Option<&[u8]>, expected: &[u8]| {
            let container: Vec<u8> = (0_u8..=255).cycle().take(container).collect();
            assert_eq!(opened_document(&container, opened), expected);
        };
        check(45, None, &[32, 33, 34]);
        check(45, Some(b"opened"), b"opened");
        check(42, None, b"");
        check(41, None, b"");
        check(0, None, b"");
        check(45, Some(b""), b"");
    }
}
