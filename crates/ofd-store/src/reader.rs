//! Reading beside a running daemon.
//!
//! A connection of its own, read-only in two ways (open mode and `query_only`), so that it can never hold the
//! write lock. Every call is one short transaction or several of them: a long one would keep the log growing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::care::{BackupError, BackupProgress, BackupReport, IntegrityDepth, VerifyPage};
use crate::clock::ClockConfirmation;
use crate::config::sqlite_path;
use crate::detached::DetachedFile;
use crate::history::RegisterHistory;
use crate::postgres::is_postgres;
use crate::reading::ReadStore;
use crate::rows::{
    Counts, DocumentFilter, DocumentPage, DocumentRow, DocumentSummary, ExportFilter, ExportRow, Gap,
    QuarantineCount, QuarantineFilter, QuarantineRow, RegisterRow,
};
use crate::sql::{self, Db, store_error};
use crate::sqlite::room::Room;
use crate::sqlite::verify::{index, integrity};
use crate::sqlite::{backup, detached};
use crate::tables::{clock, documents, export, history, quarantine, registers, search, tasks, verify};
use crate::{MAX_PAGE_ROWS, StoreError, Task, TaskFilter};

/// Read-only view of a store.
#[derive(Debug)]
pub struct Reader {
    store: ReadStore,
    /// The file, where it is one.
    path: Option<PathBuf>,
    keep_free_bytes: u64,
}

