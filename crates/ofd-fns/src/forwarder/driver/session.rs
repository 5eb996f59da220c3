//! State of one session: the scheduler, the leases, what is to be written, the bodies of the batches in hand.

mod building;
mod recording;
mod telling;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{
    Adoption, BatchId, BatchStep, Claim, ClaimOrder, CommitReport, DeriveOrder, HolderId, Holding, Lease,
    NewBatch, OutboxChange, OutboxRow, OutboxState, Slot,
};
use tracing::{debug, info, warn};

use super::round::{Bodies, Look, Round, RoundReport};
use super::{Driver, random, wall_after};
use crate::client::wire::BatchAnswer;
use crate::client::{BatchRequest, CallError};
use crate::config::FnsConfig;
use crate::forwarder::Moment;
use crate::forwarder::ages::AgeAlarm;
use crate::forwarder::backoff::Backoff;
use crate::forwarder::body::{Built, names_of};
use crate::forwarder::gate::{BreakerState, GateSettings};
use crate::forwarder::scheduler::{Batch, Item, Job, Scheduler, SchedulerSettings};
use crate::metrics::number;

/// Least time between two commits: what comes meanwhile goes into one, and the journal's writer has the store for itself.
const COMMIT_PAUSE: Duration = Duration::from_millis(20);
/// Longest time until new documents of the journal are looked for.
const DERIVE_PAUSE: Duration = Duration::from_millis(100);
/// Positions of the journal looked at in one transaction.
const DERIVE_SCAN: usize = 2_000;
/// Between two looks at the depths.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// An answer, or none.
pub(super) struct Sent {
    pub(super) worker: usize,
    pub(super) answer: Result<BatchAnswer, CallError>,
    pub(super) took: Duration,
}

/// A batch to be built from documents that were read.
struct Ingredients {
    worker: usize,
    bodies: Bodies,
}

/// State of one session.
pub(super) struct Session<'d> {
    driver: &'d Driver,
    holder: HolderId,
    began: Instant,
    scheduler: Scheduler,
    leases: BTreeMap<Slot, Lease>,
    /// Rows up to here were read.
    serial: i64,
    /// To be written with the next commit.
    steps: Vec<BatchStep>,
    new_batches: Vec<NewBatch>,
    /// Slots that the steps and batches speak about.
    touched: BTreeSet<Slot>,
    /// Workers whose batches wait for the next commit, and for the one under way.
    to_record: Vec<(usize, BatchId)>,
    recording: Vec<(usize, BatchId)>,
    /// First documents that cannot be written, by worker: dead as soon as they are recorded.
    unwritable: HashMap<usize, String>,
    /// Bodies of the batches in hand.
    built: HashMap<BatchId, Built>,
    /// Documents to be read.
    wanted: Vec<(usize, Vec<i64>)>,
    ingredients: VecDeque<Ingredients>,
    /// Batches whose lease and body are there: to be sent now.
    ready: Vec<usize>,
    release: Vec<Slot>,
    claim_due: Moment,
    /// When the claim under way was begun: leases count from there.
    claimed_at: Moment,
    derive_due: Moment,
    look_due: Moment,
    last_commit: Option<Moment>,
    /// Since when the window has been full without a break.
    full_since: Option<Moment>,
    /// Whether leases of others are waited for.
    is_waiting: bool,
    alarm: AgeAlarm,
    stopping: bool,
}

impl<'d> Session<'d> {
    pub(super) fn new(driver: &'d Driver, holder: HolderId, began: Instant) -> Self {
        let config = &driver.config;
        let seconds = Duration::from_secs;
        Self {
            scheduler: Scheduler::new(settings(config)),
            alarm: AgeAlarm::new(
                seconds(config.age_warn_s),
                seconds(config.age_high_s),
                seconds(config.age_critical_s),
            ),
            driver,
            holder,
            began,
            leases: BTreeMap::new(),
            serial: 0,
            steps: Vec::new(),
            new_batches: Vec::new(),
            touched: BTreeSet::new(),
            to_record: Vec::new(),
            recording: Vec::new(),
            unwritable: HashMap::new(),
            built: HashMap::new(),
            wanted: Vec::new(),
            ingredients: VecDeque::new(),
            ready: Vec::new(),
            release: Vec::new(),
            claim_due: Moment::ZERO,
            claimed_at: Moment::ZERO,
            derive_due: Moment::ZERO,
            look_due: Moment::ZERO,
            last_commit: None,
            full_since: None,
            is_waiting: false,
            stopping: false,
        }
    }

