//! Limits that outlive a single connection: how many connections there may be, in all and from one address, and how
//! many lines a reason may write into the log. The limits of a single connection (sizes, time-outs, documents in
//! flight) belong to its dialogue.
//!
//! When all places are taken, the connection that has been idle for longest makes room for the newcomer: a register
//! connects when it has something to say, and one that only keeps its connection open loses nothing but that.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock;

/// Lines that one reason may write into the log per second; the rest is counted and told with the next line.
pub(crate) const MAX_LOG_LINES_PER_SECOND: u32 = 10;

/// How long a connection keeps its place although nothing happens on it: a register that has just connected over a slow
/// line must be able to say what it came for.
const MIN_IDLE_BEFORE_EVICTION: Duration = Duration::from_secs(2);

/// How many idle connections one search notes down. A search looks at all connections, so not every newcomer of a flood
/// may cause one.
const SEARCH_FINDS_AT_MOST: usize = 256;

/// Pause between two searches; in between, a newcomer without a place is refused.
const SEARCH_PAUSE: Duration = Duration::from_millis(50);

/// Counts connections and refuses those past a limit.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max_in_all: usize,
    max_per_address: usize,
    /// What the idle times of seats count from.
    epoch: Instant,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Only addresses with an open connection are here, so the map is bounded by `max_in_all`.
    by_address: HashMap<IpAddr, usize>,
    seats: HashMap<u64, Arc<Seat>>,
    next_id: u64,
    /// Idle connections that the last search found, longest idle first: number and since when.
    found: VecDeque<(u64, u64)>,
    last_search: Option<Instant>,
}

/// What the limits know of one connection, shared with its task.
#[derive(Debug)]
pub(crate) struct Seat {
    key: IpAddr,
    /// Milliseconds since the epoch of the limits, or [`Seat::BUSY`].
    idle_since_ms: AtomicU64,
    evicted: AtomicBool,
    /// Ends the connection gently: what has begun on it is still finished.
    stop: CancellationToken,
}

impl Seat {
    const BUSY: u64 = u64::MAX;

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
            Some(open.longest_idle(now, self.milliseconds(now)).ok_or(Exceeded::InAll)?)
        };
        let id = open.next_id;
        open.next_id += 1;
        *open.by_address.entry(key).or_insert(0) += 1;
        let seat = Arc::new(Seat {
            key,
            idle_since_ms: AtomicU64::new(self.milliseconds(now)),
            evicted: AtomicBool::new(false),
            stop,
        });
        open.seats.insert(id, Arc::clone(&seat));
        drop(open);
        let made_room = evicted.is_some();
        if let Some(evicted) = evicted {
            evicted.evict();
        }
        Ok(Place { limits: Arc::clone(self), id, seat, made_room })
    }

    pub(crate) fn open(&self) -> usize {
        self.lock().seats.len()
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.epoch).as_millis()).unwrap_or(Seat::BUSY - 1)
    }

    /// A panic elsewhere leaves the counts whole: they change together under the lock.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes the place of the connection that has been idle for longest, if one has been for long enough.
    fn longest_idle(&mut self, now: Instant, now_ms: u64) -> Option<Arc<Seat>> {
        if let Some(seat) = self.next_found() {
            return Some(seat);
        }
        if self.last_search.is_some_and(|last| now.duration_since(last) < SEARCH_PAUSE) {
            return None;
        }
        self.last_search = Some(now);
        self.search(now_ms);
        self.next_found()
    }

    /// The next of those found that is still idle since the same moment.
    fn next_found(&mut self) -> Option<Arc<Seat>> {
        while let Some((id, since)) = self.found.pop_front() {
            let still_idle =
                self.seats.get(&id).is_some_and(|seat| seat.idle_since_ms.load(Ordering::Relaxed) == since);
            if still_idle {
                return self.free(id);
            }
        }
        None
    }

    fn search(&mut self, now_ms: u64) {
        let patience_ms = u64::try_from(MIN_IDLE_BEFORE_EVICTION.as_millis()).unwrap_or(u64::MAX);
        let idle = |(id, seat): (&u64, &Arc<Seat>)| {
            let since = seat.idle_since_ms.load(Ordering::Relaxed);
            (since.saturating_add(patience_ms) <= now_ms).then_some((*id, since))
        };
        let mut idle: Vec<(u64, u64)> = self.seats.iter().filter_map(idle).collect();
        if idle.len() > SEARCH_FINDS_AT_MOST {
            idle.select_nth_unstable_by_key(SEARCH_FINDS_AT_MOST, |(_, since)| *since);
            idle.truncate(SEARCH_FINDS_AT_MOST);
        }
        idle.sort_unstable_by_key(|(_, since)| *since);
        self.found = idle.into();
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

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    id: u64,
    seat: Arc<Seat>,
    made_room: bool,
}

