//! Papers and people that contradict each other: whose number it is, whose card, and what the last word is.

use ofd_store::{KktKey, RegistrationState as State, RegistryReader};

use super::application::{Answer, answered};
use super::bench::{
    Bench, FN, INN, OTHER_FN, PERIODS, REPORT, RNM, SERIAL, Till, at, card, deregistration, fn_number,
    new_line, rnm, ticket,
};
use super::ops::{
    CardOutcome, CardUpload, NewLine, OpsError, RegisterKey, application_submit, card_upload, line_add,
    register_add, rnm_typed,
};
use crate::client::wire::{ApplicationKind, ApplicationStage};

const OTHER_SERIAL: &str = "000000000009";

fn by_fn(registry: &RegistryReader, text: &str) -> ofd_store::Kkt {
    registry.kkt(KktKey::Fn(&fn_number(text))).unwrap().expect("a register")
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(result: Result<T, OpsError>, part: &str) {
    match result {
        Err(OpsError::Refused(reason)) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// Announced under [`OTHER_SERIAL`] and [`OTHER_FN`], with the number of the register of [`REPORT`] by a slip of the pen.
fn mistyped(bench: &mut Bench) {
    let other = fn_number(OTHER_FN);
    register_add(&mut bench.registry, Some(OTHER_SERIAL), Some(&other), None, None, at(0)).unwrap();
    rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn(OTHER_SERIAL), &rnm(), true, at(0)).unwrap();
}

/// A full card of deregistration, with one part of it replaced.
fn full_deregistration(part: &str, by: &str) -> String {
    card("D-7", FN)
        .replace("registrationCard", "deregistrationCard")
        .replace("1110066", "1110067")
        .replace(part, by)
}

#[test]
fn a_card_of_deregistration_is_compared_like_any_other() {
    for (part, by) in [
        (format!("\"serial\": \"{SERIAL}\""), "\"serial\": \"7\"".to_owned()),
        (format!("\"serial\": \"{FN}\""), format!("\"serial\": \"{OTHER_FN}\"")),
        (format!("\"inn\": \"{INN}\""), "\"inn\": \"7825706086\"".to_owned()),
    ] {
        let mut bench = Bench::with_line();
        bench.receive(&REPORT, 1);
        bench.events(&card("SIM-1", FN), 2);
        bench.events(&full_deregistration(&part, &by), 3);
        bench.is(State::Linked, "Подключена");
        assert_eq!(bench.open_kinds(), ["card_mismatch"], "{by}");
        bench.events(&full_deregistration("", ""), 4);
        bench.is(State::Deregistered, "Снята с учёта");
    }
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    let upload = CardUpload {
        facts: super::card::CardFacts {
            kind: ofd_store::CardKind::Deregistration,
            number: None,
            rnm: RNM.to_owned(),
            kkt_serial: Some("7".to_owned()),
            fn_number: None,
            inn: None,
            dated: None,
        },
        media_type: "application/pdf".to_owned(),
        body: b"%PDF-1.4".to_vec(),
        signature: None,
    };
    let outcome = card_upload(&mut bench.registry, &PERIODS, &upload, at(3)).unwrap();
    assert!(
        matches!(&outcome, CardOutcome::Differs { fields, .. } if *fields == ["kkt_serial"]),
        "{outcome:?}"
    );
    // The bare event names the number only.
    bench.events(&deregistration(), 4);
    bench.is(State::Deregistered, "Снята с учёта");
}

#[test]
fn a_number_of_another_register_cannot_be_typed_or_imported() {
    let mut bench = Bench::with_line();
    rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn(SERIAL), &rnm(), false, at(1)).unwrap();
    // Typed once more on the same register it is a repeat.
    rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn(SERIAL), &rnm(), false, at(1)).unwrap();
    let other = fn_number(OTHER_FN);
    register_add(&mut bench.registry, Some(OTHER_SERIAL), Some(&other), None, None, at(1)).unwrap();
    let typed = rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn(OTHER_SERIAL), &rnm(), true, at(2));
    is_refused(typed, SERIAL);
    let line = NewLine {
        kkt_serial: OTHER_SERIAL.to_owned(),
        fn_number: other,
        rnm: Some(rnm()),
        unchecked: true,
        ..new_line()
    };
    is_refused(line_add(&mut bench.registry, "1", &line, at(2)), SERIAL);
    let announced = register_add(&mut bench.registry, Some("5"), None, Some((&rnm(), true)), None, at(2));
    is_refused(announced, SERIAL);
    assert_eq!(by_fn(&bench.registry, OTHER_FN).rnm, None);
}

