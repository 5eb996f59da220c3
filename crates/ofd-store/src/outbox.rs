//! The outbox: what is read of it and what is written to it, in plain data.
//!
//! One row per forwarded document, derived from the journal. A lane is one ФН; lanes are spread over
//! [`Slot`]s, and whoever holds the [`Lease`] of a slot sends what is in it. The store knows no rules of the
//! tax service: it keeps states, tells who may record a result, and refuses results of those who lost their
//! lease.

mod change;
mod ids;
mod rows;

pub use change::{
    AppliedVerdict, BatchDocument, BatchStep, CommitReport, DeriveOrder, DeriveReport, DocumentOutcome,
    DocumentResult, DocumentVerdict, FnsCode, LaneGap, MAX_REPORTED_GAPS, NewBatch, OutboxChange, Verdict,
    VerdictReport,
};
pub use ids::{BatchId, HolderId, LANE_SLOTS, MAX_HOLDER_LEN, Slot};
pub use rows::{
    Adoption, BatchRow, Claim, ClaimOrder, DeadLetter, DocumentBody, FnsSummary, Holding, Lease, LeaseProof,
    OutboxDecision, OutboxDepths, OutboxFilter, OutboxPage, OutboxRow, OutboxState, RefreshRow,
};
