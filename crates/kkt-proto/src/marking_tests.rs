//! The port of the marking point: what it reads, what it refuses, and a relay between two ends in memory.

use proptest::prelude::*;

use crate::client::{ClientDialogue, ClientLimits};
use crate::header::{CrcMode, HEADER_LEN, Header, PVersion, SVersion, Service, Signature};
use crate::server::{Answer, Event, ServerDialogue, ServerLimits};
use crate::testing::{beginning, fn_number, message};

/// A message to the marking point with these versions and body, flags as registers set them.
fn marking(s_version: SVersion, mode: CrcMode, body: &[u8]) -> Vec<u8> {
    let document = Header::for_message(fn_number(), PVersion::FFD_1_0_OLD_1, mode, body).unwrap();
    let header = Header { signature: Signature::OISM, s_version, ..document };
    // Only the reply's builder knows how to fill in the check code anew.
    let header = header.reply_header(body).unwrap();
    [header.encode().as_slice(), body].concat()
}

fn probe(s_version: SVersion) -> Header {
    let probe = Header::probe(fn_number(), PVersion::FFD_1_0_OLD_1, CrcMode::None);
    Header { signature: Signature::OISM, s_version, ..probe }
}

fn server() -> ServerDialogue {
    ServerDialogue::of(Service::Marking, ServerLimits::default(), beginning())
}

#[test]
fn probes_of_both_versions_get_their_header_back_with_flags_cleared() {
    for s_version in [SVersion::OISM, SVersion::OISM_TEST] {
        let mut server = server();
        let sent = probe(s_version).encode();
        server.receive(&sent, beginning()).unwrap();
        assert!(matches!(server.poll_event(), Some(Event::Probe { .. })));
        let mut out = Vec::new();
        assert_eq!(server.poll_transmit(&mut out, beginning()), 1);
        let mut expected = sent;
        expected[24..].fill(0);
        assert_eq!(out, expected);
    }
}

#[test]
fn what_the_marking_port_refuses() {
    let check = |name: &str, bytes: &[u8], expected: Result<(), &str>| {
        let seen = server().receive(bytes, beginning()).map_err(|malformed| malformed.reason());
        assert_eq!(seen, expected, "{name}");
    };
    let data = marking(SVersion::OISM, CrcMode::None, b"body");
    check("a relayed message", &data, Ok(()));
    check(
        "data of the operator's own test",
        &marking(SVersion::OISM_TEST, CrcMode::None, b"b"),
        Err("marking_test"),
    );
    let mut keys = data.clone();
    keys[5] = 0xA1;
    check("the key service", &keys, Err("s_version"));
    check("a fiscal document", &message(fn_number(), CrcMode::None, b"body"), Err("signature"));
    check("a probe for documents", &[0x2A, 0x08, 0x41, 0x0A], Err("signature"));
    check("another protocol", b"GET / HTTP/1.1", Err("signature"));
    let mut damaged = marking(SVersion::OISM, CrcMode::HeaderAndBody, b"body");
    damaged[HEADER_LEN] ^= 1;
    check("a flipped bit", &damaged, Err("message_crc"));
    let document_port = Header::decode(data.first_chunk().unwrap()).map_err(|malformed| malformed.reason());
    assert_eq!(document_port, Err("marking_service"), "the port for documents takes no marking data");
}

#[test]
fn a_relayed_answer_leaves_in_its_turn_and_unchanged() {
    let mut server = server();
    let first = marking(SVersion::OISM, CrcMode::None, b"first");
    server.receive(&[first.as_slice(), &probe(SVersion::OISM).encode()].concat(), beginning()).unwrap();
    let Some(Event::Message { id, header, body }) = server.poll_event() else { panic!("no message") };
    let mut out = Vec::new();
    assert_eq!(server.poll_transmit(&mut out, beginning()), 0, "the answer to the probe waits for its turn");

    let mut upstream = ClientDialogue::of(Service::Marking, header.fn_number, ClientLimits::default());
    assert_eq!(upstream.relay(&header, &body, beginning()), first, "the request goes on as it came");
    let answer = marking(SVersion::OISM, CrcMode::HeaderAndBody, b"answer");
    let reply = upstream.receive(&answer).unwrap().unwrap();
    server.answer(id, Answer::Relayed([reply.header.encode().as_slice(), &reply.body].concat()));
    assert_eq!(server.poll_transmit(&mut out, beginning()), 2);
    assert_eq!(out, [answer.as_slice(), &probe(SVersion::OISM).probe_reply().encode()].concat());
}

#[test]
fn an_upstream_of_another_service_or_storage_is_refused() {
    let check = |answer: &[u8], expected: &str| {
        let mut upstream = ClientDialogue::of(Service::Marking, fn_number(), ClientLimits::default());
        upstream.relay(&probe(SVersion::OISM), &[], beginning());
        assert_eq!(upstream.receive(answer).unwrap_err().reason(), expected);
    };
    check(&message(fn_number(), CrcMode::None, b"body"), "signature");
    let mut other = marking(SVersion::OISM, CrcMode::None, b"body");
    other[8] = b'8';
    check(&other, "foreign_reply");
    check(&marking(SVersion::OISM, CrcMode::None, &[0; 1025]), "body_size");
}

#[test]
fn who_expects_no_answer_gets_no_relayed_one() {
    let mut server = server();
    let mut request = marking(SVersion::OISM, CrcMode::None, b"body");
    request[26] = 0x04;
    server.receive(&request, beginning()).unwrap();
    let Some(Event::Message { id, .. }) = server.poll_event() else { panic!("no message") };
    server.answer(id, Answer::Relayed(request));
    let mut out = Vec::new();
    assert_eq!((server.poll_transmit(&mut out, beginning()), out.len()), (0, 0));
}

proptest! {
    /// What was read at the marking port is what was sent, whatever it is; so a relay changes nothing.
    #[test]
    fn the_marking_port_reads_what_it_writes(bytes in any::<[u8; HEADER_LEN]>(), patch in 0_usize..=28) {
        let known = probe(SVersion::OISM).encode();
        let mut bytes = bytes;
        bytes[..patch].copy_from_slice(&known[..patch]);
        if let Ok(header) = Header::decode_for(Service::Marking, &bytes) {
            prop_assert_eq!(header.encode(), bytes);
            prop_assert_eq!(header.signature, Signature::OISM);
        }
    }
}
