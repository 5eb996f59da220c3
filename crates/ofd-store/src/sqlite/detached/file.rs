//! One file of detached documents: a SQLite database of its own, with the bytes of each document under its position.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::Record;
use crate::sqlite::connection::{create_file, sync_folder};
use crate::sqlite::{disk, in_words, place_failure, store_error};
use crate::{StoreError, Unavailability};

/// "FSCB" in ASCII.
const APPLICATION_ID: i32 = 0x4653_4342;
/// How long a reader waits while a step is being written to the file, and the other way round.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// With it, it is synced too that the journal of a commit is gone: a power cut could bring it back, and undo the commit
/// after the documents have left the store.
const SYNCED: &str = "extra";

const SCHEMA: &str = "
    CREATE TABLE about (mark BLOB NOT NULL, before_at INTEGER NOT NULL) STRICT;
    CREATE TABLE documents (
        seq INTEGER PRIMARY KEY,            -- position in the journal of the store
        container BLOB NOT NULL,            -- as received
        opened BLOB                         -- beside an encrypted container
    ) STRICT;";

/// The bytes of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) container: Vec<u8>,
    pub(crate) opened: Option<Vec<u8>>,
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        self.container.len().saturating_add(self.opened.as_ref().map_or(0, Vec::len))
    }
}

/// Hash over documents in their order. Each one is hashed together with what came before it, so that a sum can go on from
/// the one that is noted: SHA-256 of (sum so far, position, length of the container, container, length of the opened
/// document or -1, opened document), numbers as eight bytes, greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum(pub(super) [u8; 32]);

impl Sum {
    pub(super) const NOTHING: Self = Self([0; 32]);

    pub(super) fn add(&mut self, seq: i64, bytes: &Bytes) {
        let length = |bytes: &Vec<u8>| i64::try_from(bytes.len()).unwrap_or(i64::MAX).to_be_bytes();
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(seq.to_be_bytes());
        hasher.update(length(&bytes.container));
        hasher.update(&bytes.container);
        hasher.update(bytes.opened.as_ref().map_or((-1_i64).to_be_bytes(), length));
        hasher.update(bytes.opened.as_deref().unwrap_or_default());
        self.0 = hasher.finalize().into();
    }
}

/// Makes the file for documents received before a moment, or takes one that a killed call made and that holds nothing;
/// `known` are the marks of files that the store knows. Gives its mark.
pub(super) fn make(path: &Path, before_at: i64, known: &[&[u8]]) -> Result<Vec<u8>, StoreError> {
    if let Err(error) = create_file(path)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        let detail = format!("{} cannot be made: {error}", path.display());
        return Err(StoreError::unavailable(Unavailability::WriteFailed, detail));
    }
    let taken = || {
        StoreError::refused(format!(
            "{} is there already, and a detachment never replaces anything: name another file",
            path.display()
        ))
    };
    let is_new = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0);
    let mut file = open(path).map_err(|_| taken())?;
    if is_new {
        file.pragma_update(None, "synchronous", SYNCED).map_err(|error| at(path, error))?;
        let transaction = file.transaction().map_err(store_error)?;
        let fill = || -> rusqlite::Result<()> {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            let insert = "INSERT INTO about (mark, before_at) VALUES (randomblob(16), ?1)";
            transaction.execute(insert, [before_at]).map(|_| ())
        };
        fill().map_err(|error| at(path, error))?;
        transaction.commit().map_err(|error| at(path, error))?;
        sync_folder(disk::folder_of(path)).map_err(|error| {
            StoreError::unavailable(Unavailability::WriteFailed, format!("{}: {error}", path.display()))
        })?;
    }
    let look = || -> rusqlite::Result<Option<Vec<u8>>> {
        let empty = "SELECT mark FROM about WHERE before_at = ?1 AND NOT EXISTS (SELECT 1 FROM documents)";
        if mark_of(&file)?.is_none() {
            return Ok(None);
        }
        file.query_row(empty, [before_at], |row| row.get(0)).optional()
    };
    look().ok().flatten().filter(|mark| !known.contains(&mark.as_slice())).ok_or_else(taken)
}

