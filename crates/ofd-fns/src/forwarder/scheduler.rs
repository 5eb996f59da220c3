//! What to send next and what an answer means for what comes after it. Pure: moments and random numbers are arguments,
//! what is to be done comes out as [`Job`]s and [`Step`]s.
//!
//! Lanes are spread over workers by their slot; a worker has one batch in hand, so a lane has at most one in flight. The
//! worker's batch goes through: taken from the lanes, built, recorded, sent, answered; or sent again as it is.

mod answered;
mod batch;
mod lanes;
mod probe;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ffd::ids::FnNumber;
use jiff::Timestamp;
use ofd_store::{BatchId, Slot};

use super::Moment;
use super::backoff::Backoff;
use super::gate::{BreakerState, Gate, GateSettings, Permit};
pub(crate) use batch::{Batch, Effect, Job, Step, StepKind};
use batch::{Doubt, Phase};
pub(crate) use lanes::Item;
use lanes::{Lanes, place};

/// Settings of the scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchedulerSettings {
    pub(crate) workers: usize,
    pub(crate) batch_docs: usize,
    pub(crate) linger: Duration,
    /// Longest time of a request: a lease must hold longer.
    pub(crate) timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) gate: GateSettings,
}

/// A document found again by its place.
type Wanted = (FnNumber, (u32, u32, i64));

/// A part of a batch that was given up.
#[derive(Debug, Clone)]
struct Piece {
    wanted: Vec<Wanted>,
    /// Not before.
    ready_at: Moment,
    /// Inherited by the batch made of it.
    doubt: Option<Doubt>,
}

#[derive(Debug, Default)]
struct Worker {
    lanes: Lanes,
    batch: Option<Batch>,
    /// Documents that are being built.
    building: Option<Vec<Item>>,
    /// Whether what is being built is a piece of a split batch.
    building_piece: bool,
    /// Doubts about what is being built; without any it is like all others.
    building_doubt: Option<Doubt>,
    /// Pieces of a split batch, sent before anything else.
    pieces: VecDeque<Piece>,
    /// Batches taken over, sent after the one in hand.
    adopted: VecDeque<Batch>,
}

/// The scheduler.
#[derive(Debug)]
pub(crate) struct Scheduler {
    settings: SchedulerSettings,
    workers: Vec<Worker>,
    gate: Gate,
    /// Slots that are held, and until when by our clock.
    held: BTreeMap<Slot, Moment>,
    /// Slots to be given back.
    draining: BTreeSet<Slot>,
    /// The worker whose batch is the probe.
    probe: Option<usize>,
    /// Batches that were accepted.
    accepted: u64,
    stopping: bool,
}

impl Scheduler {
    pub(crate) fn new(settings: SchedulerSettings) -> Self {
        let workers = settings.workers.max(1);
        Self {
            settings,
            workers: (0..workers).map(|_| Worker::default()).collect(),
            gate: Gate::new(settings.gate),
            held: BTreeMap::new(),
            draining: BTreeSet::new(),
            probe: None,
            accepted: 0,
            stopping: false,
        }
    }

    /// The batch in the hand of a worker.
    pub(crate) fn batch(&self, worker: usize) -> Option<&Batch> {
        self.workers.get(worker)?.batch.as_ref()
    }

    /// Documents in memory.
    pub(crate) fn len(&self) -> usize {
        let in_hand = |worker: &Worker| {
            let building = worker.building.as_ref().map_or(0, Vec::len);
            let batches = worker.batch.iter().chain(&worker.adopted);
            building + batches.map(|batch| batch.items.len()).sum::<usize>()
        };
        self.workers.iter().map(|worker| worker.lanes.len() + in_hand(worker)).sum()
    }

