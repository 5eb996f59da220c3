//! Every state and every label of a register, by both ways to the registry: the card that comes by itself, and the three
//! values of 2016. Seen as an operator sees them, by `registers show`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Register, Storage, USER_INN, records, rnm};

use crate::stand::{
    CONTRACT, FN, SERIAL, is_accepted, mode, reaches, run, send, settles, setup, show, tasks,
};

const SECOND_FN: &str = "9999078900000025";
const THIRD_FN: &str = "9999078900000033";

/// All states (tax-service notes B2).
const STATES: [&str; 14] = [
    "CONTRACT_DRAFT",
    "CONTRACTED",
    "APPLICATION_SENT",
    "APPLICATION_REFUSED",
    "RNM_ASSIGNED",
    "REPORT_RECEIVED",
    "REPORT_FORWARDED",
    "AWAITING_MANUAL_COMPLETION",
    "REPORT_REFUSED",
    "LINKED",
    "REREG_REPORT_RECEIVED",
    "REREG_FORWARDED",
    "FN_CLOSED",
    "DEREGISTERED",
];

const UNSIGNED: &str = "Заключите договор";
const AT_TAX: &str = "Ожидает регистрации в ФНС";
const RNM_GIVEN: &str = "Присвоен РНМ, ожидаем отчёт о регистрации";
const REPORTED: &str = "Отчёт получен, ожидаем карточку";
const BY_HAND: &str = "Завершите регистрацию вручную";
const REFUSED: &str = "Отказ ФНС";
const CONNECTED: &str = "Подключена";
const SUSPENDED: &str = "Обслуживание приостановлено";
/// With the period of these tests for the N days of the notes.
const SILENT: &str = "Нет данных более 1 секунды";
const CLOSED: &str = "ФН закрыт";
const GONE: &str = "Снята с учёта";

/// All labels (tax-service notes B2), in the order in which they are tried.
const LABELS: [&str; 11] =
    [GONE, SUSPENDED, UNSIGNED, AT_TAX, RNM_GIVEN, REPORTED, BY_HAND, REFUSED, CLOSED, SILENT, CONNECTED];

