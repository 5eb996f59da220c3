//! What people have to look at.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::columns::{FdColumn, FnColumn, Moment, unreadable};
use crate::records::TaskKind;
use crate::rows::TaskRow;

/// Adds a task about a document, in the transaction of the document.
pub(super) fn add(connection: &Connection, kind: TaskKind, seq: i64, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO tasks (kind, seq, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![kind.name(), seq, at.as_microsecond()])?;
    Ok(())
}

/// Open tasks, newest first.
pub(crate) fn list(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<TaskRow>> {
    connection
        .prepare_cached(
            "SELECT tasks.id, tasks.kind, tasks.seq, journal.fn, journal.fd, tasks.created_at FROM tasks \
             JOIN journal ON journal.seq = tasks.seq WHERE tasks.done_at IS NULL \
             ORDER BY tasks.id DESC LIMIT ?1",
        )?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            let name: String = row.get(1)?;
            Ok(TaskRow {
                id: row.get(0)?,
                kind: TaskKind::from_name(&name).ok_or_else(|| unreadable(1, "tasks.kind", &name))?,
                seq: row.get(2)?,
                fn_number: row.get::<_, FnColumn>(3)?.0,
                fd_number: row.get::<_, FdColumn>(4)?.0,
                created_at: row.get::<_, Moment>(5)?.0,
            })
        })?
        .collect()
}
