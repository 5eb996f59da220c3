//! Known registers: from reports that were let in, from operator's commands, from releases.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use rusqlite::params;

use super::columns::{FnColumn, Moment};
use super::{quarantine, registration};
use crate::facts::FactChanges;
use crate::records::{QuarantineRelease, RegisterAdd, RegisterChange};
use crate::rows::RegisterRow;
use crate::sql::{self, Db, OptionalExtension as _, Row};

const COLUMNS: &str = "fn, kkt_serial, rnm, inn, source, report_seq, created_at, updated_at";

/// Rows read at a time when facts are read. Few in tests.
const FACTS_PAGE: i64 = if cfg!(test) { 2 } else { 10_000 };

/// Who says it. The name of the first one stays in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A form 1 or 11 that was let in.
    Report,
    /// The same, but a conflict: makes its ФН known, changes no fact.
    DisputedReport,
    /// An operator.
    Operator,
    /// A release from quarantine.
    Released,
}

/// Facts about one register as somebody states them.
pub(crate) struct Statement<'a> {
    pub(crate) fn_number: Option<FnNumber>,
    pub(crate) kkt_serial: Option<&'a str>,
    pub(crate) rnm: Option<&'a str>,
    pub(crate) inn: Option<&'a str>,
    pub(crate) source: Source,
    pub(crate) report_seq: Option<i64>,
    pub(crate) at: Timestamp,
    pub(crate) version: i64,
}

/// What changed since a version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NewFacts {
    pub(crate) version: i64,
    pub(crate) changes: FactChanges,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Report | Self::DisputedReport => "report",
            Self::Operator => "operator",
            Self::Released => "released",
        }
    }
}

impl Statement<'_> {
    /// What an operator says about the user is kept apart from what reports say.
    fn stated_inn(&self) -> Option<&str> {
        self.inn.filter(|_| self.source == Source::Operator)
    }
}

/// Raises the version that running daemons look at. Once per transaction is enough.
pub(crate) fn raise_version(db: Db<'_>) -> sql::Result<i64> {
    db.prepare("UPDATE facts_version SET version = version + 1 WHERE id = 1 RETURNING version")?
        .query_row([], |row| row.get(0))
}

/// Writes down a statement: completes the row of its ФН, or the row that so far had only its serial number, or
/// adds one. A serial number stated by an operator is not overwritten by a report.
pub(crate) fn learn(db: Db<'_>, statement: &Statement<'_>) -> sql::Result<RegisterChange> {
    let serial = statement.kkt_serial.map(str::trim).filter(|serial| !serial.is_empty());
    let by_fn = match &statement.fn_number {
        Some(number) => row_of_fn(db, number)?,
        None => None,
    };
    if by_fn.is_some() && statement.source == Source::DisputedReport {
        return Ok(RegisterChange::Updated);
    }
    let by_serial = match serial {
        Some(serial) if statement.source != Source::DisputedReport => row_of_serial(db, serial)?,
        _ => None,
    };
    let by_operator = statement.source == Source::Operator && serial.is_some();
    let (row, by_operator) = match (by_fn, by_serial) {
        (Some(row), Some(spare)) => {
            join(db, row, spare)?;
            (row, true)
        }
        (Some(row), None) | (None, Some(row)) => (row, by_operator),
        (None, None) => {
            insert(db, statement, serial, by_operator)?;
            return Ok(RegisterChange::Added);
        }
    };
    db
        .prepare(
            "UPDATE registers SET fn = coalesce(fn, ?2), \
             kkt_serial = CASE WHEN CAST(?3 AS TEXT) IS NOT NULL AND (?4 <> 0 OR serial_by_operator = 0) \
             THEN ?3 ELSE kkt_serial END, \
             serial_by_operator = CASE WHEN ?4 <> 0 THEN 1 ELSE serial_by_operator END, rnm = coalesce(?5, rnm), inn = coalesce(?6, inn), \
             report_seq = coalesce(?7, report_seq), updated_at = ?8, version = ?9, \
             stated_inn = coalesce(?10, stated_inn) WHERE id = ?1",
        )?
        .execute(params![
            row,
            statement.fn_number.as_ref().map(FnNumber::as_str),
            serial,
            by_operator,
            statement.rnm,
            statement.inn,
            statement.report_seq,
            statement.at.as_microsecond(),
            statement.version,
            statement.stated_inn(),
        ])?;
    Ok(RegisterChange::Updated)
}

/// Two rows mean one register from now on: what was stated about the row without a ФН fills the places that are
/// empty in the other one, and the register is known since the earlier of the two. The serial number moves over
/// with the statement that joins them.
fn join(db: Db<'_>, row: i64, spare: i64) -> sql::Result<()> {
    db.prepare(
        "UPDATE registers SET rnm = coalesce(registers.rnm, spare.rnm), \
             inn = coalesce(registers.inn, spare.inn), \
             stated_inn = coalesce(registers.stated_inn, spare.stated_inn), \
             created_at = CASE WHEN spare.created_at < registers.created_at THEN spare.created_at \
             ELSE registers.created_at END \
             FROM registers AS spare WHERE registers.id = ?1 AND spare.id = ?2",
    )?
    .execute([row, spare])?;
    db.prepare("DELETE FROM registers WHERE id = ?1")?.execute([spare])?;
    Ok(())
}

