//! What was taken out of the documents, taken out anew.
//!
//! Only the columns are derived that [`Derived`] names. Rows of the journal are never changed in any other way, so that
//! reading them, computing, and writing can be three steps without a lock over all of them.

use std::time::{Duration, Instant};

use ffd::ids::FnNumber;
use rusqlite::{Connection, Row, params};

use super::chains::newest_chain;
use super::columns::{FdColumn, FnColumn, Moment, kopecks_column};
use super::documents::{DERIVED, derived_columns, newest_seq};
use super::export::next_fn;
use crate::care::{OpenedRow, RebuiltTables, ReindexPage};
use crate::rows::opened_document;
use crate::sqlite::{log, store_error, write_once};
use crate::{Derived, StoreError};

/// What the documents of a page may weigh together; the one that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// The longest wait after a writing page.
const LONGEST_YIELD: Duration = Duration::from_millis(100);
/// Rows of `registers` or `debug_chains` put right in one transaction. Few in tests.
const TABLE_PAGE: i64 = if cfg!(test) { 2 } else { 500 };
/// Sorts before every debug ФН and after all that come before those.
const BEFORE_DEBUG: &str = "9998:";

const UPDATE: &str = "UPDATE journal SET ffd_version = ?2, local_time = ?3, rnm = ?4, user_inn = ?5, kkt_serial = ?6, \
     shift = ?7, receipt_number = ?8, operation = ?9, total_kopecks = ?10, fiscal_sign = ?11 WHERE seq = ?1";

/// A report states a place anew only if it has something to say about it, and not against an operator's word; see
/// `registers::learn`. When somebody stated facts since, the row is of another moment than its report.
const REGISTERS: &str = "UPDATE registers SET rnm = coalesce(report.rnm, registers.rnm), \
     inn = coalesce(report.user_inn, registers.inn), kkt_serial = CASE WHEN registers.serial_by_operator THEN \
     registers.kkt_serial ELSE coalesce(nullif(trim(report.kkt_serial), ''), registers.kkt_serial) END \
     FROM journal AS report WHERE registers.id > ?1 AND registers.id <= ?2 AND report.seq = registers.report_seq \
     AND report.form IN (1, 11) AND report.conflict_no = 0 AND registers.updated_at = report.received_at \
     AND (coalesce(report.rnm, registers.rnm) IS NOT registers.rnm \
     OR coalesce(report.user_inn, registers.inn) IS NOT registers.inn \
     OR (NOT registers.serial_by_operator \
     AND coalesce(nullif(trim(report.kkt_serial), ''), registers.kkt_serial) IS NOT registers.kkt_serial))";

/// Columns of one document as they ought to be.
struct Change {
    seq: i64,
    derived: Derived,
}

