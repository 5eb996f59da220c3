//! The outbox: rows to be sent, batches, verdicts, leases.
//!
//! Every statement here leads over a key or an index to few rows, however many there are: what grows without end is the
//! journal and the rows that were accepted, and nothing reads those but by position.

pub(crate) mod batches;
pub(crate) mod dead;
pub(crate) mod derive;
mod early;
mod gaps;
pub(crate) mod leases;
pub(crate) mod listing;
mod parked;
mod positions;
pub(crate) mod reading;
pub(crate) mod recall;
#[cfg(test)]
mod tests;
pub(crate) mod verdicts;
mod waiting;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

pub(crate) use self::leases::holds;
pub(crate) use self::reading::summary;
pub(crate) use self::verdicts::{apply, refresh};
use super::columns::{FdColumn, FnColumn, Moment, unreadable};
use crate::outbox::{BatchId, CommitReport, FnsCode, OutboxChange, OutboxRow, OutboxState, Slot};
use crate::sql::{self, Db, OptionalExtension as _, Params, Row};

const COLUMNS: &str = "seq, fn, fd, chain, kind, slot, state, serial, attempts, created_at, raw_sha256, batch_id, \
     next_at, last_error, ticket_id, delivered_at, fns_codes, fns_at";

/// The row of `outbox_counts` for documents that wait for their ФН.
const WAITING: i64 = 8;
/// And for those that wait until fewer of their ФН are open.
const PARKED: i64 = 9;
const COUNTED: usize = 10;

/// Everything of a change, in its order. Borrows the open transaction. The journal is followed up to `horizon`.
pub(crate) fn commit(
    db: Db<'_>,
    change: &OutboxChange,
    deriver: &mut derive::Deriver,
    horizon: i64,
) -> sql::Result<CommitReport> {
    let mut report = CommitReport::default();
    let mut tally = Tally::default();
    let held = leases::held(db, &change.holder, &change.leases)?;
    report.lost = held.lost.clone();
    if !change.steps.is_empty() || !change.new_batches.is_empty() {
        let mut writer = batches::BatchWriter::new(db, &held, change.now, &mut tally);
        writer.prepare(change)?;
        for step in &change.steps {
            writer.step(step, &mut report)?;
        }
        for batch in &change.new_batches {
            writer.begin(batch, &mut report)?;
        }
        writer.finish()?;
    }
    report.verdicts = verdicts::decide(db, &change.verdicts, &mut tally)?;
    for seq in &change.resend {
        dead::resend(db, *seq, &mut tally)?;
    }
    verdicts::refresh_later(db, &change.refresh_later)?;
    if let Some(order) = change.derive {
        tally.write(db)?;
        report.derived = Some(deriver.derive(db, order, horizon, &mut tally)?);
    }
    tally.write(db)?;
    Ok(report)
}

/// Changes of `outbox_counts` within a transaction.
#[derive(Debug, Default)]
pub(super) struct Tally([i64; COUNTED]);

impl Tally {
    fn add(&mut self, kind: i64, number: i64) {
        let place = usize::try_from(kind).ok().and_then(|kind| self.0.get_mut(kind));
        if let Some(place) = place {
            *place = place.saturating_add(number);
        }
    }

    fn added(&mut self, state: OutboxState) {
        self.add(state.number(), 1);
    }

    fn moved(&mut self, from: OutboxState, to: OutboxState) {
        self.add(from.number(), -1);
        self.add(to.number(), 1);
    }

    /// Writes what was gathered and begins anew.
    fn write(&mut self, db: Db<'_>) -> sql::Result<()> {
        let kinds = (0_i64..).zip(std::mem::take(&mut self.0)).filter(|(_, number)| *number != 0);
        let changes: Vec<[i64; 2]> = kinds.map(|(kind, number)| [kind, number]).collect();
        if !changes.is_empty() {
            db.prepare("UPDATE outbox_counts SET n = n + ?2 WHERE state = ?1")?.execute_many(changes)?;
        }
        Ok(())
    }
}

/// How many rows are of a kind: a state's number or [`WAITING`].
fn counted(db: Db<'_>, kind: i64) -> sql::Result<i64> {
    db.query_row("SELECT n FROM outbox_counts WHERE state = ?1", [kind], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// A new serial: the row gets it that comes to be sent.
fn next_serial(db: Db<'_>) -> sql::Result<i64> {
    db.query_row("UPDATE outbox_cursors SET serial = serial + 1 WHERE id = 1 RETURNING serial", [], |row| {
        row.get(0)
    })
}

/// What decides about a change of a row.
#[derive(Debug, Clone, Copy)]
struct Brief {
    slot: Slot,
    state: OutboxState,
    batch_id: Option<BatchId>,
}

const BRIEF: &str = "SELECT slot, state, batch_id FROM outbox WHERE seq = ?1";

fn brief(db: Db<'_>, seq: i64) -> sql::Result<Option<Brief>> {
    db.query_row(BRIEF, [seq], brief_row).optional()
}

fn brief_row(row: &Row<'_>) -> sql::Result<Brief> {
    Ok(Brief {
        slot: row.get::<SlotColumn>(0)?.0,
        state: row.get::<StateColumn>(1)?.0,
        batch_id: batch_column(row, 2)?,
    })
}

/// All rows that a statement finds.
fn rows<T>(
    db: Db<'_>,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> sql::Result<T>,
) -> sql::Result<Vec<T>> {
    db.prepare(sql)?.query_map(params, read)?.collect()
}

struct SlotColumn(Slot);
struct StateColumn(OutboxState);

impl FromSql for SlotColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = u16::column_result(value)?;
        Slot::new(number).map(Self).ok_or(FromSqlError::OutOfRange(i64::from(number)))
    }
}

impl FromSql for StateColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        OutboxState::from_number(number).map(Self).ok_or(FromSqlError::OutOfRange(number))
    }
}

fn batch_column(row: &Row<'_>, index: usize) -> sql::Result<Option<BatchId>> {
    Ok(row.get::<Option<[u8; 16]>>(index)?.map(BatchId::from_bytes))
}

/// Of [`COLUMNS`].
fn outbox_row(row: &Row<'_>) -> sql::Result<OutboxRow> {
    let moment = |index: usize| row.get::<Option<Moment>>(index).map(|column| column.map(|moment| moment.0));
    Ok(OutboxRow {
        seq: row.get(0)?,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        chain: row.get(3)?,
        kind: row.get(4)?,
        slot: row.get::<SlotColumn>(5)?.0,
        state: row.get::<StateColumn>(6)?.0,
        serial: row.get(7)?,
        attempts: row.get(8)?,
        created_at: row.get::<Moment>(9)?.0,
        raw_sha256: row.get(10)?,
        batch_id: batch_column(row, 11)?,
        next_at: moment(12)?,
        last_error: row.get(13)?,
        ticket_id: row.get(14)?,
        delivered_at: moment(15)?,
        fns_codes: codes(row, 16)?,
        fns_at: moment(17)?,
    })
}

fn codes(row: &Row<'_>, index: usize) -> sql::Result<Vec<FnsCode>> {
    match row.get_ref(index)?.as_str_or_null()? {
        None => Ok(Vec::new()),
        Some(text) => {
            serde_json::from_str(text).map_err(|_| unreadable(index, "outbox.fns_codes", text).into())
        }
    }
}

/// NULL for none: nearly every document has none.
fn codes_column(codes: &[FnsCode]) -> Option<String> {
    if codes.is_empty() {
        return None;
    }
    // Strings and a number: nothing in it can fail to be written.
    serde_json::to_string(codes).ok()
}

/// A number of rows as a LIMIT takes it.
fn most(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
