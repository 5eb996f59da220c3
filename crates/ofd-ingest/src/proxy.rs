//! The PROXY protocol: a balancer says whose connection it passes on, in a header before the first byte of the register.
//! From there on the register's address is the peer: for limits, penalties, log and journal.
//!
//! Only version 2, the binary one, is read, and only from the networks of `proxy_from`: whoever may write such a header
//! may claim any address. Nothing else is expected from them, so a connection without a header is a fault of the
//! configuration and is closed. A balancer's own health checks (command LOCAL, or a connection that says nothing) are
//! no faults.
//!
//! Left out: the extensions behind the addresses (TLVs) are skipped; nothing here needs a host name or a certificate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX, Protocol};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock;
use crate::limits::LogLimiter;
use crate::metrics::{Metrics, ProxyOutcome};

mod networks;

pub use networks::{Network, Networks};

/// Prefix, version and command, family, length: what every header begins with.
const FIXED_BYTES: usize = 16;

/// Longest header that is read. The addresses of two sockets and every extension of the balancers that are in use fit
/// many times; a length of 65,535 is nobody's.
const MAX_HEADER_BYTES: usize = 2048;

/// Connections that have not said yet whose they are. Balancers say it at once, so this is what one burst may bring.
const MAX_UNINTRODUCED: usize = 4096;

/// Asks every new connection whose it is.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    from: Networks,
    patience: Duration,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    log_limiter: LogLimiter,
}

/// The right of a connection to introduce itself.
pub(crate) struct Waiting {
    balancer: SocketAddr,
    _place: OwnedSemaphorePermit,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Introduction {
    /// A register's connection, passed on.
    Register(SocketAddr),
    /// The balancer's own, for its health check.
    Balancer,
}

/// Why a connection does not get to its first message.
#[derive(Debug)]
enum Flaw {
    /// It is not a header of version 2.
    NoHeader,
    /// The header of version 1, a line of text.
    Version1,
    /// It begins as a header and breaks the rules of one.
    Damaged(ppp::v2::ParseError),
    /// So many bytes.
    TooLong(usize),
    /// It does not say the address of a TCP connection.
    NoAddress,
    /// The connection ended before the header did, after so many bytes.
    CutOff(usize),
    /// The header did not come in time.
    Late,
    /// The connection broke.
    Broken(io::Error),
}

impl Doorkeeper {
    pub(crate) fn new(from: Networks, patience: Duration, metrics: Arc<Metrics>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_UNINTRODUCED));
        Self { from, patience, places, metrics, log_limiter: LogLimiter::default() }
    }

    /// Whether a connection may introduce itself; if not, it is counted and to be closed.
    pub(crate) fn receive(&self, balancer: SocketAddr) -> Option<Waiting> {
        if !self.from.contain(balancer.ip()) {
            self.refuse(ProxyOutcome::Stranger, balancer, &"it is in no network of proxy_from");
            return None;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.refuse(
                ProxyOutcome::TooMany,
                balancer,
                &"too many connections have not sent their header yet",
            );
            return None;
        };
        Some(Waiting { balancer, _place: place })
    }

    /// Reads the header and not a byte more. `None`: this is no register's connection, and is to be closed.
    pub(crate) async fn introduce(&self, stream: &TcpStream, waiting: Waiting) -> Option<SocketAddr> {
        let balancer = waiting.balancer;
        let read = timeout(self.patience, read_header(stream)).await.unwrap_or(Err(Flaw::Late));
        match read {
            Ok(Introduction::Register(register)) => {
                self.metrics.proxy.count(ProxyOutcome::Register);
                debug!(%balancer, peer = %register, "a balancer passes a connection on");
                return Some(register);
            }
            Ok(Introduction::Balancer) | Err(Flaw::CutOff(0)) => {
                self.metrics.proxy.count(ProxyOutcome::HealthCheck);
                debug!(%balancer, "health check of a balancer");
            }
            Err(Flaw::Broken(error)) => {
                self.metrics.proxy.count(ProxyOutcome::CutOff);
                debug!(%balancer, %error, "connection broken before its header was there");
            }
            Err(flaw) => self.refuse(flaw.outcome(), balancer, &flaw),
        }
        None
    }

    fn refuse(&self, outcome: ProxyOutcome, balancer: SocketAddr, why: &dyn fmt::Display) {
        self.metrics.proxy.count(outcome);
        let reason = outcome.as_str();
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            warn!(peer = %balancer, reason, left_out, "connection refused before its first message: {why}");
        }
    }
}

