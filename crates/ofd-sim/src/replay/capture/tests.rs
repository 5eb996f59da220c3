use std::io;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::replay::{Recording, read_capture};

const ETHERNET: u16 = 1;
const NULL: u16 = 0;
const RAW: u16 = 101;
const COOKED: u16 = 113;
const COOKED_2: u16 = 276;

/// A classic pcap file; `swapped` is big-endian.
fn pcap(link: u16, nanos: bool, swapped: bool, frames: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let word = |number: u32| if swapped { number.to_be_bytes() } else { number.to_le_bytes() };
    let half = |number: u16| if swapped { number.to_be_bytes() } else { number.to_le_bytes() };
    let magic = if nanos { 0xA1B2_3C4D } else { 0xA1B2_C3D4 };
    let mut bytes = word(magic).to_vec();
    bytes.extend([half(2), half(4)].concat());
    bytes.extend([word(0), word(0), word(65_535), word(link.into())].concat());
    for (seconds, fraction, data, original) in frames {
        let length = u32::try_from(data.len()).unwrap();
        bytes.extend([word(*seconds), word(*fraction), word(length), word(*original)].concat());
        bytes.extend_from_slice(data);
    }
    bytes
}

/// A block of a pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(padded + 12).unwrap().to_le_bytes();
    let mut bytes = [kind.to_le_bytes(), length].concat();
    bytes.extend_from_slice(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

fn section() -> Vec<u8> {
    let mut body = 0x1A2B_3C4D_u32.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    body.extend([0xFF; 8]);
    block(0x0A0D_0D0A, &body)
}

/// An interface with option `if_tsresol` and `if_tsoffset`.
fn interface(link: u16, resolution: u8, offset_s: i64) -> Vec<u8> {
    let mut body = link.to_le_bytes().to_vec();
    body.extend([0, 0, 0, 0, 0, 0]);
    body.extend([9, 0, 1, 0, resolution, 0, 0, 0]);
    body.extend([14, 0, 8, 0]);
    body.extend(offset_s.to_le_bytes());
    body.extend([0, 0, 0, 0]);
    block(1, &body)
}

fn enhanced(interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let (high, low) = (u32::try_from(units >> 32).unwrap(), u32::try_from(units & 0xFFFF_FFFF).unwrap());
    let mut body: Vec<u8> =
        [interface, high, low, length, length].iter().flat_map(|word| word.to_le_bytes()).collect();
    body.extend_from_slice(data);
    block(6, &body)
}

fn simple(data: &[u8]) -> Vec<u8> {
    let mut body = u32::try_from(data.len()).unwrap().to_le_bytes().to_vec();
    body.extend_from_slice(data);
    block(3, &body)
}

/// An IPv4 packet with a TCP segment.
fn ip(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 5], [10, 0, 0, 9], 64).tcp(40_001, 7777, 100, 1024).ack(5);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn ip6(payload: &[u8]) -> Vec<u8> {
    let (from, to) = ([0xFE; 16], [0xFD; 16]);
    let builder = PacketBuilder::ipv6(from, to, 64).tcp(40_001, 7777, 100, 1024).ack(5);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    [[2; 12].as_slice(), &kind.to_be_bytes(), packet].concat()
}

/// What a file holds, each segment as (moment in ns, from, payload), and the counts.
type Found = (Vec<(u64, String, Vec<u8>)>, CaptureCounts);

fn read(bytes: &[u8]) -> Result<Found, CaptureError> {
    let mut counts = CaptureCounts::default();
    let mut found = Vec::new();
    segments(bytes, &mut counts, |segment| {
        found.push((segment.at_ns, segment.from.to_string(), segment.payload.to_vec()));
        Ok(())
    })?;
    Ok((found, counts))
}

fn payloads(bytes: &[u8]) -> (Vec<Vec<u8>>, CaptureCounts) {
    let (found, counts) = read(bytes).unwrap();
    (found.into_iter().map(|(_, _, payload)| payload).collect(), counts)
}

