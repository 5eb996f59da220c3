//! Walking the whole journal: export in order of arrival, gaps, counts.
//!
//! Each step is a transaction of its own over a bounded piece.

use std::collections::BTreeMap;

use ffd::ids::FnNumber;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::columns::{FdColumn, FnColumn, Moment};
use super::documents::{Conditions, SCAN_POSITIONS, newest_seq};
use super::quarantine::count;
use crate::rows::{Counts, ExportFilter, ExportRow, Gap};

const COLUMNS: &str = "seq, fn, fd, chain, conflict_no, form, received_at, code, verdict, container, opened";

/// What a page may weigh: containers and opened documents. The row that passes it is the last one, so that there is
/// always one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };

#[derive(Default)]
struct Page {
    rows: Vec<ExportRow>,
    bytes: usize,
}

/// The next documents after a position; empty at the end.
pub(crate) fn page(
    connection: &Connection,
    after_seq: i64,
    filter: &ExportFilter,
    limit: usize,
) -> rusqlite::Result<Vec<ExportRow>> {
    if filter.fn_number.is_some() {
        return page_of_fn(connection, after_seq, filter, limit);
    }
    let newest = newest_seq(connection)?;
    let mut page = Page::default();
    let mut after = after_seq.max(0);
    while after < newest && !page.is_full(limit) {
        let until = after.saturating_add(SCAN_POSITIONS);
        let mut conditions = period(filter);
        conditions.and("seq > ?", Some(after));
        conditions.and("seq <= ?", Some(until));
        let sql = format!("SELECT {COLUMNS} FROM journal WHERE {} ORDER BY seq LIMIT ?", conditions.sql);
        page.fill(connection, &sql, conditions.values, limit)?;
        after = until;
    }
    Ok(page.rows)
}

/// Of one ФН: the index gives its positions, the sort is over positions only.
fn page_of_fn(
    connection: &Connection,
    after_seq: i64,
    filter: &ExportFilter,
    limit: usize,
) -> rusqlite::Result<Vec<ExportRow>> {
    let mut conditions = period(filter);
    conditions.and("fn = ?", filter.fn_number.as_ref().map(|number| number.as_str().to_owned()));
    conditions.and("seq > ?", Some(after_seq));
    let sql = format!(
        "SELECT {COLUMNS} FROM journal WHERE seq IN (SELECT seq FROM journal INDEXED BY journal_identity \
         WHERE {} ORDER BY seq LIMIT ?) ORDER BY seq",
        conditions.sql
    );
    let mut page = Page::default();
    page.fill(connection, &sql, conditions.values, limit)?;
    Ok(page.rows)
}

fn period(filter: &ExportFilter) -> Conditions {
    let mut conditions = Conditions::new();
    conditions.and("received_at >= ?", filter.from.map(jiff::Timestamp::as_microsecond));
    conditions.and("received_at < ?", filter.to.map(jiff::Timestamp::as_microsecond));
    conditions
}

impl Page {
    fn is_full(&self, limit: usize) -> bool {
        self.rows.len() >= limit || self.bytes >= MAX_PAGE_BYTES
    }

    /// Adds rows until the page is full; the last `?` of the statement is how many at most.
    fn fill(
        &mut self,
        connection: &Connection,
        sql: &str,
        mut values: Vec<Value>,
        limit: usize,
    ) -> rusqlite::Result<()> {
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while !self.is_full(limit) {
            let Some(row) = rows.next()? else { break };
            let row = export_row(row)?;
            let opened = row.opened.as_ref().map_or(0, Vec::len);
            self.bytes = self.bytes.saturating_add(row.container.len()).saturating_add(opened);
            self.rows.push(row);
        }
        Ok(())
    }
}

fn export_row(row: &Row<'_>) -> rusqlite::Result<ExportRow> {
    Ok(ExportRow {
        seq: row.get(0)?,
        fn_number: row.get::<_, FnColumn>(1)?.0,
        fd_number: row.get::<_, FdColumn>(2)?.0,
        chain: row.get(3)?,
        conflict_no: row.get(4)?,
        form: row.get(5)?,
        received_at: row.get::<_, Moment>(6)?.0,
        code: row.get(7)?,
        verdict: row.get(8)?,
        container: row.get(9)?,
        opened: row.get(10)?,
    })
}

/// Missing ФД numbers between those that are there.
pub(crate) fn gaps(connection: &Connection, fn_number: Option<&FnNumber>) -> rusqlite::Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    if let Some(fn_number) = fn_number {
        gaps_of(connection, *fn_number, &mut gaps)?;
        return Ok(gaps);
    }
    let mut last = String::new();
    while let Some(next) = next_fn(connection, &last)? {
        gaps_of(connection, next, &mut gaps)?;
        last = next.as_str().to_owned();
    }
    Ok(gaps)
}

/// The next ФН of the journal in order of their text.
pub(crate) fn next_fn(connection: &Connection, after: &str) -> rusqlite::Result<Option<FnNumber>> {
    connection
        .prepare_cached(
            "SELECT fn FROM journal INDEXED BY journal_identity WHERE fn > ?1 ORDER BY fn LIMIT 1",
        )?
        .query_row([after], |row| Ok(row.get::<_, FnColumn>(0)?.0))
        .optional()
}

fn gaps_of(connection: &Connection, fn_number: FnNumber, gaps: &mut Vec<Gap>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT chain, fd FROM journal INDEXED BY journal_identity WHERE fn = ?1 ORDER BY fd, chain",
    )?;
    let mut rows = statement.query([fn_number.as_str()])?;
    let mut last_of_chain: BTreeMap<u32, u32> = BTreeMap::new();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (chain, fd): (u32, u32) = (row.get(0)?, row.get(1)?);
        if let Some(last) = last_of_chain.insert(chain, fd)
            && fd > last.saturating_add(1)
        {
            found.push(Gap { fn_number, chain, from: last.saturating_add(1), to: fd.saturating_sub(1) });
        }
    }
    found.sort_by_key(|gap| (gap.chain, gap.from));
    gaps.append(&mut found);
    Ok(())
}

/// How much is stored.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let newest = newest_seq(connection)?;
    let mut after = 0;
    while after < newest {
        let until = after.saturating_add(SCAN_POSITIONS).min(newest);
        let mut statement = connection.prepare_cached(
            "SELECT code, conflict_no > 0, count(*) FROM journal WHERE seq > ?1 AND seq <= ?2 GROUP BY 1, 2",
        )?;
        let mut rows = statement.query([after, until])?;
        while let Some(row) = rows.next()? {
            let documents = count(row, 2)?;
            counts.documents = counts.documents.saturating_add(documents);
            let of_code = counts.by_code.entry(row.get(0)?).or_default();
            *of_code = of_code.saturating_add(documents);
            if row.get(1)? {
                counts.conflicts = counts.conflicts.saturating_add(documents);
            }
        }
        after = until;
    }
    counts.quarantine = connection.query_row("SELECT count(*) FROM quarantine", [], |row| count(row, 0))?;
    counts.registers = connection.query_row("SELECT count(*) FROM registers", [], |row| count(row, 0))?;
    Ok(counts)
}