impl Flaw {
    fn outcome(&self) -> ProxyOutcome {
        match self {
            Self::NoHeader | Self::Version1 => ProxyOutcome::NoHeader,
            Self::Damaged(_) | Self::TooLong(_) => ProxyOutcome::Damaged,
            Self::NoAddress => ProxyOutcome::NoAddress,
            Self::CutOff(_) | Self::Broken(_) => ProxyOutcome::CutOff,
            Self::Late => ProxyOutcome::Late,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("it sent no PROXY header of version 2; is send-proxy-v2 missing?"),
            Self::Version1 => f.write_str("its PROXY header has version 1; set send-proxy-v2"),
            Self::Damaged(error) => write!(f, "damaged PROXY header: {error}"),
            Self::TooLong(bytes) => {
                write!(f, "a PROXY header of {bytes} bytes, of {MAX_HEADER_BYTES} at most")
            }
            Self::NoAddress => f.write_str("its PROXY header names no TCP address of a register"),
            Self::CutOff(bytes) => write!(f, "it ended after {bytes} bytes of its PROXY header"),
            Self::Late => f.write_str("its PROXY header did not come in time"),
            Self::Broken(error) => write!(f, "connection broken: {error}"),
        }
    }
}

/// Takes exactly the header from the connection. Not cancellation-safe: what was read is gone, so the connection is too.
async fn read_header(stream: &TcpStream) -> Result<Introduction, Flaw> {
    let mut header = vec![0; FIXED_BYTES];
    let mut have = 0;
    loop {
        while let Some(space) = header.get_mut(have..)
            && !space.is_empty()
        {
            stream.readable().await.map_err(Flaw::Broken)?;
            match stream.try_read(space) {
                Ok(0) => return Err(Flaw::CutOff(have)),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Flaw::Broken(error)),
            }
            // Whoever sends something else may never send as much as a header has.
            check_prefix(header.get(..have).unwrap_or_default())?;
        }
        let whole = whole_len(&header)?;
        if have >= whole {
            return decode(&header);
        }
        header.resize(whole, 0);
    }
}

/// Whether bytes are, or may become, the beginning of a header.
fn check_prefix(bytes: &[u8]) -> Result<(), Flaw> {
    if bytes.iter().zip(PROTOCOL_PREFIX).all(|(byte, expected)| byte == expected) {
        return Ok(());
    }
    let version1 = b"PROXY ";
    let begins_v1 = bytes.iter().zip(version1).all(|(byte, expected)| byte == expected);
    Err(if begins_v1 { Flaw::Version1 } else { Flaw::NoHeader })
}

/// Length of the header that begins with these bytes.
fn whole_len(fixed: &[u8]) -> Result<usize, Flaw> {
    let length = fixed.get(FIXED_BYTES - 2..).and_then(<[u8]>::first_chunk::<2>);
    let length = length.map_or(0, |length| u16::from_be_bytes(*length));
    let whole = FIXED_BYTES + usize::from(length);
    if whole > MAX_HEADER_BYTES { Err(Flaw::TooLong(whole)) } else { Ok(whole) }
}

/// Reads a whole header.
fn decode(bytes: &[u8]) -> Result<Introduction, Flaw> {
    let header = Header::try_from(bytes).map_err(Flaw::Damaged)?;
    // With LOCAL, whatever else the header says is to be skipped.
    if header.command == Command::Local {
        return Ok(Introduction::Balancer);
    }
    if header.protocol != Protocol::Stream {
        return Err(Flaw::NoAddress);
    }
    let register = match header.addresses {
        Addresses::IPv4(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
        Addresses::IPv6(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
        Addresses::Unspecified | Addresses::Unix(_) => return Err(Flaw::NoAddress),
    };
    // Addresses that nobody has would all be counted as one register.
    if register.ip().is_unspecified() {
        return Err(Flaw::NoAddress);
    }
    Ok(Introduction::Register(register))
}

#[cfg(test)]
mod tests;
