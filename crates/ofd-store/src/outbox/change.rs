//! What is written to the outbox.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BatchId, HolderId, Lease, OutboxState, Slot};

/// Most [`LaneGap`]s named in one report; all are counted.
pub const MAX_REPORTED_GAPS: usize = 20;

/// Everything a forwarder writes at a time: one transaction, one sync. Done in the order of the fields.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxChange {
    /// Who writes.
    pub holder: HolderId,
    /// Now, our clock.
    pub now: Timestamp,
    /// Leases of all slots whose documents the change speaks about. What belongs to a slot without a valid one is not
    /// recorded and named in [`CommitReport`].
    pub leases: Vec<Lease>,
    /// What became of batches.
    pub steps: Vec<BatchStep>,
    /// Batches about to be sent for the first time. Sent only when [`CommitReport::refused`] does not name them.
    pub new_batches: Vec<NewBatch>,
    /// Statuses that were asked for; needs no lease (they are what an event would say).
    pub verdicts: Vec<DocumentVerdict>,
    /// Documents whose status was asked without a new answer: when to ask again, never with `None`.
    pub refresh_later: Vec<(i64, Option<Timestamp>)>,
    /// Documents that the service took and does not know any more: [`OutboxState::New`] again, if they are still without
    /// a final verdict. Needs no lease; their holder finds them as it finds what was derived.
    pub resend: Vec<i64>,
    /// Takes the next documents out of the journal.
    pub derive: Option<DeriveOrder>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchStep {
    /// It was answered item by item. Documents of it that are not named are [`OutboxState::New`] again. Ends the batch.
    Settle {
        /// Which.
        id: BatchId,
        /// Its documents.
        results: Vec<DocumentResult>,
    },
    /// It came to nothing and will be tried again as it is, under the same key.
    Retry {
        /// Which.
        id: BatchId,
        /// Not before.
        next_at: Timestamp,
        /// Why.
        error: String,
    },
    /// It is given up as a batch and its documents are [`OutboxState::New`] again: to be split, or to be sent
    /// otherwise. [`OutboxChange::new_batches`] of the same change may take them up at once. Ends the batch.
    Dissolve {
        /// Which.
        id: BatchId,
        /// Its documents are not to be sent before.
        next_at: Option<Timestamp>,
        /// Why.
        error: String,
    },
}

/// What the answer says about one document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentResult {
    /// Position in the journal.
    pub seq: i64,
    /// What it says.
    pub outcome: DocumentOutcome,
}

/// What the service did with one document.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentOutcome {
    /// It took it. A document that an event already settled stays settled and only gets the ticket.
    Delivered {
        /// The service's number for it.
        ticket_id: Option<String>,
        /// When to ask for its status should no verdict come.
        refresh_at: Option<Timestamp>,
    },
    /// It did not take it now.
    Again {
        /// Not before.
        next_at: Option<Timestamp>,
        /// Why.
        error: String,
    },
    /// It will never take it as it is.
    Dead {
        /// Code of the refusal.
        code: String,
        /// Sentence for people.
        error: String,
        /// The item of the batch (or the whole batch of one) exactly as it was sent.
        request: Vec<u8>,
        /// The answer about it exactly as it came.
        answer: Vec<u8>,
    },
}

/// A batch before its first request.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBatch {
    /// The key.
    pub id: BatchId,
    /// `createdAt` of its body.
    pub created_at: Timestamp,
    /// Version of the mapping by which its body is built.
    pub map_ver: u32,
    /// Its documents, in their order: all [`OutboxState::New`].
    pub documents: Vec<BatchDocument>,
}

/// A document of a new batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchDocument {
    /// Position in the journal.
    pub seq: i64,
    /// Its `docSha256`, when its body has been built.
    pub raw_sha256: Option<[u8; 32]>,
}

/// How much of the journal may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeriveOrder {
    /// Documents that may be open ([`OutboxState::is_open`]) at a time, of all holders together. Reports of registration
    /// may exceed it a little.
    pub window: usize,
    /// Most positions of the journal looked at in this transaction.
    pub scan: usize,
}

/// What became of an [`OutboxChange`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitReport {
    /// Slots of [`OutboxChange::leases`] that are not this holder's any more.
    pub lost: Vec<Slot>,
    /// Documents of which nothing was recorded because of that.
    pub stale: Vec<i64>,
    /// New batches that were not made: a document of them is stale or no longer new. Nothing of them was changed.
    pub refused: Vec<BatchId>,
    /// Documents of refused batches that are no longer to be sent (settled by an event or by an operator).
    pub gone: Vec<i64>,
    /// Batches that were to be tried again as they are but have lost documents: dissolved instead. What of them is still
    /// this holder's is new again.
    pub dissolved: Vec<BatchId>,
    /// Documents that the service took.
    pub delivered: u64,
    /// Documents that became dead.
    pub dead: u64,
    /// Documents that are new again.
    pub returned: u64,
    /// What the verdicts did.
    pub verdicts: VerdictReport,
    /// What was derived, when it was asked for.
    pub derived: Option<DeriveReport>,
}

