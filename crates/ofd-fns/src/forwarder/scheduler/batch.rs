//! Batches, what is to be done with them, and what is to be recorded about them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use ofd_store::{BatchId, Slot};

use super::lanes::Item;
use crate::forwarder::Moment;
use crate::forwarder::answers::Outcome;
use crate::forwarder::gate::Turn;

/// Something to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Build a batch of these documents; tell by `Scheduler::built`.
    Build { worker: usize, items: Vec<Item> },
    /// Send the worker's batch; tell by `Scheduler::answered`.
    Send { worker: usize },
}

/// Something to be recorded about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) id: BatchId,
    /// Slots of its documents.
    pub(crate) slots: BTreeSet<Slot>,
    pub(crate) kind: StepKind,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Answered item by item, in the order of the batch; with the pause of those to be sent again.
    Settle(Vec<(Item, Outcome, Option<Duration>)>),
    /// The service refused the whole batch, which is one document.
    Dead { item: Item, code: String, error: String },
    /// To be sent again as it is, after the pause.
    Retry { pause: Duration, error: String },
    /// Given up as a batch.
    Dissolve { pause: Option<Duration>, error: String },
}

/// What came of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) steps: Vec<Step>,
    pub(crate) turn: Option<Turn>,
    /// The batch was split.
    pub(crate) split: bool,
}

/// A batch in the hand of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) created_at: Timestamp,
    pub(crate) map_ver: u32,
    pub(crate) items: Vec<Item>,
    /// Requests that came to nothing.
    pub(crate) failures: u32,
    pub(super) phase: Phase,
}

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Being made durable.
    Recording,
    Sending,
    /// To be sent, not before.
    Waiting(Moment),
}

impl Batch {
    /// A batch left by another holder, for `Scheduler::adopt`.
    pub(crate) fn left_behind(
        id: BatchId,
        created_at: Timestamp,
        map_ver: u32,
        items: Vec<Item>,
        failures: u32,
    ) -> Self {
        Self { id, created_at, map_ver, items, failures, phase: Phase::Waiting(Moment::ZERO) }
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    /// Whether the leases of all its slots outlive a request that begins now.
    pub(super) fn is_held(&self, held: &BTreeMap<Slot, Moment>, now: Moment, timeout: Duration) -> bool {
        let end = now.saturating_add(timeout);
        self.items.iter().all(|item| held.get(&item.slot).is_some_and(|until| *until > end))
    }

    pub(super) fn step(&self, kind: StepKind) -> Step {
        Step { id: self.id, slots: self.items.iter().map(|item| item.slot).collect(), kind }
    }
}