    /// Slots that are held and not being given back.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.held.keys().copied().filter(|slot| !self.draining.contains(slot)).collect()
    }

    /// Whether a request is under way.
    #[cfg(test)]
    pub(crate) fn is_sending(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.batch.as_ref().is_some_and(|batch| batch.phase == Phase::Sending))
    }

    /// Whether sending is stopped because the service does not take us.
    #[cfg(test)]
    pub(crate) fn is_barred(&self) -> bool {
        self.gate.is_barred()
    }

    /// State of the breaker.
    pub(crate) fn breaker(&self, now: Moment) -> BreakerState {
        self.gate.state(now)
    }

    /// Nothing new is begun from now on.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Certificates were read anew.
    pub(crate) fn reloaded(&mut self, now: Moment) {
        self.gate.reloaded(now);
    }

    /// The slots that are held from now on, each until when. Lanes of others are forgotten; batches that wait and touch
    /// others are given up.
    pub(crate) fn set_leases(
        &mut self,
        leases: impl IntoIterator<Item = (Slot, Moment)>,
        now: Moment,
    ) -> Vec<Step> {
        self.held = leases.into_iter().collect();
        self.draining.retain(|slot| self.held.contains_key(slot));
        self.drop_foreign(now)
    }

    /// So many slots are more than our share: picks those to be given back and forgets their lanes. Batches that wait and
    /// touch them are given up; those under way are waited for.
    pub(crate) fn give_back(&mut self, excess: usize, now: Moment) -> Vec<Step> {
        let missing = excess.saturating_sub(self.draining.len());
        let picked: Vec<Slot> =
            self.slots().into_iter().rev().filter(|slot| slot.has_lanes()).take(missing).collect();
        self.draining.extend(picked);
        self.drop_foreign(now)
    }

    /// Slots of which nothing is under way any more, but for those of which something is still `unwritten`: to be released.
    /// They are ours no longer.
    pub(crate) fn take_released(&mut self, unwritten: &BTreeSet<Slot>) -> Vec<Slot> {
        let in_hand = self.workers.iter().flat_map(Worker::slots_in_hand);
        let busy: BTreeSet<Slot> = in_hand.chain(unwritten.iter().copied()).collect();
        let released: Vec<Slot> = self.draining.iter().copied().filter(|slot| !busy.contains(slot)).collect();
        for slot in &released {
            self.draining.remove(slot);
            self.held.remove(slot);
        }
        released
    }

    /// Documents that came to be sent. Those that are known or not ours are passed over.
    pub(crate) fn insert(&mut self, items: impl IntoIterator<Item = Item>, now: Moment) {
        for item in items {
            if self.is_ours(item.slot)
                && let Some(worker) = self.worker_of(item.slot)
                && !worker.has_in_hand(item.seq)
            {
                worker.lanes.insert(item, now);
            }
        }
    }

    /// A batch that the holder before us left in flight. One that we would not have made like this (lanes of several
    /// workers) is given up.
    pub(crate) fn adopt(&mut self, mut batch: Batch, until: Moment, now: Moment) -> Option<Step> {
        let workers: BTreeSet<usize> = batch.items.iter().map(|item| self.index_of(item.slot)).collect();
        let ours = batch.items.iter().all(|item| self.is_ours(item.slot));
        batch.phase = Phase::Waiting(until);
        batch.doubt.accepted = self.accepted;
        match (workers.first(), workers.len()) {
            (Some(worker), 1) if ours => {
                if let Some(worker) = self.workers.get_mut(*worker) {
                    worker.adopted.push_back(batch);
                }
                None
            }
            _ => {
                let step = batch.step(StepKind::Dissolve {
                    pause: None,
                    error: "taken over by a process with other workers".to_owned(),
                });
                self.put_back(batch.items, now);
                Some(step)
            }
        }
    }

    /// A batch that the holder before us left in flight and that cannot be sent again as it was.
    pub(crate) fn refuse(&mut self, batch: Batch, error: &str, now: Moment) -> Option<Step> {
        let step = batch.step(StepKind::Dissolve { pause: None, error: error.to_owned() });
        self.put_back(batch.items, now);
        Some(step)
    }

    /// What is to be done now. Steps are to be recorded with it.
    pub(crate) fn poll(&mut self, now: Moment) -> (Vec<Job>, Vec<Step>) {
        let (mut jobs, mut steps) = (Vec::new(), Vec::new());
        if self.stopping {
            return (jobs, steps);
        }
        for worker in &mut self.workers {
            worker.lanes.advance(now);
            worker.take_adopted();
        }
        match self.gate.permit(now) {
            Permit::Closed(_) => {}
            Permit::Free => {
                for index in 0..self.workers.len() {
                    jobs.extend(self.job_of(index, now));
                }
            }
            Permit::Probe => jobs.extend(self.probe_job(now, &mut steps)),
        }
        (jobs, steps)
    }

    /// When [`Self::poll`] may have something to do although nothing has happened. Nothing: only when something happens.
    pub(crate) fn next_wake(&self, now: Moment) -> Option<Moment> {
        if self.stopping {
            return None;
        }
        let gate = match self.gate.permit(now) {
            Permit::Closed(until) => return until,
            Permit::Free | Permit::Probe => now,
        };
        let of_worker = |worker: &Worker| match (&worker.batch, &worker.building) {
            (Some(Batch { phase: Phase::Waiting(until), .. }), _) => Some(*until),
            (Some(_), _) | (None, Some(_)) => None,
            (None, None) => {
                let linger =
                    worker.lanes.waiting_since().map(|since| since.saturating_add(self.settings.linger));
                [linger, worker.lanes.next_ready()].into_iter().flatten().min()
            }
        };
        self.workers.iter().filter_map(of_worker).min().map(|moment| moment.max(gate))
    }

    /// The first `fits` of the documents of [`Job::Build`] became a batch; the others did not fit in. It is to be
    /// recorded: see [`Self::recorded`].
    pub(crate) fn built(
        &mut self,
        worker: usize,
        id: BatchId,
        created_at: Timestamp,
        map_ver: u32,
        fits: usize,
        now: Moment,
    ) {
        let unsuspected = Doubt { accepted: self.accepted, ..Doubt::default() };
        let Some(hand) = self.workers.get_mut(worker) else { return };
        let Some(mut items) = hand.building.take() else { return };
        let doubt = hand.building_doubt.take();
        let rest = items.split_off(fits.clamp(1, items.len().max(1)).min(items.len()));
        if hand.building_piece && !rest.is_empty() {
            let wanted = rest.iter().map(wanted).collect();
            hand.pieces.push_front(Piece { wanted, ready_at: now, doubt });
        }
        if !items.is_empty() {
            let (phase, doubt) = (Phase::Recording, doubt.unwrap_or(unsuspected));
            hand.batch = Some(Batch { id, created_at, map_ver, items, failures: 0, phase, doubt });
        }
        self.put_back(rest, now);
    }

    /// The batch in hand is durable: it may be sent.
    pub(crate) fn recorded(&mut self, worker: usize) {
        if let Some(batch) = self.workers.get_mut(worker).and_then(|worker| worker.batch.as_mut())
            && batch.phase == Phase::Recording
        {
            batch.phase = Phase::Waiting(Moment::ZERO);
        }
    }

    /// The batch in hand was not made, because these documents are not to be sent (by us) any more.
    pub(crate) fn not_recorded(&mut self, worker: usize, gone: &BTreeSet<i64>, now: Moment) {
        self.call_off_probe(worker);
        if let Some(batch) = self.workers.get_mut(worker).and_then(|worker| worker.batch.take()) {
            self.put_back(batch.items.into_iter().filter(|item| !gone.contains(&item.seq)), now);
        }
    }

    /// The batch of one in hand cannot be written as JSON: it will never be sent.
    pub(crate) fn unwritable(&mut self, worker: usize, error: &str) -> Option<Step> {
        self.call_off_probe(worker);
        let mut batch = self.workers.get_mut(worker)?.batch.take()?;
        let item = batch.items.pop()?;
        batch.items.push(item.clone());
        Some(batch.step(StepKind::Dead { item, code: "UNREADABLE".to_owned(), error: error.to_owned() }))
    }

    /// The batch in hand cannot be sent as it was recorded: its documents go into another one.
    pub(crate) fn give_up(&mut self, worker: usize, error: &str, now: Moment) -> Option<Step> {
        self.call_off_probe(worker);
        let batch = self.workers.get_mut(worker)?.batch.take()?;
        let step = batch.step(StepKind::Dissolve { pause: None, error: error.to_owned() });
        self.put_back(batch.items, now);
        Some(step)
    }

    fn job_of(&mut self, index: usize, now: Moment) -> Option<Job> {
        let (held, timeout) = (&self.held, self.settings.timeout);
        let worker = self.workers.get_mut(index)?;
        if let Some(batch) = &mut worker.batch {
            return match batch.phase {
                Phase::Waiting(until) if until <= now && batch.is_held(held, now, timeout) => {
                    batch.phase = Phase::Sending;
                    Some(Job::Send { worker: index })
                }
                _ => None,
            };
        }
        let full = worker.lanes.ready_len() >= self.settings.batch_docs;
        let lingered = worker
            .lanes
            .waiting_since()
            .is_some_and(|since| since.saturating_add(self.settings.linger) <= now);
        if full || lingered || worker.lanes.has_urgent() || worker.has_piece(now) {
            return self.begin(index, now);
        }
        None
    }

    fn begin(&mut self, index: usize, now: Moment) -> Option<Job> {
        let limit = self.settings.batch_docs;
        let worker = self.workers.get_mut(index)?;
        if worker.building.is_some() {
            return None;
        }
        let mut items = Vec::new();
        while items.is_empty()
            && let Some(mut piece) = worker.take_piece(now)
        {
            if piece.wanted.len() > limit {
                let rest = piece.wanted.split_off(limit);
                worker.pieces.push_front(Piece { wanted: rest, ..piece });
            }
            items = worker.lanes.take_these(&piece.wanted, now);
            worker.building_piece = true;
            worker.building_doubt = piece.doubt;
        }
        if items.is_empty() {
            worker.building_piece = false;
            worker.building_doubt = None;
            items = worker.lanes.take(limit, now);
        }
        if items.is_empty() {
            return None;
        }
        worker.building = Some(items.clone());
        Some(Job::Build { worker: index, items })
    }

    /// Forgets lanes that are not ours, and gives up batches that wait and touch them.
    fn drop_foreign(&mut self, now: Moment) -> Vec<Step> {
        let ours: BTreeSet<Slot> = self.slots().into_iter().collect();
        let mut steps = Vec::new();
        let mut returned = Vec::new();
        for worker in &mut self.workers {
            worker.lanes.forget(|slot| !ours.contains(&slot));
            let foreign = |batch: &Batch| batch.items.iter().any(|item| !ours.contains(&item.slot));
            let waiting = worker.batch.take_if(|batch| batch.waits() && foreign(batch));
            let mut given_up: Vec<Batch> = waiting.into_iter().collect();
            let (foreign_ones, kept): (Vec<Batch>, Vec<Batch>) = worker.adopted.drain(..).partition(foreign);
            given_up.extend(foreign_ones);
            worker.adopted = kept.into();
            for batch in given_up {
                steps.push(batch.step(StepKind::Dissolve {
                    pause: None,
                    error: "some of its registers went to another process".to_owned(),
                }));
                returned.extend(batch.items);
            }
        }
        self.put_back(returned, now);
        steps
    }

    fn put_back(&mut self, items: impl IntoIterator<Item = Item>, now: Moment) {
        self.insert(items, now);
    }

    fn is_ours(&self, slot: Slot) -> bool {
        self.held.contains_key(&slot) && !self.draining.contains(&slot)
    }

    fn index_of(&self, slot: Slot) -> usize {
        usize::from(slot.get()) % self.workers.len().max(1)
    }

    fn worker_of(&mut self, slot: Slot) -> Option<&mut Worker> {
        let index = self.index_of(slot);
        self.workers.get_mut(index)
    }
}

