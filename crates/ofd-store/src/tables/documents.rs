//! Documents read back for people.

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::types::Value;

use super::bodies::Bodies;
use super::columns::{
    AFTER_DEREGISTRATION_MARK, FLK_MARK, FN_CHANGED_MARK, FdColumn, FnColumn, Moment, SIGN_MARK, unreadable,
};
use super::quarantine::count;
use crate::records::{Derived, FindingSeverity, Forward, StoredFinding};
use crate::rows::{DocumentRow, DocumentSummary};
use crate::sql::{self, Db, OptionalExtension as _, Row, params_from_iter};

/// Those of a summary; the long ones follow. Written before them in a row too, so that a summary reads one page.
const SHORT_COLUMNS: &str = "seq, fn, fd, chain, conflict_no, form, received_at, peer, code, verdict, sign_scheme, \
     sign_generation, forward, marks, identity";
/// Those taken out of the document.
pub(crate) const DERIVED: &str = "ffd_version, local_time, rnm, user_inn, kkt_serial, shift, receipt_number, \
     operation, total_kopecks, fiscal_sign";
const LONG_COLUMNS: &str = "container, opened, acknowledgement";

/// Positions looked at in one transaction: a search for something rare must not hold an old state of the file
/// and so keep the log growing. Few in tests, so that they cross from piece to piece.
pub(crate) const SCAN_POSITIONS: i64 = if cfg!(test) { 4 } else { 20_000 };

/// Conditions of a WHERE with their values.
pub(crate) struct Conditions {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Conditions {
    pub(crate) fn new() -> Self {
        Self { sql: "TRUE".to_owned(), values: Vec::new() }
    }

    /// Adds a condition with one `?`, unless there is nothing to compare with.
    pub(crate) fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
    }
}

/// How documents of one kind are read.
pub(crate) struct Shape<T: 'static> {
    select: fn(Db<'_>, &str, &Conditions, &str, usize) -> sql::Result<Vec<T>>,
    /// The position of one.
    pub(crate) seq: fn(&T) -> i64,
}

/// Everything.
pub(crate) const WHOLE: Shape<DocumentRow> = Shape { select: whole, seq: |document| document.seq };
/// Without what is long.
pub(crate) const SHORT: Shape<DocumentSummary> = Shape { select: short, seq: |document| document.seq };

impl<T> Clone for Shape<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shape<T> {}

impl<T> Shape<T> {
    /// Those that pass conditions which bound their positions, newest first.
    pub(crate) fn by_position(
        self,
        db: Db<'_>,
        conditions: &Conditions,
        limit: usize,
    ) -> sql::Result<Vec<T>> {
        // No index may be taken instead of the bounds.
        (self.select)(db, "journal NOT INDEXED", conditions, "DESC", limit)
    }
}

/// Everything under one (ФН, ФД), in order of arrival.
pub(crate) fn find(db: Db<'_>, fn_number: &FnNumber, fd_number: FdNumber) -> sql::Result<Vec<DocumentRow>> {
    let mut conditions = Conditions::new();
    conditions.sql = "seq IN (SELECT seq FROM journal_index WHERE fn = ? AND fd = ?)".to_owned();
    conditions.values = vec![Value::from(fn_number.as_str().to_owned()), Value::from(fd_number.get())];
    whole(db, "journal NOT INDEXED", &conditions, "ASC", usize::MAX)
}

/// What lies at a position.
pub(crate) fn at(db: Db<'_>, seq: i64) -> sql::Result<Option<DocumentRow>> {
    let mut conditions = Conditions::new();
    conditions.and("seq = ?", Some(seq));
    Ok(WHOLE.by_position(db, &conditions, 1)?.pop())
}

/// What lies at the next positions.
pub(crate) fn following(db: Db<'_>, after: i64, limit: usize) -> sql::Result<Vec<DocumentRow>> {
    let mut conditions = Conditions::new();
    conditions.and("seq > ?", Some(after));
    whole(db, "journal NOT INDEXED", &conditions, "ASC", limit)
}

/// The next position that is taken, `seq` itself included.
pub(crate) fn next_seq(db: Db<'_>, seq: i64) -> sql::Result<Option<i64>> {
    db.prepare("SELECT seq FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT 1")?
        .query_row([seq], |row| row.get(0))
        .optional()
}