/// What was taken out of the journal. The rows are read by [`crate::Forwarding::open_rows`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeriveReport {
    /// Documents that came to be sent, [`DeriveReport::early`] and [`DeriveReport::released`] among them.
    pub derived: u64,
    /// Reports of registration taken ahead of the cursor.
    pub early: u64,
    /// Documents that wait from now on for their ФН to become known.
    pub waiting: u64,
    /// Documents whose ФН became known.
    pub released: u64,
    /// Documents put aside because enough of their ФН is open: they come to be sent when fewer are.
    pub parked: u64,
    /// Positions looked at.
    pub scanned: u64,
    /// Position up to which everything was derived.
    pub cursor: i64,
    /// Whether there is more to derive now, as soon as the window allows.
    pub more: bool,
    /// Whether the window is full.
    pub window_full: bool,
    /// Holes found in the ФД numbers of lanes (not the numbers missing).
    pub gaps: u64,
    /// Documents that came after a higher number of their lane.
    pub late: u64,
    /// The first [`MAX_REPORTED_GAPS`] of both.
    pub examples: Vec<LaneGap>,
}

/// A document that does not follow the one before it in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneGap {
    /// ФН.
    pub fn_number: FnNumber,
    /// Its ФД.
    pub fd_number: FdNumber,
    /// The next lower ФД that is there, if any is.
    pub after: Option<FdNumber>,
    /// Whether it came after a higher number; else numbers are missing before it.
    pub late: bool,
}

/// What the service decided about a document it had taken: from an event or from a status that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentVerdict {
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// The service's number for the document: tells the chains of a debug ФН apart.
    pub ticket_id: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its codes.
    pub codes: Vec<FnsCode>,
    /// When it was given, by the service's clock.
    pub at: Timestamp,
}

/// Verdict of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Accepted. Final.
    Accepted,
    /// Soft quarantine.
    Soft,
    /// Refused. Final.
    Hard,
}

/// One code of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FnsCode {
    /// The code.
    pub code: i64,
    /// Sentence of the service.
    pub text: String,
    /// Where in the document.
    pub path: Option<String>,
}

/// What became of verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerdictReport {
    /// Documents whose state or codes changed.
    pub applied: Vec<AppliedVerdict>,
    /// Verdicts that say nothing new: repeated, older than what is known, about something final or given up.
    pub ignored: u64,
    /// Verdicts about documents that are not in the outbox.
    pub unknown: u64,
}

/// A verdict that changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedVerdict {
    /// Position in the journal.
    pub seq: i64,
    /// ФН.
    pub fn_number: FnNumber,
    /// ФД.
    pub fd_number: FdNumber,
    /// Form code.
    pub kind: u16,
    /// Before.
    pub from: OutboxState,
    /// After.
    pub to: OutboxState,
}

impl OutboxChange {
    /// A change that changes nothing yet.
    #[must_use]
    pub fn new(holder: HolderId, now: Timestamp) -> Self {
        Self {
            holder,
            now,
            leases: Vec::new(),
            steps: Vec::new(),
            new_batches: Vec::new(),
            verdicts: Vec::new(),
            refresh_later: Vec::new(),
            resend: Vec::new(),
            derive: None,
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.new_batches.is_empty()
            && self.verdicts.is_empty()
            && self.refresh_later.is_empty()
            && self.resend.is_empty()
            && self.derive.is_none()
    }
}

impl BatchStep {
    /// Of which batch.
    #[must_use]
    pub fn id(&self) -> BatchId {
        match self {
            Self::Settle { id, .. } | Self::Retry { id, .. } | Self::Dissolve { id, .. } => *id,
        }
    }
}

impl Verdict {
    /// The state it leads to.
    #[must_use]
    pub fn state(self) -> OutboxState {
        match self {
            Self::Accepted => OutboxState::Accepted,
            Self::Soft => OutboxState::Soft,
            Self::Hard => OutboxState::Hard,
        }
    }

    /// Name as the service writes it: `accepted`, `soft`, `hard`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.state().name()
    }

    /// The verdict of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Accepted, Self::Soft, Self::Hard].into_iter().find(|verdict| verdict.name() == name)
    }
}