impl Reader {
    /// Opens the store behind `url` (`sqlite:PATH` or `postgres://...`) for reading; it must exist.
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let path = if is_postgres(url) { None } else { Some(sqlite_path(url)?) };
        Ok(Self { store: ReadStore::open(url)?, path, keep_free_bytes: 0 })
    }

    /// Long reads ([`Reader::gaps`], [`Reader::integrity_check`], [`Reader::backup`]) keep the daemon's log from being
    /// emptied. With this they give up, with [`crate::Unavailability::DiskLow`], when fewer bytes than these are free on the
    /// store's disk and the log has grown since they began. To be chosen well above `store.min_free_mib`.
    #[must_use]
    pub fn keeping_free(mut self, bytes: u64) -> Self {
        self.keep_free_bytes = bytes;
        self
    }

    /// For what other modules read.
    pub(crate) fn db(&self) -> Db<'_> {
        self.store.db()
    }

    /// A read that takes long and watches the disk of the file. A server keeps its own disk.
    fn long_read<T>(&self, read: impl FnOnce(Db<'_>) -> sql::Result<T>) -> Result<T, StoreError> {
        match (self.db(), &self.path) {
            (db @ Db::Sqlite(connection), Some(path)) => {
                Room::around(path, self.keep_free_bytes).watch(connection, || read(db))
            }
            (db, _) => read(db).map_err(store_error),
        }
    }

    /// Documents that pass the filter, newest first, at most `limit` (and [`MAX_PAGE_ROWS`]), as lists show them.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn summaries(
        &self,
        filter: &DocumentFilter,
        limit: usize,
    ) -> Result<Vec<DocumentSummary>, StoreError> {
        search::summaries(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// One piece of [`Reader::summaries`]: looks at some 20,000 positions at most (fewer where an index leads to the
    /// rows), so that a long search shows that it gets on and can be ended. `limit` as there, at least 1.
    ///
    /// A search from a moment on ends where a whole piece came more than a day before it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn summaries_page(&self, filter: &DocumentFilter, limit: usize) -> Result<DocumentPage, StoreError> {
        search::page(self.db(), filter, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// The same with containers and acknowledgements, a few KiB and up to 100 KiB each: for few rows, lists take
    /// [`Reader::summaries`].
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn documents(&self, filter: &DocumentFilter, limit: usize) -> Result<Vec<DocumentRow>, StoreError> {
        search::list(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Everything under one (ФН, ФД): all chains and conflicts, in order of arrival.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn document(
        &self,
        fn_number: &FnNumber,
        fd_number: FdNumber,
    ) -> Result<Vec<DocumentRow>, StoreError> {
        documents::find(self.db(), fn_number, fd_number).map_err(store_error)
    }

    /// The next documents after position `after_seq` (0 at the beginning) in order of arrival, at most `limit`
    /// (and [`MAX_PAGE_ROWS`]), and no more than some 16 MiB of containers. A short page is not the end, an empty one
    /// is. The position of the last row is the next cursor.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn export_page(
        &self,
        after_seq: i64,
        filter: &ExportFilter,
        limit: usize,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let horizon = self.store.horizon()?;
        let limit = limit.clamp(1, MAX_PAGE_ROWS);
        export::page(self.db(), after_seq, horizon, filter, limit).map_err(store_error)
    }

    /// Missing ФД numbers between those that are there, of one ФН or of all.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn gaps(&self, fn_number: Option<&FnNumber>) -> Result<Vec<Gap>, StoreError> {
        self.long_read(|db| export::gaps(db, fn_number))
    }

    /// All known registers and serial numbers.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn registers(&self) -> Result<Vec<RegisterRow>, StoreError> {
        registers::list(self.db()).map_err(store_error)
    }

    /// The register of one ФН.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn register(&self, fn_number: &FnNumber) -> Result<Option<RegisterRow>, StoreError> {
        registers::find(self.db(), fn_number).map_err(store_error)
    }

    /// Quarantined copies that pass the filter, newest first, at most `limit` (and [`MAX_PAGE_ROWS`]).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn quarantine(
        &self,
        filter: &QuarantineFilter,
        limit: usize,
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        quarantine::list(self.db(), filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Quarantined messages by ФН and reason, kept and only counted.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>, StoreError> {
        quarantine::counts(self.db()).map_err(store_error)
    }

    /// What people have to look at, newest first, at most `limit` (and [`MAX_PAGE_ROWS`]). With filters:
    /// [`RegistryReader::tasks`](crate::RegistryReader::tasks).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn tasks(&self, limit: usize) -> Result<Vec<Task>, StoreError> {
        tasks::list(self.db(), &TaskFilter::default(), limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// How much is stored. Reads the whole journal.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        export::counts(self.db()).map_err(store_error)
    }

    /// What is stored of a ФН for the checks that look beyond one document: the newest report of registration and the
    /// newest shift, at most `most` documents and some 16 MiB; `None` when nothing of it is stored.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn register_history(
        &self,
        fn_number: &FnNumber,
        most: usize,
    ) -> Result<Option<RegisterHistory>, StoreError> {
        history::load(self.db(), fn_number, most).map_err(store_error)
    }

    /// As [`Store::newest_acknowledged`](crate::Store::newest_acknowledged).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn newest_acknowledged(&self) -> Result<Option<Timestamp>, StoreError> {
        clock::newest_acknowledged(self.db()).map_err(store_error)
    }

    /// The newest confirmation of the clock by an operator.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn clock_confirmation(&self) -> Result<Option<ClockConfirmation>, StoreError> {
        clock::newest_confirmation(self.db()).map_err(store_error)
    }

    /// The next positions after `after_seq` (0 at the beginning), everything that is stored there, at most `limit`
    /// (and [`MAX_PAGE_ROWS`]) and some 16 MiB. A row that cannot be read is told in its place and does not end the walk.
    ///
    /// # Errors
    /// [`StoreError`] when not even the positions can be read.
    pub fn verify_page(&self, after_seq: i64, limit: usize) -> Result<VerifyPage, StoreError> {
        verify::page(self.db(), after_seq, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Whether the file is sound as a database: pages, trees, columns, references between tables. Gives what is wrong,
    /// at most some hundred sentences; empty when all is well. `step` is told what is looked at next.
    ///
    /// Takes as long as reading the whole file. May be ended at any time by ending the process, and ends by itself as
    /// [`Reader::keeping_free`] says.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read at all; damage that is found is no error but an answer.
    pub fn integrity_check(
        &self,
        depth: IntegrityDepth,
        step: &mut dyn FnMut(&str),
    ) -> Result<Vec<String>, StoreError> {
        match (self.db(), &self.path) {
            (Db::Sqlite(connection), Some(path)) => {
                integrity(connection, &Room::around(path, self.keep_free_bytes), depth, step)
            }
            (db, _) => verify::references(db, depth, step).map_err(store_error),
        }
    }

    /// Whether the index leads to every document of the journal and nowhere else: what is wrong with it, at most some
    /// hundred sentences. It follows from the journal, and [`crate::Operator::rebuild_index`] makes it anew. On a server
    /// there is nothing to be compared, and nothing is said.
    ///
    /// # Errors
    /// As [`Reader::integrity_check`].
    pub fn index_check(&self, step: &mut dyn FnMut(&str)) -> Result<Vec<String>, StoreError> {
        match (self.db(), &self.path) {
            (Db::Sqlite(connection), Some(path)) => {
                index(connection, &Room::around(path, self.keep_free_bytes), step)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The files into which the received bytes of old documents were moved; see [`crate::detach`].
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn detached_files(&self) -> Result<Vec<DetachedFile>, StoreError> {
        match self.db() {
            Db::Sqlite(connection) => detached::list(connection).map_err(store_error),
            Db::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Copies the store to a new file while the daemon serves: one state of it, with everything that was acknowledged
    /// before the call. The copy is readable by its owner only, appears under its name when it is on disk, and opens as a
    /// store like any other.
    ///
    /// Stops before the disk of the copy has less than `keep_free_bytes` free (on the store's own disk reception would
    /// fall silent below `store.min_free_mib`). While it runs the daemon's log grows; it is cut afterwards, and
    /// [`Reader::keeping_free`] bounds it. `progress` is called for every few MiB and may ask for an end.
    ///
    /// A copy of a damaged store is a damaged copy: check it with `verify`.
    ///
    /// # Errors
    /// [`BackupError`]: the target exists or cannot be written, too little room, the store cannot be read, stopped.
    /// Nothing is left behind then; only a process that is killed leaves the unfinished `.NAME.part`.
    pub fn backup(
        &self,
        to: &Path,
        keep_free_bytes: u64,
        progress: &mut dyn FnMut(BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport, BackupError> {
        let Some(path) = &self.path else {
            return Err(BackupError::Store(StoreError::refused(
                "a store on a PostgreSQL server is not copied by this command: take pg_basebackup (with the log of \
                 the server archived, so that nothing acknowledged is lost) or pg_dump",
            )));
        };
        let room = Room::around(path, self.keep_free_bytes);
        backup::copy(path, to, &room, keep_free_bytes, progress)
    }
}
