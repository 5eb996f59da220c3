//! Finding documents for people: newest first, in pieces.
//!
//! A piece is a bounded look at the file and a transaction of its own: a search for something rare must not hold an
//! old state and so keep the log growing. Where an index leads to few rows, a piece is so many rows of it; else it is so
//! many positions of the journal.

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value;

use super::documents::{self, Conditions, SCAN_POSITIONS, Shape, newest_seq, previous_seq};
use crate::records::TaskKind;
use crate::rows::{DocumentFilter, DocumentPage, DocumentRow, DocumentSummary, FindingFilter};
use crate::sql::{self, Db, params_from_iter};

/// Rows of an index looked at in one piece. Few in tests.
const CANDIDATES: i64 = if cfg!(test) { 4 } else { 1000 };
/// Candidates read by one statement.
const TOGETHER: usize = if cfg!(test) { 3 } else { 100 };
/// How far documents may lie out of the order of their moments.
const DISORDER: SignedDuration = SignedDuration::from_hours(24);

/// What one piece gave, and below which position the next one begins.
struct Piece<T> {
    rows: Vec<T>,
    next: Option<i64>,
}

/// A statement that gives positions below a bound, newest first, with its values; bound and limit come last.
struct Candidates {
    sql: &'static str,
    values: Vec<Value>,
}

/// Documents that pass the filter, newest first.
pub(crate) fn list(db: Db<'_>, filter: &DocumentFilter, limit: usize) -> sql::Result<Vec<DocumentRow>> {
    walk(db, filter, limit, documents::WHOLE)
}

/// The same without what is long.
pub(crate) fn summaries(
    db: Db<'_>,
    filter: &DocumentFilter,
    limit: usize,
) -> sql::Result<Vec<DocumentSummary>> {
    walk(db, filter, limit, documents::SHORT)
}

/// One piece of [`summaries`].
pub(crate) fn page(db: Db<'_>, filter: &DocumentFilter, limit: usize) -> sql::Result<DocumentPage> {
    let piece = piece(db, filter, first_bound(db, filter)?, limit, documents::SHORT)?;
    Ok(DocumentPage { rows: piece.rows, next_before_seq: piece.next })
}

fn walk<T>(db: Db<'_>, filter: &DocumentFilter, limit: usize, shape: Shape<T>) -> sql::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut before = Some(first_bound(db, filter)?);
    while let Some(bound) = before
        && found.len() < limit
    {
        let left = limit.saturating_sub(found.len());
        let piece = piece(db, filter, bound, left, shape)?;
        found.extend(piece.rows);
        before = piece.next;
    }
    Ok(found)
}

fn first_bound(db: Db<'_>, filter: &DocumentFilter) -> sql::Result<i64> {
    match filter.before_seq {
        Some(before) => Ok(before),
        None => Ok(newest_seq(db)?.saturating_add(1)),
    }
}

fn piece<T>(
    db: Db<'_>,
    filter: &DocumentFilter,
    before: i64,
    limit: usize,
    shape: Shape<T>,
) -> sql::Result<Piece<T>> {
    match Candidates::of(filter) {
        Some(candidates) => candidates.piece(db, filter, before, limit, shape),
        None => piece_of_journal(db, filter, before, limit, shape),
    }
}

/// The positions below a bound.
fn piece_of_journal<T>(
    db: Db<'_>,
    filter: &DocumentFilter,
    before: i64,
    limit: usize,
    shape: Shape<T>,
) -> sql::Result<Piece<T>> {
    let Some(newest) = previous_seq(db, before)? else { return Ok(Piece { rows: Vec::new(), next: None }) };
    let from = newest.saturating_add(1).saturating_sub(SCAN_POSITIONS).max(0);
    let mut conditions = conditions_of(filter);
    conditions.and("seq < ?", Some(before));
    conditions.and("seq >= ?", Some(from));
    let rows = shape.by_position(db, &conditions, limit)?;
    let last = rows.last().map(shape.seq).filter(|_| rows.len() >= limit);
    let next = match (last, filter.from) {
        (Some(last), _) => Some(last),
        (None, Some(moment)) if rows.is_empty() => older(db, from, before, moment)?,
        (None, _) => Some(from),
    };
    Ok(Piece { rows, next: next.filter(|next| *next > 0) })
}

/// Where to go on below a piece in which nothing was found that came from `moment` on.
///
/// Positions follow the order of arrival, and our clock is not let go back but by an operator's word. So a piece that
/// came long before the moment ends the search, or leads to what came before the clock was last set.
fn older(db: Db<'_>, from: i64, before: i64, moment: Timestamp) -> sql::Result<Option<i64>> {
    let newest: Option<i64> = db
        .prepare("SELECT max(received_at) FROM journal WHERE seq >= ?1 AND seq < ?2")?
        .query_row([from, before], |row| row.get(0))?;
    let long_before = moment.saturating_sub(DISORDER).unwrap_or(moment).as_microsecond();
    if newest.is_none_or(|newest| newest >= long_before) {
        return Ok(Some(from));
    }
    let set_back: Option<i64> = db
        .prepare("SELECT max(after_seq) FROM clock_confirmations WHERE after_seq < ?1")?
        .query_row([from], |row| row.get(0))?;
    Ok(set_back.map(|after_seq| after_seq.saturating_add(1)))
}

