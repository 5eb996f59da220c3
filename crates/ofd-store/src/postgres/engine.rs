//! The writing session: what is done when a batch fails, and what while there is none.
//!
//! A batch takes two round trips for its ordinary items; everything else is done in the same transaction, one item after
//! another (`attempt`).

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connect::in_words;
use super::line::{Line, Opening, why_unconfirmed};
use super::target::Target;
use super::{partitions, statements};
use crate::StoreError;
use crate::engine::{Engine, EngineError, WriteItem, WriteOutcome};
use crate::sql;

mod attempt;

/// After a batch with a known number in it, the next so many are looked up before they are written: repeats come in
/// crowds, after a pause of the network or of us.
const CAREFUL_BATCHES: u32 = 64;
/// How often a batch is begun anew by itself when another node was quicker.
const MOST_ATTEMPTS: u32 = 4;
/// How often an idle session is asked whether it still stands, and how long that may take.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether the next months are there.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The writing session.
pub(crate) struct PgEngine {
    line: Line,
    quarantine_max_bytes: u64,
    /// Batches that are still to be looked up before.
    careful: u32,
    /// Whether there is a transaction to be given up should something go wrong.
    is_open: Cell<bool>,
    used_at: Instant,
    partitions_at: Instant,
}

/// Why one attempt of a batch came to nothing.
enum Fault {
    /// The server said no; nothing was written.
    Said(Error),
    /// The same, in the words of the portable statements.
    Table(sql::Error),
    /// The end of the session or of our patience: what became of the batch is not known.
    Unknown(String),
}

/// What is to be done after a fault.
enum Remedy {
    /// Again, looking before writing.
    Carefully,
    /// One of the items is to blame: each for itself.
    Singly(String),
    /// The caller decides.
    Give(EngineError),
}

impl PgEngine {
    /// Opens the session.
    pub(crate) fn open(
        target: &Target,
        quarantine_max_bytes: u64,
        opening: &Opening,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let line = Line::open(target, opening, patience)?;
        let now = Instant::now();
        let is_open = Cell::new(false);
        Ok(Self { line, quarantine_max_bytes, careful: 0, is_open, used_at: now, partitions_at: now })
    }

    /// Which store it is, to be the same after a failure.
    pub(crate) fn store_id(&self) -> &str {
        &self.line.store_id
    }

