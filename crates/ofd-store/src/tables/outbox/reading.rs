//! What a forwarder reads: rows to be sent, what bodies are built from, numbers for the metrics.

use std::collections::HashSet;

use ffd::ids::{FdNumber, FnNumber};
use ffd::{tags, tlv};
use jiff::Timestamp;
use rusqlite::params;

use super::{COLUMNS, PARKED, WAITING, counted, derive, outbox_row, parked, positions, rows, verdicts};
use crate::outbox::{DocumentBody, FnsSummary, OutboxDepths, OutboxRow, OutboxState, Slot};
use crate::rows::opened_document;
use crate::sql::{self, Db, OptionalExtension as _, Row};
use crate::tables::bodies::Bodies;
use crate::tables::columns::{FdColumn, FnColumn, Moment};
use crate::tables::documents::SCAN_POSITIONS;

/// Rows of a slot that came to be sent after a serial.
pub(super) const OPEN: &str = "FROM outbox INDEXED BY outbox_open \
     WHERE state <= 1 AND slot = ?1 AND serial > ?2 ORDER BY serial";
/// The same of all slots: what a server is asked for that holds another index for it.
const OPEN_OF_ALL: &str = "FROM outbox WHERE state <= 1 AND serial > ?1 ORDER BY slot, serial";
/// The first of all that is open: the index alone, of at most a window. Not by position: PostgreSQL would walk there over
/// everything that is finished.
pub(super) const OLDEST_OPEN: &str =
    "SELECT min(seq + 0) FROM outbox INDEXED BY outbox_open WHERE state <= 1";
/// The first after the cursor that is owed.
pub(super) const OLDEST_UNDERIVED: &str = "SELECT received_at FROM journal NOT INDEXED \
     WHERE seq > ?1 AND seq <= ?2 AND forward = 1 ORDER BY seq LIMIT 1";
pub(super) const OPEN_OF_FN: &str = "SELECT count(*) FROM outbox INDEXED BY outbox_open \
     WHERE state <= 1 AND slot = ?2 AND fn = ?1";
pub(super) const DELIVERED_OF_FN: &str =
    "SELECT count(*) FROM outbox INDEXED BY outbox_delivered WHERE state = 2 AND fn = ?1";
pub(super) const TROUBLED_OF_FN: &str = "SELECT state, count(*) FROM outbox INDEXED BY outbox_troubled_fn \
     WHERE state >= 4 AND fn = ?1 GROUP BY state";
pub(super) const WAITING_OF_FN: &str =
    "SELECT count(*) FROM outbox_waiting INDEXED BY outbox_waiting_fn WHERE fn = ?1";
/// The newest numbers of a ФН.
pub(super) const NEWEST_OF_FN: &str = "SELECT seq, fd, chain, conflict_no FROM journal_index \
     WHERE fn = ?1 ORDER BY fd DESC, chain DESC, conflict_no DESC LIMIT ?2";
pub(super) const BODY: &str = "SELECT seq, fn, fd, form, received_at, code, marks, ffd_version, acknowledgement, \
     container, opened FROM journal WHERE seq = ?1";

/// Newest documents of a ФН looked at for those that are not derived yet.
const NEWEST_LOOKS: u32 = 64;
/// Form code of the acknowledgement and length of what precedes the records of a document, in bytes.
const ACKNOWLEDGEMENT_FORM: u16 = 7;
const DOCUMENT_HEAD_LEN: usize = 4;

pub(crate) fn open_rows(db: Db<'_>, slots: &[Slot], after_serial: i64) -> sql::Result<Vec<OutboxRow>> {
    if matches!(db, Db::Postgres(_)) {
        let slots: HashSet<Slot> = slots.iter().copied().collect();
        let found = rows(db, &format!("SELECT {COLUMNS} {OPEN_OF_ALL}"), [after_serial], outbox_row)?;
        return Ok(found.into_iter().filter(|row| slots.contains(&row.slot)).collect());
    }
    let mut found = Vec::new();
    let mut statement = db.prepare(&format!("SELECT {COLUMNS} {OPEN}"))?;
    for slot in slots {
        for row in statement.query_map(params![slot.get(), after_serial], outbox_row)? {
            found.push(row?);
        }
    }
    Ok(found)
}

pub(crate) fn newest_serial(db: Db<'_>) -> sql::Result<i64> {
    db.query_row("SELECT serial FROM outbox_cursors WHERE id = 1", [], |row| row.get(0))
}

/// In the order asked for; none for a position that is not in the journal.
pub(crate) fn bodies(db: Db<'_>, seqs: &[i64]) -> sql::Result<Vec<Option<DocumentBody>>> {
    let mut bodies = Bodies::new(db);
    let read = |row: &Row<'_>| body_row(row, &mut bodies);
    db.prepare(BODY)?.query_many(seqs.iter().map(|seq| [*seq]), read)
}

fn body_row(row: &Row<'_>, bodies: &mut Bodies<'_>) -> sql::Result<DocumentBody> {
    let seq = row.get(0)?;
    let received_at = row.get::<Moment>(4)?.0;
    let acknowledgement = row.get_ref(8)?.as_blob()?;
    let body = bodies.of(row, seq, 9)?;
    Ok(DocumentBody {
        seq,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        form: row.get(3)?,
        opened: body.document().to_vec(),
        message_sign: body.message_sign(),
        received_at,
        code: row.get(5)?,
        acknowledged_at: acknowledged_at(acknowledgement)
            .unwrap_or_else(|| u32::try_from(received_at.as_second()).unwrap_or(0)),
        ffd_version: row.get(7)?,
        marks: row.get(6)?,
    })
}

