//! The operator's end of the dialogue: bytes of one connection in, documents out; answers in, bytes out
//! in the order of the requests. No sockets and no clock: the caller brings bytes and the moment.
//!
//! How a connection drives it, at every wake-up:
//!
//! 1. bytes read from the socket go to [`ServerDialogue::receive`], the end of the stream to
//!    [`ServerDialogue::peer_closed`], an answer that became ready to [`ServerDialogue::answer`], a passed
//!    deadline to [`ServerDialogue::handle_timeout`];
//! 2. [`ServerDialogue::poll_event`] until `None`: each document gets an answer some time later;
//! 3. [`ServerDialogue::poll_transmit`]: what it appends is to be written before anything else;
//! 4. when [`ServerDialogue::is_finished`], close; else wait for the next of: bytes, if
//!    [`ServerDialogue::wants_read`]; an answer; the moment [`ServerDialogue::next_timeout`].
//!
//! What the answer is, is decided elsewhere. Time-outs of writing are the caller's.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use ffd::ids::FnNumber;

use crate::error::Malformed;
use crate::frame::{Frame, FrameReader};
use crate::header::{Header, Service};

/// What one connection may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Largest body, in bytes; above it the header is refused before anything is reserved.
    pub max_body_bytes: usize,
    /// Messages whose answers have not left, above which nothing more is read.
    pub max_in_flight: usize,
    /// From the first byte of a message to its last, however steadily it trickles.
    pub message_timeout: Duration,
    /// From the last whole message or the last answer, whichever is later, to the next first byte.
    pub idle_timeout: Duration,
}

impl Default for ServerLimits {
    /// 33 KiB, 64 messages, 30 seconds, 5 minutes.
    fn default() -> Self {
        Self {
            max_body_bytes: 33 * 1024,
            max_in_flight: 64,
            message_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60),
        }
    }
}

/// Names a message within its connection, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the register sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message with a container; its check code, if any, is right. Wants exactly one
    /// [`ServerDialogue::answer`], even when the client expects none.
    Message {
        /// For the answer.
        id: MessageId,
        /// The session header; its reserved bits may be worth a line in the log.
        header: Header,
        /// The container, not looked into.
        body: Vec<u8>,
    },
    /// A message without a body, already answered here. To be counted and no more.
    Probe {
        /// Its place in the order.
        id: MessageId,
    },
}

/// The outcome for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This container (the acknowledgement) goes back under a header made from the request's. Dropped
    /// silently when the client said it expects no answer.
    Reply(Vec<u8>),
    /// This whole message, header and body as another service gave them, goes back unchanged. Dropped silently
    /// when the client said it expects no answer.
    Relayed(Vec<u8>),
    /// Nothing goes back; the connection and later answers go on.
    Nothing,
    /// Nothing goes back; earlier answers still leave, later ones never, then the connection is over.
    Close,
}

/// Which limit of time was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutKind {
    /// Nothing begun, nothing owed, nothing came.
    Idle,
    /// A message was begun and not finished.
    UnfinishedMessage,
}

/// The dialogue of one connection.
#[derive(Debug)]
pub struct ServerDialogue {
    limits: ServerLimits,
    reader: FrameReader,
    events: VecDeque<Event>,
    /// Messages whose answers have not left, oldest first; identifiers run on without gaps.
    in_flight: VecDeque<Slot>,
    /// Identifier of the front of `in_flight`.
    first_id: u64,
    /// Nothing more is read: the peer ended its side, sent damage, ran out of time or was shown out.
    closing: bool,
    /// First byte of the unfinished message, or when reading was resumed in the middle of it.
    message_begun: Option<Instant>,
    /// Last whole message, last answer, or the beginning.
    idle_since: Instant,
}

/// A place in the order of answers.
#[derive(Debug)]
enum Slot {
    Waiting {
        header: Header,
    },
    Ready {
        header: Header,
        container: Vec<u8>,
    },
    Relayed(Vec<u8>),
    Silent,
    /// Always the last one: everything after it is dropped.
    Close,
}

