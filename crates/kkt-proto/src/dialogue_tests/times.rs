//! What runs out, and what does not.

use super::*;

#[test]
fn idle_time_runs_from_the_last_message_or_answer_and_not_meanwhile() {
    let mut talk = Conversation::new();
    assert_eq!(talk.timeout_after(), Some(300 * SECOND));
    talk.wait(299 * SECOND);
    assert_eq!(talk.server.handle_timeout(talk.now), None);
    let id = talk.send(&small_container(1, 3), CrcMode::None);
    assert_eq!(talk.timeout_after(), None, "an answer is owed");
    talk.wait(1000 * SECOND);
    assert_eq!(talk.server.handle_timeout(talk.now), None);
    talk.answer(id, "at last");
    assert_eq!(bodies(&talk.replies()), ["at last"]);
    assert_eq!(talk.timeout_after(), Some(300 * SECOND));

    talk.wait(100 * SECOND);
    let probe = talk.client.probe(CrcMode::None, PVersion::FFD_1_2, talk.now);
    talk.deliver(&probe);
    assert_eq!(talk.replies().len(), 1);
    assert!(talk.server.poll_event().is_some());
    assert_eq!(talk.timeout_after(), Some(300 * SECOND));
    talk.wait(300 * SECOND - Duration::from_nanos(1));
    assert_eq!(talk.server.handle_timeout(talk.now), None);
    talk.wait(Duration::from_nanos(1));
    assert_eq!(talk.server.handle_timeout(talk.now), Some(TimeoutKind::Idle));
    assert!(talk.server.is_finished());
    assert_eq!(talk.server.handle_timeout(talk.now), None, "said once");
}

#[test]
fn a_dribbling_peer_cannot_stretch_its_message() {
    let mut talk = Conversation::new();
    talk.wait(290 * SECOND);
    let bytes = message(fn_number(), CrcMode::None, &small_container(1, 3));
    for (second, byte) in (0..30).zip(&bytes) {
        talk.deliver(&[*byte]);
        assert!(talk.server.is_mid_message());
        assert_eq!(talk.timeout_after(), Some((30 - second) * SECOND));
        assert_eq!(talk.server.handle_timeout(talk.now), None);
        talk.wait(SECOND);
    }
    assert_eq!(talk.server.handle_timeout(talk.now), Some(TimeoutKind::UnfinishedMessage));
    talk.deliver(&bytes[30..]);
    assert_eq!(talk.server.poll_event(), None);
    assert!(talk.server.is_finished());
}

#[test]
fn each_message_has_its_own_time() {
    let mut talk = Conversation::new();
    let bytes = message(fn_number(), CrcMode::None, &small_container(1, 3));
    talk.deliver(&bytes[..40]);
    talk.wait(20 * SECOND);
    talk.deliver(&[&bytes[40..], &bytes[..5]].concat()); // the second begins now
    assert_eq!(talk.timeout_after(), Some(30 * SECOND), "also while an answer to the first is owed");
    talk.wait(29 * SECOND);
    talk.deliver(&bytes[5..]);
    assert_eq!(talk.timeout_after(), None);
    assert_eq!(talk.server.in_flight(), 2);
}

#[test]
fn an_unfinished_message_in_time_out_leaves_earlier_answers_alone() {
    let mut talk = Conversation::new();
    let id = talk.send(&small_container(1, 3), CrcMode::None);
    talk.deliver(&MSG_REG11_FFD12[..200]);
    talk.wait(30 * SECOND);
    assert_eq!(talk.server.handle_timeout(talk.now), Some(TimeoutKind::UnfinishedMessage));
    talk.answer(id, "first");
    assert_eq!(bodies(&talk.replies()), ["first"]);
    assert!(talk.server.is_finished());
}

#[test]
fn time_we_do_not_read_is_not_held_against_the_peer() {
    let mut talk = Conversation::with_limits(ServerLimits { max_in_flight: 1, ..ServerLimits::default() });
    let id = talk.send(&small_container(1, 3), CrcMode::None);
    let second = message(fn_number(), CrcMode::None, &small_container(2, 3));
    talk.deliver(&second[..40]);
    talk.wait(100 * SECOND);
    assert_eq!((talk.timeout_after(), talk.server.handle_timeout(talk.now)), (None, None));
    talk.answer(id, "one");
    assert_eq!(bodies(&talk.replies()), ["one"]);
    assert_eq!(talk.timeout_after(), Some(30 * SECOND));
    talk.deliver(&second[40..]);
    assert!(talk.server.poll_event().is_some());
}

#[test]
fn endless_time_outs_never_come() {
    let limits =
        ServerLimits { idle_timeout: Duration::MAX, message_timeout: Duration::MAX, ..Default::default() };
    let mut talk = Conversation::with_limits(limits);
    assert_eq!(talk.timeout_after(), None);
    talk.deliver(&MSG_REG11_FFD12[..3]);
    assert_eq!((talk.timeout_after(), talk.server.handle_timeout(talk.now)), (None, None));
}
