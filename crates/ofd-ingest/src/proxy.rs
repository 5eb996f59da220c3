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

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock;
use crate::limits::LogLimiter;
use crate::metrics::{Metrics, ProxyOutcome};

mod header;
mod networks;

use header::{HeaderFlaw, HeaderReader, Introduction};
pub use networks::{Network, Networks};

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

/// Why a connection does not get to its first message.
#[derive(Debug)]
enum Flaw {
    Header(HeaderFlaw),
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
            Self::Header(HeaderFlaw::NotOne | HeaderFlaw::Version1) => ProxyOutcome::NoHeader,
            Self::Header(HeaderFlaw::Damaged(_) | HeaderFlaw::TooLong(_)) => ProxyOutcome::Damaged,
            Self::Header(HeaderFlaw::NoAddress) => ProxyOutcome::NoAddress,
            Self::CutOff(_) | Self::Broken(_) => ProxyOutcome::CutOff,
            Self::Late => ProxyOutcome::Late,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(flaw) => write!(f, "{flaw}"),
            Self::CutOff(bytes) => write!(f, "it ended after {bytes} bytes of its PROXY header"),
            Self::Late => f.write_str("its PROXY header did not come in time"),
            Self::Broken(error) => write!(f, "connection broken: {error}"),
        }
    }
}

/// Takes exactly the header from the connection. Not cancellation-safe: what was read is gone, so the connection is too.
async fn read_header(stream: &TcpStream) -> Result<Introduction, Flaw> {
    let mut header = HeaderReader::new();
    loop {
        stream.readable().await.map_err(Flaw::Broken)?;
        match stream.try_read(header.space()) {
            Ok(0) => return Err(Flaw::CutOff(header.have())),
            Ok(count) => {
                if let Some(introduction) = header.filled(count).map_err(Flaw::Header)? {
                    return Ok(introduction);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Flaw::Broken(error)),
        }
    }
}

#[cfg(test)]
mod tests;
