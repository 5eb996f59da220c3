//! Scripted streams through every state and label of the notes (B2), by both ways: the automatic card, and the three values.

use ofd_store::{ApplicationState, RegistrationState as State};

use super::application::{Answer, Due, answered, due};
use super::bench::{Bench, FN, OTHER_FN, PERIODS, REPORT, RNM, Till, at, card, deregistration, rnm, ticket};
use super::card::read_xml;
use super::ops::tests::complete_application;
use super::ops::{
    CardOutcome, CardUpload, RegisterKey, application_submit, card_upload, contract_resume, contract_sign,
    contract_stop, rnm_typed,
};
use crate::client::wire::ApplicationStage;

/// Between two questions about an application.
const LONGEST_POLL: std::time::Duration = std::time::Duration::from_secs(300);

fn xml(number: &str, fn_text: &str) -> CardUpload {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><card knd=\"1110066\"><cardNumber>{number}</cardNumber><rnm>{RNM}</rnm>\
         <registeredAt>2026-11-21</registeredAt><user><inn>7702203276</inn></user><kkt><serial>000000000002</serial></kkt>\
         <fn><serial>{fn_text}</serial></fn></card>"
    );
    CardUpload {
        facts: read_xml(body.as_bytes()).unwrap(),
        media_type: "application/xml".to_owned(),
        body: body.into_bytes(),
        signature: None,
    }
}

/// The only application with something to do.
fn the_due(bench: &Bench, seconds: i64) -> Due {
    let mut all = due(&bench.registry, at(seconds), 10).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn answer(bench: &mut Bench, answer: &Answer, seconds: i64) {
    let (Due::Submit { row, .. } | Due::Poll { row, .. }) = the_due(bench, seconds);
    assert!(
        answered(&mut bench.registry, None, &PERIODS, row.id, answer, LONGEST_POLL, at(seconds)).unwrap()
    );
}

#[test]
fn the_automatic_way_through_every_state() {
    let mut bench = Bench::new();
    bench.contract("1", false);
    bench.line("1").unwrap();
    bench.is(State::ContractDraft, "Заключите договор");
    let signed = contract_sign(&mut bench.registry, "1", at(1)).unwrap();
    assert_eq!((signed.changed, signed.registers_moved, signed.fns), (true, 1, vec![FN.parse().unwrap()]));
    bench.is(State::Contracted, "Ожидает регистрации в ФНС");

    // Refused at the door, then by a question, then granted by an event.
    let key = RegisterKey::SerialOrFn(FN);
    application_submit(&mut bench.registry, key, &complete_application(), at(2)).unwrap();
    bench.is(State::ApplicationSent, "Ожидает регистрации в ФНС");
    answer(&mut bench, &Answer::Failed { error: "нет связи".into(), next_at: at(4) }, 3);
    assert_eq!(due(&bench.registry, at(3), 10).unwrap().len(), 0);
    answer(&mut bench, &Answer::RefusedAtDoor { reason: "422 place.address".into() }, 4);
    bench.is(State::ApplicationRefused, "Ожидает регистрации в ФНС");
    assert_eq!(bench.open_kinds(), ["application_refused"]);
    application_submit(&mut bench.registry, key, &complete_application(), at(5)).unwrap();
    answer(&mut bench, &Answer::Received { application_id: "A-1".into() }, 5);
    assert!(matches!(the_due(&bench, 8), Due::Poll { application_id, .. } if application_id == "A-1"));
    answer(&mut bench, &Answer::Stage(ApplicationStage::Pending), 8);
    answer(&mut bench, &Answer::Unknown, 20);
    assert!(matches!(the_due(&bench, 40), Due::Submit { .. }));
    answer(&mut bench, &Answer::Received { application_id: "A-2".into() }, 40);
    let granted =
        format!(r#"{{"id": "1", "type": "applicationAccepted", "applicationId": "A-2", "rnm": "{RNM}"}}"#);
    assert_eq!(bench.events(&granted, 41).moved, 1);
    bench.is(State::RnmAssigned, "Присвоен РНМ, ожидаем отчёт о регистрации");
    assert_eq!(bench.events(&granted, 42).repeated, 1);
    let applications = bench.registry.applications(&ofd_store::ApplicationFilter::default(), 10).unwrap();
    assert_eq!(
        (applications[1].state, applications[1].rnm.as_deref()),
        (ApplicationState::Accepted, Some(RNM))
    );
    bench.fire(60);
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    assert_eq!(bench.fire(72).registers, 1);
    assert_eq!(bench.open_kinds(), ["report_overdue"]);
    assert_eq!(bench.fire(500).registers, 0, "a timer fires once");

    bench.receive(&REPORT, 80);
    bench.follow(80);
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    bench.events(&ticket(1, "soft"), 81);
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    bench.events(&format!("{}, {}", card("SIM-1", FN), ticket(1, "accepted")), 82);
    bench.is(State::Linked, "Подключена");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());

    bench.receive(&Till { fd: 5, form: 6, ..REPORT }, 83);
    bench.follow(83);
    bench.is(State::FnClosed, "ФН закрыт");
    bench.receive(&Till { fn_number: OTHER_FN, form: 11, reasons: Some(1), ..REPORT }, 84);
    bench.follow(84);
    bench.is(State::ReregReportReceived, "Подключена");
    bench.events(&ticket(1, "accepted").replace(FN, OTHER_FN), 85);
    bench.is(State::ReregForwarded, "Подключена");
    assert_eq!(bench.fire(106).registers, 1);
    bench.is(State::ReregForwarded, "Подключена");
    assert_eq!(bench.open_kinds(), ["rereg_reminder"]);
    bench.events(&card("SIM-2", OTHER_FN), 107);
    bench.is(State::Linked, "Подключена");
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());

    assert_eq!(bench.view(4_000_100).label, "Нет данных более 4000000 секунд");
    contract_stop(&mut bench.registry, "1", at(110)).unwrap();
    assert_eq!(bench.view(111).label, "Подключена");
    assert_eq!(bench.view(111).dimensions.contract.name(), "grace");
    assert_eq!(bench.view(210).label, "Обслуживание приостановлено");
    assert!(contract_resume(&mut bench.registry, "1", at(211)).unwrap().changed);
    assert_eq!(bench.view(212).label, "Подключена");
    bench.events(&deregistration(), 220);
    bench.is(State::Deregistered, "Снята с учёта");
}

