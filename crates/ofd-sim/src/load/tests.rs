use super::prepare::PrepareError;
use super::*;
use crate::keys::SimKeys;
use crate::test_operator::{TestOperator, Trick};

fn options(to: SocketAddr, amount: Amount, mode: LoadMode) -> LoadOptions {
    LoadOptions {
        to,
        registers: 5,
        amount,
        items: Items::Most(1),
        mode,
        check: Check::Full,
        warm: Duration::ZERO,
        watch: Vec::new(),
        fn_base: 7_000,
        genuine: false,
        seed: 1,
        clock: 1_790_000_000,
        keys: Arc::new(SimKeys::published()),
        encrypted_percent: 40,
        expected_rate: 100,
        rate: None,
        answer_timeout: Duration::from_secs(5),
        retry_pause: Duration::from_millis(1),
        give_up: Duration::from_secs(20),
    }
}

fn made(options: &LoadOptions) -> Vec<RegisterLoad> {
    prepare(options, 2, &AtomicU64::new(0), &CancellationToken::new()).unwrap()
}

async fn run_all(options: &LoadOptions) -> LoadOutcome {
    run(made(options), options, Arc::default(), CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn every_mode_brings_every_document_once() {
    for mode in [LoadMode::Persistent, LoadMode::PerDocument, LoadMode::Window(8), LoadMode::Window(200)] {
        for check in [Check::Full, Check::None] {
            let operator = TestOperator::honest().await;
            let mut options = options(operator.address, Amount::Documents(203), mode);
            options.check = check;
            let report = run_all(&options).await.report;
            assert_eq!((report.documents, report.errors, report.repeats), (203, 0, 0), "{mode}");
            assert!(report.documents_per_second > 0.0 && report.seconds > 0.0);
            assert!(report.p50_us > 0 && report.p50_us <= report.p99_us && report.p99_us <= report.p999_us);
            let kept = operator.kept();
            assert_eq!(kept.len(), 203 + 5 * OPENING_DOCUMENTS);
            assert!(kept.iter().all(|(_, kept)| kept.times == 1));
        }
    }
}

#[tokio::test]
async fn a_rate_is_not_exceeded() {
    let operator = TestOperator::honest().await;
    let options = options(operator.address, Amount::Documents(20), LoadMode::Persistent);
    // Five registers of four receipts, each register twenty a second: three intervals of 50 ms.
    let report = run_all(&LoadOptions { rate: Some(100), ..options }).await.report;
    assert_eq!((report.documents, report.errors, report.repeats), (20, 0, 0));
    assert!(report.seconds >= 0.15, "{}", report.seconds);
}

#[tokio::test]
async fn a_broken_connection_is_replaced_and_its_documents_repeated() {
    for mode in [LoadMode::Persistent, LoadMode::PerDocument, LoadMode::Window(4)] {
        let operator =
            TestOperator::with(
                |fd, before| if fd.get() == 7 && before == 0 { Trick::Close } else { Trick::Honest },
            )
            .await;
        let report = run_all(&options(operator.address, Amount::Documents(100), mode)).await.report;
        assert_eq!((report.documents, report.errors), (100, 0), "{mode}");
        assert!(report.repeats >= 5, "{mode}: {}", report.repeats);
    }
}

#[tokio::test]
async fn silence_is_repeated_after_the_time_out() {
    let operator =
        TestOperator::with(
            |fd, before| if fd.get() == 4 && before == 0 { Trick::Silent } else { Trick::Honest },
        )
        .await;
    let mut options = options(operator.address, Amount::Documents(20), LoadMode::Persistent);
    options.answer_timeout = Duration::from_millis(100);
    let report = run_all(&options).await.report;
    assert_eq!((report.documents, report.errors), (20, 0));
    assert!(report.repeats >= 5);
}

#[tokio::test]
async fn wrong_answers_are_errors_unless_nothing_is_checked() {
    for trick in [Trick::WrongSign, Trick::Damaged, Trick::WrongFdNumber, Trick::Code(14)] {
        let behaviour = move |fd: ffd::FdNumber, _| if fd.get() > 2 { trick } else { Trick::Honest };
        let operator = TestOperator::with(behaviour).await;
        let checked = options(operator.address, Amount::Documents(10), LoadMode::Window(3));
        let report = run_all(&checked).await.report;
        assert_eq!((report.documents, report.errors), (0, 10), "{trick:?}");
        let operator = TestOperator::with(behaviour).await;
        let unchecked = LoadOptions { check: Check::None, to: operator.address, ..checked };
        assert_eq!(run_all(&unchecked).await.report.documents, 10);
    }
}

#[tokio::test]
async fn a_timed_run_ends_in_time_or_says_that_it_ran_dry() {
    let operator = TestOperator::honest().await;
    let dry = options(operator.address, Amount::Seconds(Duration::from_secs(3600)), LoadMode::Window(16));
    let dry = LoadOptions { expected_rate: 0, ..dry };
    let outcome = run_all(&dry).await;
    assert!(outcome.notes.iter().any(|note| note.contains("--expect")), "{:?}", outcome.notes);
    let timed = options(operator.address, Amount::Seconds(Duration::from_millis(150)), LoadMode::Persistent);
    let timed = LoadOptions { expected_rate: 50_000, fn_base: 900_000, ..timed };
    let outcome = run_all(&timed).await;
    assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
    assert!(outcome.report.seconds >= 0.15 && outcome.report.documents > 0 && outcome.report.errors == 0);
}

#[tokio::test]
async fn registers_at_a_slow_rate_have_enough_for_the_whole_time() {
    let operator = TestOperator::honest().await;
    let timed = options(operator.address, Amount::Seconds(Duration::from_millis(400)), LoadMode::Persistent);
    // Five registers, one document in a second and a quarter each: most of them have none to send.
    let timed = LoadOptions { rate: Some(4), expected_rate: 4, ..timed };
    let outcome = run_all(&timed).await;
    assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
    assert!(outcome.report.seconds >= 0.4 && outcome.report.documents <= 5, "{:?}", outcome.report);
}

#[tokio::test]
async fn cancelling_keeps_the_figures_so_far() {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let operator = TestOperator::with(move |fd, _| {
        if fd.get() == 10 {
            cancel.cancel();
        }
        Trick::Honest
    })
    .await;
    let options = options(operator.address, Amount::Documents(100_000 / 50), LoadMode::Persistent);
    let outcome = run(made(&options), &options, Arc::default(), token).await.unwrap();
    assert!(outcome.cancelled);
    assert!(outcome.report.documents >= 7 && outcome.report.documents < 2000);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let made = prepare(&options, 2, &AtomicU64::new(0), &stopped);
    assert!(matches!(made, Err(PrepareError::Cancelled)));
}

#[tokio::test]
async fn an_operator_that_refuses_the_registration_is_an_error() {
    let operator = TestOperator::with(|_, _| Trick::Code(14)).await;
    let options = options(operator.address, Amount::Documents(10), LoadMode::Persistent);
    let reason = run(made(&options), &options, Arc::default(), CancellationToken::new()).await.unwrap_err();
    assert!(reason.contains("registration"), "{reason}");
}

#[tokio::test]
async fn registers_give_up_on_a_dead_operator() {
    let operator = TestOperator::with(|fd, _| if fd.get() > 3 { Trick::Close } else { Trick::Honest }).await;
    let mut options = options(operator.address, Amount::Documents(50), LoadMode::Persistent);
    options.give_up = Duration::from_millis(50);
    let outcome = run_all(&options).await;
    assert_eq!(outcome.report.documents, 5);
    assert_eq!(outcome.report.errors, 5, "one document of each register was on its way");
    assert!(outcome.notes.iter().any(|note| note.contains("gave up")), "{:?}", outcome.notes);
}

#[test]
fn the_same_options_prepare_the_same_bytes() {
    let to = SocketAddr::from(([127, 0, 0, 1], 1));
    let options = options(to, Amount::Documents(23), LoadMode::Persistent);
    let bytes = |options: &LoadOptions| -> Vec<Vec<u8>> {
        made(options).iter().map(|load| load.bytes(load.span(0, load.len())).to_vec()).collect()
    };
    let first = bytes(&options);
    assert_eq!(first, bytes(&options));
    assert_ne!(first, bytes(&LoadOptions { seed: 2, ..options.clone() }));
    assert_eq!(first.len(), 5);
    let lengths: Vec<usize> = made(&options).iter().map(RegisterLoad::len).collect();
    assert_eq!(lengths, [7, 7, 7, 6, 6]);
}

#[test]
fn json_has_exactly_the_promised_keys() {
    let json = |watched_cpu_us| {
        let cost = Cost { sender_cpu_us: 1.5, watched_cpu_us, idle_share: 0.25, foreign_share: 0.5 };
        serde_json::to_string(&report(&LoadProgress::default(), 0.0, cost)).unwrap()
    };
    let always = r#"{"documents":0,"seconds":0.0,"documents_per_second":0.0,"p50_us":0,"p99_us":0,"p999_us":0,"errors":0,"repeats":0,"sender_cpu_us":1.5,"#;
    assert_eq!(json(None), format!(r#"{always}"idle_share":0.25,"foreign_share":0.5}}"#));
    assert_eq!(
        json(Some(9.0)),
        format!(r#"{always}"watched_cpu_us":9.0,"idle_share":0.25,"foreign_share":0.5}}"#)
    );
}

#[test]
fn no_document_is_later_than_the_till_time_of_the_run() {
    let to = SocketAddr::from(([127, 0, 0, 1], 1));
    for receipts in [1, 60] {
        let options = LoadOptions {
            registers: 1,
            encrypted_percent: 0,
            ..options(to, Amount::Documents(receipts), LoadMode::Persistent)
        };
        let load = made(&options).remove(0);
        let mut last = 0;
        for index in 0..load.len() {
            let message = load.bytes(load.span(index, index + 1));
            let container = kkt_proto::container::Container::decode(&message[30..]).unwrap();
            assert!(container.is_open());
            last = ffd::Document::decode(container.data).unwrap().time(1012).unwrap().get();
        }
        assert!(last >= options.clock && last <= options.clock + options.till_time_s());
    }
    // Hundreds of thousands for one register still fit a shift.
    let long = options(to, Amount::Seconds(Duration::from_secs(3600)), LoadMode::Window(64));
    let long = LoadOptions { registers: 1, expected_rate: 40_000, ..long };
    assert!(long.receipts_of(0) > 200_000_000 && long.till_time_s() <= 24 * 3600);
}
