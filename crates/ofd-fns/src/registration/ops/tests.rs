//! Operations of people: what they refuse, and that nothing is written then.

use ffd::ids::FnNumber;
use ofd_store::{ContractState, RegistrationState as State};

use super::*;
use crate::client::wire::{ApplicationJson, ApplicationKind, ClosingReport};
use crate::registration::bench::{Bench, FN, INN, OTHER_FN, REPORT, RNM, SERIAL, at, card, new_line, rnm};

/// An application for the register of [`REPORT`] with nothing missing.
pub(in crate::registration) fn complete_application() -> ApplicationJson {
    let json = format!(
        r#"{{"knd": "1110061", "kind": "registration",
            "user": {{"inn": "{INN}", "kpp": "770201001", "name": "ООО РАПКАТ-центр"}},
            "kkt": {{"model": "М", "serial": "{SERIAL}"}}, "fn": {{"model": "Ф", "serial": "{FN}"}},
            "place": {{"address": "111141 г.Москва", "name": "Магазин"}}, "ofd": {{"inn": "7704358518"}},
            "modes": {{"internet": true}}, "taxOffice": "7702", "signer": {{"name": "Шеннон К.", "position": "директор"}}}}"#
    );
    crate::registration::application::read(json.as_bytes()).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, OpsError>, part: &str) {
    match result {
        Err(OpsError::Refused(reason)) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}, expected a refusal with {part:?}"),
    }
}

#[test]
fn a_contract_is_signed_stopped_and_resumed() {
    let mut bench = Bench::new();
    bench.contract("17-КЗ", false);
    let again = NewContract {
        number: "17-КЗ ".to_owned(),
        inn: INN.parse().unwrap(),
        client_name: "Ы".to_owned(),
        active: true,
    };
    refused(contract_add(&mut bench.registry, &again, at(1)), "there already");
    let nameless = NewContract { number: "18".to_owned(), client_name: " ".to_owned(), ..again };
    refused(contract_add(&mut bench.registry, &nameless, at(1)), "name of the client");
    refused(contract_stop(&mut bench.registry, "17-КЗ", at(1)), "draft");
    refused(contract_resume(&mut bench.registry, "17-КЗ", at(1)), "contracts sign");
    assert!(matches!(contract_sign(&mut bench.registry, "99", at(1)), Err(OpsError::NotFound(_))));
    assert!(contract_sign(&mut bench.registry, "17-КЗ", at(2)).unwrap().changed);
    assert!(!contract_sign(&mut bench.registry, "17-КЗ", at(3)).unwrap().changed);
    assert!(contract_stop(&mut bench.registry, "17-КЗ", at(4)).unwrap().changed);
    assert!(!contract_stop(&mut bench.registry, "17-КЗ", at(5)).unwrap().changed);
    refused(contract_sign(&mut bench.registry, "17-КЗ", at(6)), "contracts resume");
    refused(bench.line("17-КЗ"), "is stopped");
    let resumed = contract_resume(&mut bench.registry, "17-КЗ", at(7)).unwrap();
    assert_eq!((resumed.contract.state, resumed.contract.stopped_at), (ContractState::Active, None));
    assert_eq!(resumed.contract.active_at, Some(at(2)));
}

#[test]
fn a_line_is_unique_and_a_file_may_be_imported_again() {
    let mut bench = Bench::new();
    bench.contract("1", true);
    bench.contract("2", true);
    assert_eq!(line_check(&bench.registry, "1", &new_line(), at(0)).unwrap(), LineOutcome::Added);
    let added = bench.line("1").unwrap();
    assert_eq!(
        (added.outcome, added.kkt.id, added.kkt.line_id),
        (LineOutcome::Added, bench.kkt().id, Some(added.line.id))
    );
    assert_eq!(bench.kkt().line_id, Some(added.line.id));
    assert_eq!(bench.line("1").unwrap().outcome, LineOutcome::AlreadyThere);
    refused(bench.line("2"), "contract 1 already");
    let other_fn: FnNumber = OTHER_FN.parse().unwrap();
    let clash = |serial: &str, fn_number| NewLine { kkt_serial: serial.to_owned(), fn_number, ..new_line() };
    refused(line_add(&mut bench.registry, "1", &clash(SERIAL, other_fn), at(1)), SERIAL);
    refused(line_add(&mut bench.registry, "1", &clash("3", FN.parse().unwrap()), at(1)), FN);
    refused(line_add(&mut bench.registry, "1", &clash(" ", other_fn), at(1)), "serial number");
    refused(
        line_add(&mut bench.registry, "1", &clash("123456789012345678901", other_fn), at(1)),
        "20 characters",
    );
    assert!(matches!(line_add(&mut bench.registry, "9", &new_line(), at(1)), Err(OpsError::NotFound(_))));
    let closed = line_close(&mut bench.registry, SERIAL, at(2)).unwrap();
    assert_eq!(closed.closed_at, Some(at(2)));
    assert_eq!(bench.view(3).dimensions.contract.name(), "grace");
    assert_eq!(bench.view(200).label, "Обслуживание приостановлено");
    let moved = bench.line("2").unwrap();
    assert_eq!((moved.outcome, moved.kkt.id), (LineOutcome::Joined, added.kkt.id));
    assert_eq!(bench.view(4).label, "Ожидает регистрации в ФНС");
}

