//! Documents read back for people.

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::columns::{FLK_MARK, FdColumn, FnColumn, Moment, SIGN_MARK, unreadable};
use super::quarantine::count;
use crate::records::{Derived, FindingSeverity, Forward, StoredFinding};
use crate::rows::{DocumentFilter, DocumentRow, DocumentSummary};

/// Those of a summary; the long ones follow. Written before them in a row too, so that a summary reads one page.
const SHORT: &str = "seq, fn, fd, chain, conflict_no, form, received_at, peer, code, verdict, sign_scheme, \
     sign_generation, forward, marks, identity, ffd_version, local_time, rnm, user_inn, kkt_serial, shift, \
     receipt_number, operation, total_kopecks, fiscal_sign";
const LONG: &str = "container, opened, acknowledgement";

/// Positions looked at in one transaction: a search for something rare must not hold an old state of the file
/// and so keep the log growing. Few in tests, so that they cross from piece to piece.
pub(super) const SCAN_POSITIONS: i64 = if cfg!(test) { 4 } else { 20_000 };

/// Conditions of a WHERE with their values.
pub(super) struct Conditions {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn new() -> Self {
        Self { sql: "TRUE".to_owned(), values: Vec::new() }
    }

    /// Adds a condition with one `?`, unless there is nothing to compare with.
    pub(super) fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
    }

    fn of(filter: &DocumentFilter) -> Self {
        let mut conditions = Self::new();
        conditions.and("fn = ?", filter.fn_number.as_ref().map(|number| number.as_str().to_owned()));
        conditions.and("fd = ?", filter.fd_number.map(FdNumber::get));
        conditions.and("form = ?", filter.form);
        conditions.and("code = ?", filter.code);
        conditions.and("verdict = ?", filter.verdict.clone());
        conditions.and("received_at >= ?", filter.from.map(jiff::Timestamp::as_microsecond));
        conditions.and("received_at < ?", filter.to.map(jiff::Timestamp::as_microsecond));
        conditions.and("conflict_no > ?", filter.conflicts_only.then_some(0));
        conditions
    }
}

/// Documents that pass the filter, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &DocumentFilter,
    limit: usize,
) -> rusqlite::Result<Vec<DocumentRow>> {
    walk(connection, filter, limit, whole)
}

/// The same without what is long.
pub(crate) fn summaries(
    connection: &Connection,
    filter: &DocumentFilter,
    limit: usize,
) -> rusqlite::Result<Vec<DocumentSummary>> {
    walk(connection, filter, limit, short)
}

/// How rows of one kind are read: conditions, order, at most so many.
type Select<T> = fn(&Connection, &Conditions, &str, usize) -> rusqlite::Result<Vec<T>>;

fn walk<T>(
    connection: &Connection,
    filter: &DocumentFilter,
    limit: usize,
    select: Select<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut before = match filter.before_seq {
        Some(before) => before,
        None => newest_seq(connection)?.saturating_add(1),
    };
    // With a ФН the index leads to its rows; without one the journal is walked backwards in pieces.
    let step = if filter.fn_number.is_some() { before } else { SCAN_POSITIONS };
    while before > 0 && found.len() < limit {
        let from = before.saturating_sub(step).max(0);
        let mut conditions = Conditions::of(filter);
        conditions.and("seq < ?", Some(before));
        conditions.and("seq >= ?", Some(from));
        let left = limit.saturating_sub(found.len());
        found.extend(select(connection, &conditions, "DESC", left)?);
        before = from;
    }
    Ok(found)
}

/// Everything under one (ФН, ФД), in order of arrival.
pub(crate) fn find(
    connection: &Connection,
    fn_number: &FnNumber,
    fd_number: FdNumber,
) -> rusqlite::Result<Vec<DocumentRow>> {
    let mut conditions = Conditions::new();
    conditions.and("fn = ?", Some(fn_number.as_str().to_owned()));
    conditions.and("fd = ?", Some(fd_number.get()));
    whole(connection, &conditions, "ASC", usize::MAX)
}