    /// Waits for an answer without which the session is of no more use: a COPY that did not begin leaves the client
    /// library and the server with different counts of what was answered.
    fn broken_by<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        self.answer(asked, At::Commit)
    }

    /// Waits for an answer.
    fn answer<T>(&self, asked: impl Future<Output = Result<T, Error>>, at: At) -> Result<T, Fault> {
        match self.line.wait(asked) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) if error.is_closed() || error.as_db_error().is_none() => {
                let words = self.line.watch.words().unwrap_or_else(|| in_words(&error));
                Err(Fault::Unknown(words))
            }
            // Of a commit: what the server refuses there is not told apart from what it did and could not tell.
            Some(Err(error)) if at == At::Commit => Err(Fault::Unknown(in_words(&error))),
            Some(Err(error)) => Err(Fault::Said(error)),
            None => Err(Fault::Unknown(format!(
                "no answer within {} s; {}",
                self.line.patience().as_secs(),
                why_unconfirmed(&self.line.standbys)
            ))),
        }
    }

    /// Ends the transaction of a batch that came to nothing.
    fn give_up(&self) -> Result<(), EngineError> {
        // A statement may have been ended while it held the lock of the positions, for a moment and for itself.
        let rollback = if self.is_open.replace(false) { "ROLLBACK;" } else { "" };
        let sql = format!("{rollback} {}", statements::RELEASE);
        match self.line.wait(self.line.client.batch_execute(&sql)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(EngineError::Failed(in_words(&error))),
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }

    /// What a fault asks for. The transaction is over afterwards, or the session is.
    fn remedy(&mut self, fault: Fault) -> Remedy {
        let (said, words) = match &fault {
            Fault::Unknown(words) => return Remedy::Give(EngineError::Failed(words.clone())),
            Fault::Said(error) | Fault::Table(sql::Error::Postgres(error)) => {
                (error.as_db_error(), in_words(error))
            }
            Fault::Table(error) => return Remedy::Give(EngineError::Failed(error.to_string())),
        };
        let code = said.map(|said| said.code().clone());
        // A missing partition is called a broken check as well, but of no constraint.
        let no_partition =
            said.is_some_and(|said| *said.code() == SqlState::CHECK_VIOLATION && said.constraint().is_none());
        if let Err(error) = self.give_up() {
            return Remedy::Give(error);
        }
        let Some(code) = code else { return Remedy::Give(EngineError::Failed(words)) };
        if code == SqlState::UNIQUE_VIOLATION {
            return Remedy::Carefully;
        }
        if no_partition {
            return Remedy::Give(match self.make_partitions() {
                Ok(()) => EngineError::Busy("the journal's next month was made".to_owned()),
                Err(error) => error,
            });
        }
        if is_passing(&code) {
            return Remedy::Give(EngineError::Busy(words));
        }
        match code.code().get(..2) {
            Some("22" | "23" | "54") => Remedy::Singly(words),
            Some("XX") => Remedy::Give(EngineError::Corrupt(format!(
                "the database is damaged: {words}; look into the server's log before anything else"
            ))),
            _ => Remedy::Give(EngineError::Failed(words)),
        }
    }

    /// Each item in a transaction of its own, so that only the one to blame is refused.
    fn singly(&mut self, batch: &[WriteItem], words: &str) -> Result<Vec<WriteOutcome>, EngineError> {
        if batch.len() <= 1 {
            tracing::error!(reason = words, "an item breaks a rule of the store and is refused");
            return Ok(vec![WriteOutcome::Refused { reason: words.to_owned() }; batch.len()]);
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for item in batch.chunks(1) {
            outcomes.extend(self.commit(item)?);
        }
        Ok(outcomes)
    }

    fn make_partitions(&mut self) -> Result<(), EngineError> {
        self.partitions_at = Instant::now();
        match self.line.wait(partitions::make_ahead(&self.line.client)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.code().is_some_and(is_passing) => {
                Err(EngineError::Busy(in_words(&error)))
            }
            Some(Err(error)) => Err(EngineError::Failed(in_words(&error))),
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }

    fn ping(&mut self) -> Result<(), EngineError> {
        self.used_at = Instant::now();
        match self.line.wait_at_most(PING_PATIENCE, self.line.client.simple_query("SELECT 1")) {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                Err(EngineError::Failed(self.line.watch.words().unwrap_or_else(|| in_words(&error))))
            }
            None => Err(EngineError::Failed("the server does not answer".to_owned())),
        }
    }
}

impl Engine for PgEngine {
    fn commit(&mut self, batch: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
        let mut attempts = 1_u32;
        loop {
            self.used_at = Instant::now();
            let fault = match self.attempt(batch) {
                Ok(outcomes) => {
                    self.careful = self.careful.saturating_sub(1);
                    return Ok(outcomes);
                }
                Err(fault) => fault,
            };
            match self.remedy(fault) {
                Remedy::Carefully if attempts < MOST_ATTEMPTS => {
                    self.careful = CAREFUL_BATCHES;
                    attempts = attempts.saturating_add(1);
                }
                Remedy::Carefully => {
                    return Err(EngineError::Busy("other nodes write the same documents".to_owned()));
                }
                Remedy::Singly(words) => return self.singly(batch, &words),
                Remedy::Give(error) => return Err(error),
            }
        }
    }

    fn tend(&mut self) -> Result<(), EngineError> {
        if self.partitions_at.elapsed() >= PARTITIONS_INTERVAL {
            self.make_partitions()?;
        }
        if self.used_at.elapsed() >= PING_INTERVAL { self.ping() } else { Ok(()) }
    }

    fn probe(&mut self) -> Result<(), EngineError> {
        self.ping()
    }
}

/// At which point an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Within the transaction: an error of the server ends it.
    Statement,
    /// At the commit, or where a session is lost with whatever goes wrong.
    Commit,
}

/// Whether the same batch may be tried again in the same session: a lock, a deadlock, a cancelled statement. None of
/// these is said of a commit.
fn is_passing(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
    ]
    .contains(code)
}
