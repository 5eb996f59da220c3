//! Ports that stay ours while nothing listens on them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below what the system gives to outgoing connections: a server that is killed and started again finds its port free.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
const TRIES: usize = 1000;

/// A port of 127.0.0.1 that nobody listens on, and that the system does not give away by itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..TRIES {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        // Several processes choose at the same time, each from its own place.
        let port = FIRST + (origin().wrapping_add(turn.wrapping_mul(7))) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port after {TRIES} tries")
}

fn origin() -> u16 {
    use std::sync::OnceLock;
    static ORIGIN: OnceLock<u16> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let mixed = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(nanos);
        u16::try_from(mixed % u64::from(COUNT)).expect("less than the count")
    })
}