    /// Time since the session began.
    pub(super) fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// Nothing new from now on; what was not begun is dropped, the store still has it.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.scheduler.stop();
        self.new_batches.clear();
        self.to_record.clear();
        self.wanted.clear();
        self.ingredients.clear();
        self.ready.clear();
    }

    /// Certificates were read anew.
    pub(super) fn reloaded(&mut self) {
        let now = self.now();
        self.scheduler.reloaded(now);
    }

    /// Asks the scheduler; gives what is to be sent now.
    pub(super) fn begin_sends(&mut self, now: Moment) -> Vec<(usize, BatchRequest)> {
        if self.driver.tax.is_some() {
            let (jobs, steps) = self.scheduler.poll(now);
            self.record(steps, &[]);
            for job in jobs {
                match job {
                    Job::Build { worker, items } => {
                        self.wanted.push((worker, items.iter().map(|item| item.seq).collect()));
                    }
                    Job::Send { worker } => self.ready.push(worker),
                }
            }
        }
        let breaker = match self.scheduler.breaker(now) {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        self.driver.metrics.breaker_state.set(breaker);
        let mut requests = Vec::new();
        for worker in std::mem::take(&mut self.ready) {
            let Some(batch) = self.scheduler.batch(worker) else { continue };
            match self.built.get(&batch.id) {
                Some(built) => requests.push((worker, built.request.clone())),
                // Taken over: its body has to be built anew first.
                None => self.wanted.push((worker, batch.items.iter().map(|item| item.seq).collect())),
            }
        }
        requests
    }

    /// The next visit to the store, if there is a reason for one.
    pub(super) fn next_round(&mut self, now: Moment) -> Option<Round> {
        let sends = self.driver.tax.is_some() && !self.stopping;
        let may_commit =
            self.stopping || self.last_commit.is_none_or(|last| now >= last.saturating_add(COMMIT_PAUSE));
        let derive = sends && self.derive_due <= now && !self.scheduler.slots().is_empty();
        let writes = !self.steps.is_empty() || !self.new_batches.is_empty();
        let change = (may_commit && (writes || derive)).then(|| self.take_change(now, sends));
        self.give_back();
        let claim = (!self.stopping && self.claim_due <= now).then(|| self.claim(now));
        // Depths are told also where nothing is sent.
        let look = !self.stopping && self.look_due <= now;
        if look {
            self.look_due = now.saturating_add(LOOK_PAUSE);
        }
        let round = Round {
            holder: self.holder.clone(),
            rows: (sends && (change.is_some() || claim.is_some()))
                .then(|| (self.scheduler.slots(), self.serial)),
            change,
            release: std::mem::take(&mut self.release),
            claim,
            bodies: std::mem::take(&mut self.wanted),
            look,
        };
        let idle = round.change.is_none() && round.claim.is_none() && round.release.is_empty();
        (!idle || !round.bodies.is_empty() || look).then_some(round)
    }

    /// When there is something to do although nothing happens.
    pub(super) fn next_wake(&self, now: Moment, store_is_free: bool) -> Option<Moment> {
        let mut wakes = Vec::new();
        if self.driver.tax.is_some() {
            // A moment that has passed waits for something else: a lease, or the end of a visit. It is looked at again
            // with the next derivation or claim.
            wakes.extend(self.scheduler.next_wake(now).filter(|wake| *wake > now));
        }
        if store_is_free && !self.stopping {
            wakes.extend([self.claim_due, self.look_due]);
            if self.driver.tax.is_some() {
                wakes.push(self.derive_due);
            }
        }
        if store_is_free && (!self.steps.is_empty() || !self.new_batches.is_empty()) {
            wakes.push(self.last_commit.map_or(now, |last| last.saturating_add(COMMIT_PAUSE)));
        }
        wakes.into_iter().min().map(|wake| wake.max(now.saturating_add(Duration::from_millis(1))))
    }

    /// What a visit brought.
    pub(super) fn visited(&mut self, report: RoundReport) {
        let now = self.now();
        if let Some(commit) = report.commit {
            self.committed(commit, now);
        }
        if !report.dismissed.is_empty() {
            info!(
                processes = report.dismissed.len(),
                "processes that have ended held registers: they are free now"
            );
        }
        if let Some(claim) = report.claim {
            self.claimed(claim, &report.others, now);
        }
        self.adopt(report.adoption, &report.gained, now);
        self.insert(report.gained, now);
        self.insert(report.rows, now);
        if let Some(serial) = report.serial {
            self.serial = self.serial.max(serial);
        }
        if let Some(look) = report.look {
            self.looked(&look);
        }
        if !self.stopping {
            let bodies = report.bodies.into_iter();
            self.ingredients.extend(bodies.map(|(worker, bodies)| Ingredients { worker, bodies }));
        }
    }

    /// An answer came, or none.
    pub(super) fn answered(&mut self, sent: Sent) {
        let Sent { worker, answer, took } = sent;
        let now = self.now();
        let documents = self.scheduler.batch(worker).map_or(0, |batch| batch.items.len());
        self.driver.metrics.send_seconds.record(took.as_secs_f64());
        let evidence = match &answer {
            Ok(_) => {
                self.driver.metrics.sent("accepted");
                debug!(documents, took_ms = took.as_millis(), "a batch was answered");
                Vec::new()
            }
            Err(error) => {
                self.driver.metrics.sent(error.label());
                warn!(documents, %error, "a batch was not taken");
                match error {
                    CallError::Refused(refusal) => refusal.body.clone(),
                    CallError::Transport { .. } | CallError::Unreadable { .. } => Vec::new(),
                }
            }
        };
        let effect = self.scheduler.answered(worker, answer, now, random());
        if effect.split {
            self.driver.metrics.split.increment(1);
        }
        if let Some(item) = &effect.parked {
            self.parked(item);
        }
        if let Some(turn) = effect.turn {
            self.turned(turn);
        }
        self.record(effect.steps, &evidence);
    }

    fn take_change(&mut self, now: Moment, derive: bool) -> OutboxChange {
        let mut change = OutboxChange::new(self.holder.clone(), Timestamp::now());
        change.steps = std::mem::take(&mut self.steps);
        change.new_batches = std::mem::take(&mut self.new_batches);
        let touched = std::mem::take(&mut self.touched);
        change.leases = touched.iter().filter_map(|slot| self.leases.get(slot)).copied().collect();
        let window = usize::try_from(self.driver.config.window_docs).unwrap_or(usize::MAX);
        change.derive = derive.then_some(DeriveOrder { window, scan: DERIVE_SCAN });
        self.recording = std::mem::take(&mut self.to_record);
        self.last_commit = Some(now);
        self.derive_due = now.saturating_add(self.derive_pause());
        change
    }

    fn derive_pause(&self) -> Duration {
        (self.driver.config.linger() / 2).clamp(Duration::from_millis(10), DERIVE_PAUSE)
    }

    fn claim(&mut self, now: Moment) -> ClaimOrder {
        let config = &self.driver.config;
        let (lease, timeout) = (config.lease(), config.timeout());
        // Often enough that a request may begin at any time.
        let pause = (lease / 3).min(lease.saturating_sub(timeout) / 2);
        self.claim_due = now.saturating_add(pause.max(Duration::from_millis(100)));
        self.claimed_at = now;
        ClaimOrder {
            holder: self.holder.clone(),
            now: Timestamp::now(),
            until: wall_after(lease),
            lanes: self.driver.tax.is_some(),
            registrar: true,
        }
    }

    fn claimed(&mut self, claim: Claim, others: &[Holding], now: Moment) {
        self.tell_waiting(&claim, others);
        let until = self.claimed_at.saturating_add(self.driver.config.lease());
        let held: Vec<(Slot, Moment)> = claim.leases.iter().map(|lease| (lease.slot, until)).collect();
        let lost =
            self.leases.keys().filter(|slot| !claim.leases.iter().any(|lease| lease.slot == **slot)).count();
        if lost > 0 {
            warn!(lost, "other processes took over some of our registers: this one was silent for too long");
        }
        if !claim.gained.is_empty() {
            info!(
                gained = claim.gained.len(),
                held = held.len(),
                processes = claim.holders,
                "registers taken over"
            );
        }
        self.leases = claim.leases.iter().map(|lease| (lease.slot, *lease)).collect();
        let lanes = self.leases.keys().filter(|slot| slot.has_lanes()).count();
        self.driver.metrics.slots_held.set(number(u64::try_from(lanes).unwrap_or(u64::MAX)));
        let mut steps = self.scheduler.set_leases(held, now);
        if claim.excess > 0 {
            steps.extend(self.scheduler.give_back(claim.excess, now));
        }
        self.record(steps, &[]);
        let registrar = self.leases.get(&Slot::REGISTRAR).map(|lease| lease.proof(&self.holder));
        self.driver.registrar.send_if_modified(|old| {
            let differs = *old != registrar;
            *old = registrar;
            differs
        });
    }

    /// Gives up excess slots of which nothing is under way and nothing is left to be written: who has them next goes on
    /// from what is in the store. A change made in the same visit is written before.
    fn give_back(&mut self) {
        let released = self.scheduler.take_released(&self.touched);
        if !released.is_empty() {
            debug!(slots = released.len(), "registers are given to another process");
            self.leases.retain(|slot, _| !released.contains(slot));
            self.release.extend(released);
        }
    }

    fn committed(&mut self, report: CommitReport, now: Moment) {
        if !report.stale.is_empty() {
            warn!(
                documents = report.stale.len(),
                "answers were not recorded: the registers have gone to another process"
            );
        }
        let gone: BTreeSet<i64> = report.gone.iter().chain(&report.stale).copied().collect();
        for (worker, id) in std::mem::take(&mut self.recording) {
            if report.refused.contains(&id) {
                self.built.remove(&id);
                self.unwritable.remove(&worker);
                self.scheduler.not_recorded(worker, &gone, now);
                continue;
            }
            self.scheduler.recorded(worker);
            if let Some(error) = self.unwritable.remove(&worker)
                && let Some(step) = self.scheduler.unwritable(worker, &error)
            {
                self.record([step], &[]);
            }
        }
        self.driver.metrics.dead.increment(report.dead);
        if let Some(derived) = report.derived {
            self.derived(&derived, now);
        }
    }

    fn adopt(&mut self, adoption: Adoption, rows: &[OutboxRow], now: Moment) {
        let Adoption { batches, returned } = adoption;
        if !batches.is_empty() || returned > 0 {
            info!(batches = batches.len(), returned, "what another process left under way is taken over");
        }
        let by_seq: HashMap<i64, &OutboxRow> = rows.iter().map(|row| (row.seq, row)).collect();
        for row in batches {
            let items: Vec<Item> = row
                .documents
                .iter()
                .filter_map(|seq| by_seq.get(seq))
                .map(|row| self.item(row, now))
                .collect();
            let whole = items.len() == row.documents.len() && names_of(row.map_ver).is_some();
            let batch = Batch::left_behind(row.id, row.created_at, row.map_ver, items, row.attempts);
            let until = self.moment(row.next_at, now);
            let step = if whole {
                self.scheduler.adopt(batch, until, now)
            } else {
                self.scheduler.refuse(batch, "its body can no longer be built as it was", now)
            };
            self.record(step, &[]);
        }
    }

    fn insert(&mut self, rows: Vec<OutboxRow>, now: Moment) {
        let new: Vec<Item> =
            rows.iter().filter(|row| row.state == OutboxState::New).map(|row| self.item(row, now)).collect();
        self.scheduler.insert(new, now);
    }

    fn item(&self, row: &OutboxRow, now: Moment) -> Item {
        Item {
            seq: row.seq,
            fn_number: row.fn_number,
            place: (row.chain, row.fd_number.get()),
            slot: row.slot,
            urgent: row.is_urgent(),
            attempts: row.attempts,
            ready_at: self.moment(row.next_at, now),
            arrived: now,
            alone: false,
        }
    }

    /// A stored moment by our own clock. One far away was written by a clock that was wrong.
    fn moment(&self, at: Option<Timestamp>, now: Moment) -> Moment {
        let wait = at.and_then(|at| Duration::try_from(at.duration_since(Timestamp::now())).ok());
        now.saturating_add(wait.unwrap_or_default().min(Duration::from_secs(self.driver.config.retry_cap_s)))
    }
}

fn settings(config: &FnsConfig) -> SchedulerSettings {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    SchedulerSettings {
        workers: count(config.workers),
        batch_docs: count(config.batch_docs),
        linger: config.linger(),
        timeout: config.timeout(),
        backoff: Backoff {
            base: Duration::from_millis(config.retry_base_ms),
            cap: Duration::from_secs(config.retry_cap_s),
        },
        gate: GateSettings {
            failures: config.breaker_failures,
            open: Duration::from_secs(config.breaker_open_s),
            open_max: Duration::from_secs(config.breaker_open_max_s),
            probe: config.probe(),
        },
    }
}