#[test]
fn a_line_joins_the_register_that_has_reported_already() {
    let mut bench = Bench::new();
    bench.receive(&REPORT, 1);
    bench.follow(1);
    bench.contract("1", true);
    let joined = bench.line("1").unwrap();
    assert_eq!((joined.outcome, joined.line.rnm.as_deref()), (LineOutcome::Joined, Some(RNM)));
    bench.is(State::ReportReceived, "Отчёт получен, ожидаем карточку");
    assert_eq!(bench.view(2).dimensions.contract.name(), "active");
    let other = NewLine { kkt_serial: "9".to_owned(), ..new_line() };
    refused(line_check(&bench.registry, "1", &other, at(2)), FN);
}

#[test]
fn a_line_may_bring_its_registration_number() {
    let mut bench = Bench::new();
    bench.contract("1", false);
    let line = NewLine { rnm: Some("0000000005000001".parse().unwrap()), unchecked: true, ..new_line() };
    let added = line_add(&mut bench.registry, "1", &line, at(1)).unwrap();
    assert_eq!((added.kkt.state, added.warnings.len()), (State::ContractDraft, 1));
    contract_sign(&mut bench.registry, "1", at(2)).unwrap();
    let kkt = bench.kkt();
    assert_eq!(
        (kkt.state, kkt.rnm.as_deref(), kkt.rnm_confirmed),
        (State::RnmAssigned, Some("0000000005000001"), false)
    );
    // The timer began without the periods of the daemon, which puts it off.
    assert_eq!(bench.fire(3).registers, 0);
    assert_eq!(bench.kkt().due_at, Some(at(32)));
    assert_eq!(bench.fire(32).registers, 1);
}

#[test]
fn a_register_is_announced_by_an_operators_word() {
    let mut bench = Bench::new();
    refused(register_add(&mut bench.registry, None, None, Some((&rnm(), false)), None, at(0)), "name the ФН");
    let announced = register_add(&mut bench.registry, Some(SERIAL), None, None, None, at(0)).unwrap();
    assert_eq!(announced.id, bench.kkt().id);
    bench.is(State::Contracted, "Ожидает регистрации в ФНС");
    assert_eq!(bench.view(1).dimensions.contract.name(), "none");
    let number: FnNumber = FN.parse().unwrap();
    let filled = register_add(&mut bench.registry, Some(SERIAL), Some(&number), None, None, at(1)).unwrap();
    assert_eq!((filled.id, filled.fn_number), (announced.id, Some(number)));
    let inn = "7825706086".parse().unwrap();
    register_add(&mut bench.registry, Some(SERIAL), Some(&number), None, Some(&inn), at(1)).unwrap();
    refused(register_add(&mut bench.registry, Some("7"), Some(&number), None, None, at(2)), "serial number");
    bench.receive(&REPORT, 3);
    bench.follow(3);
    assert_eq!((bench.kkt().state, bench.kkt().mismatch), (State::ReportReceived, vec!["inn".to_owned()]));
}

#[test]
fn a_serial_number_announced_is_found_by_its_report() {
    let mut bench = Bench::new();
    let announced = register_add(&mut bench.registry, Some(SERIAL), None, None, None, at(0)).unwrap();
    bench.receive(&REPORT, 1);
    bench.follow(1);
    let kkt = bench.kkt();
    assert_eq!(
        (kkt.id, kkt.state, kkt.fn_number),
        (announced.id, State::ReportReceived, Some(FN.parse().unwrap()))
    );
    assert_eq!(bench.open_kinds(), Vec::<&str>::new());
}