/// Position of the newest document; 0 in an empty journal.
pub(super) fn newest_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let newest = connection
        .prepare_cached("SELECT seq FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(0))
}

fn whole(
    connection: &Connection,
    conditions: &Conditions,
    order: &str,
    limit: usize,
) -> rusqlite::Result<Vec<DocumentRow>> {
    let columns = format!("{SHORT}, {LONG}");
    let mut documents = select(connection, &columns, conditions, order, limit, document_row)?;
    for document in &mut documents {
        document.summary.findings = findings(connection, document.summary.seq)?;
    }
    Ok(documents)
}

fn short(
    connection: &Connection,
    conditions: &Conditions,
    order: &str,
    limit: usize,
) -> rusqlite::Result<Vec<DocumentSummary>> {
    let mut documents = select(connection, SHORT, conditions, order, limit, summary_row)?;
    for document in &mut documents {
        document.findings = findings(connection, document.seq)?;
    }
    Ok(documents)
}

fn select<T>(
    connection: &Connection,
    columns: &str,
    conditions: &Conditions,
    order: &str,
    limit: usize,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql =
        format!("SELECT {columns} FROM journal WHERE {} ORDER BY seq {order} LIMIT {limit}", conditions.sql);
    connection.prepare(&sql)?.query_map(params_from_iter(&conditions.values), read)?.collect()
}

fn findings(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<StoredFinding>> {
    connection
        .prepare_cached("SELECT path, rule, severity, text FROM findings WHERE seq = ?1 ORDER BY ordinal")?
        .query_map([seq], |row| {
            let path: String = row.get(0)?;
            let severity: i64 = row.get(2)?;
            Ok(StoredFinding {
                path: tags(&path).ok_or_else(|| unreadable(0, "findings.path", &path))?,
                rule: row.get(1)?,
                severity: FindingSeverity::from_number(severity)
                    .ok_or_else(|| unreadable(2, "findings.severity", severity))?,
                text: row.get(3)?,
            })
        })?
        .collect()
}

fn tags(path: &str) -> Option<Vec<u16>> {
    path.split('.').filter(|tag| !tag.is_empty()).map(|tag| tag.parse().ok()).collect()
}

fn document_row(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    Ok(DocumentRow {
        summary: summary_row(row)?,
        container: row.get(25)?,
        opened: row.get(26)?,
        acknowledgement: row.get(27)?,
    })
}

fn summary_row(row: &Row<'_>) -> rusqlite::Result<DocumentSummary> {
    let forward: i64 = row.get(12)?;
    let marks: i64 = row.get(13)?;
    let kopecks: Option<i64> = row.get(23)?;
    Ok(DocumentSummary {
        seq: row.get(0)?,
        fn_number: row.get::<_, FnColumn>(1)?.0,
        fd_number: row.get::<_, FdColumn>(2)?.0,
        chain: row.get(3)?,
        conflict_no: row.get(4)?,
        form: row.get(5)?,
        received_at: row.get::<_, Moment>(6)?.0,
        peer: row.get(7)?,
        code: row.get(8)?,
        verdict: row.get(9)?,
        sign_scheme: row.get(10)?,
        sign_generation: row.get(11)?,
        forward: Forward::from_number(forward).ok_or_else(|| unreadable(12, "journal.forward", forward))?,
        flk_mark: marks & FLK_MARK != 0,
        sign_mark: marks & SIGN_MARK != 0,
        identity: row.get(14)?,
        derived: Derived {
            ffd_version: row.get(15)?,
            local_time: row.get(16)?,
            rnm: row.get(17)?,
            user_inn: row.get(18)?,
            kkt_serial: row.get(19)?,
            shift: row.get(20)?,
            receipt_number: row.get(21)?,
            operation: row.get(22)?,
            total_kopecks: kopecks.map(|_| count(row, 23)).transpose()?,
            fiscal_sign: row.get(24)?,
        },
        findings: Vec::new(),
    })
}
