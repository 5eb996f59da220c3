//! Keeping the write-ahead log short.
//!
//! SQLite would copy the log into the file by itself after a commit, but passes over the errors it meets there: on a
//! disk that takes the log and refuses the file, everything would look well while the log grows without end.

use std::path::Path;
use std::time::{Duration, Instant};

use metrics::{Gauge, gauge};
use rusqlite::{Connection, ErrorCode};

use super::copier::Copier;

/// Pages in the log from which on it is copied into the file after a commit.
const COPY_FROM_PAGES: i64 = 4000;
/// Pages from which on the log file is cut once it is copied. It grows past the above only while somebody reads, and
/// then keeps its size: on a short disk that is the room that is missing.
const CUT_FROM_PAGES: i64 = 2 * COPY_FROM_PAGES;
/// Pages past which a log that cannot be copied is worth a word: 64 MiB.
const WARN_FROM_PAGES: i64 = (64 << 20) / PAGE_BYTES;
/// Pages still to be copied from which on that is not done in the writer's thread: copying them would take as long as many
/// a commit, and all registers would wait for it. What was added meanwhile is less, and the writer copies that.
const ASIDE_FROM_PAGES: i64 = 1500;
/// Pages of a log found at the start from which on the daemon does not wait for its copy: 64 MiB.
pub(super) const LONG_FROM_PAGES: i64 = (64 << 20) / PAGE_BYTES;
/// Pages still to be copied past which nobody seems to do it (no daemon runs), so that a command does.
const LEFT_FROM_PAGES: i64 = 16_384;
/// Between two copies beside the writer of which the first did not come near the end: while a reader holds the log, little
/// can be copied however often.
const ASIDE_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the length of the log: at a hundred thousand documents a second it grows by some MiB meanwhile.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// Pages of our files. SQLite's default, and nobody sets another.
const PAGE_BYTES: i64 = 4096;

/// Watches over the log of one writing connection.
pub(super) struct Log {
    pages: Gauge,
    warned: bool,
    /// [`ASIDE_FROM_PAGES`], less in tests.
    pub(super) aside_from_pages: i64,
    /// [`ASIDE_PAUSE`], more in tests.
    pub(super) aside_pause: Duration,
    /// The copy that is under way beside the writer.
    pub(super) copier: Option<Copier>,
    /// When the last one ended, if what it left has not been copied since.
    copied_at: Option<Instant>,
    looked_at: Option<Instant>,
    /// [`LOOK_PAUSE`], none in most tests.
    pub(super) look_pause: Duration,
}

/// The copy beside the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    None,
    UnderWay,
    /// Just now.
    Ended,
}

/// What `PRAGMA wal_checkpoint` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    /// Somebody else is copying, or (of the stricter modes) reading.
    pub(super) busy: bool,
    /// Pages in the log.
    pub(super) pages: i64,
    /// Pages of them that are in the file already.
    pub(super) copied: i64,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            pages: gauge!("fiscald_store_log_pages"),
            warned: false,
            aside_from_pages: ASIDE_FROM_PAGES,
            aside_pause: ASIDE_PAUSE,
            copier: None,
            copied_at: None,
            looked_at: None,
            look_pause: LOOK_PAUSE,
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("warned", &self.warned).finish_non_exhaustive()
    }
}

