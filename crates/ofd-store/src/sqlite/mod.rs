//! The SQLite engine: one file, write-ahead log, a sync at every commit.
//!
//! All SQL of the crate is below this module; its functions speak [`rusqlite::Result`], turned into
//! [`StoreError`] at the border.

mod append;
mod columns;
mod connection;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod quarantine;
pub(crate) mod registers;
mod schema;
pub(crate) mod tasks;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

pub(crate) use self::connection::{IfMissing, open_operator, open_reader, write_once};
pub use self::quarantine::MAX_QUARANTINE_PER_FN;
use crate::engine::{Engine, EngineError, WriteItem, WriteOutcome};
use crate::{StoreError, Unavailability};

/// The writing connection.
#[derive(Debug)]
pub(crate) struct SqliteEngine {
    connection: Connection,
    quarantine_max_bytes: u64,
}

/// Why one attempt of a batch came to nothing.
enum BatchFault {
    /// The database.
    Engine(rusqlite::Error),
    /// One item breaks a constraint.
    Item { index: usize, reason: String },
}

impl SqliteEngine {
    pub(crate) fn open(
        path: &Path,
        quarantine_max_bytes: u64,
        if_missing: IfMissing,
    ) -> Result<Self, StoreError> {
        Ok(Self { connection: connection::open_writer(path, if_missing)?, quarantine_max_bytes })
    }

    /// One transaction over the batch without the items that were refused before.
    fn attempt(
        &mut self,
        batch: &[WriteItem],
        refused: &BTreeMap<usize, String>,
    ) -> Result<Vec<WriteOutcome>, BatchFault> {
        // Immediate: the look-ups below must see what other writers of the file committed before us.
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate)?;
        let mut outcomes = Vec::with_capacity(batch.len());
        {
            let mut writer = append::BatchWriter::new(&transaction)?;
            for (index, item) in batch.iter().enumerate() {
                if let Some(reason) = refused.get(&index) {
                    outcomes.push(WriteOutcome::Refused { reason: reason.clone() });
                    continue;
                }
                let outcome = match item {
                    WriteItem::Document(document) => writer.append(document).map(WriteOutcome::Append),
                    WriteItem::Quarantine(copy) => {
                        quarantine::keep(&transaction, self.quarantine_max_bytes, copy)
                            .map(WriteOutcome::Quarantine)
                    }
                };
                outcomes.push(outcome.map_err(|error| BatchFault::of_item(index, error))?);
            }
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

impl Engine for SqliteEngine {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        let mut refused = BTreeMap::new();
        loop {
            match self.attempt(batch, &refused) {
                Ok(outcomes) => return Ok(outcomes),
                Err(BatchFault::Item { index, reason }) => {
                    tracing::error!(%reason, "an item breaks a constraint of the store and is refused");
                    refused.insert(index, reason);
                }
                Err(BatchFault::Engine(error)) if is_busy(&error) => {
                    return Err(EngineError::Busy(in_words(&error)));
                }
                Err(BatchFault::Engine(error)) => return Err(EngineError::Failed(in_words(&error))),
            }
        }
    }
}

impl BatchFault {
    /// A broken constraint is the item's fault; it must not bring down the writer for all others.
    fn of_item(index: usize, error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
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
fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => format!("{error} (SQLite code {})", code.extended_code),
        None => error.to_string(),
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
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
