//! The operator's end of the marking point: a port of its own for messages with the signature DD 80 CA A1. Probes are
//! answered here; a message with data goes to the upstream over a connection of its own, and the upstream's answer
//! goes back as it came. Nothing of it is a fiscal document: nothing is journalled, nothing is acknowledged.
//!
//! A message whose register wants no answer is passed on, and no answer is waited for.
//!
//! Whatever goes wrong, the register gets no answer and its connection is closed, as everywhere in this protocol. The
//! metric `fiscald_sister_total` says what it was. Left out: what the messages mean (marking codes are the business of
//! the register and of the marking system) and TLS towards the upstream, which the protocol does not have.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use kkt_proto::client::{ClientDialogue, ClientLimits};
use kkt_proto::header::{Header, Service};
use kkt_proto::server::{Answer, Event, ServerDialogue, ServerLimits};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error_span, info, warn};

use crate::clock;
use crate::config::{ProxyProtocol, SisterConfig};
use crate::connection::far_future;
use crate::error::IngestError;
use crate::limits::{ConnectionLimits, LogLimiter, Place};
use crate::listener::{ShutdownReport, accept_until_stopped, listen};
use crate::metrics::{Metrics, SisterOutcome};
use crate::proxy::Doorkeeper;
use crate::socket::{End, close_gently, read_now, write_rest, write_within};

/// Answers that may be owed on one connection. A relay is waited for, so one is enough.
const MAX_IN_FLIGHT_MESSAGES: usize = 1;

/// The open port. Registers can connect from [`Sister::bind`] on and are served from [`Sister::run`] on.
pub struct Sister {
    listener: TcpListener,
    config: SisterConfig,
    metrics: Arc<Metrics>,
}

impl Sister {
    /// Checks the settings and opens the port; `None` when the service is off.
    ///
    /// Errors: a setting that cannot be met (with its key), or a port that cannot be opened.
    pub fn bind(config: SisterConfig, metrics: Arc<Metrics>) -> Result<Option<Self>, IngestError> {
        config.validate()?;
        let Some(address) = config.listen else { return Ok(None) };
        Ok(Some(Self { listener: listen(address)?, config, metrics }))
    }

    /// The address of the port, with the number that port 0 became.
    pub fn local_addr(&self) -> Result<SocketAddr, IngestError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until `stop` is cancelled; then closes the port, finishes messages in work and returns when that is done
    /// or the grace period is over.
    pub async fn run(self, stop: CancellationToken) -> ShutdownReport {
        let Self { listener, config, metrics } = self;
        let grace = Duration::from_secs(config.shutdown_grace_s);
        let point = Arc::new(Point::new(config, metrics, stop.clone()));
        let tasks = TaskTracker::new();
        accept_until_stopped(&listener, &stop, &point.metrics, |stream, peer| {
            admit(&point, &tasks, stream, peer);
        })
        .await;
        drop(listener);
        tasks.close();
        let drained = timeout(grace, tasks.wait()).await.is_ok();
        let abandoned = if drained { 0 } else { tasks.len() };
        info!(abandoned, "the marking point stopped");
        ShutdownReport { drained, abandoned }
    }
}

/// What all connections of the port share.
struct Point {
    dialogue: ServerLimits,
    /// Asks whose connection it is, when all come through a balancer.
    doorkeeper: Option<Doorkeeper>,
    upstream: Upstream,
    limits: Arc<ConnectionLimits>,
    metrics: Arc<Metrics>,
    log_limiter: LogLimiter,
    stop: CancellationToken,
}

/// Where messages go, and how long that may take.
struct Upstream {
    address: Option<String>,
    connect_timeout: Duration,
    answer: ClientLimits,
}

/// Why there is no answer, with something for the log.
type Failure = (SisterOutcome, String);

impl Point {
    fn new(config: SisterConfig, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        let message_timeout = Duration::from_secs(config.message_timeout_s);
        let doorkeeper = (config.proxy_protocol == ProxyProtocol::Required)
            .then(|| Doorkeeper::new(config.proxy_from, message_timeout, Arc::clone(&metrics)));
        Self {
            doorkeeper,
            dialogue: ServerLimits {
                max_body_bytes: config.max_body_bytes,
                max_in_flight: MAX_IN_FLIGHT_MESSAGES,
                message_timeout,
                idle_timeout: Duration::from_secs(config.idle_timeout_s),
            },
            upstream: Upstream {
                address: config.upstream,
                connect_timeout: Duration::from_secs(config.connect_timeout_s),
                answer: ClientLimits {
                    answer_timeout: Duration::from_secs(config.answer_timeout_s),
                    max_body_bytes: config.max_body_bytes,
                },
            },
            limits: ConnectionLimits::new(config.max_connections, config.max_connections_per_ip),
            metrics,
            log_limiter: LogLimiter::default(),
            stop,
        }
    }

    /// Counts what went wrong and says so, as far as the log has room for it.
    fn fail(&self, outcome: SisterOutcome, detail: &dyn std::fmt::Display) {
        self.metrics.sister.count(outcome);
        let reason = outcome.as_str();
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            warn!(reason, left_out, "{detail}");
        }
    }
}