impl Log {
    /// Copies a long log into the file, as far as readers allow. Never waits for anybody, and leaves what takes long
    /// to another thread.
    pub(super) fn keep_short(&mut self, connection: &Connection, path: &Path) -> rusqlite::Result<()> {
        if self.looked_at.is_some_and(|looked| looked.elapsed() < self.look_pause) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let copy = self.collect()?;
        let mut state = checkpoint(connection, "NOOP")?;
        if copy != Copying::UnderWay && state.pages >= COPY_FROM_PAGES {
            let is_short = state.to_copy() < self.aside_from_pages;
            // What was added while somebody copied is copied here, however much it is: the documents wait for it, and the
            // log does not grow without end on a disk that cannot follow them.
            let is_rest = copy == Copying::Ended && state.to_copy() < LONG_FROM_PAGES;
            if is_short || is_rest {
                state = self.copy_here(connection)?;
            } else if self.copied_at.is_none_or(|ended| ended.elapsed() >= self.aside_pause) {
                state = self.begin_copy(connection, path, state)?;
            }
        }
        self.pages.set(u32::try_from(state.pages).unwrap_or(0));
        // While it is being copied there is nothing to be said of it yet.
        if self.copier.is_some() {
            return Ok(());
        }
        let held = state.pages >= WARN_FROM_PAGES && state.copied < state.pages;
        if held && !self.warned {
            tracing::warn!(
                pages = state.pages,
                copied = state.copied,
                "a reader keeps the log of the store from being emptied: look with `fuser {}`",
                super::disk::beside(path, "-wal").display()
            );
        }
        self.warned = held;
        Ok(())
    }

    fn copy_here(&mut self, connection: &Connection) -> rusqlite::Result<LogState> {
        let state = copy_and_cut(connection)?;
        self.copied_at = (state.to_copy() > 0).then(Instant::now);
        Ok(state)
    }

    /// Without a connection or a thread for it (the process may have none left) the writer copies what does not take
    /// long; anything longer is tried again later: nothing is lost but room.
    fn begin_copy(
        &mut self,
        connection: &Connection,
        path: &Path,
        state: LogState,
    ) -> rusqlite::Result<LogState> {
        let error = match Copier::start(path) {
            Ok(copier) => {
                self.copier = Some(copier);
                return Ok(state);
            }
            Err(error) => error,
        };
        tracing::warn!(%error, "the log of the store cannot be copied beside the writer");
        let state = if state.to_copy() < LONG_FROM_PAGES { self.copy_here(connection)? } else { state };
        self.copied_at = Some(Instant::now());
        Ok(state)
    }

    /// Takes the outcome of a copy that has ended.
    fn collect(&mut self) -> rusqlite::Result<Copying> {
        match self.copier.take_if(|copier| copier.is_finished()) {
            Some(copier) => {
                self.copied_at = Some(Instant::now());
                match copier.finish() {
                    // Somebody else copies: a command that ran without us.
                    Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                        Ok(Copying::Ended)
                    }
                    result => result.map(|()| Copying::Ended),
                }
            }
            None if self.copier.is_some() => Ok(Copying::UnderWay),
            None => Ok(Copying::None),
        }
    }
}

impl LogState {
    /// Pages not yet in the file.
    pub(super) fn to_copy(self) -> i64 {
        self.pages.saturating_sub(self.copied)
    }
}

/// For a command that writes much: copies a log that nobody else copies. Never waits.
pub(crate) fn copy_left(connection: &Connection) -> rusqlite::Result<()> {
    if checkpoint(connection, "NOOP")?.to_copy() >= LEFT_FROM_PAGES {
        copy_and_cut(connection)?;
    }
    Ok(())
}

/// Copies the log as far as readers allow; if that was all of a log grown large, cuts its file, unless somebody reads:
/// nobody is waited for.
pub(super) fn copy_and_cut(connection: &Connection) -> rusqlite::Result<LogState> {
    let state = checkpoint(connection, "PASSIVE")?;
    if state.pages < CUT_FROM_PAGES || state.copied < state.pages {
        return Ok(state);
    }
    let patience_ms: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(Duration::ZERO)?;
    let cut = checkpoint(connection, "TRUNCATE");
    connection.busy_timeout(Duration::from_millis(patience_ms.into()))?;
    let cut = cut?;
    Ok(if cut.busy { state } else { cut })
}

/// One run of `PRAGMA wal_checkpoint(MODE)`; NOOP only looks.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<LogState> {
    connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row([], |row| {
        let busy: i64 = row.get(0)?;
        Ok(LogState { busy: busy != 0, pages: row.get(1)?, copied: row.get(2)? })
    })
}
