//! Care of the store: what `verify`, `backup` and `reindex` read and tell.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::rows::DocumentRow;
use crate::{Derived, StoreError};

/// Most rows of one page of `reindex`: each page is one writing transaction, for which the daemon waits.
pub const MAX_REINDEX_ROWS: usize = 1000;

/// A piece of the journal, read anew from the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyPage {
    /// What was found, in order of position.
    pub rows: Vec<VerifyRow>,
    /// Position after which the next page begins; none at the end of the journal.
    pub next: Option<i64>,
}

/// One position of the journal as `verify` finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyRow {
    /// Everything that is stored.
    Document(Box<DocumentRow>),
    /// The row is there, but cannot be read.
    Unreadable {
        /// Its position.
        seq: i64,
        /// What the engine says.
        why: String,
    },
    /// The document's bytes lie in a file that cannot be read; its row does not tell more.
    Elsewhere {
        /// Its position.
        seq: i64,
        /// Which file, and what is with it.
        why: String,
    },
    /// Nothing lies at these positions although later ones are taken: rows are never deleted, so these were lost.
    Missing {
        /// First lost position.
        from: i64,
        /// Last lost position.
        to: i64,
    },
}

/// How thoroughly [`crate::Reader::integrity_check`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntegrityDepth {
    /// Every page of every table and of its indexes, table by table; indexes are not compared with their tables.
    Quick,
    /// That, every index against its table, and that no page is lost or used twice. One long read: a busy daemon's log
    /// grows meanwhile.
    Full,
}

/// How far a backup got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupProgress {
    /// Bytes copied.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// A finished backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupReport {
    /// Size of the copy in bytes.
    pub bytes: u64,
    /// Newest position of the journal in it; 0 when it holds no document.
    pub newest_seq: i64,
}

/// Why there is no backup. Nothing is left of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The caller's progress function asked for an end.
    #[error("the backup was stopped")]
    Stopped,
    /// The store or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A document as `reindex` shows it to the function that takes the columns out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedRow<'a> {
    /// Position in the journal.
    pub seq: i64,
    /// ФН of the container.
    pub fn_number: FnNumber,
    /// ФД of the container.
    pub fd_number: FdNumber,
    /// Form code.
    pub form: u16,
    /// When it came, our clock.
    pub received_at: Timestamp,
    /// The opened document: form, length, TLV.
    pub document: &'a [u8],
    /// What was kept as its SHA-256 when it came; another one now means a damaged document.
    pub identity: &'a [u8],
    /// The columns as they are.
    pub derived: &'a Derived,
}

/// What one page of `reindex` did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReindexPage {
    /// Rows looked at.
    pub read: u64,
    /// Rows of which a column was wrong and is right now.
    pub changed: u64,
    /// Position after which the next page begins; none at the end of the journal.
    pub next: Option<i64>,
}

/// What [`crate::Operator::rebuild_tables`] put right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuiltTables {
    /// Rows of the registers whose РНМ, ИНН or serial number were not those of their newest report.
    pub registers: u64,
    /// Debug ФН (9999...) whose newest chain was not the newest of the journal.
    pub chains: u64,
}
