//! Errors of the store, split by what the caller is to do.

use thiserror::Error;

/// Why a call to the store did not do its work.
///
/// Reception treats every variant alike: silence, the register repeats. Commands tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The request or a setting is against the rules; asking again will not help.
    #[error("{reason}")]
    Refused {
        /// What is wrong, with key or value.
        reason: String,
    },
    /// The file is a database of somebody else, or no database.
    #[error("{path} is not a store of fiscald (application id {found:#010x}, ours is {ours:#010x})")]
    ForeignFile {
        /// The file.
        path: String,
        /// `application_id` found in it (0 when it is not a database).
        found: i32,
        /// The one of this program.
        ours: i32,
    },
    /// The file was written by a newer program; opening it could destroy what that one knows.
    #[error("the store has schema version {found}, this program knows {known}: use the newer program")]
    NewerSchema {
        /// `user_version` of the file.
        found: i32,
        /// Newest version of this program.
        known: i32,
    },
    /// What is stored contradicts itself. The sentence tells the operator what to do.
    #[error(
        "the store is damaged: {detail}. Stop the daemon, keep the files as they are, see with `fiscald verify` what is \
         lost, and restore the store from a backup"
    )]
    Corrupt {
        /// Where and what.
        detail: String,
    },
    /// The received bytes of a document were moved into a file, and cannot be had from there.
    #[error("documents received before {before} lie in {file}, {why}")]
    Elsewhere {
        /// The month, such as `2026-01`.
        before: String,
        /// Where the file was made.
        file: String,
        /// What is with it, and what to do.
        why: String,
    },
    /// Nothing was done and nothing may be acknowledged; it may work later.
    #[error("the store is unavailable ({why}): {detail}")]
    Unavailable {
        /// Which kind of trouble.
        why: Unavailability,
        /// What the engine said.
        detail: String,
    },
}

/// Kinds of [`StoreError::Unavailable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unavailability {
    /// A write or its sync failed: the fate of the batch is unknown, the store refuses work until reopened.
    WriteFailed,
    /// Another process held the file longer than our patience. The store goes on.
    Busy,
    /// The store is closing or closed.
    Closed,
    /// The file cannot be opened or read.
    CannotOpen,
    /// Less space is free on the disk than `store.min_free_mib`: new work is refused, what is queued is written.
    DiskLow,
    /// The file we write is no longer the one under its path: it was removed or replaced. Only a restart helps.
    FileLost,
}

impl StoreError {
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt { detail: detail.into() }
    }

    pub(crate) fn unavailable(why: Unavailability, detail: impl Into<String>) -> Self {
        Self::Unavailable { why, detail: detail.into() }
    }

    pub(crate) fn closed() -> Self {
        Self::unavailable(Unavailability::Closed, "the journal is closed")
    }

    /// True for the variants that may pass by themselves.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl std::fmt::Display for Unavailability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WriteFailed => "a write failed",
            Self::Busy => "busy",
            Self::Closed => "closed",
            Self::CannotOpen => "cannot be opened",
            Self::DiskLow => "the disk is low",
            Self::FileLost => "the file is lost",
        })
    }
}
