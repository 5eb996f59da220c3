//! Opening the file: by the daemon's writer, by readers, by operator's commands.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::disk::{self, FileId};
use super::log;
use super::schema::{self, Found};
use super::{store_error, unsynced};
use crate::{StoreError, Unavailability, sql};

/// How long opening a store and an operator's transaction wait for others.
const LOCK_PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 1000 } else { 5000 });
/// How long one attempt of a batch waits for the lock; the journal tries again within its own patience.
const BATCH_LOCK_WAIT: Duration = Duration::from_millis(250);
const OPEN_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// What is left of the log file after a time of long readers.
const LOG_SIZE_LIMIT_BYTES: i64 = 64 << 20;
/// Enough for the pages that a window of keys changes, and not more: with every commit that splits a page among others
/// SQLite walks through all of its cache.
const WRITER_CACHE_KIB: i64 = 64 << 10;
const READER_CACHE_KIB: i64 = 16 << 10;
const SECOND_CACHE_KIB: i64 = 32 << 10;
/// Distinct statements kept compiled on a connection.
const CACHED_STATEMENTS: usize = 64;
/// `PRAGMA synchronous` as SQLite answers it.
const SYNCHRONOUS_FULL: i64 = 2;

/// On what occasion the journal opens its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// At the start: makes a store where there is none.
    Start,
    /// After a failed write. A store that vanished while we were writing (a folder no longer mounted) must not be
    /// replaced by an empty one, nor by another, in which every repeat would look new.
    AfterFailure {
        /// The file that was open until then.
        same: Option<FileId>,
    },
}

/// Opens the file for the journal: creates or upgrades it, and makes everything readable in it durable.
pub(super) fn open_writer(path: &Path, opening: Opening) -> Result<Connection, StoreError> {
    match opening {
        Opening::Start => create_missing(path)?,
        Opening::AfterFailure { same } => require_same(path, same)?,
    }
    let connection = patiently(|| {
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if schema::examine(&connection, path)? == Found::Empty && opening != Opening::Start {
            return Err(cannot_open(path, "was a store and is empty now"));
        }
        make_durable(&connection)?;
        set_cache(&connection, WRITER_CACHE_KIB)?;
        match opening {
            Opening::Start => {
                unsynced::settle(&connection, path)?;
                settle_log(&connection, path)?;
            }
            Opening::AfterFailure { .. } => empty_log(&connection, path)?,
        }
        schema::upgrade(&mut connection, path)?;
        schema::try_reading(&connection)?;
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

/// Opens the file for an operator's command; creates and upgrades nothing.
pub(crate) fn open_operator(path: &Path) -> Result<Connection, StoreError> {
    require_file(path)?;
    unsynced::refuse(path)?;
    patiently(|| {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::require_newest(&connection, path)?;
        make_durable(&connection)?;
        Ok(connection)
    })
}

/// Opens the file for a second writer that works for long: as for a command, but no attempt waits for long.
pub(super) fn open_second(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_operator(path)?;
    connection.busy_timeout(BATCH_LOCK_WAIT).map_err(store_error)?;
    set_cache(&connection, SECOND_CACHE_KIB)?;
    Ok(connection)
}

/// One short writing transaction of a command.
pub(crate) fn write_once<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> sql::Result<T>,
) -> Result<T, StoreError> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(store_error)?;
    let result = work(&transaction).map_err(sql::store_error)?;
    transaction.commit().map_err(store_error)?;
    Ok(result)
}

/// Touches nothing in the file: first [`schema::examine`] has to say whose it is.
fn open(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(store_error)?;
    connection.busy_timeout(LOCK_PATIENCE).map_err(store_error)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise a plan may depend on bound values, and many a statement (any with LIMIT ?) is compiled anew for every
    // call although it is kept compiled.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(store_error)?;
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
    // The log is copied by us, see `log`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(())).map_err(store_error)
}

/// Makes durable what a log left behind holds: the process before us may have ended between a commit and its sync.
///
/// Syncing the log is enough for that, whoever is reading; copying it into the file is done as far as readers allow, and
/// left to the writer when it would take long.
/// The log file may be opened here: SQLite keeps its locks on the other two files.
fn settle_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match File::open(disk::beside(path, "-wal")).and_then(|log| log.sync_all()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let detail = format!("the log cannot be synced: {error}");
            return Err(StoreError::unavailable(Unavailability::WriteFailed, detail));
        }
    }
    let state = log::checkpoint(connection, "NOOP").map_err(store_error)?;
    if state.to_copy() >= log::LONG_FROM_PAGES {
        tracing::info!(
            pages = state.pages,
            "the log of the store is long: it is copied while documents are taken"
        );
        return Ok(());
    }
    log::copy_and_cut(connection).map(|_| ()).map_err(store_error)
}

