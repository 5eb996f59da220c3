use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::link::LinkTiming;
use crate::test_operator::{TestOperator, Trick};

fn options(operator: &TestOperator, registers: u32, receipts: u32) -> LiveOptions {
    let mut options = LiveOptions::new(operator.address, registers, receipts, 5_000, 1_790_000_000);
    options.timing = LinkTiming {
        connect_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
        retry_pause: Duration::from_millis(1),
        attempts: 4,
    };
    options.encrypted_percent = 50;
    options
}

async fn run_all(options: LiveOptions) -> LiveReport {
    run(options, Arc::new(LiveProgress::default()), CancellationToken::new()).await
}

#[tokio::test]
async fn an_honest_day_is_clean_and_agrees_with_the_operator() {
    for connections in [Connections::Persistent, Connections::PerDocument] {
        let operator = TestOperator::honest().await;
        let mut options = options(&operator, 6, 9);
        options.connections = connections;
        let report = run_all(options).await;
        assert!(report.is_clean(), "{report:?}");
        let counts = &report.counts;
        assert_eq!(counts.documents, 6 * (9 + 4));
        assert_eq!(counts.acknowledged(), counts.documents);
        assert_eq!(counts.by_form, [(1, 6), (2, 6), (3, 45), (4, 9), (5, 6), (31, 5), (41, 1)].into());
        assert_eq!(counts.registers_finished, 6);
        assert_eq!(counts.lost_answers, 6);
        assert_eq!((counts.repeats_equal, counts.repeats_different), (6, 0));
        assert_eq!(counts.repeats, 12, "one after the lost answer, one deliberate");
        assert_eq!(counts.messages, counts.documents + counts.repeats);
        assert!(counts.turnover_kopecks > 0);
        let kept = operator.kept();
        assert_eq!(u64::try_from(kept.len()).unwrap(), counts.documents);
        assert_eq!(kept.iter().map(|(_, kept)| u64::from(kept.times)).sum::<u64>(), counts.messages);
        assert!(report.registers.iter().all(|register| register.waiting == 0 && register.failure.is_none()));
    }
}

#[tokio::test]
async fn whole_lives_are_clean_and_every_storage_is_reported() {
    for offline_days in [0, 3] {
        let operator = TestOperator::honest().await;
        let mut options = options(&operator, 9, 3);
        (options.days, options.offline_days) = (8, offline_days);
        options.zones = "all".parse().unwrap();
        let expected = options.documents();
        let report = run_all(options).await;
        assert!(report.is_clean(), "{report:?}");
        let counts = &report.counts;
        assert_eq!((counts.documents, counts.acknowledged()), (expected, expected));
        assert_eq!((counts.lost_answers, counts.repeats_equal), (9, 9));
        assert!(counts.by_form[&6] > 0 && counts.by_form[&11] > 0 && counts.by_form[&21] > 0);
        assert!(report.registers.len() > 9, "some storages were replaced: {report:?}");
        let kept = operator.kept();
        for register in &report.registers {
            let of_storage = kept.iter().filter(|((number, _), _)| *number == register.fn_number);
            assert_eq!(of_storage.count(), usize::try_from(register.documents).unwrap());
        }
    }
}

#[tokio::test]
async fn what_the_operator_says_in_ffd_1_1_stands_in_the_next_shift_report() {
    let operator =
        TestOperator::with(|fd, _| if fd.get() == 3 { Trick::Code(14) } else { Trick::Honest }).await;
    let mut options = options(&operator, 1, 2);
    options.ffd = "1.1".parse().unwrap();
    let report = run_all(options).await;
    assert_eq!((report.counts.format_logic, report.counts.refused()), (1, 0));
    for (_, kept) in operator.kept() {
        let document = ffd::Document::decode(&kept.document).unwrap();
        let expected = (document.form() == ffd::FormCode::SHIFT_CLOSE).then_some(2);
        assert_eq!(document.unsigned(1206), expected, "form {}", document.form());
    }
}

#[tokio::test]
async fn the_same_seed_lives_the_same_day() {
    let mut days = Vec::new();
    for seed in [3, 3, 4] {
        let operator = TestOperator::honest().await;
        let mut options = options(&operator, 3, 4);
        options.seed = seed;
        run_all(options).await;
        let documents: Vec<_> =
            operator.kept().into_iter().map(|(key, kept)| (key, kept.container)).collect();
        days.push(documents);
    }
    assert_eq!(days[0], days[1]);
    assert_ne!(days[0], days[2]);
}

#[tokio::test]
async fn refused_answers_are_counted_and_the_document_sent_again() {
    // The fourth document is first answered with a wrong sign, then honestly.
    let operator =
        TestOperator::with(
            |fd, before| {
                if fd.get() == 5 && before == 0 { Trick::WrongSign } else { Trick::Honest }
            },
        )
        .await;
    let report = run_all(options(&operator, 2, 4)).await;
    assert_eq!(report.counts.refused_sign, 2);
    assert_eq!(report.counts.accepted, report.counts.documents);
    assert!(!report.is_clean(), "a refusal is not clean");
}

