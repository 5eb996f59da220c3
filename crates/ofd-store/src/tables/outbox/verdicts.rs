//! What the service says about documents it has taken.

use std::collections::{HashMap, HashSet};

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::Value;

use super::{StateColumn, Tally, codes, codes_column, most, rows};
use crate::outbox::{
    AppliedVerdict, DocumentVerdict, FnsCode, OutboxState, RefreshRow, Verdict, VerdictReport,
};
use crate::sql::{self, Db, OptionalExtension as _, Row};
use crate::tables::columns::{FdColumn, FnColumn, Moment};
use crate::tables::writes::Writes;

/// Positions under (ФН, ФД), and their chains.
pub(super) const CANDIDATES: &str =
    "SELECT seq, chain FROM journal_index WHERE fn = ?1 AND fd = ?2 AND conflict_no = 0";
const CANDIDATE: &str = "SELECT seq, state, kind, ticket_id, fns_codes, fns_at FROM outbox WHERE seq = ?1";
/// Of a ФН that does not begin anew there is one.
const ONE_CANDIDATE: &str = "SELECT seq, state, kind, ticket_id, fns_codes, fns_at FROM outbox \
     WHERE seq = (SELECT seq FROM journal_index WHERE fn = ?1 AND fd = ?2 AND chain = 0 AND conflict_no = 0)";
/// Rows whose status is to be asked, the longest due first.
pub(super) const DUE: &str = "SELECT seq, fn, fd, ticket_id, state FROM outbox INDEXED BY outbox_refresh \
     WHERE state >= 2 AND next_at IS NOT NULL AND next_at <= ?1 ORDER BY next_at LIMIT ?2";
/// Soft rows of a ФН after a position.
pub(super) const SOFT_OF_FN: &str = "SELECT seq FROM outbox INDEXED BY outbox_troubled_fn \
     WHERE state >= 4 AND fn = ?1 AND state = 4 AND seq > ?2 ORDER BY seq LIMIT ?3";

#[derive(Debug, Clone)]
struct Candidate {
    seq: i64,
    state: OutboxState,
    kind: u16,
    ticket_id: Option<String>,
    codes: Vec<FnsCode>,
    at: Option<Timestamp>,
}

/// Writes verdicts, for a transaction that has other things to write too.
pub(crate) fn apply(db: Db<'_>, verdicts: &[DocumentVerdict]) -> sql::Result<VerdictReport> {
    let mut tally = Tally::default();
    let report = decide(db, verdicts, &mut tally)?;
    tally.write(db)?;
    Ok(report)
}

pub(super) fn decide(
    db: Db<'_>,
    verdicts: &[DocumentVerdict],
    tally: &mut Tally,
) -> sql::Result<VerdictReport> {
    let mut report = VerdictReport::default();
    if verdicts.is_empty() {
        return Ok(report);
    }
    let mut known = candidates(db, verdicts)?;
    let mut writes = Writes::new(db);
    for verdict in verdicts {
        let Some(row) = meant(&mut known, verdict) else {
            report.unknown = report.unknown.saturating_add(1);
            continue;
        };
        if !says_something(row, verdict) {
            report.ignored = report.ignored.saturating_add(1);
            continue;
        }
        let to = verdict.verdict.state();
        writes.push_about(
            row.seq,
            "UPDATE outbox SET state = ?2, fns_codes = ?3, fns_at = ?4, ticket_id = coalesce(?5, ticket_id), \
             next_at = NULL, last_error = NULL WHERE seq = ?1",
            params![
                row.seq,
                to.number(),
                codes_column(&verdict.codes),
                verdict.at.as_microsecond(),
                verdict.ticket_id,
            ],
        )?;
        tally.moved(row.state, to);
        report.applied.push(AppliedVerdict {
            seq: row.seq,
            fn_number: verdict.fn_number,
            fd_number: verdict.fd_number,
            kind: row.kind,
            from: row.state,
            to,
        });
        row.take(verdict);
    }
    writes.flush()?;
    Ok(report)
}

/// The rows of each (ФН, ФД), newest chain first.
type Candidates = HashMap<(FnNumber, FdNumber), Vec<Candidate>>;

fn candidates(db: Db<'_>, verdicts: &[DocumentVerdict]) -> sql::Result<Candidates> {
    let keys: HashSet<(FnNumber, FdNumber)> =
        verdicts.iter().map(|verdict| (verdict.fn_number, verdict.fd_number)).collect();
    let (debug, plain): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(fn_number, _)| fn_number.is_debug());
    let params = plain.iter().map(|(fn_number, fd_number)| {
        [Value::from(fn_number.as_str().to_owned()), Value::from(fd_number.get())]
    });
    let found = db.prepare(ONE_CANDIDATE)?.query_many(params, candidate)?;
    let mut known: Candidates =
        plain.into_iter().zip(found.into_iter().map(|row| row.into_iter().collect())).collect();
    for (fn_number, fd_number) in debug {
        let seqs = positions(db, &fn_number, fd_number)?;
        let found = db.prepare(CANDIDATE)?.query_many(seqs.into_iter().map(|seq| [seq]), candidate)?;
        known.insert((fn_number, fd_number), found.into_iter().flatten().collect());
    }
    Ok(known)
}

/// Positions under (ФН, ФД), newest chain first.
pub(super) fn positions(db: Db<'_>, fn_number: &FnNumber, fd_number: FdNumber) -> sql::Result<Vec<i64>> {
    let mut found = rows(db, CANDIDATES, params![fn_number.as_str(), fd_number.get()], |row| {
        Ok((row.get::<i64>(1)?, row.get::<i64>(0)?))
    })?;
    found.sort_unstable();
    Ok(found.into_iter().rev().map(|(_, seq)| seq).collect())
}

