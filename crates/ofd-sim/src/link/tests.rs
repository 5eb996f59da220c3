use ffd::FfdVersion;

use super::*;
use crate::keys::SimKeys;
use crate::kkt::{Kkt, KktSettings, OperatorCard, Pace};
use crate::storage::{RefusalReason, Reread};
use crate::test_operator::{TestOperator, Trick};

fn kkt(encrypted: bool) -> Kkt {
    let settings = KktSettings {
        fn_number: FnNumber::from_padded(b"9999000000000777").unwrap(),
        ffd: FfdVersion::V1_2,
        encrypted,
        reread: Reread::EncryptAnew,
        seed: 5,
        clock: 1_790_000_000,
        pace: Pace::new(1, 60),
        operator: OperatorCard::default(),
    };
    let mut kkt = Kkt::new(&settings, &SimKeys::published()).unwrap();
    kkt.register().unwrap();
    kkt
}

fn link(to: SocketAddr, kkt: &Kkt, crc_mode: CrcMode) -> Link {
    Link::new(LinkSettings {
        to,
        fn_number: kkt.storage().number(),
        p_version: kkt.p_version(),
        crc_mode,
        persistent: true,
        timing: LinkTiming {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_millis(200),
            retry_pause: Duration::from_millis(1),
            attempts: 3,
        },
    })
}

