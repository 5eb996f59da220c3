//! The only SQL of the project: the journal of received documents, the register facts, the quarantine, contracts and
//! registrations, the outbox.
//!
//! A document is *in* once [`JournalHandle::append`]'s answer says so: document, acknowledgement, derived
//! columns, findings and tasks are then on disk, in one transaction. One OS thread writes, in batches (group
//! commit); readers have connections of their own and never block it.
//!
//! Where to look: [`journal`] is the group commit and knows no engine, [`engine`] is the border, `sqlite` is
//! the engine behind it. [`Reader`] and [`Operator`] are for commands beside a running daemon, [`Facts`] is
//! what the hot path asks about a ФН. [`Registry`] keeps what belongs to a registration, one [`RegistryChange`] at a
//! time; [`Forwarding`] is the forwarder's way to the outbox.
//!
//! Left out on purpose: decoding, deciding and sealing (the caller's), which event moves a registration where, what goes
//! to the tax service and when, and anything that needs a key.

// The helpers are shared with `tests/` and name the crate as its users do.
#[cfg(test)]
extern crate self as ofd_store;
#[cfg(test)]
#[path = "../tests/promises/mod.rs"]
mod promises;
#[cfg(test)]
#[path = "../tests/store/support.rs"]
mod support;

mod care;
mod clock;
mod config;
mod detached;
pub mod engine;
mod error;
mod facts;
#[cfg(test)]
mod fixture;
mod forwarding;
mod history;
pub mod journal;
mod looks;
mod migration;
mod operator;
mod operator_store;
mod outbox;
mod placing;
mod postgres;
mod reader;
mod reading;
mod records;
mod registration;
mod registry;
mod rows;
mod second;
mod sql;
mod sqlite;
mod store;
mod tables;
mod turnstile;
mod watch;
mod watcher;

pub use care::{
    BackupError, BackupProgress, BackupReport, IntegrityDepth, MAX_REINDEX_ROWS, OpenedRow, RebuiltTables,
    ReindexPage, VerifyPage, VerifyRow,
};
pub use clock::ClockConfirmation;
pub use config::{StoreConfig, shown_url};
pub use detached::{
    DetachError, DetachOrder, DetachProgress, DetachReport, DetachStep, DetachedFile, detach,
};
pub use error::{StoreError, Unavailability};
pub use facts::{Announced, Facts, FnStanding, Standing};
pub use forwarding::Forwarding;
pub use history::{HistoryReader, MAX_HISTORY_DOCUMENTS, RegisterHistory};
pub use journal::{JournalHandle, PendingAppend, PendingQuarantine, StoreState, StoreStatus};
pub use migration::{
    MigratedTable, MigrationError, MigrationProgress, MigrationReport, MigrationStep, migrate,
};
pub use operator::Operator;
pub use outbox::{
    Adoption, AppliedVerdict, BatchDocument, BatchId, BatchRow, BatchStep, Claim, ClaimOrder, CommitReport,
    DeadLetter, DeriveOrder, DeriveReport, DocumentBody, DocumentOutcome, DocumentResult, DocumentVerdict,
    FnsCode, FnsSummary, HolderId, Holding, LANE_SLOTS, LaneGap, Lease, LeaseProof, MAX_HOLDER_LEN,
    MAX_REPORTED_GAPS, NewBatch, OutboxChange, OutboxDecision, OutboxDepths, OutboxFilter, OutboxPage,
    OutboxRow, OutboxState, RefreshRow, Slot, Verdict, VerdictReport,
};
pub use placing::MAX_CONFLICTS;
pub use reader::Reader;
pub use records::{
    AppendOutcome, Derived, FindingSeverity, Forward, KnownContent, MAX_STORED_FINDINGS, NewDocument,
    NewQuarantine, QuarantineOutcome, QuarantineRelease, RegisterAdd, RegisterChange, RegisterReport,
    SignRecord, StoredFinding, TaskKind,
};
pub use registration::{
    Application, ApplicationFilter, ApplicationState, Card, CardKind, CardSource, Client, Commit, CommitIds,
    Contract, ContractLine, ContractState, Cursors, FnDocuments, Kkt, KktFilter, KktFn, KktKey, LineKey,
    NewTask, RegistrationState, RegistryChange, ReportRow, Task, TaskClose, TaskFilter, row,
};
pub use registry::{Registry, RegistryReader};
pub use rows::{
    Counts, DocumentFilter, DocumentPage, DocumentRow, DocumentSummary, ExportFilter, ExportRow,
    FindingFilter, Gap, MAX_PAGE_ROWS, QuarantineCount, QuarantineFilter, QuarantineRow, RegisterRow,
};
pub use store::Store;
pub use tables::quarantine::MAX_QUARANTINE_PER_FN;
