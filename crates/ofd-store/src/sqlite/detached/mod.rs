//! Files beside the store with the received bytes of old documents: which there are, and finding a document in them.

pub(crate) mod file;
pub(crate) mod moving;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::detached::DetachedFile;
use crate::{StoreError, sqlite};

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(super) id: i64,
    pub(super) path: String,
    pub(super) mark: Vec<u8>,
    pub(super) before_at: i64,
    pub(super) after_seq: i64,
    pub(super) until_seq: i64,
    pub(super) end_seq: i64,
    pub(super) documents: i64,
    pub(super) bytes: i64,
    pub(super) sha256: [u8; 32],
    pub(super) is_whole: bool,
}

const SELECT: &str = "SELECT id, path, mark, before_at, after_seq, until_seq, end_seq, documents, bytes, sha256, \
     done_at IS NOT NULL FROM detached_files";

impl Record {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            path: row.get(1)?,
            mark: row.get(2)?,
            before_at: row.get(3)?,
            after_seq: row.get(4)?,
            until_seq: row.get(5)?,
            end_seq: row.get(6)?,
            documents: row.get(7)?,
            bytes: row.get(8)?,
            sha256: row.get(9)?,
            is_whole: row.get(10)?,
        })
    }

    /// The month, such as `2026-01`.
    pub(super) fn before(&self) -> String {
        Timestamp::from_microsecond(self.before_at).map_or_else(|_| self.before_at.to_string(), month)
    }

    /// Why a document of it cannot be had.
    pub(super) fn elsewhere(&self, why: impl Into<String>) -> StoreError {
        StoreError::Elsewhere { before: self.before(), file: self.path.clone(), why: why.into() }
    }

    /// Whether documents of this position may lie in it.
    pub(crate) fn holds(&self, seq: i64) -> bool {
        self.after_seq < seq && seq <= self.until_seq
    }

    pub(super) fn told(&self) -> DetachedFile {
        DetachedFile {
            path: PathBuf::from(&self.path),
            before: self.before(),
            from_seq: self.after_seq.saturating_add(1),
            until_seq: self.until_seq,
            documents: u64::try_from(self.documents).unwrap_or(0),
            bytes: u64::try_from(self.bytes).unwrap_or(0),
            sha256: self.sha256,
            is_whole: self.is_whole,
        }
    }

    /// Where the file may lie, the likeliest place first: it may have come along with a copy of the store.
    fn places(&self, store: &Path) -> Vec<PathBuf> {
        let made = PathBuf::from(&self.path);
        let beside = made.file_name().map(|name| sqlite::disk::folder_of(store).join(name));
        let mut places = vec![made];
        places.extend(beside.filter(|beside| *beside.as_os_str() != *self.path));
        places
    }
}

/// Year and month of a moment.
pub(super) fn month(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

/// All files, in the order of their positions.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Record>> {
    connection.prepare_cached(&format!("{SELECT} ORDER BY id"))?.query_map([], Record::read)?.collect()
}

/// The same for callers.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<DetachedFile>> {
    Ok(all(connection)?.iter().map(Record::told).collect())
}

/// The file that has the documents of a position.
pub(crate) fn of_position(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE after_seq < ?1 AND until_seq >= ?1"))?
        .query_row([seq], Record::read)
        .optional()
}

fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Record> {
    connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], Record::read)
}

/// Notes a file that holds nothing yet.
fn note(connection: &Connection, record: &Record) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO detached_files (path, mark, before_at, after_seq, until_seq, end_seq, documents, bytes, sha256) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            record.path,
            record.mark,
            record.before_at,
            record.after_seq,
            record.until_seq,
            record.end_seq,
            record.documents,
            record.bytes,
            record.sha256
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Notes that a file was filled further; false when somebody else did that meanwhile.
fn advance(connection: &Connection, from: &Record, to: &Record) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE detached_files SET until_seq = ?2, documents = ?3, bytes = ?4, sha256 = ?5 \
             WHERE id = ?1 AND until_seq = ?6",
        )?
        .execute(params![from.id, to.until_seq, to.documents, to.bytes, to.sha256, from.until_seq])?;
    Ok(changed == 1)
}
