//! What can keep reception from starting or running. Faults of single messages are not errors of this crate: they are
//! decisions (silence, quarantine, close), counted and logged where they are made.

use std::io;
use std::net::SocketAddr;

/// Why reception or the admin port cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// A setting asks for something impossible.
    #[error("{key}: {reason}")]
    Config {
        /// The key with its section, as written in the configuration file.
        key: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The port cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An open port stopped working.
    #[error("the port failed: {0}")]
    Io(#[from] io::Error),
    /// A metrics recorder is already installed in this process.
    #[error("cannot install the metrics recorder: {0}")]
    Recorder(String),
}

impl IngestError {
    pub(crate) fn config(key: &str, reason: String) -> Self {
        Self::Config { key: key.to_owned(), reason }
    }
}
