//! A plan over real sockets.
//!
//! Each connection of the plan is one task. It writes what is due and allowed, reads answers as they come, and
//! when the operator closes or falls silent, what was under way is missing and the rest goes on a new connection.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kkt_proto::header::HEADER_LEN;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::gates::Gates;
use super::messages::{CapturedMessage, Subject};
use super::plan::{Lane, Plan, Step};
use super::report::{ReplayProgress, ReplayReport};
use super::verify::{checker, verify};
use crate::keys::SimKeys;
use crate::link::connect_spread;
use crate::storage::AckChecker;

/// Bytes asked for by one read.
const READ_BYTES: usize = 16 * 1024;
/// Bytes written behind each other before answers are looked at again.
const WRITE_BYTES: usize = 256 * 1024;

/// A replay.
#[derive(Clone, Debug)]
pub(crate) struct ReplayOptions {
    /// The operator's address.
    pub(crate) to: SocketAddr,
    /// Patience with one answer, and with a connection.
    pub(crate) patience: Duration,
    /// Keys to check acknowledgements with, as a storage does; only their form is checked without.
    pub(crate) keys: Option<Arc<SimKeys>>,
}

/// What the tasks of a run share.
struct Stage {
    options: ReplayOptions,
    gates: Gates,
    checkers: Vec<Option<AckChecker>>,
    progress: Arc<ReplayProgress>,
    began: Instant,
}

/// Why a connection came to its end.
struct Broken(String);

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Sends everything; ends with the last answer (or the end of patience with it) or when `token` is cancelled.
pub(crate) async fn run(
    plan: Plan,
    options: ReplayOptions,
    progress: Arc<ReplayProgress>,
    token: CancellationToken,
) -> ReplayReport {
    let checkers = plan
        .storages
        .iter()
        .map(|number| options.keys.as_ref().and_then(|keys| checker(*number, keys)))
        .collect();
    let stage = Arc::new(Stage {
        gates: Gates::new(plan.storages.len()),
        checkers,
        progress: Arc::clone(&progress),
        began: Instant::now(),
        options,
    });
    let mut running = JoinSet::new();
    for (turn, lane) in plan.lanes.into_iter().enumerate() {
        let (stage, token) = (Arc::clone(&stage), token.clone());
        running.spawn(async move {
            let mut course = Course::new(lane, u64::try_from(turn).unwrap_or(0), &stage);
            tokio::select! {
                () = course.run() => {}
                () = token.cancelled() => {}
            }
        });
    }
    while let Some(joined) = running.join_next().await {
        if let Err(error) = joined {
            tracing::error!(%error, "a connection of the replay died");
        }
    }
    progress.report(stage.began.elapsed().as_secs_f64(), token.is_cancelled())
}

/// One connection of the plan under way.
struct Course<'a> {
    steps: Vec<Step>,
    connect_counts: bool,
    turn: u64,
    stage: &'a Stage,
    /// First message that was not written.
    next: usize,
    /// First message that is not done with.
    done: usize,
    /// When each message under way was written, or its connect began.
    written_at: VecDeque<Instant>,
    received: Vec<u8>,
}

impl<'a> Course<'a> {
    fn new(lane: Lane, turn: u64, stage: &'a Stage) -> Self {
        let Lane { steps, connect_counts } = lane;
        Self {
            steps,
            connect_counts,
            turn,
            stage,
            next: 0,
            done: 0,
            written_at: VecDeque::new(),
            received: Vec::new(),
        }
    }

    /// Brings every message to its end. Cancellation leaves the rest unsent.
    async fn run(&mut self) {
        let mut connected_before = false;
        while self.done < self.steps.len() {
            self.until_allowed().await;
            let connect_began = Instant::now();
            let outcome = match self.connect().await {
                Ok(mut stream) => {
                    self.stage.progress.connected(connected_before);
                    connected_before = true;
                    let began = self.connect_counts.then_some(connect_began);
                    Box::pin(self.pump(&mut stream, began)).await
                }
                Err(broken) => {
                    // Nothing of it was written; it is missing all the same.
                    self.written_at.push_back(connect_began);
                    self.next += 1;
                    Err(broken)
                }
            };
            if let Err(Broken(reason)) = outcome {
                self.give_up_what_is_under_way(&reason);
            }
            self.received.clear();
        }
    }

    /// Waits until the next message may be written, as far as others decide that.
    async fn until_allowed(&self) {
        let Some(step) = self.steps.get(self.next) else { return };
        tokio::time::sleep_until((self.stage.began + step.due).into()).await;
        self.stage.gates.opened(step.storage, step.after_in_storage).await;
    }

    async fn connect(&self) -> Result<TcpStream, Broken> {
        let ReplayOptions { to, patience, .. } = self.stage.options;
        match tokio::time::timeout(patience, connect_spread(to, self.turn)).await {
            Ok(stream) => stream.map_err(|error| Broken(format!("no connection: {error}"))),
            Err(_) => Err(Broken("no connection in time".to_owned())),
        }
    }

