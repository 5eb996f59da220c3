//! Reports of registration ahead of the cursor, so that a register does not wait for its card behind a backlog of
//! others.
//!
//! A report goes ahead when no document of its lane before it is still to be derived: what was derived before it and is
//! still open is its sender's business, who keeps the order of the lane. One that may not go ahead comes in its turn.

use rusqlite::params;

use super::derive::{Derivation, Document, document};
use super::waiting::is_known;
use crate::records::Forward;

/// Open documents past the window that reports may make.
pub(super) const ROOM: usize = 1_000;

/// Reports looked at in one transaction.
const LOOKS: u32 = if cfg!(test) { 4 } else { 256 };
/// Documents of the same ФН looked at, downwards from the report. Registers send in order: what lies so far below and
/// came after the cursor all the same is a straggler, and those are sent when they come.
const LANE_LOOKS: u32 = 5_000;

/// Reports (and closings, which the index has too) after a position, in order of arrival.
pub(super) const REPORTS: &str = "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward \
     FROM journal INDEXED BY journal_reports_in_order \
     WHERE (form = 1 OR form = 6 OR form = 11) AND conflict_no = 0 AND seq > ?1 ORDER BY seq LIMIT ?2";
/// Positions of a ФН downwards from a number. The index has all of it.
pub(super) const BELOW: &str = "SELECT seq, chain, conflict_no FROM journal INDEXED BY journal_identity \
     WHERE fn = ?1 AND fd <= ?2 ORDER BY fd DESC LIMIT ?3";

pub(super) fn run(work: &mut Derivation<'_>) -> rusqlite::Result<()> {
    let from = work.cursors.reports.max(work.cursors.derived);
    let reports: Vec<Document> = work
        .connection
        .prepare_cached(REPORTS)?
        .query_map(params![from, LOOKS], document)?
        .collect::<rusqlite::Result<_>>()?;
    for report in reports {
        if work.room == 0 {
            return Ok(());
        }
        if matches!(report.form, 1 | 11) && may_go_ahead(work, &report)? && work.enqueue(&report)? {
            work.report.early = work.report.early.saturating_add(1);
        }
        work.cursors.reports = report.seq;
    }
    Ok(())
}

fn may_go_ahead(work: &Derivation<'_>, report: &Document) -> rusqlite::Result<bool> {
    let is_owed = match report.forward {
        Forward::No => false,
        Forward::Yes => true,
        Forward::WhenKnown => is_known(work.connection, &report.fn_number)?,
    };
    // What is put aside of its ФН lies behind the cursor and is still to be derived.
    Ok(is_owed && !work.parked.contains(&report.fn_number) && is_next_of_lane(work, report)?)
}

/// Whether nothing before it in its lane is still to be derived.
fn is_next_of_lane(work: &Derivation<'_>, report: &Document) -> rusqlite::Result<bool> {
    let (fd, chain) = (report.fd_number.get(), report.chain);
    // A ФН that begins anew goes on below its own numbers: all of the earlier chains come before.
    let highest = if chain > 0 { i64::from(u32::MAX) } else { i64::from(fd) };
    let mut statement = work.connection.prepare_cached(BELOW)?;
    let mut rows = statement.query(params![report.fn_number.as_str(), highest, LANE_LOOKS])?;
    while let Some(row) = rows.next()? {
        let (seq, other_chain, conflict_no): (i64, u32, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let is_later = seq == report.seq || other_chain > chain;
        if is_later || conflict_no > 0 || seq <= work.cursors.derived {
            continue;
        }
        if is_to_be_derived(work, seq, report)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of a position after the cursor, of the same ФН.
fn is_to_be_derived(work: &Derivation<'_>, seq: i64, report: &Document) -> rusqlite::Result<bool> {
    let other = work
        .connection
        .prepare_cached(
            "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward FROM journal WHERE seq = ?1",
        )?
        .query_row([seq], document)?;
    let is_before = (other.chain, other.fd_number) < (report.chain, report.fd_number);
    let is_there = super::verdicts::state_of(work.connection, seq)?.is_some();
    Ok(is_before && other.is_forwarded() && !is_there)
}
