//! Reading beside a running daemon.
//!
//! A connection of its own, read-only in two ways (open mode and `query_only`), so that it can never hold the
//! write lock. Every call is one short transaction or several of them: a long one would keep the log growing.

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::Connection;

use crate::config::sqlite_path;
use crate::rows::{
    Counts, DocumentFilter, DocumentRow, DocumentSummary, ExportFilter, ExportRow, Gap, QuarantineCount,
    QuarantineFilter, QuarantineRow, RegisterRow, TaskRow,
};
use crate::sqlite::{documents, export, open_reader, quarantine, registers, store_error, tasks};
use crate::{MAX_PAGE_ROWS, StoreError};

/// Read-only view of a store.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the store behind `url` (`sqlite:PATH`) for reading; it must exist.
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self { connection: open_reader(&sqlite_path(url)?)? })
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
        documents::summaries(&self.connection, filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// The same with containers and acknowledgements, a few KiB and up to 100 KiB each: for few rows, lists take
    /// [`Reader::summaries`].
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn documents(&self, filter: &DocumentFilter, limit: usize) -> Result<Vec<DocumentRow>, StoreError> {
        documents::list(&self.connection, filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
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
        documents::find(&self.connection, fn_number, fd_number).map_err(store_error)
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
        export::page(&self.connection, after_seq, filter, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Missing ФД numbers between those that are there, of one ФН or of all.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn gaps(&self, fn_number: Option<&FnNumber>) -> Result<Vec<Gap>, StoreError> {
        export::gaps(&self.connection, fn_number).map_err(store_error)
    }

    /// All known registers and serial numbers.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn registers(&self) -> Result<Vec<RegisterRow>, StoreError> {
        registers::list(&self.connection).map_err(store_error)
    }

    /// The register of one ФН.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn register(&self, fn_number: &FnNumber) -> Result<Option<RegisterRow>, StoreError> {
        registers::find(&self.connection, fn_number).map_err(store_error)
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
        quarantine::list(&self.connection, filter, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Quarantined messages by ФН and reason, kept and only counted.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>, StoreError> {
        quarantine::counts(&self.connection).map_err(store_error)
    }

    /// What people have to look at, newest first, at most `limit` (and [`MAX_PAGE_ROWS`]).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn tasks(&self, limit: usize) -> Result<Vec<TaskRow>, StoreError> {
        tasks::list(&self.connection, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// How much is stored. Reads the whole journal.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        export::counts(&self.connection).map_err(store_error)
    }
}