#[test]
fn a_wrong_check_value_is_refused_wherever_a_number_is_typed() {
    let mut bench = Bench::new();
    bench.contract("1", true);
    bench.contract("2", false);
    let wrong = "0000000005000001".parse().unwrap();
    let line = NewLine { rnm: Some(wrong), ..new_line() };
    for contract in ["1", "2"] {
        is_refused(line_add(&mut bench.registry, contract, &line, at(1)), "008570");
    }
    let inn = INN.parse().unwrap();
    let announced =
        register_add(&mut bench.registry, Some(SERIAL), None, Some((&wrong, false)), Some(&inn), at(1));
    is_refused(announced, "008570");
    let taken =
        register_add(&mut bench.registry, Some(SERIAL), None, Some((&wrong, true)), Some(&inn), at(1));
    assert_eq!(taken.unwrap().state, State::RnmAssigned);
    bench.receive(&Till { rnm: "0000000005000001", ..REPORT }, 2);
    bench.follow(2);
    assert_eq!((bench.kkt().state, bench.kkt().rnm_confirmed), (State::ReportReceived, true));
}

#[test]
fn a_mistyped_number_steals_neither_card_nor_deregistration() {
    let mut bench = Bench::with_line();
    mistyped(&mut bench);
    bench.events(&card("SIM-1", FN), 1);
    bench.is(State::Linked, "Подключена");
    let robbed = by_fn(&bench.registry, OTHER_FN);
    assert_eq!((robbed.rnm.as_deref(), robbed.state), (None, State::Contracted));
    assert_eq!(bench.open_kinds(), ["mismatch"]);
    assert_eq!(bench.open_tasks()[0].kkt_id, Some(robbed.id));
    bench.events(&deregistration(), 2);
    bench.is(State::Deregistered, "Снята с учёта");
    assert_eq!(by_fn(&bench.registry, OTHER_FN).state, State::Contracted);
}

#[test]
fn a_report_wins_over_a_mistyped_number() {
    let mut bench = Bench::with_line();
    mistyped(&mut bench);
    bench.receive(&REPORT, 1);
    bench.follow(1);
    let kkt = bench.kkt();
    assert_eq!((kkt.rnm.as_deref(), kkt.rnm_confirmed, kkt.mismatch.len()), (Some(RNM), true, 0));
    let robbed = by_fn(&bench.registry, OTHER_FN);
    assert_eq!((robbed.rnm.as_deref(), robbed.state), (None, State::Contracted));
    assert_eq!(bench.open_kinds(), ["mismatch"]);
}

#[test]
fn refusals_about_a_registered_register_become_tasks_once() {
    // The card came first: the ticket does not undo it, a person is told.
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    for seconds in [3, 4] {
        bench.events(&ticket(1, "hard"), seconds);
        bench.is(State::Linked, "Подключена");
        assert_eq!(bench.open_kinds(), ["report_refused"]);
    }
    let id = bench.open_tasks()[0].id;
    super::ops::task_close(&mut bench.registry, id, None, at(5)).unwrap();
    bench.events(&ticket(1, "hard"), 6);
    assert_eq!(bench.open_kinds(), Vec::<&str>::new(), "a repeat asks nobody again");

    let refused = |fd: u32| {
        format!(
            r#"{{"id": "R", "type": "registrationRefused", "docKey": "{FN}-{fd}", "codes": [{{"code": 904, "text": "ИНН"}}]}}"#
        )
    };
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    bench.events(&refused(1), 3);
    bench.is(State::ReportRefused, "Отказ ФНС");
    assert_eq!(bench.open_kinds(), ["report_refused"]);
    // A newer card, and the old refusal repeated.
    bench.events(&card("SIM-2", FN), 4);
    bench.is(State::Linked, "Подключена");
    bench.events(&refused(1), 5);
    bench.is(State::Linked, "Подключена");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    // A report that is not the newest: told, no more.
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.receive(&Till { fd: 2, form: 11, reasons: Some(4), ..REPORT }, 1);
    while bench.follow(1).more {}
    bench.events(&refused(1), 2);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.open_kinds(), ["report_refused"]);
}

#[test]
fn a_card_that_came_before_its_register_is_applied_after_the_report() {
    for with_line in [false, true] {
        let mut bench = Bench::new();
        bench.events(&card("SIM-1", FN), 1);
        assert_eq!(bench.open_kinds(), ["card_unknown"]);
        if with_line {
            bench.contract("1", true);
            bench.line("1").unwrap();
        }
        bench.receive(&REPORT, 2);
        while bench.follow(2).more {}
        assert_eq!(bench.kkt().state, State::Linked);
        assert_eq!(bench.open_kinds(), Vec::<&str>::new());
        let card = bench.registry.card(bench.kkt().card_id.unwrap()).unwrap().unwrap();
        assert_eq!((card.kkt_id, card.applied_at), (Some(bench.kkt().id), Some(at(2))));
    }
}

#[test]
fn a_late_card_of_the_report_before_does_not_link() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    bench.receive(&Till { fd: 5, form: 11, reasons: Some(4), ..REPORT }, 3);
    while bench.follow(3).more {}
    bench.is(State::ReregReportReceived, "Подключена");
    bench.events(&card("SIM-0", FN), 4);
    bench.is(State::ReregReportReceived, "Подключена");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    bench.events(&card("SIM-2", FN).replace(&format!("{FN}-1"), &format!("{FN}-5")), 5);
    bench.is(State::Linked, "Подключена");
    // Neither does it after another report.
    bench.receive(&Till { fd: 6, form: 11, reasons: Some(4), ..REPORT }, 6);
    while bench.follow(6).more {}
    bench.is(State::ReregReportReceived, "Подключена");
}

