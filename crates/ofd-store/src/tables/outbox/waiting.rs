//! Documents that are forwarded once their ФН is known.

use std::collections::HashMap;

use ffd::ids::FnNumber;
use rusqlite::params;

use super::derive::{Derivation, Document, document};
use super::{WAITING, counted, most, rows};
use crate::sql::{self, Db};

/// ФН looked at in one transaction.
const LOOKS: usize = if cfg!(test) { 2 } else { 1_000 };

/// The next ФН that have something waiting: one step of the index each, however much waits of one.
pub(super) const NEXT_FNS: &str = "WITH RECURSIVE fns (fn, n) AS (\
     SELECT min(fn), 1 FROM outbox_waiting INDEXED BY outbox_waiting_fn WHERE fn > ?1 UNION ALL \
     SELECT (SELECT min(w.fn) FROM outbox_waiting AS w INDEXED BY outbox_waiting_fn WHERE w.fn > fns.fn), n + 1 \
     FROM fns WHERE fns.fn IS NOT NULL AND n < ?2) SELECT fn FROM fns WHERE fn IS NOT NULL";
/// What waits of a ФН, in order of arrival.
pub(super) const OF_FN: &str = "SELECT j.seq, j.fn, j.fd, j.chain, j.conflict_no, j.form, j.received_at, j.forward \
     FROM outbox_waiting AS w INDEXED BY outbox_waiting_fn CROSS JOIN journal AS j ON j.seq = w.seq \
     WHERE w.fn = ?1 ORDER BY w.seq LIMIT ?2";

pub(super) const KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM registers WHERE fn = ?1) OR EXISTS (\
     SELECT 1 FROM contract_lines AS l INDEXED BY contract_lines_fn CROSS JOIN contracts AS c ON c.id = l.contract_id \
     WHERE l.fn = ?1 AND l.closed_at IS NULL AND c.state <> 'draft')";

/// Walks over all that waits whenever a fact about registers changed, a piece in each transaction.
#[derive(Debug, Default)]
pub(super) struct Release {
    /// The facts by which all was looked through.
    done: Option<i64>,
    walk: Option<Walk>,
}

#[derive(Debug)]
struct Walk {
    /// The facts when it began.
    version: i64,
    /// The last ФН that is done.
    after: String,
}

impl Release {
    pub(super) fn is_under_way(&self) -> bool {
        self.walk.is_some()
    }

    /// Whether a piece of a walk would do nothing.
    pub(super) fn is_done(&self, db: Db<'_>) -> sql::Result<bool> {
        Ok(counted(db, WAITING)? == 0 || (self.walk.is_none() && self.done == Some(facts_version(db)?)))
    }

    /// One piece of a walk.
    pub(super) fn run(&mut self, work: &mut Derivation<'_>) -> sql::Result<()> {
        if counted(work.db, WAITING)? == 0 {
            *self = Self::default();
            return Ok(());
        }
        let version = facts_version(work.db)?;
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None if self.done == Some(version) => return Ok(()),
            None => Walk { version, after: String::new() },
        };
        let fns = next_fns(work.db, &walk.after)?;
        let numbers: Vec<FnNumber> = fns.iter().filter_map(|fn_number| fn_number.parse().ok()).collect();
        let known = which_are_known(work.db, &numbers)?;
        let is_end = fns.len() < LOOKS;
        for next in fns {
            let is_known = next.parse().is_ok_and(|number| known.get(&number) == Some(&true));
            if is_known && !release(work, &next)? {
                self.walk = Some(walk);
                return Ok(());
            }
            walk.after = next;
        }
        if is_end {
            self.done = Some(walk.version);
            return Ok(());
        }
        self.walk = Some(walk);
        Ok(())
    }
}

/// Whether documents of a ФН may be forwarded: a register is known by it, or a contract that was ever in force names it
/// (what was acknowledged under a contract that is stopped by now is owed all the same).
pub(super) fn is_known(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<bool> {
    db.query_row(KNOWN, [fn_number.as_str()], |row| row.get(0))
}

/// The same of many.
pub(super) fn which_are_known(db: Db<'_>, fns: &[FnNumber]) -> sql::Result<HashMap<FnNumber, bool>> {
    let keys = fns.iter().map(|fn_number| [fn_number.as_str()]);
    let known = db.prepare(KNOWN)?.query_many(keys, |row| row.get::<bool>(0))?;
    Ok(fns.iter().copied().zip(known.into_iter().map(Option::unwrap_or_default)).collect())
}

fn facts_version(db: Db<'_>) -> sql::Result<i64> {
    db.query_row("SELECT version FROM facts_version WHERE id = 1", [], |row| row.get(0))
}

/// The next ФН after one.
fn next_fns(db: Db<'_>, after: &str) -> sql::Result<Vec<String>> {
    let mut fns: Vec<String> = rows(db, NEXT_FNS, params![after, most(LOOKS)], |row| row.get(0))?;
    fns.sort_unstable();
    Ok(fns)
}

/// Lets the documents of a ФН go as far as there is room. True when none waits any more.
fn release(work: &mut Derivation<'_>, fn_number: &str) -> sql::Result<bool> {
    let room = work.room;
    let key = params![fn_number, most(room.saturating_add(1))];
    let documents: Vec<Document> = rows(work.db, OF_FN, key, document)?;
    let is_all = documents.len() <= room;
    work.look_up_rows(documents.iter().map(|document| document.seq))?;
    work.look_up_counts(documents.iter().map(|document| document.fn_number))?;
    for document in documents.iter().take(room) {
        if work.admit(document)? {
            work.report.released = work.report.released.saturating_add(1);
        }
        work.writes.push("DELETE FROM outbox_waiting WHERE seq = ?1", params![document.seq])?;
        work.tally.add(WAITING, -1);
    }
    Ok(is_all)
}
