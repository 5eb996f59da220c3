//! Reading everything anew: rows with all their columns, and the file as a database.

use rusqlite::{Connection, ErrorCode};

use super::room::Room;
use super::{in_words, store_error};
use crate::StoreError;
use crate::care::{IntegrityDepth, VerifyPage, VerifyRow};
use crate::rows::DocumentRow;
use crate::tables::documents::{self, newest_seq};

/// What a page may weigh; the row that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Most sentences that one check of the file gives.
const MAX_SENTENCES: u32 = 100;

/// Rows read by one statement. Few in tests.
const CHUNK_ROWS: usize = if cfg!(test) { 3 } else { 64 };

/// The next positions; a row that cannot be read does not hide the others.
pub(crate) fn page(connection: &Connection, after_seq: i64, limit: usize) -> rusqlite::Result<VerifyPage> {
    let transaction = connection.unchecked_transaction()?;
    let newest = newest_seq(&transaction)?;
    let mut page = VerifyPage::default();
    let (mut after, mut bytes) = (after_seq.max(0), 0_usize);
    while after < newest && page.rows.len() < limit && bytes < MAX_PAGE_BYTES {
        let left = limit.saturating_sub(page.rows.len());
        for row in chunk(&transaction, after, newest, left.min(CHUNK_ROWS))? {
            after = match &row {
                VerifyRow::Document(document) => {
                    bytes = bytes.saturating_add(weight(document));
                    document.seq
                }
                VerifyRow::Unreadable { seq, .. } => *seq,
                VerifyRow::Missing { to, .. } => *to,
            };
            page.rows.push(row);
        }
    }
    page.next = (after < newest).then_some(after);
    Ok(page)
}

/// At least one row after a position: several at once where all is well, one by one where it is not.
fn chunk(connection: &Connection, after: i64, newest: i64, most: usize) -> rusqlite::Result<Vec<VerifyRow>> {
    let first = after.saturating_add(1);
    match documents::following(connection, after, most) {
        Ok(found) => {
            let (mut rows, mut expected) = (Vec::with_capacity(found.len()), first);
            for document in found {
                // A hole takes a place of its own, and the row behind it may have to wait for the next page.
                if document.seq > expected && rows.len() < most {
                    rows.push(VerifyRow::Missing { from: expected, to: document.seq.saturating_sub(1) });
                }
                if rows.len() >= most {
                    break;
                }
                expected = document.seq.saturating_add(1);
                rows.push(VerifyRow::Document(Box::new(document)));
            }
            if rows.is_empty() {
                rows.push(VerifyRow::Missing { from: first, to: newest });
            }
            Ok(rows)
        }
        Err(error) if is_damage(&error) => Ok(vec![at_or_after(connection, first, newest)?]),
        Err(error) => Err(error),
    }
}

fn weight(document: &DocumentRow) -> usize {
    let opened = document.opened.as_ref().map_or(0, Vec::len);
    document.container.len().saturating_add(opened).saturating_add(document.acknowledgement.len())
}

/// What lies at a position.
fn at_or_after(connection: &Connection, seq: i64, newest: i64) -> rusqlite::Result<VerifyRow> {
    match documents::at(connection, seq) {
        Ok(Some(document)) => Ok(VerifyRow::Document(Box::new(document))),
        Ok(None) => {
            // The newest position is there, so there is a next one; if it cannot be found, these are taken one by one.
            let next = documents::next_seq(connection, seq).ok().flatten().unwrap_or(seq.saturating_add(1));
            Ok(VerifyRow::Missing { from: seq, to: next.saturating_sub(1).clamp(seq, newest) })
        }
        Err(error) if is_damage(&error) => Ok(VerifyRow::Unreadable { seq, why: in_words(&error) }),
        Err(error) => Err(error),
    }
}

/// Of the row alone: the disk and the locks are not meant.
fn is_damage(error: &rusqlite::Error) -> bool {
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

/// What is wrong with the file, in SQLite's words. Each statement ends when the room gets scarce.
pub(crate) fn integrity(
    connection: &Connection,
    room: &Room,
    depth: IntegrityDepth,
    step: &mut dyn FnMut(&str),
) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut look =
        |sql: &str, read: Reading| room.watch(connection, || look(connection, sql, &mut wrong, read));
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

/// What one row of a check says, if it says that something is wrong.
type Reading = fn(&rusqlite::Row<'_>) -> rusqlite::Result<Option<String>>;

/// Runs one check. Damage that ends the statement itself is one more sentence.
fn look(connection: &Connection, sql: &str, wrong: &mut Vec<String>, read: Reading) -> rusqlite::Result<()> {
    let most = usize::try_from(MAX_SENTENCES).unwrap_or(usize::MAX);
    let run = |wrong: &mut Vec<String>| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while wrong.len() < most
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
    Ok((text != "ok").then_some(text))
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
