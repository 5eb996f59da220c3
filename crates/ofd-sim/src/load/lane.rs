//! One register of a load run: its connection, its window, its answers.
//!
//! Written for few system calls and no allocation per document: messages lie ready in one buffer and a window
//! of them leaves in one write; answers are taken apart where they were read.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kkt_proto::header::{HEADER_LEN, Header, Signature};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::LoadProgress;
use super::options::{Check, LoadMode, LoadOptions};
use super::prepare::{OPENING_DOCUMENTS, RegisterLoad};
use crate::link::connect_spread;

/// Bytes asked for by one read.
const READ_BYTES: usize = 16 * 1024;

/// What all lanes of a run have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    mode: LoadMode,
    check: Check,
    answer_timeout: Duration,
    retry_pause: Duration,
    give_up: Duration,
    /// From one document of a register to its next, with a rate.
    interval: Option<Duration>,
}

impl Rules {
    pub(super) fn new(options: &LoadOptions) -> Self {
        Self {
            mode: options.mode,
            check: options.check,
            answer_timeout: options.answer_timeout,
            retry_pause: options.retry_pause,
            give_up: options.give_up,
            interval: options.interval(),
        }
    }
}

/// How a register's part ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All its messages are answered.
    Dry,
    /// The run was stopped.
    Stopped,
    /// No answer for too long.
    GaveUp(String),
}

