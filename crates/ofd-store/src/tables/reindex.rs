//! What was taken out of the documents, taken out anew.
//!
//! Only the columns are derived that [`Derived`] names. Rows of the journal are never changed in any other way, so that
//! reading them, computing, and writing can be three steps without a lock over all of them.

use std::time::{Duration, Instant};

use ffd::ids::FnNumber;
use rusqlite::{ToSql, params};

use super::bodies::Bodies;
use super::chains::newest_chain;
use super::columns::{FdColumn, FnColumn, Moment, kopecks_column};
use super::documents::{DERIVED, derived_columns, newest_seq};
use crate::care::{OpenedRow, RebuiltTables, ReindexPage};
use crate::operator_store::OperatorStore;
use crate::sql::{self, Db, Row, store_error};
use crate::{Derived, StoreError};

/// What the documents of a page may weigh together; the one that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Rows read or written by one request. Few in tests.
const TOGETHER: usize = if cfg!(test) { 3 } else { 100 };
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
     inn = coalesce(report.user_inn, registers.inn), kkt_serial = CASE WHEN registers.serial_by_operator <> 0 THEN \
     registers.kkt_serial ELSE coalesce(nullif(trim(report.kkt_serial), ''), registers.kkt_serial) END \
     FROM journal AS report WHERE registers.id > ?1 AND registers.id <= ?2 AND report.seq = registers.report_seq \
     AND report.form IN (1, 11) AND report.conflict_no = 0 AND registers.updated_at = report.received_at \
     AND (coalesce(report.rnm, registers.rnm) IS DISTINCT FROM registers.rnm \
     OR coalesce(report.user_inn, registers.inn) IS DISTINCT FROM registers.inn \
     OR (registers.serial_by_operator = 0 \
     AND coalesce(nullif(trim(report.kkt_serial), ''), registers.kkt_serial) IS DISTINCT FROM registers.kkt_serial))";

/// Columns of one document as they ought to be.
struct Change {
    seq: i64,
    derived: Derived,
}

