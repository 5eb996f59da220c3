//! Copying a log beside the writer.
//!
//! The copy of a few thousand pages takes as long as dozens of commits, and in the writer's thread all registers would wait
//! for it, some times a second under load.
//!
//! SQLite copies everything that is copyable in one go and forgets the work of a copy that was interrupted, so it cannot
//! be done in small steps. After a backup or another long reader the log may hold tens of gigabytes: for minutes the
//! writer's thread would neither commit nor show that it lives. A copy by another connection lets the writer commit
//! meanwhile; what it adds is copied by the next one, which has less to do.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::log::checkpoint;

/// How often an interrupted copy is looked after: an interrupt that comes before the copy began is lost.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(10);

/// A copy that is under way. Dropping it ends it and waits for that.
pub(super) struct Copier {
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
    interrupt: Option<InterruptHandle>,
}

impl Copier {
    /// Begins to copy the log of the database at `path`.
    pub(super) fn start(path: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        let interrupt = connection.get_interrupt_handle();
        let mut copier = Self::run(move || checkpoint(&connection, "PASSIVE").map(|_| ()));
        copier.interrupt = Some(interrupt);
        Ok(copier)
    }

    /// Runs `work` in a thread of its own.
    pub(super) fn run(work: impl FnOnce() -> rusqlite::Result<()> + Send + 'static) -> Self {
        // Without a thread nothing is copied, as by one that broke down.
        let thread = std::thread::Builder::new().name("log-copier".to_owned()).spawn(work);
        Self { thread: thread.ok(), interrupt: None }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What became of it; waits for the end.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.join()
    }

    fn join(&mut self) -> rusqlite::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            // A copy that broke down has copied nothing; the next one meets the same trouble in the open.
            None | Some(Err(_)) => Ok(()),
            Some(Ok(result)) => result,
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        while !self.is_finished() {
            if let Some(interrupt) = &self.interrupt {
                interrupt.interrupt();
            }
            std::thread::sleep(INTERRUPT_AGAIN);
        }
        // Its trouble is no longer ours: the next start copies the log anew.
        let _ = self.join();
    }
}
