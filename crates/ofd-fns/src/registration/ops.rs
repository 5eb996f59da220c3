//! What people do: contracts, lines, numbers, applications, cards, tasks. Each is load, machine, commit, and returns what a
//! command prints.

mod applications;
mod cards;
mod contracts;
mod lines;
mod registers;
mod tasks;

use ofd_store::{CommitIds, StoreError};
use thiserror::Error;

use super::RegistrationConfig;
use super::commit::Settled;

pub use applications::{application_draft, application_submit};
pub use cards::{CardOutcome, CardUpload, MAX_CARD_BYTES, card_upload};
pub use contracts::{
    ContractChanged, NewContract, contract_add, contract_resume, contract_sign, contract_stop,
};
pub use lines::{LineOutcome, LineResult, NewLine, line_add, line_check, line_close};
pub use registers::{RegisterKey, RnmTyped, register_add, register_of, rnm_typed};
pub use tasks::task_close;

/// Why an operation did nothing.
#[derive(Debug, Error)]
pub enum OpsError {
    /// The store is unavailable or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is against the rules; says why and what can be done.
    #[error("{0}")]
    Refused(String),
    /// Others changed the same rows again and again.
    #[error("others change the same rows all the time; nothing was written, repeat the command")]
    Contended,
}

/// Periods of a command that does not read those of the daemon: a timer that it starts is due at once, and the daemon puts
/// it off to when it really is ([`super::timers`]).
const BY_DAEMON: RegistrationConfig =
    RegistrationConfig { grace_s: 0, t_card_s: 0, t_rnm_s: Some(0), silent_s: 0, tick_ms: 0 };

/// What was written, or that it could not be.
fn done<T>(settled: Settled<T>) -> Result<(T, CommitIds), OpsError> {
    match settled {
        Settled::Done(value, ids) => Ok((value, ids)),
        Settled::Stale => Err(OpsError::Contended),
    }
}

#[cfg(test)]
pub(super) mod tests;
