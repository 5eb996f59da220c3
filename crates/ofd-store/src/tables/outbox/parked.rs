//! One ФН must not fill the window: a register whose documents the service does not take for the moment would stop the
//! sending of all others.
//!
//! Of a ФН that has enough documents open the next ones are put aside, in the transaction that moves the cursor past them,
//! and come to be sent in the order of their positions when fewer of it are open. As long as any is put aside all that
//! follow it of the same ФН are, so the order of a lane holds.

use std::collections::{HashMap, HashSet};

use ffd::ids::FnNumber;
use rusqlite::{Connection, OptionalExtension, params};

use super::derive::{Derivation, Document, document};
use super::{PARKED, counted, most, reading};
use crate::outbox::Slot;

/// Open documents of one ФН past which the next ones are put aside. Some batches of one lane: more of it would only wait.
pub(super) const LANE_CAP: usize = if cfg!(test) { 20 } else { 500 };
/// ФН whose counts are remembered; past it all are forgotten and counted anew.
const MAX_COUNTS: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// The next ФН of which something is put aside.
pub(super) const NEXT_FN: &str =
    "SELECT fn FROM outbox_parked INDEXED BY outbox_parked_fn WHERE fn > ?1 ORDER BY fn LIMIT 1";
/// What is put aside of a ФН, in order of arrival.
pub(super) const OF_FN: &str = "SELECT j.seq, j.fn, j.fd, j.chain, j.conflict_no, j.form, j.received_at, j.forward \
     FROM outbox_parked AS p INDEXED BY outbox_parked_fn CROSS JOIN journal AS j ON j.seq = p.seq \
     WHERE p.fn = ?1 ORDER BY p.seq LIMIT ?2";
pub(super) const COUNT_OF_FN: &str =
    "SELECT count(*) FROM outbox_parked INDEXED BY outbox_parked_fn WHERE fn = ?1";

/// At most how many documents of a ФН are open: counted at some time, and those that came to be sent since. Only what this
/// connection derives is added; others may make it a little more.
#[derive(Debug, Default)]
pub(super) struct Counts(HashMap<FnNumber, usize>);

/// ФН of which something is put aside, within one transaction.
pub(super) type Parked = HashSet<FnNumber>;

impl Counts {
    /// Whether a ФН has enough documents open.
    fn is_full(&mut self, connection: &Connection, fn_number: &FnNumber) -> rusqlite::Result<bool> {
        if let Some(count) = self.0.get(fn_number)
            && *count < LANE_CAP
        {
            return Ok(false);
        }
        if self.0.len() >= MAX_COUNTS {
            self.0.clear();
        }
        let count = open_of(connection, fn_number)?;
        self.0.insert(*fn_number, count);
        Ok(count >= LANE_CAP)
    }

    pub(super) fn added(&mut self, fn_number: &FnNumber) {
        if let Some(count) = self.0.get_mut(fn_number) {
            *count = count.saturating_add(1);
        }
    }
}

/// All ФН of which something is put aside: at most as many as lanes fill a window.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Parked> {
    let mut parked = Parked::new();
    if counted(connection, PARKED)? == 0 {
        return Ok(parked);
    }
    let mut after = String::new();
    while let Some(next) = next_fn(connection, &after)? {
        parked.extend(next.parse::<FnNumber>());
        after = next;
    }
    Ok(parked)
}

/// Whether nothing is put aside.
pub(super) fn is_none(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(counted(connection, PARKED)? == 0)
}

/// Puts a document aside when enough of its ФН is open. False when it is to be sent.
pub(super) fn put_aside(work: &mut Derivation<'_>, document: &Document) -> rusqlite::Result<bool> {
    let fn_number = document.fn_number;
    if !work.parked.contains(&fn_number) && !work.counts.is_full(work.connection, &fn_number)? {
        return Ok(false);
    }
    // A report that was derived ahead is on its way already.
    if super::verdicts::state_of(work.connection, document.seq)?.is_some() {
        return Ok(true);
    }
    let added = work
        .connection
        .prepare_cached("INSERT INTO outbox_parked (seq, fn) VALUES (?1, ?2) ON CONFLICT (seq) DO NOTHING")?
        .execute(params![document.seq, fn_number.as_str()])?;
    if added > 0 {
        work.tally.add(PARKED, 1);
        work.report.parked = work.report.parked.saturating_add(1);
        work.parked.insert(fn_number);
    }
    Ok(true)
}

/// Lets go of what was put aside, of every ФН that has become half empty, as far as there is room.
pub(super) fn resume(work: &mut Derivation<'_>) -> rusqlite::Result<()> {
    let mut fns: Vec<FnNumber> = work.parked.iter().copied().collect();
    fns.sort_unstable();
    for fn_number in fns {
        let open = open_of(work.connection, &fn_number)?;
        let room = LANE_CAP.saturating_sub(open).min(work.room);
        if open >= LANE_CAP.div_ceil(2) || room == 0 {
            continue;
        }
        let documents: Vec<Document> = work
            .connection
            .prepare_cached(OF_FN)?
            .query_map(params![fn_number.as_str(), most(room.saturating_add(1))], document)?
            .collect::<rusqlite::Result<_>>()?;
        for document in documents.iter().take(room) {
            work.enqueue(document)?;
            work.connection
                .prepare_cached("DELETE FROM outbox_parked WHERE seq = ?1")?
                .execute([document.seq])?;
            work.tally.add(PARKED, -1);
        }
        if documents.len() <= room {
            work.parked.remove(&fn_number);
        }
    }
    Ok(())
}

/// Position and moment of the oldest document put aside.
pub(super) const OLDEST: &str = "SELECT j.received_at FROM journal AS j \
     WHERE j.seq = (SELECT min(seq) FROM outbox_parked)";

fn open_of(connection: &Connection, fn_number: &FnNumber) -> rusqlite::Result<usize> {
    let count: i64 = connection
        .prepare_cached(reading::OPEN_OF_FN)?
        .query_row(params![fn_number.as_str(), Slot::of_fn(fn_number).get()], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn next_fn(connection: &Connection, after: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached(NEXT_FN)?.query_row([after], |row| row.get(0)).optional()
}
