//! Both ends of the dialogue, fed with anything.
//!
//! However the stream is cut, it holds the same messages; what came out of it is the stream, byte for byte; damage ends
//! it at the same place. Nothing is taken beyond the limits, answers leave in the order of the requests, and a register
//! reads from them what was answered.

use std::time::{Duration, Instant};

use kkt_proto::Malformed;
use kkt_proto::client::{ClientDialogue, ClientLimits, Reply};
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, PVersion, Signature};
use kkt_proto::server::{Answer, Event, MessageId, ServerDialogue, ServerLimits};

use super::dice::Dice;

/// Small limits, so that short inputs reach them.
const MAX_BODY_BYTES: usize = 2048;
const MAX_IN_FLIGHT: usize = 3;
/// More than a session header can announce.
const TOO_LONG: usize = 0x1_0000;

/// Checks one stream of bytes, as a register may send it.
pub fn check(stream: &[u8]) {
    let mut dice = Dice::of(stream);
    let now = Instant::now();
    let at_once = listen(&[stream], now);
    let single_bytes: Vec<&[u8]> = if stream.len() <= 512 { stream.chunks(1).collect() } else { Vec::new() };
    for pieces in [dice.pieces(stream), single_bytes] {
        if !pieces.is_empty() {
            assert_eq!(listen(&pieces, now), at_once, "the same bytes in other pieces");
        }
    }
    let (requests, consumed) = compare(stream, &at_once);
    if at_once.damage.is_none() {
        let rest = &stream[consumed..];
        assert_eq!(at_once.is_mid_message, !rest.is_empty());
        assert!(rest.len() < HEADER_LEN + MAX_BODY_BYTES, "kept beyond the limit");
    }
    let (sent, replies) = converse(stream, &mut dice, now);
    register_reads(&requests, &sent, replies, &mut dice);
    register_reads_anything(stream, &mut dice);
}

fn limits() -> ServerLimits {
    ServerLimits {
        max_body_bytes: MAX_BODY_BYTES,
        max_in_flight: MAX_IN_FLIGHT,
        message_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(300),
    }
}

/// What a listener who never answers hears.
#[derive(Debug, PartialEq)]
struct Heard {
    events: Vec<Event>,
    damage: Option<Malformed>,
    is_mid_message: bool,
}

fn listen(pieces: &[&[u8]], now: Instant) -> Heard {
    let mut server = ServerDialogue::new(limits(), now);
    let mut heard = Heard { events: Vec::new(), damage: None, is_mid_message: false };
    for piece in pieces {
        let outcome = server.receive(piece, now);
        if let Err(damage) = outcome {
            assert!(heard.damage.is_none(), "read on after damage");
            assert!(!damage.to_string().is_empty() && server.is_closing() && !server.wants_read());
            heard.damage = Some(damage);
        }
        heard.events.extend(std::iter::from_fn(|| server.poll_event()));
    }
    heard.is_mid_message = server.is_mid_message();
    heard
}

/// Holds the events against the bytes; gives the headers of the messages and how many bytes they took.
fn compare(stream: &[u8], heard: &Heard) -> (Vec<Header>, usize) {
    let mut rest = stream;
    let mut headers = Vec::new();
    for event in &heard.events {
        let (head, after) = rest.split_first_chunk::<HEADER_LEN>().expect("an event has a header");
        let header = Header::decode(head).expect("the header of an event reads");
        let mut body: &[u8] = &[];
        rest = after;
        match event {
            Event::Probe { .. } => assert!(header.is_probe()),
            Event::Message { header: told, body: received, .. } => {
                assert_eq!(*told, header);
                (body, rest) = after.split_at(usize::from(header.body_len));
                assert_eq!(received, body);
                assert!(!body.is_empty() && body.len() <= MAX_BODY_BYTES);
            }
        }
        assert_eq!(header.encode(), *head);
        assert_eq!(header.check_crc(body), Ok(()));
        headers.push(header);
    }
    (headers, stream.len() - rest.len())
}

/// A message whose answer is still to be made.
struct Owed {
    id: MessageId,
    header: Header,
    body: Vec<u8>,
    place: usize,
}