impl Place {
    /// Whether an idle connection had to go for this one.
    pub(crate) fn made_room(&self) -> bool {
        self.made_room
    }

    /// Whether the connection had to make room for another.
    pub(crate) fn is_evicted(&self) -> bool {
        self.seat.is_evicted()
    }

    /// Nothing is begun and nothing is owed on the connection from now on.
    pub(crate) fn idle(&self, now: Instant) {
        self.seat.idle_since_ms.store(self.limits.milliseconds(now), Ordering::Relaxed);
    }

    /// Something is begun or owed.
    pub(crate) fn busy(&self) {
        self.seat.idle_since_ms.store(Seat::BUSY, Ordering::Relaxed);
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
mod tests {
    use super::*;

    fn take(limits: &Arc<ConnectionLimits>, address: IpAddr) -> Result<Place, Exceeded> {
        limits.take(address, limits.epoch, CancellationToken::new())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_limited_in_all_and_given_back() {
        let limits = ConnectionLimits::new(2, 2);
        let first = take(&limits, address("192.0.2.1")).unwrap();
        let second = take(&limits, address("192.0.2.2")).unwrap();
        assert_eq!(take(&limits, address("192.0.2.3")).unwrap_err(), Exceeded::InAll);
        drop(first);
        assert_eq!(limits.open(), 1);
        let third = take(&limits, address("192.0.2.3")).unwrap();
        drop((second, third));
        assert_eq!(limits.open(), 0);
        assert!(limits.lock().by_address.is_empty());
    }

    #[test]
    fn places_are_limited_per_address() {
        let limits = ConnectionLimits::new(10, 2);
        let _first = take(&limits, address("192.0.2.1")).unwrap();
        let second = take(&limits, address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(take(&limits, address("192.0.2.1")).unwrap_err(), Exceeded::PerAddress);
        let _other = take(&limits, address("192.0.2.2")).unwrap();
        drop(second);
        let _again = take(&limits, address("192.0.2.1")).unwrap();
        assert_eq!(limits.open(), 3);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limits = ConnectionLimits::new(10, 1);
        let _first = take(&limits, address("2001:db8::1")).unwrap();
        assert_eq!(take(&limits, address("2001:db8::ffff:2")).unwrap_err(), Exceeded::PerAddress);
        let _other = take(&limits, address("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn the_longest_idle_makes_room_for_a_newcomer() {
        let limits = ConnectionLimits::new(3, 3);
        let at = |seconds| limits.epoch + Duration::from_secs(seconds);
        let stops: Vec<CancellationToken> = (0..6).map(|_| CancellationToken::new()).collect();
        let enter = |number: usize, seconds| {
            limits.take(address(&format!("192.0.2.{number}")), at(seconds), stops[number].clone())
        };
        let [busy, older, younger] = [0, 1, 2].map(|number| enter(number, 0).unwrap());
        busy.busy();
        older.idle(at(1));
        younger.idle(at(2));
        assert_eq!(enter(3, 2).unwrap_err(), Exceeded::InAll, "nobody has been idle for long enough");
        let third = enter(3, 10).unwrap();
        assert!(third.made_room() && older.is_evicted() && stops[1].is_cancelled());
        assert_eq!(limits.open(), 3);
        drop(older);
        assert_eq!(limits.open(), 3, "an evicted connection has no place to give back");
        let fourth = enter(4, 20).unwrap();
        assert!(younger.is_evicted() && !third.is_evicted() && !busy.is_evicted());
        third.busy();
        fourth.busy();
        assert_eq!(enter(5, 30).unwrap_err(), Exceeded::InAll, "nobody is idle");
        drop(busy);
        assert!(!enter(5, 30).unwrap().made_room());
    }

    #[test]
    fn an_address_past_its_own_limit_pushes_nobody_out() {
        let limits = ConnectionLimits::new(2, 1);
        let later = limits.epoch + Duration::from_secs(60);
        let first = take(&limits, address("192.0.2.1")).unwrap();
        let second = take(&limits, address("192.0.2.2")).unwrap();
        let refused = limits.take(address("192.0.2.2"), later, CancellationToken::new());
        assert_eq!(refused.unwrap_err(), Exceeded::PerAddress);
        assert!(!first.is_evicted() && !second.is_evicted());
    }

    #[test]
    fn a_flood_of_newcomers_searches_now_and_then() {
        let limits = ConnectionLimits::new(1, 10);
        let later = limits.epoch + Duration::from_secs(60);
        let place = take(&limits, address("192.0.2.1")).unwrap();
        place.busy();
        let enter = |now| limits.take(address("192.0.2.1"), now, CancellationToken::new());
        assert!(enter(later).is_err());
        place.idle(limits.epoch);
        assert!(enter(later).is_err(), "the last search was this very moment");
        assert!(enter(later + SEARCH_PAUSE).is_ok());
    }

    #[test]
    fn more_idle_connections_than_one_search_finds_leave_oldest_first() {
        let count = SEARCH_FINDS_AT_MOST * 2;
        let limits = ConnectionLimits::new(count, count * 3);
        let at = |index: usize| limits.epoch + Duration::from_millis(u64::try_from(index).unwrap());
        let enter = |now| limits.take(address("192.0.2.1"), now, CancellationToken::new()).unwrap();
        let idle: Vec<Place> = (0..count).map(|index| enter(at(index))).collect();
        let mut newcomers = Vec::new();
        for evicted in 0..count {
            newcomers.push(enter(at(3_600_000 + evicted * 50)));
            let gone = idle.iter().filter(|place| place.is_evicted()).count();
            assert_eq!(gone, evicted + 1);
            assert!(idle[evicted].is_evicted());
        }
    }

    #[test]
    fn a_reason_writes_so_many_lines_a_second() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        for line in 0..MAX_LOG_LINES_PER_SECOND {
            assert_eq!(limiter.admit("a", start), Some(0), "line {line}");
        }
        assert_eq!(limiter.admit("a", start), None);
        assert_eq!(limiter.admit("a", start + Duration::from_millis(999)), None);
        assert_eq!(limiter.admit("b", start), Some(0), "another reason has lines of its own");
        assert_eq!(limiter.admit("a", start + Duration::from_secs(1)), Some(2));
        assert_eq!(limiter.admit("a", start + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn the_tail_of_a_burst_is_told_once() {
        let limiter = LogLimiter::default();
        let start = Instant::now();
        for _ in 0..MAX_LOG_LINES_PER_SECOND + 3 {
            limiter.admit("a", start);
        }
        limiter.admit("b", start);
        let age = Duration::from_secs(2);
        assert_eq!(limiter.take_left_out(age, start + Duration::from_millis(1999)), []);
        assert_eq!(limiter.take_left_out(age, start + age), [("a", 3)]);
        assert_eq!(limiter.take_left_out(age, start + age), []);
        assert_eq!(limiter.admit("a", start + age), Some(0), "it is not told twice");
    }
}