#[test]
fn documents_of_all_its_fns_count_at_the_tax_service() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    assert_eq!(bench.view(2).dimensions.fns.name(), "waiting", "nothing of it was forwarded");
    bench.receive(&Till { fn_number: OTHER_FN, form: 11, reasons: Some(1), forward: false, ..REPORT }, 3);
    while bench.follow(3).more {}
    assert_eq!(bench.kkt().fn_number, Some(fn_number(OTHER_FN)));
    assert_eq!(bench.view(4).dimensions.fns.name(), "waiting", "those of the ФН before still wait");
}

#[test]
fn a_number_of_a_draft_that_another_register_got_meanwhile_is_not_taken() {
    let mut bench = Bench::new();
    bench.contract("1", false);
    let line = NewLine { rnm: Some(rnm()), ..new_line() };
    line_add(&mut bench.registry, "1", &line, at(0)).unwrap();
    mistyped(&mut bench);
    super::ops::contract_sign(&mut bench.registry, "1", at(1)).unwrap();
    assert_eq!((bench.kkt().state, bench.kkt().rnm), (State::Contracted, None));
    assert_eq!(bench.open_kinds(), ["mismatch"]);
}

#[test]
fn an_end_is_applied_for_with_the_values_of_the_report_of_closing() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    let key = RegisterKey::SerialOrFn(SERIAL);
    let mut end = super::ops::tests::complete_application();
    (end.knd, end.kind) = ("1110062".to_owned(), ApplicationKind::Deregistration);
    (end.rnm, end.reason) = (Some(RNM.to_owned()), Some("закрытие".to_owned()));
    is_refused(application_submit(&mut bench.registry, key, &end, at(3)), "closingReport: is missing");
    bench.receive(&Till { fd: 8, form: 6, ..REPORT }, 4);
    while bench.follow(4).more {}
    let stored = application_submit(&mut bench.registry, key, &end, at(5)).unwrap();
    let sent: serde_json::Value = serde_json::from_str(&stored.request).unwrap();
    let expected =
        serde_json::json!({"fdNumber": 8, "dateTime": "2017-03-03T11:38", "fiscalSign": "0001078593"});
    assert_eq!(sent["closingReport"], expected);
}

#[test]
fn an_accepted_application_without_a_number_waits_for_it_and_is_told_once() {
    let mut bench = Bench::with_line();
    let key = RegisterKey::SerialOrFn(SERIAL);
    let application = super::ops::tests::complete_application();
    let row = application_submit(&mut bench.registry, key, &application, at(0)).unwrap();
    let answer = |bench: &mut Bench, answer: Answer| {
        let longest = std::time::Duration::from_secs(300);
        assert!(answered(&mut bench.registry, None, &PERIODS, row.id, &answer, longest, at(1)).unwrap());
    };
    answer(&mut bench, Answer::Received { application_id: "A-1".into() });
    answer(&mut bench, Answer::Stage(ApplicationStage::Pending));
    let accepted = || Answer::Stage(ApplicationStage::AcceptedWithoutRnm);
    for _ in 0..9 {
        answer(&mut bench, accepted());
        assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    }
    answer(&mut bench, accepted());
    assert_eq!(bench.open_kinds(), ["mismatch"]);
    let id = bench.open_tasks()[0].id;
    super::ops::task_close(&mut bench.registry, id, None, at(2)).unwrap();
    answer(&mut bench, accepted());
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    bench.is(State::ApplicationSent, "Ожидает регистрации в ФНС");
    answer(&mut bench, Answer::Stage(ApplicationStage::Accepted { rnm: RNM.to_owned() }));
    bench.is(State::RnmAssigned, "Присвоен РНМ, ожидаем отчёт о регистрации");
    // A change needs no number.
    bench.receive(&REPORT, 3);
    bench.events(&card("SIM-1", FN), 4);
    let mut change = application;
    change.kind = ApplicationKind::Reregistration;
    (change.rnm, change.reasons) = (Some(RNM.to_owned()), vec![1]);
    let row = application_submit(&mut bench.registry, key, &change, at(5)).unwrap();
    let longest = std::time::Duration::from_secs(300);
    let received = Answer::Received { application_id: "A-2".into() };
    for answer in [received, accepted()] {
        answered(&mut bench.registry, None, &PERIODS, row.id, &answer, longest, at(6)).unwrap();
    }
    let filter = ofd_store::ApplicationFilter { after_id: row.id - 1, ..Default::default() };
    let decided = bench.registry.applications(&filter, 1).unwrap().remove(0);
    assert_eq!((decided.state, decided.rnm), (ofd_store::ApplicationState::Accepted, None));
}
