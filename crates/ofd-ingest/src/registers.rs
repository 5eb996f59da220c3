//! What is remembered of each ФН while the daemon runs, so that a document can be judged against the ones before it:
//! its registration, its numbers, its running shift ([`RegisterState`]).
//!
//! A state is read from the store when an ФН comes for the first time, then moves with every document on its way to
//! the journal: pipelined documents are judged in order, before the first of them is committed. When the journal's word
//! contradicts the state (a conflict, a failure, a repeat of what was taken for new), it is forgotten and read again, but
//! not before the journal has spoken of every document of the ФН that it has in hand: what is read earlier lacks them.
//! Until then documents are judged without a state. Of an ФН that the store knows nothing of, that is what is remembered.
//!
//! Where several nodes write into one store, the state of one of them lacks what the others took; it shows by a number that
//! is not the next one, and the state is read again before the document is judged.
//!
//! States are a help for warnings, not a truth. If a history cannot be read in time, documents are judged without it,
//! and counted. Two connections of one ФН share its state, and whose document comes first is judged first.
//!
//! Bounded: of [`MAX_REMEMBERED`] ФН at most, those that were quiet for longest are forgotten. A state with an open
//! shift takes some 1.2 KiB, with the longest texts that a registration report may have 3 KiB: a full memory is 80 MiB
//! as a rule and 200 MiB at worst.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ffd::check::RegisterState;
use ffd::{Document, FdNumber, FnNumber, tags};
use ofd_store::{HistoryReader, RegisterHistory, StoreError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::clock;
use crate::metrics::{HistoryOutcome, Metrics};

/// Most ФН whose states are remembered.
pub(crate) const MAX_REMEMBERED: usize = 65_536;

/// Parts of the memory with a lock of their own.
const SHARDS: usize = 64;

/// Half of what one part holds.
const HALF_SHARD: usize = MAX_REMEMBERED / SHARDS / 2;

/// Histories that are read at the same time: reading them must not fill the pool of blocking threads, nor take the
/// disk from the journal.
const MAX_LOADS: usize = 4;

/// How long a document waits for the history of its ФН, the waiting for others included.
const LOAD_PATIENCE: Duration = Duration::from_millis(500);

/// How long an ФН whose history could not be read is judged without, before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Where histories come from. A trait, so that tests can have one that hangs.
pub trait History: Send + Sync {
    /// What is stored of an ФН; nothing if there is nothing. May block.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load(&self, fn_number: &FnNumber) -> Result<Option<RegisterHistory>, StoreError>;

    /// Whether others take documents into the same store.
    fn is_shared(&self) -> bool {
        false
    }
}

impl History for HistoryReader {
    fn load(&self, fn_number: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        Self::load(self, fn_number)
    }

    fn is_shared(&self) -> bool {
        self.is_on_server()
    }
}

/// The memory.
pub(crate) struct Registers {
    history: Arc<dyn History>,
    is_shared: bool,
    shards: Vec<Mutex<Shard>>,
    limits: Limits,
    loads: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// The constants above, which tests make smaller.
#[derive(Debug, Clone, Copy)]
struct Limits {
    half_shard: usize,
    load_patience: Duration,
    retry_after: Duration,
}

/// What is remembered of an ФН.
#[derive(Clone)]
pub(crate) enum Memory {
    /// Its state.
    State(Arc<Mutex<RegisterState>>),
    /// That it could not be read, lately.
    Unread { since: Instant },
}

/// Two generations: who is used moves to the young one; when that is full, it becomes the old one, and the former old
/// one is forgotten. So whoever was used among the last half-shard of different ФН is still there.
#[derive(Default)]
struct Shard {
    young: HashMap<FnNumber, Memory>,
    old: HashMap<FnNumber, Memory>,
    /// How many documents of an ФН the journal has in hand; never 0. As many at most as are in flight.
    in_hand: HashMap<FnNumber, usize>,
}

impl Registers {
    pub(crate) fn new(history: Arc<dyn History>, metrics: Arc<Metrics>) -> Arc<Self> {
        let limits =
            Limits { half_shard: HALF_SHARD, load_patience: LOAD_PATIENCE, retry_after: RETRY_AFTER };
        Self::with_limits(history, metrics, limits)
    }

    fn with_limits(history: Arc<dyn History>, metrics: Arc<Metrics>, limits: Limits) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let is_shared = history.is_shared();
        Arc::new(Self {
            history,
            is_shared,
            shards,
            limits,
            loads: Arc::new(Semaphore::new(MAX_LOADS)),
            metrics,
        })
    }

    /// What is remembered of an ФН. Nothing: ask [`Self::load`] first.
    pub(crate) fn recall(&self, fn_number: &FnNumber) -> Option<Memory> {
        let mut shard = self.shard(fn_number);
        let (memory, forgotten) = shard.recall(fn_number, self.limits.half_shard);
        // Asked for those alone to whom it makes a difference.
        let in_hand = !matches!(memory, Some(Memory::State(_))) && shard.in_hand.contains_key(fn_number);
        drop(shard);
        drop(forgotten);
        match memory {
            Some(Memory::Unread { since }) if !in_hand && since.elapsed() >= self.limits.retry_after => None,
            None if in_hand => Some(Memory::unread()),
            memory => memory,
        }
    }

    /// The same before a document with this number. In a shared store a state that the number does not follow is forgotten:
    /// what is between may have come to another node.
    pub(crate) fn recall_before(&self, fn_number: &FnNumber, fd_number: FdNumber) -> Option<Memory> {
        let memory = self.recall(fn_number)?;
        if self.is_shared && memory.misses_some_before(fd_number) {
            self.shard(fn_number).forget(fn_number);
            return self.recall(fn_number);
        }
        Some(memory)
    }

    /// Reads the history of an ФН. However that ends, it is remembered and given back.
    ///
    /// Cancellation-safe: dropped, a reading that has begun ends by itself and nothing comes of it.
    pub(crate) async fn load(&self, fn_number: FnNumber) -> Memory {
        let (memory, outcome) = match timeout(self.limits.load_patience, self.read(fn_number)).await {
            Ok(Ok(Some(state))) => (Memory::state(state), HistoryOutcome::Found),
            Ok(Ok(None)) => (Memory::state(RegisterState::default()), HistoryOutcome::Nothing),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the history of the ФН cannot be read");
                (Memory::unread(), HistoryOutcome::Failed)
            }
            Err(_) => {
                tracing::debug!("the history of the ФН takes too long");
                (Memory::unread(), HistoryOutcome::Late)
            }
        };
        self.metrics.history_loaded(outcome);
        let (memory, forgotten) = self.shard(&fn_number).remember(fn_number, memory, self.limits.half_shard);
        drop(forgotten);
        memory
    }

    async fn read(&self, fn_number: FnNumber) -> Result<Option<RegisterState>, StoreError> {
        let place = Arc::clone(&self.loads).acquire_owned().await;
        let history = Arc::clone(&self.history);
        let read = tokio::task::spawn_blocking(move || {
            // Held until the reading ends, even if nobody waits for it any more.
            let _place = place;
            let history = history.load(&fn_number)?;
            Ok(history.map(|history| rebuild(&fn_number, &history)))
        });
        read.await.unwrap_or_else(|error| {
            Err(StoreError::Corrupt { detail: format!("reading the history ended badly: {error}") })
        })
    }

    /// The journal takes a document in hand. Ended by [`Advance`].
    fn hand_over(&self, fn_number: FnNumber) {
        let mut shard = self.shard(&fn_number);
        let documents = shard.in_hand.entry(fn_number).or_default();
        *documents = documents.saturating_add(1);
    }

    /// The journal has done with a document. Under one lock, or a reading could begin between the two.
    fn take_back(&self, fn_number: &FnNumber, agrees: bool) {
        let mut shard = self.shard(fn_number);
        if !agrees {
            shard.forget(fn_number);
        }
        if let Entry::Occupied(mut documents) = shard.in_hand.entry(*fn_number) {
            *documents.get_mut() = documents.get().saturating_sub(1);
            if *documents.get() == 0 {
                documents.remove();
            }
        }
    }

    /// Multiplicative hashing: ФН numbers come in ranges, the top bits of the product spread them. A poisoned lock is
    /// taken as it is: no step in here leaves a shard half changed.
    fn shard(&self, fn_number: &FnNumber) -> MutexGuard<'_, Shard> {
        let number = u64::from_be_bytes(fn_number.to_bcd());
        let [top, ..] = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let shard = self.shards.get(usize::from(top) % SHARDS).expect("as many shards as remainders");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn state(state: RegisterState) -> Self {
        Self::State(Arc::new(Mutex::new(state)))
    }

    /// Whether documents are between the newest of the state and this one.
    fn misses_some_before(&self, fd_number: FdNumber) -> bool {
        self.judge(|state| {
            state.is_some_and(|state| state.last_fd().unwrap_or(0).saturating_add(1) < fd_number.get())
        })
    }

    fn unread() -> Self {
        Self::Unread { since: clock::monotonic_now() }
    }

    /// Runs `judge` with the state, if there is one. Another document of the same ФН waits meanwhile, no other does.
    pub(crate) fn judge<T>(&self, judge: impl FnOnce(Option<&RegisterState>) -> T) -> T {
        match self {
            Self::State(state) => judge(Some(&locked(state))),
            Self::Unread { .. } => judge(None),
        }
    }

    /// Takes a document into account that is on its way to the journal. What is returned must hear what the journal
    /// said.
    pub(crate) fn advance(
        &self,
        registers: &Arc<Registers>,
        fn_number: FnNumber,
        document: &Document<'_>,
    ) -> Advance {
        registers.hand_over(fn_number);
        let (applied, moved) = match self {
            Self::Unread { .. } => (false, false),
            Self::State(state) => {
                let mut state = locked(state);
                let before = state.last_fd();
                state.apply(document);
                // A first report may begin the chain of a debug ФН anew and leave the number as it was.
                (true, state.last_fd() != before || document.form().is_registration())
            }
        };
        Advance { registers: Arc::clone(registers), fn_number, applied, moved, confirmed: false }
    }
}

