use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

/// Bytes with their moments.
#[derive(Debug, Default)]
struct Tape {
    whole: bool,
    bytes: Vec<u8>,
    moments: Vec<u64>,
}

impl StreamSink for Tape {
    fn begins(&mut self) {
        self.whole = true;
    }

    fn bytes(&mut self, at_ns: u64, bytes: &[u8]) -> usize {
        self.bytes.extend_from_slice(bytes);
        self.moments.push(at_ns);
        bytes.len()
    }
}

fn till() -> SocketAddr {
    "10.0.0.5:40001".parse().unwrap()
}

fn operator() -> SocketAddr {
    "10.0.0.9:7777".parse().unwrap()
}

fn segment(sequence: u32, payload: &[u8]) -> Segment<'_> {
    Segment {
        at_ns: 0,
        from: till(),
        to: operator(),
        sequence,
        syn: false,
        ack: true,
        fin: false,
        rst: false,
        payload,
    }
}

fn syn(sequence: u32) -> Segment<'static> {
    Segment { syn: true, ack: false, ..segment(sequence, b"") }
}

fn small() -> ReassemblyLimits {
    ReassemblyLimits { waiting_bytes: 1000, all_waiting_bytes: 1500, flows: 3 }
}

fn put_together(segments: &[Segment<'_>]) -> (Vec<TcpFlow<Tape>>, ReassemblyCounts) {
    let mut reassembler = Reassembler::new(small());
    for (index, segment) in segments.iter().enumerate() {
        reassembler.push(&Segment { at_ns: u64::try_from(index).unwrap(), ..*segment });
    }
    reassembler.finish()
}

/// The till's direction of a single connection, as text, and the counts.
fn check(segments: &[Segment<'_>], text: &str, expected: ReassemblyCounts) {
    let (flows, counts) = put_together(segments);
    assert_eq!(flows.len(), 1, "{text}");
    let sink = &flows[0].sinks[0];
    assert_eq!(String::from_utf8_lossy(&sink.bytes), text);
    assert_eq!(counts, expected, "{text}");
}

fn counts(retransmissions: u64, out_of_order: u64, gaps: u64) -> ReassemblyCounts {
    ReassemblyCounts { retransmissions, out_of_order, gaps, ..ReassemblyCounts::default() }
}

#[test]
fn segments_become_streams() {
    check(&[syn(9), segment(10, b"abc"), segment(13, b"def")], "abcdef", counts(0, 0, 0));
    // The SYN may carry bytes.
    check(&[Segment { payload: b"ab", ..syn(9) }, segment(12, b"c")], "abc", counts(0, 0, 0));
    // Twice the same; a retransmission that carries more.
    check(&[syn(9), segment(10, b"abc"), segment(10, b"abc"), segment(13, b"d")], "abcd", counts(1, 0, 0));
    check(&[syn(9), segment(10, b"abc"), segment(11, b"XXdef")], "abcdef", counts(1, 0, 0));
    check(&[syn(9), syn(9), segment(10, b"abc")], "abc", counts(0, 0, 0));
    // Out of order, in every order of three.
    check(&[syn(9), segment(13, b"def"), segment(10, b"abc")], "abcdef", counts(0, 1, 0));
    check(
        &[syn(9), segment(16, b"ghi"), segment(13, b"def"), segment(10, b"abc")],
        "abcdefghi",
        counts(0, 2, 0),
    );
    // A keep-alive repeats the last byte.
    check(&[syn(9), segment(10, b"abc"), segment(12, b"\0"), segment(13, b"d")], "abcd", counts(1, 0, 0));
}

#[test]
fn the_byte_that_came_first_wins() {
    // Against bytes in order, against waiting ones, on both sides of a waiting piece and around it.
    check(&[syn(9), segment(10, b"abc"), segment(10, b"ABCd")], "abcd", counts(1, 0, 0));
    let wait = segment(13, b"def");
    check(&[syn(9), wait, segment(10, b"abcD")], "abcdef", counts(1, 1, 0));
    check(&[syn(9), wait, segment(14, b"EFgh"), segment(10, b"abc")], "abcdefgh", counts(1, 2, 0));
    check(&[syn(9), wait, segment(10, b"abcDEFghi")], "abcdefghi", counts(1, 1, 0));
    check(
        &[syn(9), wait, segment(17, b"hi"), segment(12, b"cDEFgH"), segment(10, b"ab")],
        "abcdefghi",
        counts(1, 3, 0),
    );
}

#[test]
fn numbers_wrap_around() {
    let first = u32::MAX - 2;
    let whole = [
        syn(first - 1),
        segment(first, b"abcdef"),
        segment(3, b"ghi"),
        segment(first, b"ABC"),
        segment(9, b"mno"),
        segment(6, b"jkl"),
    ];
    check(&whole, "abcdefghijklmno", counts(1, 1, 0));
    // The SYN itself is the last number.
    check(&[syn(u32::MAX), segment(0, b"abc")], "abc", counts(0, 0, 0));
}

#[test]
fn a_capture_may_begin_inside_a_connection() {
    check(&[segment(500, b"abc"), segment(503, b"def")], "abcdef", counts(0, 0, 0));
    let (flows, _) = put_together(&[segment(500, b"abc")]);
    assert!(!flows[0].sinks[0].whole && flows[0].opener.is_none());
    let (flows, _) = put_together(&[syn(499), segment(500, b"abc")]);
    assert!(flows[0].sinks[0].whole);
    assert_eq!(flows[0].opener, Some(0));
    // The answer to a SYN tells too.
    let answer = Segment { syn: true, from: operator(), to: till(), ..segment(7, b"") };
    assert_eq!(put_together(&[answer]).0[0].opener, Some(0));
}

#[test]
fn a_hole_cuts_the_direction_and_only_that() {
    let back = Segment { from: operator(), to: till(), ..segment(70, b"answer") };
    let (flows, seen) = put_together(&[syn(9), segment(10, b"abc"), segment(14, b"efg"), back]);
    assert_eq!(flows[0].sinks[0].bytes, b"abc");
    assert_eq!(flows[0].sinks[1].bytes, b"answer");
    assert_eq!(seen, counts(0, 1, 1));
    // Nothing came behind the hole, but the end of the stream says that something was sent.
    let end = Segment { fin: true, ..segment(16, b"") };
    check(&[syn(9), segment(10, b"abc"), end], "abc", counts(0, 0, 1));
    let end = Segment { fin: true, ..segment(13, b"d") };
    check(&[syn(9), segment(10, b"abc"), end], "abcd", counts(0, 0, 0));
    check(&[syn(9), end, segment(10, b"abc")], "abcd", counts(0, 1, 0));
}

#[test]
fn what_waits_is_bounded() {
    let long = [b'x'; 950];
    // At the limit of one direction: 96 bytes of bookkeeping belong to each piece.
    let fits = &long[..1000 - 96];
    check(&[syn(9), segment(11, fits), segment(10, b"a")], &format!("a{}", "x".repeat(904)), counts(0, 1, 0));
    check(&[syn(9), segment(11, &long[..905]), segment(10, b"a")], "", counts(0, 1, 1));
    // The limit over all: the third connection has no room left.
    let mut reassembler: Reassembler<Tape> = Reassembler::new(small());
    let other =
        |port: u16, inner: Segment<'static>| Segment { from: SocketAddr::new(till().ip(), port), ..inner };
    for port in [1, 2] {
        reassembler.push(&other(port, syn(9)));
        reassembler.push(&Segment { from: SocketAddr::new(till().ip(), port), ..segment(20, &long[..600]) });
    }
    reassembler.push(&other(3, syn(9)));
    reassembler.push(&Segment { from: SocketAddr::new(till().ip(), 3), ..segment(20, &long[..600]) });
    assert_eq!(reassembler.counts.gaps, 1);
    // And a fourth connection is one too many.
    reassembler.push(&other(4, syn(9)));
    let (flows, seen) = reassembler.finish();
    assert_eq!(flows.len(), 3);
    assert_eq!(seen.over_limit, 1);
    assert_eq!(seen.gaps, 3);
}

#[test]
fn ports_are_used_again() {
    let end = Segment { fin: true, ..segment(13, b"") };
    let (flows, seen) = put_together(&[
        syn(9),
        segment(10, b"abc"),
        end,
        syn(5000),
        segment(5001, b"def"),
        segment(10, b"abc"),
    ]);
    let texts: Vec<_> = flows.iter().map(|flow| flow.sinks[0].bytes.clone()).collect();
    assert_eq!(texts, [b"abc", b"def"]);
    // The late copy of the first connection's segment is old for the second one.
    assert_eq!(seen, counts(1, 0, 0));
}

#[test]
fn a_reset_ends_a_connection() {
    let reset = Segment { rst: true, ..segment(13, b"") };
    let (flows, seen) = put_together(&[syn(9), segment(10, b"abc"), reset, segment(13, b"def")]);
    assert_eq!(flows[0].sinks[0].bytes, b"abc");
    assert_eq!(seen.resets, 1);
    // One with an old number belongs to an earlier connection of the ports.
    let stale = Segment { rst: true, ..segment(11, b"") };
    let (flows, seen) = put_together(&[syn(9), segment(10, b"abc"), stale, segment(13, b"def")]);
    assert_eq!(flows[0].sinks[0].bytes, b"abcdef");
    assert_eq!(seen.resets, 0);
}

#[test]
fn bytes_in_order_are_as_late_as_the_last_of_them() {
    let (flows, _) = put_together(&[syn(9), segment(13, b"def"), segment(10, b"abc"), segment(16, b"g")]);
    assert_eq!(flows[0].sinks[0].moments, [2, 2, 3]);
}

proptest! {
    /// However a stream is cut, shuffled, repeated and overlapped, it comes out whole.
    #[test]
    fn any_order_gives_the_stream(
        stream in proptest::collection::vec(any::<u8>(), 1..300),
        first in any::<u32>(),
        pieces in proptest::collection::vec((any::<prop::sample::Index>(), 1_usize..60), 0..40),
        order in any::<prop::sample::Index>(),
    ) {
        let mut cuts: Vec<(usize, usize)> = pieces
            .iter()
            .map(|(index, length)| {
                let start = index.index(stream.len());
                (start, (start + length).min(stream.len()))
            })
            .collect();
        // Every byte at least once, in pieces of seven from behind.
        cuts.extend((0..stream.len()).step_by(7).rev().map(|start| (start, (start + 7).min(stream.len()))));
        let turn = order.index(cuts.len());
        cuts.rotate_left(turn);
        let mut reassembler: Reassembler<Tape> = Reassembler::new(ReassemblyLimits {
            waiting_bytes: 1 << 20,
            all_waiting_bytes: 1 << 20,
            flows: 1,
        });
        reassembler.push(&syn(first.wrapping_sub(1)));
        for (start, end) in cuts {
            let sequence = first.wrapping_add(u32::try_from(start).unwrap());
            reassembler.push(&segment(sequence, &stream[start..end]));
        }
        prop_assert_eq!(reassembler.kept_bytes(), stream.len());
        prop_assert_eq!(reassembler.waiting_bytes, 0);
        let (flows, seen) = reassembler.finish();
        prop_assert_eq!(&flows[0].sinks[0].bytes, &stream);
        prop_assert_eq!(seen.gaps, 0);
    }

    /// No segments can panic, and what waits stays within its bound.
    #[test]
    fn no_segments_can_hurt(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u32>(), 0_usize..200, any::<(bool, bool, bool, bool)>()),
            0..60,
        ),
        near in any::<bool>(),
    ) {
        let payload = [7; 200];
        let mut reassembler: Reassembler<Tape> = Reassembler::new(small());
        for (back, number, length, (syn, ack, fin, rst)) in segments {
            let (from, to) = if back { (operator(), till()) } else { (till(), operator()) };
            let sequence = if near { number % 1500 } else { number };
            let payload = &payload[..length];
            reassembler.push(&Segment { at_ns: 0, from, to, sequence, syn, ack, fin, rst: rst && syn, payload });
            prop_assert!(reassembler.waiting_bytes <= 1500);
        }
        reassembler.finish();
    }
}
