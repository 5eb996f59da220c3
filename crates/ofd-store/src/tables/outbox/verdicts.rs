//! What the service says about documents it has taken.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StateColumn, Tally, codes, codes_column, most};
use crate::outbox::{
    AppliedVerdict, DocumentVerdict, FnsCode, OutboxState, RefreshRow, Verdict, VerdictReport,
};
use crate::tables::columns::{FdColumn, FnColumn, Moment};

/// The rows of (ФН, ФД), newest chain first.
pub(super) const CANDIDATES: &str = "SELECT o.seq, o.state, o.kind, o.ticket_id, o.fns_codes, o.fns_at \
     FROM journal AS j INDEXED BY journal_identity CROSS JOIN outbox AS o ON o.seq = j.seq \
     WHERE j.fn = ?1 AND j.fd = ?2 AND j.conflict_no = 0 ORDER BY j.chain DESC";
/// Rows whose status is to be asked, the longest due first.
pub(super) const DUE: &str = "SELECT seq, fn, fd, ticket_id, state FROM outbox INDEXED BY outbox_refresh \
     WHERE state >= 2 AND next_at IS NOT NULL AND next_at <= ?1 ORDER BY next_at LIMIT ?2";
/// Soft rows of a ФН after a position.
pub(super) const SOFT_OF_FN: &str = "SELECT seq FROM outbox INDEXED BY outbox_troubled_fn \
     WHERE state >= 4 AND fn = ?1 AND state = 4 AND seq > ?2 ORDER BY seq LIMIT ?3";

struct Candidate {
    seq: i64,
    state: OutboxState,
    kind: u16,
    ticket_id: Option<String>,
    codes: Vec<FnsCode>,
    at: Option<Timestamp>,
}

/// Writes verdicts, for a transaction that has other things to write too.
pub(crate) fn apply(
    connection: &Connection,
    verdicts: &[DocumentVerdict],
) -> rusqlite::Result<VerdictReport> {
    let mut tally = Tally::default();
    let report = decide(connection, verdicts, &mut tally)?;
    tally.write(connection)?;
    Ok(report)
}

pub(super) fn decide(
    connection: &Connection,
    verdicts: &[DocumentVerdict],
    tally: &mut Tally,
) -> rusqlite::Result<VerdictReport> {
    let mut report = VerdictReport::default();
    for verdict in verdicts {
        let Some(row) = meant(connection, verdict)? else {
            report.unknown = report.unknown.saturating_add(1);
            continue;
        };
        if !says_something(&row, verdict) {
            report.ignored = report.ignored.saturating_add(1);
            continue;
        }
        let to = verdict.verdict.state();
        connection
            .prepare_cached(
                "UPDATE outbox SET state = ?2, fns_codes = ?3, fns_at = ?4, ticket_id = coalesce(?5, ticket_id), \
                 next_at = NULL, last_error = NULL WHERE seq = ?1",
            )?
            .execute(params![
                row.seq,
                to.number(),
                codes_column(&verdict.codes),
                verdict.at.as_microsecond(),
                verdict.ticket_id,
            ])?;
        tally.moved(row.state, to);
        report.applied.push(AppliedVerdict {
            seq: row.seq,
            fn_number: verdict.fn_number,
            fd_number: verdict.fd_number,
            kind: row.kind,
            from: row.state,
            to,
        });
    }
    Ok(report)
}