#[tokio::test]
async fn codes_are_counted_apart() {
    let operator = TestOperator::with(|fd, _| match fd.get() {
        2 => Trick::Code(14),
        5 => Trick::Code(11),
        6 => Trick::Code(77),
        _ => Trick::Honest,
    })
    .await;
    let report = run_all(options(&operator, 1, 4)).await;
    let counts = &report.counts;
    assert_eq!((counts.format_logic, counts.unrecognised, counts.other_codes), (1, 1, 1));
    assert_eq!(counts.acknowledged(), counts.documents);
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_changed_answer_to_a_repeat_is_seen() {
    let operator =
        TestOperator::with(|_, before| if before == 0 { Trick::Honest } else { Trick::SealAnew }).await;
    let report = run_all(options(&operator, 1, 3)).await;
    assert_eq!((report.counts.repeats_equal, report.counts.repeats_different), (0, 1));
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_register_gives_up_and_says_why() {
    let operator = TestOperator::with(|fd, _| if fd.get() == 2 { Trick::Close } else { Trick::Honest }).await;
    let report = run_all(options(&operator, 2, 3)).await;
    assert_eq!(report.counts.registers_failed, 2);
    assert_eq!(report.registers[0].waiting, 1);
    assert!(report.registers[0].failure.as_ref().unwrap().starts_with("document 2"), "{report:?}");
    assert_eq!(report.counts.silences, 2 * 4, "four tries of each register, the first included");
}

#[tokio::test]
async fn one_attempt_is_one_connection() {
    // The document that is lost on purpose gets through all the same.
    let operator = TestOperator::honest().await;
    let mut once = options(&operator, 1, 3);
    once.timing.attempts = 1;
    assert!(run_all(once.clone()).await.is_clean());
    for trick in [Trick::Close, Trick::WrongSign] {
        let operator = TestOperator::with(move |_, _| trick).await;
        let report = run_all(LiveOptions { to: operator.address, ..once.clone() }).await;
        assert_eq!((report.counts.messages, report.counts.registers_failed), (1, 1), "{trick:?}");
        assert_eq!(operator.kept()[0].1.times, 1);
    }
}

#[tokio::test]
async fn the_mix_does_not_depend_on_the_storage_numbers() {
    let mut mixes = Vec::new();
    for fn_base in [1, 78_900_000_042, 999_999_000_000] {
        let operator = TestOperator::honest().await;
        let options = LiveOptions { fn_base, seed: 7, encrypted_percent: 33, ..options(&operator, 6, 1) };
        run_all(options).await;
        let kept = operator.kept();
        let registrations = kept.iter().filter(|((_, fd_number), _)| fd_number.get() == 1);
        mixes.push(registrations.map(|(_, kept)| kept.encrypted()).collect::<Vec<_>>());
    }
    assert_eq!(mixes[0].len(), 6);
    assert!(mixes[0].contains(&true) && mixes[0].contains(&false));
    assert!(mixes.iter().all(|mix| *mix == mixes[0]), "{mixes:?}");
}

#[test]
fn a_day_that_ends_now_has_no_document_in_the_future() {
    for receipts in [0, 20, 1_000_000] {
        let options = LiveOptions::starting_now(SocketAddr::from(([127, 0, 0, 1], 1)), 1, receipts);
        let end = options.day_start + crate::life::length_s(receipts, 1);
        assert!(end <= crate::fleet::till_clock_now() && end - options.day_start <= 24 * 3600);
    }
}

#[tokio::test]
async fn cancelling_ends_the_day_with_the_counts_so_far() {
    let token = CancellationToken::new();
    let cancel = token.clone();
    let operator = TestOperator::with(move |fd, _| {
        if fd.get() == 3 {
            cancel.cancel();
            return Trick::Silent;
        }
        Trick::Honest
    })
    .await;
    let report = run(options(&operator, 1, 50), Arc::new(LiveProgress::default()), token).await;
    assert!(report.cancelled);
    assert_eq!(report.counts.accepted, 2);
    assert_eq!(report.counts.registers_failed, 0);
}

/// Registers whose receipts are spoiled with `faults`, and an operator that answers them with `code`.
async fn spoiled(faults: &str, code: u8) -> LiveReport {
    let operator =
        TestOperator::with(move |fd, _| if fd.get() == 3 { Trick::Code(code) } else { Trick::Honest }).await;
    let mut options = options(&operator, 2, 4);
    options.faults = Some(Arc::new(faults.parse().unwrap()));
    run_all(options).await
}

#[tokio::test]
async fn a_hard_fault_must_be_answered_with_14_and_a_soft_one_with_0() {
    // The third document is the first receipt, the first one that fits.
    let check = |report: &LiveReport, fault: &str, code: u8, clean: bool| {
        assert_eq!(report.is_clean(), clean, "{report:?}");
        for register in &report.registers {
            let [spoiled] = register.spoiled.as_slice() else { panic!("{report:?}") };
            assert_eq!((spoiled.fd_number.get(), spoiled.fault, spoiled.code), (3, Some(fault), code));
        }
        assert_eq!(report.counts.by_fault.get(fault), Some(&2));
        assert_eq!(report.counts.unexpected_codes, if clean { 0 } else { 2 });
    };
    for (code, clean) in [(14, true), (0, false)] {
        check(&spoiled("structure.mandatory:once", code).await, "structure.mandatory", code, clean);
    }
    for (code, clean) in [(0, true), (14, false), (11, false)] {
        check(&spoiled("structure.undeclared:once", code).await, "structure.undeclared", code, clean);
    }
}
