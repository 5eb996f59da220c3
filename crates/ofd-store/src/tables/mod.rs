//! The tables, in SQL that both engines understand.
//!
//! What acknowledges documents is not here: each engine has a way of its own for it, and only there are the schemas, the
//! care of files and the connections.

pub(crate) mod chains;
pub(crate) mod clock;
pub(crate) mod columns;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod outbox;
pub(crate) mod quarantine;
pub(crate) mod registers;
pub(crate) mod registration;
pub(crate) mod reindex;
pub(crate) mod search;
pub(crate) mod tasks;
pub(crate) mod writes;

/// While some tables still speak rusqlite alone.
pub(crate) fn legacy(db: crate::sql::Db<'_>) -> &rusqlite::Connection {
    match db {
        crate::sql::Db::Sqlite(connection) => connection,
        crate::sql::Db::Postgres(_) => unreachable!(),
    }
}

/// The same of a row.
pub(crate) fn legacy_row<'r>(row: &crate::sql::Row<'r>) -> &'r rusqlite::Row<'r> {
    match row {
        crate::sql::Row::Sqlite(row) => row,
        crate::sql::Row::Postgres(_) => unreachable!(),
    }
}
