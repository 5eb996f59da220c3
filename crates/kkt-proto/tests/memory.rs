//! What a sender can make us hold: a counting allocator measures readers and views at their worst.
//!
//! The figures are bounds with room, not readings: they fail when a cost becomes one of another order.
#![allow(clippy::unwrap_used, reason = "tests: a broken assumption must stop the test at once")]
#![expect(unsafe_code, reason = "test shim: an allocator that counts")]
#![expect(clippy::disallowed_methods, reason = "the clock is not read again")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::Instant;

use ffd::check::{self, RegisterState, Severities, Surroundings};
use ffd::json::{FnsJson, Names};
use ffd::{Document, text, tlv};
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, MAX_BODY_LEN, PVersion};
use kkt_proto::server::{ServerDialogue, ServerLimits};

const KIB: usize = 1024;

/// The system's allocator, counting what this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn taken(bytes: usize) {
    HELD.set(HELD.get().wrapping_add(bytes));
    // A thread that frees what another took goes below zero.
    if HELD.get() < usize::MAX / 2 {
        MOST.set(MOST.get().max(HELD.get()));
    }
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: `place` came from `alloc` above with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes held at once during `work` beyond those held before, its result included.
fn most<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    MOST.set(before);
    let result = work();
    let most = MOST.get() - before;
    drop(result);
    most
}

/// A document of form 3, ФФД 1.2, with these records.
fn document(records: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    tlv::write_record(&mut body, 1209, &[4]).unwrap();
    body.extend_from_slice(records);
    let mut document = Vec::new();
    tlv::write_record(&mut document, 3, &body).unwrap();
    document
}

/// As many records with these tags in turn and this value as a document has room for.
fn full(tags: &[u16], value: &[u8]) -> Vec<u8> {
    let room = MAX_BODY_LEN - 2 * tlv::HEADER_LEN;
    let mut records = Vec::new();
    for tag in tags.iter().cycle().take(room / (tlv::HEADER_LEN + value.len())) {
        tlv::write_record(&mut records, *tag, value).unwrap();
    }
    document(&records)
}

/// Groups in groups down to the bottom of a document.
fn nested(tags: &[u16]) -> Vec<u8> {
    let mut inner = Vec::new();
    let depth = (MAX_BODY_LEN - 2 * tlv::HEADER_LEN) / tlv::HEADER_LEN - 1;
    for tag in tags.iter().cycle().take(depth) {
        let mut outer = Vec::with_capacity(inner.len() + tlv::HEADER_LEN);
        tlv::write_record(&mut outer, *tag, &inner).unwrap();
        inner = outer;
    }
    document(&inner)
}

/// A receipt that one lie after another makes up: each record says it is as long as a record can be.
fn lies() -> Vec<u8> {
    let lie = [0x23, 0x04, 0xFF, 0xFF];
    let mut records = Vec::new();
    tlv::write_record(&mut records, 1059, &lie.repeat(16_000)).unwrap();
    document(&records)
}

/// Documents that cost most for their length.
fn worst() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty texts", full(&[1021], &[])),
        ("empty items", full(&[1059], &[])),
        ("unknown tags", full(&[9_999, 9_998], &[])),
        ("values that do not read", full(&[1012, 1020, 1077], &[])),
        ("bit masks", full(&[1205, 1055, 1290], &[0xFF; 4])),
        ("items of one record", full(&[1059], &[0x06, 0x04, 0, 0])),
        ("text of control characters", full(&[1030], &[1; 250])),
        ("one long text", full(&[1030], &[0xFE; 60_000])),
        ("groups in groups", nested(&[1059])),
        ("a shift's counters in themselves", nested(&[1194, 1133, 1145])),
        ("lies", lies()),
    ]
}

/// Counts what is written and keeps nothing.
struct Sink;

impl fmt::Write for Sink {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

#[test]
fn no_document_makes_a_large_tree() {
    for (name, bytes) in worst() {
        let tree = most(|| Document::decode(&bytes).unwrap());
        assert!(tree <= 2 * KIB * KIB, "{name}: a tree of {tree} bytes for {}", bytes.len());
    }
}

#[test]
fn no_document_makes_a_large_view_or_judgement() {
    for (name, bytes) in worst() {
        let document = Document::decode(&bytes).unwrap();
        let tree = most(|| text::write_tree(&document, &mut Sink, 0).unwrap());
        assert!(tree <= 512 * KIB, "{name}: the tree for people takes {tree} bytes");
        let json = most(|| {
            for names in [Names::Modern, Names::Legacy] {
                serde_json::to_writer(io::sink(), &FnsJson::new(&document, Some([7; 8]), names)).unwrap();
            }
            serde_json::to_writer(io::sink(), &text::json_tree(&document)).unwrap();
        });
        assert!(json <= 512 * KIB, "{name}: the JSON takes {json} bytes");
        let register = RegisterState::default();
        let around = Surroundings {
            claimed: None,
            received_at: 1_795_305_600,
            operator_inn: None,
            register: Some(&register),
        };
        let judged = most(|| check::check(&document, &around, &Severities::default()));
        assert!(judged <= 512 * KIB, "{name}: the judgement takes {judged} bytes");
    }
}

/// Most bytes held while a connection takes `pieces`.
fn connection<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
    let now = Instant::now();
    most(|| {
        let mut server = ServerDialogue::new(ServerLimits::default(), now);
        for piece in pieces {
            let _ = server.receive(piece, now);
        }
        server
    })
}

#[test]
fn a_length_costs_nothing_before_its_bytes_are_there() {
    let fn_number = "9999078902013267".parse().unwrap();
    let announced = |len: usize| {
        Header::for_message(fn_number, PVersion::FFD_1_2, CrcMode::None, &vec![0; len]).unwrap().encode()
    };
    let limit = ServerLimits::default().max_body_bytes;
    let refused = connection([announced(MAX_BODY_LEN).as_slice()].into_iter());
    assert!(refused <= KIB, "{refused} bytes for a header that is refused");
    let silent = connection([announced(limit).as_slice(), &[0]].into_iter());
    assert!(silent <= 4 * KIB, "{silent} bytes for a header and a byte");
    let body = vec![0; limit];
    let header = announced(limit);
    let trickled = connection(header.chunks(1).chain(body.chunks(1)));
    assert!(trickled <= 2 * limit + 4 * KIB, "{trickled} bytes for a message of {limit}");
}

#[test]
fn a_connection_holds_what_it_may_have_in_flight_and_one_read() {
    let fn_number = "9999078902013267".parse().unwrap();
    let probe = Header::probe(fn_number, PVersion::FFD_1_2, CrcMode::None).encode();
    let read = probe.repeat(64 * KIB / HEADER_LEN);
    let limits = ServerLimits::default();
    let now = Instant::now();
    let held = most(|| {
        let mut server = ServerDialogue::new(limits, now);
        while server.wants_read() {
            server.receive(&read, now).unwrap();
        }
        server
    });
    // Every probe of a read costs its place in the order of answers and an event.
    assert!(held <= KIB * KIB, "{held} bytes for probes of {} bytes", read.len());
}
