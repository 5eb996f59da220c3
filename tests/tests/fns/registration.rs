//! Every state of a registration, by both paths: the card that comes by itself, and the three values of 2016.

use std::time::Duration;

use serde_json::{Value, json};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Register, Storage, USER_INN, rnm};

use crate::stand::{
    CONTRACT, FN, SERIAL, contract, is_accepted, mode, reaches, run, send, settles, setup, show, tasks,
};

const OTHER_FN: &str = "9999078900000025";
const CONNECTED: &str = "Подключена";
const AT_TAX: &str = "Ожидает регистрации в ФНС";
const RNM_GIVEN: &str = "Присвоен РНМ, ожидаем отчёт о регистрации";
const REPORTED: &str = "Отчёт получен, ожидаем карточку";
const BY_HAND: &str = "Завершите регистрацию вручную";

/// A draft contract about the register; nothing of it is served yet.
fn draft(setup: &Setup) {
    run(setup, &["contracts", "add", CONTRACT, "--inn", USER_INN, "--name", "ООО Пекарня"]);
    run(setup, &["contracts", "line", CONTRACT, "--kkt-serial", SERIAL, "--fn", FN]);
}

/// Hands an application in.
fn apply(setup: &Setup) {
    let args = ["--kkt-model", "Касса 1Ф", "--fn-model", "ФН-1.1", "--address", "Москва", "--place", "Зал"];
    let rest = ["--tax-office", "7702", "--signer", "Иванов И.", "--position", "директор"];
    run(setup, &[&["registers", "apply", SERIAL], &args[..], &rest[..]].concat());
}

/// Number under which the tax service has the only application.
fn application_id(daemon: &mut Daemon, setup: &Setup) -> String {
    daemon.wait_for("the application's number", |_| {
        let list = setup.json(&["registers", "applications", "--open", "--json"]);
        Some(list.as_array()?.first()?["application_id"].as_str()?.to_owned())
    })
}

#[test]
fn a_register_goes_from_contract_to_connected_by_itself_and_back() {
    let tax = Tax::start();
    // Every step has to be seen: nothing comes before it is asked for.
    tax.set(&json!({ "autoApplications": false, "cardDelayMs": 86_400_000, "verdictDelayMs": 0 }));
    let setup = setup(&tax);
    let mut daemon = setup.start();
    draft(&setup);
    let storage = Storage::new(FN);
    let report = storage.registration(1, SERIAL);
    let shown = show(&setup, FN);
    assert_eq!((&shown["state"], &shown["label"]), (&json!("CONTRACT_DRAFT"), &json!("Заключите договор")));
    assert_eq!(shown["contract"], "draft");
    let mut register = Register::connect(daemon.registers);
    register.write(&storage.send(1, &report));
    assert!(register.silent_for(Duration::from_millis(300)), "without a contract there is no answer");

    run(&setup, &["contracts", "sign", CONTRACT]);
    let shown = reaches(&mut daemon, &setup, FN, "CONTRACTED", AT_TAX);
    assert_eq!((&shown["contract"], &shown["liveness"]), (&json!("active"), &json!("never")));

    apply(&setup);
    reaches(&mut daemon, &setup, FN, "APPLICATION_SENT", AT_TAX);
    let id = application_id(&mut daemon, &setup);
    let refuse = json!({ "decision": "refuse", "codes": [{ "code": 999, "text": "нет приложения" }] });
    tax.ask("POST", &format!("/sim/applications/{id}/decide"), &refuse);
    reaches(&mut daemon, &setup, FN, "APPLICATION_REFUSED", AT_TAX);
    apply(&setup);
    let id = application_id(&mut daemon, &setup);
    tax.ask("POST", &format!("/sim/applications/{id}/decide"), &json!({ "decision": "accept" }));
    let shown = reaches(&mut daemon, &setup, FN, "RNM_ASSIGNED", RNM_GIVEN);
    let number = shown["rnm"].as_str().unwrap().to_owned();

    // The user writes the number into the register, which reports.
    let storage = storage.of_rnm(&number);
    tax.set(&json!({ "verdictDelayMs": 1_500 }));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    reaches(&mut daemon, &setup, &number, "REPORT_RECEIVED", REPORTED);
    let shown = reaches(&mut daemon, &setup, &number, "REPORT_FORWARDED", REPORTED);
    assert_eq!(shown["fns"], "has_soft", "no card yet: soft 901");
    tax.set(&json!({ "verdictDelayMs": 0, "cardDelayMs": 0 }));
    // A card is made for reports; the one of this report was put off for a day.
    send(&mut daemon, &storage, 2, &storage.registration_change(2, SERIAL, 3));
    let shown = reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    assert_eq!(shown["liveness"], "online");
    is_accepted(&tax, FN, 2);

    // Re-registration, then the end of the ФН, then another one in the same register.
    tax.set(&json!({ "verdictDelayMs": 1_500, "cardDelayMs": 86_400_000 }));
    send(&mut daemon, &storage, 3, &storage.registration_change(3, SERIAL, 3));
    reaches(&mut daemon, &setup, &number, "REREG_REPORT_RECEIVED", CONNECTED);
    reaches(&mut daemon, &setup, &number, "REREG_FORWARDED", CONNECTED);
    tax.set(&json!({ "verdictDelayMs": 0, "cardDelayMs": 0 }));
    send(&mut daemon, &storage, 4, &storage.registration_change(4, SERIAL, 3));
    reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    send(&mut daemon, &storage, 5, &storage.closing(5));
    let shown = reaches(&mut daemon, &setup, &number, "FN_CLOSED", "ФН закрыт");
    assert_eq!(shown["fn_state"], "closed");
    let renewed = Storage::new(OTHER_FN).of_rnm(&number);
    send(&mut daemon, &renewed, 1, &renewed.registration_change(1, SERIAL, 1));
    let shown = reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    assert_eq!(shown["fn"], OTHER_FN, "the new ФН is in the register");

    tax.ask("POST", "/sim/deregister", &json!({ "rnm": number }));
    reaches(&mut daemon, &setup, &number, "DEREGISTERED", "Снята с учёта");
    assert!(daemon.stop().success());
}