/// Copies the whole log into the file and syncs it; needed after a failed write or sync.
///
/// Without it a log whose last sync failed would look committed, because its pages are still readable: repeats would
/// be acknowledged from it and later commits would stand on it, and the power cut would take them all. Syncing it
/// once more would not help: the system reports a failed sync once and then takes the pages for written.
fn empty_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let before = log::checkpoint(connection, "NOOP").map_err(store_error)?;
    let emptied = log::checkpoint(connection, "TRUNCATE").map_err(|error| {
        if before.copied > 0 && is_failed_sync(&error) {
            // What was copied before goes with this sync, and is counted as copied as long as our readers live.
            unsynced::leave(path);
            let detail =
                format!("copying the log failed, {error}: restart the daemon when the disk is sound");
            return StoreError::unavailable(Unavailability::FileLost, detail);
        }
        store_error(error)
    })?;
    if emptied.busy {
        let log = disk::beside(path, "-wal");
        let detail =
            format!("another process reads and so keeps {0} in use: look with `fuser {0}`", log.display());
        return Err(StoreError::unavailable(Unavailability::Busy, detail));
    }
    Ok(())
}

fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|code| code.extended_code);
    code.is_some_and(|code| {
        [rusqlite::ffi::SQLITE_IOERR_FSYNC, rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC].contains(&code)
    })
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

/// For commands: only a start of the daemon makes a store.
fn require_file(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(cannot_open(path, "is not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::unavailable(
            Unavailability::CannotOpen,
            format!("there is no store at {}: `fiscald serve` makes one", path.display()),
        )),
        Err(error) => Err(cannot_open(path, &error.to_string())),
    }
}

/// The file that was open before. Missing, it may come back; another one in its place stays another one.
pub(super) fn require_same(path: &Path, same: Option<FileId>) -> Result<(), StoreError> {
    let found = FileId::of(path).map_err(|error| cannot_open(path, &error.to_string()))?;
    if same.is_some_and(|same| same != found) {
        let detail = format!(
            "{} was replaced by another file while it was in use; check the files, then restart",
            path.display()
        );
        return Err(StoreError::unavailable(Unavailability::FileLost, detail));
    }
    Ok(())
}

/// Makes folder and file, readable by the owner only, and makes their names durable.
///
/// An existing file is not opened here: closing it would drop the locks that other connections of this process
/// hold on it.
fn create_missing(path: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| cannot_open(path, &error.to_string());
    let folder = disk::folder_of(path);
    for missing in missing_folders(folder).into_iter().rev() {
        create_folder(missing).map_err(failed)?;
    }
    refuse_orphaned_log(path)?;
    match create_file(path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            sync_folder(folder).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => require_file(path),
        Err(error) => Err(failed(error)),
    }
}

/// A log without its database holds acknowledged documents of a store that was taken away; SQLite would remove it
/// when a new database is made beside it.
fn refuse_orphaned_log(path: &Path) -> Result<(), StoreError> {
    let log = disk::beside(path, "-wal");
    if path.exists() || fs::metadata(&log).is_ok_and(|log| log.len() == 0) || !log.exists() {
        return Ok(());
    }
    let detail = format!(
        "is missing, but its log {} is there: put the store back or move the log away",
        log.display()
    );
    Err(cannot_open(path, &detail))
}

/// The folder and those above it that do not exist, from the bottom up.
fn missing_folders(folder: &Path) -> Vec<&Path> {
    let named = folder.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    named.take_while(|folder| !folder.exists()).collect()
}

/// Makes one folder and makes its name durable in the folder above.
fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    // Recursive only so that it may be there already: somebody else may make it at the same time.
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)?;
    sync_folder(disk::folder_of(folder))
}

/// A new file, readable by its owner only.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only on Unix can a folder be opened for its sync.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn cannot_open(path: &Path, detail: &str) -> StoreError {
    StoreError::unavailable(Unavailability::CannotOpen, format!("{}: {detail}", path.display()))
}
