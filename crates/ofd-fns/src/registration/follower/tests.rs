//! The follower over a real store.

use ofd_store::{KktKey, LineKey, RegistrationState as State};

use crate::registration::ManualValues;
use crate::registration::bench::{
    Bench, FN, OTHER_FN, REPORT, RNM, SERIAL, Till, card, deregistration, fn_number, ticket,
};

#[test]
fn a_report_fills_the_registration_number_into_the_contract_line() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    let followed = bench.follow(2);
    assert_eq!((followed.reports, followed.moved, followed.more, followed.stale), (1, 1, true, false));
    assert_eq!(bench.follow(2).reports, 0, "the cursor is durable");
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    let kkt = bench.kkt();
    assert_eq!((kkt.rnm.as_deref(), kkt.rnm_confirmed, kkt.mismatch.len()), (Some(RNM), true, 0));
    let line = bench.registry.open_line(LineKey::Serial(SERIAL)).unwrap().unwrap();
    assert_eq!(line.rnm.as_deref(), Some(RNM));
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    let manual = bench.view(3).manual.unwrap();
    assert_eq!(manual.to_string(), "03.03.2017 11:38 · 1 · 0001078593", "ten digits, padded with zeros");
}

#[test]
fn a_register_without_a_contract_is_known_by_its_report() {
    let mut bench = Bench::new();
    bench.receive(&REPORT, 1);
    assert_eq!(bench.follow(2).moved, 1);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.view(3).dimensions.contract.name(), "none");
    assert_eq!(bench.kkt().line_id, None);
}

#[test]
fn what_differs_is_flagged_and_a_task() {
    let mut bench = Bench::with_line();
    bench.receive(&Till { inn: "7825706086", serial: "000000000003", ..REPORT }, 1);
    bench.follow(2);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.kkt().mismatch, ["kkt_serial", "inn"]);
    assert_eq!(bench.open_kinds(), ["mismatch"]);
    assert!(bench.open_tasks()[0].text.contains("ИНН в отчёте 7825706086, у нас 7702203276"));
}

#[test]
fn only_what_was_accepted_moves_a_register() {
    let mut bench = Bench::with_line();
    bench.receive(&Till { code: 14, ..REPORT }, 1);
    bench.receive(&Till { code: 11, fd: 2, ..REPORT }, 1);
    let followed = bench.follow(2);
    assert_eq!((followed.reports, followed.moved), (2, 0));
    bench.is(State::Contracted, "Ожидает регистрации в ФНС");
    assert_eq!(bench.open_kinds(), ["report_rejected"]);
}

#[test]
fn another_fn_of_a_contract_line_is_written_down() {
    let mut bench = Bench::with_line();
    bench.receive(&Till { fn_number: OTHER_FN, ..REPORT }, 1);
    bench.follow(2);
    let kkt = bench.kkt();
    assert_eq!((kkt.state, kkt.fn_number), (State::ReportReceived, Some(fn_number(OTHER_FN))));
    assert_eq!(bench.open_kinds(), ["fn_changed"]);
    let line = bench.registry.open_line(LineKey::Serial(SERIAL)).unwrap().unwrap();
    assert_eq!(line.fn_number, Some(fn_number(OTHER_FN)));
    let history = bench.registry.fn_history(kkt.id).unwrap();
    let withdrawn: Vec<(&str, bool)> =
        history.iter().map(|row| (row.fn_number.as_str(), row.withdrawn)).collect();
    assert_eq!(withdrawn, [(FN, true), (OTHER_FN, false)]);
}

#[test]
fn a_batch_decides_about_a_register_once() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.receive(&Till { fd: 2, form: 11, reasons: Some(4), ..REPORT }, 2);
    bench.receive(&Till { fn_number: OTHER_FN, serial: "5", rnm: "1", ..REPORT }, 2);
    assert_eq!(bench.follow(3).reports, 1);
    assert_eq!(bench.kkt().report_seq, Some(1));
    assert_eq!(bench.follow(3).reports, 2);
    assert_eq!(bench.kkt().report_seq, Some(2));
    assert!(!bench.follow(3).more);
}