#[tokio::test]
async fn exchanges_in_every_crc_mode() {
    let operator = TestOperator::honest().await;
    for mode in [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody] {
        let mut kkt = kkt(false);
        let mut link = link(operator.address, &kkt, mode);
        let container = kkt.storage().front().unwrap().container.clone();
        let reply = link.exchange(&container, &CancellationToken::new()).await.unwrap();
        assert_eq!(reply.header.flags.crc_mode(), mode);
        assert_eq!(kkt.storage_mut().acknowledge(&reply.body).unwrap().code, 0);
        assert_eq!(kkt.storage().waiting(), 0);
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_and_the_repeat_compared() {
    let operator = TestOperator::honest().await;
    let kkt = kkt(false);
    let mut link = link(operator.address, &kkt, CrcMode::None);
    let container = kkt.storage().front().unwrap().container.clone();
    let token = CancellationToken::new();
    let lost = link.attempt(&container, Fate::LoseAnswer, &token).await;
    assert!(matches!(lost, Err(Silence::Lost)));
    let first = link.exchange(&container, &token).await.unwrap();
    let second = link.exchange(&container, &token).await.unwrap();
    assert_eq!(first.body, second.body);
    let counts = link.counts();
    assert_eq!((counts.messages, counts.repeats, counts.lost_answers), (3, 2, 1));
    assert_eq!((counts.repeats_equal, counts.repeats_different, counts.reconnects), (1, 0, 1));
}

#[tokio::test]
async fn an_answer_sealed_anew_is_noticed() {
    let operator = TestOperator::with(|_, _| Trick::SealAnew).await;
    let kkt = kkt(false);
    let mut link = link(operator.address, &kkt, CrcMode::None);
    let container = kkt.storage().front().unwrap().container.clone();
    for _ in 0..2 {
        link.exchange(&container, &CancellationToken::new()).await.unwrap();
    }
    assert_eq!((link.counts().repeats_equal, link.counts().repeats_different), (0, 1));
}

#[tokio::test]
async fn silence_and_a_closed_connection_are_repeated() {
    for (trick, persistent_silences) in [(Trick::Silent, 2), (Trick::Close, 2)] {
        let operator =
            TestOperator::with(move |_, before| if before < 2 { trick } else { Trick::Honest }).await;
        let kkt = kkt(false);
        let mut link = link(operator.address, &kkt, CrcMode::None);
        let container = kkt.storage().front().unwrap().container.clone();
        link.exchange(&container, &CancellationToken::new()).await.unwrap();
        assert_eq!(link.counts().silences, persistent_silences);
        assert_eq!(link.counts().repeats, 2);
        assert_eq!(operator.kept()[0].1.times, 3);
    }
}

#[tokio::test]
async fn tries_end_and_nobody_listening_is_told() {
    let operator = TestOperator::with(|_, _| Trick::Close).await;
    let kkt = kkt(false);
    let container = kkt.storage().front().unwrap().container.clone();
    let token = CancellationToken::new();
    let mut to_closer = link(operator.address, &kkt, CrcMode::None);
    assert!(matches!(to_closer.exchange(&container, &token).await, Err(Silence::Closed(_))));
    assert_eq!(to_closer.counts().messages, 3);
    let address = operator.address;
    drop(operator);
    // The listener is dropped with its task; connecting again either fails or finds nobody who answers.
    let mut to_nobody = link(address, &kkt, CrcMode::None);
    assert!(to_nobody.exchange(&container, &token).await.is_err());
    token.cancel();
    assert!(matches!(to_nobody.exchange(&container, &token).await, Err(Silence::Cancelled)));
}

#[tokio::test]
async fn the_first_try_counts_among_the_tries() {
    let operator = TestOperator::with(|_, _| Trick::Close).await;
    let kkt = kkt(false);
    let container = kkt.storage().front().unwrap().container.clone();
    for attempts in [1, 2, 5] {
        let mut link = link(operator.address, &kkt, CrcMode::None);
        link.settings.timing.attempts = attempts;
        assert!(link.exchange(&container, &CancellationToken::new()).await.is_err());
        assert_eq!(link.counts().messages, u64::from(attempts));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_tried_again() {
    let operator = TestOperator::honest().await;
    let mut link = link(operator.address, &kkt(false), CrcMode::None);
    // A second try would wait for ever.
    link.settings.timing.retry_pause = Duration::from_secs(1_000_000);
    let outcome = link.exchange(&[0; 65_536], &CancellationToken::new()).await;
    assert!(matches!(outcome, Err(Silence::TooLong(_))));
    assert_eq!((link.counts().messages, link.counts().silences), (0, 0));
}

#[tokio::test]
async fn every_refusal_reason_comes_from_the_wire() {
    let cases = [
        (Trick::WrongSign, RefusalReason::Sign),
        (Trick::WrongOperatorSign, RefusalReason::Sign),
        (Trick::WrongKind, RefusalReason::Format),
        (Trick::WrongForm, RefusalReason::Format),
        (Trick::Damaged, RefusalReason::Format),
        (Trick::WrongFdNumber, RefusalReason::FdNumber),
        (Trick::WrongFnNumber, RefusalReason::FnNumber),
    ];
    for (trick, expected) in cases {
        let operator = TestOperator::with(move |_, _| trick).await;
        let mut kkt = kkt(false);
        let mut link = link(operator.address, &kkt, CrcMode::None);
        let container = kkt.storage().front().unwrap().container.clone();
        let reply = link.exchange(&container, &CancellationToken::new()).await.unwrap();
        assert_eq!(kkt.storage_mut().acknowledge(&reply.body), Err(expected), "{trick:?}");
        assert_eq!(kkt.storage().waiting(), 1, "the document stays in the queue");
    }
}

#[tokio::test]
async fn encrypted_exchange_survives_a_second_reading() {
    let operator = TestOperator::honest().await;
    let mut kkt = kkt(true);
    let mut link = link(operator.address, &kkt, CrcMode::None);
    let token = CancellationToken::new();
    let first = kkt.storage().front().unwrap().container.clone();
    assert!(link.attempt(&first, Fate::LoseAnswer, &token).await.is_err());
    kkt.storage_mut().reread_front();
    let second = kkt.storage().front().unwrap().container.clone();
    assert_ne!(first, second);
    let reply = link.exchange(&second, &token).await.unwrap();
    assert_eq!(kkt.storage_mut().acknowledge(&reply.body).unwrap().code, 0);
    assert_eq!(link.counts().repeats, 1, "another vector, the same document");
}

#[tokio::test]
async fn a_probe_is_answered() {
    let operator = TestOperator::honest().await;
    let kkt = kkt(false);
    let mut link = link(operator.address, &kkt, CrcMode::Header);
    let reply = link.probe().await.unwrap();
    assert!(reply.body.is_empty());
    assert_eq!(reply.header.flags.bits(), 0);
}