/// An operator's statement.
pub(crate) fn add(db: Db<'_>, register: &RegisterAdd, at: Timestamp) -> sql::Result<RegisterChange> {
    let version = raise_version(db)?;
    registration::stated::put(db, register, at, version)?;
    learn(
        db,
        &Statement {
            fn_number: register.fn_number,
            kkt_serial: register.kkt_serial.as_deref(),
            rnm: register.rnm.as_deref(),
            inn: register.inn.as_deref(),
            source: Source::Operator,
            report_seq: None,
            at,
            version,
        },
    )
}

/// Lifts the hold of a ФН, if there is one to lift.
pub(crate) fn release(db: Db<'_>, fn_number: &FnNumber, at: Timestamp) -> sql::Result<QuarantineRelease> {
    let copies = quarantine::mark_released(db, fn_number, at)?;
    if copies == 0 && row_of_fn(db, fn_number)?.is_some() {
        return Ok(QuarantineRelease::AlreadyKnown);
    }
    if copies == 0 && !quarantine::may_be_held(db, fn_number)? {
        return Ok(QuarantineRelease::NeverHeld);
    }
    let version = raise_version(db)?;
    learn(
        db,
        &Statement {
            fn_number: Some(*fn_number),
            kkt_serial: None,
            rnm: None,
            inn: None,
            source: Source::Released,
            report_seq: None,
            at,
            version,
        },
    )?;
    Ok(QuarantineRelease::Released { copies })
}

/// All rows, those with a ФН first.
pub(crate) fn list(db: Db<'_>) -> sql::Result<Vec<RegisterRow>> {
    db.prepare(&format!("SELECT {COLUMNS} FROM registers ORDER BY fn IS NULL, fn, kkt_serial"))?
        .query_map([], register_row)?
        .collect()
}

/// The row of a ФН.
pub(crate) fn find(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<Option<RegisterRow>> {
    db.prepare(&format!("SELECT {COLUMNS} FROM registers WHERE fn = ?1"))?
        .query_row([fn_number.as_str()], register_row)
        .optional()
}

/// What changed after `version`, and the version it leads to. Reads one state of the store.
pub(crate) fn facts_after(db: Db<'_>, version: i64) -> sql::Result<NewFacts> {
    db.read(|db| {
        let newest = db.query_row("SELECT version FROM facts_version WHERE id = 1", [], |row| row.get(0))?;
        let mut facts = NewFacts { version: newest, ..NewFacts::default() };
        if newest != version {
            known_after(db, version, &mut facts.changes)?;
            registration::facts::add_after(db, version, &mut facts.changes)?;
        }
        Ok(facts)
    })
}

/// In pages: at the start it is every register.
fn known_after(db: Db<'_>, version: i64, changes: &mut FactChanges) -> sql::Result<()> {
    let mut statement = db.prepare(
        "SELECT version, id, fn, kkt_serial, serial_by_operator, stated_inn FROM registers \
         WHERE (version, id) > (?1, ?2) ORDER BY version, id LIMIT ?3",
    )?;
    let (mut after, mut read) = ((version, i64::MAX), FACTS_PAGE);
    while read >= FACTS_PAGE {
        read = 0;
        let mut rows = statement.query([after.0, after.1, FACTS_PAGE])?;
        while let Some(row) = rows.next()? {
            (after, read) = ((row.get(0)?, row.get(1)?), read.saturating_add(1));
            changes.known.extend(row.get::<Option<FnColumn>>(2)?.map(|column| column.0));
            if let (Some(serial), true) = (row.get(3)?, row.get(4)?) {
                changes.stated.push((serial, row.get(5)?));
            }
        }
    }
    Ok(())
}

fn insert(db: Db<'_>, statement: &Statement<'_>, serial: Option<&str>, by_operator: bool) -> sql::Result<()> {
    let disputed = statement.source == Source::DisputedReport;
    db
        .prepare(
            "INSERT INTO registers (fn, kkt_serial, serial_by_operator, rnm, inn, source, report_seq, created_at, \
             updated_at, version, stated_inn) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)",
        )?
        .execute(params![
            statement.fn_number.as_ref().map(FnNumber::as_str),
            serial.filter(|_| !disputed),
            by_operator,
            statement.rnm.filter(|_| !disputed),
            statement.inn.filter(|_| !disputed),
            statement.source.name(),
            statement.report_seq,
            statement.at.as_microsecond(),
            statement.version,
            statement.stated_inn(),
        ])?;
    Ok(())
}

fn row_of_fn(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<Option<i64>> {
    db.prepare("SELECT id FROM registers WHERE fn = ?1")?
        .query_row([fn_number.as_str()], |row| row.get(0))
        .optional()
}

/// The row that has this serial number and no ФН yet.
fn row_of_serial(db: Db<'_>, serial: &str) -> sql::Result<Option<i64>> {
    db.prepare("SELECT id FROM registers WHERE fn IS NULL AND kkt_serial = ?1")?
        .query_row([serial], |row| row.get(0))
        .optional()
}

fn register_row(row: &Row<'_>) -> sql::Result<RegisterRow> {
    Ok(RegisterRow {
        fn_number: row.get::<Option<FnColumn>>(0)?.map(|column| column.0),
        kkt_serial: row.get(1)?,
        rnm: row.get(2)?,
        inn: row.get(3)?,
        source: row.get(4)?,
        report_seq: row.get(5)?,
        created_at: row.get::<Moment>(6)?.0,
        updated_at: row.get::<Moment>(7)?.0,
    })
}
