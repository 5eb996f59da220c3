//! The received bytes of old months, moved out of a store in one file into files of their own: what is asked for and told.
//!
//! Nothing is deleted and no promise is weakened: rows, keys, positions and acknowledgements stay, so that repeats and
//! conflicts are judged as before; only the container and the opened document lie elsewhere, and whoever reads them reads
//! them there. A store on a server has its months as partitions instead.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::StoreError;
use crate::config::sqlite_path;
use crate::sqlite::detached::moving;

/// What is to be moved, and where to.
#[derive(Debug, Clone, Copy)]
pub struct DetachOrder<'p> {
    /// Documents received before this moment: the beginning of a month, UTC, with at least one whole month between it and
    /// the present one.
    pub before: Timestamp,
    /// The file that is made for them, or that an earlier call has begun to fill.
    pub to: &'p Path,
    /// What has to stay free where the file lies.
    pub keep_free_bytes: u64,
    /// The present moment.
    pub now: Timestamp,
}

/// What was done last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DetachStep {
    /// The file was made.
    Made,
    /// The store knows the file.
    Noted,
    /// Some documents are in the file, on the disk; in the store they are still what they were.
    Copied,
    /// They were read back and are the same.
    Compared,
    /// They are gone from the store.
    Emptied,
}

/// How far a detachment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetachProgress {
    /// What was done last.
    pub step: DetachStep,
    /// Positions of the journal looked at, those of an earlier call among them.
    pub done: u64,
    /// Positions there are to be.
    pub total: u64,
}

/// A file that documents were moved into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedFile {
    /// Where it was made. A file of this name beside the store is taken as well.
    pub path: PathBuf,
    /// It has documents received before this month, such as `2026-01`.
    pub before: String,
    /// Of the positions from here
    pub from_seq: i64,
    /// up to here.
    pub until_seq: i64,
    /// How many.
    pub documents: u64,
    /// Bytes of their containers and opened documents.
    pub bytes: u64,
    /// SHA-256 over all of them in their order.
    pub sha256: [u8; 32],
    /// All that is to be in it is in it.
    pub is_whole: bool,
}

/// What a detachment did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachReport {
    /// The file; none when there was nothing to move, and then none was made.
    pub file: Option<DetachedFile>,
    /// Documents that this call moved.
    pub moved: u64,
    /// Bytes of the store's file that new rows will use before it grows again.
    pub free_bytes: u64,
    /// Size of the store's file.
    pub store_bytes: u64,
}

/// Why a detachment did not come to its end. What is moved is moved; the same call goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetachError {
    /// The caller asked for an end.
    #[error("stopped; the same command goes on where it was")]
    Stopped,
    /// The store, the file or their disks; or the order is against the rules.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Moves the received bytes of old documents of the store behind `url` (`sqlite:PATH`, of this program's schema) into a
/// file, or goes on with a move that was ended or killed. May run beside the daemon: it writes in short transactions and
/// lets the daemon's writer go first. What a step moves is written to the file, synced, read back and compared before it
/// leaves the store.
///
/// Not moved are the reports of registration and closing (forms 1, 6 and 11) and the newest shift of every ФН, which
/// reception and registration go on reading.
///
/// `watch` is told after every piece of work and may ask for an end.
///
/// # Errors
/// [`DetachError`]; of the refusals: the month is too near, the tax service has not settled the documents, the file is
/// there already, another detachment is unfinished.
pub fn detach(
    url: &str,
    order: DetachOrder<'_>,
    watch: &mut dyn FnMut(DetachProgress) -> ControlFlow<()>,
) -> Result<DetachReport, DetachError> {
    moving::detach(&sqlite_path(url)?, order, watch)
}
