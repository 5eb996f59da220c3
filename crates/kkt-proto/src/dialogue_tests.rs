//! Both ends of the dialogue talk in memory, the clock is made up.

mod random;
mod times;

use std::time::{Duration, Instant};

use ffd::ids::FnNumber;

use crate::client::{ClientDialogue, ClientLimits, Reply};
use crate::header::{CrcMode, HEADER_LEN, Header, PVersion};
use crate::server::{Answer, Event, MessageId, ServerDialogue, ServerLimits, TimeoutKind};
use crate::testing::{MSG_REG11_FFD12, beginning, fn_number, message, small_container};

const SECOND: Duration = Duration::from_secs(1);

/// A register, an operator, and the time both live in.
struct Conversation {
    now: Instant,
    client: ClientDialogue,
    server: ServerDialogue,
}

impl Conversation {
    fn new() -> Self {
        Self::with_limits(ServerLimits::default())
    }

    fn with_limits(limits: ServerLimits) -> Self {
        let now = beginning();
        Self {
            now,
            client: ClientDialogue::new(fn_number(), ClientLimits::default()),
            server: ServerDialogue::new(limits, now),
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// The register sends a document; the operator sees it as an event.
    fn send(&mut self, body: &[u8], mode: CrcMode) -> MessageId {
        let bytes = self.client.send(body, mode, PVersion::FFD_1_2, self.now).unwrap();
        self.deliver(&bytes);
        match self.server.poll_event() {
            Some(Event::Message { id, header, body: received }) => {
                assert_eq!((header.flags.crc_mode(), received.as_slice()), (mode, body));
                id
            }
            other => panic!("no message but {other:?}"),
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.server.receive(bytes, self.now).unwrap();
    }

    /// What the operator writes now.
    fn transmit(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let (is_wanted, before) = (self.server.wants_transmit(), self.server.in_flight());
        let replies = self.server.poll_transmit(&mut out, self.now);
        assert!(is_wanted || (replies, self.server.in_flight()) == (0, before));
        assert!(!self.server.wants_transmit(), "what can leave has left");
        out
    }

    /// What the operator writes now, as the register takes it.
    fn replies(&mut self) -> Vec<Reply> {
        let bytes = self.transmit();
        let first = self.client.receive(&bytes).unwrap();
        first.into_iter().chain(std::iter::from_fn(|| self.client.poll_reply())).collect()
    }

    fn answer(&mut self, id: MessageId, text: &str) {
        self.server.answer(id, Answer::Reply(text.as_bytes().to_vec()));
    }

    fn timeout_after(&self) -> Option<Duration> {
        self.server.next_timeout().map(|deadline| deadline.duration_since(self.now))
    }
}

fn bodies(replies: &[Reply]) -> Vec<&str> {
    replies.iter().map(|reply| std::str::from_utf8(&reply.body).unwrap()).collect()
}

#[test]
fn probe_then_documents_in_every_crc_mode() {
    let mut talk = Conversation::new();
    for mode in [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody] {
        let probe = talk.client.probe(mode, PVersion::FFD_1_05, talk.now);
        talk.deliver(&probe);
        assert!(matches!(talk.server.poll_event(), Some(Event::Probe { .. })));
        let answers = talk.replies();
        let [Reply { header, body }] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!((header.flags.bits(), header.crc, body.len()), (0, 0, 0));
        assert_eq!(header.p_version, PVersion::FFD_1_05);

        let id = talk.send(&small_container(1, 3), mode);
        assert_eq!(talk.server.fn_number(), Some(fn_number()));
        assert!(talk.replies().is_empty());
        talk.answer(id, "acknowledged");
        let answers = talk.replies();
        assert_eq!(bodies(&answers), ["acknowledged"]);
        assert_eq!(
            (answers[0].header.flags.crc_mode(), answers[0].header.p_version),
            (mode, PVersion::FFD_1_2)
        );
    }
    assert_eq!((talk.server.in_flight(), talk.client.waiting()), (0, 0));
    assert!(talk.server.poll_event().is_none());
    assert!(!talk.server.is_closing() && !talk.server.is_finished());
}

#[test]
fn a_captured_message_gets_the_reply_of_the_worked_example() {
    let mut talk = Conversation::new();
    talk.deliver(MSG_REG11_FFD12);
    let Some(Event::Message { id, body, .. }) = talk.server.poll_event() else { panic!() };
    assert_eq!(body, MSG_REG11_FFD12[HEADER_LEN..]);
    talk.server.answer(id, Answer::Reply(vec![0xEE; 119]));
    let out = talk.transmit();
    let mut expected = MSG_REG11_FFD12[..HEADER_LEN].to_vec();
    expected[24..26].copy_from_slice(&[0x77, 0]);
    expected.extend([0xEE; 119]);
    assert_eq!(out, expected);
}

#[test]
fn a_register_repeats_after_silence() {
    let mut talk = Conversation::new();
    let document = small_container(7, 3);
    let lost = talk.send(&document, CrcMode::None);
    talk.server.answer(lost, Answer::Nothing);
    assert!(talk.transmit().is_empty());
    talk.wait(299 * SECOND);
    assert!(!talk.client.is_timed_out(talk.now));
    talk.wait(SECOND);
    assert!(talk.client.is_timed_out(talk.now));
    assert_eq!(talk.server.handle_timeout(talk.now), Some(TimeoutKind::Idle));
    assert!(talk.server.is_finished());

    let mut again = Conversation::new();
    let id = again.send(&document, CrcMode::None);
    again.answer(id, "stored");
    assert_eq!(bodies(&again.replies()), ["stored"]);
    assert_eq!(again.client.next_timeout(), None);
}

#[test]
fn answers_leave_in_the_order_of_requests() {
    let mut talk = Conversation::new();
    let ids: Vec<_> = (1..=3).map(|number| talk.send(&small_container(number, 3), CrcMode::None)).collect();
    let probe = talk.client.probe(CrcMode::None, PVersion::FFD_1_2, talk.now);
    talk.deliver(&probe);
    talk.answer(ids[2], "third");
    assert!(talk.transmit().is_empty(), "the first is still open");
    talk.answer(ids[0], "first");
    assert_eq!(bodies(&talk.replies()), ["first"]);
    assert_eq!(talk.server.in_flight(), 3);
    talk.answer(ids[1], "second");
    assert_eq!(bodies(&talk.replies()), ["second", "third", ""]);
}

#[test]
fn only_the_first_answer_counts() {
    let mut talk = Conversation::new();
    let first = talk.send(&small_container(1, 3), CrcMode::None);
    let second = talk.send(&small_container(2, 3), CrcMode::None);
    talk.answer(second, "kept");
    talk.answer(second, "dropped");
    talk.server.answer(second, Answer::Close);
    talk.answer(first, "one");
    assert_eq!(bodies(&talk.replies()), ["one", "kept"]);
    talk.answer(first, "too late");
    talk.answer(second, "too late");
    assert!(talk.transmit().is_empty());
    assert!(talk.server.wants_read());
}

#[test]
fn silence_for_one_lets_the_others_go() {
    let mut talk = Conversation::new();
    let ids: Vec<_> = (1..=3).map(|number| talk.send(&small_container(number, 3), CrcMode::None)).collect();
    talk.server.answer(ids[1], Answer::Nothing);
    talk.answer(ids[2], "third");
    talk.answer(ids[0], "first");
    assert_eq!(bodies(&talk.replies()), ["first", "third"]);
    assert!(talk.server.wants_read() && talk.server.in_flight() == 0);
}

#[test]
fn close_lets_earlier_answers_go_and_no_later_one() {
    let mut talk = Conversation::new();
    let ids: Vec<_> = (1..=4).map(|number| talk.send(&small_container(number, 3), CrcMode::None)).collect();
    talk.deliver(&message(fn_number(), CrcMode::None, &small_container(5, 3)));
    talk.answer(ids[3], "never");
    talk.server.answer(ids[2], Answer::Close);
    assert!(talk.server.is_closing() && !talk.server.is_finished() && !talk.server.wants_read());
    assert_eq!(talk.server.poll_event(), None, "a message nobody will be answered for");
    talk.deliver(&message(fn_number(), CrcMode::None, &small_container(6, 3)));
    assert_eq!((talk.server.poll_event(), talk.server.in_flight()), (None, 3));
    talk.answer(ids[3], "never");
    talk.answer(ids[1], "second");
    talk.answer(ids[0], "first");
    assert_eq!(bodies(&talk.replies()), ["first", "second"]);
    assert!(talk.server.is_finished());
    assert_eq!(talk.server.next_timeout(), None);
    assert!(talk.transmit().is_empty());
}

#[test]
fn a_client_that_expects_no_answer_gets_none() {
    let mut talk = Conversation::new();
    let mut mute = message(fn_number(), CrcMode::None, &small_container(1, 3));
    mute[26] = 0x04;
    talk.deliver(&mute);
    let Some(Event::Message { id, header, .. }) = talk.server.poll_event() else { panic!() };
    assert!(!header.flags.expects_answer());
    let second = talk.send(&small_container(2, 3), CrcMode::None);
    talk.answer(second, "second");
    talk.answer(id, "dropped");
    assert_eq!(bodies(&talk.replies()), ["second"]);

    mute[24..28].copy_from_slice(&[0, 0, 0, 0]); // a probe with the same capability is answered all the same
    talk.deliver(&mute[..HEADER_LEN]);
    assert_eq!(talk.transmit(), mute[..HEADER_LEN]);
}

#[test]
fn reserved_bits_are_passed_on() {
    let mut talk = Conversation::new();
    let mut odd = message(fn_number(), CrcMode::None, &small_container(1, 3));
    odd[26..28].copy_from_slice(&[0x1C, 0xA5]);
    talk.deliver(&odd);
    let Some(Event::Message { id, header, .. }) = talk.server.poll_event() else { panic!() };
    assert_eq!(header.flags.reserved_bits(), 0xA508);
    talk.answer(id, "served");
    assert_eq!(talk.transmit()[26..28], [0x14, 0], "they are not repeated");
}

#[test]
fn a_reply_that_cannot_be_said_ends_the_dialogue() {
    let mut talk = Conversation::new();
    let id = talk.send(&small_container(1, 3), CrcMode::None);
    talk.server.answer(id, Answer::Reply(vec![0; 65_536]));
    assert!(talk.transmit().is_empty());
    assert!(talk.server.is_finished());
}

#[test]
fn half_closed_peer_still_gets_its_answers() {
    let mut talk = Conversation::new();
    let id = talk.send(&small_container(1, 3), CrcMode::None);
    talk.deliver(&message(fn_number(), CrcMode::None, &small_container(2, 3))[..40]);
    assert!(talk.server.is_mid_message());
    talk.server.peer_closed();
    assert!(!talk.server.wants_read() && !talk.server.is_mid_message() && !talk.server.is_finished());
    assert_eq!(talk.server.next_timeout(), None);
    talk.answer(id, "still");
    assert_eq!(bodies(&talk.replies()), ["still"]);
    assert!(talk.server.is_finished());
}

#[test]
fn damage_is_final_but_earlier_answers_leave() {
    let mut talk = Conversation::new();
    let mut stream = message(fn_number(), CrcMode::None, &small_container(1, 3));
    let mut damaged = message(fn_number(), CrcMode::HeaderAndBody, &small_container(2, 3));
    *damaged.last_mut().unwrap() ^= 1;
    stream.extend(damaged);
    stream.extend(message(fn_number(), CrcMode::None, &small_container(3, 3)));
    let malformed = talk.server.receive(&stream, talk.now).unwrap_err();
    assert_eq!((malformed.reason(), malformed.offset), ("message_crc", 28));
    assert!(talk.server.is_closing() && !talk.server.is_mid_message());
    talk.deliver(&message(fn_number(), CrcMode::None, &small_container(4, 3)));
    let Some(Event::Message { id, .. }) = talk.server.poll_event() else { panic!() };
    assert_eq!(talk.server.poll_event(), None);
    talk.answer(id, "first");
    assert_eq!(talk.transmit()[HEADER_LEN..], *b"first");
    assert!(talk.server.is_finished());
}

/// Reasons for which the first bytes of a connection end it.
#[test]
fn refused_openings() {
    let check = |bytes: &[u8], expected: &str| {
        let now = beginning();
        let mut server = ServerDialogue::new(ServerLimits::default(), now);
        assert_eq!(server.receive(bytes, now).unwrap_err().reason(), expected);
        assert!(server.is_finished());
    };
    check(b"GET / HTTP/1.1\r\nHost: fiscal.example\r\n\r\n", "signature");
    check(&[0x16; 300], "signature");
    let container = small_container(1, 3);
    let with = |offset: usize, change: &[u8]| {
        let mut bytes = message(fn_number(), CrcMode::None, &container);
        bytes[offset..offset + change.len()].copy_from_slice(change);
        bytes
    };
    check(&with(4, &[0x81, 0xA3]), "s_version");
    check(&with(6, &[9, 9]), "p_version");
    check(&with(24, &[0x01, 0x84])[..HEADER_LEN], "body_size"); // 33 KiB and one byte, not yet sent
    check(&with(24, &[0, 0]), "empty_container");
    check(&with(26, &[0x10, 0]), "body_without_container");
    check(&with(26, &[0x17, 0]), "crc_mode");
    check(&with(26, &[0x15, 0]), "header_crc");
}

#[test]
fn full_flight_holds_the_register_back() {
    let mut talk = Conversation::new();
    let ids: Vec<_> = (1..=64)
        .map(|number| {
            assert!(talk.server.wants_read(), "{number}");
            talk.send(&small_container(number, 3), CrcMode::None)
        })
        .collect();
    assert!(!talk.server.wants_read());
    assert_eq!((talk.server.in_flight(), talk.timeout_after()), (64, None));

    // One read may carry messages past the limit: they are taken, and nothing more is read.
    let beyond = talk.send(&small_container(65, 3), CrcMode::None);
    assert_eq!(talk.server.in_flight(), 65);
    talk.answer(ids[0], "1");
    assert_eq!(bodies(&talk.replies()), ["1"]);
    assert!(!talk.server.wants_read());
    talk.answer(ids[2], "3");
    assert!(talk.replies().is_empty() && !talk.server.wants_read());
    talk.answer(ids[1], "2");
    assert_eq!(bodies(&talk.replies()), ["2", "3"]);
    assert!(talk.server.wants_read());
    for id in ids.into_iter().skip(3).chain([beyond]) {
        talk.server.answer(id, Answer::Nothing);
    }
    assert!(talk.transmit().is_empty());
    assert_eq!((talk.server.in_flight(), talk.timeout_after()), (0, Some(300 * SECOND)));
}

#[test]
fn a_limit_of_zero_in_flight_is_one() {
    let mut talk = Conversation::with_limits(ServerLimits { max_in_flight: 0, ..ServerLimits::default() });
    assert!(talk.server.wants_read());
    talk.send(&small_container(1, 3), CrcMode::None);
    assert!(!talk.server.wants_read());
}

#[test]
fn a_register_refuses_what_is_not_its_reply() {
    let request =
        Header::for_message(fn_number(), PVersion::FFD_1_2, CrcMode::HeaderAndBody, b"request").unwrap();
    let reply =
        |request: &Header| [request.reply_header(b"reply").unwrap().encode().as_slice(), b"reply"].concat();
    let check = |bytes: &[u8], asked: usize, expected: &str| {
        let now = beginning();
        let mut client = ClientDialogue::new(fn_number(), ClientLimits::default());
        for _ in 0..asked {
            client.send(b"request", CrcMode::HeaderAndBody, PVersion::FFD_1_2, now).unwrap();
        }
        assert_eq!(client.receive(bytes).unwrap_err().reason(), expected);
        client.send(b"request", CrcMode::HeaderAndBody, PVersion::FFD_1_2, now).unwrap();
        let before_the_flaw = client.poll_reply().is_some();
        assert_eq!(client.receive(&reply(&request)), Ok(None), "of no use any more");
        before_the_flaw
    };
    check(&reply(&request), 0, "unexpected_reply");
    assert!(check(&[reply(&request), reply(&request)].concat(), 1, "unexpected_reply"));
    let foreign = Header { fn_number: FnNumber::from_padded(b"1").unwrap(), ..request };
    assert!(!check(&reply(&foreign), 1, "foreign_reply"));
    let mut damaged = reply(&request);
    damaged[HEADER_LEN] ^= 0x80;
    assert!(!check(&damaged, 1, "message_crc"));
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n      ", 1, "signature");
    let mut large = reply(&request);
    large[24..26].copy_from_slice(&1025_u16.to_le_bytes());
    check(&large, 1, "body_size");
    let mut other_service = Header::probe(fn_number(), PVersion::FFD_1_0_OLD_1, CrcMode::None).encode();
    other_service[..6].copy_from_slice(&[0xDD, 0x80, 0xCA, 0xA1, 0x82, 0xA2]);
    check(&other_service, 1, "signature");
}

#[test]
fn a_register_takes_replies_in_pieces() {
    let mut talk = Conversation::new();
    for (number, text) in [(1, "one"), (2, "two")] {
        let id = talk.send(&small_container(number, 3), CrcMode::HeaderAndBody);
        talk.answer(id, text);
    }
    let bytes = talk.transmit();
    let mut replies = Vec::new();
    for byte in &bytes {
        replies.extend(talk.client.receive(&[*byte]).unwrap());
    }
    assert_eq!(bodies(&replies), ["one", "two"]);
    assert!(!talk.client.is_mid_message());
}
