//! Replay of captured registers: capture file in, the same messages over real sockets out, answers verified.
//!
//! Stages, each ignorant of the next: `capture` (frames to TCP segments), `reassembly` (segments to streams),
//! `messages` (streams to session messages with their answers), `folder` (the same from a folder of files),
//! `plan` (what is sent when and after what), `run` (sockets), `verify` (answers), `report`.
//!
//! Everything up to the plan is pure: [`read_capture`] takes bytes and is what the fuzzer of captures calls.
//!
//! Left out on purpose: the marking service (signature `DD80CAA1`), whose messages are counted and not sent,
//! the resets and half-closes of the captured connections, and messages that were damaged when captured.

mod capture;
mod folder;
mod gates;
mod messages;
mod plan;
mod reassembly;
mod report;
mod run;
mod verify;

use std::io::Read;

use serde::Serialize;

pub(crate) use folder::{FolderRecording, read_folder};
use messages::Cutter;
pub use messages::{CapturedFlow, CapturedMessage, Exchange};
pub(crate) use plan::{Plan, Shape, Speed, plan};
use reassembly::{Reassembler, ReassemblyLimits};
pub(crate) use report::{ReplayProgress, ReplayReport};
pub(crate) use run::{ReplayOptions, name, run};

/// Messages of one capture are kept in memory, up to this many bytes.
const KEPT_MOST_BYTES: usize = 1 << 30;

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Connections in the order of their first segments.
    pub flows: Vec<CapturedFlow>,
    /// What was seen and what was left out.
    pub counts: CaptureCounts,
}

/// What was seen in a capture, and what of it was left out and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptureCounts {
    /// Frames of all kinds.
    pub frames: u64,
    /// TCP segments among them.
    pub segments: u64,
    /// Frames of an unknown link layer, or too short for theirs.
    pub unknown_frames: u64,
    /// Frames of other protocols than TCP.
    pub other_frames: u64,
    /// Fragments of IP packets, which are not put together.
    pub fragments: u64,
    /// Segments that were captured in part.
    pub truncated: u64,
    /// Segments whose bytes were there before.
    pub retransmissions: u64,
    /// Segments that came before one with smaller numbers.
    pub out_of_order: u64,
    /// Directions of connections cut at a hole.
    pub gaps: u64,
    /// Connections that ended with a reset.
    pub resets: u64,
    /// Segments of connections past the limit of the reader.
    pub over_limit: u64,
    /// Connections of other protocols.
    pub foreign_flows: u64,
    /// Bytes outside of messages, in connections of any protocol.
    pub stray_bytes: u64,
    /// Messages whose end was not captured.
    pub unfinished: u64,
    /// Messages of the marking service.
    pub sister: u64,
    /// Messages whose session header the protocol forbids.
    pub malformed: u64,
    /// Messages of registers with a damaged container or check code, or a container of another storage.
    pub damaged: u64,
    /// Answers that belong to no captured message.
    pub unmatched_answers: u64,
    /// The file ends in the middle of a block.
    pub cut_short: bool,
}

/// Why a capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The source of the bytes failed.
    #[error("the file cannot be read")]
    Unreadable,
    /// The first bytes are no head of either format.
    #[error("neither a pcap nor a pcapng file")]
    NotACapture,
    /// A block that contradicts itself.
    #[error("block {block} is damaged: {reason}")]
    Damaged {
        /// Number of the last block that could be read.
        block: u64,
        /// What the parser stumbled over.
        reason: String,
    },
    /// A block that cannot be a frame.
    #[error("a block is larger than {limit} bytes")]
    BlockTooLarge {
        /// The limit.
        limit: usize,
    },
    /// More messages than are kept in memory.
    #[error("the messages of the capture are more than {limit} bytes; cut the file in pieces")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
}

/// Reads a pcap or pcapng file and finds the conversations of registers with operators in it.
///
/// # Errors
/// [`CaptureError`]; a file that ends in the middle of a block is read up to there and says so in its counts.
pub fn read_capture(input: impl Read + Send) -> Result<Recording, CaptureError> {
    read_within(input, ReassemblyLimits::default(), KEPT_MOST_BYTES)
}

fn read_within(
    input: impl Read + Send,
    limits: ReassemblyLimits,
    kept_most: usize,
) -> Result<Recording, CaptureError> {
    let mut counts = CaptureCounts::default();
    let mut reassembler: Reassembler<Cutter> = Reassembler::new(limits);
    capture::segments(input, &mut counts, |segment| {
        reassembler.push(&segment);
        if reassembler.kept_bytes() > kept_most {
            return Err(CaptureError::TooMuch { limit: kept_most });
        }
        Ok(())
    })?;
    let (flows, seen) = reassembler.finish();
    counts.retransmissions = seen.retransmissions;
    counts.out_of_order = seen.out_of_order;
    counts.gaps = seen.gaps;
    counts.resets = seen.resets;
    counts.over_limit = seen.over_limit;
    let flows = flows.into_iter().filter_map(|flow| messages::conversation(flow, &mut counts)).collect();
    Ok(Recording { flows, counts })
}
