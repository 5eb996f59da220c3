//! Limits that outlive a single connection: how many connections there may be, in all and from one address, and how
//! many lines a reason may write into the log. The limits of a single connection (sizes, time-outs, documents in
//! flight) belong to its dialogue.
//!
//! When all places are taken, the connection that has been idle for longest makes room for the newcomer: a register
//! connects when it has something to say, and one that only keeps its connection open loses nothing but that. When
//! nobody has been idle for long enough, a connection that has begun a message and not finished it makes room, first of
//! the address with the most places: else a byte on each connection would hold the port shut. Such a register repeats
//! its message. A connection that is owed an answer never makes room.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock;

/// Lines that one reason may write into the log per second; the rest is counted and told with the next line.
pub(crate) const MAX_LOG_LINES_PER_SECOND: u32 = 10;

/// How long a connection keeps its place although nothing happens on it, or although its message is not finished: a
/// register that has just connected over a slow line must be able to say what it came for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many connections of each kind one search notes down. A search looks at all connections, so not every newcomer of
/// a flood may cause one.
const SEARCH_FINDS_AT_MOST: usize = 256;

/// Pause between two searches; in between, a newcomer without a place is refused.
const SEARCH_PAUSE: Duration = Duration::from_millis(50);

/// Counts connections and refuses those past a limit.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max_in_all: usize,
    max_per_address: usize,
    /// What the times of seats count from.
    epoch: Instant,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Only addresses with an open connection are here, so the map is bounded by `max_in_all`.
    by_address: HashMap<IpAddr, usize>,
    seats: HashMap<u64, Arc<Seat>>,
    next_id: u64,
    /// Idle connections that the last search found, longest idle first: number and stage, as it was then.
    idle: VecDeque<(u64, u64)>,
    /// The same of connections with an unfinished message, first of the address with the most connections.
    begun: VecDeque<(u64, u64)>,
    last_search: Option<Instant>,
}

/// What the limits know of one connection, shared with its task.
#[derive(Debug)]
pub(crate) struct Seat {
    key: IpAddr,
    /// A [`Stage`] as a number.
    stage: AtomicU64,
    evicted: AtomicBool,
    /// Ends the connection gently: what has begun on it is still finished.
    stop: CancellationToken,
}

/// What a connection is at. In an atomic number it is twice the milliseconds, plus one for a message, or the largest
/// number for a busy connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is begun and nothing owed since so many milliseconds after the epoch of the limits.
    Idle { since_ms: u64 },
    /// A message has begun then and is not finished, and nothing is owed.
    Begun { since_ms: u64 },
    /// A message is in work, or an answer is owed.
    Busy,
}

impl Stage {
    fn from_number(number: u64) -> Self {
        match (number, number & 1) {
            (u64::MAX, _) => Self::Busy,
            (_, 0) => Self::Idle { since_ms: number >> 1 },
            _ => Self::Begun { since_ms: number >> 1 },
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Idle { since_ms } => since_ms << 1,
            Self::Begun { since_ms } => since_ms << 1 | 1,
            Self::Busy => u64::MAX,
        }
    }
}

impl Seat {
    fn stage(&self) -> Stage {
        Stage::from_number(self.stage.load(Ordering::Relaxed))
    }

    fn set(&self, stage: Stage) {
        self.stage.store(stage.number(), Ordering::Relaxed);
    }

    /// Whether the connection had to make room for another.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    fn evict(&self) {
        self.evicted.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }
}

/// Which limit a new connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    InAll,
    PerAddress,
}

impl ConnectionLimits {
    pub(crate) fn new(max_in_all: usize, max_per_address: usize) -> Arc<Self> {
        let epoch = clock::monotonic_now();
        Arc::new(Self { max_in_all, max_per_address, epoch, open: Mutex::default() })
    }

