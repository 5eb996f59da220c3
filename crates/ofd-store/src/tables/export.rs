//! Walking the whole journal: export in order of arrival, gaps, counts.
//!
//! Each step is a transaction of its own over a bounded piece.

use std::collections::BTreeMap;

use ffd::ids::FnNumber;
use rusqlite::params;
use rusqlite::types::Value;

use super::bodies::Bodies;
use super::columns::{FdColumn, FnColumn, Moment};
use super::documents::{Conditions, SCAN_POSITIONS, newest_seq, next_seq};
use super::quarantine::count;
use crate::rows::{Counts, ExportFilter, ExportRow, Gap};
use crate::sql::{self, Db, Row, params_from_iter};

const COLUMNS: &str = "seq, fn, fd, chain, conflict_no, form, received_at, code, verdict, container, opened";

/// What a page may weigh: containers and opened documents. The row that passes it is the last one, so that there is
/// always one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };

/// Positions of one ФН looked for at a time, and rows read at a time. Few in tests.
const CANDIDATES: i64 = if cfg!(test) { 4 } else { 2_000 };
const TOGETHER: usize = if cfg!(test) { 3 } else { 250 };

/// Keys of the index read at a time on a server. Few in tests.
const PAGE_OF_KEYS: i64 = if cfg!(test) { 3 } else { 10_000 };

macro_rules! places {
    ($of:literal) => {
        concat!(
            "SELECT fn, fd, chain, conflict_no FROM journal_index WHERE ",
            $of,
            "(fn, fd, chain, conflict_no) > (?1, ?2, ?3, ?4) ORDER BY fn, fd, chain, conflict_no LIMIT ?5"
        )
    };
}
const GAPS: &str = places!("");
const GAPS_OF_FN: &str = places!("fn = ?6 AND ");

#[derive(Default)]
struct Page {
    rows: Vec<ExportRow>,
    bytes: usize,
}

/// The next documents after a position; empty at the end.
pub(crate) fn page(
    db: Db<'_>,
    after_seq: i64,
    horizon: i64,
    filter: &ExportFilter,
    limit: usize,
) -> sql::Result<Vec<ExportRow>> {
    if let Some(fn_number) = &filter.fn_number {
        return page_of_fn(db, after_seq, horizon, fn_number, filter, limit);
    }
    let newest = newest_seq(db)?.min(horizon);
    let mut page = Page::default();
    let mut after = after_seq.max(0);
    while after < newest && !page.is_full(limit) {
        let until = end_of_piece(db, after)?.min(newest);
        let mut conditions = period(filter);
        conditions.and("seq > ?", Some(after));
        conditions.and("seq <= ?", Some(until));
        let sql = format!("SELECT {COLUMNS} FROM journal WHERE {} ORDER BY seq LIMIT ?", conditions.sql);
        after = page.fill(db, &sql, conditions.values, limit)?.unwrap_or(until);
    }
    Ok(page.rows)
}

/// Of one ФН: the index gives its positions, the sort is over positions only.
fn page_of_fn(
    db: Db<'_>,
    after_seq: i64,
    horizon: i64,
    fn_number: &FnNumber,
    filter: &ExportFilter,
    limit: usize,
) -> sql::Result<Vec<ExportRow>> {
    let mut page = Page::default();
    let mut after = after_seq.max(0);
    while !page.is_full(limit) {
        let positions: Vec<i64> = db
            .prepare(
                "SELECT seq FROM journal_index WHERE fn = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4",
            )?
            .query_map(params![fn_number.as_str(), after, horizon, CANDIDATES], |row| row.get(0))?
            .collect::<sql::Result<_>>()?;
        for positions in positions.chunks(TOGETHER) {
            let mut conditions = period(filter);
            let places = vec!["?"; positions.len()].join(", ");
            conditions.sql.push_str(&format!(" AND seq IN ({places})"));
            conditions.values.extend(positions.iter().copied().map(Value::from));
            let sql = format!(
                "SELECT {COLUMNS} FROM journal NOT INDEXED WHERE {} ORDER BY seq LIMIT ?",
                conditions.sql
            );
            page.fill(db, &sql, conditions.values, limit)?;
            if page.is_full(limit) {
                break;
            }
        }
        match positions.last() {
            Some(last) if i64::try_from(positions.len()).is_ok_and(|found| found >= CANDIDATES) => {
                after = *last
            }
            _ => break,
        }
    }
    Ok(page.rows)
}

/// The end of a piece of some positions after one: counted from the next that is taken, since there may be many between
/// the two that are not.
pub(super) fn end_of_piece(db: Db<'_>, after: i64) -> sql::Result<i64> {
    let first = next_seq(db, after.saturating_add(1))?;
    Ok(first.map_or(i64::MAX, |first| first.saturating_sub(1).saturating_add(SCAN_POSITIONS)))
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

    /// Adds rows until the page is full; the last `?` of the statement is how many at most, and so many are read at a
    /// time that little is read in vain. Gives the position to go on after when there may be more.
    fn fill(
        &mut self,
        db: Db<'_>,
        sql: &str,
        mut values: Vec<Value>,
        limit: usize,
    ) -> sql::Result<Option<i64>> {
        let most = limit.saturating_sub(self.rows.len()).min(TOGETHER);
        values.push(Value::from(i64::try_from(most).unwrap_or(i64::MAX)));
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut bodies, mut read) = (Bodies::new(db), 0_usize);
        while !self.is_full(limit) {
            let Some(row) = rows.next()? else { break };
            let row = export_row(&row, &mut bodies)?;
            let opened = row.opened.as_ref().map_or(0, Vec::len);
            self.bytes = self.bytes.saturating_add(row.container.len()).saturating_add(opened);
            self.rows.push(row);
            read = read.saturating_add(1);
        }
        Ok(self.rows.last().map(|row| row.seq).filter(|_| read >= most))
    }
}

