//! One connection of a register: bytes between the socket and the dialogue, documents between the dialogue and the
//! journal. A message is looked at and handed to the journal without waiting for the one before; the journal keeps
//! the order, so what waits for it is a queue whose front finishes first. Answers that are ready leave in one write.
//!
//! Memory of a connection is bounded: the dialogue refuses large messages and stops asking for bytes at its limit of
//! documents in flight, and nothing is read while a reply cannot be written.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use ffd::FnNumber;
use kkt_proto::header::Header;
use kkt_proto::server::{Answer, Event, MessageId, ServerDialogue, ServerLimits, TimeoutKind};
use ofd_store::{AppendOutcome, PendingAppend, PendingQuarantine, QuarantineOutcome, StoreError};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::consume_budget;
use tokio::time::{Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Span, debug};

use crate::abuse::Penalty;
use crate::clock;
use crate::decision::{Afterwards, Refusal};
use crate::ingest::{Admitted, Evidence, Examined, Intake, Look};
use crate::limits::Place;
use crate::metrics::{self, TimedOut, reason};
use crate::socket::{End, read_now, write_within};

/// Room for the replies of one or two documents.
const REPLY_BYTES: usize = 512;

/// How long a document of an unknown ФН waits for what other nodes know. Past it the ФН is not known.
const FACTS_PATIENCE: Duration = Duration::from_millis(500);

/// Limits of a connection, the same for all.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) dialogue: ServerLimits,
    pub(crate) write_timeout: Duration,
}

/// Serves one connection until it ends. `place` hears when the connection is idle and may have to make room for others,
/// by way of `stop`. `span` has an empty field `fn_number`, filled when the ФН is known.
///
/// When `stop` is cancelled, a message that has begun is still read to its end and everything in flight is answered;
/// then the connection is closed. Dropping the future loses no document: what was handed to the journal stays there,
/// unanswered.
///
/// The result says how the caller is to close the socket. It is the caller's, as all of the arguments are: a future keeps
/// what it is given twice, and thousands of these lie idle.
pub(crate) async fn serve(
    stream: &TcpStream,
    peer: SocketAddr,
    intake: &Intake,
    settings: &ConnectionSettings,
    place: &Place,
    stop: &CancellationToken,
    span: &Span,
) -> Close {
    let mut connection = Connection {
        stream,
        peer: peer.to_string(),
        address: peer.ip(),
        place,
        answered_evicted: false,
        peer_ended: false,
        intake,
        dialogue: ServerDialogue::new(settings.dialogue, clock::monotonic_now()),
        write_timeout: settings.write_timeout,
        in_flight: VecDeque::new(),
        max_in_flight: settings.dialogue.max_in_flight,
        fn_number: None,
        stopping: false,
        span,
    };
    let end = connection.run(stop).await;
    connection.settle_rest().await;
    let (has_answers_under_way, peer_ended) = (connection.answered_evicted, connection.peer_ended);
    drop(connection);
    match end {
        // Its descriptor is needed, and nothing is lost with it: the last answer is old, and a message that has begun
        // is repeated. Unless the register has finished a message in the moment of the eviction.
        End::Finished if place.is_evicted() && !has_answers_under_way => {
            debug!("the connection makes room for another");
            Close::AtOnce
        }
        End::Finished => {
            debug!("connection ends");
            // Bytes that come after the socket is closed would take the last answers with them; here none can come.
            if peer_ended { Close::AtOnce } else { Close::Gently }
        }
        End::WriteTimeout => {
            debug!("connection dropped: the register does not take its replies");
            Close::AtOnce
        }
        End::Broken(error) => {
            debug!(%error, "connection broken");
            Close::AtOnce
        }
    }
}

/// How a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// With [`close_gently`](crate::socket::close_gently): the last answers may still be on their way.
    Gently,
    /// Nothing is owed, nobody takes it, or nothing can come that would take the last answers with it.
    AtOnce,
}

