//! What may go another way in a registration: refusals, an order of events that is not the usual one, papers that differ.
//! The usual ways are in [`crate::paths`].

use serde_json::{Value, json};

use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Storage, rnm};

use crate::stand::{CONTRACT, FN, SERIAL, contract, reaches, send, settles, setup, show, tasks};

const OTHER_FN: &str = "9999078900000025";
const CONNECTED: &str = "Подключена";
const REPORTED: &str = "Отчёт получен, ожидаем карточку";

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
