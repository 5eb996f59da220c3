//! One register's TCP link to its operator: exchanges one at a time, repeats on silence.
//!
//! The dialogue itself is `kkt-proto`'s client; here are the socket, the time-outs, and what a test of an
//! operator needs on top: a connection broken before the answer is read, and the comparison of the answer to
//! a repeated message with the first one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ffd::FnNumber;
use kkt_proto::client::{ClientDialogue, ClientLimits, Reply};
use kkt_proto::header::{CrcMode, PVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// Largest reply taken, bytes: more than an ФН accepts, so that an oversized answer is seen as such.
const REPLY_MAX_BYTES: usize = 65_535;

/// Patience of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTiming {
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// From the written message to the whole answer.
    pub answer_timeout: Duration,
    /// Before a try that follows a failed one.
    pub retry_pause: Duration,
    /// Tries of one document, the first included; those lost on purpose are not counted.
    pub attempts: u32,
}

impl LinkTiming {
    /// Whether another try may follow `tries` failed ones.
    pub(crate) fn allows_another(&self, tries: u32) -> bool {
        tries < self.attempts
    }
}

impl Default for LinkTiming {
    /// Short figures for loopback: 5 s to connect, 10 s for an answer, half a second between 20 tries. Real
    /// registers wait up to 300 s for an answer.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            retry_pause: Duration::from_millis(500),
            attempts: 20,
        }
    }
}

/// What is to happen to the connection of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The answer is read.
    Honest,
    /// The whole message is written, then the connection is broken: the answer is lost on its way.
    LoseAnswer,
}

/// Why a try brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke, or the operator closed it.
    #[error("connection lost: {0}")]
    Closed(#[source] io::Error),
    /// Nothing (or not all) came in time.
    #[error("no answer in time")]
    Timeout,
    /// What came is no message of the protocol, or not for this register.
    #[error("unreadable answer: {0}")]
    Malformed(#[source] kkt_proto::Malformed),
    /// The message does not fit the size field of a session header.
    #[error("cannot be sent: {0}")]
    TooLong(#[source] kkt_proto::TooLong),
    /// The answer was lost on purpose.
    #[error("answer lost on purpose")]
    Lost,
    /// Cancelled from outside.
    #[error("cancelled")]
    Cancelled,
}

impl Silence {
    /// Whether another try makes sense.
    #[must_use]
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::Cancelled)
    }
}

/// What a link has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkCounts {
    /// Messages written, repeats included.
    pub(crate) messages: u64,
    /// Messages whose document had been written before.
    pub(crate) repeats: u64,
    /// Connections opened after the first one.
    pub(crate) reconnects: u64,
    /// Tries without an answer, except those lost on purpose.
    pub(crate) silences: u64,
    /// Tries broken on purpose.
    pub(crate) lost_answers: u64,
    /// Answers to a repeated message with the very bytes of the first answer.
    pub(crate) repeats_equal: u64,
    /// Answers to a repeated message with other bytes.
    pub(crate) repeats_different: u64,
}

/// How a link is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkSettings {
    /// The operator's address.
    pub(crate) to: SocketAddr,
    /// The register's storage: named in the session header, checked in answers.
    pub(crate) fn_number: FnNumber,
    /// Document protocol of the header.
    pub(crate) p_version: PVersion,
    /// Check code of the header.
    pub(crate) crc_mode: CrcMode,
    /// The connection stays open for the next message.
    pub(crate) persistent: bool,
    /// Time-outs.
    pub(crate) timing: LinkTiming,
}

/// The link of one register.
#[derive(Debug)]
pub(crate) struct Link {
    settings: LinkSettings,
    connection: Option<Connection>,
    connected_before: bool,
    counts: LinkCounts,
    /// The last message and the first answer to it, if one was seen.
    last: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    dialogue: ClientDialogue,
}

impl Link {
    /// A link without a connection.
    #[must_use]
    pub(crate) fn new(settings: LinkSettings) -> Self {
        Self {
            settings,
            connection: None,
            connected_before: false,
            counts: LinkCounts::default(),
            last: None,
        }
    }

