//! Messages that were not answered: copies within limits, past them only counts.

use ffd::ids::FnNumber;
use jiff::Timestamp;
use rusqlite::params;
use rusqlite::types::Value;
use sha2::{Digest, Sha256};

use super::columns::{FdColumn, FnColumn, Moment};
use crate::records::{NewQuarantine, QuarantineOutcome};
use crate::rows::{QuarantineCount, QuarantineFilter, QuarantineRow};
use crate::sql::{self, Db, Row, params_from_iter};

/// Most copies kept of one ФН.
pub const MAX_QUARANTINE_PER_FN: u64 = 1000;

/// What a row costs besides its container: keys, index, page overhead.
const ROW_OVERHEAD_BYTES: u64 = 256;

/// ФН whose refused copies are counted one by one; the ФН past it are counted together, because anybody can
/// make up numbers of ФН.
const MAX_COUNTED_FNS: i64 = 10_000;

/// The key of those counted together.
const ALL_OTHERS: &str = "";

/// Keeps a copy, or counts it. Part of the transaction of a batch.
pub(crate) fn keep(db: Db<'_>, max_bytes: u64, copy: &NewQuarantine) -> sql::Result<QuarantineOutcome> {
    let key: [u8; 32] = copy.identity.unwrap_or_else(|| Sha256::digest(&copy.container).into());
    if seen_again(db, copy, &key)? {
        return Ok(QuarantineOutcome::Repeat);
    }
    let length = u64::try_from(copy.container.len()).unwrap_or(u64::MAX);
    let charge = length.saturating_add(ROW_OVERHEAD_BYTES);
    if !has_room(db, copy, charge, max_bytes)? {
        count_not_kept(db, copy)?;
        return Ok(QuarantineOutcome::NotKept);
    }
    db.prepare(
        "INSERT INTO quarantine (fn, fd, key, form, reason, received_at, last_at, times, identity, peer, \
             container) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1, ?7, ?8, ?9)",
    )?
    .execute(params![
        copy.fn_number.as_str(),
        copy.fd_number.get(),
        key,
        copy.form,
        copy.reason,
        copy.received_at.as_microsecond(),
        copy.identity,
        copy.peer,
        copy.container,
    ])?;
    db.prepare(
        "INSERT INTO quarantine_counts (fn, reason, kept, not_kept) VALUES (?1, ?2, 1, 0) \
             ON CONFLICT (fn, reason) DO UPDATE SET kept = quarantine_counts.kept + 1",
    )?
    .execute(params![copy.fn_number.as_str(), copy.reason])?;
    db.prepare("UPDATE quarantine_usage SET bytes = bytes + ?1 WHERE id = 1")?
        .execute([i64::try_from(charge).unwrap_or(i64::MAX)])?;
    Ok(QuarantineOutcome::Kept)
}

/// Whether anything of the ФН was ever quarantined, kept or counted. Once ФН are counted together, it can be said
/// of each that it may be among them.
pub(crate) fn may_be_held(db: Db<'_>, fn_number: &FnNumber) -> sql::Result<bool> {
    db.prepare("SELECT EXISTS (SELECT 1 FROM quarantine_counts WHERE fn IN (?1, ?2))")?
        .query_row([fn_number.as_str(), ALL_OTHERS], |row| row.get(0))
}

/// Marks the copies of a ФН that are not marked yet.
pub(crate) fn mark_released(db: Db<'_>, fn_number: &FnNumber, at: Timestamp) -> sql::Result<u64> {
    let marked = db
        .prepare("UPDATE quarantine SET released_at = ?2 WHERE fn = ?1 AND released_at IS NULL")?
        .execute(params![fn_number.as_str(), at.as_microsecond()])?;
    Ok(u64::try_from(marked).unwrap_or(u64::MAX))
}

