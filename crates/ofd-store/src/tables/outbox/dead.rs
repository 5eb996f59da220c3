//! Documents that the service does not take, or has lost: the evidence, what an operator decides, sending again.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Tally, brief, next_serial};
use crate::outbox::{DeadLetter, OutboxDecision, OutboxState};
use crate::tables::columns::Moment;

/// What is said of a document that is sent again because the service has lost it.
const UNKNOWN_THERE: &str = "the service took it and does not know it any more";
/// Most letters read of one document: it may be requeued and refused again without end.
const MAX_LETTERS: u32 = 100;

/// Keeps what was sent and what came back.
pub(super) fn keep(
    connection: &Connection,
    seq: i64,
    at: Timestamp,
    code: &str,
    request: &[u8],
    answer: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO dead_letters (seq, died_at, code, request, answer) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![seq, at.as_microsecond(), code, request, answer])?;
    Ok(())
}

/// The letters of a document, newest first.
pub(crate) fn letters(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<DeadLetter>> {
    connection
        .prepare_cached(
            "SELECT seq, died_at, settled_at, code, request, answer FROM dead_letters INDEXED BY dead_letters_seq \
             WHERE seq = ?1 ORDER BY id DESC LIMIT ?2",
        )?
        .query_map(params![seq, MAX_LETTERS], |row| {
            Ok(DeadLetter {
                seq: row.get(0)?,
                died_at: row.get::<_, Moment>(1)?.0,
                settled_at: row.get::<_, Option<Moment>>(2)?.map(|moment| moment.0),
                code: row.get(3)?,
                request: row.get(4)?,
                answer: row.get(5)?,
            })
        })?
        .collect()
}

/// Puts a document back into the queue, with no attempts behind it: one that is dead or given up, and one that the
/// service took without a final verdict. What has one, or is on its way, is left alone.
pub(crate) fn requeue(connection: &Connection, seq: i64, now: Timestamp) -> rusqlite::Result<OutboxDecision> {
    let state = match brief(connection, seq)?.map(|row| row.state) {
        Some(
            state
            @ (OutboxState::Dead | OutboxState::Superseded | OutboxState::Delivered | OutboxState::Soft),
        ) => state,
        other => return Ok(not_dead(other)),
    };
    let serial = next_serial(connection)?;
    connection
        .prepare_cached(
            "UPDATE outbox SET state = 0, attempts = 0, next_at = NULL, serial = ?2 WHERE seq = ?1",
        )?
        .execute([seq, serial])?;
    decided(connection, seq, state, OutboxState::New, now)
}

/// Sends a document again that the service has lost; one that has its final verdict, or is on its way, is left alone.
pub(super) fn resend(connection: &Connection, seq: i64, tally: &mut Tally) -> rusqlite::Result<()> {
    let Some(row) = brief(connection, seq)? else { return Ok(()) };
    if !matches!(row.state, OutboxState::Delivered | OutboxState::Soft) {
        return Ok(());
    }
    let serial = next_serial(connection)?;
    // Its ticket is as lost as itself.
    connection
        .prepare_cached(
            "UPDATE outbox SET state = 0, next_at = NULL, serial = ?2, ticket_id = NULL, last_error = ?3 \
             WHERE seq = ?1",
        )?
        .execute(params![seq, serial, UNKNOWN_THERE])?;
    tally.moved(row.state, OutboxState::New);
    Ok(())
}

/// Gives a dead document up.
pub(crate) fn supersede(
    connection: &Connection,
    seq: i64,
    now: Timestamp,
) -> rusqlite::Result<OutboxDecision> {
    let state = match brief(connection, seq)?.map(|row| row.state) {
        Some(state @ OutboxState::Dead) => state,
        other => return Ok(not_dead(other)),
    };
    connection.prepare_cached("UPDATE outbox SET state = 7 WHERE seq = ?1")?.execute([seq])?;
    decided(connection, seq, state, OutboxState::Superseded, now)
}

fn not_dead(found: Option<OutboxState>) -> OutboxDecision {
    found.map_or(OutboxDecision::Unknown, OutboxDecision::NotDead)
}

fn decided(
    connection: &Connection,
    seq: i64,
    from: OutboxState,
    to: OutboxState,
    now: Timestamp,
) -> rusqlite::Result<OutboxDecision> {
    connection
        .prepare_cached(
            "UPDATE dead_letters INDEXED BY dead_letters_seq SET settled_at = ?2 WHERE seq = ?1 AND settled_at IS NULL",
        )?
        .execute([seq, now.as_microsecond()])?;
    let mut tally = Tally::default();
    tally.moved(from, to);
    tally.write(connection)?;
    Ok(OutboxDecision::Done)
}
