//! From streams to what was said: session messages of registers, and the operator's answers beside them.
//!
//! A stream is cut by the session headers alone, as the wire demands. Which end is the register is known from
//! who opened the connection, else from the containers themselves: `A5` comes from a storage, `5A` goes to it.

use std::net::SocketAddr;
use std::time::Duration;

use ffd::{FdNumber, FnNumber};
use kkt_proto::container::{Container, ContainerKind};
use kkt_proto::header::{HEADER_LEN, Header, Signature};

use super::CaptureCounts;
use super::reassembly::{StreamSink, TcpFlow};

/// Where the body size stands in a session header, u16 little-endian.
const AT_BODY_LEN: usize = 24;
/// First byte of the two S-protocol versions; with the signature it tells a header inside a stream.
const S_VERSION_FIRST: [u8; 2] = [0x81, 0x82];
/// Signature and the first byte of the S-version.
const SIGHT_LEN: usize = 5;

/// A whole session message as captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedMessage {
    /// When its last byte was captured, since 1970-01-01 UTC.
    pub at: Duration,
    /// Its session header.
    pub header: Header,
    /// Header and body as they travelled.
    pub bytes: Vec<u8>,
}

/// A message of a register and the operator's answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What the register sent.
    pub message: CapturedMessage,
    /// What the operator answered, when that was captured.
    pub answer: Option<CapturedMessage>,
}

/// One TCP connection of registers to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFlow {
    /// The register's end.
    pub register: SocketAddr,
    /// The operator's end.
    pub operator: SocketAddr,
    /// Moment of its first segment, since 1970-01-01 UTC.
    pub began: Duration,
    /// What was said, in order.
    pub exchanges: Vec<Exchange>,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A header without a body.
    Probe,
    /// A document of a storage, or the answer to it.
    Document(ContainerKind, FnNumber, FdNumber),
    /// A container that is damaged.
    Unreadable,
}

impl CapturedMessage {
    /// The container, or nothing for a probe.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    pub(super) fn subject(&self) -> Subject {
        if self.header.body_len == 0 {
            return Subject::Probe;
        }
        match Container::decode(self.body()) {
            Ok(Container { header, .. }) => {
                Subject::Document(header.kind, header.fn_number, header.fd_number)
            }
            Err(_) => Subject::Unreadable,
        }
    }
}

/// How a stream is read at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    /// The capture begins inside the connection: the next thing that looks like a header is one.
    #[default]
    Seeking,
    /// The next byte begins a message.
    Aligned,
    /// Another protocol.
    Foreign,
}

/// Cuts one direction into messages.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    reading: Reading,
    buffer: Vec<u8>,
    messages: Vec<CapturedMessage>,
    /// Messages of the marking service.
    sister: u64,
    /// Messages whose header the protocol forbids.
    malformed: u64,
    /// Bytes that belong to no message.
    stray_bytes: u64,
}

impl StreamSink for Cutter {
    fn begins(&mut self) {
        self.reading = Reading::Aligned;
    }

    fn bytes(&mut self, at_ns: u64, bytes: &[u8]) -> usize {
        if self.reading == Reading::Foreign {
            self.stray(bytes.len());
            return 0;
        }
        self.buffer.extend_from_slice(bytes);
        let mut taken = 0;
        let mut kept = 0;
        loop {
            let rest = self.buffer.get(taken..).unwrap_or_default();
            match self.reading {
                Reading::Foreign => break,
                Reading::Seeking => {
                    let skip = sight(rest);
                    let found = rest.len() - skip >= SIGHT_LEN;
                    self.stray(skip);
                    taken += skip;
                    if !found {
                        break;
                    }
                    self.reading = Reading::Aligned;
                }
                Reading::Aligned => match whole(rest) {
                    Ok(None) => break,
                    Ok(Some(length)) => {
                        let message = rest.get(..length).unwrap_or_default().to_vec();
                        kept += self.take(at_ns, message);
                        taken += length;
                    }
                    Err(()) => {
                        self.reading = Reading::Foreign;
                        self.stray(self.buffer.len() - taken);
                        taken = self.buffer.len();
                    }
                },
            }
        }
        self.buffer.drain(..taken);
        kept
    }
}

impl Cutter {
    fn take(&mut self, at_ns: u64, bytes: Vec<u8>) -> usize {
        if bytes.starts_with(&Signature::OISM.0) {
            self.sister += 1;
            return 0;
        }
        let Some(Ok(header)) = bytes.first_chunk().map(Header::decode) else {
            self.malformed += 1;
            return 0;
        };
        let kept = bytes.len() + size_of::<CapturedMessage>();
        self.messages.push(CapturedMessage { at: Duration::from_nanos(at_ns), header, bytes });
        kept
    }