/// Copies that pass the filter, newest first.
pub(crate) fn list(db: Db<'_>, filter: &QuarantineFilter, limit: usize) -> sql::Result<Vec<QuarantineRow>> {
    let mut sql = "SELECT id, fn, fd, form, reason, received_at, last_at, times, peer, container, identity, \
                   released_at FROM quarantine WHERE TRUE"
        .to_owned();
    let mut values = Vec::new();
    if let Some(fn_number) = &filter.fn_number {
        sql.push_str(" AND fn = ?");
        values.push(Value::from(fn_number.as_str().to_owned()));
    }
    if let Some(reason) = &filter.reason {
        sql.push_str(" AND reason = ?");
        values.push(Value::from(reason.clone()));
    }
    if filter.held_only {
        sql.push_str(" AND released_at IS NULL");
    }
    if let Some(before) = filter.before_id {
        sql.push_str(" AND id < ?");
        values.push(Value::from(before));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
    db.prepare(&sql)?.query_map(params_from_iter(values), quarantine_row)?.collect()
}

/// All counters, by ФН and reason.
pub(crate) fn counts(db: Db<'_>) -> sql::Result<Vec<QuarantineCount>> {
    db.prepare("SELECT fn, reason, kept, not_kept FROM quarantine_counts ORDER BY fn, reason")?
        .query_map([], |row| {
            let of_one = row.get_ref(0)?.as_str()? != ALL_OTHERS;
            Ok(QuarantineCount {
                fn_number: if of_one { Some(row.get::<FnColumn>(0)?.0) } else { None },
                reason: row.get(1)?,
                kept: count(row, 2)?,
                not_kept: count(row, 3)?,
            })
        })?
        .collect()
}

/// Notes another arrival of a copy that is there.
fn seen_again(db: Db<'_>, copy: &NewQuarantine, key: &[u8; 32]) -> sql::Result<bool> {
    let changed = db
        .prepare(
            "UPDATE quarantine SET times = times + 1, last_at = ?4 WHERE fn = ?1 AND fd = ?2 AND key = ?3",
        )?
        .execute(params![
            copy.fn_number.as_str(),
            copy.fd_number.get(),
            key,
            copy.received_at.as_microsecond()
        ])?;
    Ok(changed > 0)
}

fn has_room(db: Db<'_>, copy: &NewQuarantine, charge: u64, max_bytes: u64) -> sql::Result<bool> {
    let kept = db
        .prepare("SELECT CAST(coalesce(sum(kept), 0) AS BIGINT) FROM quarantine_counts WHERE fn = ?1")?
        .query_row([copy.fn_number.as_str()], |row| count(row, 0))?;
    if kept >= MAX_QUARANTINE_PER_FN {
        return Ok(false);
    }
    let used =
        db.prepare("SELECT bytes FROM quarantine_usage WHERE id = 1")?.query_row([], |row| count(row, 0))?;
    Ok(used.saturating_add(charge) <= max_bytes)
}

fn count_not_kept(db: Db<'_>, copy: &NewQuarantine) -> sql::Result<()> {
    let raised = db
        .prepare("UPDATE quarantine_counts SET not_kept = not_kept + 1 WHERE fn = ?1 AND reason = ?2")?
        .execute(params![copy.fn_number.as_str(), copy.reason])?;
    if raised > 0 {
        return Ok(());
    }
    let counted_alone = db
        .prepare("UPDATE quarantine_usage SET counters = counters + 1 WHERE id = 1 AND counters < ?1")?
        .execute([MAX_COUNTED_FNS])?;
    let key = if counted_alone > 0 { copy.fn_number.as_str() } else { ALL_OTHERS };
    db.prepare(
        "INSERT INTO quarantine_counts (fn, reason, kept, not_kept) VALUES (?1, ?2, 0, 1) \
             ON CONFLICT (fn, reason) DO UPDATE SET not_kept = quarantine_counts.not_kept + 1",
    )?
    .execute(params![key, copy.reason])?;
    Ok(())
}

/// A count column; counts are never negative.
pub(crate) fn count(row: &Row<'_>, index: usize) -> sql::Result<u64> {
    let number: i64 = row.get(index)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, number).into())
}

fn quarantine_row(row: &Row<'_>) -> sql::Result<QuarantineRow> {
    Ok(QuarantineRow {
        id: row.get(0)?,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        form: row.get(3)?,
        reason: row.get(4)?,
        received_at: row.get::<Moment>(5)?.0,
        last_at: row.get::<Moment>(6)?.0,
        times: count(row, 7)?,
        peer: row.get(8)?,
        container: row.get(9)?,
        identity: row.get(10)?,
        released_at: row.get::<Option<Moment>>(11)?.map(|moment| moment.0),
    })
}
