//! Reports of registration ahead of the cursor, so that a register does not wait for its card behind a backlog of
//! others.
//!
//! A report goes ahead when no document of its lane before it is still to be derived: what was derived before it and is
//! still open is its sender's business, who keeps the order of the lane. One that may not go ahead comes in its turn.

use rusqlite::params;

use super::derive::{Derivation, Document, document};
use super::rows;
use crate::records::Forward;
use crate::sql;

/// Open documents past the window that reports may make.
pub(super) const ROOM: usize = 1_000;

/// Reports looked at in one transaction.
const LOOKS: u32 = if cfg!(test) { 4 } else { 64 };
/// Documents of the same ФН looked at, downwards from the report. Registers send in order: what lies so far below and
/// came after the cursor all the same is a straggler, and those are sent when they come.
const LANE_LOOKS: u32 = 5_000;
/// Of those, read at a time.
const LOOKS_AT_ONCE: usize = 16;

/// Reports (and closings, which the index has too) after a position, in order of arrival.
pub(super) const REPORTS: &str = "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward \
     FROM journal INDEXED BY journal_reports_in_order \
     WHERE (form = 1 OR form = 6 OR form = 11) AND conflict_no = 0 AND seq > ?1 \
     AND seq <= ?3 ORDER BY seq LIMIT ?2";
/// Positions of a ФН downwards from a number. The index has all of it.
pub(super) const BELOW: &str = "SELECT seq, chain, conflict_no, fd FROM journal_index \
     WHERE fn = ?1 AND fd <= ?2 ORDER BY fd DESC LIMIT ?3";

/// A document by its position.
const AT: &str =
    "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward FROM journal WHERE seq = ?1";

pub(super) fn run(work: &mut Derivation<'_>) -> sql::Result<()> {
    let from = work.cursors.reports.max(work.cursors.derived);
    let reports: Vec<Document> = rows(work.db, REPORTS, params![from, LOOKS, work.horizon], document)?;
    work.look_up_rows(reports.iter().map(|report| report.seq))?;
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

fn may_go_ahead(work: &mut Derivation<'_>, report: &Document) -> sql::Result<bool> {
    let is_owed = match report.forward {
        Forward::No => false,
        Forward::Yes => true,
        Forward::WhenKnown => work.is_known(&report.fn_number)?,
    };
    // What is put aside of its ФН lies behind the cursor and is still to be derived.
    Ok(is_owed && !work.parked.contains(&report.fn_number) && is_next_of_lane(work, report)?)
}

/// Whether nothing before it in its lane is still to be derived.
fn is_next_of_lane(work: &mut Derivation<'_>, report: &Document) -> sql::Result<bool> {
    let (fd, chain) = (report.fd_number.get(), report.chain);
    // A ФН that begins anew goes on below its own numbers: all of the earlier chains come before.
    let highest = if chain > 0 { i64::from(u32::MAX) } else { i64::from(fd) };
    let derived = work.cursors.derived;
    let below = rows(work.db, BELOW, params![report.fn_number.as_str(), highest, LANE_LOOKS], |row| {
        Ok((row.get::<i64>(0)?, row.get::<u32>(1)?, row.get::<u32>(2)?))
    })?;
    let seqs: Vec<i64> = below
        .into_iter()
        .filter(|(seq, other_chain, conflict_no)| {
            let is_later = *seq == report.seq || *other_chain > chain;
            !is_later && *conflict_no == 0 && *seq > derived
        })
        .map(|(seq, ..)| seq)
        .collect();
    // The nearest ones tell most often.
    for some in seqs.chunks(LOOKS_AT_ONCE) {
        work.look_up_rows(some.iter().copied())?;
        let others = work.db.prepare(AT)?.query_many(some.iter().map(|seq| [*seq]), document)?;
        let is_held = others.iter().flatten().any(|other| {
            let is_before = (other.chain, other.fd_number) < (report.chain, report.fd_number);
            is_before && other.is_forwarded() && !work.is_there(other.seq)
        });
        if is_held {
            return Ok(false);
        }
    }
    Ok(true)
}