/// A register on its way, and what was seen of it.
struct Way {
    tax: Tax,
    setup: Setup,
    daemon: Daemon,
    states: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Way {
    /// Neither application nor card is decided before the tax service is told to.
    fn begin() -> Self {
        let tax = Tax::start_with(&["--auto-applications", "off", "--auto-card", "off"]);
        // Long enough for a state that it ends to be seen.
        let setup = setup(&tax).with("registration.t_card_s", "4");
        let daemon = setup.start();
        Self { tax, setup, daemon, states: BTreeSet::new(), labels: BTreeSet::new() }
    }

    /// Waits for a state, which must have this label.
    fn sees(&mut self, number: &str, state: &str, label: &str) -> Value {
        let shown = reaches(&mut self.daemon, &self.setup, number, state, label);
        self.note(&shown);
        shown
    }

    /// Waits for a label.
    fn comes_to_be(&mut self, number: &str, label: &str) -> Value {
        let setup = &self.setup;
        let shown = self.daemon.wait_for(&format!("{number}: {label}"), |_| {
            Some(show(setup, number)).filter(|shown| shown["label"] == label)
        });
        self.note(&shown);
        shown
    }

    fn note(&mut self, shown: &Value) {
        self.states.insert(shown["state"].as_str().unwrap().to_owned());
        self.labels.insert(shown["label"].as_str().unwrap().to_owned());
    }

    /// From the draft of a contract, which serves nothing, to an application that is refused.
    fn is_refused_first(&mut self) {
        run(&self.setup, &["contracts", "add", CONTRACT, "--inn", USER_INN, "--name", "ООО Пекарня"]);
        run(&self.setup, &["contracts", "line", CONTRACT, "--kkt-serial", SERIAL, "--fn", FN]);
        let shown = self.sees(FN, "CONTRACT_DRAFT", UNSIGNED);
        assert_eq!((&shown["contract"], &shown["liveness"]), (&json!("draft"), &json!("never")));
        let storage = Storage::new(FN);
        self.is_not_answered(&storage, 1, &storage.registration(1, SERIAL));

        run(&self.setup, &["contracts", "sign", CONTRACT]);
        assert_eq!(self.sees(FN, "CONTRACTED", AT_TAX)["contract"], "active");
        let refuse = json!({ "decision": "refuse", "codes": [{ "code": 999, "text": "нет приложения" }] });
        self.applies_and_hears(&refuse);
        self.sees(FN, "APPLICATION_REFUSED", AT_TAX);
    }

    fn is_not_answered(&self, storage: &Storage, fd_number: u32, document: &[u8]) {
        let mut register = Register::connect(self.daemon.registers);
        register.write(&storage.send(fd_number, document));
        assert!(register.silent_for(Duration::from_millis(300)), "without a contract there is no answer");
    }

    /// Hands an application in and lets the tax service decide it.
    fn applies_and_hears(&mut self, decision: &Value) {
        let args =
            ["--kkt-model", "Касса 1Ф", "--fn-model", "ФН-1.1", "--address", "Москва", "--place", "Зал"];
        let rest = ["--tax-office", "7702", "--signer", "Иванов И.", "--position", "директор"];
        run(&self.setup, &[&["registers", "apply", SERIAL], &args[..], &rest[..]].concat());
        self.sees(FN, "APPLICATION_SENT", AT_TAX);
        let setup = &self.setup;
        let id = self.daemon.wait_for("the application's number", |_| {
            let list = setup.json(&["registers", "applications", "--open", "--json"]);
            Some(list.as_array()?.first()?["application_id"].as_str()?.to_owned())
        });
        self.tax.ask("POST", &format!("/sim/applications/{id}/decide"), decision);
    }

    /// The first report reaches the tax service, which refuses it; so does that of the next ФН, and no card comes in time.
    /// Gives the next ФН, and how the register is shown in the end.
    fn reports_twice_and_waits(&mut self, number: &str) -> (Storage, Value) {
        let storage = Storage::new(FN).of_rnm(number);
        self.reports(
            &storage,
            1,
            &storage.registration(1, SERIAL),
            ["REPORT_RECEIVED", "REPORT_FORWARDED"],
            REPORTED,
        );
        let codes = json!([{ "code": 420, "text": "нет реквизита" }]);
        let refusal = json!({ "docKey": format!("{FN}-1"), "codes": codes });
        self.tax.ask("POST", "/sim/registration-refused", &refusal);
        self.sees(number, "REPORT_REFUSED", REFUSED);

        let storage = Storage::new(SECOND_FN).of_rnm(number);
        send(&mut self.daemon, &storage, 1, &storage.registration(1, SERIAL));
        let shown = self.sees(number, "AWAITING_MANUAL_COMPLETION", BY_HAND);
        assert_eq!(
            (&shown["fn"], &shown["fns"]),
            (&json!(SECOND_FN), &json!("has_soft")),
            "901: no card yet"
        );
        (storage, shown)
    }

    /// A report is acknowledged while the tax service is away, then goes there.
    fn reports(&mut self, storage: &Storage, fd_number: u32, report: &[u8], states: [&str; 2], label: &str) {
        self.tax.set(&mode("down"));
        send(&mut self.daemon, storage, fd_number, report);
        self.sees(&storage.rnm, states[0], label);
        self.tax.set(&mode("ok"));
        self.sees(&storage.rnm, states[1], label);
    }

    /// The contract ends, the grace period is over, the register is not heard; then all goes on.
    fn goes_on_after_a_suspension(mut self, storage: &Storage, fd_number: u32) -> Self {
        let number = storage.rnm.clone();
        run(&self.setup, &["contracts", "stop", CONTRACT]);
        assert_eq!(self.sees(&number, "LINKED", CONNECTED)["contract"], "grace");
        let patient = self.setup.clone();
        let hasty = patient.clone().with("registration.grace_s", "1").with("registration.silent_s", "1");
        self = self.restarted(&hasty);
        assert_eq!(self.comes_to_be(&number, SUSPENDED)["contract"], "stopped");
        self.is_not_answered(storage, fd_number, &storage.registration_change(fd_number, SERIAL, 3));
        run(&self.setup, &["contracts", "resume", CONTRACT]);
        let shown = self.comes_to_be(&number, SILENT);
        assert_eq!((&shown["contract"], &shown["liveness"]), (&json!("active"), &json!("silent_1s")));
        self = self.restarted(&patient);
        self.sees(&number, "LINKED", CONNECTED);
        self
    }

    fn restarted(self, setup: &Setup) -> Self {
        assert!(self.daemon.stop().success());
        Self { daemon: setup.start(), setup: setup.clone(), ..self }
    }

    /// Ends the way: every state and every label was shown on it.
    fn has_seen_everything(self) {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(self.states, set(&STATES));
        assert_eq!(self.labels, set(&LABELS));
        assert!(self.daemon.stop().success());
    }
}

#[test]
fn a_register_goes_from_contract_to_connected_by_itself_and_back() {
    let mut way = Way::begin();
    way.is_refused_first();
    way.applies_and_hears(&json!({ "decision": "accept" }));
    let shown = way.sees(FN, "RNM_ASSIGNED", RNM_GIVEN);
    let number = shown["rnm"].as_str().unwrap().to_owned();

    // The user writes the number into the register, which reports; the card comes late.
    let (storage, _) = way.reports_twice_and_waits(&number);
    let cards = |way: &Way, auto: bool| way.tax.set(&json!({ "autoCard": auto }));
    cards(&way, true);
    assert_eq!(way.sees(&number, "LINKED", CONNECTED)["liveness"], "online");
    is_accepted(&way.tax, SECOND_FN, 1);
    way = way.goes_on_after_a_suspension(&storage, 2);

    // Re-registration, then the end of the ФН, then another one in the same register.
    cards(&way, false);
    let change = storage.registration_change(2, SERIAL, 3);
    way.reports(&storage, 2, &change, ["REREG_REPORT_RECEIVED", "REREG_FORWARDED"], CONNECTED);
    cards(&way, true);
    way.sees(&number, "LINKED", CONNECTED);
    send(&mut way.daemon, &storage, 3, &storage.closing(3));
    assert_eq!(way.sees(&number, "FN_CLOSED", CLOSED)["fn_state"], "closed");
    let renewed = Storage::new(THIRD_FN).of_rnm(&number);
    send(&mut way.daemon, &renewed, 1, &renewed.registration_change(1, SERIAL, 1));
    assert_eq!(way.sees(&number, "LINKED", CONNECTED)["fn"], THIRD_FN, "the new ФН is in the register");
    is_accepted(&way.tax, THIRD_FN, 1);

    way.tax.ask("POST", "/sim/deregister", &json!({ "rnm": number }));
    way.sees(&number, "DEREGISTERED", GONE);
    way.has_seen_everything();
}

#[test]
fn the_way_of_2016_three_values_and_a_card_by_mail() {
    let mut way = Way::begin();
    way.is_refused_first();
    // The user goes to the tax office himself, and types the number.
    let number = rnm(1, SERIAL);
    run(&way.setup, &["registers", "rnm", SERIAL, &number]);
    way.sees(&number, "RNM_ASSIGNED", RNM_GIVEN);
    let (storage, shown) = way.reports_twice_and_waits(&number);
    let sign = printed_sign(&storage.registration(1, SERIAL));
    let expected = json!({ "date_time": "01.01.2025 09:00", "fd": 1, "fiscal_sign": sign });
    assert_eq!(shown["manual"], expected, "1012 is 1735722000");
    completes_by_mail(&mut way, &number, 1, &expected, 1);
    settles(&mut way.daemon, &way.setup, SECOND_FN, 1, "accepted");
    way = way.goes_on_after_a_suspension(&storage, 2);

    let change = storage.registration_change(2, SERIAL, 3);
    way.reports(&storage, 2, &change, ["REREG_REPORT_RECEIVED", "REREG_FORWARDED"], CONNECTED);
    let values = show(&way.setup, &number)["manual"].clone();
    assert_eq!((&values["fd"], &values["fiscal_sign"]), (&json!(2), &json!(printed_sign(&change))));
    completes_by_mail(&mut way, &number, 11, &values, 2);
    settles(&mut way.daemon, &way.setup, SECOND_FN, 2, "accepted");
    send(&mut way.daemon, &storage, 3, &storage.closing(3));
    way.sees(&number, "FN_CLOSED", CLOSED);
    assert_eq!(tasks(&way.setup), ["fn_changed"], "of the second ФН; nothing else is left for a person");

    // The card of deregistration comes by mail too.
    let (status, text) = way.tax.request("GET", &format!("/cabinet/card?rnm={number}"), &Value::Null);
    assert_eq!(status, 200, "{text}");
    let text = text.replace("1110066", "1110067").replace("SIM-", "GONE-");
    let text = text.replace("</registeredAt>", "</registeredAt><deregisteredAt>2026-11-01</deregisteredAt>");
    upload(&way, &text);
    way.sees(&number, "DEREGISTERED", GONE);
    way.has_seen_everything();
}

/// The ten digits that a document has on paper.
fn printed_sign(document: &[u8]) -> String {
    let sign = records(&document[4..]).into_iter().find(|(tag, _)| *tag == 1077).unwrap().1;
    format!("{:010}", u32::from_be_bytes([sign[2], sign[3], sign[4], sign[5]]))
}

/// The taxpayer types the three values into the cabinet of the tax service, gets a card and mails it to the operator, and
/// the feed brings it only later. `cards`: how many there are then.
fn completes_by_mail(way: &mut Way, number: &str, kind: u8, values: &Value, cards: usize) {
    way.tax.set(&mode("down"));
    let text = |name: &str| values[name].as_str().unwrap().replace(' ', "+").replace(':', "%3A");
    let (date_time, sign, fd) = (text("date_time"), text("fiscal_sign"), values["fd"].as_u64().unwrap());
    let form = format!("rnm={number}&inn={USER_INN}&kind={kind}&date_time={date_time}&fd={fd}&sign={sign}");
    let (status, page) = way.tax.post_form("/cabinet", &form);
    assert_eq!(status, 200, "{page}");
    let (status, text) = way.tax.request("GET", &format!("/cabinet/card?rnm={number}"), &Value::Null);
    assert_eq!(status, 200, "{text}");
    upload(way, &text);
    way.sees(number, "LINKED", CONNECTED);
    let list = |setup: &Setup| setup.json(&["cards", "list", "--rnm", number, "--json"]);
    let confirmed = |list: &Value| {
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), cards, "one card for each report: {list:?}");
        assert!(list.iter().all(|card| card["source"] == "manual"), "{list:?}");
        list.iter().filter(|card| !card["confirmed_at"].is_null()).count()
    };
    assert_eq!(confirmed(&list(&way.setup)), cards - 1);

    // The same card by the feed only confirms.
    way.tax.set(&mode("ok"));
    let setup = way.setup.clone();
    way.daemon
        .wait_for("the confirmation of the card", |_| (confirmed(&list(&setup)) == cards).then_some(()));
    assert_eq!(show(&way.setup, number)["state"], "LINKED");
}

fn upload(way: &Way, card: &str) {
    let path = way.tax.folder().join("card.xml");
    std::fs::write(&path, card).unwrap();
    run(&way.setup, &["cards", "upload", path.to_str().unwrap()]);
}
