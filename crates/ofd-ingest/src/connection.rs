//! One connection of a register: bytes between the socket and the dialogue, documents between the dialogue and the
//! journal. A message is looked at and handed to the journal without waiting for the one before; the journal keeps
//! the order, so what waits for it is a queue whose front finishes first. Answers that are ready leave in one write.
//!
//! Memory of a connection is bounded: the dialogue refuses large messages and stops asking for bytes at its limit of
//! documents in flight, and nothing is read while a reply cannot be written.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ffd::FnNumber;
use kkt_proto::Malformed;
use kkt_proto::header::Header;
use kkt_proto::server::{Answer, Event, MessageId, ServerDialogue, ServerLimits, TimeoutKind};
use ofd_store::{AppendOutcome, PendingAppend, PendingQuarantine, QuarantineOutcome, StoreError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::consume_budget;
use tokio::time::{Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug};

use crate::clock;
use crate::decision::{Afterwards, Refusal};
use crate::ingest::{Admitted, Examined, Intake};
use crate::metrics::{self, TimedOut, reason};

/// Most bytes taken from a socket at once. One buffer per worker thread, none per connection.
const READ_CHUNK_BYTES: usize = 32 * 1024;

/// How long a closed connection still takes bytes and throws them away. Closing a socket with unread bytes makes the
/// system reset it, and a reset can destroy replies that are still on their way to the register.
const LINGER: Duration = Duration::from_secs(1);

/// Most bytes thrown away while lingering.
const LINGER_MAX_BYTES: usize = 256 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_CHUNK_BYTES].into_boxed_slice());
}

/// Limits of a connection, the same for all.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) dialogue: ServerLimits,
    pub(crate) write_timeout: Duration,
}

/// Serves one connection until it ends. `span` has an empty field `fn_number`, filled when the ФН is known.
///
/// When `stop` is cancelled, a message that has begun is still read to its end and everything in flight is answered;
/// then the connection is closed. Dropping the future loses no document: what was handed to the journal stays there,
/// unanswered.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    intake: Arc<Intake>,
    settings: ConnectionSettings,
    stop: CancellationToken,
    span: Span,
) {
    let mut connection = Connection {
        stream: &stream,
        peer: peer.to_string(),
        intake: &intake,
        dialogue: ServerDialogue::new(settings.dialogue, clock::monotonic_now()),
        write_timeout: settings.write_timeout,
        in_flight: VecDeque::new(),
        out: Vec::new(),
        max_in_flight: settings.dialogue.max_in_flight,
        fn_number: None,
        stopping: false,
        span,
    };
    let end = connection.run(stop).await;
    connection.settle_rest().await;
    drop(connection);
    match end {
        End::Finished => {
            debug!("connection ends");
            close_gently(stream).await;
        }
        End::WriteTimeout => debug!("connection dropped: the register does not take its replies"),
        End::Broken(error) => debug!(%error, "connection broken"),
    }
}

/// How a connection came to its end.
enum End {
    /// Everything that was to be said was said.
    Finished,
    /// The register does not take its replies.
    WriteTimeout,
    /// The connection broke.
    Broken(io::Error),
}

struct Connection<'a> {
    stream: &'a TcpStream,
    peer: String,
    intake: &'a Intake,
    dialogue: ServerDialogue,
    write_timeout: Duration,
    /// What the store works on, oldest first.
    in_flight: VecDeque<InFlight>,
    out: Vec<u8>,
    max_in_flight: usize,
    /// The ФН that was written into the span.
    fn_number: Option<FnNumber>,
    /// A stop was asked for: nothing is read past the message that has begun.
    stopping: bool,
    span: Span,
}

struct InFlight {
    id: MessageId,
    work: Work,
}

enum Work {
    Append {
        outcome: PendingAppend,
        admitted: Admitted,
    },
    Quarantine {
        outcome: PendingQuarantine,
        refusal: Refusal,
        afterwards: Afterwards,
        /// Held until the store has spoken.
        _place: OwnedSemaphorePermit,
    },
}

/// What the store said about the oldest document in flight.
enum Outcome {
    Append(Result<AppendOutcome, StoreError>),
    Quarantine(Result<QuarantineOutcome, StoreError>),
}