/// The document meant: that of the ticket, else one that has no ticket yet, else the newest.
fn meant<'k>(known: &'k mut Candidates, verdict: &DocumentVerdict) -> Option<&'k mut Candidate> {
    let found = known.get_mut(&(verdict.fn_number, verdict.fd_number))?;
    let of_ticket = |row: &Candidate| verdict.ticket_id.is_some() && row.ticket_id == verdict.ticket_id;
    let chosen = found
        .iter()
        .position(of_ticket)
        .or_else(|| found.iter().position(|row| row.ticket_id.is_none()))
        .unwrap_or(0);
    found.get_mut(chosen)
}

impl Candidate {
    /// Stands from now on as the verdict says.
    fn take(&mut self, verdict: &DocumentVerdict) {
        self.state = verdict.verdict.state();
        self.codes.clone_from(&verdict.codes);
        self.at = Some(verdict.at);
        if verdict.ticket_id.is_some() {
            self.ticket_id.clone_from(&verdict.ticket_id);
        }
    }
}

/// Accepted and refused are final. Events come repeatedly and a status may be older than an event: a soft verdict counts
/// only when it is no older than the one that is known.
fn says_something(row: &Candidate, verdict: &DocumentVerdict) -> bool {
    match row.state {
        OutboxState::New | OutboxState::InFlight | OutboxState::Delivered => true,
        OutboxState::Soft if verdict.verdict == Verdict::Soft => {
            let is_older = row.at.is_some_and(|known| verdict.at < known);
            !is_older && (row.codes != verdict.codes || row.at != Some(verdict.at))
        }
        OutboxState::Soft => true,
        OutboxState::Accepted | OutboxState::Hard | OutboxState::Dead | OutboxState::Superseded => false,
    }
}

fn candidate(row: &Row<'_>) -> sql::Result<Candidate> {
    Ok(Candidate {
        seq: row.get(0)?,
        state: row.get::<StateColumn>(1)?.0,
        kind: row.get(2)?,
        ticket_id: row.get(3)?,
        codes: codes(row, 4)?,
        at: row.get::<Option<Moment>>(5)?.map(|moment| moment.0),
    })
}

/// The softly quarantined documents of a ФН are to be asked about at a moment: [`refresh_some`] marks them. There may be
/// thousands of them, and the transaction that says so has other things to write.
pub(crate) fn refresh(db: Db<'_>, fn_number: &FnNumber, at: Timestamp) -> sql::Result<()> {
    db.execute(
        "INSERT INTO outbox_refresh_queue (fn, after_seq, at) VALUES (?1, 0, ?2) \
         ON CONFLICT (fn) DO UPDATE SET after_seq = 0, at = excluded.at",
        params![fn_number.as_str(), at.as_microsecond()],
    )?;
    Ok(())
}

/// Whether documents are still to be marked.
pub(crate) fn is_refresh_pending(db: Db<'_>) -> sql::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM outbox_refresh_queue)", [], |row| row.get(0))
}

/// Marks the next documents to be asked about. Looks at no more than `limit` of them and of ФН together; how much of that
/// is left.
pub(crate) fn refresh_some(db: Db<'_>, limit: usize) -> sql::Result<usize> {
    let mut room = limit;
    while room > 0 {
        let next: Option<(String, i64, i64)> = db
            .query_row("SELECT fn, after_seq, at FROM outbox_refresh_queue ORDER BY fn LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((fn_number, after, at)) = next else { break };
        let seqs: Vec<i64> = rows(db, SOFT_OF_FN, params![fn_number, after, most(room)], |row| row.get(0))?;
        // One that is asked about sooner stays as it is.
        db.prepare(
            "UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state = 4 AND (next_at IS NULL OR next_at > ?2)",
        )?
        .execute_many(seqs.iter().map(|seq| [*seq, at]))?;
        match seqs.last() {
            Some(last) if seqs.len() == room => {
                db.execute(
                    "UPDATE outbox_refresh_queue SET after_seq = ?2 WHERE fn = ?1",
                    params![fn_number, last],
                )?;
            }
            _ => {
                db.execute("DELETE FROM outbox_refresh_queue WHERE fn = ?1", [&fn_number])?;
            }
        }
        room = room.saturating_sub(seqs.len().max(1));
    }
    Ok(room)
}

/// When to ask for the status of documents next; one that has its verdict is left alone.
pub(super) fn refresh_later(db: Db<'_>, later: &[(i64, Option<Timestamp>)]) -> sql::Result<()> {
    if !later.is_empty() {
        let rows = later.iter().map(|(seq, at)| [Some(*seq), at.map(Timestamp::as_microsecond)]);
        db.prepare("UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state IN (2, 4)")?
            .execute_many(rows)?;
    }
    Ok(())
}

/// Documents whose status is to be asked by now.
pub(crate) fn due(db: Db<'_>, now: Timestamp, limit: usize) -> sql::Result<Vec<RefreshRow>> {
    rows(db, DUE, [now.as_microsecond(), most(limit)], |row| {
        Ok(RefreshRow {
            seq: row.get(0)?,
            fn_number: row.get::<FnColumn>(1)?.0,
            fd_number: row.get::<FdColumn>(2)?.0,
            ticket_id: row.get(3)?,
            state: row.get::<StateColumn>(4)?.0,
        })
    })
}

/// How positions stand: those that have rows here.
pub(super) fn states_of(db: Db<'_>, seqs: &[i64]) -> sql::Result<HashMap<i64, OutboxState>> {
    let found = db
        .prepare("SELECT seq, state FROM outbox WHERE seq = ?1")?
        .query_many(seqs.iter().map(|seq| [*seq]), |row| Ok((row.get(0)?, row.get::<StateColumn>(1)?.0)))?;
    Ok(found.into_iter().flatten().collect())
}