fn admit(point: &Arc<Point>, tasks: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
    let Some(doorkeeper) = &point.doorkeeper else { return seat(point, tasks, stream, peer) };
    let Some(waiting) = doorkeeper.receive(peer) else { return };
    let (point, own_tasks) = (Arc::clone(point), tasks.clone());
    tasks.spawn(async move {
        let Some(doorkeeper) = &point.doorkeeper else { return };
        let introduced = tokio::select! {
            biased;
            () = point.stop.cancelled() => None,
            introduced = doorkeeper.introduce(&stream, waiting) => introduced,
        };
        if let Some(register) = introduced {
            seat(&point, &own_tasks, stream, register);
        }
    });
}

/// Gives a connection its place and serves it.
fn seat(point: &Arc<Point>, tasks: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
    let stop = point.stop.child_token();
    let place = match point.limits.take(peer.ip(), clock::monotonic_now(), stop.clone()) {
        Ok(place) => place,
        Err(exceeded) => {
            return point.fail(SisterOutcome::TooMany, &format_args!("{peer} refused: {exceeded:?}"));
        }
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot switch off the delay of small segments");
    }
    point.metrics.sister.connections_open.increment(1);
    let counted = OpenConnection { point: Arc::clone(point), place };
    let span = error_span!(parent: None, "marking", %peer);
    tasks.spawn(
        async move {
            serve(&counted.point, &counted.place, stream, stop).await;
        }
        .instrument(span),
    );
}

/// Counts a connection for as long as it lives, however it ends.
struct OpenConnection {
    point: Arc<Point>,
    place: Place,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.point.metrics.sister.connections_open.decrement(1);
    }
}

async fn serve(point: &Point, place: &Place, stream: TcpStream, stop: CancellationToken) {
    let dialogue = ServerDialogue::of(Service::Marking, point.dialogue, clock::monotonic_now());
    let mut connection =
        Connection { point, place, stream: &stream, dialogue, stopping: false, late: false, out: Vec::new() };
    match connection.run(stop).await {
        End::Finished if place.is_evicted() => debug!("the connection makes room for another"),
        End::Finished => close_gently(stream).await,
        End::WriteTimeout => point.fail(SisterOutcome::Slow, &"the register does not take its answer"),
        End::Broken(error) => debug!(%error, "connection broken"),
    }
}

struct Connection<'a> {
    point: &'a Point,
    place: &'a Place,
    stream: &'a TcpStream,
    dialogue: ServerDialogue,
    /// A stop was asked for: nothing is read past the message that has begun.
    stopping: bool,
    /// The stop was asked for while a message was on its way: those behind it are not relayed any more.
    late: bool,
    out: Vec<u8>,
}

