//! Rows of the table of answers that depend on contracts: the real store holds them, another connection changes them as
//! an operator's command does, and the facts of the running daemon follow.

use std::time::Duration;

use ffd::FormCode;
use jiff::Timestamp;
use ofd_store::{
    Client, Commit, Contract, ContractLine, ContractState, Forward, Kkt, RegistrationState, Registry,
    RegistryChange, Standing, row,
};
use pkz::SignMode;

use crate::UnknownFn;
use crate::testing::{Body, Daemon, FN, KKT_SERIAL, Setup, TILL_TIME, Till, set, until, user_inn};

/// The ФН that comes after [`FN`] in the same register.
const NEXT_FN: &str = "9999078900000025";

const NUMBER: &str = "7/2026";

/// Until the facts of a running daemon say so; they follow the store within a second.
async fn until_standing(daemon: &Daemon, till: &Till, expected: Standing) {
    until("the facts", || daemon.standing(till) == expected).await;
}

/// A contract in this state with the register of every document here, and what it says of its ФН.
fn write_contract(daemon: &Daemon, state: ContractState, fn_number: &str) {
    let (mut registry, now) = (Registry::open(&daemon.url).unwrap(), Timestamp::now());
    let contract = Contract {
        id: 0,
        version: 0,
        number: NUMBER.to_owned(),
        inn: user_inn(),
        state,
        created_at: now,
        active_at: (state != ContractState::Draft).then_some(now),
        stopped_at: None,
    };
    let line = ContractLine {
        id: 0,
        version: 0,
        contract_id: row(0),
        inn: user_inn(),
        kkt_serial: KKT_SERIAL.to_owned(),
        kkt_model: None,
        fn_number: Some(fn_number.parse().unwrap()),
        fn_model: None,
        rnm: None,
        created_at: now,
        closed_at: None,
    };
    let register_state = match state {
        ContractState::Draft => RegistrationState::ContractDraft,
        ContractState::Active | ContractState::Stopped => RegistrationState::Contracted,
    };
    let register = Kkt {
        serial: Some(KKT_SERIAL.to_owned()),
        inn: Some(user_inn()),
        fn_number: Some(fn_number.parse().unwrap()),
        line_id: Some(row(0)),
        ..Kkt::new(register_state, now)
    };
    let client = Client { inn: user_inn(), name: "Пекарня".to_owned(), created_at: now };
    let change = RegistryChange {
        clients: vec![client],
        contracts: vec![contract],
        lines: vec![line],
        kkts: vec![register],
        ..RegistryChange::default()
    };
    assert!(matches!(registry.commit(&change), Ok(Commit::Done(_))));
}

fn set_contract(daemon: &Daemon, state: ContractState) {
    let mut registry = Registry::open(&daemon.url).unwrap();
    let contract = registry.contract(NUMBER).unwrap().unwrap();
    let stopped_at = (state == ContractState::Stopped).then(Timestamp::now);
    let contracts = vec![Contract { state, stopped_at, ..contract }];
    let change = RegistryChange { contracts, ..RegistryChange::default() };
    assert!(matches!(registry.commit(&change), Ok(Commit::Done(_))));
}

