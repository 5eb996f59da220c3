//! A long read must not silence the daemon.
//!
//! While somebody reads one state of the store, the log cannot be emptied and grows with every commit, on the store's
//! own disk; below `store.min_free_mib` nothing is answered any more. So a long read watches the disk and gives up
//! first. It does so only when the log has grown since it began: on a full disk under a store at rest, or under a copy,
//! its end would help nobody.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::disk;
use crate::sql::{self, store_error};
use crate::{StoreError, Unavailability};

/// Between two looks at the disk; a commit adds kilobytes, so little is added meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The disk of the store during one long read.
#[derive(Debug)]
pub(crate) struct Room {
    log: PathBuf,
    log_bytes_at_first: u64,
    keep_free_bytes: u64,
}

impl Room {
    /// To be made before the read begins. With `keep_free_bytes` 0 nothing is watched.
    pub(crate) fn around(path: &Path, keep_free_bytes: u64) -> Self {
        // The log lies beside the file that a link leads to.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let log = disk::beside(&path, "-wal");
        let log_bytes_at_first = disk::file_bytes(&log);
        Self { log, log_bytes_at_first, keep_free_bytes }
    }

    /// Refuses to go on when less is free than has to stay and the log grows. A disk that does not tell says nothing.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let grown = disk::file_bytes(&self.log).saturating_sub(self.log_bytes_at_first);
        if grown == 0 {
            return Ok(());
        }
        match disk::free_bytes(&self.log) {
            Ok(free) if free < self.keep_free_bytes => {
                let detail = format!(
                    "given up so that the daemon is not silenced: {} MiB are free at {}, {} MiB are kept for it, and the \
                     log grows while the store is read: free some space, or try when fewer documents come",
                    free >> 20,
                    self.log.display(),
                    self.keep_free_bytes >> 20
                );
                Err(StoreError::unavailable(Unavailability::DiskLow, detail))
            }
            _ => Ok(()),
        }
    }

    /// Reads on `connection`, interrupted when the room gets scarce.
    pub(crate) fn watch<T>(
        &self,
        connection: &Connection,
        read: impl FnOnce() -> sql::Result<T>,
    ) -> Result<T, StoreError> {
        if self.keep_free_bytes == 0 {
            return read().map_err(store_error);
        }
        self.check()?;
        let interrupt = connection.get_interrupt_handle();
        let (reading, over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let watcher = scope.spawn(move || {
                let mut scarce = None;
                while over.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    scarce = scarce.or_else(|| self.check().err());
                    // Again and again: an interrupt between two statements is lost.
                    if scarce.is_some() {
                        interrupt.interrupt();
                    }
                }
                scarce
            });
            let result = read();
            drop(reading);
            // A watcher that broke down has interrupted nothing.
            match (result, watcher.join().ok().flatten()) {
                (Err(error), Some(scarce)) if is_interrupted(&error) => Err(scarce),
                (result, _) => result.map_err(store_error),
            }
        })
    }
}

fn is_interrupted(error: &sql::Error) -> bool {
    matches!(error, sql::Error::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted))
}
