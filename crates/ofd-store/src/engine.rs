//! The border between the group commit and a database: batches in, outcomes out.
//!
//! SQLite stands behind it now, PostgreSQL can later. An engine knows nothing of queues, threads or retries.

use thiserror::Error;

use crate::{AppendOutcome, NewDocument, NewQuarantine, QuarantineOutcome, StoreError};

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteItem {
    /// A document for the journal.
    Document(Box<NewDocument>),
    /// A copy for the quarantine.
    Quarantine(Box<NewQuarantine>),
}

/// What became of one [`WriteItem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Of a document.
    Append(AppendOutcome),
    /// Of a quarantined copy.
    Quarantine(QuarantineOutcome),
    /// The engine will not take this one item, now or later: it breaks a constraint, or too many contents are kept under
    /// its number already. The others of the batch are written.
    Refused {
        /// What the engine said.
        reason: String,
    },
}

/// Why a batch was not written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// Somebody else held the database: nothing was written, the same batch may be tried again.
    #[error("busy: {0}")]
    Busy(String),
    /// A write or sync failed: the fate of the batch is unknown, this engine must not be used again.
    #[error("{0}")]
    Failed(String),
    /// The database contradicts itself: as [`EngineError::Failed`], and opening it anew will hardly help.
    #[error("{0}")]
    Corrupt(String),
    /// What we write is no longer what lies under its path: whatever is opened there is another database. Final.
    #[error("{0}")]
    Lost(String),
}

/// A database that writes batches durably. Dropping it closes it.
pub trait Engine: Send {
    /// Writes the batch in one transaction and returns when it is on disk, one outcome per item in their order.
    ///
    /// Items are judged in order: the second of two equal documents of one batch is a repeat of the first.
    ///
    /// # Errors
    /// [`EngineError`]; after [`EngineError::Failed`] the caller drops the engine and opens another.
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError>;

    /// What has to be done between batches, after the answers of the last one have left. What was committed stands,
    /// whatever comes of it.
    ///
    /// # Errors
    /// As [`Engine::commit`]; [`EngineError::Busy`] is passed over.
    fn tend(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// A short step of work that nobody waits for, asked for while nothing is queued; `at_once` before the engine is closed,
    /// when no batch can come any more. True when there is more of it.
    ///
    /// # Errors
    /// As [`Engine::tend`].
    fn follow(&mut self, at_once: bool) -> Result<bool, EngineError> {
        let _ = at_once;
        Ok(false)
    }

    /// Whether a batch could be written now; writes nothing. Asked while there is none, after a batch was refused
    /// as busy.
    ///
    /// # Errors
    /// As [`Engine::commit`].
    fn probe(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Opens an engine anew after a failure. It must bring the database to a state in which everything readable is
/// also durable, because repeats of it will be acknowledged.
pub type EngineFactory = Box<dyn FnMut() -> Result<Box<dyn Engine>, StoreError> + Send>;