fn locked(state: &Mutex<RegisterState>) -> MutexGuard<'_, RegisterState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// Also gives back what has to be forgotten, so that freeing it keeps nobody waiting.
    fn recall(&mut self, fn_number: &FnNumber, half: usize) -> (Option<Memory>, Option<Forgotten>) {
        if let Some(memory) = self.young.get(fn_number) {
            return (Some(memory.clone()), None);
        }
        let Some(memory) = self.old.remove(fn_number) else { return (None, None) };
        (Some(memory.clone()), self.put(*fn_number, memory, half))
    }

    /// A state that is there already is the one that counts: it has moved on since the other was read. One that was read
    /// while the journal has documents of the ФН in hand may lack them, and is not kept.
    fn remember(&mut self, fn_number: FnNumber, memory: Memory, half: usize) -> (Memory, Option<Forgotten>) {
        let there = self.young.get(&fn_number).or_else(|| self.old.get(&fn_number));
        if let Some(there @ Memory::State(_)) = there {
            return (there.clone(), None);
        }
        if matches!(memory, Memory::State(_)) && self.in_hand.contains_key(&fn_number) {
            return (Memory::unread(), None);
        }
        self.old.remove(&fn_number);
        (memory.clone(), self.put(fn_number, memory, half))
    }

    /// The state is wrong, or may be: the next document has it read again. That it could not be read stays known.
    fn forget(&mut self, fn_number: &FnNumber) {
        for generation in [&mut self.young, &mut self.old] {
            if matches!(generation.get(fn_number), Some(Memory::State(_))) {
                generation.remove(fn_number);
            }
        }
    }

    fn put(&mut self, fn_number: FnNumber, memory: Memory, half: usize) -> Option<Forgotten> {
        self.young.insert(fn_number, memory);
        (self.young.len() >= half).then(|| std::mem::replace(&mut self.old, std::mem::take(&mut self.young)))
    }
}