/// A conversation with late answers out of order, silences, closings and passing time. Gives what was sent and in how
/// many replies.
fn converse(stream: &[u8], dice: &mut Dice, begin: Instant) -> (Vec<u8>, usize) {
    let mut now = begin;
    let mut server = ServerDialogue::new(limits(), now);
    let pieces = dice.pieces(stream);
    let mut coming = pieces.iter();
    let mut owed: Vec<Owed> = Vec::new();
    // What is to leave for each message in order; `None` ends it.
    let mut expected: Vec<Option<Vec<u8>>> = Vec::new();
    let (mut sent, mut replies) = (Vec::new(), 0);
    let mut heads = stream;
    for _ in 0..2 * stream.len() + 2 {
        let mut most = server.in_flight();
        if server.wants_read() {
            assert!(most < MAX_IN_FLIGHT, "read on with {most} messages in flight");
            match coming.next() {
                Some(piece) => {
                    most += piece.len() / HEADER_LEN + 1;
                    let _ = server.receive(piece, now);
                }
                None => server.peer_closed(),
            }
        }
        while let Some(event) = server.poll_event() {
            let place = expected.len();
            let header = Header::decode(heads.first_chunk().unwrap()).unwrap();
            heads = &heads[HEADER_LEN + usize::from(header.body_len)..];
            match event {
                Event::Probe { .. } => expected.push(Some(header.probe_reply().encode().to_vec())),
                Event::Message { id, header, body } => {
                    expected.push(Some(Vec::new()));
                    owed.push(Owed { id, header, body, place });
                }
            }
        }
        assert!(server.in_flight() <= most, "{} messages in flight, at most {most}", server.in_flight());
        if !owed.is_empty() && (!server.wants_read() || dice.below(3) == 0) {
            let chosen = owed.swap_remove(dice.below(owed.len()));
            let (answer, leaves) = decide(&chosen, dice);
            server.answer(chosen.id, answer);
            if let Some(place) = expected.get_mut(chosen.place) {
                *place = leaves;
                if place.is_none() {
                    expected.truncate(chosen.place + 1);
                }
            }
        }
        replies += server.poll_transmit(&mut sent, now);
        now += Duration::from_secs(u64::try_from(dice.below(20)).unwrap());
        if server.next_timeout().is_some_and(|deadline| deadline <= now) {
            assert!(server.handle_timeout(now).is_some() && server.is_closing());
        }
        if server.is_finished() {
            break;
        }
    }
    assert!(server.is_finished() && server.in_flight() == 0, "the dialogue does not end");
    let expected: Vec<u8> = expected.into_iter().map_while(|leaves| leaves).flatten().collect();
    assert_eq!(sent, expected, "replies as they were decided, in order");
    (sent, replies)
}

/// An answer, and the bytes that must leave for it; `None` when nothing leaves any more.
fn decide(owed: &Owed, dice: &mut Dice) -> (Answer, Option<Vec<u8>>) {
    match dice.below(48) {
        0 => (Answer::Close, None),
        1 if owed.header.flags.expects_answer() => (Answer::Reply(vec![0; TOO_LONG]), None),
        2..8 => (Answer::Nothing, Some(Vec::new())),
        _ => {
            let container = owed.body.clone();
            let header = owed.header.reply_header(&container).expect("as long as the request");
            let leaves = if owed.header.flags.expects_answer() {
                [header.encode().as_slice(), container.as_slice()].concat()
            } else {
                Vec::new()
            };
            (Answer::Reply(container), Some(leaves))
        }
    }
}

fn client_limits() -> ClientLimits {
    ClientLimits { max_body_bytes: MAX_BODY_BYTES, ..ClientLimits::default() }
}

/// One register reads all replies to its own requests.
fn register_reads(requests: &[Header], sent: &[u8], replies: usize, dice: &mut Dice) {
    let Some(first) = requests.first() else { return };
    let honest = |header: &Header| header.fn_number == first.fn_number && header.signature == Signature::OFD;
    if !requests.iter().all(honest) {
        return;
    }
    let mut client = ClientDialogue::new(first.fn_number, client_limits());
    for header in requests {
        let _ = client.probe(CrcMode::None, header.p_version, Instant::now());
    }
    let heard = hear(&mut client, &dice.pieces(sent));
    assert_eq!(heard.map(|heard| heard.len()), Ok(replies));
    assert!(!client.is_mid_message());
}

/// A register that gets anything: the same however it is cut, no reply beyond its limits.
fn register_reads_anything(stream: &[u8], dice: &mut Dice) {
    let head = stream.first_chunk::<HEADER_LEN>();
    let Some(header) = head.and_then(|head| Header::decode(head).ok()) else { return };
    let [at_once, in_pieces] = [vec![stream], dice.pieces(stream)].map(|pieces| {
        let mut client = ClientDialogue::new(header.fn_number, client_limits());
        for _ in 0..4 {
            let _ = client.probe(CrcMode::None, PVersion::FFD_1_2, Instant::now());
        }
        hear(&mut client, &pieces)
    });
    assert_eq!(at_once, in_pieces);
    let all_fit = |replies: &Vec<Reply>| {
        replies.len() <= 4 && replies.iter().all(|reply| reply.body.len() <= MAX_BODY_BYTES)
    };
    assert!(at_once.as_ref().map_or_else(|(replies, _)| all_fit(replies), all_fit));
}

type HeardOrDamage = Result<Vec<Reply>, (Vec<Reply>, Malformed)>;

fn hear(client: &mut ClientDialogue, pieces: &[&[u8]]) -> HeardOrDamage {
    let mut replies = Vec::new();
    for piece in pieces {
        let outcome = client.receive(piece);
        if let Ok(reply) = &outcome {
            replies.extend(reply.clone());
        }
        replies.extend(std::iter::from_fn(|| client.poll_reply()));
        if let Err(damage) = outcome {
            return Err((replies, damage));
        }
    }
    Ok(replies)
}
