//! Documents that the service does not take, or has lost: the evidence, what an operator decides, sending again.

use jiff::Timestamp;
use rusqlite::params;

use super::reading::bodies;
use super::{Tally, brief, next_serial, rows};
use crate::outbox::{DeadLetter, OutboxDecision, OutboxState};
use crate::sql::{self, Db, Row};
use crate::tables::columns::Moment;
use crate::tables::writes::Writes;

/// What is said of a document that is sent again because the service has lost it.
const UNKNOWN_THERE: &str = "the service took it and does not know it any more";
/// Most letters read of one document: it may be requeued and refused again without end.
const MAX_LETTERS: i64 = 100;

/// Keeps what was sent and what came back.
pub(super) fn keep(
    writes: &mut Writes<'_>,
    seq: i64,
    at: Timestamp,
    code: &str,
    request: &[u8],
    answer: &[u8],
) -> sql::Result<()> {
    writes.push(
        "INSERT INTO dead_letters (seq, died_at, code, request, answer) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![seq, at.as_microsecond(), code, request, answer],
    )
}

/// The letters of a document, newest first.
pub(crate) fn letters(db: Db<'_>, seq: i64) -> sql::Result<Vec<DeadLetter>> {
    let read = |row: &Row<'_>| {
        Ok(DeadLetter {
            seq: row.get(0)?,
            died_at: row.get::<Moment>(1)?.0,
            settled_at: row.get::<Option<Moment>>(2)?.map(|moment| moment.0),
            code: row.get(3)?,
            request: row.get(4)?,
            answer: row.get(5)?,
        })
    };
    rows(
        db,
        "SELECT seq, died_at, settled_at, code, request, answer FROM dead_letters INDEXED BY dead_letters_seq \
         WHERE seq = ?1 ORDER BY id DESC LIMIT ?2",
        [seq, MAX_LETTERS],
        read,
    )
}

/// Puts a document back into the queue, with no attempts behind it: one that is dead or given up, and one that the
/// service took without a final verdict. What has one, or is on its way, is left alone.
pub(crate) fn requeue(db: Db<'_>, seq: i64, now: Timestamp) -> sql::Result<OutboxDecision> {
    let state = match brief(db, seq)?.map(|row| row.state) {
        Some(
            state
            @ (OutboxState::Dead | OutboxState::Superseded | OutboxState::Delivered | OutboxState::Soft),
        ) => state,
        other => return Ok(not_dead(other)),
    };
    // Its bytes may lie in a file of old documents. When that cannot be read, it is told now and not to the lanes.
    bodies(db, &[seq])?;
    let serial = next_serial(db)?;
    db.execute(
        "UPDATE outbox SET state = 0, attempts = 0, next_at = NULL, serial = ?2 WHERE seq = ?1",
        [seq, serial],
    )?;
    decided(db, seq, state, OutboxState::New, now)
}

/// Sends a document again that the service has lost; one that has its final verdict, or is on its way, is left alone.
pub(super) fn resend(db: Db<'_>, seq: i64, tally: &mut Tally) -> sql::Result<()> {
    let Some(row) = brief(db, seq)? else { return Ok(()) };
    if !matches!(row.state, OutboxState::Delivered | OutboxState::Soft) {
        return Ok(());
    }
    let serial = next_serial(db)?;
    // Its ticket is as lost as itself.
    db.execute(
        "UPDATE outbox SET state = 0, next_at = NULL, serial = ?2, ticket_id = NULL, last_error = ?3 \
         WHERE seq = ?1",
        params![seq, serial, UNKNOWN_THERE],
    )?;
    tally.moved(row.state, OutboxState::New);
    Ok(())
}

/// Gives a dead document up.
pub(crate) fn supersede(db: Db<'_>, seq: i64, now: Timestamp) -> sql::Result<OutboxDecision> {
    let state = match brief(db, seq)?.map(|row| row.state) {
        Some(state @ OutboxState::Dead) => state,
        other => return Ok(not_dead(other)),
    };
    db.execute("UPDATE outbox SET state = 7 WHERE seq = ?1", [seq])?;
    decided(db, seq, state, OutboxState::Superseded, now)
}

fn not_dead(found: Option<OutboxState>) -> OutboxDecision {
    found.map_or(OutboxDecision::Unknown, OutboxDecision::NotDead)
}

fn decided(
    db: Db<'_>,
    seq: i64,
    from: OutboxState,
    to: OutboxState,
    now: Timestamp,
) -> sql::Result<OutboxDecision> {
    db.execute(
        "UPDATE dead_letters INDEXED BY dead_letters_seq SET settled_at = ?2 WHERE seq = ?1 AND settled_at IS NULL",
        [seq, now.as_microsecond()],
    )?;
    let mut tally = Tally::default();
    tally.moved(from, to);
    tally.write(db)?;
    Ok(OutboxDecision::Done)
}
