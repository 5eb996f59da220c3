//! The register's end of the dialogue, as simulators and tests need it: documents in, bytes out;
//! bytes in, replies out, with the checks that registers make. No sockets and no clock.
//!
//! It leaves out what the fiscal storage does with a reply and when a document is repeated: that is the
//! register's own business. A reply belongs to the oldest request that waits, as the operator answers in
//! order; behind a silence no later reply can be told apart from a late one, so a register that gets
//! none begins anew on a new connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ffd::ids::FnNumber;

use crate::error::{Flaw, Malformed, TooLong};
use crate::frame::FrameReader;
use crate::header::{AT_FN_NUMBER, CrcMode, Header, PVersion, Service, Signature};

/// Patience and limits of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// From a request to the last byte of its reply.
    pub answer_timeout: Duration,
    /// Largest body of a reply, in bytes.
    pub max_body_bytes: usize,
}

impl Default for ClientLimits {
    /// 5 minutes, the figure a register's maker gives for the whole exchange; 1024 bytes, which is what
    /// an ФН takes in one command.
    fn default() -> Self {
        Self { answer_timeout: Duration::from_secs(300), max_body_bytes: 1024 }
    }
}

/// A message from the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Session header of the reply.
    pub header: Header,
    /// The container for the ФН; empty in the answer to a probe.
    pub body: Vec<u8>,
}

/// The dialogue of one connection.
#[derive(Debug)]
pub struct ClientDialogue {
    service: Service,
    fn_number: FnNumber,
    limits: ClientLimits,
    reader: FrameReader,
    /// When each request that waits for a reply was made, oldest first.
    waiting: VecDeque<Instant>,
    replies: VecDeque<Reply>,
    failed: bool,
}

impl ClientDialogue {
    /// A connection of the register whose fiscal storage has this number.
    #[must_use]
    pub fn new(fn_number: FnNumber, limits: ClientLimits) -> Self {
        Self::of(Service::Documents, fn_number, limits)
    }

    /// The same towards another service.
    #[must_use]
    pub fn of(service: Service, fn_number: FnNumber, limits: ClientLimits) -> Self {
        Self {
            service,
            fn_number,
            limits,
            reader: FrameReader::new(service, limits.max_body_bytes),
            waiting: VecDeque::new(),
            replies: VecDeque::new(),
            failed: false,
        }
    }

    /// The bytes of a message with `container`, flags 0x0014 and the mode, to be written at `now`. May
    /// be called again before the reply is there. Errors: a container longer than the size field can say.
    pub fn send(
        &mut self,
        container: &[u8],
        mode: CrcMode,
        p_version: PVersion,
        now: Instant,
    ) -> Result<Vec<u8>, TooLong> {
        let header = Header::for_message(self.fn_number, p_version, mode, container)?;
        self.waiting.push_back(now);
        Ok([header.encode().as_slice(), container].concat())
    }

    /// The bytes of a message of this service that somebody else composed, to be written at `now` as they came.
    pub fn relay(&mut self, header: &Header, body: &[u8], now: Instant) -> Vec<u8> {
        self.waiting.push_back(now);
        [header.encode().as_slice(), body].concat()
    }

    /// The bytes of a probe, to be written at `now`.
    pub fn probe(&mut self, mode: CrcMode, p_version: PVersion, now: Instant) -> Vec<u8> {
        self.waiting.push_back(now);
        Header::probe(self.fn_number, p_version, mode).encode().to_vec()
    }

    /// Takes what one read gave and returns the next whole reply, if there is one; more of them by
    /// [`Self::poll_reply`].
    ///
    /// Errors, after which the connection is of no use: a header the protocol forbids, a body above the
    /// limit, another service than the one asked, another ФН, a wrong check code, a reply to no request.
    /// Whole replies before the flaw are still given by [`Self::poll_reply`].
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        let mut rest = bytes;
        while !self.failed && !rest.is_empty() {
            match self.next_reply(&mut rest) {
                Ok(Some(reply)) => self.replies.push_back(reply),
                Ok(None) => break,
                Err(malformed) => {
                    self.failed = true;
                    return Err(malformed);
                }
            }
        }
        Ok(self.poll_reply())
    }

    /// A reply that came together with an earlier one.
    pub fn poll_reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    /// Requests whose replies have not come.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a reply has begun and is not complete.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.reader.is_mid_message()
    }

    /// When patience with the oldest request ends.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.front()?.checked_add(self.limits.answer_timeout)
    }

    /// Whether the oldest request has waited too long at `now`: close, connect anew and repeat.
    #[must_use]
    pub fn is_timed_out(&self, now: Instant) -> bool {
        self.next_timeout().is_some_and(|deadline| now >= deadline)
    }

    fn next_reply(&mut self, rest: &mut &[u8]) -> Result<Option<Reply>, Malformed> {
        let Some(frame) = self.reader.push(rest)? else { return Ok(None) };
        let header = frame.header;
        let asked = match self.service {
            Service::Documents => Signature::OFD,
            Service::Marking => Signature::OISM,
        };
        if header.signature != asked {
            return Err(Malformed::bytes(Flaw::Signature, 0, &header.signature.0));
        }
        if header.fn_number != self.fn_number {
            return Err(Malformed::bytes(Flaw::ForeignReply, AT_FN_NUMBER, &header.fn_number.padded()));
        }
        if self.waiting.pop_front().is_none() {
            return Err(Malformed::number(Flaw::UnexpectedReply, 0, header.body_len));
        }
        Ok(Some(Reply { header, body: frame.body }))
    }
}