impl Connection<'_> {
    /// Serves one message after another. When `stop` is cancelled, a message that has begun or is on its way is still
    /// answered, unless the connection has to make room.
    async fn run(&mut self, stop: CancellationToken) -> End {
        let mut stop = pin!(stop.cancelled());
        let mut timer = pin!(sleep_until(far_future().into()));
        loop {
            if let Err(end) = self.take_messages(stop.as_mut()).await {
                return end;
            }
            if self.dialogue.is_finished() {
                return End::Finished;
            }
            if self.dialogue.is_mid_message() {
                self.place.begun(clock::monotonic_now());
            } else {
                self.place.idle(clock::monotonic_now());
            }
            timer.as_mut().reset(self.dialogue.next_timeout().unwrap_or_else(far_future).into());
            // Every branch is cancellation-safe: readiness is not used up by asking.
            tokio::select! {
                biased;
                () = stop.as_mut(), if !self.stopping => self.begin_stop(),
                ready = self.stream.readable(), if self.dialogue.wants_read() => {
                    if let Err(error) = ready.and_then(|()| self.read()) {
                        return End::Broken(error);
                    }
                }
                () = timer.as_mut() => self.on_timer(),
            }
        }
    }

    fn begin_stop(&mut self) {
        self.stopping = true;
        if !self.dialogue.is_mid_message() || self.place.is_evicted() {
            self.dialogue.peer_closed();
        }
    }

    fn read(&mut self) -> io::Result<()> {
        read_now(self.stream, |bytes| {
            let now = clock::monotonic_now();
            let received = match (bytes.is_empty(), self.stopping) {
                (true, _) => {
                    self.dialogue.peer_closed();
                    Ok(())
                }
                (false, true) => self.dialogue.receive_last(bytes, now),
                (false, false) => self.dialogue.receive(bytes, now),
            };
            if let Err(malformed) = received {
                self.point.fail(SisterOutcome::Refused, &malformed);
            }
        })
    }

    fn on_timer(&mut self) {
        if let Some(kind) = self.dialogue.handle_timeout(clock::monotonic_now()) {
            self.point.fail(SisterOutcome::Slow, &format_args!("time-out: {kind:?}"));
        }
    }

    /// Relays and answers every message that is there, one after another.
    async fn take_messages(&mut self, mut stop: Pin<&mut WaitForCancellationFuture<'_>>) -> Result<(), End> {
        while let Some(event) = self.dialogue.poll_event() {
            match event {
                Event::Probe { .. } => self.point.metrics.sister.count(SisterOutcome::Probe),
                Event::Message { id, header, body } => {
                    // One that wants no answer leaves nobody waiting: hundreds of them in one segment, each with a
                    // connection upstream of its own, must not keep the place from registers that do wait.
                    if header.flags.expects_answer() {
                        self.place.busy();
                    } else {
                        self.place.begun(clock::monotonic_now());
                    }
                    let answer = if self.late {
                        debug!("not relayed any more");
                        Answer::Close
                    } else {
                        self.relay(&header, &body, stop.as_mut()).await
                    };
                    self.dialogue.answer(id, answer);
                }
            }
            self.flush().await?;
        }
        self.flush().await
    }

    async fn relay(
        &mut self,
        header: &Header,
        body: &[u8],
        mut stop: Pin<&mut WaitForCancellationFuture<'_>>,
    ) -> Answer {
        let point = self.point;
        let mut relayed = pin!(point.upstream.relay(header, body));
        let relayed = loop {
            // Both branches are cancellation-safe: waiting goes on with the same future.
            tokio::select! {
                biased;
                () = stop.as_mut(), if !self.stopping => {
                    self.stopping = true;
                    self.late = true;
                    self.dialogue.peer_closed();
                }
                relayed = relayed.as_mut() => break relayed,
            }
        };
        match relayed {
            Ok(answer) => {
                point.metrics.sister.count(SisterOutcome::Relayed);
                answer.map_or(Answer::Nothing, Answer::Relayed)
            }
            Err((outcome, detail)) => {
                point.fail(outcome, &format_args!("ФН {}: {detail}", header.fn_number.as_str()));
                Answer::Close
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.out.clear();
        if self.dialogue.poll_transmit(&mut self.out, clock::monotonic_now()) == 0 {
            return Ok(());
        }
        let limit = self.point.dialogue.message_timeout;
        write_within(self.stream, &self.out, limit, || self.place.busy()).await
    }
}

impl Upstream {
    /// The upstream's whole answer to one message, or nothing when the register wants none. Dropping the future gives the
    /// exchange up.
    async fn relay(&self, header: &Header, body: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let Some(address) = &self.address else {
            return Err((SisterOutcome::NoUpstream, "sister.upstream is not set".to_owned()));
        };
        let connecting = timeout(self.connect_timeout, TcpStream::connect(address.as_str())).await;
        let stream = connecting
            .map_err(|_| (SisterOutcome::TimedOut, format!("no connection to {address} in time")))?
            .map_err(|error| (SisterOutcome::Unreachable, format!("no connection to {address}: {error}")))?;
        let expects_answer = header.flags.expects_answer();
        let exchange = async {
            if expects_answer {
                self.exchange(&stream, header, body).await.map(Some)
            } else {
                self.tell(&stream, header, body).await.map(|()| None)
            }
        };
        let exchanged = timeout(self.answer.answer_timeout, exchange)
            .await
            .map_err(|_| (SisterOutcome::TimedOut, format!("no answer of {address} in time")))?;
        if !expects_answer && exchanged.is_ok() {
            close_gently(stream).await;
        }
        exchanged
    }

    /// A message that wants no answer.
    async fn tell(&self, stream: &TcpStream, header: &Header, body: &[u8]) -> Result<(), Failure> {
        let mut dialogue = ClientDialogue::of(Service::Marking, header.fn_number, self.answer);
        let request = dialogue.relay(header, body, clock::monotonic_now());
        write_rest(stream, &request).await.map_err(broken)
    }

    async fn exchange(&self, stream: &TcpStream, header: &Header, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut dialogue = ClientDialogue::of(Service::Marking, header.fn_number, self.answer);
        let request = dialogue.relay(header, body, clock::monotonic_now());
        write_rest(stream, &request).await.map_err(broken)?;
        loop {
            stream.readable().await.map_err(broken)?;
            let mut received = Ok(None);
            let mut ended = false;
            read_now(stream, |bytes| {
                ended = bytes.is_empty();
                received = dialogue.receive(bytes);
            })
            .map_err(broken)?;
            let reply = received.map_err(|malformed| (SisterOutcome::BadAnswer, malformed.to_string()))?;
            match reply {
                Some(reply) if reply.header.s_version == header.s_version => {
                    return Ok([reply.header.encode().as_slice(), &reply.body].concat());
                }
                Some(_) => {
                    return Err((SisterOutcome::BadAnswer, "an answer under another S-version".to_owned()));
                }
                None if ended => {
                    return Err((
                        SisterOutcome::Unreachable,
                        "the upstream hung up without an answer".to_owned(),
                    ));
                }
                None => {}
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn broken(error: io::Error) -> Failure {
    (SisterOutcome::Unreachable, format!("the upstream broke off: {error}"))
}

#[cfg(test)]
mod tests;