#[tokio::test]
async fn a_draft_holds_a_signature_serves_a_stop_silences_after_its_grace() {
    let daemon = Setup::with_policy(UnknownFn::Hold, SignMode::Required).start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    write_contract(&daemon, ContractState::Draft, FN);
    client.send(&till.registration()).await;
    client.expect_silence_so_far().await;
    let reasons = |daemon: &Daemon| -> Vec<String> {
        daemon.quarantine().into_iter().map(|copy| copy.reason).collect()
    };
    assert_eq!(reasons(&daemon), ["unknown_fn_held"], "a draft makes nobody known");

    set_contract(&daemon, ContractState::Active);
    until_standing(&daemon, &till, Standing::Known).await;
    let first = client.exchange(&till.registration()).await;
    assert_eq!(till.code(1, &first), 0);
    let second = client.exchange(&till.receipt(2)).await;
    assert_eq!(till.code(2, &second), 0);

    set_contract(&daemon, ContractState::Stopped);
    daemon.facts.set_grace(Duration::ZERO);
    until_standing(&daemon, &till, Standing::Suspended).await;
    daemon.facts.set_grace(Duration::from_secs(3600));
    assert_eq!(daemon.standing(&till), Standing::Known, "the grace period is service");
    let third = client.exchange(&till.receipt(3)).await;
    assert_eq!(till.code(3, &third), 0);

    daemon.facts.set_grace(Duration::ZERO);
    for held_back in [till.receipt(4), till.message(&till.container(5, &change_report(&till, 5), Body::Open))]
    {
        client.send(&held_back).await;
        client.expect_silence_so_far().await;
    }
    assert_eq!(reasons(&daemon), ["contract_stopped", "contract_stopped", "unknown_fn_held"]);
    let metric = |name: &str| daemon.running.metric(&format!(r#"{name}{{reason="contract_stopped"}}"#));
    assert_eq!(metric("fiscald_rejects_total").to_string(), "2");
    assert_eq!(metric("fiscald_quarantined_total").to_string(), "2");

    // What was acknowledged stays acknowledged: the answer may have been lost on the way.
    assert_eq!(client.exchange(&till.receipt(2)).await, second);
    assert_eq!(client.exchange(&till.registration()).await, first);
    assert_eq!(metric("fiscald_rejects_total").to_string(), "2", "an answered repeat is no refusal");
    assert_eq!(daemon.running.metric("fiscald_repeats_total").to_string(), "2");
    assert_eq!((daemon.quarantine().len(), daemon.documents().len()), (3, 3));

    set_contract(&daemon, ContractState::Active);
    until_standing(&daemon, &till, Standing::Known).await;
    let fourth = client.exchange(&till.receipt(4)).await;
    assert_eq!(till.code(4, &fourth), 0);
    assert!(daemon.documents().iter().all(|row| row.forward == Forward::Yes));
    drop(client);
    daemon.stop().await;
}

fn change_report(till: &Till, number: u32) -> Vec<u8> {
    till.document(FormCode::REGISTRATION_CHANGE, number)
}

#[tokio::test]
async fn a_stopped_contract_wins_over_accept() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    write_contract(&daemon, ContractState::Active, FN);
    set_contract(&daemon, ContractState::Stopped);
    daemon.facts.set_grace(Duration::ZERO);
    until_standing(&daemon, &till, Standing::Suspended).await;
    let mut client = daemon.connect().await;
    client.send(&till.registration()).await;
    client.expect_silence_so_far().await;
    assert!(daemon.documents().is_empty());
    assert_eq!(daemon.quarantine()[0].reason, "contract_stopped");
    let reader = ofd_store::Reader::open(&daemon.url).unwrap();
    assert!(reader.registers().unwrap().is_empty(), "a report that was not taken tells reception nothing");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn the_register_of_a_contract_comes_with_another_fn() {
    for policy in [UnknownFn::Hold, UnknownFn::Reject, UnknownFn::Accept] {
        let daemon = Setup::with_policy(policy, SignMode::Required).start().await;
        let (before, after) = (Till::new(FN), Till::new(NEXT_FN));
        write_contract(&daemon, ContractState::Active, FN);
        until_standing(&daemon, &before, Standing::Known).await;
        let mut client = daemon.connect().await;
        if policy != UnknownFn::Accept {
            // Of another user's register with the same serial number, and of no register at all.
            let foreign = after.document_with(FormCode::REGISTRATION, 1, |records| {
                set(records, 1018, b"7707083893  ");
            });
            client.send(&after.message(&after.container(1, &foreign, Body::Open))).await;
            client.send(&after.receipt(2)).await;
            client.expect_silence_so_far().await;
        }
        let reply = client.exchange(&after.registration()).await;
        assert_eq!(after.code(1, &reply), 0, "{policy:?}");
        let reply = client.exchange(&after.receipt(2)).await;
        assert_eq!(after.code(2, &reply), 0, "{policy:?}");
        let rows = daemon.documents();
        let marks: Vec<_> = rows.iter().map(|row| (row.form, row.fn_changed_mark, row.forward)).collect();
        assert_eq!(marks, [(1, true, Forward::Yes), (3, false, Forward::Yes)], "{policy:?}");
        assert_eq!(daemon.running.metric(r#"fiscald_marked_total{mark="fn_changed"}"#).to_string(), "1");
        // What reception remembers of registers: the report is there with what it says.
        let reader = ofd_store::Reader::open(&daemon.url).unwrap();
        let known = reader.registers().unwrap();
        let of_report = known.iter().find(|known| known.fn_number == Some(after.fn_number)).unwrap();
        assert_eq!((of_report.kkt_serial.as_deref(), of_report.report_seq), (Some(KKT_SERIAL), Some(1)));
        assert_eq!(of_report.inn, Some(user_inn()));
        drop(client);
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_deregistered_register_is_answered_and_what_is_newer_is_marked() {
    let daemon = Setup::with_policy(UnknownFn::Hold, SignMode::Required).start().await;
    let till = Till::new(FN);
    write_contract(&daemon, ContractState::Active, FN);
    {
        let mut registry = Registry::open(&daemon.url).unwrap();
        let register = registry.kkt(ofd_store::KktKey::Fn(&till.fn_number)).unwrap().unwrap();
        let register =
            Kkt { state: RegistrationState::Deregistered, deregistered_at: Some(TILL_TIME), ..register };
        let change = RegistryChange { kkts: vec![register], ..RegistryChange::default() };
        assert!(matches!(registry.commit(&change), Ok(Commit::Done(_))));
    }
    let deregistered =
        || daemon.facts.standing(&till.fn_number, Timestamp::now()).deregistered_at == Some(TILL_TIME);
    until("the facts", deregistered).await;
    let mut client = daemon.connect().await;
    for (number, seconds, is_marked) in [(1_u32, -1_i64, false), (2, 0, false), (3, 1, true)] {
        let time = u32::try_from(i64::from(TILL_TIME) + seconds).unwrap();
        let document = till.document_with(FormCode::RECEIPT, number, |records| {
            set(records, 1012, &time.to_le_bytes());
        });
        let reply = client.exchange(&till.message(&till.container(number, &document, Body::Open))).await;
        assert_eq!(till.code(number, &reply), 0);
        let stored = daemon.documents().pop().unwrap();
        assert_eq!(
            (stored.after_deregistration_mark, stored.forward),
            (is_marked, Forward::Yes),
            "{seconds}"
        );
    }
    assert_eq!(
        daemon.running.metric(r#"fiscald_marked_total{mark="after_deregistration"}"#).to_string(),
        "1"
    );
    drop(client);
    daemon.stop().await;
}
