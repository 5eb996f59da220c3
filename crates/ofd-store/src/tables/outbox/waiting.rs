//! Documents that are forwarded once their ФН is known.

use ffd::ids::FnNumber;
use rusqlite::{Connection, OptionalExtension, params};

use super::derive::{Derivation, Document, document};
use super::{WAITING, counted, most};

/// ФН looked at in one transaction.
const LOOKS: usize = if cfg!(test) { 2 } else { 1_000 };

/// The next ФН that has something waiting.
pub(super) const NEXT_FN: &str =
    "SELECT fn FROM outbox_waiting INDEXED BY outbox_waiting_fn WHERE fn > ?1 ORDER BY fn LIMIT 1";
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
    pub(super) fn is_done(&self, connection: &Connection) -> rusqlite::Result<bool> {
        Ok(counted(connection, WAITING)? == 0
            || (self.walk.is_none() && self.done == Some(facts_version(connection)?)))
    }

    /// One piece of a walk.
    pub(super) fn run(&mut self, work: &mut Derivation<'_>) -> rusqlite::Result<()> {
        if counted(work.connection, WAITING)? == 0 {
            *self = Self::default();
            return Ok(());
        }
        let version = facts_version(work.connection)?;
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None if self.done == Some(version) => return Ok(()),
            None => Walk { version, after: String::new() },
        };
        for _ in 0..LOOKS {
            let Some(next) = next_fn(work.connection, &walk.after)? else {
                self.done = Some(walk.version);
                return Ok(());
            };
            if let Ok(number) = next.parse()
                && is_known(work.connection, &number)?
                && !release(work, &next)?
            {
                break;
            }
            walk.after = next;
        }
        self.walk = Some(walk);
        Ok(())
    }
}

/// Whether documents of a ФН may be forwarded: a register is known by it, or a contract that was ever in force names it
/// (what was acknowledged under a contract that is stopped by now is owed all the same).
pub(super) fn is_known(connection: &Connection, fn_number: &FnNumber) -> rusqlite::Result<bool> {
    connection.prepare_cached(KNOWN)?.query_row([fn_number.as_str()], |row| row.get(0))
}

fn facts_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT version FROM facts_version WHERE id = 1")?
        .query_row([], |row| row.get(0))
}

fn next_fn(connection: &Connection, after: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached(NEXT_FN)?.query_row([after], |row| row.get(0)).optional()
}

/// Lets the documents of a ФН go as far as there is room. True when none waits any more.
fn release(work: &mut Derivation<'_>, fn_number: &str) -> rusqlite::Result<bool> {
    let room = work.room;
    let documents: Vec<Document> = work
        .connection
        .prepare_cached(OF_FN)?
        .query_map(params![fn_number, most(room.saturating_add(1))], document)?
        .collect::<rusqlite::Result<_>>()?;
    let is_all = documents.len() <= room;
    for document in documents.iter().take(room) {
        if work.admit(document)? {
            work.report.released = work.report.released.saturating_add(1);
        }
        work.connection
            .prepare_cached("DELETE FROM outbox_waiting WHERE seq = ?1")?
            .execute([document.seq])?;
        work.tally.add(WAITING, -1);
    }
    Ok(is_all)
}