#[test]
fn the_way_of_2016_three_values_and_a_card_by_mail() {
    let tax = Tax::start_with(&["--auto-card", "off"]);
    let setup = setup(&tax).with("registration.t_card_s", "1");
    let mut daemon = setup.start();
    draft(&setup);
    run(&setup, &["contracts", "sign", CONTRACT]);
    let number = rnm(1, SERIAL);
    run(&setup, &["registers", "rnm", SERIAL, &number]);
    reaches(&mut daemon, &setup, &number, "RNM_ASSIGNED", RNM_GIVEN);
    let storage = Storage::new(FN).of_rnm(&number);
    let report = storage.registration(1, SERIAL);
    send(&mut daemon, &storage, 1, &report);
    let shown = reaches(&mut daemon, &setup, &number, "AWAITING_MANUAL_COMPLETION", BY_HAND);
    let sign =
        fiscald_tests::wire::records(&report[4..]).into_iter().find(|(tag, _)| *tag == 1077).unwrap().1;
    let sign = u32::from_be_bytes([sign[2], sign[3], sign[4], sign[5]]);
    let expected = json!({ "date_time": "01.01.2025 09:00", "fd": 1, "fiscal_sign": format!("{sign:010}") });
    assert_eq!(shown["manual"], expected, "1012 is 1735722000, 1077 ends with {sign}");

    // The feed is cut off, so that the card by mail is the first to come.
    tax.set(&mode("down"));
    complete(&tax, &number, &expected);
    let card = tax.folder().join("card.xml");
    let (status, text) = tax.request("GET", &format!("/cabinet/card?rnm={number}"), &Value::Null);
    assert_eq!(status, 200, "{text}");
    std::fs::write(&card, text).unwrap();
    run(&setup, &["cards", "upload", card.to_str().unwrap()]);
    reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    let cards = setup.json(&["cards", "list", "--rnm", &number, "--json"]);
    assert_eq!((&cards[0]["source"], &cards[0]["confirmed_at"]), (&json!("manual"), &Value::Null), "{cards}");

    // The card of the feed comes later and only confirms; the report waits no longer for it.
    tax.set(&mode("ok"));
    daemon.wait_for("the confirmation of the card", |_| {
        let cards = setup.json(&["cards", "list", "--rnm", &number, "--json"]);
        assert_eq!(cards.as_array().unwrap().len(), 1, "one card: {cards}");
        (!cards[0]["confirmed_at"].is_null()).then_some(())
    });
    settles(&mut daemon, &setup, FN, 1, "accepted");
    assert_eq!(show(&setup, &number)["state"], "LINKED");
    assert_eq!(tasks(&setup), [""; 0]);
}