    /// What happened so far.
    #[must_use]
    pub(crate) fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// Sends `container` until an answer comes or the tries are used up. Not cancellation-safe: dropping the
    /// future may leave half a message on the wire; use `token`.
    ///
    /// # Errors
    /// The reason of the last try.
    pub(crate) async fn exchange(
        &mut self,
        container: &[u8],
        token: &CancellationToken,
    ) -> Result<Reply, Silence> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt(container, Fate::Honest, token).await {
                Ok(reply) => return Ok(reply),
                Err(silence) if silence.is_final() || !self.settings.timing.allows_another(tries) => {
                    return Err(silence);
                }
                Err(_) => self.pause(token).await,
            }
        }
    }

    /// Waits before the next try.
    pub(crate) async fn pause(&self, token: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(self.settings.timing.retry_pause) => {}
            () = token.cancelled() => {}
        }
    }

    /// One try: connects if needed, writes `container` under a session header, reads the answer.
    /// Not cancellation-safe, as [`Self::exchange`].
    ///
    /// # Errors
    /// [`Silence`]; the connection is closed then.
    pub(crate) async fn attempt(
        &mut self,
        container: &[u8],
        fate: Fate,
        token: &CancellationToken,
    ) -> Result<Reply, Silence> {
        let outcome = tokio::select! {
            outcome = self.attempt_uncancelled(container, fate) => outcome,
            () = token.cancelled() => Err(Silence::Cancelled),
        };
        match &outcome {
            Ok(reply) => {
                self.compare(&reply.body);
                if !self.settings.persistent {
                    self.connection = None;
                }
            }
            Err(silence) => {
                self.connection = None;
                match silence {
                    Silence::Lost => self.counts.lost_answers += 1,
                    Silence::Cancelled | Silence::TooLong(_) => {}
                    _ => self.counts.silences += 1,
                }
            }
        }
        outcome
    }

    /// Asks whether anybody listens: a header without a body. The answer is a header, the body is empty.
    ///
    /// # Errors
    /// As [`Self::attempt`].
    pub(crate) async fn probe(&mut self) -> Result<Reply, Silence> {
        let (mode, version) = (self.settings.crc_mode, self.settings.p_version);
        let timeout = self.settings.timing.answer_timeout;
        let connection = self.connect().await?;
        let bytes = connection.dialogue.probe(mode, version, Instant::now());
        let outcome = connection.write_and_read(&bytes, timeout).await;
        if outcome.is_err() {
            self.connection = None;
        }
        outcome
    }

    async fn attempt_uncancelled(&mut self, container: &[u8], fate: Fate) -> Result<Reply, Silence> {
        let LinkSettings { crc_mode, p_version, timing, .. } = self.settings;
        let connection = self.connect().await?;
        let bytes = connection
            .dialogue
            .send(container, crc_mode, p_version, Instant::now())
            .map_err(Silence::TooLong)?;
        self.count_message(container);
        let Some(connection) = &mut self.connection else { return Err(Silence::Timeout) };
        if fate == Fate::LoseAnswer {
            connection.stream.write_all(&bytes).await.map_err(Silence::Closed)?;
            return Err(Silence::Lost);
        }
        connection.write_and_read(&bytes, timing.answer_timeout).await
    }

    async fn connect(&mut self) -> Result<&mut Connection, Silence> {
        if self.connection.is_none() {
            let LinkSettings { to, fn_number, timing, .. } = self.settings;
            let connecting = tokio::time::timeout(timing.connect_timeout, TcpStream::connect(to));
            let stream = connecting.await.map_err(|_| Silence::Timeout)?.map_err(Silence::Connect)?;
            // A failure here only costs latency.
            let _ = stream.set_nodelay(true);
            if self.connected_before && self.settings.persistent {
                self.counts.reconnects += 1;
            }
            self.connected_before = true;
            let limits =
                ClientLimits { answer_timeout: timing.answer_timeout, max_body_bytes: REPLY_MAX_BYTES };
            self.connection = Some(Connection { stream, dialogue: ClientDialogue::new(fn_number, limits) });
        }
        self.connection.as_mut().ok_or(Silence::Timeout)
    }

    fn count_message(&mut self, container: &[u8]) {
        self.counts.messages += 1;
        match &self.last {
            Some((last, _)) if last == container => self.counts.repeats += 1,
            // The same document under a new vector is a repeat too: ФН and ФД number stand in bytes 9 to 20.
            Some((last, _)) if last.get(9..20) == container.get(9..20) => {
                self.counts.repeats += 1;
                self.last = Some((container.to_vec(), None));
            }
            _ => self.last = Some((container.to_vec(), None)),
        }
    }

    fn compare(&mut self, answer: &[u8]) {
        match &mut self.last {
            Some((_, Some(first))) if first == answer => self.counts.repeats_equal += 1,
            Some((_, Some(_))) => self.counts.repeats_different += 1,
            Some((_, first @ None)) => *first = Some(answer.to_vec()),
            None => {}
        }
    }
}

impl Connection {
    async fn write_and_read(&mut self, bytes: &[u8], timeout: Duration) -> Result<Reply, Silence> {
        let exchange = async {
            self.stream.write_all(bytes).await.map_err(Silence::Closed)?;
            let mut buffer = [0; 2048];
            loop {
                let count = self.stream.read(&mut buffer).await.map_err(Silence::Closed)?;
                if count == 0 {
                    return Err(Silence::Closed(io::ErrorKind::UnexpectedEof.into()));
                }
                let received = buffer.get(..count).unwrap_or_default();
                if let Some(reply) = self.dialogue.receive(received).map_err(Silence::Malformed)? {
                    return Ok(reply);
                }
            }
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(Silence::Timeout))
    }
}

/// Connects from one of 50 loopback addresses when the target is loopback: a connection for each document
/// leaves thousands of ports in TIME_WAIT, and a single address has only some 28,000.
///
/// # Errors
/// Those of the socket.
pub(crate) async fn connect_spread(to: SocketAddr, turn: u64) -> io::Result<TcpStream> {
    let stream = match to.ip() {
        IpAddr::V4(address) if address.is_loopback() => {
            let socket = TcpSocket::new_v4()?;
            let last = u8::try_from(turn % 50).unwrap_or(0) + 1;
            socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
            socket.connect(to).await?
        }
        _ => TcpStream::connect(to).await?,
    };
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

#[cfg(test)]
mod tests;