#[test]
fn both_formats_and_all_their_clocks_are_read() {
    let frame = ethernet(0x0800, &ip(b"abc"));
    let check = |bytes: &[u8], at_ns: u64| {
        let (found, counts) = read(bytes).unwrap();
        assert_eq!(found, [(at_ns, "10.0.0.5:40001".to_owned(), b"abc".to_vec())]);
        assert_eq!(counts, CaptureCounts { frames: 1, segments: 1, ..CaptureCounts::default() });
    };
    let length = u32::try_from(frame.len()).unwrap();
    check(&pcap(ETHERNET, false, false, &[(7, 5, &frame, length)]), 7_000_005_000);
    check(&pcap(ETHERNET, false, true, &[(7, 5, &frame, length)]), 7_000_005_000);
    check(&pcap(ETHERNET, true, false, &[(7, 5, &frame, length)]), 7_000_000_005);
    let next = |resolution, offset, units| {
        [section(), interface(ETHERNET, resolution, offset), enhanced(0, units, &frame)].concat()
    };
    check(&next(6, 0, 7_000_005), 7_000_005_000);
    check(&next(9, 0, 7_000_000_005), 7_000_000_005);
    check(&next(9, 3, 5), 3_000_000_005);
    check(&next(0x80 | 10, 0, 1536), 1_500_000_000);
    check(&next(6, -9, 7_000_005), 0);
    // A simple packet has no moment of its own.
    check(&[section(), interface(ETHERNET, 6, 0), simple(&frame)].concat(), 0);
}

#[test]
fn link_layers_are_taken_off() {
    let check = |link: u16, frame: &[u8], from: &str| {
        let length = u32::try_from(frame.len()).unwrap();
        let (found, counts) = read(&pcap(link, false, false, &[(0, 0, frame, length)])).unwrap();
        assert_eq!(found, [(0, from.to_owned(), b"abc".to_vec())], "link type {link}");
        assert_eq!(counts.segments, 1);
    };
    let (four, six) = (ip(b"abc"), ip6(b"abc"));
    let (from, from6) = ("10.0.0.5:40001", "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:40001");
    check(ETHERNET, &ethernet(0x0800, &four), from);
    check(ETHERNET, &ethernet(0x86DD, &six), from6);
    check(ETHERNET, &ethernet(0x8100, &[&[0, 5, 8, 0], four.as_slice()].concat()), from);
    // Short frames are padded on the wire.
    check(ETHERNET, &[ethernet(0x0800, &four).as_slice(), &[0; 20]].concat(), from);
    check(NULL, &[&[2, 0, 0, 0], four.as_slice()].concat(), from);
    check(NULL, &[&[30, 0, 0, 0], six.as_slice()].concat(), from6);
    check(RAW, &four, from);
    check(RAW, &six, from6);
    let mut cooked = [0; 16];
    cooked[14..].copy_from_slice(&0x0800_u16.to_be_bytes());
    check(COOKED, &[cooked.as_slice(), &four].concat(), from);
    let mut cooked = [0; 20];
    cooked[..2].copy_from_slice(&0x86DD_u16.to_be_bytes());
    check(COOKED_2, &[cooked.as_slice(), &six].concat(), from6);
}

#[test]
fn interfaces_belong_to_their_section() {
    let raw = ip(b"abc");
    let bytes = [
        section(),
        interface(ETHERNET, 6, 0),
        interface(RAW, 6, 0),
        enhanced(1, 1, &raw),
        enhanced(2, 1, &raw),
        section(),
        interface(RAW, 6, 0),
        enhanced(0, 2, &raw),
        enhanced(1, 2, &raw),
    ]
    .concat();
    let (found, counts) = payloads(&bytes);
    assert_eq!(found.len(), 2);
    assert_eq!((counts.frames, counts.unknown_frames), (4, 2));
}

#[test]
fn what_is_no_whole_segment_is_counted() {
    let whole = ethernet(0x0800, &ip(b"abcdef"));
    let length = u32::try_from(whole.len()).unwrap();
    let mut fragment = whole.clone();
    fragment[14 + 6] = 0x20;
    let mut udp = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 64).udp(1, 2).write(&mut udp, b"hello").unwrap();
    let udp = ethernet(0x0800, &udp);
    let frames: [(u32, u32, &[u8], u32); 5] = [
        (0, 0, &whole[..whole.len() - 2], length),
        (0, 0, &fragment, length),
        (0, 0, &udp, 47),
        (0, 0, &ethernet(0x0806, &[0; 28]), 42),
        (0, 0, &[1, 2, 3], 3),
    ];
    let (found, counts) = payloads(&pcap(ETHERNET, false, false, &frames));
    assert_eq!(found, [b"abcd"]);
    let expected = CaptureCounts {
        frames: 5,
        segments: 1,
        truncated: 1,
        fragments: 1,
        other_frames: 2,
        unknown_frames: 1,
        ..CaptureCounts::default()
    };
    assert_eq!(counts, expected);
    let (_, counts) = payloads(&pcap(147, false, false, &[(0, 0, &whole, length)]));
    assert_eq!(counts.unknown_frames, 1);
}