impl ServerDialogue {
    /// A connection accepted at `now` at the port for documents.
    #[must_use]
    pub fn new(limits: ServerLimits, now: Instant) -> Self {
        Self::of(Service::Documents, limits, now)
    }

    /// The same at the port of another service.
    #[must_use]
    pub fn of(service: Service, limits: ServerLimits, now: Instant) -> Self {
        Self {
            limits,
            reader: FrameReader::new(service, limits.max_body_bytes),
            events: VecDeque::new(),
            in_flight: VecDeque::new(),
            first_id: 0,
            closing: false,
            message_begun: None,
            idle_since: now,
        }
    }

    /// Takes what one read gave. All of it is looked at, also past `max_in_flight`: what can be in
    /// flight is bounded by that limit and one read together, as long as [`Self::wants_read`] is obeyed.
    /// Bytes after the end of the dialogue are ignored.
    ///
    /// Errors: damage or a forbidden message. Nothing more is read then; messages before the damage
    /// remain as events, and their answers may still leave.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), Malformed> {
        let mut rest = bytes;
        while !self.closing && !rest.is_empty() {
            match self.reader.push(&mut rest) {
                Ok(Some(frame)) => self.arrived(frame, now),
                Ok(None) => {
                    self.message_begun.get_or_insert(now);
                }
                Err(malformed) => {
                    self.stop_reading();
                    return Err(malformed);
                }
            }
        }
        Ok(())
    }

    /// [`Self::receive`] for a connection that is to end: the message that has begun is still taken, and nothing after
    /// it. Byte by byte, since only the reader knows where a message ends; it happens once in the life of a connection.
    pub fn receive_last(&mut self, bytes: &[u8], now: Instant) -> Result<(), Malformed> {
        for byte in bytes {
            self.receive(std::slice::from_ref(byte), now)?;
            if !self.is_mid_message() {
                self.peer_closed();
                break;
            }
        }
        Ok(())
    }

    /// What the register sent next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether the socket is to be read: not with [`ServerLimits::max_in_flight`] answers owed (the
    /// register is held back by its own full socket), not after the end.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        !self.closing && !self.is_full()
    }

    /// The outcome for message `id`. The first answer counts; one to a probe, to an unknown message or
    /// to one after [`Answer::Close`] is ignored. Call [`Self::poll_transmit`] afterwards, whatever the answer.
    pub fn answer(&mut self, id: MessageId, answer: Answer) {
        let Some(position) = self.position(id) else { return };
        let Some(slot) = self.in_flight.get_mut(position) else { return };
        let Slot::Waiting { header: request } = slot else { return };
        *slot = match answer {
            Answer::Reply(_) | Answer::Relayed(_) if !request.flags.expects_answer() => Slot::Silent,
            Answer::Relayed(message) => Slot::Relayed(message),
            Answer::Reply(container) => match request.reply_header(&container) {
                Ok(header) => Slot::Ready { header, container },
                Err(_) => Slot::Close, // cannot be said in this protocol: leave it to a repeat
            },
            Answer::Nothing => Slot::Silent,
            Answer::Close => Slot::Close,
        };
        if matches!(slot, Slot::Close) {
            self.in_flight.truncate(position + 1);
            self.events.clear();
            self.stop_reading();
        }
    }

    /// Whether [`Self::poll_transmit`] has anything to do: without an outcome that waits for its turn to leave it changes
    /// nothing, and need not be told the moment.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        self.in_flight.front().is_some_and(|slot| !matches!(slot, Slot::Waiting { .. }))
    }

    /// Appends to `out` every reply that is ready and not behind an open question, header and body
    /// adjacent; gives their number. They are to be written as they lie, in one write if possible:
    /// some registers take a reply from a single read.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Instant) -> usize {
        let was_full = self.is_full();
        let mut replies = 0;
        let mut settled = false;
        while let Some(slot) = self.in_flight.front() {
            match slot {
                Slot::Waiting { .. } => break,
                Slot::Ready { header, container } => {
                    out.extend_from_slice(&header.encode());
                    out.extend_from_slice(container);
                    replies += 1;
                }
                Slot::Relayed(message) => {
                    out.extend_from_slice(message);
                    replies += 1;
                }
                Slot::Silent | Slot::Close => {}
            }
            self.in_flight.pop_front();
            self.first_id += 1;
            settled = true;
        }
        if settled {
            self.idle_since = now;
        }
        if was_full && !self.is_full() && self.message_begun.is_some() {
            self.message_begun = Some(now); // it was we who kept the rest of it waiting
        }
        replies
    }

    /// When [`Self::handle_timeout`] is to be called next, if nothing else happens before. May lie in the
    /// past. `None`: there is nothing to wait for but answers.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadline().map(|(deadline, _)| deadline)
    }

    /// Ends the dialogue if a limit of time has passed at `now`, and says which; nothing more is read
    /// then, answers still owed may leave.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<TimeoutKind> {
        let (deadline, kind) = self.deadline()?;
        if now < deadline {
            return None;
        }
        self.stop_reading();
        Some(kind)
    }

    /// The peer has ended its side of the connection; answers still owed leave all the same. An
    /// unfinished message is forgotten (ask [`Self::is_mid_message`] before).
    pub fn peer_closed(&mut self) {
        self.stop_reading();
    }

    /// Messages and probes whose answers have not left.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a message has begun and is not complete.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.reader.is_mid_message()
    }

    /// Whether nothing more will be read, for whatever reason; answers may still be owed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether the connection can be closed: nothing more is read, no event waits, no answer is owed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.closing && self.in_flight.is_empty() && self.events.is_empty()
    }

    /// The ФН that the last readable header named, even if its message was refused afterwards.
    #[must_use]
    pub fn fn_number(&self) -> Option<FnNumber> {
        self.reader.fn_number()
    }

    fn arrived(&mut self, Frame { header, body }: Frame, now: Instant) {
        // The queue is cut short only when nothing more will arrive, so its length counts the identifiers.
        let id = MessageId(self.first_id + u64::try_from(self.in_flight.len()).unwrap_or_default());
        self.message_begun = None;
        self.idle_since = now;
        if header.is_probe() {
            // Answered whatever its capability bits say: a probe has no other use.
            self.in_flight.push_back(Slot::Ready { header: header.probe_reply(), container: Vec::new() });
            self.events.push_back(Event::Probe { id });
        } else {
            self.in_flight.push_back(Slot::Waiting { header });
            self.events.push_back(Event::Message { id, header, body });
        }
    }

    fn stop_reading(&mut self) {
        self.closing = true;
        self.message_begun = None;
        self.reader.reset();
    }

    fn is_full(&self) -> bool {
        self.in_flight.len() >= self.limits.max_in_flight.max(1)
    }

    /// The clock that runs now, if any: that of an unfinished message, unless we do not read; else that
    /// of idleness, unless answers are owed.
    fn deadline(&self) -> Option<(Instant, TimeoutKind)> {
        if !self.wants_read() {
            return None;
        }
        let (since, timeout, kind) = match self.message_begun {
            Some(begun) => (begun, self.limits.message_timeout, TimeoutKind::UnfinishedMessage),
            None if self.in_flight.is_empty() => {
                (self.idle_since, self.limits.idle_timeout, TimeoutKind::Idle)
            }
            None => return None,
        };
        since.checked_add(timeout).map(|deadline| (deadline, kind)) // past the end of time: never
    }

    /// Where `id` stands in `in_flight`.
    fn position(&self, id: MessageId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.first_id)?).ok()
    }
}