/// Opens the file of a record for reading, wherever it lies.
pub(crate) fn open_for_reading(record: &Record, store: &Path) -> Result<Connection, StoreError> {
    // What a killed step left half written is rolled back by the first to look, so not with a read-only mode.
    let connection = find(record, store)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| unreadable(record, &error))?;
    Ok(connection)
}

/// Opens the file of a record for the next step.
pub(super) fn open_for_writing(record: &Record, store: &Path) -> Result<Connection, StoreError> {
    let connection = find(record, store)?;
    connection.pragma_update(None, "synchronous", SYNCED).map_err(|error| unreadable(record, &error))?;
    Ok(connection)
}

fn find(record: &Record, store: &Path) -> Result<Connection, StoreError> {
    let mut why = None;
    for place in record.places(store) {
        if fs::metadata(&place).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            continue;
        }
        match open(&place).and_then(|connection| Ok((mark_of(&connection)?, connection))) {
            Ok((Some(mark), connection)) if mark == record.mark => return Ok(connection),
            Ok(_) => {
                why = Some(format!("but what lies at {} is another file: put it back", place.display()));
            }
            Err(error) => {
                why = Some(format!("but {} cannot be read: {}", place.display(), in_words(&error)));
            }
        }
    }
    let gone = || "which is not there, nor beside the store: put it back in either place".to_owned();
    Err(record.elsewhere(why.unwrap_or_else(gone)))
}

/// The mark of a file of ours; none for another's.
fn mark_of(connection: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Ok(None);
    }
    connection.query_row("SELECT mark FROM about", [], |row| row.get(0)).optional()
}

/// A file that is write-protected is opened all the same, for reading.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mode = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, mode)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    Ok(connection)
}

/// The bytes of one document.
pub(crate) fn read(file: &Connection, record: &Record, seq: i64) -> Result<Bytes, StoreError> {
    let found = file
        .prepare_cached("SELECT container, opened FROM documents WHERE seq = ?1")
        .and_then(|mut statement| {
            let bytes =
                statement.query_row([seq], |row| Ok(Bytes { container: row.get(0)?, opened: row.get(1)? }));
            bytes.optional()
        })
        .map_err(|error| unreadable(record, &error))?;
    found.ok_or_else(|| record.elsewhere(format!("which lacks position {seq}: put back a copy that has it")))
}

/// Replaces what lies behind a position, in the open transaction.
pub(super) fn put(file: &Connection, after: i64, documents: &[(i64, Bytes)]) -> rusqlite::Result<()> {
    file.prepare_cached("DELETE FROM documents WHERE seq > ?1")?.execute([after])?;
    let mut insert =
        file.prepare_cached("INSERT INTO documents (seq, container, opened) VALUES (?1, ?2, ?3)")?;
    for (seq, bytes) in documents {
        insert.execute(params![seq, bytes.container, bytes.opened])?;
    }
    Ok(())
}

/// Reads what lies behind a position up to another one, goes on with the sum, and counts.
pub(super) fn sum(file: &Connection, after: i64, until: i64, sum: &mut Sum) -> rusqlite::Result<i64> {
    let mut statement = file.prepare_cached(
        "SELECT seq, container, opened FROM documents WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query([after, until])?;
    let mut count = 0_i64;
    while let Some(row) = rows.next()? {
        sum.add(row.get(0)?, &Bytes { container: row.get(1)?, opened: row.get(2)? });
        count = count.saturating_add(1);
    }
    Ok(count)
}

pub(super) fn unreadable(record: &Record, error: &rusqlite::Error) -> StoreError {
    record.elsewhere(format!("which cannot be read: {}", in_words(error)))
}

pub(super) fn at(path: &Path, error: rusqlite::Error) -> StoreError {
    place_failure(path, store_error(error))
}