impl Candidates {
    /// The index that leads to the fewest rows; none when the journal has to be walked.
    fn of(filter: &DocumentFilter) -> Option<Self> {
        if let Some(fn_number) = &filter.fn_number {
            let fn_number = Value::from(fn_number.as_str().to_owned());
            return Some(match filter.fd_number {
                Some(fd_number) => Self {
                    sql: "SELECT seq FROM journal_index WHERE fn = ? AND fd = ? AND seq < ? \
                          ORDER BY seq DESC LIMIT ?",
                    values: vec![fn_number, Value::from(fd_number.get())],
                },
                None => Self {
                    sql: "SELECT seq FROM journal_index WHERE fn = ? AND seq < ? \
                          ORDER BY seq DESC LIMIT ?",
                    values: vec![fn_number],
                },
            });
        }
        if let Some(FindingFilter::Rule(rule)) = &filter.findings {
            return Some(Self {
                sql: "SELECT DISTINCT seq FROM findings INDEXED BY findings_rule WHERE rule = ? AND seq < ? \
                      ORDER BY seq DESC LIMIT ?",
                values: vec![Value::from(rule.clone())],
            });
        }
        if filter.conflicts_only {
            return Some(Self {
                sql: "SELECT DISTINCT seq FROM human_tasks INDEXED BY human_tasks_kind WHERE kind = ? AND seq < ? \
                      ORDER BY seq DESC LIMIT ?",
                values: vec![Value::from(TaskKind::Conflict.name().to_owned())],
            });
        }
        if let Some(code) = filter.code.filter(|code| *code > 0) {
            return Some(Self {
                sql: "SELECT seq FROM journal INDEXED BY journal_refused WHERE code > 0 AND code = ? AND seq < ? \
                      ORDER BY seq DESC LIMIT ?",
                values: vec![Value::from(code)],
            });
        }
        filter.findings.as_ref().map(|_| Self {
            sql: "SELECT DISTINCT seq FROM findings WHERE seq < ? ORDER BY seq DESC LIMIT ?",
            values: Vec::new(),
        })
    }

    fn piece<T>(
        mut self,
        db: Db<'_>,
        filter: &DocumentFilter,
        before: i64,
        limit: usize,
        shape: Shape<T>,
    ) -> sql::Result<Piece<T>> {
        self.values.extend([Value::from(before), Value::from(CANDIDATES)]);
        let positions: Vec<i64> = db
            .prepare(self.sql)?
            .query_map(params_from_iter(self.values), |row| row.get(0))?
            .collect::<sql::Result<_>>()?;
        let is_last_piece = i64::try_from(positions.len()).is_ok_and(|found| found < CANDIDATES);
        let last = positions.last().copied();
        let mut rows = Vec::new();
        for positions in positions.chunks(TOGETHER) {
            let places = vec!["?"; positions.len()].join(", ");
            let mut conditions = conditions_of(filter);
            conditions.sql.push_str(&format!(" AND seq IN ({places})"));
            conditions.values.extend(positions.iter().copied().map(Value::from));
            let left = limit.saturating_sub(rows.len());
            rows.extend(shape.by_position(db, &conditions, left)?);
            if rows.len() >= limit {
                // What lies between the last one and the next candidate was not looked at.
                let next = rows.last().map(shape.seq).filter(|seq| !is_last_piece || Some(*seq) != last);
                return Ok(Piece { rows, next });
            }
        }
        Ok(Piece { rows, next: last.filter(|_| !is_last_piece) })
    }
}

fn conditions_of(filter: &DocumentFilter) -> Conditions {
    let mut conditions = Conditions::new();
    conditions.and("fn = ?", filter.fn_number.as_ref().map(|number| number.as_str().to_owned()));
    conditions.and("fd = ?", filter.fd_number.map(ffd::ids::FdNumber::get));
    conditions.and("form = ?", filter.form);
    conditions.and("code = ?", filter.code);
    conditions.and("verdict = ?", filter.verdict.clone());
    conditions.and("received_at >= ?", filter.from.map(Timestamp::as_microsecond));
    conditions.and("received_at < ?", filter.to.map(Timestamp::as_microsecond));
    conditions.and("conflict_no > ?", filter.conflicts_only.then_some(0));
    conditions.and("forward = ?", filter.forward.map(crate::Forward::number));
    if let Some(findings) = &filter.findings {
        let (term, value) = match findings {
            FindingFilter::Any => ("ordinal >= ?", Value::from(0)),
            FindingFilter::Rule(rule) => ("rule = ?", Value::from(rule.clone())),
            FindingFilter::Severity(severity) => ("severity = ?", Value::from(severity.number())),
        };
        let sql = format!("EXISTS (SELECT 1 FROM findings WHERE findings.seq = journal.seq AND {term})");
        conditions.and(&sql, Some(value));
    }
    conditions
}