/// Why a connection came to its end.
enum Broken {
    Stopped,
    Failed(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The task of one connection.
#[derive(Clone, Copy)]
struct Course {
    /// Message to stop before.
    end: usize,
    /// Messages that may be on their way.
    window: usize,
    /// Moment that latencies count from; the moment of writing when absent.
    began: Option<Instant>,
}

/// One register.
pub(super) struct Lane {
    load: RegisterLoad,
    to: SocketAddr,
    rules: Rules,
    connection: Option<TcpStream>,
    /// Spreads source addresses.
    turn: u64,
    /// First message that has no answer yet.
    unanswered: usize,
    /// First message that was never written on any connection: those before are repeats.
    fresh: usize,
    /// When each unanswered message was first written, oldest first.
    written_at: VecDeque<Instant>,
    received: Vec<u8>,
    last_answer: Instant,
    /// With a rate: when the document in hand could have left. Latency counts from there, so that documents that an
    /// operator keeps waiting show it.
    due: Option<Instant>,
}

impl Lane {
    pub(super) fn new(load: RegisterLoad, to: SocketAddr, index: u64, rules: Rules) -> Self {
        Self {
            load,
            to,
            rules,
            connection: None,
            turn: index,
            unanswered: 0,
            fresh: 0,
            written_at: VecDeque::new(),
            received: Vec::with_capacity(READ_BYTES),
            last_answer: Instant::now(),
            due: None,
        }
    }

    /// Sends the opening documents, one after another, outside the measured run.
    pub(super) async fn open(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let unmeasured = LoadProgress::default();
        let ended = self.work(OPENING_DOCUMENTS.min(self.load.len()), 1, &unmeasured, stop).await;
        match ended {
            Ended::GaveUp(reason) => Err(reason),
            Ended::Stopped => Err("stopped".to_owned()),
            Ended::Dry if unmeasured.errors.load(Ordering::Relaxed) > 0 => {
                Err("the operator's answer to the registration was refused or had another code than 0"
                    .to_owned())
            }
            Ended::Dry => Ok(()),
        }
    }

    /// Sends the receipts.
    pub(super) async fn run(mut self, progress: &LoadProgress, stop: &CancellationToken) -> Ended {
        self.last_answer = Instant::now();
        match self.rules.interval {
            None => self.work(self.load.len(), self.rules.mode.window(), progress, stop).await,
            Some(interval) => self.run_paced(interval, progress, stop).await,
        }
    }

    /// Sends a receipt whenever its moment has come and the one before is answered.
    async fn run_paced(
        mut self,
        interval: Duration,
        progress: &LoadProgress,
        stop: &CancellationToken,
    ) -> Ended {
        // Registers begin one after another, as the golden ratio spreads them: no two of them in step.
        let share = self.turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let offset = interval.mul_f64(f64::from(u32::try_from(share).unwrap_or(0)) / f64::from(u32::MAX));
        let mut due = Instant::now() + offset;
        while self.unanswered < self.load.len() {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = stop.cancelled() => return Ended::Stopped,
            }
            // A document that the answer before kept waiting counts from the moment it should have left; one that an
            // alarm of whole milliseconds woke late counts from then, which is no fault of the operator.
            let woken = Instant::now();
            self.due = Some(if self.last_answer > due { due } else { woken });
            self.last_answer = self.last_answer.max(due);
            match self.work(self.unanswered + 1, 1, progress, stop).await {
                Ended::Dry => due += interval,
                ended => return ended,
            }
        }
        Ended::Dry
    }

    /// Brings the messages up to `end` to their answers, reconnecting as often as patience allows.
    async fn work(
        &mut self,
        end: usize,
        window: usize,
        progress: &LoadProgress,
        stop: &CancellationToken,
    ) -> Ended {
        while self.unanswered < end {
            let broken = match self.converse(end, window, progress, stop).await {
                Ok(()) => continue,
                Err(broken) => broken,
            };
            self.connection = None;
            self.received.clear();
            match broken {
                Broken::Stopped => return Ended::Stopped,
                Broken::Failed(reason) if self.last_answer.elapsed() >= self.rules.give_up => {
                    let lost = self.fresh.saturating_sub(self.unanswered);
                    progress.errors.fetch_add(u64::try_from(lost).unwrap_or(0), Ordering::Relaxed);
                    return Ended::GaveUp(reason);
                }
                Broken::Failed(_) => {
                    tokio::select! {
                        () = tokio::time::sleep(self.rules.retry_pause) => {}
                        () = stop.cancelled() => return Ended::Stopped,
                    }
                }
            }
        }
        Ended::Dry
    }

    /// One connection's worth of work: until everything is answered, or for one document in the mode of a
    /// connection for each.
    async fn converse(
        &mut self,
        end: usize,
        window: usize,
        progress: &LoadProgress,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let per_document = self.rules.mode == LoadMode::PerDocument;
        let end = if per_document { end.min(self.unanswered + 1) } else { end };
        // A connection for each document counts the connect into the latency.
        let began = self.due.or_else(|| per_document.then(Instant::now));
        let course = Course { end, window, began };
        let mut stream = self.connect(stop).await?;
        let again = self.fresh.min(end).saturating_sub(self.unanswered);
        progress.repeats.fetch_add(u64::try_from(again).unwrap_or(0), Ordering::Relaxed);
        let outcome = self.pump(&mut stream, course, progress, stop).await;
        if outcome.is_ok() && !per_document {
            self.connection = Some(stream);
        }
        outcome
    }

    async fn connect(&mut self, stop: &CancellationToken) -> Result<TcpStream, Broken> {
        if let Some(stream) = self.connection.take() {
            return Ok(stream);
        }
        self.turn += 1;
        let connecting = tokio::time::timeout(self.rules.answer_timeout, connect_spread(self.to, self.turn));
        tokio::select! {
            connected = connecting => match connected {
                Ok(stream) => Ok(stream?),
                Err(_) => Err(Broken::Failed("no connection in time".to_owned())),
            },
            () = stop.cancelled() => Err(Broken::Stopped),
        }
    }

    /// Writes and reads as the socket allows until `end` is answered.
    async fn pump(
        &mut self,
        stream: &mut TcpStream,
        course: Course,
        progress: &LoadProgress,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let (mut reader, writer) = stream.split();
        let (stopped, alarm) = (stop.cancelled(), tokio::time::sleep(self.rules.answer_timeout));
        tokio::pin!(stopped, alarm);
        let mut heard = Instant::now();
        // Messages up to `queued` are given to this connection; the bytes `pending` of them have not left.
        let (mut queued, mut pending) = (self.unanswered, 0..0);
        while self.unanswered < course.end {
            let until = course.end.min(self.unanswered + course.window);
            if pending.is_empty() && until > queued {
                pending = self.load.span(queued, until);
                let moment = course.began.unwrap_or_else(Instant::now);
                // A repeat keeps the moment of its first writing: an outage counts into its latency.
                let first_time = until.saturating_sub(self.fresh.max(queued));
                self.written_at.extend(std::iter::repeat_n(moment, first_time));
                queued = until;
                self.fresh = self.fresh.max(until);
            }
            if !pending.is_empty() {
                match writer.try_write(self.load.bytes(pending.clone())) {
                    Ok(count) => pending.start += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.received.reserve(READ_BYTES);
            tokio::select! {
                biased;
                () = &mut stopped => return Err(Broken::Stopped),
                count = reader.read_buf(&mut self.received) => {
                    if count? == 0 {
                        return Err(Broken::Failed("the operator closed the connection".to_owned()));
                    }
                    heard = Instant::now();
                    self.take_answers(heard, progress)?;
                }
                writable = writer.writable(), if !pending.is_empty() => writable?,
                () = &mut alarm => {
                    let deadline = heard + self.rules.answer_timeout;
                    if Instant::now() >= deadline {
                        return Err(Broken::Failed("no answer in time".to_owned()));
                    }
                    alarm.as_mut().reset(deadline.into());
                }
            }
        }
        Ok(())
    }

    /// Takes whole answers off the received bytes.
    fn take_answers(&mut self, now: Instant, progress: &LoadProgress) -> Result<(), Broken> {
        let mut taken = 0;
        while let Some(rest) = self.received.get(taken..) {
            let Some(head) = rest.first_chunk::<HEADER_LEN>() else { break };
            let whole = HEADER_LEN + body_len(head)?;
            let Some(body) = rest.get(HEADER_LEN..whole) else { break };
            let Some(written_at) = self.written_at.pop_front() else {
                return Err(Broken::Failed("an answer to nothing".to_owned()));
            };
            if self.is_right(head, body)? {
                progress.documents.fetch_add(1, Ordering::Relaxed);
                progress.latencies.record(now.saturating_duration_since(written_at));
            } else {
                progress.errors.fetch_add(1, Ordering::Relaxed);
            }
            self.unanswered += 1;
            taken += whole;
            self.last_answer = now;
        }
        self.received.drain(..taken);
        Ok(())
    }

    fn is_right(&self, head: &[u8; HEADER_LEN], body: &[u8]) -> Result<bool, Broken> {
        if self.rules.check == Check::None {
            return Ok(true);
        }
        let header = Header::decode(head).map_err(|error| Broken::Failed(error.to_string()))?;
        let Some(fd_number) = RegisterLoad::fd_number(self.unanswered) else { return Ok(false) };
        Ok(header.fn_number == self.load.checker.number()
            && self.load.checker.check(fd_number, body).is_ok_and(|accepted| accepted.code == 0))
    }
}

/// Length of the body that a session header announces: all that is looked at without checks.
fn body_len(head: &[u8; HEADER_LEN]) -> Result<usize, Broken> {
    let [a, b, c, d, .., low, high, _, _, _, _] = *head;
    if [a, b, c, d] != Signature::OFD.0 {
        return Err(Broken::Failed("an answer that does not begin with the signature".to_owned()));
    }
    Ok(u16::from_le_bytes([low, high]).into())
}