fn export_row(row: &Row<'_>, bodies: &mut Bodies<'_>) -> sql::Result<ExportRow> {
    let seq = row.get(0)?;
    let (container, opened) = bodies.of(row, seq, 9)?.into_parts();
    Ok(ExportRow {
        seq,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        chain: row.get(3)?,
        conflict_no: row.get(4)?,
        form: row.get(5)?,
        received_at: row.get::<Moment>(6)?.0,
        code: row.get(7)?,
        verdict: row.get(8)?,
        container,
        opened,
    })
}

/// Missing ФД numbers between those that are there.
pub(crate) fn gaps(db: Db<'_>, fn_number: Option<&FnNumber>) -> sql::Result<Vec<Gap>> {
    let sql = match fn_number {
        Some(_) => GAPS_OF_FN,
        None => GAPS,
    };
    let mut gaps = Gaps::default();
    let (mut after, most) = (Place::default(), rows_at_once(db));
    loop {
        let mut statement = db.prepare(sql)?;
        let mut values: Vec<Value> = vec![
            after.key.clone().into(),
            after.fd.into(),
            after.chain.into(),
            after.conflict_no.into(),
            most.into(),
        ];
        values.extend(fn_number.map(|number| Value::from(number.as_str().to_owned())));
        let mut rows = statement.query(params_from_iter(values))?;
        let mut read = 0_i64;
        while let Some(row) = rows.next()? {
            read = read.saturating_add(1);
            let place =
                Place { key: row.get(0)?, fd: row.get(1)?, chain: row.get(2)?, conflict_no: row.get(3)? };
            if place.key != after.key {
                gaps.begin(row.get::<FnColumn>(0)?.0);
            }
            gaps.note(place.chain, place.fd);
            after = place;
        }
        if read < most {
            return Ok(gaps.end());
        }
    }
}

/// A key of the index, so that the next page begins behind it.
#[derive(Default)]
struct Place {
    key: String,
    fd: u32,
    chain: u32,
    conflict_no: u32,
}

/// How much of an ordered walk one statement reads. A file gives its rows one by one; of a server's each page is kept, and
/// the next one is found by its key.
fn rows_at_once(db: Db<'_>) -> i64 {
    match db {
        Db::Sqlite(_) => i64::MAX,
        Db::Postgres(_) => PAGE_OF_KEYS,
    }
}

/// Gaps found so far, in the order of their ФН, chains and numbers.
#[derive(Default)]
struct Gaps {
    found: Vec<Gap>,
    /// Of the ФН at hand.
    fn_number: Option<FnNumber>,
    begin: usize,
    last_of_chain: BTreeMap<u32, u32>,
}

impl Gaps {
    fn begin(&mut self, fn_number: FnNumber) {
        self.sort();
        self.begin = self.found.len();
        self.fn_number = Some(fn_number);
        self.last_of_chain.clear();
    }

    fn note(&mut self, chain: u32, fd: u32) {
        let last = self.last_of_chain.insert(chain, fd);
        if let (Some(fn_number), Some(last)) = (self.fn_number, last)
            && fd > last.saturating_add(1)
        {
            let (from, to) = (last.saturating_add(1), fd.saturating_sub(1));
            self.found.push(Gap { fn_number, chain, from, to });
        }
    }

    fn sort(&mut self) {
        if let Some(of_fn) = self.found.get_mut(self.begin..) {
            of_fn.sort_by_key(|gap| (gap.chain, gap.from));
        }
    }

    fn end(mut self) -> Vec<Gap> {
        self.sort();
        self.found
    }
}

/// How much is stored.
pub(crate) fn counts(db: Db<'_>) -> sql::Result<Counts> {
    let mut counts = Counts::default();
    let newest = newest_seq(db)?;
    let mut after = 0;
    while after < newest {
        let until = end_of_piece(db, after)?.min(newest);
        let mut statement = db.prepare(
            "SELECT code, conflict_no > 0, count(*) FROM journal WHERE seq > ?1 AND seq <= ?2 GROUP BY 1, 2",
        )?;
        let mut rows = statement.query([after, until])?;
        while let Some(row) = rows.next()? {
            let documents = count(&row, 2)?;
            counts.documents = counts.documents.saturating_add(documents);
            let of_code = counts.by_code.entry(row.get(0)?).or_default();
            *of_code = of_code.saturating_add(documents);
            if row.get(1)? {
                counts.conflicts = counts.conflicts.saturating_add(documents);
            }
        }
        after = until;
    }
    counts.quarantine = db.query_row("SELECT count(*) FROM quarantine", [], |row| count(row, 0))?;
    counts.registers = db.query_row("SELECT count(*) FROM registers", [], |row| count(row, 0))?;
    Ok(counts)
}
