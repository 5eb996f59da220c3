//! Guards, actions, timers; and that no sequence of events panics or brings a register back from its end.

use jiff::SignedDuration;
use ofd_store::CardKind;
use proptest::prelude::*;

use super::*;

const INN: &str = "7702203276";
const SERIAL: &str = "000000000002";
const RNM: &str = "0000000005008570";
const FN: &str = "9999078900005488";
const OTHER_FN: &str = "9999078900005489";
const PERIODS: RegistrationConfig =
    RegistrationConfig { grace_s: 10, t_card_s: 20, t_rnm_s: Some(30), silent_s: 40, tick_ms: 50 };

fn now() -> Timestamp {
    Timestamp::from_second(1_795_262_400).unwrap()
}

fn rnm(text: &str) -> Rnm {
    text.parse().unwrap()
}

fn kkt(state: State) -> Kkt {
    Kkt {
        id: 7,
        serial: Some(SERIAL.to_owned()),
        inn: Some(INN.to_owned()),
        fn_number: Some(FN.parse().unwrap()),
        ..Kkt::new(state, Timestamp::UNIX_EPOCH)
    }
}

fn facts(form: ReportForm) -> ReportFacts {
    ReportFacts {
        seq: 42,
        form,
        fn_number: FN.parse().unwrap(),
        fd_number: ffd::ids::FdNumber::FIRST,
        rnm: Some(RNM.to_owned()),
        kkt_serial: Some(SERIAL.to_owned()),
        inn: Some(INN.to_owned()),
        replaces_fn: None,
        received_at: now(),
    }
}

fn card_facts() -> CardFacts {
    CardFacts {
        kind: CardKind::Registration,
        number: Some("SIM-1".to_owned()),
        rnm: RNM.to_owned(),
        kkt_serial: Some(SERIAL.to_owned()),
        fn_number: Some(FN.parse().unwrap()),
        inn: Some(INN.to_owned()),
        dated: None,
    }
}

fn reported(facts: &ReportFacts) -> Event<'_> {
    Event::Report { facts, circumstances: Circumstances::default() }
}

#[track_caller]
fn go(kkt: &Kkt, event: Event<'_>) -> Step {
    step(Some(kkt), event, &PERIODS, now()).expect("a step")
}

fn tasks(step: &Step) -> Vec<TaskKind> {
    step.actions
        .iter()
        .filter_map(|action| if let Action::Task { kind, .. } = action { Some(*kind) } else { None })
        .collect()
}

fn closed(step: &Step) -> Vec<TaskKind> {
    step.actions
        .iter()
        .filter_map(|action| if let Action::CloseTasks { kind, .. } = action { Some(*kind) } else { None })
        .collect()
}

fn warned(step: &Step) -> bool {
    step.actions.iter().any(|action| matches!(action, Action::Warn(_)))
}

#[test]
fn a_report_that_fits_fills_in_the_registration_number() {
    for state in [State::Contracted, State::ApplicationSent, State::RnmAssigned, State::ReportRefused] {
        for form in [ReportForm::Registration, ReportForm::Change] {
            let step = go(&kkt(state), reported(&facts(form)));
            assert_eq!(step.kkt.state, State::ReportReceived);
            assert_eq!((step.kkt.rnm.as_deref(), step.kkt.rnm_confirmed), (Some(RNM), true));
            assert_eq!((step.kkt.report_seq, step.kkt.mismatch.len()), (Some(42), 0));
            assert_eq!(tasks(&step), []);
            assert!(!warned(&step), "the check value is right");
            assert_eq!(step.kkt.due_at, None);
        }
    }
}

