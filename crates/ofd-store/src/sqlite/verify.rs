//! Reading the file anew as a database: pages, trees, columns, references between tables.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::keys::check;
use super::room::Room;
use super::{in_words, store_error};
use crate::StoreError;
use crate::care::IntegrityDepth;
use crate::sql::{self, Db};
use crate::tables::documents::{SCAN_POSITIONS, newest_seq};

/// Most sentences that one check of the file gives.
const MAX_SENTENCES: usize = 100;

/// What is wrong with the file, in SQLite's words. Each statement ends when the room gets scarce.
pub(crate) fn integrity(
    connection: &Connection,
    room: &Room,
    depth: IntegrityDepth,
    step: &mut dyn FnMut(&str),
) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut look =
        |sql: &str, read: Reading| room.watch(connection, || Ok(look(connection, sql, &mut wrong, read)?));
    match depth {
        IntegrityDepth::Quick => {
            for table in tables(connection).map_err(store_error)? {
                step(&table);
                look(&format!("PRAGMA quick_check('{table}')"), sentence)?;
            }
        }
        IntegrityDepth::Full => {
            step("the whole file");
            look(&format!("PRAGMA integrity_check({MAX_SENTENCES})"), sentence)?;
        }
    }
    step("references between tables");
    look("PRAGMA foreign_key_check", |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(Some(format!("a row of {table} has no row of {parent}")))
    })?;
    Ok(wrong)
}

/// Where the index of the journal does not lead to its documents, in words. It follows from the journal and can be made
/// anew, so this is no damage. Each statement ends when the room gets scarce.
pub(crate) fn index(
    connection: &Connection,
    room: &Room,
    step: &mut dyn FnMut(&str),
) -> Result<Vec<String>, StoreError> {
    step("the index of the journal");
    let mut wrong = Vec::new();
    let newest = newest_seq(Db::from(connection)).map_err(sql::store_error)?;
    let (mut after, mut rows) = (0, 0_i64);
    while after < newest && wrong.len() < MAX_SENTENCES {
        let until = after.saturating_add(SCAN_POSITIONS).min(newest);
        let rows_sql = format!("SELECT count(*) FROM journal WHERE seq > {after} AND seq <= {until}");
        rows = rows.saturating_add(room.watch(connection, || Ok(number(connection, &rows_sql)?))?);
        room.watch(connection, || {
            let lost = check::lost_sql(after, until);
            Ok(look(connection, &lost, &mut wrong, |row| {
                let (seq, fn_text, fd): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Some(format!("the index does not lead to #{seq} ФН {fn_text} ФД {fd}")))
            })?)
        })?;
        after = until;
    }
    let keys = room.watch(connection, || Ok(number(connection, &check::count_sql(newest))?))?;
    if wrong.is_empty() && keys != rows {
        wrong.push(format!("the index has {keys} places for {rows} documents"));
    }
    Ok(wrong)
}

/// The same in a word, without a look at the disk.
pub(crate) fn index_agrees(connection: &Connection) -> Result<bool, StoreError> {
    let room = Room::around(Path::new(""), 0);
    Ok(index(connection, &room, &mut |_| {})?.is_empty())
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// Of the row alone: the disk and the locks are not meant.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(..) => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// What one row of a check says, if it says that something is wrong.
type Reading = fn(&rusqlite::Row<'_>) -> rusqlite::Result<Option<String>>;

/// Runs one check. Damage that ends the statement itself is one more sentence.
fn look(connection: &Connection, sql: &str, wrong: &mut Vec<String>, read: Reading) -> rusqlite::Result<()> {
    let run = |wrong: &mut Vec<String>| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while wrong.len() < MAX_SENTENCES
            && let Some(row) = rows.next()?
        {
            wrong.extend(read(row)?);
        }
        Ok(())
    };
    match run(wrong) {
        Err(error) if is_damage(&error) => {
            wrong.push(in_words(&error));
            Ok(())
        }
        result => result,
    }
}

fn sentence(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<String>> {
    let text: String = row.get(0)?;
    // SQLite may put the place on a line of its own; a problem is one line.
    Ok((text != "ok").then(|| text.lines().collect::<Vec<_>>().join(" ")))
}

/// Names of our tables: plain words, so they stand in a statement as they are.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}
