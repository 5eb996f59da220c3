//! A copy of the store while it is written to.
//!
//! Pages are copied as they are, by SQLite's backup interface, all of them out of one read transaction that the
//! source connection holds from beginning to end. Without that transaction every commit of the daemon would make the
//! copy begin again; with it, commits go to the log, which is copied into the file and cut when the backup is done. So two
//! disks are watched: the one of the copy, and the one of the store, where the log grows meanwhile.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::connection::{create_file, open_reader, sync_folder};
use super::room::Room;
use super::{disk, store_error};
use crate::care::{BackupError, BackupProgress, BackupReport};
use crate::tables::documents::newest_seq;
use crate::{StoreError, Unavailability, sql};

/// Pages copied between two words about the progress: 4 MiB. Few in tests.
const STEP_PAGES: std::ffi::c_int = if cfg!(test) { 16 } else { 1024 };

/// What lies beside a database and is taken for a part of it.
const PARTS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The unfinished copy; dropped before it is kept, it vanishes.
struct Unfinished {
    temporary: PathBuf,
    kept: bool,
}

/// Copies the store at `from` to the new file `to`.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    store_room: &Room,
    keep_free_bytes: u64,
    progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
) -> Result<BackupReport, BackupError> {
    refuse_existing(to)?;
    // The room first, the copy only then: a backup that cannot end would fill the disk for nothing.
    let source = open_reader(from)?;
    let copy_room = CopyRoom { folder: to.to_path_buf(), keep_free_bytes };
    let unfinished = Unfinished::create(to)?;
    let report = unfinished.fill(&source, &copy_room, store_room, progress)?;
    drop(source);
    unfinished.keep(to)?;
    Ok(report)
}

/// The free space where the copy lies, and how much of it has to stay.
struct CopyRoom {
    folder: PathBuf,
    keep_free_bytes: u64,
}

impl CopyRoom {
    /// Refuses when `needed` more bytes would not leave what has to stay.
    fn require(&self, needed: u64) -> Result<(), StoreError> {
        let free = disk::free_bytes(&self.folder).map_err(|error| cannot_write(&self.folder, &error))?;
        if free >= needed.saturating_add(self.keep_free_bytes) {
            return Ok(());
        }
        Err(StoreError::refused(format!(
            "{} MiB are free where {} is to lie: the copy needs {} MiB more, and {} MiB have to stay free",
            free >> 20,
            self.folder.display(),
            needed >> 20,
            self.keep_free_bytes >> 20
        )))
    }
}

impl Unfinished {
    fn create(to: &Path) -> Result<Self, StoreError> {
        let Some(name) = to.file_name() else {
            return Err(StoreError::refused(format!("{} names no file", to.display())));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let temporary = to.with_file_name(hidden);
        match create_file(&temporary) {
            Ok(_) => Ok(Self { temporary, kept: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::refused(format!(
                "{} is there: another backup is at work, or one was killed and the file can be removed",
                temporary.display()
            ))),
            Err(error) => Err(cannot_write(&temporary, &error)),
        }
    }

    /// Copies all pages of one state of the source.
    fn fill(
        &self,
        source: &Connection,
        room: &CopyRoom,
        store_room: &Room,
        progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport, BackupError> {
        let state = source.unchecked_transaction().map_err(store_error)?;
        // The transaction begins with the first look at the file.
        let newest_seq = newest_seq((&*state).into()).map_err(sql::store_error)?;
        let page_bytes: u64 = pragma(&state, "page_size")?;
        let pages: u64 = pragma(&state, "page_count")?;
        room.require(pages.saturating_mul(page_bytes))?;
        let mut copy = self.open()?;
        let total_bytes = pages.saturating_mul(page_bytes);
        {
            let backup = Backup::new(&state, &mut copy).map_err(store_error)?;
            loop {
                let step = backup
                    .step(STEP_PAGES)
                    .map_err(|error| super::place_failure(&self.temporary, store_error(error)))?;
                let left = u64::try_from(backup.progress().remaining).unwrap_or(0).saturating_mul(page_bytes);
                let done_bytes = total_bytes.saturating_sub(left);
                if progress(BackupProgress { done_bytes, total_bytes }).is_break() {
                    return Err(BackupError::Stopped);
                }
                match step {
                    StepResult::Done => break,
                    StepResult::More => {
                        room.require(left)?;
                        store_room.check()?;
                    }
                    // Nobody else writes to the copy, and the source is read under a transaction that is open.
                    _ => {
                        return Err(cannot_write(&self.temporary, &io::ErrorKind::ResourceBusy.into()).into());
                    }
                }
            }
        }
        copy.close().map_err(|(_, error)| store_error(error))?;
        Ok(BackupReport { bytes: total_bytes, newest_seq })
    }

    /// Opens the copy for writing. It is synced once, at the end, so it needs no journal and no syncs of its own.
    fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(&self.temporary, flags).map_err(store_error)?;
        copy.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(())).map_err(store_error)?;
        copy.pragma_update(None, "synchronous", "off").map_err(store_error)?;
        Ok(copy)
    }

    /// Puts the copy on disk and gives it its name, unless somebody else took that meanwhile.
    fn keep(mut self, to: &Path) -> Result<(), StoreError> {
        let failed = |error: io::Error| cannot_write(to, &error);
        File::open(&self.temporary).and_then(|file| file.sync_all()).map_err(failed)?;
        refuse_existing(to)?;
        match fs::hard_link(&self.temporary, to) {
            // The temporary name goes when this is dropped.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(to)),
            // Not every disk for backups knows a second name of a file.
            Err(_) => {
                fs::rename(&self.temporary, to).map_err(failed)?;
                self.kept = true;
            }
        }
        drop(self);
        sync_folder(disk::folder_of(to)).map_err(failed)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept {
            // That it may be gone already does not matter.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A name that is taken, by a file or by what SQLite would take for a part of the copy.
fn refuse_existing(to: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(exists(to));
    }
    for part in PARTS.map(|suffix| disk::beside(to, suffix)) {
        if fs::symlink_metadata(&part).is_ok() {
            return Err(StoreError::refused(format!(
                "{} is there and would be taken for a part of the copy: choose another name",
                part.display()
            )));
        }
    }
    Ok(())
}

fn exists(to: &Path) -> StoreError {
    StoreError::refused(format!(
        "{} exists; a backup never replaces anything: choose another name",
        to.display()
    ))
}

fn pragma(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    connection
        .pragma_query_value(None, name, |row| {
            Ok(crate::tables::quarantine::count(&sql::Row::Sqlite(row), 0)?)
        })
        .map_err(store_error)
}

fn cannot_write(path: &Path, error: &io::Error) -> StoreError {
    StoreError::unavailable(Unavailability::WriteFailed, format!("{}: {error}", path.display()))
}