/// The next documents: reads, computes, writes what differs.
pub(crate) fn page(
    connection: &mut Connection,
    after_seq: i64,
    limit: usize,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> Result<ReindexPage, StoreError> {
    let (mut page, changes) = look(connection, after_seq.max(0), limit, recompute).map_err(store_error)?;
    if !changes.is_empty() {
        let held = write(connection, &changes)?;
        page.changed = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        log::copy_left(connection).map_err(store_error)?;
        // The daemon polls for the lock: without a pause this command could keep it for itself.
        std::thread::sleep(held.min(LONGEST_YIELD));
    }
    Ok(page)
}

fn look(
    connection: &Connection,
    after_seq: i64,
    limit: usize,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> rusqlite::Result<(ReindexPage, Vec<Change>)> {
    let newest = newest_seq(connection)?;
    let (mut page, mut changes) = (ReindexPage::default(), Vec::new());
    let (mut bytes, mut last) = (0_usize, after_seq);
    let sql = format!(
        "SELECT seq, fn, fd, form, received_at, container, opened, identity, {DERIVED} FROM journal WHERE seq > ?1 \
         ORDER BY seq LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after_seq, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    while bytes < MAX_PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let (seq, weight, change) = compare(row, recompute)?;
        (last, bytes) = (seq, bytes.saturating_add(weight));
        page.read = page.read.saturating_add(1);
        changes.extend(change);
    }
    page.next = (last < newest).then_some(last);
    Ok((page, changes))
}

/// Position, weight, and the columns if they are to be others.
fn compare(
    row: &Row<'_>,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> rusqlite::Result<(i64, usize, Option<Change>)> {
    let seq = row.get(0)?;
    let derived = derived_columns(row, 8)?;
    let document = opened_document(row.get_ref(5)?.as_blob()?, row.get_ref(6)?.as_blob_or_null()?);
    let shown = OpenedRow {
        seq,
        fn_number: row.get::<_, FnColumn>(1)?.0,
        fd_number: row.get::<_, FdColumn>(2)?.0,
        form: row.get(3)?,
        received_at: row.get::<_, Moment>(4)?.0,
        document,
        identity: row.get_ref(7)?.as_blob()?,
        derived: &derived,
    };
    let wanted = recompute(&shown).map(|wanted| Derived {
        total_kopecks: kopecks_column(&wanted).and_then(|kopecks| u64::try_from(kopecks).ok()),
        ..wanted
    });
    let change = wanted.filter(|wanted| *wanted != derived).map(|derived| Change { seq, derived });
    Ok((seq, document.len(), change))
}

/// One transaction; tells how long it held the lock.
fn write(connection: &mut Connection, changes: &[Change]) -> Result<Duration, StoreError> {
    let mut began = Instant::now();
    write_once(connection, |transaction| {
        // From here on the lock is held.
        began = Instant::now();
        let mut update = transaction.prepare_cached(UPDATE)?;
        for Change { seq, derived } in changes {
            update.execute(params![
                seq,
                derived.ffd_version,
                derived.local_time,
                derived.rnm,
                derived.user_inn,
                derived.kkt_serial,
                derived.shift,
                derived.receipt_number,
                derived.operation,
                kopecks_column(derived),
                derived.fiscal_sign,
            ])?;
        }
        Ok(())
    })?;
    Ok(began.elapsed())
}

/// Everything beside the columns that follows from the journal.
pub(crate) fn tables(connection: &mut Connection) -> Result<RebuiltTables, StoreError> {
    Ok(RebuiltTables { registers: registers(connection)?, chains: chains(connection)? })
}

fn registers(connection: &mut Connection) -> Result<u64, StoreError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(id) FROM registers", [], |row| row.get(0)).map_err(store_error)?;
    let (mut after, mut changed) = (0_i64, 0_usize);
    while after < last.unwrap_or(0) {
        let until = after.saturating_add(TABLE_PAGE);
        let of_page = write_once(connection, |transaction| {
            transaction.prepare_cached(REGISTERS)?.execute([after, until])
        })?;
        changed = changed.saturating_add(of_page);
        after = until;
    }
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

fn chains(connection: &mut Connection) -> Result<u64, StoreError> {
    let (mut last, mut changed) = (BEFORE_DEBUG.to_owned(), 0_u64);
    while let Some(fn_number) = next_fn(connection, &last).map_err(store_error)?.filter(FnNumber::is_debug) {
        if !is_newest(connection, &fn_number).map_err(store_error)? {
            changed = changed.saturating_add(1);
            write_once(connection, |transaction| {
                transaction
                    .prepare_cached(
                        "INSERT INTO debug_chains (fn, chain) SELECT ?1, max(chain) FROM journal WHERE fn = ?1 \
                         ON CONFLICT (fn) DO UPDATE SET chain = excluded.chain",
                    )?
                    .execute([fn_number.as_str()])
            })?;
        }
        last = fn_number.as_str().to_owned();
    }
    Ok(changed)
}

/// Whether the chain into which new documents go is the newest one that has any.
fn is_newest(connection: &Connection, fn_number: &FnNumber) -> rusqlite::Result<bool> {
    let found: Option<u32> = connection
        .prepare_cached("SELECT max(chain) FROM journal INDEXED BY journal_identity WHERE fn = ?1")?
        .query_row([fn_number.as_str()], |row| row.get(0))?;
    Ok(newest_chain(connection, fn_number.as_str())? == found)
}