    fn stray(&mut self, count: usize) {
        self.stray_bytes += u64::try_from(count).unwrap_or(0);
    }

    /// Whether this looks like the register's direction; nothing when no message tells.
    fn is_register(&self) -> Option<bool> {
        self.messages.iter().find_map(|message| match message.subject() {
            Subject::Document(kind, ..) => Some(kind == ContainerKind::FROM_FN),
            Subject::Probe if message.header.flags.bits() == 0 => Some(false),
            Subject::Probe => Some(true),
            Subject::Unreadable => None,
        })
    }
}

/// How many bytes lie before the first thing that looks like a header; keeps what may be the beginning of one.
fn sight(bytes: &[u8]) -> usize {
    let is_header = |window: &[u8]| {
        window.split_last().is_some_and(|(version, signature)| {
            S_VERSION_FIRST.contains(version)
                && (signature == Signature::OFD.0 || signature == Signature::OISM.0)
        })
    };
    let found = bytes.windows(SIGHT_LEN).position(is_header);
    found.unwrap_or_else(|| bytes.len().saturating_sub(SIGHT_LEN - 1))
}

/// Length of the message at the front when all of it is there. Errors: no signature of a known service.
fn whole(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let Some(signature) = bytes.first_chunk::<4>() else { return Ok(None) };
    if !Signature(*signature).is_known() {
        return Err(());
    }
    let Some(&[low, high]) = bytes.get(AT_BODY_LEN..).and_then(|rest| rest.first_chunk::<2>()) else {
        return Ok(None);
    };
    let length = HEADER_LEN + usize::from(u16::from_le_bytes([low, high]));
    Ok((bytes.len() >= length).then_some(length))
}

/// The conversation of one connection; nothing when none of its bytes belong to the protocol.
pub(super) fn conversation(flow: TcpFlow<Cutter>, counts: &mut CaptureCounts) -> Option<CapturedFlow> {
    let TcpFlow { ends, opener, began_ns, sinks: [first, second], .. } = flow;
    for cutter in [&first, &second] {
        counts.sister += cutter.sister;
        counts.malformed += cutter.malformed;
        counts.stray_bytes += cutter.stray_bytes;
        // Messages that nobody captured the end of.
        counts.unfinished += u64::from(cutter.reading == Reading::Aligned && !cutter.buffer.is_empty());
    }
    if first.messages.is_empty() && second.messages.is_empty() {
        let ours = [&first, &second].iter().any(|cutter| cutter.sister + cutter.malformed > 0);
        counts.foreign_flows += u64::from(!ours);
        return None;
    }
    let first_is_register = match opener {
        Some(opener) => opener == 0,
        None => first.is_register().or(second.is_register().map(|register| !register)).unwrap_or(true),
    };
    let [low, high] = ends;
    let (register, operator, said, answers) = if first_is_register {
        (low, high, first.messages, second.messages)
    } else {
        (high, low, second.messages, first.messages)
    };
    let exchanges = pair(said, answers, counts);
    let began = Duration::from_nanos(began_ns);
    (!exchanges.is_empty()).then_some(CapturedFlow { register, operator, began, exchanges })
}

/// Puts answers beside their messages. The operator answers in order, but a capture may lack some, so each
/// answer belongs to the first message after the last answered one that is about the same.
fn pair(
    messages: Vec<CapturedMessage>,
    answers: Vec<CapturedMessage>,
    counts: &mut CaptureCounts,
) -> Vec<Exchange> {
    let mut exchanges = Vec::with_capacity(messages.len());
    for message in messages {
        match message.subject() {
            Subject::Probe => exchanges.push(Exchange { message, answer: None }),
            // Sent again, a damaged message would only make an operator close the connection.
            _ if message.header.check_crc(message.body()).is_err() => counts.damaged += 1,
            Subject::Document(ContainerKind::FROM_FN, fn_number, _)
                if fn_number == message.header.fn_number =>
            {
                exchanges.push(Exchange { message, answer: None });
            }
            _ => counts.damaged += 1,
        }
    }
    let mut next = 0;
    for answer in answers {
        let about = answer.subject();
        let rest = exchanges.get_mut(next..).unwrap_or_default();
        let found = rest.iter().position(|exchange| match (exchange.message.subject(), about) {
            (Subject::Probe, Subject::Probe) => true,
            (Subject::Document(_, fn_number, fd), Subject::Document(kind, answered_fn, answered_fd)) => {
                kind == ContainerKind::FROM_OFD && (fn_number, fd) == (answered_fn, answered_fd)
            }
            _ => false,
        });
        if let Some(found) = found
            && let Some(exchange) = rest.get_mut(found)
        {
            exchange.answer = Some(answer);
            next += found + 1;
        } else {
            counts.unmatched_answers += 1;
        }
    }
    exchanges
}

#[cfg(test)]
mod tests;
