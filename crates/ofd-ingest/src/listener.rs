//! The port that registers connect to: accepts, limits, starts one task per connection, and stops gently.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ffd::Inn;
use ffd::check::Severities;
use kkt_proto::server::ServerLimits;
use ofd_store::{Facts, JournalHandle};
use pkz::{AckSigner, FiscalSignVerifier, SignMode};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{Instrument, debug, error_span, info, warn};

use crate::abuse::AbuseTable;
use crate::clock::{self, TrustedClock};
use crate::config::{IngestConfig, Policy, ProxyProtocol};
use crate::connection::{self, Close, ConnectionSettings};
use crate::error::IngestError;
use crate::ingest::{Intake, MAX_QUARANTINE_IN_FLIGHT};
use crate::limits::{ConnectionLimits, Exceeded, LogLimiter, Place};
use crate::metrics::Metrics;
use crate::proxy::Doorkeeper;
use crate::registers::{History, Registers};
use crate::socket::close_gently;

/// Documents of one connection that may be with the store at the same time.
pub(crate) const MAX_IN_FLIGHT_DOCUMENTS: usize = 64;

/// Connections that the system keeps for us while we are busy: after an outage all registers come at once.
const LISTEN_BACKLOG: u32 = 4096;

/// What the system holds of one connection in each direction (Linux doubles it for its own needs): two of the largest
/// messages, or all replies that may be in flight. Left to itself it grows to megabytes, which a peer that asks without end
/// and never reads gets for the asking, and has filled for it before its write times out.
const SOCKET_BUFFER_BYTES: u32 = 64 * 1024;

/// First and longest pause after the system could not give a new connection (no free descriptors, no memory).
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What reception is made of.
pub struct ReceptionParts {
    /// Section `[ingest]`.
    pub config: IngestConfig,
    /// The operator's choices.
    pub policy: Policy,
    /// INN of the operator, tag 1017 of every acknowledgement.
    pub operator_inn: Inn,
    /// Checks signs and opens bodies.
    pub verifier: Arc<dyn FiscalSignVerifier>,
    /// Seals acknowledgements.
    pub signer: Arc<dyn AckSigner>,
    /// What each rule of the control weighs (`[checks]`).
    pub severities: Severities,
    /// The clock of acknowledgements and checks.
    pub clock: Arc<TrustedClock>,
    /// What is stored of an ФН, to judge its documents by.
    pub history: Arc<dyn History>,
    /// Makes documents durable.
    pub journal: JournalHandle,
    /// Knows which ФН and ККТ are known.
    pub facts: Arc<Facts>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// The open port. Registers can connect from [`Reception::bind`] on and are served from [`Reception::run`] on.
pub struct Reception {
    listener: TcpListener,
    config: IngestConfig,
    intake: Arc<Intake>,
    limits: Arc<ConnectionLimits>,
    state: Arc<ReceptionState>,
}

/// What others may know of a running reception. Starts as "not serving".
#[derive(Debug)]
pub struct ReceptionState {
    serving: AtomicBool,
    stopping: AtomicBool,
    limits: Arc<ConnectionLimits>,
    abuse: Arc<AbuseTable>,
}

impl ReceptionState {
    /// Ends every penalty for wrong signs: with other keys, other signs are wrong. To be called when keys were read anew.
    pub fn forget_penalties(&self) {
        self.abuse.forget_penalties();
    }

    /// Whether new connections are accepted.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.limits.open()
    }
}

/// How reception ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Every connection finished what it had begun within the grace period.
    pub drained: bool,
    /// Connections that did not. Nothing they were not answered for is lost: registers repeat.
    pub abandoned: usize,
}

impl Reception {
    /// Checks the settings and opens the port.
    ///
    /// Errors: a setting that cannot be met (with its key), or a port that cannot be opened.
    pub async fn bind(parts: ReceptionParts) -> Result<Self, IngestError> {
        parts.config.validate()?;
        refuse_unchecked_signs(&parts)?;
        let listener = listen(parts.config.listen)?;
        let limits = ConnectionLimits::new(parts.config.max_connections, parts.config.max_connections_per_ip);
        let abuse = Arc::new(AbuseTable::new());
        let state = Arc::new(ReceptionState {
            serving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            limits: Arc::clone(&limits),
            abuse: Arc::clone(&abuse),
        });
        let intake = Arc::new(Intake {
            policy: parts.policy,
            operator_inn: parts.operator_inn,
            verifier: parts.verifier,
            signer: parts.signer,
            severities: parts.severities,
            clock: parts.clock,
            registers: Registers::new(parts.history, Arc::clone(&parts.metrics)),
            journal: parts.journal,
            facts: parts.facts,
            metrics: parts.metrics,
            log_limiter: LogLimiter::default(),
            abuse,
            quarantine_places: Arc::new(Semaphore::new(MAX_QUARANTINE_IN_FLIGHT)),
        });
        Ok(Self { listener, config: parts.config, intake, limits, state })
    }

