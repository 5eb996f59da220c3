//! The SQLite engine: one file, write-ahead log, a sync at every commit.
//!
//! All SQL of the crate is below this module; its functions speak [`rusqlite::Result`], turned into
//! [`StoreError`] at the border.

mod append;
pub(crate) mod backup;
mod connection;
mod copier;
pub(crate) mod detached;
pub(crate) mod disk;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod room;
mod rows;
mod schema;
pub(crate) mod second;
mod unsynced;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use self::append::BatchWriter;
pub(crate) use self::connection::{Opening, open_operator, open_reader, write_once};
use self::copier::Copier;
use self::disk::{FileId, OpenFiles};
use self::keys::{Keys, Lag, Pace};
use self::log::Log;
use crate::engine::{Engine, EngineError, WriteItem, WriteOutcome};
use crate::tables::quarantine;
use crate::turnstile::Turnstile;
use crate::{StoreError, Unavailability};

/// The writing connection.
#[derive(Debug)]
pub(crate) struct SqliteEngine {
    connection: Connection,
    keys: Keys,
    lag: Lag,
    path: PathBuf,
    quarantine_max_bytes: u64,
    log: Log,
    files: OpenFiles,
    turnstile: Turnstile,
}

/// Why one attempt of a batch came to nothing.
enum BatchFault {
    /// The database.
    Engine(rusqlite::Error),
    /// One item breaks a constraint.
    Item { index: usize, reason: String },
    /// One of several that were written by one statement: to be found by writing them one by one.
    OneOfSeveral,
}

impl SqliteEngine {
    /// Opens the file; `files` tells the watcher what is open from now on.
    pub(crate) fn open(
        path: &Path,
        quarantine_max_bytes: u64,
        opening: Opening,
        files: OpenFiles,
    ) -> Result<Self, StoreError> {
        let connection =
            connection::open_writer(path, opening).map_err(|error| place_failure(path, error))?;
        let cannot_look = |error: std::io::Error| {
            let detail = format!("{}: {error}", path.display());
            StoreError::unavailable(Unavailability::CannotOpen, detail)
        };
        files.set(&[path.to_path_buf(), disk::beside(path, "-wal")]).map_err(cannot_look)?;
        let keys = Keys::load(&connection, Pace::default()).map_err(store_error)?;
        let (path, log, turnstile) = (path.to_path_buf(), Log::default(), Turnstile::default());
        let lag = Lag::default();
        Ok(Self { connection, keys, lag, path, quarantine_max_bytes, log, files, turnstile })
    }

    /// Takes turns with the other writers of the process.
    pub(crate) fn in_turn(mut self, turnstile: Turnstile) -> Self {
        self.turnstile = turnstile;
        self
    }

    /// Which file it is, to be the same after a failure.
    pub(crate) fn file_id(path: &Path) -> Option<FileId> {
        FileId::of(path).ok()
    }

    /// One transaction over the batch without the items that were refused before.
    fn attempt(
        &mut self,
        batch: &[WriteItem],
        refused: &BTreeMap<usize, String>,
        together: bool,
    ) -> Result<Vec<WriteOutcome>, BatchFault> {
        let Self { connection, keys, quarantine_max_bytes, .. } = self;
        let outcomes = write(connection, keys, *quarantine_max_bytes, batch, refused, together);
        match outcomes {
            Ok(_) => keys.keep(),
            Err(_) => keys.forget(),
        }
        outcomes
    }

    /// Lets the tables of keys follow. Its failure is that of a batch: the next one would lie behind it in the log.
    fn follow_with<T>(
        &mut self,
        step: impl FnOnce(&mut Keys, &mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let turnstile = self.turnstile.clone();
        let _turn = turnstile.enter();
        if let Some(what) = turnstile.take_trouble() {
            return Err(EngineError::Failed(what));
        }
        let done = step(&mut self.keys, &mut self.connection);
        self.lag.show(&self.keys);
        done.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => EngineError::Corrupt(format!(
                "the keys of {} contradict its journal: {}; put them right with `fiscald reindex`",
                self.path.display(),
                in_words(&error)
            )),
            _ => self.engine_error(&error),
        })
    }
}

/// One transaction over a batch. `keys` is told of its rows, but not what became of them.
fn write(
    connection: &mut Connection,
    keys: &mut Keys,
    quarantine_max_bytes: u64,
    batch: &[WriteItem],
    refused: &BTreeMap<usize, String>,
    together: bool,
) -> Result<Vec<WriteOutcome>, BatchFault> {
    // Immediate: the look-ups below must see what other writers of the file committed before us.
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    keys.begin(&transaction)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    {
        let mut writer = BatchWriter::new(&transaction, keys, together)?;
        for (index, item) in batch.iter().enumerate() {
            if let Some(reason) = refused.get(&index) {
                outcomes.push(WriteOutcome::Refused { reason: reason.clone() });
                continue;
            }
            let outcome = match item {
                WriteItem::Document(document) => writer.append(document),
                WriteItem::Quarantine(copy) => match writer.acknowledged(copy) {
                    Ok(Some(known)) => Ok(WriteOutcome::Quarantine(known)),
                    Ok(None) => quarantine::keep((&*transaction).into(), quarantine_max_bytes, copy)
                        .map(WriteOutcome::Quarantine)
                        .map_err(Into::into),
                    Err(error) => Err(error),
                },
            };
            outcomes.push(outcome.map_err(|error| BatchFault::of_item(index, error, &writer))?);
        }
        let finished = writer.finish();
        finished.map_err(|error| BatchFault::of_item(batch.len(), error, &writer))?;
    }
    transaction.commit()?;
    Ok(outcomes)
}

