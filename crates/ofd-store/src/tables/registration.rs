//! Clients, contracts, registers and their papers: the rows, and the one transaction that changes them.

pub(crate) mod commit;
pub(crate) mod contracts;
pub(crate) mod facts;
pub(crate) mod fns;
pub(crate) mod kkts;
pub(crate) mod papers;
pub(crate) mod stated;
#[cfg(test)]
mod tests;

pub(crate) use self::commit::commit;

use rusqlite::ToSql;

use crate::sql::{self, Db};

/// Adds a row by a statement that returns its number.
///
/// It is read to its end: what it breaks is told only there.
fn insert(db: Db<'_>, sql: &str, params: &[&dyn ToSql]) -> sql::Result<i64> {
    let mut statement = db.prepare(sql)?;
    let ids = statement.query_map(params, |row| row.get::<i64>(0))?.collect::<sql::Result<Vec<_>>>()?;
    ids.first().copied().ok_or_else(sql::Error::no_rows)
}
