//! Errors of this crate, split by what the caller is to do.

use std::path::PathBuf;

use ofd_store::StoreError;
use thiserror::Error;

use crate::config::ConfigProblem;

/// Why a part of the link could not be started or did not do its work.
#[derive(Debug, Error)]
pub enum FnsError {
    /// A setting is against the rules.
    #[error("{0}")]
    Config(ConfigProblem),
    /// A file of the mutual TLS cannot be used. What stands in it is never repeated.
    #[error("{key} {}: {reason}", path.display())]
    Certificate {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be made.
    #[error("the client of the tax service cannot be made: {0}")]
    Client(String),
    /// The store is unavailable or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("no thread for {name}: {reason}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// What the system said.
        reason: String,
    },
}
