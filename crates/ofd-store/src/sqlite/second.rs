//! A writer beside the journal's: other rows of the same file, the same durability.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};

use super::disk::{FileId, OpenFiles};
use super::log::Log;
use super::{connection, in_words, is_busy, store_error, unsynced};
use crate::journal::JournalHandle;
use crate::sql::{self, Db};
use crate::turnstile::Turnstile;
use crate::{StoreError, Unavailability};

/// How long a write is tried again while somebody else holds the database.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 3_000 } else { 30_000 });
/// Between two attempts, without a turn: the journal may try meanwhile.
const PAUSE: Duration = Duration::from_millis(10);

/// A second writing connection.
#[derive(Debug)]
pub(crate) struct SecondWriter {
    connection: Connection,
    path: PathBuf,
    company: Company,
}

/// What a writer shares with the journal of its process.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) turnstile: Turnstile,
    /// What the journal has open.
    pub(crate) files: OpenFiles,
    /// Which file the journal has: another one in its place is nobody's.
    pub(crate) same: Option<FileId>,
    pub(crate) journal: JournalHandle,
}

/// Where an attempt failed.
enum Failure {
    /// Before anything reached the log.
    Before(StoreError),
    /// While the work was done: nothing of it is to be seen by others.
    Work(sql::Error),
    /// While it was written and synced: others may see what is not on the disk.
    Commit(rusqlite::Error),
}

#[derive(Debug)]
enum Company {
    /// The journal keeps the log short.
    Journal(Beside),
    /// Nobody else in this process: the log is ours to keep short.
    Alone(Box<Log>),
}

impl SecondWriter {
    /// Opens the file; it must exist and have this program's schema.
    pub(crate) fn open(path: &Path, beside: Option<Beside>) -> Result<Self, StoreError> {
        if let Some(beside) = &beside {
            beside.check(path)?;
        }
        let connection = connection::open_second(path)?;
        // Should it be the last to close, the log is left to the next start: copying it may take long.
        unsynced::copy_at_close(&connection, false).map_err(store_error)?;
        let company = beside.map_or_else(|| Company::Alone(Box::default()), Company::Journal);
        Ok(Self { connection, path: path.to_path_buf(), company })
    }

    /// For reading.
    pub(crate) fn db(&self) -> Db<'_> {
        Db::from(&self.connection)
    }

    /// One transaction. `work` is run anew when somebody else held the database.
    pub(crate) fn write<T>(
        &mut self,
        mut work: impl FnMut(Db<'_>) -> sql::Result<T>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let result = loop {
            match self.attempt(&mut work) {
                Err(failure) if failure.is_busy() && Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                result => break result,
            }
        };
        let value = result.map_err(|failure| self.failed(failure))?;
        self.after()?;
        Ok(value)
    }

    fn attempt<T>(&mut self, work: &mut impl FnMut(Db<'_>) -> sql::Result<T>) -> Result<T, Failure> {
        let beside = match &self.company {
            Company::Journal(beside) => Some(beside.clone()),
            Company::Alone(_) => None,
        };
        let _turn = beside.as_ref().map(|beside| beside.turnstile.enter_modestly());
        if let Some(beside) = &beside {
            beside.check(&self.path).map_err(Failure::Before)?;
        }
        let transaction =
            Transaction::new(&mut self.connection, TransactionBehavior::Immediate).map_err(Failure::work)?;
        let value = work(Db::from(&*transaction)).map_err(Failure::Work)?;
        transaction.commit().map_err(Failure::Commit)?;
        Ok(value)
    }

    /// A commit or a sync that failed concerns the journal too: what the log shows may not be on the disk, and it must not
    /// build on that. Any other failure is this writer's own.
    fn failed(&self, failure: Failure) -> StoreError {
        let (error, at_commit) = match failure {
            Failure::Before(error) => return error,
            Failure::Work(sql::Error::Sqlite(error)) => (error, false),
            Failure::Work(error) => return sql::store_error(error),
            Failure::Commit(error) => (error, true),
        };
        let is_io = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        if let Company::Journal(beside) = &self.company
            && ((at_commit && is_io) || is_sync(&error))
        {
            let what = format!("a commit of the forwarder or of registrations failed: {}", in_words(&error));
            beside.turnstile.report_trouble(&what);
        }
        store_error(error)
    }

    /// After a commit: whether it counts, and the length of the log.
    fn after(&mut self) -> Result<(), StoreError> {
        match &mut self.company {
            Company::Journal(beside) => {
                beside.check(&self.path)?;
                beside.journal.wake();
                Ok(())
            }
            Company::Alone(log) => match log.keep_short(&self.connection, &self.path) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
                    unsynced::leave(&self.path);
                    Err(store_error(error))
                }
                Err(error) if !is_busy(&error) => Err(store_error(error)),
                _ => Ok(()),
            },
        }
    }
}

impl Failure {
    fn work(error: rusqlite::Error) -> Self {
        Self::Work(error.into())
    }

    fn is_busy(&self) -> bool {
        match self {
            Self::Before(_) => false,
            Self::Work(error) => error.is_busy(),
            Self::Commit(error) => is_busy(error),
        }
    }
}

impl Beside {
    /// Whether the journal's files are still those that it has open.
    fn check(&self, path: &Path) -> Result<(), StoreError> {
        match self.files.lost() {
            Some(what) => Err(StoreError::unavailable(Unavailability::FileLost, what)),
            // While the journal has nothing open.
            None => connection::require_same(path, self.same),
        }
    }
}

/// A failed sync of the file or of its folder.
fn is_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|code| code.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}
