//! Dialogues made up at random.

use proptest::prelude::*;

use super::*;
use crate::testing::any_fn_number;

/// What the operator decides for a message of the random dialogue.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Reply,
    Nothing,
    Close,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Reply), 2 => Just(Fate::Nothing), 1 => Just(Fate::Close)]
}

/// Everything a server dialogue makes of `stream` cut into pieces; events and the first refusal.
fn events_of(stream: &[u8], pieces: &[usize]) -> (Vec<Event>, Option<&'static str>) {
    let now = beginning();
    let mut server = ServerDialogue::new(ServerLimits::default(), now);
    let (mut events, mut refusal, mut rest) = (Vec::new(), None, stream);
    for size in pieces.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        if let Err(malformed) = server.receive(piece, now) {
            assert!(refusal.is_none(), "refused twice");
            refusal = Some(malformed.reason());
        }
        events.extend(std::iter::from_fn(|| server.poll_event()));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    (events, refusal)
}

proptest! {
    #[test]
    fn any_order_of_answering_gives_the_order_of_requests(
        fates in prop::collection::vec((any_fate(), any::<bool>()), 1..40),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut talk = Conversation::new();
        let mut ids = Vec::new();
        let mut expected = Vec::new();
        let mut closed = false;
        for (number, (fate, expects_answer)) in (0..).zip(&fates) {
            let mut bytes = message(fn_number(), CrcMode::None, &small_container(number + 1, 3));
            bytes[26] = if *expects_answer { 0x14 } else { 0x04 };
            talk.deliver(&bytes);
            let Some(Event::Message { id, .. }) = talk.server.poll_event() else { panic!() };
            ids.push((id, *fate, number));
            closed |= matches!(fate, Fate::Close);
            if !closed && *expects_answer && matches!(fate, Fate::Reply) {
                expected.extend_from_slice(&message(fn_number(), CrcMode::None, number.to_string().as_bytes()));
            }
        }
        let mut out = Vec::new();
        while !ids.is_empty() {
            let (id, fate, number) = ids.swap_remove(shuffle.index(ids.len()));
            talk.server.answer(id, match fate {
                Fate::Reply => Answer::Reply(number.to_string().into_bytes()),
                Fate::Nothing => Answer::Nothing,
                Fate::Close => Answer::Close,
            });
            if talk.server.wants_transmit() {
                talk.server.poll_transmit(&mut out, talk.now);
            }
        }
        prop_assert_eq!(out, expected);
        prop_assert_eq!(talk.server.in_flight(), 0);
        prop_assert_eq!(talk.server.is_finished(), closed);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_events(
        messages in prop::collection::vec((any_fn_number(), 0_usize..3, prop::collection::vec(any::<u8>(), 0..200)), 1..8),
        flip in prop::option::of(any::<prop::sample::Index>()),
        pieces in prop::collection::vec(1_usize..300, 1..20),
    ) {
        let mut stream = Vec::new();
        for (fn_number, mode, body) in &messages {
            let mode = [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody][*mode];
            if body.is_empty() {
                stream.extend_from_slice(&Header::probe(*fn_number, PVersion::FFD_1_2, mode).encode());
            } else {
                stream.extend_from_slice(&message(*fn_number, mode, body));
            }
        }
        if let Some(flip) = flip {
            let bit = flip.index(stream.len() * 8);
            stream[bit / 8] ^= 1 << (bit % 8);
        }
        let (events, refusal) = events_of(&stream, &[stream.len()]);
        if flip.is_none() {
            prop_assert_eq!((events.len(), refusal), (messages.len(), None));
        }
        prop_assert_eq!(events_of(&stream, &pieces), (events, refusal));
    }

    #[test]
    fn garbage_never_panics(
        kept in 0_usize..200,
        garbage in prop::collection::vec(any::<u8>(), 1..400),
        pieces in prop::collection::vec(1_usize..300, 1..20),
    ) {
        let stream = [&MSG_REG11_FFD12[..kept], &garbage].concat();
        let whole = events_of(&stream, &[stream.len()]);
        prop_assert_eq!(events_of(&stream, &pieces), whole);
        let mut client = ClientDialogue::new(fn_number(), ClientLimits::default());
        let _refused_or_unfinished = client.receive(&stream);
    }
}
