//! A writer beside the journal's: other rows of the same file, the same durability.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::disk::OpenFiles;
use super::log::Log;
use super::{connection, in_words, is_busy, store_error, unsynced};
use crate::journal::JournalHandle;
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
    pub(crate) journal: JournalHandle,
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
        let connection = connection::open_second(path)?;
        // Should it be the last to close, the log is left to the next start: copying it may take long.
        unsynced::copy_at_close(&connection, false).map_err(store_error)?;
        let company = beside.map_or_else(|| Company::Alone(Box::default()), Company::Journal);
        Ok(Self { connection, path: path.to_path_buf(), company })
    }

    /// For reading.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One transaction. `work` is run anew when somebody else held the database.
    pub(crate) fn write<T>(
        &mut self,
        mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let result = loop {
            match self.attempt(&mut work) {
                Err(error) if is_busy(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
                result => break result,
            }
        };
        let value = result.map_err(|error| self.failed(error))?;
        self.after()?;
        Ok(value)
    }

    fn attempt<T>(
        &mut self,
        work: &mut impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let turnstile = match &self.company {
            Company::Journal(beside) => Some(beside.turnstile.clone()),
            Company::Alone(_) => None,
        };
        let _turn = turnstile.as_ref().map(Turnstile::enter);
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// A failed sync concerns the journal too: what the log shows may not be on the disk, and it must not build on that.
    fn failed(&self, error: rusqlite::Error) -> StoreError {
        if let (Some(ErrorCode::SystemIoFailure), Company::Journal(beside)) =
            (error.sqlite_error_code(), &self.company)
        {
            let what = format!("a write beside the journal failed: {}", in_words(&error));
            beside.turnstile.report_trouble(&what);
        }
        store_error(error)
    }

    /// After a commit: whether it counts, and the length of the log.
    fn after(&mut self) -> Result<(), StoreError> {
        match &mut self.company {
            Company::Journal(beside) => {
                if let Some(what) = beside.files.lost() {
                    return Err(StoreError::unavailable(Unavailability::FileLost, what));
                }
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
