//! Registers and the history of their ФН.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use rusqlite::params;

use super::insert;
use crate::registration::{Kkt, KktFilter, KktFn, KktKey, RegistrationState};
use crate::sql::{self, Db, OptionalExtension as _, Row, params_from_iter};
use crate::tables::columns::{FnColumn, Moment, unreadable};
use crate::tables::documents::Conditions;
use crate::tables::quarantine::count;

const KKT: &str = "id, version, state, state_since, serial, model, rnm, rnm_confirmed, inn, fn, fn_model, line_id, \
     mismatch, report_seq, due_at, card_id, deregistered_at, created_at, updated_at";

pub(crate) fn find(db: Db<'_>, key: KktKey<'_>) -> sql::Result<Option<Kkt>> {
    // Of several the one that is not deregistered, then the newest.
    let best = "ORDER BY state = 'DEREGISTERED', id DESC LIMIT 1";
    // A number that a document confirmed goes before one that somebody only typed.
    let best_number = "ORDER BY state = 'DEREGISTERED', rnm_confirmed DESC, id DESC LIMIT 1";
    let (sql, text) = match key {
        KktKey::Id(id) => return find_by_number(db, "id", id),
        KktKey::Line(id) => return find_by_number(db, "line_id", id),
        KktKey::Rnm(rnm) => (format!("SELECT {KKT} FROM kkts WHERE rnm = ?1 {best_number}"), rnm),
        KktKey::Serial(serial) => (format!("SELECT {KKT} FROM kkts WHERE serial = ?1 {best}"), serial),
        KktKey::Fn(fn_number) => (format!("SELECT {KKT} FROM kkts WHERE fn = ?1 {best}"), fn_number.as_str()),
        KktKey::FnEver(fn_number) => (
            format!(
                "SELECT {KKT} FROM kkts WHERE id = (SELECT kkt_id FROM kkt_fns WHERE fn = ?1 AND withdrawn = 0 \
                 ORDER BY id DESC LIMIT 1)"
            ),
            fn_number.as_str(),
        ),
    };
    db.prepare(&sql)?.query_row([text], kkt_row).optional()
}

fn find_by_number(db: Db<'_>, column: &str, number: i64) -> sql::Result<Option<Kkt>> {
    db.prepare(&format!("SELECT {KKT} FROM kkts WHERE {column} = ?1 ORDER BY id DESC LIMIT 1"))?
        .query_row([number], kkt_row)
        .optional()
}

pub(crate) fn list(db: Db<'_>, filter: &KktFilter, limit: usize) -> sql::Result<Vec<Kkt>> {
    let mut conditions = Conditions::new();
    conditions.and("state = ?", filter.state.map(|state| state.name().to_owned()));
    conditions.and("inn = ?", filter.inn.clone());
    conditions.and("rnm = ?", filter.rnm.clone());
    conditions.and("line_id IN (SELECT id FROM contract_lines WHERE contract_id = ?)", filter.contract_id);
    conditions.and("id > ?", Some(filter.after_id));
    let mismatch = if filter.mismatch_only { " AND mismatch <> ''" } else { "" };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT {KKT} FROM kkts WHERE {}{mismatch} ORDER BY id LIMIT {limit}", conditions.sql);
    db.prepare(&sql)?.query_map(params_from_iter(&conditions.values), kkt_row)?.collect()
}

pub(crate) fn due(db: Db<'_>, now: Timestamp, limit: usize) -> sql::Result<Vec<Kkt>> {
    db.prepare(&format!("SELECT {KKT} FROM kkts WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2"))?
        .query_map(params![now.as_microsecond(), i64::try_from(limit).unwrap_or(i64::MAX)], kkt_row)?
        .collect()
}

pub(crate) fn counts(db: Db<'_>) -> sql::Result<Vec<(RegistrationState, u64)>> {
    db.prepare("SELECT state, count(*) FROM kkts GROUP BY state")?
        .query_map([], |row| Ok((state_column(row, 0)?, count(row, 1)?)))?
        .collect()
}

