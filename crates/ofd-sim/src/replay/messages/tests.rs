use std::net::SocketAddr;

use kkt_proto::header::{CrcMode, PVersion};

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../proto-fixtures/captures/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// A register's message (form 11, ФД 1) and a real operator's answer to it.
fn message() -> Vec<u8> {
    fixture("msg_reg11_ffd12_9999078902013267_fd1")
}

fn answer() -> Vec<u8> {
    let body = fixture("container_ack7_taxcom_flk14_9999078902013267_fd1");
    let header = Header::decode(message().first_chunk().unwrap()).unwrap().reply_header(&body).unwrap();
    [header.encode().as_slice(), &body].concat()
}

fn probe() -> Vec<u8> {
    let number = FnNumber::from_padded(b"9999078902013267").unwrap();
    Header::probe(number, PVersion::FFD_1_2, CrcMode::None).encode().to_vec()
}

fn cutter(aligned: bool, pieces: &[&[u8]]) -> Cutter {
    let mut cutter = Cutter::default();
    if aligned {
        cutter.begins();
    }
    for (at_ns, piece) in (0..).zip(pieces) {
        cutter.bytes(at_ns, piece);
    }
    cutter
}

#[test]
fn messages_are_cut_whatever_the_pieces() {
    let stream = [message(), probe(), message()].concat();
    for size in [1, 2, 7, 30, 31, 64, 1000] {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        for aligned in [true, false] {
            let cut = cutter(aligned, &pieces);
            let lengths: Vec<usize> = cut.messages.iter().map(|message| message.bytes.len()).collect();
            assert_eq!(lengths, [325, 30, 325], "pieces of {size}");
            assert!(cut.buffer.is_empty());
            // The moment is that of the last byte.
            let last = u64::try_from((325 - 1) / size).unwrap();
            assert_eq!(cut.messages[0].at, Duration::from_nanos(last));
        }
    }
}

#[test]
fn a_capture_that_begins_inside_a_message_loses_that_message() {
    let message = message();
    let stream = [&message[100..], &message].concat();
    let cut = cutter(false, &[&stream]);
    assert_eq!(cut.messages.len(), 1);
    assert_eq!(cut.stray_bytes, 225);
    // From the beginning of a connection the same bytes are another protocol.
    let cut = cutter(true, &[&stream, b"more"]);
    assert_eq!((cut.messages.len(), cut.stray_bytes), (0, 550 + 4));
}

#[test]
fn what_is_not_replayed_is_counted() {
    let mut sister = message();
    sister[..6].copy_from_slice(&[0xDD, 0x80, 0xCA, 0xA1, 0x82, 0xA2]);
    let mut forbidden = message();
    forbidden[6..8].copy_from_slice(&[9, 9]);
    let cut = cutter(true, &[&sister, &forbidden, &message()]);
    assert_eq!((cut.sister, cut.malformed, cut.messages.len()), (1, 1, 1));
}

fn flow(opener: Option<usize>, first: Cutter, second: Cutter) -> Option<(CapturedFlow, CaptureCounts)> {
    let mut reassembler = super::super::reassembly::Reassembler::new(Default::default());
    let ends: [SocketAddr; 2] = ["10.0.0.5:40001".parse().unwrap(), "10.0.0.9:7777".parse().unwrap()];
    reassembler.push(&super::super::capture::Segment {
        at_ns: 0,
        from: ends[0],
        to: ends[1],
        sequence: 1,
        syn: false,
        ack: true,
        fin: false,
        rst: false,
        payload: b"",
    });
    let (mut flows, _) = reassembler.finish();
    let mut flow: TcpFlow<Cutter> = flows.remove(0);
    flow.opener = opener;
    flow.sinks = [first, second];
    let mut counts = CaptureCounts::default();
    conversation(flow, &mut counts).map(|flow| (flow, counts))
}

#[test]
fn the_register_is_known_by_its_containers_when_nobody_opened() {
    let check = |opener, first: &[u8], second: &[u8], register_port: u16| {
        let (found, _) = flow(opener, cutter(true, &[first]), cutter(true, &[second])).unwrap();
        assert_eq!(found.register.port(), register_port);
        assert_eq!(found.exchanges.len(), 1);
        assert!(found.exchanges[0].answer.is_some());
    };
    let reply = Header::decode(probe().first_chunk().unwrap()).unwrap().probe_reply().encode();
    check(Some(0), &message(), &answer(), 40001);
    check(Some(1), &answer(), &message(), 7777);
    check(None, &message(), &answer(), 40001);
    check(None, &answer(), &message(), 7777);
    check(None, &probe(), &reply, 40001);
    check(None, &reply, &probe(), 7777);
}

#[test]
fn answers_find_their_messages() {
    let whole = |said: &[Vec<u8>], answers: &[Vec<u8>]| {
        flow(Some(0), cutter(true, &[&said.concat()]), cutter(true, &[&answers.concat()])).unwrap()
    };
    let answered = |found: &CapturedFlow| -> Vec<bool> {
        found.exchanges.iter().map(|exchange| exchange.answer.is_some()).collect()
    };
    let reply = Header::decode(probe().first_chunk().unwrap()).unwrap().probe_reply().encode().to_vec();
    let (found, counts) = whole(&[message(), probe(), message()], &[answer(), reply.clone(), answer()]);
    assert_eq!(answered(&found), [true, true, true]);
    assert_eq!(counts, CaptureCounts::default());
    // An answer that the capture lacks does not shift the others.
    let (found, _) = whole(&[message(), probe()], &[reply]);
    assert_eq!(answered(&found), [false, true]);
    let (found, counts) = whole(&[probe()], &[answer()]);
    assert_eq!(answered(&found), [false]);
    assert_eq!(counts.unmatched_answers, 1);
}

#[test]
fn damaged_messages_are_left_out() {
    let mut damaged = message();
    damaged[200] ^= 1;
    let mut foreign = message();
    foreign[23] = b'8';
    let cut = cutter(true, &[&damaged, &foreign, &answer(), &message(), &message()[..50]]);
    let (found, counts) = flow(Some(0), cut, Cutter::default()).unwrap();
    assert_eq!(found.exchanges.len(), 1);
    assert_eq!((counts.damaged, counts.unfinished), (3, 1));
}

#[test]
fn other_protocols_are_no_conversation() {
    assert!(
        flow(None, cutter(true, &[b"GET / HTTP/1.1\r\n\r\n"]), cutter(true, &[b"HTTP/1.1 200"])).is_none()
    );
    assert!(flow(None, cutter(false, &[b"GET / HTTP/1.1\r\n\r\n"]), Cutter::default()).is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_can_hurt(
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        aligned in proptest::bool::ANY,
        at in 0_usize..325,
    ) {
        let mut bytes = message();
        bytes.truncate(at);
        bytes.extend_from_slice(&noise);
        let cut = cutter(aligned, &[&bytes, &message()]);
        proptest::prop_assert!(cut.buffer.len() <= bytes.len() + 325);
        let _ = flow(None, cut, cutter(aligned, &[&noise]));
    }
}
