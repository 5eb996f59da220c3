//! Cards, applications, cursors.

use jiff::Timestamp;
use rusqlite::params;

use super::insert;
use crate::registration::{
    Application, ApplicationFilter, ApplicationState, Card, CardKind, CardSource, Cursors,
};
use crate::sql::{self, Db, OptionalExtension as _, Row, Rows, params_from_iter};
use crate::tables::columns::{FnColumn, Moment, unreadable};
use crate::tables::documents::Conditions;

/// What the cards of a page may weigh together; the one that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };

const CARD: &str = "id, kind, rnm, key, kkt_id, kkt_serial, fn, inn, dated, source, received_at, applied_at, \
     confirmed_at, media_type, signature, body";
const APPLICATION: &str = "id, version, case_id, kkt_id, kind, state, application_id, rnm, refusal, attempts, next_at, \
     last_error, created_at, updated_at, request";

pub(crate) fn cursors(db: Db<'_>) -> sql::Result<Cursors> {
    db.prepare("SELECT reports, events, events_at FROM registration_cursors WHERE id = 1")?.query_row(
        [],
        |row| {
            Ok(Cursors {
                reports: row.get(0)?,
                events: row.get(1)?,
                events_at: row.get::<Option<Moment>>(2)?.map(|column| column.0),
            })
        },
    )
}

/// False when the cursor is somewhere else.
pub(super) fn move_reports(db: Db<'_>, from: i64, to: i64) -> sql::Result<bool> {
    let moved = db
        .prepare("UPDATE registration_cursors SET reports = ?2 WHERE id = 1 AND reports = ?1")?
        .execute([from, to])?;
    Ok(moved == 1)
}

/// False when the cursor is somewhere else.
pub(super) fn move_events(
    db: Db<'_>,
    from: Option<&str>,
    to: Option<&str>,
    now: Timestamp,
) -> sql::Result<bool> {
    let moved = db
        .prepare(
            "UPDATE registration_cursors SET events = ?2, events_at = ?3 WHERE id = 1 AND events IS NOT DISTINCT FROM ?1",
        )?
        .execute(params![from, to, now.as_microsecond()])?;
    Ok(moved == 1)
}

pub(crate) fn card(db: Db<'_>, id: i64) -> sql::Result<Option<Card>> {
    db.prepare(&format!("SELECT {CARD} FROM cards WHERE id = ?1"))?.query_row([id], card_row).optional()
}

pub(crate) fn card_by_key(db: Db<'_>, kind: CardKind, rnm: &str, key: &str) -> sql::Result<Option<Card>> {
    db.prepare(&format!("SELECT {CARD} FROM cards WHERE rnm = ?1 AND kind = ?2 AND key = ?3"))?
        .query_row([rnm, kind.name(), key], card_row)
        .optional()
}

pub(crate) fn cards_of_rnm(db: Db<'_>, rnm: &str, limit: usize) -> sql::Result<Vec<Card>> {
    let sql = format!("SELECT {CARD} FROM cards WHERE rnm = ?1 AND applied_at IS NULL ORDER BY id LIMIT ?2");
    let mut statement = db.prepare(&sql)?;
    within_a_page(statement.query(params![rnm, i64::try_from(limit).unwrap_or(i64::MAX)])?)
}

pub(crate) fn cards(db: Db<'_>, kkt_id: Option<i64>, after_id: i64, limit: usize) -> sql::Result<Vec<Card>> {
    let mut conditions = Conditions::new();
    conditions.and("kkt_id = ?", kkt_id);
    conditions.and("id > ?", Some(after_id));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT {CARD} FROM cards WHERE {} ORDER BY id LIMIT {limit}", conditions.sql);
    let mut statement = db.prepare(&sql)?;
    within_a_page(statement.query(params_from_iter(&conditions.values))?)
}

/// As many cards as a page may weigh.
fn within_a_page(mut rows: Rows<'_>) -> sql::Result<Vec<Card>> {
    let (mut cards, mut bytes) = (Vec::new(), 0_usize);
    while bytes < MAX_PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let card = card_row(&row)?;
        bytes = bytes.saturating_add(card.body.len());
        cards.push(card);
    }
    Ok(cards)
}