pub(crate) fn history(db: Db<'_>, kkt_id: i64, limit: usize) -> sql::Result<Vec<KktFn>> {
    db.prepare(
        "SELECT id, kkt_id, fn, model, from_at, to_at, withdrawn FROM kkt_fns WHERE kkt_id = ?1 \
             ORDER BY id LIMIT ?2",
    )?
    .query_map(params![kkt_id, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(KktFn {
            id: row.get(0)?,
            kkt_id: row.get(1)?,
            fn_number: row.get::<FnColumn>(2)?.0,
            model: row.get(3)?,
            from_at: row.get::<Moment>(4)?.0,
            to_at: row.get::<Option<Moment>>(5)?.map(|column| column.0),
            withdrawn: row.get(6)?,
        })
    })?
    .collect()
}

/// Writes a register and the history of its ФН; the number of the row, none when it is not the one that was read.
pub(crate) fn put(
    db: Db<'_>,
    kkt: &Kkt,
    facts_version: impl FnOnce() -> sql::Result<i64>,
) -> sql::Result<Option<i64>> {
    if kkt.id == 0 {
        let id = add(db, kkt, facts_version()?)?;
        if let Some(fn_number) = &kkt.fn_number {
            begin(db, id, fn_number, kkt)?;
        }
        return Ok(Some(id));
    }
    let stored = find(db, KktKey::Id(kkt.id))?;
    let Some(stored) = stored.filter(|stored| stored.version == kkt.version) else { return Ok(None) };
    // Of the history: the column may have been given up already.
    let held = fn_in_use(db, kkt.id)?;
    // Only these matter to reception: most moves of the state change none of them.
    let is_told = held == kkt.fn_number
        && (stored.line_id, stored.deregistered_at) == (kkt.line_id, kkt.deregistered_at);
    let version = if is_told { None } else { Some(facts_version()?) };
    update(db, kkt, version)?;
    if held != kkt.fn_number {
        end(db, kkt)?;
        if let Some(fn_number) = &kkt.fn_number {
            begin(db, kkt.id, fn_number, kkt)?;
        }
    } else if stored.fn_model != kkt.fn_model {
        db.prepare("UPDATE kkt_fns SET model = ?2 WHERE kkt_id = ?1 AND to_at IS NULL")?
            .execute(params![kkt.id, kkt.fn_model])?;
    }
    Ok(Some(kkt.id))
}

fn add(db: Db<'_>, kkt: &Kkt, facts_version: i64) -> sql::Result<i64> {
    insert(
        db,
        "INSERT INTO kkts (version, state, state_since, serial, model, rnm, rnm_confirmed, inn, fn, fn_model, \
             line_id, mismatch, report_seq, due_at, card_id, deregistered_at, created_at, updated_at, facts_version) \
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) RETURNING id",
        params![
            kkt.state.name(),
            kkt.state_since.as_microsecond(),
            kkt.serial,
            kkt.model,
            kkt.rnm,
            kkt.rnm_confirmed,
            kkt.inn,
            kkt.fn_number.as_ref().map(FnNumber::as_str),
            kkt.fn_model,
            kkt.line_id,
            kkt.mismatch.join(","),
            kkt.report_seq,
            kkt.due_at.map(Timestamp::as_microsecond),
            kkt.card_id,
            kkt.deregistered_at,
            kkt.created_at.as_microsecond(),
            kkt.updated_at.as_microsecond(),
            facts_version,
        ],
    )
}

fn update(db: Db<'_>, kkt: &Kkt, facts_version: Option<i64>) -> sql::Result<()> {
    db
        .prepare(
            "UPDATE kkts SET version = version + 1, state = ?2, state_since = ?3, serial = ?4, model = ?5, rnm = ?6, \
             rnm_confirmed = ?7, inn = ?8, fn = ?9, fn_model = ?10, line_id = ?11, mismatch = ?12, report_seq = ?13, \
             due_at = ?14, card_id = ?15, deregistered_at = ?16, updated_at = ?17, \
             facts_version = coalesce(?18, facts_version) WHERE id = ?1",
        )?
        .execute(params![
            kkt.id,
            kkt.state.name(),
            kkt.state_since.as_microsecond(),
            kkt.serial,
            kkt.model,
            kkt.rnm,
            kkt.rnm_confirmed,
            kkt.inn,
            kkt.fn_number.as_ref().map(FnNumber::as_str),
            kkt.fn_model,
            kkt.line_id,
            kkt.mismatch.join(","),
            kkt.report_seq,
            kkt.due_at.map(Timestamp::as_microsecond),
            kkt.card_id,
            kkt.deregistered_at,
            kkt.updated_at.as_microsecond(),
            facts_version,
        ])?;
    Ok(())
}