impl Connection<'_> {
    async fn run(&mut self, stop: CancellationToken) -> End {
        let mut stop = pin!(stop.cancelled());
        let mut timer = pin!(sleep_until(far_future().into()));
        loop {
            self.settle_ready();
            if let Err(end) = self.flush().await {
                return end;
            }
            if let Err(end) = self.take_messages().await {
                return end;
            }
            if let Err(end) = self.flush().await {
                return end;
            }
            if self.dialogue.is_finished() {
                return End::Finished;
            }
            self.arm(timer.as_mut());
            let may_read = self.dialogue.wants_read();
            // Every branch is cancellation-safe: an outcome is taken by finishing, readiness is not used up by asking.
            tokio::select! {
                biased;
                () = stop.as_mut(), if !self.stopping => self.begin_stop(),
                outcome = next_outcome(self.in_flight.front_mut()) => self.settle_front(outcome),
                ready = self.stream.readable(), if may_read => {
                    if let Err(error) = ready.and_then(|()| self.read()) {
                        return End::Broken(error);
                    }
                }
                () = timer.as_mut() => self.on_timer(timer.as_mut()),
            }
        }
    }

    /// A message that has begun is still read to its end: its register waits for the answer.
    fn begin_stop(&mut self) {
        self.stopping = true;
        if !self.dialogue.is_mid_message() {
            self.dialogue.peer_closed();
        }
    }

    /// Takes what the socket has, at most one chunk.
    fn read(&mut self) -> io::Result<()> {
        READ_BUFFER.with_borrow_mut(|buffer| match self.stream.try_read(buffer) {
            Ok(0) => {
                self.end_of_stream();
                Ok(())
            }
            Ok(count) => {
                self.receive(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        })
    }

    /// A register may end its side and still wait for replies.
    fn end_of_stream(&mut self) {
        if self.dialogue.is_mid_message() {
            self.intake.metrics.rejected(reason::CUT_OFF);
            debug!("the register left in the middle of a message");
        }
        self.dialogue.peer_closed();
    }

    fn receive(&mut self, bytes: &[u8]) {
        let now = clock::monotonic_now();
        let received = if self.stopping {
            self.receive_rest_of_message(bytes, now)
        } else {
            self.dialogue.receive(bytes, now)
        };
        if let Err(malformed) = received {
            self.note_fn_number(self.dialogue.fn_number());
            self.intake.reject(malformed.reason(), &malformed);
        }
    }

    /// Only the dialogue knows where a message ends, so it gets the bytes one by one; this happens once in the life of
    /// a connection. Messages behind that end are not begun: their register repeats them elsewhere or later.
    fn receive_rest_of_message(&mut self, bytes: &[u8], now: Instant) -> Result<(), Malformed> {
        for byte in bytes {
            self.dialogue.receive(std::slice::from_ref(byte), now)?;
            if !self.dialogue.is_mid_message() {
                self.dialogue.peer_closed();
                break;
            }
        }
        Ok(())
    }

    /// Looks at every message that is complete, as far as the limit of documents in flight allows. Lets other
    /// connections run in between, however much this register sends.
    async fn take_messages(&mut self) -> Result<(), End> {
        while self.in_flight.len() < self.max_in_flight
            && let Some(event) = self.dialogue.poll_event()
        {
            consume_budget().await;
            match event {
                Event::Message { id, header, body } => self.take_message(id, &header, body).await?,
                Event::Probe { .. } => {
                    self.note_fn_number(self.dialogue.fn_number());
                    self.intake.metrics.probed();
                    debug!("probe");
                }
            }
        }
        Ok(())
    }

    async fn take_message(&mut self, id: MessageId, header: &Header, body: Vec<u8>) -> Result<(), End> {
        self.note_fn_number(Some(header.fn_number));
        let reserved = header.flags.reserved_bits();
        if reserved != 0 {
            self.intake.note_reserved_bits(reserved);
        }
        let intake = self.intake;
        let work = match intake.examine(header, body, &self.peer) {
            Examined::Unanswered(afterwards) => {
                self.dialogue.answer(id, unanswered(afterwards));
                return Ok(());
            }
            Examined::Journal(document, admitted) => {
                let handed = self.hand_over(intake.journal.append(document)).await?;
                handed.map(|outcome| Work::Append { outcome, admitted })
            }
            Examined::Quarantine(entry, refusal, afterwards) => {
                let Some(place) = intake.quarantine_place(refusal) else {
                    self.dialogue.answer(id, unanswered(afterwards));
                    return Ok(());
                };
                let handed = self.hand_over(intake.journal.quarantine(entry)).await?;
                handed.map(|outcome| Work::Quarantine { outcome, refusal, afterwards, _place: place })
            }
        };
        match work {
            Ok(work) => {
                self.intake.metrics.in_flight_began();
                self.in_flight.push_back(InFlight { id, work });
            }
            Err(error) => {
                let answer = self.intake.store_failed(&error);
                self.dialogue.answer(id, answer);
            }
        }
        Ok(())
    }

    /// Waits for a place in the queue of the journal. Meanwhile documents handed over before are still answered.
    async fn hand_over<T>(
        &mut self,
        place: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Result<T, StoreError>, End> {
        let mut place = pin!(place);
        loop {
            // Both branches are cancellation-safe: waiting goes on with the same future, an outcome is taken by finishing.
            tokio::select! {
                biased;
                handed = place.as_mut() => return Ok(handed),
                outcome = next_outcome(self.in_flight.front_mut()) => self.settle_front(outcome),
            }
            self.settle_ready();
            self.flush().await?;
        }
    }

    /// Settles everything at the front that the store has finished: usually a whole batch.
    fn settle_ready(&mut self) {
        while let Some(outcome) = self.in_flight.front_mut().and_then(take_outcome) {
            self.settle_front(outcome);
        }
    }

    fn settle_front(&mut self, outcome: Outcome) {
        let Some(InFlight { id, work }) = self.in_flight.pop_front() else { return };
        self.intake.metrics.in_flight_ended();
        let answer = match (work, outcome) {
            (Work::Append { admitted, .. }, Outcome::Append(outcome)) => {
                self.intake.answer(admitted, outcome)
            }
            (Work::Quarantine { refusal, afterwards, .. }, Outcome::Quarantine(outcome)) => {
                self.intake.quarantined(refusal, outcome);
                unanswered(afterwards)
            }
            // An outcome is made from the work it belongs to (`next_outcome`, `take_outcome`).
            _ => Answer::Close,
        };
        self.dialogue.answer(id, answer);
    }

    /// The connection is gone, but what it handed over is still counted and logged.
    async fn settle_rest(&mut self) {
        while !self.in_flight.is_empty() {
            let outcome = next_outcome(self.in_flight.front_mut()).await;
            self.settle_front(outcome);
        }
    }

    /// Writes every reply that is ready, header and body of all of them in one call where the socket takes it.
    async fn flush(&mut self) -> Result<(), End> {
        self.out.clear();
        let began = clock::monotonic_now();
        if self.dialogue.poll_transmit(&mut self.out, began) == 0 {
            return Ok(());
        }
        let written = match write_now(self.stream, &self.out) {
            Ok(count) if count == self.out.len() => Ok(()),
            Ok(count) => {
                let rest = self.out.get(count..).unwrap_or_default();
                match timeout(self.write_timeout, write_rest(self.stream, rest)).await {
                    Ok(written) => written,
                    Err(_) => {
                        self.intake.metrics.timed_out(TimedOut::Write);
                        return Err(End::WriteTimeout);
                    }
                }
            }
            Err(error) => Err(error),
        };
        metrics::record(&self.intake.metrics.stage_write, began.elapsed());
        written.map_err(End::Broken)
    }

    /// Sets the timer to the dialogue's next time-out. A timer that rings too early only asks again, so it is left
    /// alone while time-outs move away, which they do with every byte.
    fn arm(&self, timer: Pin<&mut Sleep>) {
        if let Some(deadline) = self.dialogue.next_timeout()
            && deadline < timer.deadline().into_std()
        {
            timer.reset(deadline.into());
        }
    }

    fn on_timer(&mut self, timer: Pin<&mut Sleep>) {
        if let Some(kind) = self.dialogue.handle_timeout(clock::monotonic_now()) {
            self.intake.metrics.timed_out(match kind {
                TimeoutKind::Idle => TimedOut::Idle,
                TimeoutKind::UnfinishedMessage => TimedOut::Message,
            });
            debug!(?kind, "time-out");
        }
        timer.reset(self.dialogue.next_timeout().unwrap_or_else(far_future).into());
    }

    /// Writes the first ФН of the connection into its span. A register has one; a peer that names many must not make
    /// the span grow with each (a field recorded again is added, not replaced). Documents carry their own.
    fn note_fn_number(&mut self, fn_number: Option<FnNumber>) {
        if self.fn_number.is_none()
            && let Some(first) = fn_number
        {
            self.span.record("fn_number", first.as_str());
            self.fn_number = Some(first);
        }
    }
}

impl Drop for Connection<'_> {
    /// A task that is dropped in the middle leaves nothing in the gauge.
    fn drop(&mut self) {
        for _ in &self.in_flight {
            self.intake.metrics.in_flight_ended();
        }
    }
}

fn unanswered(afterwards: Afterwards) -> Answer {
    match afterwards {
        Afterwards::Continue => Answer::Nothing,
        Afterwards::Close => Answer::Close,
    }
}

/// Waits for the store's word on the oldest document; for ever if there is none. Cancellation-safe.
async fn next_outcome(front: Option<&mut InFlight>) -> Outcome {
    match front.map(|front| &mut front.work) {
        Some(Work::Append { outcome, .. }) => Outcome::Append(outcome.await),
        Some(Work::Quarantine { outcome, .. }) => Outcome::Quarantine(outcome.await),
        None => pending().await,
    }
}

/// The store's word on a document, if it is there already.
fn take_outcome(front: &mut InFlight) -> Option<Outcome> {
    match &mut front.work {
        Work::Append { outcome, .. } => outcome.try_take().map(Outcome::Append),
        Work::Quarantine { outcome, .. } => outcome.try_take().map(Outcome::Quarantine),
    }
}

fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

async fn write_rest(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        let count = write_now(stream, bytes)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Says that no more replies come, then takes what the register still sends, for a short while.
async fn close_gently(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    // Whatever ends the waiting, the connection is closed after it.
    let _ = timeout(LINGER, throw_away(&stream)).await;
}

async fn throw_away(stream: &TcpStream) -> io::Result<()> {
    let mut left = LINGER_MAX_BYTES;
    while left > 0 {
        stream.readable().await?;
        match READ_BUFFER.with_borrow_mut(|buffer| stream.try_read(buffer)) {
            Ok(0) => return Ok(()),
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A deadline that never comes.
fn far_future() -> Instant {
    clock::monotonic_now() + Duration::from_secs(365 * 24 * 3600)
}

#[cfg(test)]
mod tests;
