//! Chains of debug ФН: the same numbers begin anew with each registration.

use rusqlite::{Connection, OptionalExtension, params};

/// The newest chain of a debug ФН; none before its first document.
pub(crate) fn newest_chain(connection: &Connection, key: &str) -> rusqlite::Result<Option<u32>> {
    connection
        .prepare_cached("SELECT chain FROM debug_chains WHERE fn = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Makes a chain the newest one.
pub(crate) fn open_chain(connection: &Connection, key: &str, chain: u32) -> rusqlite::Result<u32> {
    connection
        .prepare_cached(
            "INSERT INTO debug_chains (fn, chain) VALUES (?1, ?2) \
             ON CONFLICT (fn) DO UPDATE SET chain = excluded.chain",
        )?
        .execute(params![key, chain])?;
    Ok(chain)
}