/// What the taxpayer types into the cabinet of the tax service, as it is shown to him.
fn complete(tax: &Tax, number: &str, values: &Value) {
    let text = |name: &str| values[name].as_str().unwrap().replace(' ', "+").replace(':', "%3A");
    let (date_time, sign) = (text("date_time"), text("fiscal_sign"));
    let form = format!(
        "rnm={number}&inn={USER_INN}&kind=1&date_time={date_time}&fd={}&sign={sign}",
        values["fd"].as_u64().unwrap()
    );
    let (status, page) = tax.post_form("/cabinet", &form);
    assert_eq!(status, 200, "{page}");
}

#[test]
fn a_refused_report_is_shown_and_the_next_one_links() {
    let tax = Tax::start_with(&["--auto-card", "off"]);
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let number = rnm(1, SERIAL);
    let storage = Storage::new(FN).of_rnm(&number);
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    reaches(&mut daemon, &setup, &number, "REPORT_FORWARDED", REPORTED);
    let refusal = json!({ "docKey": format!("{FN}-1"), "codes": [{ "code": 420, "text": "нет реквизита" }] });
    tax.ask("POST", "/sim/registration-refused", &refusal);
    reaches(&mut daemon, &setup, &number, "REPORT_REFUSED", "Отказ ФНС");
    tax.set(&json!({ "autoCard": true }));
    let renewed = Storage::new(OTHER_FN).of_rnm(&number);
    // Another ФН: the serial number and the INN say which register it is in.
    send(&mut daemon, &renewed, 1, &renewed.registration(1, SERIAL));
    let shown = reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    assert_eq!(shown["fn"], OTHER_FN);
}

#[test]
fn the_card_may_come_before_the_ticket_and_twice() {
    let tax = Tax::start();
    tax.set(&json!({ "cardDelayMs": 0, "verdictDelayMs": 1_500 }));
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let number = rnm(1, SERIAL);
    let storage = Storage::new(FN).of_rnm(&number);
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    reaches(&mut daemon, &setup, &number, "LINKED", CONNECTED);
    assert_ne!(crate::stand::outbox(&setup, FN, 1)["state"], "accepted", "the card came first");
    settles(&mut daemon, &setup, FN, 1, "accepted");
    assert_eq!(show(&setup, &number)["state"], "LINKED");

    tax.ask("POST", &format!("/sim/kkts/{number}/card"), &Value::Null);
    daemon.wait_for("the second arrival of the card", |_| {
        let cards = setup.json(&["cards", "list", "--json"]);
        assert_eq!(cards.as_array().unwrap().len(), 1, "{cards}");
        (!cards[0]["confirmed_at"].is_null()).then_some(())
    });
    assert_eq!(tasks(&setup), [""; 0]);
}

#[test]
fn a_report_that_is_not_as_agreed_is_served_and_told_to_a_human() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, "00106900000099", FN);
    let number = rnm(1, SERIAL);
    let storage = Storage::new(FN).of_rnm(&number);
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    let found = daemon.wait_for("the task", |_| Some(tasks(&setup)).filter(|tasks| !tasks.is_empty()));
    assert!(found.contains(&"mismatch".to_owned()), "{found:?}");
    is_accepted_or_soft(&tax);
}

/// It was forwarded in any case.
fn is_accepted_or_soft(tax: &Tax) {
    tax.wait_for("the report", |tax| crate::stand::at_tax(tax, FN, 1));
}