impl Engine for SqliteEngine {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        let turnstile = self.turnstile.clone();
        let _turn = turnstile.enter();
        if let Some(what) = turnstile.take_trouble() {
            return Err(EngineError::Failed(what));
        }
        let mut refused = BTreeMap::new();
        let mut together = true;
        loop {
            match self.attempt(batch, &refused, together) {
                // Before anybody is answered: a commit to a file that nobody will ever open again is worth nothing.
                Ok(outcomes) => {
                    return self.files.lost().map_or(Ok(outcomes), |what| Err(EngineError::Lost(what)));
                }
                Err(BatchFault::OneOfSeveral) => together = false,
                Err(BatchFault::Item { index, reason }) => {
                    tracing::error!(%reason, "an item breaks a constraint of the store and is refused");
                    refused.insert(index, reason);
                }
                Err(BatchFault::Engine(error)) => return Err(self.engine_error(&error)),
            }
        }
    }

    fn tend(&mut self) -> Result<(), EngineError> {
        self.follow_with(Keys::tend).or_else(|error| match error {
            // Somebody holds the file; the log can be copied all the same.
            EngineError::Busy(_) => Ok(()),
            error => Err(error),
        })?;
        let Err(error) = self.log.keep_short(&self.connection, &self.path) else { return Ok(()) };
        if error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure) {
            return Err(self.engine_error(&error));
        }
        // Pages of the file that were copied earlier may be gone with the failed sync, and this process would not
        // copy them again: the log counts them as copied. A new process reads the whole log anew.
        unsynced::leave(&self.path);
        self.keep_log();
        Err(EngineError::Lost(with_place(
            &self.path,
            &format!(
                "copying the log failed, {}: restart the daemon when the disk is sound",
                in_words(&error)
            ),
        )))
    }

    fn follow(&mut self, at_once: bool) -> Result<bool, EngineError> {
        self.follow_with(|keys, connection| keys.follow(connection, at_once))
    }

    fn probe(&mut self) -> Result<(), EngineError> {
        let turnstile = self.turnstile.clone();
        let _turn = turnstile.enter();
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate);
        match transaction.and_then(Transaction::rollback) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.engine_error(&error)),
        }
    }
}

impl SqliteEngine {
    /// Leaves the log to the next start. The last one to close a database would copy and remove it.
    fn keep_log(&self) {
        if let Err(error) = unsynced::copy_at_close(&self.connection, false) {
            tracing::warn!(%error, "the log may be removed at the close");
        }
    }

    fn engine_error(&self, error: &rusqlite::Error) -> EngineError {
        match error.sqlite_error_code() {
            _ if is_busy(error) => EngineError::Busy(in_words(error)),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => EngineError::Corrupt(format!(
                "{} is damaged: {}; stop the daemon, keep the files as they are, see with `fiscald verify` what is lost, \
                 and restore the store from a copy",
                self.path.display(),
                in_words(error)
            )),
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                EngineError::Failed(with_place(&self.path, &in_words(error)))
            }
            _ => EngineError::Failed(in_words(error)),
        }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        // Before the connection: the last one to close removes the log, and that is no loss.
        self.files.clear();
        if let Some(Err(error)) = self.log.copier.take().map(Copier::break_off)
            && error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
        {
            tracing::error!(error = %in_words(&error), "copying the log failed: restart the daemon when the disk is sound");
            unsynced::leave(&self.path);
            self.keep_log();
            return;
        }
        // A close must not take minutes either.
        if log::checkpoint(&self.connection, "NOOP")
            .is_ok_and(|state| state.to_copy() >= log::LONG_FROM_PAGES)
        {
            self.keep_log();
        }
    }
}

impl BatchFault {
    /// A broken constraint is the item's fault; it must not bring down the writer for all others.
    fn of_item(index: usize, error: rusqlite::Error, writer: &BatchWriter<'_, '_>) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
                if writer.have_failed_together() =>
            {
                Self::OneOfSeveral
            }
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Item { index, reason: error.to_string() }
            }
            _ => Self::Engine(error),
        }
    }
}

impl From<rusqlite::Error> for BatchFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

/// With the extended code: the message alone does not tell a failed sync from a failed write.
pub(crate) fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => format!("{error} (SQLite code {})", code.extended_code),
        None => error.to_string(),
    }
}

/// With the file and the space around it: a full disk is the usual reason.
fn with_place(path: &Path, words: &str) -> String {
    match disk::free_bytes(path) {
        Ok(free) => format!("{words}; {} with {} MiB free", path.display(), free >> 20),
        Err(_) => format!("{words}; {}", path.display()),
    }
}

fn place_failure(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { why: why @ Unavailability::WriteFailed, detail } => {
            StoreError::unavailable(why, with_place(path, &detail))
        }
        StoreError::Unavailable { why: why @ Unavailability::Busy, detail } => {
            let detail = format!("{}: {detail}", path.display());
            StoreError::unavailable(why, detail)
        }
        other => other,
    }
}

pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What an error of SQLite means to the caller.
pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    if is_busy(&error) {
        return StoreError::unavailable(Unavailability::Busy, in_words(&error));
    }
    match (&error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        | (
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..),
            _,
        ) => StoreError::corrupt(in_words(&error)),
        (_, Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull)) => {
            StoreError::unavailable(Unavailability::WriteFailed, in_words(&error))
        }
        _ => StoreError::unavailable(Unavailability::CannotOpen, in_words(&error)),
    }
}

#[cfg(test)]
mod tests;
