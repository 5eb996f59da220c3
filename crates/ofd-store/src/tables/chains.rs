//! Chains of debug ФН: the same numbers begin anew with each registration.

use crate::sql::{self, Db, OptionalExtension as _};
use rusqlite::params;

/// The newest chain of a debug ФН; none before its first document.
pub(crate) fn newest_chain(db: Db<'_>, key: &str) -> sql::Result<Option<u32>> {
    db.prepare("SELECT chain FROM debug_chains WHERE fn = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Makes a chain the newest one.
pub(crate) fn open_chain(db: Db<'_>, key: &str, chain: u32) -> sql::Result<u32> {
    db.prepare(
        "INSERT INTO debug_chains (fn, chain) VALUES (?1, ?2) \
             ON CONFLICT (fn) DO UPDATE SET chain = excluded.chain",
    )?
    .execute(params![key, chain])?;
    Ok(chain)
}
