//! TCP streams put together from captured segments: pure, no file and no clock.
//!
//! A capture is not the conversation itself: segments come twice, out of order, overlapping, or not at all.
//! The rules: a byte that came first wins over a later one with the same number; a direction with a hole that
//! nothing fills is cut there and counted; a capture that begins in the middle of a connection begins there.
//! Checksums are not looked at, because most captures are made where a network card has yet to fill them in.
//!
//! Memory: bytes that wait for a hole to be filled are bounded for each direction and over all, and so is the
//! number of connections ([`ReassemblyLimits`]).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::capture::Segment;

/// What a waiting piece costs beyond its bytes, so that many tiny ones are bounded too.
const PIECE_COST_BYTES: usize = 96;

/// Bounds of the memory of a [`Reassembler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReassemblyLimits {
    /// Bytes of one direction that may wait behind a hole.
    pub(super) waiting_bytes: usize,
    /// The same over all directions.
    pub(super) all_waiting_bytes: usize,
    /// Connections; segments of further ones are counted and left out.
    pub(super) flows: usize,
}

impl Default for ReassemblyLimits {
    /// 1 MiB behind a hole (more than any receive window of a register), 256 MiB of all, a million connections.
    fn default() -> Self {
        Self { waiting_bytes: 1 << 20, all_waiting_bytes: 256 << 20, flows: 1_000_000 }
    }
}

/// What became of the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReassemblyCounts {
    /// Segments whose bytes were there before, wholly or in part.
    pub(super) retransmissions: u64,
    /// Segments that came before one with smaller numbers.
    pub(super) out_of_order: u64,
    /// Directions cut at a hole.
    pub(super) gaps: u64,
    /// Connections that ended with a reset.
    pub(super) resets: u64,
    /// Segments of connections past the limit.
    pub(super) over_limit: u64,
}

/// Takes the bytes of one direction, in order.
pub(super) trait StreamSink: Default {
    /// The direction is known from its first byte (its SYN was captured).
    fn begins(&mut self);

    /// Further bytes, the last of which was captured at `at_ns`; returns how many bytes were kept for good.
    fn bytes(&mut self, at_ns: u64, bytes: &[u8]) -> usize;
}

/// One connection.
#[derive(Debug)]
pub(super) struct TcpFlow<S> {
    /// Its two ends: the smaller address first.
    pub(super) ends: [SocketAddr; 2],
    /// Which of them opened the connection, when its SYN was captured.
    pub(super) opener: Option<usize>,
    /// Moment of its first segment, nanoseconds since 1970-01-01.
    pub(super) began_ns: u64,
    /// What each end sent.
    pub(super) sinks: [S; 2],
    halves: [Half; 2],
    reset: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Half {
    /// Number of its SYN.
    syn: Option<u32>,
    /// Number of the next byte in order, once the first one is known.
    next: Option<u32>,
    /// Bytes in order so far.
    delivered: u64,
    /// Position behind its last byte, from its FIN.
    end: Option<u64>,
    /// Pieces behind a hole by position; they do not overlap.
    waiting: BTreeMap<u64, Piece>,
    waiting_bytes: usize,
    /// Moment of the newest byte in order.
    at_ns: u64,
    cut: bool,
}

#[derive(Debug)]
struct Piece {
    at_ns: u64,
    bytes: Vec<u8>,
}

/// Puts streams together.
#[derive(Debug)]
pub(super) struct Reassembler<S> {
    limits: ReassemblyLimits,
    flows: Vec<TcpFlow<S>>,
    /// The newest connection between two ends.
    newest: HashMap<[SocketAddr; 2], usize>,
    waiting_bytes: usize,
    kept_bytes: usize,
    counts: ReassemblyCounts,
}

impl<S: StreamSink> Reassembler<S> {
    pub(super) fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            flows: Vec::new(),
            newest: HashMap::new(),
            waiting_bytes: 0,
            kept_bytes: 0,
            counts: ReassemblyCounts::default(),
        }
    }

    /// Bytes that the sinks said they kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Takes the next segment.
    pub(super) fn push(&mut self, segment: &Segment<'_>) {
        let side = usize::from(segment.from > segment.to);
        let ends = if side == 0 { [segment.from, segment.to] } else { [segment.to, segment.from] };
        let Some(index) = self.flow_of(ends, side, segment) else {
            self.counts.over_limit += 1;
            return;
        };
        let Some(flow) = self.flows.get_mut(index) else { return };
        if flow.reset {
            return;
        }
        if segment.syn {
            flow.opener.get_or_insert(if segment.ack { 1 - side } else { side });
        }
        let (Some(half), Some(sink)) = (flow.halves.get_mut(side), flow.sinks.get_mut(side)) else { return };
        let waited = half.waiting_bytes;
        let room = self.limits.all_waiting_bytes.saturating_sub(self.waiting_bytes - waited);
        let room = room.min(self.limits.waiting_bytes);
        self.kept_bytes += half.take(segment, sink, room, &mut self.counts);
        self.waiting_bytes = self.waiting_bytes - waited + half.waiting_bytes;
        // A reset that is older than what was seen belongs to an earlier connection of the same ports.
        if segment.rst && !half.is_before(segment.sequence) {
            flow.reset = true;
            self.counts.resets += 1;
        }
    }

    /// Ends the reading: what still waits behind a hole is a gap.
    pub(super) fn finish(mut self) -> (Vec<TcpFlow<S>>, ReassemblyCounts) {
        for half in self.flows.iter_mut().flat_map(|flow| &mut flow.halves) {
            let short = half.end.is_some_and(|end| end > half.delivered);
            if !half.cut && (short || !half.waiting.is_empty()) {
                half.cut(&mut self.counts);
            }
        }
        (self.flows, self.counts)
    }

    /// The connection a segment belongs to, a new one if need be; nothing past the limit.
    fn flow_of(&mut self, ends: [SocketAddr; 2], side: usize, segment: &Segment<'_>) -> Option<usize> {
        if let Some(index) = self.newest.get(&ends)
            && let Some(flow) = self.flows.get(*index)
            && !flow.halves.get(side).is_some_and(|half| half.begins_anew(segment))
        {
            return Some(*index);
        }
        if self.flows.len() >= self.limits.flows {
            return None;
        }
        let index = self.flows.len();
        self.flows.push(TcpFlow {
            ends,
            opener: None,
            began_ns: segment.at_ns,
            sinks: [S::default(), S::default()],
            halves: [Half::default(), Half::default()],
            reset: false,
        });
        self.newest.insert(ends, index);
        Some(index)
    }
}