/// The newest position below a bound that is taken. Between two there may be many that are not: on a server each month
/// begins its own numbers, and what was taken back leaves a hole.
pub(crate) fn previous_seq(db: Db<'_>, before: i64) -> sql::Result<Option<i64>> {
    db.prepare("SELECT seq FROM journal WHERE seq < ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([before], |row| row.get(0))
        .optional()
}

/// Position of the newest document; 0 in an empty journal.
pub(crate) fn newest_seq(db: Db<'_>) -> sql::Result<i64> {
    let newest = db
        .prepare("SELECT seq FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(0))
}

fn whole(
    db: Db<'_>,
    from: &str,
    conditions: &Conditions,
    order: &str,
    limit: usize,
) -> sql::Result<Vec<DocumentRow>> {
    let columns = format!("{SHORT_COLUMNS}, {DERIVED}, {LONG_COLUMNS}");
    let mut bodies = Bodies::new(db);
    let read = |row: &Row<'_>| document_row(row, &mut bodies);
    let mut documents = select(db, &columns, from, conditions, order, limit, read)?;
    let findings = findings(db, documents.iter().map(|document| document.summary.seq))?;
    for (document, findings) in documents.iter_mut().zip(findings) {
        document.summary.findings = findings;
    }
    Ok(documents)
}

fn short(
    db: Db<'_>,
    from: &str,
    conditions: &Conditions,
    order: &str,
    limit: usize,
) -> sql::Result<Vec<DocumentSummary>> {
    let columns = format!("{SHORT_COLUMNS}, {DERIVED}");
    let mut documents = select(db, &columns, from, conditions, order, limit, summary_row)?;
    let findings = findings(db, documents.iter().map(|document| document.seq))?;
    for (document, findings) in documents.iter_mut().zip(findings) {
        document.findings = findings;
    }
    Ok(documents)
}

fn select<T>(
    db: Db<'_>,
    columns: &str,
    from: &str,
    conditions: &Conditions,
    order: &str,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> sql::Result<T>,
) -> sql::Result<Vec<T>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT {columns} FROM {from} WHERE {} ORDER BY seq {order} LIMIT ?", conditions.sql);
    let limit = Value::from(limit);
    let values = conditions.values.iter().chain(std::iter::once(&limit));
    db.prepare(&sql)?.query_map(params_from_iter(values), read)?.collect()
}

/// Of each document, in their order.
fn findings(db: Db<'_>, seqs: impl Iterator<Item = i64>) -> sql::Result<Vec<Vec<StoredFinding>>> {
    db.prepare("SELECT path, rule, severity, text FROM findings WHERE seq = ?1 ORDER BY ordinal")?.query_all(
        seqs.map(|seq| [seq]),
        |row| {
            let path: String = row.get(0)?;
            let severity: i64 = row.get(2)?;
            Ok(StoredFinding {
                path: tags(&path).ok_or_else(|| unreadable(0, "findings.path", &path))?,
                rule: row.get(1)?,
                severity: FindingSeverity::from_number(severity)
                    .ok_or_else(|| unreadable(2, "findings.severity", severity))?,
                text: row.get(3)?,
            })
        },
    )
}

fn tags(path: &str) -> Option<Vec<u16>> {
    path.split('.').filter(|tag| !tag.is_empty()).map(|tag| tag.parse().ok()).collect()
}

fn document_row(row: &Row<'_>, bodies: &mut Bodies<'_>) -> sql::Result<DocumentRow> {
    let summary = summary_row(row)?;
    let (container, opened) = bodies.of(row, summary.seq, 25)?.into_parts();
    Ok(DocumentRow { summary, container, opened, acknowledgement: row.get(27)? })
}

fn summary_row(row: &Row<'_>) -> sql::Result<DocumentSummary> {
    let forward: i64 = row.get(12)?;
    let marks: i64 = row.get(13)?;
    Ok(DocumentSummary {
        seq: row.get(0)?,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        chain: row.get(3)?,
        conflict_no: row.get(4)?,
        form: row.get(5)?,
        received_at: row.get::<Moment>(6)?.0,
        peer: row.get(7)?,
        code: row.get(8)?,
        verdict: row.get(9)?,
        sign_scheme: row.get(10)?,
        sign_generation: row.get(11)?,
        forward: Forward::from_number(forward).ok_or_else(|| unreadable(12, "journal.forward", forward))?,
        flk_mark: marks & FLK_MARK != 0,
        sign_mark: marks & SIGN_MARK != 0,
        fn_changed_mark: marks & FN_CHANGED_MARK != 0,
        after_deregistration_mark: marks & AFTER_DEREGISTRATION_MARK != 0,
        identity: row.get(14)?,
        derived: derived_columns(row, 15)?,
        findings: Vec::new(),
    })
}

/// The columns of [`DERIVED`], which begin with the column `first`.
pub(crate) fn derived_columns(row: &Row<'_>, first: usize) -> sql::Result<Derived> {
    let at = |offset: usize| first.saturating_add(offset);
    let kopecks: Option<i64> = row.get(at(8))?;
    Ok(Derived {
        ffd_version: row.get(at(0))?,
        local_time: row.get(at(1))?,
        rnm: row.get(at(2))?,
        user_inn: row.get(at(3))?,
        kkt_serial: row.get(at(4))?,
        shift: row.get(at(5))?,
        receipt_number: row.get(at(6))?,
        operation: row.get(at(7))?,
        total_kopecks: kopecks.map(|_| count(row, at(8))).transpose()?,
        fiscal_sign: row.get(at(9))?,
    })
}