#[test]
fn each_guard_of_a_report_raises_a_flag_and_a_task_and_no_error() {
    let check = |change: fn(&mut ReportFacts, &mut Kkt, &mut Circumstances), expected: &[&str]| {
        let (mut facts, mut kkt) = (facts(ReportForm::Registration), kkt(State::RnmAssigned));
        kkt.rnm = Some(RNM.to_owned());
        let mut circumstances = Circumstances::default();
        change(&mut facts, &mut kkt, &mut circumstances);
        let step = go(&kkt, Event::Report { facts: &facts, circumstances });
        assert_eq!(step.kkt.state, State::ReportReceived);
        assert_eq!(step.kkt.mismatch, expected);
        assert_eq!(tasks(&step).contains(&TaskKind::Mismatch), !expected.is_empty());
        assert_eq!(step.kkt.serial, kkt.serial, "what was agreed is not overwritten");
        assert_eq!(step.kkt.inn, kkt.inn);
        step
    };
    check(|_, _, _| {}, &[]);
    check(|facts, _, _| facts.kkt_serial = Some("2".to_owned()), &["kkt_serial"]);
    check(|facts, _, _| facts.kkt_serial = None, &["kkt_serial"]);
    check(|facts, _, _| facts.inn = Some("7825706086".to_owned()), &["inn"]);
    check(|facts, _, _| facts.rnm = Some("0000000006008570".to_owned()), &["rnm"]);
    check(|_, kkt, circumstances| (kkt.rnm, circumstances.rnm_elsewhere) = (None, true), &["rnm"]);
    check(
        |facts, _, circumstances| {
            facts.fn_number = OTHER_FN.parse().unwrap();
            circumstances.fn_elsewhere = true;
        },
        &["fn"],
    );
    let all = check(
        |facts, _, _| {
            facts.kkt_serial = Some("3".to_owned());
            facts.inn = Some("1".to_owned());
            facts.rnm = Some("9".to_owned());
        },
        &["kkt_serial", "inn", "rnm"],
    );
    let Some(Action::Task { text, .. }) =
        all.actions.iter().find(|action| matches!(action, Action::Task { .. }))
    else {
        panic!("a task")
    };
    for part in ["заводской номер ККТ в отчёте 3, у нас 000000000002", "ИНН в отчёте 1", "РНМ в отчёте 9"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_later_report_that_fits_ends_the_mismatch() {
    let mut bad = facts(ReportForm::Registration);
    bad.inn = None;
    let first = go(&kkt(State::Contracted), reported(&bad));
    assert_eq!(first.kkt.mismatch, ["inn"]);
    let second = go(&first.kkt, reported(&ReportFacts { seq: 43, ..facts(ReportForm::Registration) }));
    assert_eq!(second.kkt.mismatch.len(), 0);
    assert_eq!(closed(&second), [TaskKind::Mismatch]);
}

#[test]
fn another_fn_is_taken_over_and_told() {
    let other =
        |form, replaces_fn| ReportFacts { fn_number: OTHER_FN.parse().unwrap(), replaces_fn, ..facts(form) };
    // Before any report the contract had a typing error.
    let typed = go(&kkt(State::Contracted), reported(&other(ReportForm::Registration, None)));
    assert_eq!(typed.kkt.fn_number.unwrap().as_str(), OTHER_FN);
    assert_eq!(tasks(&typed), [TaskKind::FnChanged]);
    assert!(typed.actions.contains(&Action::WithdrawFn(FN.parse().unwrap())));
    assert_eq!(typed.kkt.mismatch.len(), 0);
    // A replacement in order: reason 1.
    let mut closed = kkt(State::FnClosed);
    closed.report_seq = Some(1);
    let replaced = go(&closed, reported(&other(ReportForm::Change, Some(true))));
    assert_eq!((replaced.kkt.state, tasks(&replaced).len()), (State::ReregReportReceived, 0));
    assert!(!replaced.actions.contains(&Action::WithdrawFn(FN.parse().unwrap())));
    // The reasons say nothing of it.
    let odd = go(&closed, reported(&other(ReportForm::Change, Some(false))));
    assert_eq!(odd.kkt.mismatch, ["reason"]);
    assert_eq!(tasks(&odd), [TaskKind::FnChanged, TaskKind::Mismatch]);
}

#[test]
fn a_wrong_check_value_is_a_warning_only() {
    let mut odd = facts(ReportForm::Registration);
    odd.rnm = Some("0000000005000001".to_owned());
    let step = go(&kkt(State::Contracted), reported(&odd));
    assert!(warned(&step));
    assert_eq!((step.kkt.mismatch.len(), tasks(&step).len()), (0, 0));
    odd.rnm = Some("12".to_owned());
    assert!(warned(&go(&kkt(State::Contracted), reported(&odd))));
}

#[test]
fn a_late_report_says_nothing_new() {
    let linked = Kkt { report_seq: Some(41), ..kkt(State::Linked) };
    let late = Circumstances { late: true, ..Circumstances::default() };
    let facts = facts(ReportForm::Change);
    let step = go(&linked, Event::Report { facts: &facts, circumstances: late });
    assert_eq!(step.kkt, Kkt { updated_at: now(), ..linked });
    assert!(warned(&step));
}

#[test]
fn a_register_that_nobody_announced_begins_with_its_report() {
    let step = step(None, reported(&facts(ReportForm::Registration)), &PERIODS, now()).unwrap();
    assert_eq!((step.from, step.kkt.state), (None, State::ReportReceived));
    assert_eq!(step.kkt.serial.as_deref(), Some(SERIAL));
    assert_eq!(step.kkt.inn.as_deref(), Some(INN));
    assert_eq!(step.kkt.fn_number.unwrap().as_str(), FN);
    assert!(step.moved() && tasks(&step).is_empty());
}

#[test]
fn a_report_that_its_card_overtook_keeps_the_register_linked() {
    let linked = go(&kkt(State::Contracted), Event::Card { facts: &card_facts() });
    assert_eq!((linked.kkt.state, linked.kkt.rnm.as_deref()), (State::Linked, Some(RNM)));
    let reported_then = go(&linked.kkt, reported(&facts(ReportForm::Registration)));
    assert_eq!((reported_then.kkt.state, reported_then.kkt.report_seq), (State::Linked, Some(42)));
    // The next report is a new registration.
    let anew = go(&reported_then.kkt, reported(&ReportFacts { seq: 50, ..facts(ReportForm::Registration) }));
    assert_eq!(anew.kkt.state, State::ReportReceived);
}

#[test]
fn timers_begin_end_and_fire_once() {
    let after = |seconds: i64| Some(now() + SignedDuration::from_secs(seconds));
    let number = rnm(RNM);
    let sent = kkt(State::ApplicationSent);
    let assigned = go(&sent, Event::ApplicationAccepted { rnm: &number });
    assert_eq!((assigned.kkt.state, assigned.kkt.due_at), (State::RnmAssigned, after(30)));
    assert!(!assigned.kkt.rnm_confirmed, "only a document confirms");
    let overdue = go(&assigned.kkt, Event::TimeOut { manual: None });
    assert_eq!((overdue.kkt.state, overdue.kkt.due_at), (State::RnmAssigned, None));
    assert_eq!(tasks(&overdue), [TaskKind::ReportOverdue]);
    let received = go(&overdue.kkt, reported(&facts(ReportForm::Registration)));
    assert!(closed(&received).contains(&TaskKind::ReportOverdue));

    let taken = Event::Verdict { verdict: Verdict::Soft, codes: &[] };
    let forwarded = go(&received.kkt, taken);
    assert_eq!((forwarded.kkt.state, forwarded.kkt.due_at), (State::ReportForwarded, after(20)));
    let manual = ManualValues {
        date_time: "03.03.2017 11:38".into(),
        fd: ffd::ids::FdNumber::FIRST,
        fiscal_sign: "2853205313".into(),
    };
    let awaiting = go(&forwarded.kkt, Event::TimeOut { manual: Some(&manual) });
    assert_eq!((awaiting.kkt.state, awaiting.kkt.due_at), (State::AwaitingManualCompletion, None));
    let Some(Action::Task { kind: TaskKind::ManualCompletion, text }) = awaiting.actions.first() else {
        panic!("a task")
    };
    assert!(text.contains("03.03.2017 11:38, номер ФД 1, фискальный признак 2853205313"), "{text}");
    let linked = go(&awaiting.kkt, Event::Card { facts: &card_facts() });
    assert_eq!((linked.kkt.state, linked.kkt.due_at), (State::Linked, None));
    assert!(closed(&linked).contains(&TaskKind::ManualCompletion));
    assert!(linked.actions.contains(&Action::RefreshSoft(FN.parse().unwrap())));

    let changed = go(&linked.kkt, reported(&ReportFacts { seq: 60, ..facts(ReportForm::Change) }));
    assert_eq!(changed.kkt.state, State::ReregReportReceived);
    let waiting = go(&changed.kkt, Event::Verdict { verdict: Verdict::Accepted, codes: &[] });
    assert_eq!((waiting.kkt.state, waiting.kkt.due_at), (State::ReregForwarded, after(20)));
    let reminded = go(&waiting.kkt, Event::TimeOut { manual: None });
    assert_eq!((reminded.kkt.state, reminded.kkt.due_at), (State::ReregForwarded, None));
    assert_eq!(tasks(&reminded), [TaskKind::ReregReminder]);
    let again = go(&reminded.kkt, Event::Card { facts: &card_facts() });
    assert_eq!(again.kkt.state, State::Linked);
    assert!(closed(&again).contains(&TaskKind::ReregReminder));
}

#[test]
fn refusals_say_why() {
    let codes = [FnsCode { code: 910, text: "ФПД не сходится".to_owned(), path: None }];
    let hard = Event::Verdict { verdict: Verdict::Hard, codes: &codes };
    for event in [hard, Event::RegistrationRefused { codes: &codes }] {
        let step = go(&kkt(State::ReportReceived), event);
        assert_eq!(step.kkt.state, State::ReportRefused);
        let Some(Action::Task { kind: TaskKind::ReportRefused, text }) = step.actions.last() else {
            panic!("a task")
        };
        assert!(text.contains("910 ФПД не сходится"), "{text}");
    }
    let step = go(&kkt(State::ApplicationSent), Event::ApplicationRefused { reasons: "7 нет адреса" });
    assert_eq!(
        (step.kkt.state, tasks(&step)),
        (State::ApplicationRefused, vec![TaskKind::ApplicationRefused])
    );
    let anew = go(&step.kkt, Event::Applied);
    assert_eq!((anew.kkt.state, closed(&anew)), (State::ApplicationSent, vec![TaskKind::ApplicationRefused]));
}

#[test]
fn a_card_must_be_equal_in_every_key_field() {
    let ours = Kkt { rnm: Some(RNM.to_owned()), ..kkt(State::ReportForwarded) };
    let check = |change: fn(&mut CardFacts), expected: &[&str]| {
        let mut facts = card_facts();
        change(&mut facts);
        match step(Some(&ours), Event::Card { facts: &facts }, &PERIODS, now()) {
            Ok(step) => assert!(expected.is_empty() && step.kkt.state == State::Linked, "{expected:?}"),
            Err(Rejected::CardDiffers { fields, text }) => {
                assert_eq!(fields, expected);
                assert!(text.contains("не сходится"), "{text}");
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    check(|_| {}, &[]);
    check(|facts| facts.rnm = "0000000006008570".to_owned(), &["rnm"]);
    check(|facts| facts.kkt_serial = Some("2".to_owned()), &["kkt_serial"]);
    check(|facts| facts.kkt_serial = None, &["kkt_serial"]);
    check(|facts| facts.fn_number = Some(OTHER_FN.parse().unwrap()), &["fn"]);
    check(|facts| facts.fn_number = None, &["fn"]);
    check(|facts| facts.inn = Some("7825706086".to_owned()), &["inn"]);
    check(|facts| (facts.inn, facts.kkt_serial) = (None, None), &["kkt_serial", "inn"]);
}

#[test]
fn a_typed_number_is_checked_and_cannot_replace_a_confirmed_one() {
    let good = rnm(RNM);
    let bad = rnm("0000000005000001");
    let typed = |rnm, unchecked, reported| Event::RnmTyped { rnm, unchecked, reported };
    let contracted = kkt(State::Contracted);
    let step_of = |kkt: &Kkt, event| step(Some(kkt), event, &PERIODS, now());
    let assigned = step_of(&contracted, typed(&good, false, None)).unwrap();
    assert_eq!((assigned.kkt.state, assigned.kkt.rnm_confirmed), (State::RnmAssigned, false));
    assert_eq!(step_of(&contracted, typed(&bad, false, None)), Err(Rejected::RnmCheck { expected: 8570 }));
    assert_eq!(
        step_of(&contracted, typed(&bad, true, None)).unwrap().kkt.rnm.as_deref(),
        Some("0000000005000001")
    );
    // Typed anew, as long as nothing confirmed it.
    let anew = step_of(&assigned.kkt, typed(&bad, true, None)).unwrap();
    assert_eq!(anew.kkt.rnm.as_deref(), Some("0000000005000001"));
    let confirmed = go(&contracted, reported(&facts(ReportForm::Registration)));
    let refused = step_of(&confirmed.kkt, typed(&bad, true, None));
    assert_eq!(refused, Err(Rejected::RnmConfirmed { confirmed: RNM.to_owned() }));
    // The report brought another number than was typed: typing that of the report puts it right.
    let differing = go(&anew.kkt, reported(&facts(ReportForm::Registration)));
    assert_eq!(differing.kkt.mismatch, ["rnm"]);
    let right = step_of(&differing.kkt, typed(&good, false, Some(RNM))).unwrap();
    assert_eq!((right.kkt.mismatch.len(), right.kkt.rnm_confirmed), (0, true));
    assert_eq!((right.kkt.state, closed(&right)), (State::ReportReceived, vec![TaskKind::Mismatch]));
}

#[test]
fn an_assigned_number_that_comes_late_is_no_silent_change() {
    let other = rnm("0000000006008570");
    let received = go(&kkt(State::Contracted), reported(&facts(ReportForm::Registration)));
    let step = go(&received.kkt, Event::ApplicationAccepted { rnm: &other });
    assert_eq!((step.kkt.rnm.as_deref(), tasks(&step)), (Some(RNM), vec![TaskKind::Mismatch]));
    let same = go(&received.kkt, Event::ApplicationAccepted { rnm: &rnm(RNM) });
    assert_eq!(tasks(&same), []);
    // Nor is one that a document confirmed before the application was made.
    let confirmed = Kkt { rnm: Some(RNM.to_owned()), rnm_confirmed: true, ..kkt(State::ApplicationSent) };
    let step = go(&confirmed, Event::ApplicationAccepted { rnm: &other });
    assert_eq!((step.kkt.rnm.as_deref(), tasks(&step)), (Some(RNM), vec![TaskKind::Mismatch]));
    assert_eq!(step.kkt.state, State::RnmAssigned);
}

#[test]
fn every_pair_that_the_table_does_not_have_is_refused() {
    let number = rnm(RNM);
    let (report, change, card) = (facts(ReportForm::Registration), facts(ReportForm::Change), card_facts());
    let events = [
        Event::Added { draft: true },
        Event::Added { draft: false },
        Event::ContractSigned,
        Event::Applied,
        Event::ApplicationAccepted { rnm: &number },
        Event::ApplicationRefused { reasons: "" },
        Event::RnmTyped { rnm: &number, unchecked: false, reported: None },
        reported(&report),
        reported(&change),
        Event::FnClosing,
        Event::Verdict { verdict: Verdict::Accepted, codes: &[] },
        Event::Verdict { verdict: Verdict::Soft, codes: &[] },
        Event::Verdict { verdict: Verdict::Hard, codes: &[] },
        Event::RegistrationRefused { codes: &[] },
        Event::Card { facts: &card },
        Event::TimeOut { manual: None },
        Event::Deregistered { from: 1, facts: &card },
        Event::RnmTaken { by: "ККТ" },
    ];
    let states = std::iter::once(None).chain(State::ALL.map(Some));
    for state in states {
        let ours = state.map(|state| Kkt { report_seq: Some(1), rnm: Some(RNM.to_owned()), ..kkt(state) });
        for event in events {
            let trigger = trigger_of(event);
            match (step(ours.as_ref(), event, &PERIODS, now()), next(state, trigger)) {
                (Ok(step), Some(Next::Goes(to))) => assert_eq!(step.kkt.state, to, "{state:?} {trigger:?}"),
                (Ok(step), Some(Next::Stays)) => assert!(!step.moved(), "{state:?} {trigger:?}"),
                (Err(Rejected::OutOfPlace { state: of, trigger: what }), None) => {
                    assert_eq!((of, what), (state, trigger));
                }
                (got, expected) => panic!("{state:?} {trigger:?}: {got:?}, expected {expected:?}"),
            }
        }
    }
}

/// An event made of what a generator can vary.
#[derive(Debug, Clone)]
struct Made {
    which: u8,
    form: bool,
    fn_number: bool,
    rnm: bool,
    serial: bool,
    inn: bool,
    late: bool,
    elsewhere: bool,
}

fn made() -> impl Strategy<Value = Made> {
    (0u8..17, any::<[bool; 7]>()).prop_map(|(which, [form, fn_number, rnm, serial, inn, late, elsewhere])| {
        Made { which, form, fn_number, rnm, serial, inn, late, elsewhere }
    })
}

fn play(kkt: Option<&Kkt>, made: &Made) -> Result<Step, Rejected> {
    let number = rnm(if made.rnm { RNM } else { "0000000006008570" });
    let mut report = facts(if made.form { ReportForm::Registration } else { ReportForm::Change });
    let fn_number: FnNumber = if made.fn_number { FN } else { OTHER_FN }.parse().unwrap();
    report.fn_number = fn_number;
    report.rnm = Some(number.to_string());
    report.kkt_serial = made.serial.then(|| SERIAL.to_owned());
    report.inn = made.inn.then(|| INN.to_owned());
    let card = CardFacts {
        rnm: number.to_string(),
        fn_number: Some(fn_number),
        kkt_serial: report.kkt_serial.clone(),
        inn: report.inn.clone(),
        ..card_facts()
    };
    let circumstances =
        Circumstances { late: made.late, fn_elsewhere: made.elsewhere, rnm_elsewhere: made.elsewhere };
    let verdict = |verdict| Event::Verdict { verdict, codes: &[] };
    let event = match made.which {
        0 => Event::Added { draft: made.form },
        1 => Event::ContractSigned,
        2 => Event::Applied,
        3 => Event::ApplicationAccepted { rnm: &number },
        4 => Event::ApplicationRefused { reasons: "" },
        5 => Event::RnmTyped { rnm: &number, unchecked: made.form, reported: made.late.then_some(RNM) },
        6..=8 => Event::Report { facts: &report, circumstances },
        9 => Event::FnClosing,
        10 => verdict(if made.form { Verdict::Accepted } else { Verdict::Soft }),
        11 => verdict(Verdict::Hard),
        12 => Event::RegistrationRefused { codes: &[] },
        13 => Event::Card { facts: &card },
        14 => Event::TimeOut { manual: None },
        15 => Event::RnmTaken { by: "ККТ" },
        _ => Event::Deregistered { from: 5, facts: &card },
    };
    step(kkt, event, &PERIODS, now())
}

proptest! {
    #[test]
    fn no_sequence_of_events_panics_or_leaves_the_end(sequence in prop::collection::vec(made(), 0..60)) {
        let mut kkt: Option<Kkt> = None;
        for made in &sequence {
            let before = kkt.clone();
            match play(kkt.as_ref(), made) {
                Ok(step) => {
                    prop_assert_eq!(step.from, before.as_ref().map(|kkt| kkt.state));
                    if let Some(before) = &before {
                        if before.state == State::Deregistered {
                            prop_assert!(!step.moved());
                        }
                        if before.rnm_confirmed {
                            prop_assert_eq!(&step.kkt.rnm, &before.rnm, "a confirmed number is never overwritten");
                        }
                        if before.serial.is_some() {
                            prop_assert_eq!(&step.kkt.serial, &before.serial);
                        }
                    }
                    let timed = matches!(step.kkt.state, State::RnmAssigned | State::ReportForwarded | State::ReregForwarded);
                    prop_assert!(timed || step.kkt.due_at.is_none());
                    kkt = Some(step.kkt);
                }
                Err(rejected) => prop_assert!(!rejected.to_string().is_empty()),
            }
        }
    }
}