fn fn_in_use(db: Db<'_>, kkt_id: i64) -> sql::Result<Option<FnNumber>> {
    let held: Option<FnColumn> = db
        .prepare("SELECT fn FROM kkt_fns WHERE kkt_id = ?1 AND to_at IS NULL")?
        .query_row([kkt_id], |row| row.get(0))
        .optional()?;
    Ok(held.map(|column| column.0))
}

/// Takes the ФН out of a register that is about to get another one or none, so that another register of the same change
/// may have it, whichever is written first.
pub(super) fn give_up(db: Db<'_>, kkt: &Kkt) -> sql::Result<()> {
    db.prepare("UPDATE kkts SET fn = NULL WHERE id = ?1 AND version = ?2 AND fn IS DISTINCT FROM ?3")?
        .execute(params![kkt.id, kkt.version, kkt.fn_number.as_ref().map(FnNumber::as_str)])?;
    Ok(())
}

fn begin(db: Db<'_>, kkt_id: i64, fn_number: &FnNumber, kkt: &Kkt) -> sql::Result<()> {
    db.prepare("INSERT INTO kkt_fns (kkt_id, fn, model, from_at, withdrawn) VALUES (?1, ?2, ?3, ?4, 0)")?
        .execute(params![kkt_id, fn_number.as_str(), kkt.fn_model, kkt.updated_at.as_microsecond()])?;
    Ok(())
}

fn end(db: Db<'_>, kkt: &Kkt) -> sql::Result<()> {
    db.prepare("UPDATE kkt_fns SET to_at = ?2 WHERE kkt_id = ?1 AND to_at IS NULL")?
        .execute(params![kkt.id, kkt.updated_at.as_microsecond()])?;
    Ok(())
}

/// Marks a ФН that was never there. One that is in use stays.
pub(super) fn withdraw(db: Db<'_>, kkt_id: i64, fn_number: &FnNumber, facts_version: i64) -> sql::Result<()> {
    let marked = db
        .prepare("UPDATE kkt_fns SET withdrawn = 1 WHERE kkt_id = ?1 AND fn = ?2 AND to_at IS NOT NULL")?
        .execute(params![kkt_id, fn_number.as_str()])?;
    if marked > 0 {
        // Another register that had it before is its holder again.
        db.prepare(
            "UPDATE kkts SET facts_version = ?2 WHERE id IN (SELECT kkt_id FROM kkt_fns WHERE fn = ?1)",
        )?
        .execute(params![fn_number.as_str(), facts_version])?;
    }
    Ok(())
}

fn kkt_row(row: &Row<'_>) -> sql::Result<Kkt> {
    let mismatch: String = row.get(12)?;
    Ok(Kkt {
        id: row.get(0)?,
        version: row.get(1)?,
        state: state_column(row, 2)?,
        state_since: row.get::<Moment>(3)?.0,
        serial: row.get(4)?,
        model: row.get(5)?,
        rnm: row.get(6)?,
        rnm_confirmed: row.get(7)?,
        inn: row.get(8)?,
        fn_number: row.get::<Option<FnColumn>>(9)?.map(|column| column.0),
        fn_model: row.get(10)?,
        line_id: row.get(11)?,
        mismatch: mismatch.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect(),
        report_seq: row.get(13)?,
        due_at: row.get::<Option<Moment>>(14)?.map(|column| column.0),
        card_id: row.get(15)?,
        deregistered_at: row.get(16)?,
        created_at: row.get::<Moment>(17)?.0,
        updated_at: row.get::<Moment>(18)?.0,
    })
}

fn state_column(row: &Row<'_>, index: usize) -> sql::Result<RegistrationState> {
    let name: String = row.get(index)?;
    RegistrationState::from_name(&name).ok_or_else(|| unreadable(index, "kkts.state", &name).into())
}