impl Half {
    /// Whether the segment opens another connection between the same ports.
    fn begins_anew(&self, segment: &Segment<'_>) -> bool {
        segment.syn
            && !segment.ack
            && match self.syn {
                Some(syn) => syn != segment.sequence,
                None => self.next.is_some(),
            }
    }

    /// Whether a number lies before the next byte in order.
    fn is_before(&self, sequence: u32) -> bool {
        self.next.is_some_and(|next| sequence.wrapping_sub(next).cast_signed() < 0)
    }

    /// Takes a segment of this direction; `room` is what may wait. Returns what the sink kept.
    fn take(
        &mut self,
        segment: &Segment<'_>,
        sink: &mut impl StreamSink,
        room: usize,
        counts: &mut ReassemblyCounts,
    ) -> usize {
        if self.cut {
            return 0;
        }
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        if segment.syn && self.next.is_none() {
            self.syn = Some(segment.sequence);
            self.next = Some(first);
            sink.begins();
        }
        if segment.payload.is_empty() && !segment.fin {
            return 0;
        }
        let next = *self.next.get_or_insert(first);
        let distance = i64::from(first.wrapping_sub(next).cast_signed());
        let (skip, from) = match u64::try_from(distance) {
            Ok(ahead) => (0, self.delivered + ahead),
            Err(_) => (usize::try_from(distance.unsigned_abs()).unwrap_or(usize::MAX), self.delivered),
        };
        if segment.fin
            && let Some(rest) = segment.payload.len().checked_sub(skip)
        {
            self.end.get_or_insert(from + u64::try_from(rest).unwrap_or(0));
        }
        let bytes = segment.payload.get(skip..).unwrap_or_default();
        counts.retransmissions += u64::from(skip > 0 && !segment.payload.is_empty());
        if bytes.is_empty() {
            return 0;
        }
        if from == self.delivered && self.waiting.is_empty() {
            return self.deliver(segment.at_ns, bytes, sink);
        }
        counts.out_of_order += u64::from(from > self.delivered);
        counts.retransmissions += u64::from(self.wait(from, segment.at_ns, bytes));
        let kept = self.release(sink);
        if self.waiting_bytes > room {
            self.cut(counts);
        }
        kept
    }

    /// Puts those bytes aside that are not there yet; says whether some were.
    fn wait(&mut self, from: u64, at_ns: u64, bytes: &[u8]) -> bool {
        let end = from + u64::try_from(bytes.len()).unwrap_or(0);
        let there: Vec<(u64, u64)> = self
            .waiting
            .range(..end)
            .rev()
            .map(|(start, piece)| (*start, *start + u64::try_from(piece.bytes.len()).unwrap_or(0)))
            .take_while(|(_, stop)| *stop > from)
            .collect();
        let mut at = from;
        for (start, stop) in there.iter().rev().copied().chain([(end, end)]) {
            let hole = |position: u64| usize::try_from(position - from).unwrap_or(usize::MAX);
            if start > at
                && let Some(piece) = bytes.get(hole(at)..hole(start))
            {
                self.waiting_bytes += piece.len() + PIECE_COST_BYTES;
                self.waiting.insert(at, Piece { at_ns, bytes: piece.to_vec() });
            }
            at = at.max(stop);
        }
        !there.is_empty()
    }

    /// Hands over what has come into order.
    fn release(&mut self, sink: &mut impl StreamSink) -> usize {
        let mut kept = 0;
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() == self.delivered
        {
            let piece = entry.remove();
            self.waiting_bytes -= piece.bytes.len() + PIECE_COST_BYTES;
            kept += self.deliver(piece.at_ns, &piece.bytes, sink);
        }
        kept
    }

    fn deliver(&mut self, at_ns: u64, bytes: &[u8], sink: &mut impl StreamSink) -> usize {
        // Bytes in order are there when the last of them came, whatever was captured first.
        self.at_ns = self.at_ns.max(at_ns);
        self.delivered += u64::try_from(bytes.len()).unwrap_or(0);
        // Positions are counted modulo 2^32 on the wire.
        let low = u32::try_from(bytes.len() & 0xFFFF_FFFF).unwrap_or(0);
        self.next = self.next.map(|next| next.wrapping_add(low));
        sink.bytes(self.at_ns, bytes)
    }

    fn cut(&mut self, counts: &mut ReassemblyCounts) {
        self.cut = true;
        self.waiting.clear();
        self.waiting_bytes = 0;
        counts.gaps += 1;
    }
}

#[cfg(test)]
mod tests;
