//! Copying a log beside the writer.
//!
//! The copy of a few thousand pages takes as long as dozens of commits, and in the writer's thread all registers would wait
//! for it, some times a second under load.
//!
//! SQLite copies everything that is copyable in one go and forgets the work of a copy that was interrupted, so it cannot
//! be done in small steps. After a backup or another long reader the log may hold tens of gigabytes: for minutes the
//! writer's thread would neither commit nor show that it lives. A copy by another connection lets the writer commit
//! meanwhile; what it adds is copied by the next one, which has less to do.

use std::io;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::log::checkpoint;

/// How often an interrupted copy is looked after: an interrupt that comes before the copy began is lost.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(10);
/// How often the log is copied anew: each time what was added during the time before, which gets less and less. What is
/// left in the end is copied by the writer.
const PASSES: usize = 3;

/// A copy that is under way. Dropping it ends it and waits for that.
pub(super) struct Copier {
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
    interrupt: Option<InterruptHandle>,
}

impl Copier {
    /// Begins to copy the log of the database at `path`.
    ///
    /// # Errors
    /// The process has no descriptor or no thread left for it.
    pub(super) fn start(path: &Path) -> Result<Self, String> {
        let connection = Self::connect(path).map_err(|error| error.to_string())?;
        let interrupt = connection.get_interrupt_handle();
        let mut copier =
            Self::run(move || (0..PASSES).try_for_each(|_| checkpoint(&connection, "PASSIVE").map(|_| ())))
                .map_err(|error| error.to_string())?;
        copier.interrupt = Some(interrupt);
        Ok(copier)
    }

    fn connect(path: &Path) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        Ok(connection)
    }

    /// Runs `work` in a thread of its own.
    pub(super) fn run(work: impl FnOnce() -> rusqlite::Result<()> + Send + 'static) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("log-copier".to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), interrupt: None })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What became of it; waits for the end.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.join()
    }

    /// Breaks it off, and says what had become of it by then: a sync that failed has failed for whoever copies next.
    pub(super) fn break_off(mut self) -> rusqlite::Result<()> {
        self.interrupt();
        self.join()
    }

    fn interrupt(&self) {
        while !self.is_finished() {
            if let Some(interrupt) = &self.interrupt {
                interrupt.interrupt();
            }
            std::thread::sleep(INTERRUPT_AGAIN);
        }
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
        self.interrupt();
    }
}