/// The next documents: reads, computes, writes what differs.
pub(crate) fn page(
    store: &mut OperatorStore,
    after_seq: i64,
    limit: usize,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> Result<ReindexPage, StoreError> {
    let (mut page, changes) = look(store.db(), after_seq.max(0), limit, recompute).map_err(store_error)?;
    if !changes.is_empty() {
        let held = write(store, &changes)?;
        page.changed = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        store.keep_log_short()?;
        // The daemon polls for the lock: without a pause this command could keep it for itself.
        std::thread::sleep(held.min(LONGEST_YIELD));
    }
    Ok(page)
}

fn look(
    db: Db<'_>,
    after_seq: i64,
    limit: usize,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> sql::Result<(ReindexPage, Vec<Change>)> {
    let newest = newest_seq(db)?;
    let (mut page, mut changes) = (ReindexPage::default(), Vec::new());
    let (mut bytes, mut last, mut left) = (0_usize, after_seq, limit);
    let sql = format!(
        "SELECT seq, fn, fd, form, received_at, container, opened, identity, {DERIVED} FROM journal WHERE seq > ?1 \
         ORDER BY seq LIMIT ?2"
    );
    let (mut statement, mut bodies) = (db.prepare(&sql)?, Bodies::new(db));
    while left > 0 && bytes < MAX_PAGE_BYTES && last < newest {
        let most = left.min(TOGETHER);
        let mut rows = statement.query(params![last, i64::try_from(most).unwrap_or(i64::MAX)])?;
        while bytes < MAX_PAGE_BYTES
            && let Some(row) = rows.next()?
        {
            let (seq, weight, change) = compare(db, &row, &mut bodies, recompute)?;
            (last, bytes, left) = (seq, bytes.saturating_add(weight), left.saturating_sub(1));
            page.read = page.read.saturating_add(1);
            changes.extend(change);
        }
    }
    page.next = (last < newest).then_some(last);
    Ok((page, changes))
}

/// Position, weight, and the columns if they are to be others.
fn compare(
    db: Db<'_>,
    row: &Row<'_>,
    bodies: &mut Bodies<'_>,
    recompute: &mut dyn FnMut(&OpenedRow<'_>) -> Option<Derived>,
) -> sql::Result<(i64, usize, Option<Change>)> {
    let seq = row.get(0)?;
    let derived = derived_columns(row, 8)?;
    let body = bodies.of(row, seq, 5)?;
    let document = body.document();
    let shown = OpenedRow {
        seq,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        form: row.get(3)?,
        received_at: row.get::<Moment>(4)?.0,
        document,
        identity: row.get_ref(7)?.as_blob()?,
        derived: &derived,
    };
    let wanted = recompute(&shown).map(|wanted| as_stored(db, wanted));
    let change = wanted.filter(|wanted| *wanted != derived).map(|derived| Change { seq, derived });
    Ok((seq, document.len(), change))
}

/// As it will be read back.
fn as_stored(db: Db<'_>, wanted: Derived) -> Derived {
    let text = |text: Option<String>| match db {
        Db::Sqlite(_) => text,
        Db::Postgres(_) => text.map(|text| sql::storable(&text).into_owned()),
    };
    Derived {
        total_kopecks: kopecks_column(&wanted).and_then(|kopecks| u64::try_from(kopecks).ok()),
        rnm: text(wanted.rnm),
        user_inn: text(wanted.user_inn),
        kkt_serial: text(wanted.kkt_serial),
        ..wanted
    }
}

/// One transaction; tells how long it held the lock.
fn write(store: &mut OperatorStore, changes: &[Change]) -> Result<Duration, StoreError> {
    let mut began = Instant::now();
    store.write(|db| {
        // From here on the lock is held.
        began = Instant::now();
        let mut update = db.prepare(UPDATE)?;
        for changes in changes.chunks(TOGETHER) {
            let kopecks: Vec<_> = changes.iter().map(|change| kopecks_column(&change.derived)).collect();
            let rows: Vec<[&dyn ToSql; 11]> = changes
                .iter()
                .zip(&kopecks)
                .map(|(Change { seq, derived }, kopecks)| -> [&dyn ToSql; 11] {
                    [
                        seq,
                        &derived.ffd_version,
                        &derived.local_time,
                        &derived.rnm,
                        &derived.user_inn,
                        &derived.kkt_serial,
                        &derived.shift,
                        &derived.receipt_number,
                        &derived.operation,
                        kopecks,
                        &derived.fiscal_sign,
                    ]
                })
                .collect();
            update.execute_many(rows.iter().map(|row| row.as_slice()))?;
        }
        Ok(())
    })?;
    Ok(began.elapsed())
}

/// Everything beside the columns that follows from the journal.
pub(crate) fn tables(store: &mut OperatorStore) -> Result<RebuiltTables, StoreError> {
    Ok(RebuiltTables { registers: registers(store)?, chains: chains(store)? })
}

fn registers(store: &mut OperatorStore) -> Result<u64, StoreError> {
    let last: Option<i64> =
        store.db().query_row("SELECT max(id) FROM registers", [], |row| row.get(0)).map_err(store_error)?;
    let (mut after, mut changed) = (0_i64, 0_usize);
    while after < last.unwrap_or(0) {
        let until = after.saturating_add(TABLE_PAGE);
        let of_page = store.write(|db| db.execute(REGISTERS, [after, until]))?;
        changed = changed.saturating_add(of_page);
        after = until;
    }
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// Debug ФН are for tests and few; the newest chain of each that has any.
fn chains(store: &mut OperatorStore) -> Result<u64, StoreError> {
    let (mut last, mut changed) = (BEFORE_DEBUG.to_owned(), 0_u64);
    loop {
        let page = newest_chains(store.db(), &last).map_err(store_error)?;
        let Some((fn_number, _)) = page.last() else { return Ok(changed) };
        last = fn_number.as_str().to_owned();
        for (fn_number, found) in page {
            let key = fn_number.as_str();
            // The chain into which new documents go.
            if newest_chain(store.db(), key).map_err(store_error)? != Some(found) {
                changed = changed.saturating_add(1);
                store.write(|db| {
                    db.execute(
                        "INSERT INTO debug_chains (fn, chain) SELECT fn, max(chain) FROM journal_index WHERE fn = ?1 \
                         GROUP BY fn ON CONFLICT (fn) DO UPDATE SET chain = excluded.chain",
                        [key],
                    )
                })?;
            }
        }
    }
}

fn newest_chains(db: Db<'_>, after: &str) -> sql::Result<Vec<(FnNumber, u32)>> {
    db.prepare("SELECT fn, max(chain) FROM journal_index WHERE fn > ?1 GROUP BY fn ORDER BY fn LIMIT ?2")?
        .query_map(params![after, TABLE_PAGE], |row| Ok((row.get::<FnColumn>(0)?.0, row.get(1)?)))?
        .collect()
}