#[test]
fn the_manual_way_with_the_three_values() {
    let mut bench = Bench::with_line();
    rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn(FN), &rnm(), false, at(1)).unwrap();
    bench.is(State::RnmAssigned, "Присвоен РНМ, ожидаем отчёт о регистрации");
    bench.receive(&REPORT, 2);
    bench.follow(2);
    bench.events(&ticket(1, "soft"), 3);
    bench.is(State::ReportForwarded, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.fire(22).registers, 0);
    assert_eq!(bench.fire(23).moved, 1);
    bench.is(State::AwaitingManualCompletion, "Завершите регистрацию вручную");
    assert_eq!(bench.open_kinds(), ["manual_completion"]);
    assert!(
        bench.open_tasks()[0].text.contains("03.03.2017 11:38, номер ФД 1, фискальный признак 0001078593")
    );

    // A wrong card first, then the right one, then the automatic one.
    let wrong = card_upload(&mut bench.registry, &PERIODS, &xml("M-0", OTHER_FN), at(30)).unwrap();
    assert!(
        matches!(&wrong, CardOutcome::Differs { fields, task_id: Some(_), .. } if *fields == ["fn"]),
        "{wrong:?}"
    );
    bench.is(State::AwaitingManualCompletion, "Завершите регистрацию вручную");
    let right = card_upload(&mut bench.registry, &PERIODS, &xml("M-1", FN), at(31)).unwrap();
    let CardOutcome::Applied { kkt, card: linking } = &right else { panic!("{right:?}") };
    assert_eq!((kkt.card_id, kkt.state), (Some(linking.id), State::Linked));
    bench.is(State::Linked, "Подключена");
    assert_eq!(bench.kkt().card_id, Some(linking.id));
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
    let again = card_upload(&mut bench.registry, &PERIODS, &xml("M-1", FN), at(32)).unwrap();
    assert!(matches!(again, CardOutcome::Confirmed { .. }), "{again:?}");
    // The same card by itself, and one with another number and the same fields: they only confirm.
    for number in ["M-1", "SIM-7"] {
        let applied = bench.events(&card(number, FN), 40);
        assert_eq!((applied.moved, applied.repeated), (0, 1), "{number}");
        bench.is(State::Linked, "Подключена");
    }
    let confirmed = bench.registry.card(linking.id).unwrap().unwrap();
    assert_eq!(confirmed.confirmed_at, Some(at(40)));
    assert_eq!(bench.kkt().card_id, Some(linking.id), "the link stays that of the first card");
}

#[test]
fn a_pdf_that_a_person_read_links_from_report_forwarded() {
    let mut bench = Bench::with_line();
    bench.receive(&REPORT, 1);
    bench.events(&ticket(1, "accepted"), 2);
    let read = xml("1", FN).facts;
    let pdf = CardUpload {
        facts: super::card::CardFacts { number: None, ..read },
        media_type: "application/pdf".to_owned(),
        body: b"%PDF-1.4".to_vec(),
        signature: None,
    };
    let outcome = card_upload(&mut bench.registry, &PERIODS, &pdf, at(3)).unwrap();
    let CardOutcome::Applied { card, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(card.key.len(), 64, "without a number: the hash of the file");
    bench.is(State::Linked, "Подключена");
}