    /// The address of the port, with the number that port 0 became.
    pub fn local_addr(&self) -> Result<SocketAddr, IngestError> {
        Ok(self.listener.local_addr()?)
    }

    /// The state to be shown by health answers.
    pub fn state(&self) -> Arc<ReceptionState> {
        Arc::clone(&self.state)
    }

    /// Serves until `token` is cancelled; then closes the port, lets connections finish what they have begun, and
    /// returns when all did or the grace period is over. The journal must stay open until then.
    pub async fn run(self, token: CancellationToken) -> ShutdownReport {
        let Self { listener, config, intake, limits, state } = self;
        let doorkeeper = (config.proxy_protocol == ProxyProtocol::Required).then(|| {
            let metrics = Arc::clone(&intake.metrics);
            Doorkeeper::new(config.proxy_from.clone(), config.message_timeout(), metrics)
        });
        let acceptor = Arc::new(Acceptor {
            settings: connection_settings(&config),
            doorkeeper,
            intake,
            limits,
            tasks: TaskTracker::new(),
            token: token.clone(),
        });
        state.serving.store(true, Ordering::Release);
        // A task: a connection that is accepted by a worker is served there, without waking another thread.
        let accepting = AbortOnDropHandle::new(tokio::spawn({
            let (acceptor, token) = (Arc::clone(&acceptor), token.clone());
            async move {
                let admit = |stream, peer| acceptor.admit(stream, peer);
                accept_until_stopped(&listener, &token, &acceptor.intake.metrics, admit).await;
            }
        }));
        tokio::join!(
            // A panic in there is one of the daemon, which must not live on with a closed port.
            with_its_panic(accepting),
            acceptor.intake.show_refused_pairs(&token),
            acceptor.intake.tell_left_out(&token),
        );
        state.stopping.store(true, Ordering::Release);
        state.serving.store(false, Ordering::Release);
        acceptor.drain(config.shutdown_grace()).await
    }
}

/// Waits for a task of ours; when it panics, so does this.
async fn with_its_panic(task: AbortOnDropHandle<()>) {
    if let Err(Ok(panic)) = task.await.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

/// Mode `required` with a module that checks nothing would silence every register: a slip in the configuration.
fn refuse_unchecked_signs(parts: &ReceptionParts) -> Result<(), IngestError> {
    if parts.policy.sign_mode == SignMode::Required && parts.verifier.kind() == "none" {
        return Err(IngestError::config(
            "signs.profile",
            "the profile \"none\" checks no signs, but signs.mode is \"required\"".to_owned(),
        ));
    }
    Ok(())
}

pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, IngestError> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for connections of the former process to be forgotten by the system.
        socket.set_reuseaddr(true)?;
        // Connections inherit both; what a peer receives into has to be known before its first packet.
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    open().map_err(|source: io::Error| IngestError::Bind { address, source })
}

fn connection_settings(config: &IngestConfig) -> ConnectionSettings {
    ConnectionSettings {
        dialogue: ServerLimits {
            max_body_bytes: config.max_body_bytes,
            max_in_flight: MAX_IN_FLIGHT_DOCUMENTS,
            message_timeout: config.message_timeout(),
            idle_timeout: config.idle_timeout(),
        },
        write_timeout: config.message_timeout(),
    }
}

struct Acceptor {
    settings: ConnectionSettings,
    /// Asks whose connection it is, when all come through a balancer.
    doorkeeper: Option<Doorkeeper>,
    intake: Arc<Intake>,
    limits: Arc<ConnectionLimits>,
    tasks: TaskTracker,
    token: CancellationToken,
}

/// Hands every new connection to `admit` until `stop` is cancelled. Cancellation-safe.
pub(crate) async fn accept_until_stopped(
    listener: &TcpListener,
    stop: &CancellationToken,
    metrics: &Metrics,
    admit: impl Fn(TcpStream, SocketAddr),
) {
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        // Both branches are cancellation-safe: a connection that was not accepted stays with the system.
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = ACCEPT_PAUSE_MIN;
                admit(stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {
                debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                metrics.accept_failed();
                warn!(%error, pause_ms = pause.as_millis(), "no new connections for a moment");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
            }
        }
    }
}