/// The number of the row; none when it is not there.
pub(super) fn put_card(db: Db<'_>, card: &Card) -> sql::Result<Option<i64>> {
    let applied_at = card.applied_at.map(Timestamp::as_microsecond);
    let confirmed_at = card.confirmed_at.map(Timestamp::as_microsecond);
    if card.id > 0 {
        let written = db
            .prepare("UPDATE cards SET kkt_id = ?2, applied_at = ?3, confirmed_at = ?4 WHERE id = ?1")?
            .execute(params![card.id, card.kkt_id, applied_at, confirmed_at])?;
        return Ok((written == 1).then_some(card.id));
    }
    insert(db, "INSERT INTO cards (kind, rnm, key, kkt_id, kkt_serial, fn, inn, dated, source, received_at, applied_at, \
             confirmed_at, media_type, signature, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
             ?13, ?14, ?15) RETURNING id", params![
            card.kind.name(),
            card.rnm,
            card.key,
            card.kkt_id,
            card.kkt_serial,
            card.fn_number.as_ref().map(|fn_number| fn_number.as_str()),
            card.inn,
            card.dated,
            card.source.name(),
            card.received_at.as_microsecond(),
            applied_at,
            confirmed_at,
            card.media_type,
            card.signature,
            card.body,
        ])
        .map(Some)
}

pub(crate) fn applications(
    db: Db<'_>,
    filter: &ApplicationFilter,
    limit: usize,
) -> sql::Result<Vec<Application>> {
    let mut conditions = Conditions::new();
    conditions.and("kkt_id = ?", filter.kkt_id);
    conditions.and("application_id = ?", filter.application_id.clone());
    conditions.and("next_at <= ?", filter.due_at.map(Timestamp::as_microsecond));
    conditions.and("id > ?", Some(filter.after_id));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql =
        format!("SELECT {APPLICATION} FROM applications WHERE {} ORDER BY id LIMIT {limit}", conditions.sql);
    db.prepare(&sql)?.query_map(params_from_iter(&conditions.values), application_row)?.collect()
}

/// The number of the row; none when it is not the one that was read.
pub(super) fn put_application(db: Db<'_>, application: &Application) -> sql::Result<Option<i64>> {
    let next_at = application.next_at.map(Timestamp::as_microsecond);
    if application.id > 0 {
        let written = db
            .prepare(
                "UPDATE applications SET version = version + 1, state = ?3, application_id = ?4, rnm = ?5, \
                 refusal = ?6, attempts = ?7, next_at = ?8, last_error = ?9, updated_at = ?10 \
                 WHERE id = ?1 AND version = ?2",
            )?
            .execute(params![
                application.id,
                application.version,
                application.state.name(),
                application.application_id,
                application.rnm,
                application.refusal,
                application.attempts,
                next_at,
                application.last_error,
                application.updated_at.as_microsecond(),
            ])?;
        return Ok((written == 1).then_some(application.id));
    }
    insert(db, "INSERT INTO applications (version, case_id, kkt_id, kind, state, application_id, rnm, refusal, attempts, \
             next_at, last_error, created_at, updated_at, request) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13) RETURNING id", params![
            application.case_id,
            application.kkt_id,
            application.kind,
            application.state.name(),
            application.application_id,
            application.rnm,
            application.refusal,
            application.attempts,
            next_at,
            application.last_error,
            application.created_at.as_microsecond(),
            application.updated_at.as_microsecond(),
            application.request,
        ])
        .map(Some)
}

fn card_row(row: &Row<'_>) -> sql::Result<Card> {
    let (kind, source): (String, String) = (row.get(1)?, row.get(9)?);
    Ok(Card {
        id: row.get(0)?,
        kind: CardKind::from_name(&kind).ok_or_else(|| unreadable(1, "cards.kind", &kind))?,
        rnm: row.get(2)?,
        key: row.get(3)?,
        kkt_id: row.get(4)?,
        kkt_serial: row.get(5)?,
        fn_number: row.get::<Option<FnColumn>>(6)?.map(|column| column.0),
        inn: row.get(7)?,
        dated: row.get(8)?,
        source: CardSource::from_name(&source).ok_or_else(|| unreadable(9, "cards.source", &source))?,
        received_at: row.get::<Moment>(10)?.0,
        applied_at: row.get::<Option<Moment>>(11)?.map(|column| column.0),
        confirmed_at: row.get::<Option<Moment>>(12)?.map(|column| column.0),
        media_type: row.get(13)?,
        signature: row.get(14)?,
        body: row.get(15)?,
    })
}

fn application_row(row: &Row<'_>) -> sql::Result<Application> {
    let state: String = row.get(5)?;
    Ok(Application {
        id: row.get(0)?,
        version: row.get(1)?,
        case_id: row.get(2)?,
        kkt_id: row.get(3)?,
        kind: row.get(4)?,
        state: ApplicationState::from_name(&state)
            .ok_or_else(|| unreadable(5, "applications.state", &state))?,
        application_id: row.get(6)?,
        rnm: row.get(7)?,
        refusal: row.get(8)?,
        attempts: row.get(9)?,
        next_at: row.get::<Option<Moment>>(10)?.map(|column| column.0),
        last_error: row.get(11)?,
        created_at: row.get::<Moment>(12)?.0,
        updated_at: row.get::<Moment>(13)?.0,
        request: row.get(14)?,
    })
}
