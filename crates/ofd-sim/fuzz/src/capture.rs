//! Capture files: any bytes are read or refused with a reason, however they trickle in, and a stream of a register is
//! the same messages in whatever order its segments were captured.

use std::io::{self, Read};

use kkt_proto::header::{HEADER_LEN, Header};
use ofd_sim::replay::{CaptureCounts, Recording, read_capture};

use super::dice::Dice;
use super::pcap;

/// Longest stream that is put into frames, bytes.
const MAX_STREAM: usize = 16 * 1024;

/// Checks one input, as a file and as what a register sent.
pub fn check(input: &[u8]) {
    let mut dice = Dice::of(input);
    file(input, &mut dice);
    stream(&input[..input.len().min(MAX_STREAM)], &mut dice);
}

fn file(bytes: &[u8], dice: &mut Dice) {
    let outcome = read_capture(bytes);
    match &outcome {
        Ok(recording) => consistent(recording, bytes.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let trickle = Trickle { pieces: dice.pieces(bytes).into_iter() };
    assert_eq!(read_capture(trickle), outcome, "the same file in other pieces");
}

/// What is kept came from the file, and messages are whole.
fn consistent(recording: &Recording, file_len: usize) {
    let counts = &recording.counts;
    assert!(counts.segments <= counts.frames && counts.truncated <= counts.segments);
    assert!(
        counts.segments + counts.unknown_frames + counts.other_frames + counts.fragments == counts.frames
    );
    let mut kept = 0;
    for exchange in recording.flows.iter().flat_map(|flow| &flow.exchanges) {
        for message in std::iter::once(&exchange.message).chain(&exchange.answer) {
            let head = message.bytes.first_chunk::<HEADER_LEN>().expect("a message has a header");
            assert_eq!(Header::decode(head), Ok(message.header));
            assert_eq!(message.bytes.len(), HEADER_LEN + usize::from(message.header.body_len));
            assert_eq!(message.body(), &message.bytes[HEADER_LEN..]);
            kept += message.bytes.len();
        }
        if let Some(answer) = &exchange.answer {
            assert_eq!(answer.header.fn_number, exchange.message.header.fn_number);
        }
    }
    assert!(kept <= file_len, "{kept} bytes of messages in a file of {file_len}");
}

fn stream(stream: &[u8], dice: &mut Dice) {
    let first = u32::try_from(dice.below(3)).unwrap().wrapping_sub(2); // near the end of the numbers, so they wrap
    let in_order = pcap::in_order(stream, dice);
    let disordered = pcap::disordered(stream, &in_order, dice);
    let [calm, rough] = [&in_order, &disordered].map(|pieces| {
        let file = pcap::file(pieces, first);
        let recording = read_capture(file.as_slice()).expect("a file of ours");
        consistent(&recording, file.len());
        (messages(&recording), losses(&recording.counts))
    });
    assert_eq!(rough, calm, "the same stream in other order");
}

fn messages(recording: &Recording) -> Vec<Vec<u8>> {
    let exchanges = recording.flows.iter().flat_map(|flow| &flow.exchanges);
    exchanges.map(|exchange| exchange.message.bytes.clone()).collect()
}

/// What is counted of the content, not of the way it came.
fn losses(counts: &CaptureCounts) -> [u64; 7] {
    let CaptureCounts { gaps, foreign_flows, stray_bytes, unfinished, sister, malformed, damaged, .. } =
        *counts;
    [gaps, foreign_flows, stray_bytes, unfinished, sister, malformed, damaged]
}

/// A source that gives a few bytes at a time.
struct Trickle<'a> {
    pieces: std::vec::IntoIter<&'a [u8]>,
}

impl Read for Trickle<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.next() else { return Ok(0) };
        let len = piece.len().min(room.len());
        room[..len].copy_from_slice(&piece[..len]);
        if len < piece.len() {
            let rest = &piece[len..];
            let after = std::mem::take(&mut self.pieces);
            self.pieces = std::iter::once(rest).chain(after).collect::<Vec<_>>().into_iter();
        }
        Ok(len)
    }
}