impl Acceptor {
    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if self.doorkeeper.is_some() {
            self.introduce(stream, peer);
        } else if let Some(served) = self.seat(stream, peer) {
            self.tasks.spawn(served);
        }
    }

    /// A connection has no place until the balancer has said whose it is: the limits are about registers.
    fn introduce(self: &Arc<Self>, stream: TcpStream, balancer: SocketAddr) {
        let Some(waiting) = self.doorkeeper.as_ref().and_then(|doorkeeper| doorkeeper.receive(balancer))
        else {
            return;
        };
        let acceptor = Arc::clone(self);
        self.tasks.spawn(async move {
            let Some(doorkeeper) = &acceptor.doorkeeper else { return };
            let introduced = tokio::select! {
                biased;
                () = acceptor.token.cancelled() => None,
                introduced = doorkeeper.introduce(&stream, waiting) => introduced,
            };
            if let Some(served) = introduced.and_then(|peer| acceptor.seat(stream, peer)) {
                // Kept apart from the future that read the header, which is not to be as large as this one for ever.
                acceptor.tasks.spawn(served);
            }
        });
    }

    /// Gives a connection its place; the future serves it. `None`: it was refused.
    fn seat(&self, stream: TcpStream, peer: SocketAddr) -> Option<impl Future<Output = ()> + Send + use<>> {
        let stop = self.token.child_token();
        let place = match self.limits.take(peer.ip(), clock::monotonic_now(), stop.clone()) {
            Ok(place) => place,
            Err(exceeded) => {
                self.refuse(peer, exceeded);
                return None;
            }
        };
        if place.made_room() {
            self.intake.metrics.defence.evicted.increment(1);
        }
        if let Err(error) = stream.set_nodelay(true) {
            // The connection is already dead, or replies are a little slower; neither is worth refusing it.
            debug!(%error, "cannot switch off the delay of small segments");
        }
        // Level error, so that refusals keep their peer and ФН whatever the filter of the log leaves out.
        let span = error_span!(parent: None, "connection", %peer, fn_number = tracing::field::Empty);
        let counted = OpenConnection::new(Arc::clone(&self.intake), place);
        let (intake, settings, own_span) = (Arc::clone(&self.intake), self.settings.clone(), span.clone());
        let served = async move {
            let serving =
                connection::serve(&stream, peer, &intake, &settings, &counted.place, &stop, &own_span);
            if serving.await == Close::Gently {
                close_gently(stream).await;
            }
        };
        Some(served.instrument(span))
    }

    /// Closing at once is the only refusal the protocol knows.
    fn refuse(&self, peer: SocketAddr, exceeded: Exceeded) {
        self.intake.metrics.connection_refused(exceeded);
        let reason = match exceeded {
            Exceeded::InAll => "max_connections",
            Exceeded::PerAddress => "max_connections_per_ip",
        };
        if let Some(left_out) = self.intake.log_limiter.admit(reason, clock::monotonic_now()) {
            warn!(%peer, reason, left_out, "connection refused");
        }
    }

    async fn drain(&self, grace: Duration) -> ShutdownReport {
        self.tasks.close();
        info!(connections = self.tasks.len(), "reception stops, connections finish what they have begun");
        let drained = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        let abandoned = if drained { 0 } else { self.tasks.len() };
        if abandoned > 0 {
            warn!(abandoned, grace_s = grace.as_secs(), "connections did not finish within the grace period");
        }
        self.intake.tell_left_out_since(Duration::ZERO);
        ShutdownReport { drained, abandoned }
    }
}

/// Counts a connection for as long as it lives, however it ends.
struct OpenConnection {
    intake: Arc<Intake>,
    place: Place,
}

impl OpenConnection {
    fn new(intake: Arc<Intake>, place: Place) -> Self {
        intake.metrics.connection_accepted();
        Self { intake, place }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.intake.metrics.connection_ended();
    }
}

/// Errors of `accept` that say something about the connection that was to be accepted, not about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_task_of_ours_is_one_of_who_waits_for_it() {
        let task = AbortOnDropHandle::new(tokio::spawn(async { panic!("the accept loop broke down") }));
        let waiting = tokio::spawn(with_its_panic(task)).await;
        let panic = waiting.expect_err("it was swallowed").into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"the accept loop broke down"));
    }

    #[tokio::test]
    async fn a_task_that_ends_or_is_called_off_is_no_panic() {
        with_its_panic(AbortOnDropHandle::new(tokio::spawn(async {}))).await;
        let task = tokio::spawn(std::future::pending());
        task.abort();
        with_its_panic(AbortOnDropHandle::new(task)).await;
    }
}