#[test]
fn late_reports_say_nothing_new() {
    let mut bench = Bench::with_line();
    bench.receive(&Till { fd: 7, form: 11, ..REPORT }, 1);
    bench.receive(&REPORT, 2);
    while bench.follow(3).more {}
    assert_eq!(bench.kkt().report_seq, Some(1));
    // The ФН is replaced; what its predecessor sends late is history.
    bench.events(&card("SIM-1", FN).replace(&format!("{FN}-1"), &format!("{FN}-7")), 4);
    bench.is(State::Linked, "Подключена");
    bench.receive(&Till { fn_number: OTHER_FN, form: 11, reasons: Some(1), ..REPORT }, 5);
    while bench.follow(5).more {}
    bench.is(State::ReregReportReceived, "Подключена");
    bench.receive(&Till { fd: 9, form: 11, ..REPORT }, 6);
    bench.receive(&Till { fd: 10, form: 6, ..REPORT }, 6);
    while bench.follow(7).more {}
    assert_eq!(
        (bench.kkt().state, bench.kkt().fn_number),
        (State::ReregReportReceived, Some(fn_number(OTHER_FN)))
    );
}

#[test]
fn the_end_of_a_fn_and_of_a_registration() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    bench.receive(&Till { fd: 8, form: 6, ..REPORT }, 3);
    while bench.follow(3).more {}
    bench.is(State::FnClosed, "ФН закрыт");
    assert_eq!(bench.view(4).dimensions.fn_condition.name(), "closed");
    bench.events(&deregistration(), 4);
    bench.is(State::Deregistered, "Снята с учёта");
    // 13:00 UTC is 16:00 in Moscow, counted as if it were UTC.
    let expected: jiff::Timestamp = "2026-11-21T16:00:00Z".parse().unwrap();
    assert_eq!(bench.kkt().deregistered_at.map(i64::from), Some(expected.as_second()));
    // The same registration number: a task. Another one: a new registration of its own.
    bench.receive(&Till { fd: 9, form: 11, ..REPORT }, 5);
    while bench.follow(5).more {}
    assert_eq!((bench.kkt().state, bench.open_kinds()), (State::Deregistered, vec!["mismatch"]));
    let new = Till { fn_number: OTHER_FN, rnm: "0000000006000000", ..REPORT };
    bench.receive(&new, 6);
    while bench.follow(6).more {}
    let anew = bench.registry.kkt(KktKey::Fn(&fn_number(OTHER_FN))).unwrap().unwrap();
    assert_eq!(anew.state, State::ReportReceived);
    let old = bench.registry.kkt(KktKey::Rnm(RNM)).unwrap().unwrap();
    assert_eq!(old.state, State::Deregistered);
}

#[test]
fn a_card_that_did_not_fit_is_tried_again_after_a_report() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&format!("{}, {}", ticket(1, "accepted"), card("SIM-1", FN)), 2);
    bench.is(State::Linked, "Подключена");
    // The card of a replaced ФН overtakes the report from it.
    bench.events(&card("SIM-2", OTHER_FN), 3);
    assert_eq!((bench.kkt().state, bench.open_kinds()), (State::Linked, vec!["card_mismatch"]));
    bench.receive(&Till { fn_number: OTHER_FN, form: 11, reasons: Some(1), ..REPORT }, 4);
    while bench.follow(5).more {}
    bench.is(State::Linked, "Подключена");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    let card = bench.registry.card(bench.kkt().card_id.unwrap()).unwrap().unwrap();
    assert_eq!(card.key, "SIM-2");
}

#[test]
fn test_benches_share_a_registration_number() {
    let mut bench = Bench::new();
    for (fn_text, serial) in [(FN, SERIAL), (OTHER_FN, "000000000009")] {
        bench.receive(&Till { fn_number: fn_text, serial, ..REPORT }, 1);
    }
    while bench.follow(2).more {}
    let second = bench.registry.kkt(KktKey::Fn(&fn_number(OTHER_FN))).unwrap().unwrap();
    assert_ne!(second.id, bench.kkt().id);
    assert_eq!(second.mismatch, ["rnm"], "the number belongs to the first");
}

#[test]
fn the_worked_example_of_the_notes() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../proto-fixtures/captures/msg_reg11_ffd105_9999078900005488_fd1.bin"
    );
    let capture = std::fs::read(path).unwrap();
    let opened = capture.get(62..456).unwrap();
    let mut bench = Bench::new();
    bench.receive_opened(opened, "9999078900005488", 1);
    bench.follow(1);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    let kkt = bench.kkt();
    assert_eq!((kkt.rnm.as_deref(), kkt.inn.as_deref()), (Some("0000000005008570"), Some("7702203276")));
    let report = bench.registry.report(kkt.report_seq.unwrap()).unwrap().unwrap();
    assert_eq!(ManualValues::of(&report).unwrap().to_string(), "03.03.2017 11:38 · 1 · 2853205313");
    assert_eq!(crate::registration::report::ReportFacts::of(&report).unwrap().replaces_fn, Some(true));
}
