//! The journal as the registration reads it: reports in order, and the newest documents of one ФН.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use rusqlite::params;

use crate::records::Forward;
use crate::registration::{FnDocuments, ReportRow};
use crate::sql::{self, Db, OptionalExtension as _, Params, Row};
use crate::tables::bodies::Bodies;
use crate::tables::chains::newest_chain;
use crate::tables::columns::{FN_CHANGED_MARK, FdColumn, FnColumn, Moment, unreadable};
use crate::tables::documents::derived_columns;
use crate::tables::history::believable;

/// What the documents of a page may weigh together; the one that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Form of the report of closing.
const CLOSING: u16 = 6;

macro_rules! columns {
    () => {
        "SELECT seq, fn, fd, form, chain, code, forward, received_at, marks, container, opened, ffd_version, \
         local_time, rnm, user_inn, kkt_serial, shift, receipt_number, operation, total_kopecks, fiscal_sign \
         FROM journal "
    };
}
pub(crate) const IN_ORDER: &str = concat!(
    columns!(),
    "INDEXED BY journal_reports_in_order WHERE conflict_no = 0 AND (form = 1 OR form = 6 OR form = 11) AND seq > ?1 \
     AND seq <= ?3 ORDER BY seq LIMIT ?2"
);
const AT: &str = concat!(columns!(), "WHERE seq = ?1");
const OF_NUMBER: &str = concat!(
    columns!(),
    "WHERE seq = (SELECT seq FROM journal_index WHERE fn = ?1 AND fd = ?2 AND conflict_no = 0 \
     ORDER BY chain DESC LIMIT 1)"
);
const NEWEST_SHIFT: &str = concat!(
    columns!(),
    "INDEXED BY journal_shifts WHERE fn = ?1 AND chain = ?2 AND form IN (2, 5) AND conflict_no = 0 AND ",
    believable!(),
    " ORDER BY fd DESC LIMIT 1"
);
const NEWEST_REPORT: &str = concat!(
    columns!(),
    "INDEXED BY journal_reports WHERE fn = ?1 AND chain = ?2 AND form IN (1, 11) AND conflict_no = 0 AND ",
    believable!(),
    " ORDER BY fd DESC LIMIT 1"
);
const NEWEST: &str = concat!(
    columns!(),
    "WHERE seq = (SELECT seq FROM (SELECT seq, fd FROM journal_index WHERE fn = ?1 AND chain = ?2 \
     AND conflict_no = 0 ORDER BY fd DESC LIMIT 1) AS newest)"
);
const LAST_SEEN: &str = "SELECT received_at FROM journal WHERE seq = (SELECT seq FROM (SELECT seq, fd \
     FROM journal_index WHERE fn = ?1 AND chain = ?2 ORDER BY fd DESC LIMIT 1) AS newest)";

/// Reports after a position, up to the horizon.
pub(crate) fn reports_after(
    db: Db<'_>,
    after_seq: i64,
    horizon: i64,
    limit: usize,
) -> sql::Result<Vec<ReportRow>> {
    let (mut reports, mut bytes) = (Vec::new(), 0_usize);
    let (mut statement, mut lying) = (db.prepare(IN_ORDER)?, Bodies::new(db));
    let mut rows = statement.query([after_seq, i64::try_from(limit).unwrap_or(i64::MAX), horizon])?;
    while bytes < MAX_PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let report = report_row(&row, &mut lying)?;
        bytes = bytes.saturating_add(report.opened.len());
        reports.push(report);
    }
    Ok(reports)
}

pub(crate) fn report(db: Db<'_>, seq: i64) -> sql::Result<Option<ReportRow>> {
    one(db, AT, [seq])
}

pub(crate) fn report_of(
    db: Db<'_>,
    fn_number: &FnNumber,
    fd_number: FdNumber,
) -> sql::Result<Option<ReportRow>> {
    one(db, OF_NUMBER, params![fn_number.as_str(), fd_number.get()])
}

/// The ФД numbers of a chain rise with time, so the greatest one is the newest document.
pub(crate) fn last_seen(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<Option<Timestamp>> {
    let seen: Option<Moment> = db
        .prepare(LAST_SEEN)?
        .query_row(params![fn_number.as_str(), chain(db, fn_number)?], |row| row.get(0))
        .optional()?;
    Ok(seen.map(|moment| moment.0))
}

pub(crate) fn documents(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<FnDocuments> {
    // One state of the store for all look-ups.
    db.read(|db| {
        let chain = chain(db, fn_number)?;
        let newest = |sql: &str| one(db, sql, params![fn_number.as_str(), chain]);
        Ok(FnDocuments {
            shift: newest(NEWEST_SHIFT)?,
            report: newest(NEWEST_REPORT)?,
            // Nothing follows the report of closing.
            closing: newest(NEWEST)?.filter(|document| document.form == CLOSING),
        })
    })
}

fn chain(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<u32> {
    if fn_number.is_debug() {
        return Ok(newest_chain(db, fn_number.as_str())?.unwrap_or(0));
    }
    Ok(0)
}

fn one(db: Db<'_>, sql: &str, params: impl Params) -> sql::Result<Option<ReportRow>> {
    let mut bodies = Bodies::new(db);
    db.prepare(sql)?.query_row(params, |row| report_row(row, &mut bodies)).optional()
}

fn report_row(row: &Row<'_>, bodies: &mut Bodies<'_>) -> sql::Result<ReportRow> {
    let seq = row.get(0)?;
    let forward: i64 = row.get(6)?;
    let marks: i64 = row.get(8)?;
    let opened = bodies.of(row, seq, 9)?.document().to_vec();
    Ok(ReportRow {
        seq,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        form: row.get(3)?,
        chain: row.get(4)?,
        code: row.get(5)?,
        forward: Forward::from_number(forward).ok_or_else(|| unreadable(6, "journal.forward", forward))?,
        received_at: row.get::<Moment>(7)?.0,
        fn_changed_mark: marks & FN_CHANGED_MARK != 0,
        derived: derived_columns(row, 11)?,
        opened,
    })
}