#[test]
fn a_typed_registration_number() {
    let mut bench = Bench::new();
    bench.contract("1", false);
    bench.line("1").unwrap();
    let wrong = "0000000005000001".parse().unwrap();
    let key = RegisterKey::SerialOrFn(SERIAL);
    refused(rnm_typed(&mut bench.registry, key, &rnm(), false, at(1)), "contracts sign");
    contract_sign(&mut bench.registry, "1", at(1)).unwrap();
    refused(rnm_typed(&mut bench.registry, key, &wrong, false, at(2)), "008570");
    let typed = rnm_typed(&mut bench.registry, key, &wrong, true, at(2)).unwrap();
    assert!(matches!(typed.check, ffd::RnmCheck::Mismatch { expected: 8570 }));
    assert!(matches!(
        rnm_typed(&mut bench.registry, RegisterKey::SerialOrFn("404"), &rnm(), false, at(2)),
        Err(OpsError::NotFound(_))
    ));
    bench.receive(&REPORT, 3);
    bench.follow(3);
    assert_eq!((bench.kkt().mismatch, bench.open_kinds()), (vec!["rnm".to_owned()], vec!["mismatch"]));
    let id = bench.kkt().id;
    let right = rnm_typed(&mut bench.registry, RegisterKey::Id(id), &rnm(), false, at(4)).unwrap();
    assert!(right.kkt.rnm_confirmed);
    assert_eq!((bench.kkt().mismatch.len(), bench.open_kinds().len()), (0, 0));
    refused(rnm_typed(&mut bench.registry, key, &wrong, true, at(5)), "confirmed");
}

#[test]
fn an_application_is_checked_before_it_is_stored() {
    let mut bench = Bench::with_line();
    let key = RegisterKey::SerialOrFn(SERIAL);
    let draft =
        application_draft(&bench.registry, key, ApplicationKind::Registration, "7704358518", None).unwrap();
    assert_eq!(
        (draft.user.inn.as_str(), draft.kkt.model.as_str(), draft.fn_storage.model.as_str()),
        (INN, "Модель 1Ф", "ФН-1.2")
    );
    let incomplete = application_submit(&mut bench.registry, key, &draft, at(1));
    refused(incomplete, "place.address: is missing");
    let mut other = complete_application();
    other.kkt.serial = "7".to_owned();
    refused(application_submit(&mut bench.registry, key, &other, at(1)), "kkt.serial");
    bench.is(State::Contracted, "Ожидает регистрации в ФНС");
    let stored = application_submit(&mut bench.registry, key, &complete_application(), at(1)).unwrap();
    assert_eq!((stored.id, stored.case_id.len()), (1, 36));
    refused(application_submit(&mut bench.registry, key, &complete_application(), at(2)), "under way");
    let mut change = complete_application();
    change.kind = ApplicationKind::Reregistration;
    (change.rnm, change.reasons) = (Some(RNM.to_owned()), vec![1]);
    refused(application_submit(&mut bench.registry, key, &change, at(2)), "under way");
}

#[test]
fn a_change_is_applied_for_by_registered_registers_only() {
    let mut bench = Bench::with_line();
    let key = RegisterKey::SerialOrFn(SERIAL);
    let mut end = complete_application();
    (end.knd, end.kind) = ("1110062".to_owned(), ApplicationKind::Deregistration);
    (end.rnm, end.reason) = (Some(RNM.to_owned()), Some("закрытие".to_owned()));
    end.closing_report = Some(ClosingReport {
        fd_number: 9,
        date_time: "2026-11-21T12:00".to_owned(),
        fiscal_sign: "1078593".to_owned(),
    });
    refused(application_submit(&mut bench.registry, key, &end, at(1)), "not registered");
    bench.receive(&REPORT, 1);
    bench.events(&card("SIM-1", FN), 2);
    refused(application_submit(&mut bench.registry, key, &complete_application(), at(3)), "out of place");
    application_submit(&mut bench.registry, key, &end, at(3)).unwrap();
    bench.is(State::Linked, "Подключена");
}

#[test]
fn tasks_are_closed_once() {
    let mut bench = Bench::with_line();
    bench.receive(&crate::registration::bench::Till { inn: "1", ..REPORT }, 1);
    bench.follow(1);
    let id = bench.open_tasks()[0].id;
    let closed = task_close(&mut bench.registry, id, Some(" уточнено "), at(5)).unwrap();
    assert_eq!((closed.closed_at, closed.note.as_deref()), (Some(at(5)), Some("уточнено")));
    let again = task_close(&mut bench.registry, id, Some("ещё раз"), at(6)).unwrap();
    assert_eq!((again.closed_at, again.note.as_deref()), (Some(at(5)), Some("уточнено")));
    assert!(matches!(task_close(&mut bench.registry, 404, None, at(6)), Err(OpsError::NotFound(_))));
}