/// The document meant: that of the ticket, else one that has no ticket yet, else the newest.
fn meant(connection: &Connection, verdict: &DocumentVerdict) -> rusqlite::Result<Option<Candidate>> {
    let mut found: Vec<Candidate> = connection
        .prepare_cached(CANDIDATES)?
        .query_map(params![verdict.fn_number.as_str(), verdict.fd_number.get()], candidate)?
        .collect::<rusqlite::Result<_>>()?;
    let of_ticket = |row: &Candidate| verdict.ticket_id.is_some() && row.ticket_id == verdict.ticket_id;
    let chosen = found
        .iter()
        .position(of_ticket)
        .or_else(|| found.iter().position(|row| row.ticket_id.is_none()))
        .unwrap_or(0);
    Ok((chosen < found.len()).then(|| found.swap_remove(chosen)))
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

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        seq: row.get(0)?,
        state: row.get::<_, StateColumn>(1)?.0,
        kind: row.get(2)?,
        ticket_id: row.get(3)?,
        codes: codes(row, 4)?,
        at: row.get::<_, Option<Moment>>(5)?.map(|moment| moment.0),
    })
}

/// The softly quarantined documents of a ФН are to be asked about at a moment: [`refresh_some`] marks them. There may be
/// thousands of them, and the transaction that says so has other things to write.
pub(crate) fn refresh(
    connection: &Connection,
    fn_number: &ffd::ids::FnNumber,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO outbox_refresh_queue (fn, after_seq, at) VALUES (?1, 0, ?2)")?
        .execute(params![fn_number.as_str(), at.as_microsecond()])?;
    Ok(())
}

/// Whether documents are still to be marked.
pub(crate) fn is_refresh_pending(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox_refresh_queue)")?
        .query_row([], |row| row.get(0))
}

/// Marks the next documents to be asked about. Looks at no more than `limit` of them and of ФН together; how much of that
/// is left.
pub(crate) fn refresh_some(connection: &Connection, limit: usize) -> rusqlite::Result<usize> {
    let mut room = limit;
    while room > 0 {
        let next: Option<(String, i64, i64)> = connection
            .prepare_cached("SELECT fn, after_seq, at FROM outbox_refresh_queue ORDER BY fn LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((fn_number, after, at)) = next else { break };
        let seqs: Vec<i64> = connection
            .prepare_cached(SOFT_OF_FN)?
            .query_map(params![fn_number, after, most(room)], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for seq in &seqs {
            // One that is asked about sooner stays as it is.
            connection
                .prepare_cached(
                    "UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state = 4 \
                     AND (next_at IS NULL OR next_at > ?2)",
                )?
                .execute([*seq, at])?;
        }
        match seqs.last() {
            Some(last) if seqs.len() == room => {
                connection
                    .prepare_cached("UPDATE outbox_refresh_queue SET after_seq = ?2 WHERE fn = ?1")?
                    .execute(params![fn_number, last])?;
            }
            _ => {
                connection
                    .prepare_cached("DELETE FROM outbox_refresh_queue WHERE fn = ?1")?
                    .execute([&fn_number])?;
            }
        }
        room = room.saturating_sub(seqs.len().max(1));
    }
    Ok(room)
}

/// When to ask for the status of a document next; one that has its verdict is left alone.
pub(super) fn refresh_later(
    connection: &Connection,
    seq: i64,
    at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state IN (2, 4)")?
        .execute(params![seq, at.map(Timestamp::as_microsecond)])?;
    Ok(())
}

/// Documents whose status is to be asked by now.
pub(crate) fn due(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<RefreshRow>> {
    connection
        .prepare_cached(DUE)?
        .query_map(params![now.as_microsecond(), most(limit)], |row| {
            Ok(RefreshRow {
                seq: row.get(0)?,
                fn_number: row.get::<_, FnColumn>(1)?.0,
                fd_number: row.get::<_, FdColumn>(2)?.0,
                ticket_id: row.get(3)?,
                state: row.get::<_, StateColumn>(4)?.0,
            })
        })?
        .collect()
}

/// Whether a position has a row here: how a report of registration stands.
pub(crate) fn state_of(connection: &Connection, seq: i64) -> rusqlite::Result<Option<OutboxState>> {
    connection
        .prepare_cached("SELECT state FROM outbox WHERE seq = ?1")?
        .query_row([seq], |row| Ok(row.get::<_, StateColumn>(0)?.0))
        .optional()
}