    /// Takes a place, which is given back when the returned value is dropped. `stop` ends the connection gently; it is
    /// cancelled when the place is needed for somebody else. The place of such a connection is free at once, although
    /// its task may live for a moment longer.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        now: Instant,
        stop: CancellationToken,
    ) -> Result<Place, Exceeded> {
        let key = counted_as(address);
        let mut open = self.lock();
        let of_address = open.by_address.get(&key).copied().unwrap_or(0);
        if of_address >= self.max_per_address {
            return Err(Exceeded::PerAddress);
        }
        let evicted = if open.seats.len() < self.max_in_all {
            None
        } else {
            Some(open.make_room(now, self.milliseconds(now)).ok_or(Exceeded::InAll)?)
        };
        let id = open.next_id;
        open.next_id += 1;
        *open.by_address.entry(key).or_insert(0) += 1;
        let since_ms = self.milliseconds(now);
        let seat = Arc::new(Seat {
            key,
            stage: AtomicU64::new(Stage::Idle { since_ms }.number()),
            evicted: AtomicBool::new(false),
            stop,
        });
        open.seats.insert(id, Arc::clone(&seat));
        drop(open);
        let made_room = evicted.is_some();
        if let Some(evicted) = evicted {
            evicted.evict();
        }
        let (quiet_since_ms, begun_at_ms) = (AtomicU64::new(since_ms), AtomicU64::new(Place::NOT_BEGUN));
        Ok(Place { limits: Arc::clone(self), id, seat, made_room, quiet_since_ms, begun_at_ms })
    }

    pub(crate) fn open(&self) -> usize {
        self.lock().seats.len()
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX >> 2)
    }

    /// A panic elsewhere leaves the counts whole: they change together under the lock.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes the place of the connection that has been idle for longest; if none has been for long enough, of one with
    /// an unfinished message. Idle ones go first, as far as the last search knows.
    fn make_room(&mut self, now: Instant, now_ms: u64) -> Option<Arc<Seat>> {
        let next_idle = self.next_of(|open| &mut open.idle);
        if next_idle.is_some() {
            return next_idle;
        }
        if self.last_search.is_none_or(|last| now.duration_since(last) >= SEARCH_PAUSE) {
            self.last_search = Some(now);
            self.search(now_ms);
        }
        self.next_of(|open| &mut open.idle).or_else(|| self.next_of(|open| &mut open.begun))
    }

    /// The next of those found that is still at the same stage since the same moment.
    fn next_of(&mut self, found: impl Fn(&mut Self) -> &mut VecDeque<(u64, u64)>) -> Option<Arc<Seat>> {
        while let Some((id, stage)) = found(self).pop_front() {
            if self.seats.get(&id).is_some_and(|seat| seat.stage().number() == stage) {
                return self.free(id);
            }
        }
        None
    }

    fn search(&mut self, now_ms: u64) {
        let patience_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        let is_long = |since_ms: u64| since_ms.saturating_add(patience_ms) <= now_ms;
        let (mut idle, mut begun) = (Vec::new(), Vec::new());
        for (id, seat) in &self.seats {
            let stage = seat.stage();
            match stage {
                Stage::Idle { since_ms } if is_long(since_ms) => idle.push((*id, stage.number())),
                Stage::Begun { since_ms } if is_long(since_ms) => {
                    let of_address = self.by_address.get(&seat.key).copied().unwrap_or(0);
                    begun.push((Reverse(of_address), *id, stage.number()));
                }
                _ => {}
            }
        }
        self.idle = first_by(idle, |(_, stage)| *stage).into();
        let begun = first_by(begun, |(of_address, _, stage)| (*of_address, *stage));
        self.begun = begun.into_iter().map(|(_, id, stage)| (id, stage)).collect();
    }

    /// Gives a place back; nothing happens when it was taken away before.
    fn free(&mut self, id: u64) -> Option<Arc<Seat>> {
        let seat = self.seats.remove(&id)?;
        match self.by_address.get_mut(&seat.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.by_address.remove(&seat.key);
            }
        }
        Some(seat)
    }
}

/// The first [`SEARCH_FINDS_AT_MOST`] in the order of their keys.
fn first_by<T, K: Ord>(mut found: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    if found.len() > SEARCH_FINDS_AT_MOST {
        found.select_nth_unstable_by_key(SEARCH_FINDS_AT_MOST, &key);
        found.truncate(SEARCH_FINDS_AT_MOST);
    }
    found.sort_unstable_by_key(key);
    found
}

/// The place of one connection, whose task alone says what it is at. Both times count from the last message that was in
/// work, whatever was between: else a probe now and then, or half of one, would keep a place for ever.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    id: u64,
    seat: Arc<Seat>,
    made_room: bool,
    /// When the connection was made or the last message in work ended.
    quiet_since_ms: AtomicU64,
    /// When something was begun for the first time since then, or [`Self::NOT_BEGUN`].
    begun_at_ms: AtomicU64,
}

impl Place {
    const NOT_BEGUN: u64 = u64::MAX;

    /// Whether another connection had to go for this one.
    pub(crate) fn made_room(&self) -> bool {
        self.made_room
    }

    /// Whether the connection had to make room for another.
    pub(crate) fn is_evicted(&self) -> bool {
        self.seat.is_evicted()
    }

    /// Nothing is begun and nothing is owed on the connection.
    pub(crate) fn idle(&self, now: Instant) {
        self.end_work(now);
        self.seat.set(Stage::Idle { since_ms: self.quiet_since_ms.load(Ordering::Relaxed) });
    }

    /// A message has begun and is not finished, and nothing is owed.
    pub(crate) fn begun(&self, now: Instant) {
        self.end_work(now);
        if self.begun_at_ms.load(Ordering::Relaxed) == Self::NOT_BEGUN {
            self.begun_at_ms.store(self.limits.milliseconds(now), Ordering::Relaxed);
        }
        self.seat.set(Stage::Begun { since_ms: self.begun_at_ms.load(Ordering::Relaxed) });
    }

    /// A message is in work or an answer is owed.
    pub(crate) fn busy(&self) {
        self.seat.set(Stage::Busy);
    }

    fn end_work(&self, now: Instant) {
        if self.seat.stage() == Stage::Busy {
            self.quiet_since_ms.store(self.limits.milliseconds(now), Ordering::Relaxed);
            self.begun_at_ms.store(Self::NOT_BEGUN, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limits.lock().free(self.id);
    }
}

/// Whoever has one IPv6 address usually has its whole /64; an IPv4 address in IPv6 clothes is the IPv4 address.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

/// Keeps refusals from filling the log.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter {
    /// Reasons are names from our own source, so there are few.
    reasons: Mutex<HashMap<&'static str, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl LogLimiter {
    /// May a line with this reason be written now? If so, how many were left out since the last one.
    pub(crate) fn admit(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let window = reasons.entry(reason).or_insert(Window { began: now, lines: 0, left_out: 0 });
        if now.saturating_duration_since(window.began) >= Duration::from_secs(1) {
            window.began = now;
            window.lines = 0;
        }
        if window.lines >= MAX_LOG_LINES_PER_SECOND {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }

    /// What was left out and is still untold, of reasons that had their last window at least so long ago: the tail of a
    /// burst, which no line of its own reason comes to tell.
    pub(crate) fn take_left_out(&self, age: Duration, now: Instant) -> Vec<(&'static str, u64)> {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let old = reasons
            .iter_mut()
            .filter(|(_, window)| window.left_out > 0 && now.saturating_duration_since(window.began) >= age);
        old.map(|(reason, window)| (*reason, std::mem::take(&mut window.left_out))).collect()
    }
}

#[cfg(test)]
mod tests;
