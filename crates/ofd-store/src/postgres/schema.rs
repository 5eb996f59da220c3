//! The schema in steps: forward only, run when a journal opens the database, each in its own transaction under a lock,
//! so that nodes can start together.
//!
//! Nodes are upgraded one after another: a node works with a schema one step newer than its own, because a step only
//! adds. What is no longer needed is removed a release later.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connect::in_words;
use super::target::Target;
use crate::{StoreError, Unavailability};

/// Step `n` (from 1) leads from version `n - 1` to `n`.
const STEPS: &[&str] = &[include_str!("schema/v1.sql")];

/// The first number of all our advisory locks: "FSCD" in ASCII.
pub(crate) const LOCK_CLASS: i32 = 1_179_861_828;
// 1 is held, shared, by every transaction that has taken positions, 2 for a moment while they are taken: schema/v1.sql.
const SCHEMA_LOCK: i32 = 3;
pub(super) const PARTITION_LOCK: i32 = 4;
/// Held, shared, by every session that writes, for as long as it lives, and alone by a move that fills the database.
pub(crate) const IN_USE_LOCK: i32 = 5;
/// Held by a move, so that there is only one.
pub(crate) const MOVE_LOCK: i32 = 9;

/// Whether there is a schema, asked in a way that is no error without one.
pub(crate) const IS_THERE: &str = "SELECT to_regclass('fiscald_schema') IS NOT NULL";
/// The version of the schema (negative while the database is filled by a move) and the mark of the store, which a
/// database has for life.
pub(crate) const VERSION: &str = "SELECT version, store_id FROM fiscald_schema";
const CREATE: &str = "CREATE TABLE fiscald_schema (id bigint PRIMARY KEY CHECK (id = 1), version bigint NOT NULL, \
     store_id text COLLATE \"C\" NOT NULL); \
     INSERT INTO fiscald_schema VALUES (1, 0, gen_random_uuid()::text)";

const BEING_FILLED: &str =
    "the database is being filled by `fiscald migrate`: until that is done there is no store in it";

/// What the database is before anything was written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing of ours in it.
    Nothing,
    /// A store.
    Ours {
        /// Of its schema.
        version: i64,
        /// Which store it is.
        store_id: String,
    },
}

/// Newest version of this program.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Whether this program works with a schema of this version as it is.
///
/// # Errors
/// [`StoreError::NewerSchema`], or [`StoreError::Refused`] for one that a start of the daemon has to upgrade.
pub(crate) fn fits(version: i64) -> Result<(), StoreError> {
    let newest = newest();
    if version < 0 {
        return Err(StoreError::refused(BEING_FILLED));
    }
    if version > newest.saturating_add(1) {
        let number = |version: i64| i32::try_from(version).unwrap_or(i32::MAX);
        return Err(StoreError::NewerSchema { found: number(version), known: number(newest) });
    }
    if version < newest {
        return Err(StoreError::refused(format!(
            "the store has schema version {version}, this program works on {newest}: start `fiscald serve` once with \
             this version, it upgrades the store"
        )));
    }
    Ok(())
}

/// Says that a session writes here, for as long as it lives; before it looks at the version, so that a move either sees it
/// or is seen by it. Waits for nobody.
pub(super) async fn enter(target: &Target, client: &Client) -> Result<(), StoreError> {
    let sql = format!("SELECT pg_try_advisory_lock_shared({LOCK_CLASS}, {IN_USE_LOCK})");
    let row = client.query_one(&sql, &[]).await.map_err(|error| cannot(target, &error))?;
    if row.try_get(0).map_err(|error| cannot(target, &error))? {
        return Ok(());
    }
    Err(StoreError::refused(format!("{}: {BEING_FILLED}", target.masked())))
}

/// Looks what is there.
pub(super) async fn examine(target: &Target, client: &Client) -> Result<Found, StoreError> {
    let failed = |error: tokio_postgres::Error| cannot(target, &error);
    let there: bool = client.query_one(IS_THERE, &[]).await.map_err(failed)?.get(0);
    if !there {
        return Ok(Found::Nothing);
    }
    let row = client.query_one(VERSION, &[]).await.map_err(failed)?;
    let mismatch = |error| cannot(target, &error);
    let version = row.try_get(0).map_err(mismatch)?;
    Ok(Found::Ours { version, store_id: row.try_get(1).map_err(mismatch)? })
}

/// Runs the steps the database has not seen; which store it is.
pub(super) async fn upgrade(target: &Target, client: &Client) -> Result<String, StoreError> {
    loop {
        let found = examine(target, client).await?;
        if let Found::Ours { version, store_id } = &found
            && (*version >= newest() || *version < 0)
        {
            fits(*version)?;
            return Ok(store_id.clone());
        }
        step(target, client).await?;
    }
}

/// One step, or nothing when another node was quicker.
async fn step(target: &Target, client: &Client) -> Result<(), StoreError> {
    let failed = |error: tokio_postgres::Error| cannot(target, &error);
    let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {SCHEMA_LOCK})");
    client.batch_execute(&lock).await.map_err(failed)?;
    let version = match examine(target, client).await? {
        Found::Nothing => {
            client.batch_execute(CREATE).await.map_err(failed)?;
            0
        }
        Found::Ours { version, .. } => version,
    };
    let Some(sql) = usize::try_from(version).ok().and_then(|done| STEPS.get(done)) else {
        return client.batch_execute("ROLLBACK").await.map_err(failed);
    };
    if version > 0 {
        tracing::info!(
            from = version,
            "the store's schema is upgraded; with a large journal this takes a while"
        );
    }
    client.batch_execute(sql).await.map_err(failed)?;
    let raise =
        format!("UPDATE fiscald_schema SET version = {} WHERE id = 1; COMMIT", version.saturating_add(1));
    client.batch_execute(&raise).await.map_err(failed)?;
    tracing::info!(
        to = version.saturating_add(1),
        store = target.masked(),
        "the store's schema was made or upgraded"
    );
    Ok(())
}

fn cannot(target: &Target, error: &tokio_postgres::Error) -> StoreError {
    let words = format!("{}: {}", target.masked(), in_words(error));
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => StoreError::refused(format!(
            "{words}; the store's user must own the database, or: GRANT CREATE, USAGE ON SCHEMA public TO its user"
        )),
        Some(code) if *code == SqlState::DUPLICATE_TABLE => StoreError::refused(format!(
            "{words}; the database holds tables of somebody else: give fiscald a database of its own"
        )),
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
            StoreError::unavailable(Unavailability::Busy, words)
        }
        _ => StoreError::unavailable(Unavailability::CannotOpen, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_one_step_newer_is_worked_with() {
        assert!(fits(newest()).is_ok());
        assert!(fits(newest() + 1).is_ok());
        assert!(matches!(fits(newest() + 2), Err(StoreError::NewerSchema { .. })));
        assert!(matches!(fits(newest() - 1), Err(StoreError::Refused { .. })));
    }
}