#[test]
fn a_file_that_stops_in_a_block_is_read_up_to_there() {
    let frame = ethernet(0x0800, &ip(b"abc"));
    let length = u32::try_from(frame.len()).unwrap();
    let classic = pcap(ETHERNET, false, false, &[(0, 0, &frame, length), (0, 0, &frame, length)]);
    let next =
        [section(), interface(ETHERNET, 6, 0), enhanced(0, 0, &frame), enhanced(0, 0, &frame)].concat();
    for bytes in [classic, next] {
        let (found, counts) = payloads(&bytes);
        assert_eq!((found.len(), counts.cut_short), (2, false));
        for cut in [1, 5, 40] {
            let (found, counts) = payloads(&bytes[..bytes.len() - cut]);
            assert_eq!((found.len(), counts.cut_short), (1, true), "{cut} bytes short");
        }
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n and some more text", &[0; 100]] {
        assert_eq!(read(bytes), Err(CaptureError::NotACapture), "{bytes:?}");
    }
    let mut damaged = [section(), interface(ETHERNET, 6, 0), enhanced(0, 0, &[0; 40])].concat();
    let last = damaged.len() - 4;
    damaged[last] ^= 1;
    assert!(matches!(read(&damaged), Err(CaptureError::Damaged { block: 2, .. })), "{:?}", read(&damaged));
}

#[test]
fn the_buffer_grows_to_its_limit_only() {
    // A frame of a megabyte is read, one that says it has 20 is not.
    let frame = vec![0; 1 << 20];
    let (_, counts) = payloads(&pcap(ETHERNET, false, false, &[(0, 0, &frame, 1 << 20)]));
    assert_eq!((counts.frames, counts.cut_short), (1, false));
    let mut huge = pcap(ETHERNET, false, false, &[(0, 0, b"", 20 << 20)]);
    let at = huge.len() - 8;
    huge[at..at + 4].copy_from_slice(&(20_u32 << 20).to_le_bytes());
    huge.extend(vec![0; 20 << 20]);
    assert_eq!(read(&huge), Err(CaptureError::BlockTooLarge { limit: BUFFER_MOST_BYTES }));
}

/// A reader that gives one byte at a time.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        let Some(place) = buffer.first_mut() else { return Ok(0) };
        *place = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn the_limit_of_kept_messages_holds() {
    let probe =
        [&[0x2A, 0x08, 0x41, 0x0A, 0x81, 0xA2, 0x01, 0x20][..], b"9999078902013267", &[0, 0, 0x10, 0, 0, 0]]
            .concat();
    let file = [section(), interface(RAW, 6, 0), enhanced(0, 5, &ip(&probe.repeat(3)))].concat();
    let Recording { flows, .. } = read_capture(file.as_slice()).unwrap();
    assert_eq!(flows[0].exchanges.len(), 3);
    let limits = crate::replay::ReassemblyLimits::default();
    let refused = crate::replay::read_within(file.as_slice(), limits, 100);
    assert_eq!(refused, Err(CaptureError::TooMuch { limit: 100 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage anywhere in a good file is an error or fewer segments, never a panic or an endless loop; and how
    /// the bytes come makes no difference.
    #[test]
    fn no_file_can_hurt(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        classic in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frame = ethernet(0x0800, &ip(b"abcdef"));
        let length = u32::try_from(frame.len()).unwrap();
        let mut bytes = if classic {
            pcap(ETHERNET, false, false, &[(1, 2, &frame, length), (1, 3, &frame, length)])
        } else {
            [section(), interface(ETHERNET, 6, 0), enhanced(0, 5, &frame), simple(&frame)].concat()
        };
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let at_once = read_capture(bytes.as_slice());
        prop_assert_eq!(read_capture(Drops(&bytes)), at_once);
    }
}
