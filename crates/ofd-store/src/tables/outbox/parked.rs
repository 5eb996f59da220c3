//! One ФН must not fill the window: a register whose documents the service does not take for the moment would stop the
//! sending of all others.
//!
//! Of a ФН that has enough documents open the next ones are put aside, in the transaction that moves the cursor past them,
//! and come to be sent in the order of their positions when fewer of it are open. As long as any is put aside all that
//! follow it of the same ФН are, so the order of a lane holds.

use std::collections::{HashMap, HashSet};

use ffd::ids::FnNumber;
use rusqlite::params;
use rusqlite::types::Value;

use super::derive::{Derivation, Document, document};
use super::{PARKED, counted, most, reading, rows};
use crate::outbox::Slot;
use crate::sql::{self, Db};
use crate::tables::writes::Writes;

/// Open documents of one ФН past which the next ones are put aside. Some batches of one lane: more of it would only wait.
pub(super) const LANE_CAP: usize = if cfg!(test) { 20 } else { 500 };
/// ФН whose counts are remembered; past it all are forgotten and counted anew.
const MAX_COUNTS: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// The ФН of which something is put aside: one step of the index each, however much it is.
pub(super) const FNS: &str = "WITH RECURSIVE fns (fn) AS (\
     SELECT min(fn) FROM outbox_parked INDEXED BY outbox_parked_fn UNION ALL \
     SELECT (SELECT min(p.fn) FROM outbox_parked AS p INDEXED BY outbox_parked_fn WHERE p.fn > fns.fn) \
     FROM fns WHERE fns.fn IS NOT NULL) SELECT fn FROM fns WHERE fn IS NOT NULL";
/// What is put aside of a ФН, in order of arrival.
pub(super) const OF_FN: &str = "SELECT j.seq, j.fn, j.fd, j.chain, j.conflict_no, j.form, j.received_at, j.forward \
     FROM outbox_parked AS p INDEXED BY outbox_parked_fn CROSS JOIN journal AS j ON j.seq = p.seq \
     WHERE p.fn = ?1 ORDER BY p.seq LIMIT ?2";
const INSERT: &str = "INSERT INTO outbox_parked (seq, fn) VALUES (?1, ?2) ON CONFLICT (seq) DO NOTHING";
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
    fn is_full(&mut self, writes: &mut Writes<'_>, fn_number: &FnNumber) -> sql::Result<bool> {
        if let Some(count) = self.0.get(fn_number)
            && *count < LANE_CAP
        {
            return Ok(false);
        }
        // What was written counts.
        writes.flush()?;
        let count = self.count(writes.db(), &[*fn_number])?;
        Ok(count >= LANE_CAP)
    }

    /// Counts those that are not remembered.
    pub(super) fn look_up(&mut self, db: Db<'_>, fns: impl Iterator<Item = FnNumber>) -> sql::Result<()> {
        let fns: HashSet<FnNumber> = fns.filter(|fn_number| !self.0.contains_key(fn_number)).collect();
        self.count(db, &fns.into_iter().collect::<Vec<_>>()).map(|_| ())
    }

    /// Counts some; the last count.
    fn count(&mut self, db: Db<'_>, fns: &[FnNumber]) -> sql::Result<usize> {
        if self.0.len().saturating_add(fns.len()) > MAX_COUNTS {
            self.0.clear();
        }
        let counts = open_of(db, fns)?;
        let last = counts.last().copied().unwrap_or(0);
        self.0.extend(fns.iter().copied().zip(counts));
        Ok(last)
    }

    pub(super) fn added(&mut self, fn_number: &FnNumber) {
        if let Some(count) = self.0.get_mut(fn_number) {
            *count = count.saturating_add(1);
        }
    }
}

/// All ФН of which something is put aside: at most as many as lanes fill a window.
pub(super) fn all(db: Db<'_>) -> sql::Result<Parked> {
    if counted(db, PARKED)? == 0 {
        return Ok(Parked::new());
    }
    let fns = rows(db, FNS, [], |row| row.get::<String>(0))?;
    Ok(fns.into_iter().filter_map(|fn_number| fn_number.parse().ok()).collect())
}

/// Whether nothing is put aside.
pub(super) fn is_none(db: Db<'_>) -> sql::Result<bool> {
    Ok(counted(db, PARKED)? == 0)
}

/// Puts a document aside when enough of its ФН is open. False when it is to be sent.
pub(super) fn put_aside(work: &mut Derivation<'_>, document: &Document) -> sql::Result<bool> {
    let fn_number = document.fn_number;
    if !work.parked.contains(&fn_number) && !work.counts.is_full(&mut work.writes, &fn_number)? {
        return Ok(false);
    }
    // A report that was derived ahead is on its way already.
    if work.is_there(document.seq) {
        return Ok(true);
    }
    work.writes.push(INSERT, params![document.seq, fn_number.as_str()])?;
    work.tally.add(PARKED, 1);
    work.report.parked = work.report.parked.saturating_add(1);
    work.parked.insert(fn_number);
    Ok(true)
}

/// Lets go of what was put aside, of every ФН that has become half empty, as far as there is room.
pub(super) fn resume(work: &mut Derivation<'_>) -> sql::Result<()> {
    let mut fns: Vec<FnNumber> = work.parked.iter().copied().collect();
    fns.sort_unstable();
    let open = open_of(work.db, &fns)?;
    for (fn_number, open) in fns.into_iter().zip(open) {
        let room = LANE_CAP.saturating_sub(open).min(work.room);
        if open >= LANE_CAP.div_ceil(2) || room == 0 {
            continue;
        }
        let key = params![fn_number.as_str(), most(room.saturating_add(1))];
        let documents: Vec<Document> = rows(work.db, OF_FN, key, document)?;
        work.look_up_rows(documents.iter().map(|document| document.seq))?;
        for document in documents.iter().take(room) {
            work.enqueue(document)?;
            work.writes.push("DELETE FROM outbox_parked WHERE seq = ?1", params![document.seq])?;
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

/// How many documents of each of these ФН are open.
fn open_of(db: Db<'_>, fns: &[FnNumber]) -> sql::Result<Vec<usize>> {
    let keys = fns.iter().map(|fn_number| {
        [Value::from(fn_number.as_str().to_owned()), Value::from(Slot::of_fn(fn_number).get())]
    });
    let counts = db.prepare(reading::OPEN_OF_FN)?.query_many(keys, |row| row.get::<i64>(0))?;
    Ok(counts.into_iter().map(|count| usize::try_from(count.unwrap_or(0)).unwrap_or(0)).collect())
}