/// Tag 1012 of a document 7, if it can be read.
fn acknowledged_at(acknowledgement: &[u8]) -> Option<u32> {
    let document = opened_document(acknowledgement, None);
    let (form, rest) = document.split_first_chunk::<2>()?;
    if u16::from_le_bytes(*form) != ACKNOWLEDGEMENT_FORM {
        return None;
    }
    let records = rest.get(DOCUMENT_HEAD_LEN.saturating_sub(form.len())..)?;
    let time = tlv::Records::new(records, DOCUMENT_HEAD_LEN)
        .map_while(Result::ok)
        .find(|record| record.tag == tags::DATE_TIME)?;
    time.value.try_into().ok().map(u32::from_le_bytes)
}

/// The rows of (ФН, ФД), newest chain first.
pub(crate) fn find(db: Db<'_>, fn_number: &FnNumber, fd_number: FdNumber) -> sql::Result<Vec<OutboxRow>> {
    at_each(db, &verdicts::positions(db, fn_number, fd_number)?)
}

/// The row of a position.
pub(crate) fn at(db: Db<'_>, seq: i64) -> sql::Result<Option<OutboxRow>> {
    Ok(at_each(db, &[seq])?.pop())
}

/// The rows of those positions that have one, in their order.
pub(super) fn at_each(db: Db<'_>, seqs: &[i64]) -> sql::Result<Vec<OutboxRow>> {
    let found = db
        .prepare(&format!("SELECT {COLUMNS} FROM outbox WHERE seq = ?1"))?
        .query_many(seqs.iter().map(|seq| [*seq]), outbox_row)?;
    Ok(found.into_iter().flatten().collect())
}

pub(crate) fn depths(db: Db<'_>) -> sql::Result<OutboxDepths> {
    db.read(|db| {
        let mut depths = OutboxDepths::default();
        for state in OutboxState::ALL {
            depths.states.push((state, positive(counted(db, state.number())?)));
        }
        depths.waiting = positive(counted(db, WAITING)?);
        let derived = derive::cursors(db)?.derived;
        let parked = counted(db, PARKED)?;
        let newest = positions::newest(db, i64::MAX)?;
        depths.backlog = positive(positions::between(db, derived, newest)?.saturating_add(parked));
        Ok(depths)
    })
}

pub(crate) fn oldest_undelivered(db: Db<'_>) -> sql::Result<Option<Timestamp>> {
    let moment = |row: &Row<'_>| Ok(row.get::<Moment>(0)?.0);
    db.read(|db| {
        let open: Option<i64> = db.query_row(OLDEST_OPEN, [], |row| row.get(0))?;
        let open: Option<Timestamp> = match open {
            Some(seq) => {
                db.query_row("SELECT created_at FROM outbox WHERE seq = ?1", [seq], moment).optional()?
            }
            None => None,
        };
        // The positions looked at begin with one that is there: between two months there is nothing.
        let derived = derive::cursors(db)?.derived;
        let underived: Option<Timestamp> = match positions::next(db, derived)? {
            Some(first) => {
                let bounds = [first.saturating_sub(1), first.saturating_add(SCAN_POSITIONS)];
                db.query_row(OLDEST_UNDERIVED, bounds, moment).optional()?
            }
            None => None,
        };
        let parked: Option<Timestamp> = db.query_row(parked::OLDEST, [], moment).optional()?;
        Ok([open, underived, parked].into_iter().flatten().min())
    })
}

/// How the service stands to a ФН.
pub(crate) fn summary(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<FnsSummary> {
    let key = fn_number.as_str();
    let count = |sql: &str| db.query_row(sql, [key], |row| row.get::<i64>(0));
    let slot = Slot::of_fn(fn_number).get();
    let open: i64 = db.query_row(OPEN_OF_FN, params![key, slot], |row| row.get(0))?;
    let parked = count(parked::COUNT_OF_FN)?;
    let waiting = [open, parked, count(DELIVERED_OF_FN)?, count(WAITING_OF_FN)?, underived(db, key)?];
    let mut summary = FnsSummary {
        waiting: waiting.into_iter().map(positive).fold(0, u64::saturating_add),
        ..FnsSummary::default()
    };
    let mut statement = db.prepare(TROUBLED_OF_FN)?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        let number = positive(row.get(1)?);
        match OutboxState::from_number(row.get(0)?) {
            Some(OutboxState::Soft) => summary.soft = number,
            Some(OutboxState::Hard | OutboxState::Dead) => {
                summary.hard = summary.hard.saturating_add(number);
            }
            _ => {}
        }
    }
    Ok(summary)
}

/// Of the newest documents of a ФН, those that are to be derived.
fn underived(db: Db<'_>, key: &str) -> sql::Result<i64> {
    let derived = derive::cursors(db)?.derived;
    let seqs: Vec<i64> = rows(db, NEWEST_OF_FN, params![key, NEWEST_LOOKS], |row| row.get(0))?;
    let seqs: Vec<i64> = seqs.into_iter().filter(|seq| *seq > derived).collect();
    let owed = db
        .prepare("SELECT forward <> 0 AND conflict_no = 0 FROM journal WHERE seq = ?1")?
        .query_many(seqs.iter().map(|seq| [*seq]), |row| row.get::<bool>(0))?;
    let there = verdicts::states_of(db, &seqs)?;
    let owed = seqs.iter().zip(owed).filter(|(seq, owed)| *owed == Some(true) && !there.contains_key(seq));
    Ok(i64::try_from(owed.count()).unwrap_or(i64::MAX))
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
