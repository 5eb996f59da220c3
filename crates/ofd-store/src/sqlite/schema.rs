//! The schema in steps: forward only, run when a writer opens the file, each in its own transaction.
//!
//! `application_id` says that the file is ours, `user_version` which steps it has seen. A step only adds; what
//! is no longer needed is removed a release later.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::append;
use super::store_error;
use crate::{StoreError, Unavailability};

/// "FSCD" in ASCII.
const APPLICATION_ID: i32 = 0x4653_4344;

/// Step `n` (from 1) leads from version `n - 1` to `n`.
const STEPS: &[&str] = &[
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
    include_str!("schema/v5.sql"),
    include_str!("schema/v6.sql"),
    include_str!("schema/v7.sql"),
];

/// What the file is before anything was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing in it yet.
    Empty,
    /// A store of this version.
    Ours(i32),
}

/// Newest version of this program.
pub(super) fn newest() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// Tells whose file it is; refuses the files of others and of newer programs. Writes nothing.
pub(super) fn examine(connection: &Connection, path: &Path) -> Result<Found, StoreError> {
    let foreign =
        |found| StoreError::ForeignFile { path: path.display().to_string(), found, ours: APPLICATION_ID };
    let application_id = match pragma(connection, "application_id") {
        Ok(id) => id,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(foreign(0));
        }
        Err(error) => return Err(store_error(error)),
    };
    let version = pragma(connection, "user_version").map_err(store_error)?;
    if application_id == APPLICATION_ID {
        if version > newest() {
            return Err(StoreError::NewerSchema { found: version, known: newest() });
        }
        return Ok(Found::Ours(version));
    }
    if application_id == 0 && version == 0 && has_no_tables(connection).map_err(store_error)? {
        return Ok(Found::Empty);
    }
    Err(foreign(application_id))
}

/// Runs the steps the file has not seen.
pub(super) fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    // A new store goes through the same steps, which is nothing to tell.
    let mut is_new = false;
    loop {
        // The lock first: another process may be doing the same, and then its steps are found done.
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
        let version = match examine(&transaction, path)? {
            Found::Empty => {
                is_new = true;
                0
            }
            Found::Ours(version) => version,
        };
        let Some(step) = usize::try_from(version).ok().and_then(|done| STEPS.get(done)) else {
            return Ok(());
        };
        if !is_new {
            // A new index reads the whole table once.
            tracing::info!(
                from = version,
                "the store's schema is upgraded; with a large journal this takes a while"
            );
        }
        transaction.execute_batch(step).map_err(store_error)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(store_error)?;
        transaction.pragma_update(None, "user_version", version.saturating_add(1)).map_err(store_error)?;
        transaction.commit().map_err(store_error)?;
        if !is_new {
            tracing::info!(from = version, to = version.saturating_add(1), "the store's schema was upgraded");
        }
    }
}

/// For connections that do not upgrade: the file must have exactly this program's schema.
pub(super) fn require_newest(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match examine(connection, path)? {
        Found::Ours(version) if version == newest() => Ok(()),
        Found::Ours(version) => Err(StoreError::refused(format!(
            "the store has schema version {version}, this program works on {}: start `fiscald serve` once with \
             this version, it upgrades the store",
            newest()
        ))),
        Found::Empty => Err(StoreError::unavailable(
            Unavailability::CannotOpen,
            format!("{} holds no store yet", path.display()),
        )),
    }
}

/// Reads a little of everything a batch will touch: the schema and the newest row, which is the page to write next.
/// A store that is damaged there must not look as if it were in service again.
pub(super) fn try_reading(connection: &Connection) -> Result<(), StoreError> {
    let look = || -> rusqlite::Result<()> {
        for table in [
            "journal ORDER BY seq DESC",
            "registers",
            "facts_version",
            "debug_chains",
            "quarantine_usage",
            "human_tasks",
        ] {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} LIMIT 1"))?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            if let Some(row) = rows.next()? {
                (0..columns).try_for_each(|column| row.get_ref(column).map(|_| ()))?;
            }
        }
        Ok(())
    };
    look().and_then(|()| append::fits(connection)).map_err(store_error)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn has_no_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let first = connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(())).optional()?;
    Ok(first.is_none())
}