/// States that were quiet for longest.
type Forgotten = HashMap<FnNumber, Memory>;

/// A step of a state that waits for the journal's word. Unless that confirms it, the state is forgotten; so it is when
/// the word never comes.
pub(crate) struct Advance {
    registers: Arc<Registers>,
    fn_number: FnNumber,
    /// There was a state to take the document into account.
    applied: bool,
    /// The state took the document for a new one.
    moved: bool,
    confirmed: bool,
}

impl Advance {
    /// The document was new. A state that was read meanwhile, by another connection, may not know it.
    pub(crate) fn stored(mut self) {
        self.confirmed = self.applied;
    }

    /// The document was known.
    pub(crate) fn repeated(mut self) {
        self.confirmed = !self.moved;
    }
}

impl Drop for Advance {
    fn drop(&mut self) {
        self.registers.take_back(&self.fn_number, self.confirmed);
    }
}

/// The state after everything that is stored and says something. The store leaves out what the checks passed over when it
/// came; should it give out a document that cannot be read or speaks of another ФН, that is passed over here.
fn rebuild(fn_number: &FnNumber, history: &RegisterHistory) -> RegisterState {
    let mut state = RegisterState::default();
    let apply = |state: &mut RegisterState, bytes: &[u8]| match Document::decode(bytes) {
        Ok(document) if document.text(tags::FN_NUMBER).as_deref() == Some(fn_number.as_str()) => {
            state.apply(&document);
        }
        _ => {}
    };
    if let Some(registration) = &history.registration {
        apply(&mut state, registration);
    }
    if history.cut {
        state.cut();
    }
    for document in &history.shift {
        apply(&mut state, document);
    }
    state
}

#[cfg(test)]
mod tests;
