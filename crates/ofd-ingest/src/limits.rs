//! Limits that outlive a single connection: how many connections there may be, in all and from one address, and how
//! many lines a reason may write into the log. The limits of a single connection (sizes, time-outs, documents in
//! flight) belong to its dialogue.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines that one reason may write into the log per second; the rest is counted and told with the next line.
pub(crate) const MAX_LOG_LINES_PER_SECOND: u32 = 10;

/// Counts connections and refuses those past a limit.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max_in_all: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_all: usize,
    /// Only addresses with an open connection are here, so the map is bounded by `max_in_all`.
    by_address: HashMap<IpAddr, usize>,
}

/// Which limit a new connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    InAll,
    PerAddress,
}

impl ConnectionLimits {
    pub(crate) fn new(max_in_all: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max_in_all, max_per_address, open: Mutex::default() })
    }

    /// Takes a place, which is given back when the returned value is dropped.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Exceeded> {
        let key = counted_as(address);
        let mut open = self.lock();
        if open.in_all >= self.max_in_all {
            return Err(Exceeded::InAll);
        }
        let of_address = open.by_address.get(&key).copied().unwrap_or(0);
        if of_address >= self.max_per_address {
            return Err(Exceeded::PerAddress);
        }
        open.by_address.insert(key, of_address + 1);
        open.in_all += 1;
        Ok(Place { limits: Arc::clone(self), key })
    }

    pub(crate) fn open(&self) -> usize {
        self.lock().in_all
    }

    /// A panic elsewhere leaves the counts whole: they change together under the lock.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    key: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.lock();
        open.in_all = open.in_all.saturating_sub(1);
        match open.by_address.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.by_address.remove(&self.key);
            }
        }
    }
}

/// Whoever has one IPv6 address usually has its whole /64; an IPv4 address in IPv6 clothes is the IPv4 address.
fn counted_as(address: IpAddr) -> IpAddr {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_limited_in_all_and_given_back() {
        let limits = ConnectionLimits::new(2, 2);
        let first = limits.take(address("192.0.2.1")).unwrap();
        let second = limits.take(address("192.0.2.2")).unwrap();
        assert_eq!(limits.take(address("192.0.2.3")).unwrap_err(), Exceeded::InAll);
        drop(first);
        assert_eq!(limits.open(), 1);
        let third = limits.take(address("192.0.2.3")).unwrap();
        drop((second, third));
        assert_eq!(limits.open(), 0);
        assert!(limits.lock().by_address.is_empty());
    }

    #[test]
    fn places_are_limited_per_address() {
        let limits = ConnectionLimits::new(10, 2);
        let _first = limits.take(address("192.0.2.1")).unwrap();
        let second = limits.take(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(limits.take(address("192.0.2.1")).unwrap_err(), Exceeded::PerAddress);
        let _other = limits.take(address("192.0.2.2")).unwrap();
        drop(second);
        let _again = limits.take(address("192.0.2.1")).unwrap();
        assert_eq!(limits.open(), 3);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limits = ConnectionLimits::new(10, 1);
        let _first = limits.take(address("2001:db8::1")).unwrap();
        assert_eq!(limits.take(address("2001:db8::ffff:2")).unwrap_err(), Exceeded::PerAddress);
        let _other = limits.take(address("2001:db8:0:1::1")).unwrap();
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
}
