//! What a forwarder reads: rows to be sent, what bodies are built from, numbers for the metrics.

use ffd::ids::{FdNumber, FnNumber};
use ffd::{tags, tlv};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{COLUMNS, PARKED, WAITING, counted, derive, outbox_row, parked, verdicts};
use crate::outbox::{DocumentBody, FnsSummary, OutboxDepths, OutboxRow, OutboxState, Slot};
use crate::rows::{message_sign, opened_document};
use crate::tables::columns::{FdColumn, FnColumn, Moment};
use crate::tables::documents::{SCAN_POSITIONS, newest_seq};

/// Rows of a slot that came to be sent after a serial.
pub(super) const OPEN: &str = "FROM outbox INDEXED BY outbox_open \
     WHERE state <= 1 AND slot = ?1 AND serial > ?2 ORDER BY serial";
/// The first of all that is open: the index alone, of at most a window.
pub(super) const OLDEST_OPEN: &str = "SELECT min(seq) FROM outbox INDEXED BY outbox_open WHERE state <= 1";
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
pub(super) const NEWEST_OF_FN: &str = "SELECT seq FROM journal INDEXED BY journal_identity \
     WHERE fn = ?1 ORDER BY fd DESC, chain DESC, conflict_no DESC LIMIT ?2";
pub(super) const BODY: &str = "SELECT fn, fd, form, received_at, code, marks, ffd_version, acknowledgement, \
     container, opened FROM journal WHERE seq = ?1";

/// Newest documents of a ФН looked at for those that are not derived yet.
const NEWEST_LOOKS: u32 = 64;
/// Form code of the acknowledgement and length of what precedes the records of a document, in bytes.
const ACKNOWLEDGEMENT_FORM: u16 = 7;
const DOCUMENT_HEAD_LEN: usize = 4;

pub(crate) fn open_rows(
    connection: &Connection,
    slots: &[Slot],
    after_serial: i64,
) -> rusqlite::Result<Vec<OutboxRow>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} {OPEN}"))?;
    for slot in slots {
        let mut rows = statement.query(params![slot.get(), after_serial])?;
        while let Some(row) = rows.next()? {
            found.push(outbox_row(row)?);
        }
    }
    Ok(found)
}

pub(crate) fn newest_serial(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT serial FROM outbox_cursors WHERE id = 1")?
        .query_row([], |row| row.get(0))
}

/// None for a position that is not in the journal.
pub(crate) fn body(connection: &Connection, seq: i64) -> rusqlite::Result<Option<DocumentBody>> {
    connection.prepare_cached(BODY)?.query_row([seq], |row| body_row(row, seq)).optional()
}

fn body_row(row: &Row<'_>, seq: i64) -> rusqlite::Result<DocumentBody> {
    let received_at = row.get::<_, Moment>(3)?.0;
    let acknowledgement = row.get_ref(7)?.as_blob()?;
    let container = row.get_ref(8)?.as_blob()?;
    let opened = row.get_ref(9)?.as_blob_or_null()?;
    Ok(DocumentBody {
        seq,
        fn_number: row.get::<_, FnColumn>(0)?.0,
        fd_number: row.get::<_, FdColumn>(1)?.0,
        form: row.get(2)?,
        opened: opened_document(container, opened).to_vec(),
        message_sign: message_sign(container),
        received_at,
        code: row.get(4)?,
        acknowledged_at: acknowledged_at(acknowledgement)
            .unwrap_or_else(|| u32::try_from(received_at.as_second()).unwrap_or(0)),
        ffd_version: row.get(6)?,
        marks: row.get(5)?,
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
pub(crate) fn find(
    connection: &Connection,
    fn_number: &FnNumber,
    fd_number: FdNumber,
) -> rusqlite::Result<Vec<OutboxRow>> {
    let seqs: Vec<i64> = connection
        .prepare_cached(verdicts::CANDIDATES)?
        .query_map(params![fn_number.as_str(), fd_number.get()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = Vec::with_capacity(seqs.len());
    for seq in seqs {
        rows.extend(at(connection, seq)?);
    }
    Ok(rows)
}

/// The row of a position.
pub(crate) fn at(connection: &Connection, seq: i64) -> rusqlite::Result<Option<OutboxRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM outbox WHERE seq = ?1"))?
        .query_row([seq], outbox_row)
        .optional()
}

pub(crate) fn depths(connection: &Connection) -> rusqlite::Result<OutboxDepths> {
    let transaction = connection.unchecked_transaction()?;
    let mut depths = OutboxDepths::default();
    for state in OutboxState::ALL {
        depths.states.push((state, positive(counted(&transaction, state.number())?)));
    }
    depths.waiting = positive(counted(&transaction, WAITING)?);
    let derived = derive::cursors(&transaction)?.derived;
    let parked = counted(&transaction, PARKED)?;
    depths.backlog = positive(newest_seq(&transaction)?.saturating_sub(derived).saturating_add(parked));
    Ok(depths)
}

pub(crate) fn oldest_undelivered(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let transaction = connection.unchecked_transaction()?;
    let open: Option<i64> = transaction.prepare_cached(OLDEST_OPEN)?.query_row([], |row| row.get(0))?;
    let open: Option<Timestamp> = match open {
        Some(seq) => transaction
            .prepare_cached("SELECT created_at FROM outbox WHERE seq = ?1")?
            .query_row([seq], |row| Ok(row.get::<_, Moment>(0)?.0))
            .optional()?,
        None => None,
    };
    let derived = derive::cursors(&transaction)?.derived;
    let underived: Option<Timestamp> = transaction
        .prepare_cached(OLDEST_UNDERIVED)?
        .query_row([derived, derived.saturating_add(SCAN_POSITIONS)], |row| Ok(row.get::<_, Moment>(0)?.0))
        .optional()?;
    let parked: Option<Timestamp> = transaction
        .prepare_cached(parked::OLDEST)?
        .query_row([], |row| Ok(row.get::<_, Moment>(0)?.0))
        .optional()?;
    Ok([open, underived, parked].into_iter().flatten().min())
}

/// How the service stands to a ФН.
pub(crate) fn summary(connection: &Connection, fn_number: &FnNumber) -> rusqlite::Result<FnsSummary> {
    let key = fn_number.as_str();
    let count = |sql: &str| -> rusqlite::Result<i64> {
        connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))
    };
    let open: i64 = connection
        .prepare_cached(OPEN_OF_FN)?
        .query_row(params![key, Slot::of_fn(fn_number).get()], |row| row.get(0))?;
    let parked = count(parked::COUNT_OF_FN)?;
    let waiting = [open, parked, count(DELIVERED_OF_FN)?, count(WAITING_OF_FN)?, underived(connection, key)?];
    let mut summary = FnsSummary {
        waiting: waiting.into_iter().map(positive).fold(0, u64::saturating_add),
        ..FnsSummary::default()
    };
    let mut statement = connection.prepare_cached(TROUBLED_OF_FN)?;
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
fn underived(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let derived = derive::cursors(connection)?.derived;
    let seqs: Vec<i64> = connection
        .prepare_cached(NEWEST_OF_FN)?
        .query_map(params![key, NEWEST_LOOKS], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut number = 0_i64;
    for seq in seqs.into_iter().filter(|seq| *seq > derived) {
        let is_owed: bool = connection
            .prepare_cached("SELECT forward <> 0 AND conflict_no = 0 FROM journal WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))?;
        if is_owed && verdicts::state_of(connection, seq)?.is_none() {
            number = number.saturating_add(1);
        }
    }
    Ok(number)
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