    /// Writes and reads until everything is done with.
    async fn pump(&mut self, stream: &mut TcpStream, mut began: Option<Instant>) -> Result<(), Broken> {
        let (mut reader, writer) = stream.split();
        let mut out: Vec<u8> = Vec::new();
        let mut heard = Instant::now();
        loop {
            while out.len() < WRITE_BYTES && self.may_write() {
                self.write_next(&mut out, began.take());
            }
            while !out.is_empty() {
                match writer.try_write(&out) {
                    Ok(count) => drop(out.drain(..count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if self.done == self.steps.len() && out.is_empty() {
                return Ok(());
            }
            let deadline =
                self.written_at.front().map(|written| *written.max(&heard) + self.stage.options.patience);
            let waits_for_others = self.next < self.steps.len() && self.lane_allows();
            self.received.reserve(READ_BYTES);
            tokio::select! {
                count = reader.read_buf(&mut self.received) => {
                    if count? == 0 {
                        return Err(Broken("the operator closed the connection".to_owned()));
                    }
                    heard = Instant::now();
                    self.take_answers(heard)?;
                }
                writable = writer.writable(), if !out.is_empty() => writable?,
                () = wait_until(self.stage, self.steps.get(self.next)), if waits_for_others && out.is_empty() => {}
                () = tokio::time::sleep_until(deadline.unwrap_or(heard).into()), if deadline.is_some() => {
                    return Err(Broken("nothing in time".to_owned()));
                }
            }
        }
    }

    /// Whether the answers that the next message waits for on this connection are there.
    fn lane_allows(&self) -> bool {
        self.steps.get(self.next).is_some_and(|step| step.after_in_lane <= self.done)
    }

    fn may_write(&self) -> bool {
        self.lane_allows()
            && self.steps.get(self.next).is_some_and(|step| {
                self.stage.gates.is_open(step.storage, step.after_in_storage)
                    && (step.due.is_zero() || Instant::now() >= self.stage.began + step.due)
            })
    }

    fn write_next(&mut self, out: &mut Vec<u8>, began: Option<Instant>) {
        let Some(step) = self.steps.get(self.next) else { return };
        out.extend_from_slice(&step.message.bytes);
        let now = Instant::now();
        let late = if step.due.is_zero() {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.stage.began + step.due)
        };
        self.stage.progress.sent(late);
        self.written_at.push_back(began.unwrap_or(now));
        self.next += 1;
        self.pass_over_the_unanswerable();
    }

    /// Messages that ask for no answer are done with once those before them are.
    fn pass_over_the_unanswerable(&mut self) {
        while self.done < self.next
            && let Some(step) = self.steps.get(self.done)
            && !expects_answer(&step.message)
        {
            self.stage.progress.no_answer_expected();
            self.finish_oldest();
        }
    }

    /// Takes whole answers off the received bytes.
    fn take_answers(&mut self, now: Instant) -> Result<(), Broken> {
        let mut taken = 0;
        while let Some(rest) = self.received.get(taken..)
            && let Some(length) = whole(rest)
            && let Some(answer) = rest.get(..length)
        {
            if self.done >= self.next {
                return Err(Broken("an answer to nothing".to_owned()));
            }
            let Some(step) = self.steps.get(self.done) else { break };
            let latency = now.saturating_duration_since(self.written_at.front().copied().unwrap_or(now));
            let checker = self.stage.checkers.get(step.storage).and_then(Option::as_ref);
            match verify(&step.message, step.captured_answer.as_deref(), answer, checker) {
                Ok(right) => {
                    let probe = step.message.header.is_probe();
                    self.stage.progress.right(|| name(&step.message), probe, right, latency);
                }
                Err(reason) => self.stage.progress.wrong(&name(&step.message), &reason),
            }
            taken += length;
            self.finish_oldest();
            self.pass_over_the_unanswerable();
        }
        self.received.drain(..taken);
        Ok(())
    }

    fn finish_oldest(&mut self) {
        if let Some(step) = self.steps.get(self.done) {
            self.stage.gates.finish(step.storage);
        }
        self.written_at.pop_front();
        self.done += 1;
    }

    /// What was written and not answered on a broken connection never will be.
    fn give_up_what_is_under_way(&mut self, reason: &str) {
        while self.done < self.next {
            match self.steps.get(self.done) {
                Some(step) if expects_answer(&step.message) => {
                    self.stage.progress.missing(&name(&step.message), reason);
                }
                Some(_) => self.stage.progress.no_answer_expected(),
                None => {}
            }
            self.finish_oldest();
        }
    }
}

/// Waits until a message may be written, as far as others than its own connection decide that. Cancellation-safe.
async fn wait_until(stage: &Stage, step: Option<&Step>) {
    let Some(step) = step else { return };
    tokio::time::sleep_until((stage.began + step.due).into()).await;
    stage.gates.opened(step.storage, step.after_in_storage).await;
}

fn expects_answer(message: &CapturedMessage) -> bool {
    message.header.flags.expects_answer() || message.header.is_probe()
}

/// Length of the message at the front when all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let &[low, high] = bytes.get(24..)?.first_chunk()?;
    let length = HEADER_LEN + usize::from(u16::from_le_bytes([low, high]));
    (bytes.len() >= length).then_some(length)
}

/// A message as people look for it.
pub(crate) fn name(message: &CapturedMessage) -> String {
    match message.subject() {
        Subject::Document(_, fn_number, fd_number) => format!("ФН {fn_number}, ФД {}", fd_number.get()),
        Subject::Probe => format!("probe of ФН {}", message.header.fn_number),
        Subject::Unreadable => format!("message of ФН {}", message.header.fn_number),
    }
}

#[cfg(test)]
mod tests;