struct Connection<'a> {
    stream: &'a TcpStream,
    peer: String,
    address: IpAddr,
    place: &'a Place,
    /// Something was answered after the connection had to make room.
    answered_evicted: bool,
    /// The register ended its side: nothing of it can come any more.
    peer_ended: bool,
    intake: &'a Intake,
    dialogue: ServerDialogue,
    write_timeout: Duration,
    /// What the store works on, oldest first.
    in_flight: VecDeque<InFlight>,
    max_in_flight: usize,
    /// The ФН that was written into the span.
    fn_number: Option<FnNumber>,
    /// A stop was asked for: nothing is read past the message that has begun.
    stopping: bool,
    span: &'a Span,
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
        evidence: Evidence,
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
    async fn run(&mut self, stop: &CancellationToken) -> End {
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
            self.tell_stage();
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

    /// A message that has begun is still read to its end, as its register waits for the answer; but not on a connection
    /// that has to make room.
    fn begin_stop(&mut self) {
        self.stopping = true;
        if !self.dialogue.is_mid_message() || self.place.is_evicted() {
            self.dialogue.peer_closed();
        }
    }

    /// A connection on which nothing is owed may be closed to make room for another. Told before the connection waits
    /// for bytes of its register; where it waits for anything else, it was told to be busy.
    fn tell_stage(&self) {
        if !self.in_flight.is_empty() || self.dialogue.in_flight() > 0 {
            self.place.busy();
        } else if self.dialogue.is_mid_message() {
            self.place.begun(clock::monotonic_now());
        } else {
            self.place.idle(clock::monotonic_now());
        }
    }

    /// Takes what the socket has, at most one chunk.
    fn read(&mut self) -> io::Result<()> {
        read_now(
            self.stream,
            |bytes| if bytes.is_empty() { self.end_of_stream() } else { self.receive(bytes) },
        )
    }

    /// A register may end its side and still wait for replies.
    fn end_of_stream(&mut self) {
        if self.dialogue.is_mid_message() {
            self.intake.metrics.rejected(reason::CUT_OFF);
            debug!("the register left in the middle of a message");
        }
        self.peer_ended = true;
        self.dialogue.peer_closed();
    }

    fn receive(&mut self, bytes: &[u8]) {
        let now = clock::monotonic_now();
        let received = if self.stopping {
            self.dialogue.receive_last(bytes, now)
        } else {
            self.dialogue.receive(bytes, now)
        };
        if let Err(malformed) = received {
            self.note_fn_number(self.dialogue.fn_number());
            self.intake.reject(malformed.reason(), &malformed);
        }
    }

    /// Looks at every message that is complete, as far as the limit of documents in flight allows. Lets other
    /// connections run in between, however much this register sends.
    async fn take_messages(&mut self) -> Result<(), End> {
        while self.in_flight.len() < self.max_in_flight
            && let Some(event) = self.dialogue.poll_event()
        {
            if matches!(event, Event::Message { .. }) {
                self.place.busy();
            }
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
        if let Err(penalty) = intake.penalty(self.address, header.fn_number) {
            self.refused_unseen(id, penalty);
            return Ok(());
        }
        let mut examined = intake.examine(header, body, &self.peer, Look::First);
        if let Examined::FactsFirst(body) = examined {
            // Whether they came in time shows when they are asked.
            let renewed = Box::pin(timeout(FACTS_PATIENCE, intake.facts.renewed()));
            let _ = self.settling_until(renewed).await?;
            examined = intake.examine(header, body, &self.peer, Look::WithFacts);
        }
        if let Examined::HistoryFirst(body) = examined {
            let memory = self.settling_until(Box::pin(intake.registers.load(header.fn_number))).await?;
            examined = intake.examine(header, body, &self.peer, Look::WithHistory(memory));
        }
        let work = match examined {
            // A look with both needs neither.
            Examined::HistoryFirst(_) | Examined::FactsFirst(_) => {
                self.dialogue.answer(id, Answer::Nothing);
                return Ok(());
            }
            Examined::Unanswered(afterwards) => {
                self.dialogue.answer(id, unanswered(afterwards));
                return Ok(());
            }
            Examined::Journal(document, admitted) => {
                let handed = self.settling_until(Box::pin(intake.journal.append(document))).await?;
                handed.map(|outcome| Work::Append { outcome, admitted })
            }
            Examined::Quarantine(entry, evidence) => {
                if evidence.refusal == Refusal::SignInvalid {
                    intake.count_invalid(self.address, header.fn_number);
                }
                let Some(place) = intake.quarantine_place(&evidence) else {
                    self.dialogue.answer(id, unanswered(evidence.afterwards));
                    return Ok(());
                };
                let handed = self.settling_until(Box::pin(intake.journal.quarantine(entry))).await?;
                handed.map(|outcome| Work::Quarantine { outcome, evidence, _place: place })
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

    /// Refused without a look at its sign: to the sender it is the same as a look that found it wrong. A till that shares
    /// its address with its forger keeps its connection, and its turn comes soon.
    fn refused_unseen(&mut self, id: MessageId, penalty: Penalty) {
        self.intake.refuse_unseen(penalty);
        let answer = if penalty == Penalty::TrustedPair { Answer::Nothing } else { Answer::Close };
        self.dialogue.answer(id, answer);
    }

    /// Waits for a place in the queue of the journal, or for the history of an ФН. Meanwhile documents handed over
    /// before are still answered.
    ///
    /// What is waited for comes in a box: it would otherwise be a part of every connection, and most of them are idle.
    async fn settling_until<T>(
        &mut self,
        mut waited_for: Pin<Box<impl Future<Output = T>>>,
    ) -> Result<T, End> {
        loop {
            // Both branches are cancellation-safe: waiting goes on with the same future, an outcome is taken by finishing.
            tokio::select! {
                biased;
                output = waited_for.as_mut() => return Ok(output),
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
        if self.in_flight.is_empty() {
            self.in_flight = VecDeque::new();
        }
        self.intake.metrics.in_flight_ended();
        let answer = match (work, outcome) {
            (Work::Append { admitted, .. }, Outcome::Append(outcome)) => {
                if admitted.has_valid_sign() && matches!(outcome, Ok(AppendOutcome::Appended { .. })) {
                    self.intake.count_valid(self.address, admitted.fn_number());
                }
                self.intake.answer(admitted, outcome)
            }
            (Work::Quarantine { evidence, .. }, Outcome::Quarantine(outcome)) => {
                let known = self.intake.quarantined(&evidence, outcome);
                known.unwrap_or_else(|| unanswered(evidence.afterwards))
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
        if !self.dialogue.wants_transmit() {
            return Ok(());
        }
        // Not kept: an idle connection, as most are, holds nothing that it can do without.
        let mut out = Vec::with_capacity(REPLY_BYTES);
        let began = clock::monotonic_now();
        if self.dialogue.poll_transmit(&mut out, began) == 0 {
            return Ok(());
        }
        let written = write_within(self.stream, &out, self.write_timeout, || self.place.busy()).await;
        if matches!(written, Err(End::WriteTimeout)) {
            self.intake.metrics.timed_out(TimedOut::Write);
        } else {
            metrics::record(&self.intake.metrics.stage_write, began.elapsed());
        }
        self.answered_evicted |= self.place.is_evicted();
        written
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

/// A deadline that never comes.
pub(crate) fn far_future() -> Instant {
    clock::monotonic_now() + Duration::from_secs(365 * 24 * 3600)
}

#[cfg(test)]
mod tests;