impl Worker {
    fn has_in_hand(&self, seq: i64) -> bool {
        let batches = self.batch.iter().chain(&self.adopted).flat_map(|batch| &batch.items);
        batches.chain(self.building.iter().flatten()).any(|item| item.seq == seq)
    }

    fn slots_in_hand(&self) -> impl Iterator<Item = Slot> + '_ {
        let batches = self.batch.iter().chain(&self.adopted).flat_map(|batch| &batch.items);
        batches.chain(self.building.iter().flatten()).map(|item| item.slot)
    }

    fn has_piece(&self, now: Moment) -> bool {
        self.pieces.iter().any(|piece| piece.ready_at <= now)
    }

    fn take_piece(&mut self, now: Moment) -> Option<Piece> {
        let index = self.pieces.iter().position(|piece| piece.ready_at <= now)?;
        self.pieces.remove(index)
    }

    fn take_adopted(&mut self) {
        if self.batch.is_none() && self.building.is_none() {
            self.batch = self.adopted.pop_front();
        }
    }
}

/// `docKey` of a document.
pub(crate) fn doc_key(item: &Item) -> String {
    format!("{}-{}", item.fn_number.as_str(), item.place.1)
}

fn wanted(item: &Item) -> Wanted {
    (item.fn_number, place(item))
}

#[cfg(test)]
mod tests;
