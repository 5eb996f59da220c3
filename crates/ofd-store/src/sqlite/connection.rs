//! Opening the file: by the daemon's writer, by readers, by operator's commands.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::schema::{self, Found};
use super::store_error;
use crate::{StoreError, Unavailability};

/// How long opening a store and an operator's transaction wait for others.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long one attempt of a batch waits for the lock; the journal tries again within its own patience.
const BATCH_LOCK_WAIT: Duration = Duration::from_millis(250);
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Pages of 4 KiB after which the writer copies the log into the file.
const AUTOCHECKPOINT_PAGES: i64 = 4000;
/// What is left of the log file after a time of long readers.
const LOG_SIZE_LIMIT_BYTES: i64 = 64 << 20;
const WRITER_CACHE_KIB: i64 = 256 << 10;
const READER_CACHE_KIB: i64 = 16 << 10;
/// Distinct statements kept compiled on a connection.
const CACHED_STATEMENTS: usize = 64;
/// `PRAGMA synchronous` as SQLite answers it.
const SYNCHRONOUS_FULL: i64 = 2;

/// What opening for the journal does where there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// At the start: makes one.
    Create,
    /// After a failure: refuses. A store that vanished while we were writing (a folder no longer mounted) must
    /// not be replaced by an empty one, in which every repeat would look new.
    Refuse,
}

/// Opens the file for the journal: creates or upgrades it, and makes everything readable in it durable.
pub(super) fn open_writer(path: &Path, if_missing: IfMissing) -> Result<Connection, StoreError> {
    match if_missing {
        IfMissing::Create => create_missing(path)?,
        IfMissing::Refuse => require_file(path)?,
    }
    let connection = patiently(|| {
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if schema::examine(&connection, path)? == Found::Empty && if_missing == IfMissing::Refuse {
            return Err(cannot_open(path, "was a store and is empty now"));
        }
        make_durable(&connection)?;
        set_cache(&connection, WRITER_CACHE_KIB)?;
        schema::upgrade(&mut connection, path)?;
        empty_log(&connection)?;
        Ok(connection)
    })?;
    connection.busy_timeout(BATCH_LOCK_WAIT).map_err(store_error)?;
    Ok(connection)
}

/// Opens the file for reading only. Never takes the write lock.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    require_file(path)?;
    patiently(|| {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::require_newest(&connection, path)?;
        connection.pragma_update(None, "query_only", true).map_err(store_error)?;
        set_cache(&connection, READER_CACHE_KIB)?;
        Ok(connection)
    })
}

/// Opens the file for an operator's command; creates it where there is none, upgrades nothing.
pub(crate) fn open_operator(path: &Path) -> Result<Connection, StoreError> {
    create_missing(path)?;
    patiently(|| {
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = schema::examine(&connection, path)?;
        make_durable(&connection)?;
        if found == Found::Empty {
            schema::upgrade(&mut connection, path)?;
        }
        schema::require_newest(&connection, path)?;
        Ok(connection)
    })
}

/// One short writing transaction of a command.
pub(crate) fn write_once<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(store_error)?;
    let result = work(&transaction).map_err(store_error)?;
    transaction.commit().map_err(store_error)?;
    Ok(result)
}

/// Touches nothing in the file: first [`schema::examine`] has to say whose it is.
fn open(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(store_error)?;
    connection.busy_timeout(LOCK_PATIENCE).map_err(store_error)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

fn set_cache(connection: &Connection, kib: i64) -> Result<(), StoreError> {
    // A negative size is in KiB, a positive one in pages.
    connection.pragma_update(None, "cache_size", kib.saturating_neg()).map_err(store_error)
}

/// The modes on which the promise of durability rests, each read back.
fn make_durable(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(store_error)?;
    connection.pragma_update(None, "synchronous", "full").map_err(store_error)?;
    let synchronous: i64 =
        connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(store_error)?;
    if mode != "wal" || synchronous != SYNCHRONOUS_FULL {
        return Err(StoreError::unavailable(
            Unavailability::CannotOpen,
            format!(
                "the file system does not allow safe commits (journal {mode}, synchronous {synchronous})"
            ),
        ));
    }
    connection.pragma_update(None, "foreign_keys", true).map_err(store_error)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT_BYTES).map_err(store_error)?;
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES, |_| Ok(()))
        .map_err(store_error)
}

/// Copies the whole log into the file and syncs it.
///
/// Without it a log whose last sync failed (or was never reached) would look committed, because its pages are
/// still readable: repeats would be acknowledged from it and later commits would stand on it, and the power cut
/// would take them all.
fn empty_log(connection: &Connection) -> Result<(), StoreError> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(store_error)?;
    if busy != 0 {
        return Err(StoreError::unavailable(Unavailability::Busy, "another process keeps the log in use"));
    }
    Ok(())
}

/// Repeats an opening that met a lock: some of its steps do not wait by themselves.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match attempt() {
            Err(StoreError::Unavailable { why: Unavailability::Busy, .. }) if Instant::now() < deadline => {
                std::thread::sleep(OPEN_RETRY_PAUSE);
            }
            result => return result,
        }
    }
}

fn require_file(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(cannot_open(path, "is not a file")),
        Err(error) => Err(cannot_open(path, &error.to_string())),
    }
}

/// Makes folder and file, readable by the owner only, and makes their names durable.
///
/// An existing file is not opened here: closing it would drop the locks that other connections of this process
/// hold on it.
fn create_missing(path: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| cannot_open(path, &error.to_string());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        create_folder(folder).map_err(failed)?;
    }
    match create_file(path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            sync_folder(folder).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => require_file(path),
        Err(error) => Err(failed(error)),
    }
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)?;
    match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => sync_folder(above),
        _ => Ok(()),
    }
}

fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only on Unix can a folder be opened for its sync.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn cannot_open(path: &Path, detail: &str) -> StoreError {
    StoreError::unavailable(Unavailability::CannotOpen, format!("{}: {detail}", path.display()))
}
