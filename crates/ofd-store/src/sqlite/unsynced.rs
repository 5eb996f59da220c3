//! A mark that outlives the process: the last sync of the database file failed.
//!
//! While somebody reads an old state, pages of the log are copied into the file without a sync and counted as copied;
//! the sync comes with the copy that completes them. If that sync fails, the system may have dropped any of those pages,
//! and nobody will copy them again as long as the count lives: it lies in memory shared by all processes that have the
//! file open, so a restart of the daemon alone does not end it. Therefore the daemon leaves this mark beside the file,
//! and the next start insists on a count that begins anew and on a complete copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connection::{create_file, sync_folder};
use super::{disk, log, store_error};
use crate::{StoreError, Unavailability};

fn mark_of(path: &Path) -> PathBuf {
    disk::beside(path, "-unsynced")
}

/// Leaves the mark. On a disk that is dying this may fail like everything else; then the log says so.
pub(super) fn leave(path: &Path) {
    let mark = mark_of(path);
    let left = match create_file(&mark) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|file| file.sync_all()).and_then(|()| sync_folder(disk::folder_of(path))),
    };
    if let Err(error) = left {
        tracing::error!(
            %error,
            mark = %mark.display(),
            "the mark of a failed sync cannot be made: before the restart end every other process that has the store open"
        );
    }
}

/// For commands that write, before they open the store: the last one to close it copies and removes its log, and does not
/// tell whether that was complete.
pub(super) fn refuse(path: &Path) -> Result<(), StoreError> {
    if !mark_of(path).exists() {
        return Ok(());
    }
    let detail =
        format!("a sync of {} failed: first (re)start the daemon, it copies the log anew", path.display());
    Err(StoreError::unavailable(Unavailability::CannotOpen, detail))
}

/// Before the store is opened again by the process that failed: it would take the pages for copied, as its readers do.
pub(super) fn require_none(path: &Path) -> Result<(), StoreError> {
    if !mark_of(path).exists() {
        return Ok(());
    }
    let detail = format!("a sync of {} failed: restart the daemon when the disk is sound", path.display());
    Err(StoreError::unavailable(Unavailability::FileLost, detail))
}

/// Before the first copy of a start: refuses a store whose copied pages may be lost.
///
/// To be called before anything is copied, with a connection that has looked at the file.
pub(super) fn settle(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mark = mark_of(path);
    if !mark.exists() {
        return Ok(());
    }
    // Whatever comes of it, the log stays.
    copy_at_close(connection, false).map_err(store_error)?;
    let state = log::checkpoint(connection, "NOOP").map_err(store_error)?;
    if state.pages <= 0 {
        return Err(StoreError::corrupt(format!(
            "a sync of {} failed, and its log was removed before it was copied again: check the file with `fiscald \
             verify`, then remove {}",
            path.display(),
            mark.display()
        )));
    }
    // The count of a process that outlived the daemon.
    let complete = state.copied == 0 && !log::checkpoint(connection, "TRUNCATE").map_err(store_error)?.busy;
    if !complete {
        let detail = format!(
            "a sync of {0} failed while others read it: end every process that has it open (look with `fuser {0}-shm`), \
             then start again",
            path.display()
        );
        return Err(StoreError::unavailable(Unavailability::CannotOpen, detail));
    }
    let removed = fs::remove_file(&mark).and_then(|()| sync_folder(disk::folder_of(path)));
    removed.map_err(|error| {
        let detail = format!("{}: {error}", mark.display());
        StoreError::unavailable(Unavailability::CannotOpen, detail)
    })?;
    copy_at_close(connection, true).map_err(store_error)?;
    tracing::info!("the log was copied anew after a failed sync");
    Ok(())
}

/// Whether the log is copied and removed when this is the last connection to close.
pub(super) fn copy_at_close(connection: &Connection, copy: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !copy).map(|_| ())
}
