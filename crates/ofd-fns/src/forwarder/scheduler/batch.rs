//! Batches, what is to be done with them, and what is to be recorded about them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use ofd_store::{BatchId, Slot};

use super::lanes::Item;
use crate::forwarder::Moment;
use crate::forwarder::answers::Outcome;
use crate::forwarder::gate::Turn;

/// Failures of a batch, while others are accepted, after which it is to blame and not the service.
pub(super) const STRIKES: u32 = 6;

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
    /// The service turned out to fail over this document: it goes alone from now on.
    pub(crate) parked: Option<Item>,
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
    /// How the service did while it failed over this batch.
    pub(super) doubt: Doubt,
}

/// Whether the service fails, or only over this batch: it is the batch when others were accepted between its failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Batches that were accepted until its newest failure; until it was made, before the first.
    pub(super) accepted: u64,
    /// Failures since whose forerunner others were accepted.
    pub(super) strikes: u32,
    /// Its documents come from a batch that failed.
    pub(super) suspected: bool,
}

impl Doubt {
    /// It failed, when so many batches had been accepted. True when it is to blame.
    pub(super) fn failed(&mut self, accepted: u64) -> bool {
        let others_went_well = accepted > self.accepted;
        self.accepted = accepted;
        self.strikes = self.strikes.saturating_add(u32::from(others_went_well));
        (self.suspected && others_went_well) || self.strikes >= STRIKES
    }
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
        let doubt = Doubt::default();
        Self { id, created_at, map_ver, items, failures, phase: Phase::Waiting(Moment::ZERO), doubt }
    }

    /// Whether it is a document over which the service is known to fail.
    pub(super) fn goes_alone(&self) -> bool {
        self.items.iter().any(|item| item.alone)
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
