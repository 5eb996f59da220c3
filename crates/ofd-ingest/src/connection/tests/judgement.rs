//! The format and logic control on the way of a document: what is answered, kept, counted, and what is remembered of
//! an ФН between its documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ffd::check::Weight;
use ffd::{FnNumber, FormCode};
use ofd_store::{FindingSeverity, RegisterHistory, StoreError};

use crate::History;
use crate::clock::tests::Machine;
use crate::testing::{Body, Client, Daemon, FN, Setup, Till, set, within};

/// The message of a receipt that is paid with less than its sum.
fn underpaid(till: &Till, number: u32) -> Vec<u8> {
    let document = till.document_with(FormCode::RECEIPT, number, |records| set(records, 1031, &[1]));
    till.message(&till.container(number, &document, Body::Open))
}

/// Rules found in each document of the journal, in order of arrival.
fn rules(daemon: &Daemon) -> Vec<Vec<String>> {
    let rules =
        |row: &ofd_store::DocumentRow| row.findings.iter().map(|finding| finding.rule.clone()).collect();
    daemon.documents().iter().map(rules).collect()
}

fn has_rule(found: &[String], rule: &str) -> bool {
    found.iter().any(|found| found == rule)
}

async fn code(client: &mut Client, till: &Till, number: u32, message: &[u8]) -> u8 {
    let reply = client.exchange(message).await;
    till.code(number, &reply)
}

#[tokio::test]
async fn a_whole_document_has_no_findings() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let forms = [
        FormCode::REGISTRATION,
        FormCode::SHIFT_OPEN,
        FormCode::RECEIPT,
        FormCode::RECEIPT,
        FormCode::SHIFT_CLOSE,
    ];
    for (number, form) in (1..).zip(forms) {
        let document = till.document_with(form, number, |records| {
            // The shift begins with document 2, so receipt 1 is document 3.
            set(records, 1042, &number.saturating_sub(2).to_le_bytes());
            set(records, 1038, &1_u32.to_le_bytes());
            set(records, 1111, &4_u32.to_le_bytes());
            set(records, 1118, &2_u32.to_le_bytes());
        });
        let message = till.message(&till.container(number, &document, Body::Open));
        assert_eq!(code(&mut client, &till, number, &message).await, 0, "{form:?}");
    }
    for (row, found) in daemon.documents().iter().zip(rules(&daemon)) {
        assert_eq!(found, [""; 0], "form {}", row.form);
    }
    assert!(daemon.running.metric(r#"fiscald_stage_seconds_count{stage="check"}"#) > 4.5);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_hard_finding_is_answered_with_14_and_kept() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let message = underpaid(&till, 5);
    assert_eq!(code(&mut client, &till, 5, &message).await, 14);
    assert_eq!(code(&mut client, &till, 5, &message).await, 14);
    let [row] = daemon.documents().try_into().unwrap();
    assert!(row.flk_mark);
    let finding = row.findings.iter().find(|finding| finding.rule == "sum.payments").unwrap();
    assert_eq!(finding.severity, FindingSeverity::Hard);
    assert!(finding.text.chars().any(|letter| ('а'..='я').contains(&letter)), "{}", finding.text);
    let counted = daemon.running.metric(r#"fiscald_findings_total{rule="sum.payments",severity="hard"}"#);
    assert_eq!(counted.to_string(), "1", "a repeat is not counted again");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn the_operator_decides_what_a_rule_weighs() {
    for (weight, expected) in [
        (Weight::Hard, (14, Some(FindingSeverity::Hard))),
        (Weight::Soft, (0, Some(FindingSeverity::Soft))),
        (Weight::Off, (0, None)),
    ] {
        let mut setup = Setup::new();
        setup.severities.set("sum.payments", weight).unwrap();
        let daemon = setup.start().await;
        let till = Till::new(FN);
        let code = code(&mut daemon.connect().await, &till, 5, &underpaid(&till, 5)).await;
        let [row] = daemon.documents().try_into().unwrap();
        let finding = row.findings.iter().find(|finding| finding.rule == "sum.payments");
        assert_eq!((code, finding.map(|finding| finding.severity)), expected, "{weight:?}");
        assert_eq!(row.flk_mark, code == 14);
        daemon.stop().await;
    }
}

#[tokio::test]
async fn pipelined_documents_are_judged_in_order_before_the_commit_of_the_earlier_ones() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let numbers: Vec<u32> = (1..=60).filter(|number| *number != 31).collect();
    client.send(&numbers.iter().flat_map(|number| till.receipt(*number)).collect::<Vec<u8>>()).await;
    for number in &numbers {
        let (_, reply) = client.reply().await;
        assert_eq!(till.code(*number, &reply), 0);
    }
    for (number, found) in numbers.iter().zip(rules(&daemon)) {
        assert_eq!(has_rule(&found, "numbering.document"), *number == 32, "document {number}: {found:?}");
    }
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeat_and_a_conflict_leave_the_numbering_as_it_was() {
    let daemon = Setup::new().start().await;
    // Numbers of a genuine storage: a debug one may begin anew.
    let till = Till::new("9280440300000001");
    let mut client = daemon.connect().await;
    for number in [1, 2, 3, 2, 1, 3] {
        assert_eq!(code(&mut client, &till, number, &till.receipt(number)).await, 0);
    }
    let other = till.document_with(FormCode::RECEIPT, 2, |records| set(records, 1021, b"Petrova"));
    let conflict = till.message(&till.container(2, &other, Body::Open));
    assert_eq!(code(&mut client, &till, 2, &conflict).await, 0);
    // Another connection of the same ФН goes on.
    assert_eq!(code(&mut daemon.connect().await, &till, 4, &till.receipt(4)).await, 0);
    let rows = daemon.documents();
    assert_eq!(rows.iter().map(|row| row.fd_number.get()).collect::<Vec<_>>(), [1, 2, 3, 2, 4]);
    let found = rules(&daemon);
    for (row, found) in rows.iter().zip(&found).filter(|(row, _)| row.conflict_no == 0) {
        assert!(!has_rule(found, "numbering.document"), "{}: {found:?}", row.fd_number);
    }
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_known_of_an_fn_is_read_again_after_a_restart() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    assert_eq!(code(&mut daemon.connect().await, &till, 2, &till.receipt(2)).await, 0);
    let store = daemon.store.as_ref().unwrap();
    // A second reception on the same store remembers nothing.
    let setup = Setup { history: Some(store.history()), ..Setup::new() };
    let second = setup.run_on(store.journal(), store.facts()).await;
    let mut client = second.connect().await;
    assert_eq!(code(&mut client, &till, 4, &till.receipt(4)).await, 0);
    assert_eq!(code(&mut client, &till, 5, &till.receipt(5)).await, 0);
    let found = rules(&daemon);
    let gaps: Vec<_> = found.iter().map(|found| has_rule(found, "numbering.document")).collect();
    assert_eq!(gaps, [false, true, false], "{found:?}");
    assert_eq!(second.metric(r#"fiscald_history_loads_total{outcome="found"}"#).to_string(), "1");
    drop(client);
    second.stop().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_document_of_another_number_says_nothing_after_a_restart_either() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    assert_eq!(code(&mut client, &till, 2, &till.receipt(2)).await, 0);
    // Announced as 3, and by itself number 9.
    let strange = till.container(3, &till.document(FormCode::RECEIPT, 9), Body::Open);
    assert_eq!(code(&mut client, &till, 3, &till.message(&strange)).await, 14);
    let store = daemon.store.as_ref().unwrap();
    let setup = Setup { history: Some(store.history()), ..Setup::new() };
    let second = setup.run_on(store.journal(), store.facts()).await;
    let mut client = second.connect().await;
    assert_eq!(code(&mut client, &till, 5, &till.receipt(5)).await, 0);
    let found = rules(&daemon);
    assert!(has_rule(&found[1], "identity.fd"), "{found:?}");
    assert!(has_rule(&found[2], "numbering.document"), "5 comes after 2, whatever said to be 9: {found:?}");
    drop(client);
    second.stop().await;
    daemon.stop().await;
}

/// Counts who asks; knows nobody, or hangs.
#[derive(Default)]
struct Asked {
    times: AtomicUsize,
    hangs: bool,
}

impl History for Asked {
    fn load(&self, _: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        self.times.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::thread::sleep(Duration::from_secs(2));
        }
        Ok(None)
    }
}

#[tokio::test]
async fn nothing_is_read_for_a_message_that_may_not_enter() {
    let asked = Arc::new(Asked::default());
    let daemon = Setup { history: Some(asked.clone()), ..Setup::new() }.start().await;
    let till = Till::new(FN);
    let document = till.document(FormCode::RECEIPT, 2);
    let forged = till.container_signed(2, &document, Body::Open, [0xD1, 6, 9, 9, 9, 9, 9, 9]);
    let mut client = daemon.connect().await;
    client.send(&till.message(&forged)).await;
    client.expect_silent_close().await;
    assert_eq!(asked.times.load(Ordering::SeqCst), 0);
    let mut client = daemon.connect().await;
    for number in 1..=3 {
        assert_eq!(code(&mut client, &till, number, &till.receipt(number)).await, 0);
    }
    assert_eq!(asked.times.load(Ordering::SeqCst), 1, "that nothing is stored of an ФН is remembered");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_history_that_takes_too_long_delays_one_document_and_loses_none() {
    let asked = Arc::new(Asked { hangs: true, ..Asked::default() });
    let daemon = Setup { history: Some(asked.clone()), ..Setup::new() }.start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client.send(&(1..=10).flat_map(|number| till.receipt(number)).collect::<Vec<u8>>()).await;
    for number in 1..=10 {
        let (_, reply) = client.reply().await;
        assert_eq!(till.code(number, &reply), 0);
    }
    assert_eq!(asked.times.load(Ordering::SeqCst), 1, "not each document waits anew");
    assert_eq!(daemon.running.metric("fiscald_judged_without_history_total").to_string(), "10");
    assert_eq!(daemon.running.metric(r#"fiscald_history_loads_total{outcome="late"}"#).to_string(), "1");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_not_trusted_is_silence_until_it_agrees_again() {
    let machine = Machine::new();
    let daemon = Setup { machine: Some(machine.clone()), ..Setup::new() }.start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    assert_eq!(code(&mut client, &till, 1, &till.receipt(1)).await, 0);
    machine.set_by(86_400);
    client.send(&till.receipt(2)).await;
    client.expect_silence_so_far().await;
    let refused = r#"fiscald_rejects_total{reason="clock_untrusted"}"#;
    assert_eq!(daemon.running.metric(refused).to_string(), "1");
    assert_eq!(daemon.running.metric("fiscald_clock_trusted").to_string(), "0");
    assert_eq!(daemon.documents().len(), 1);
    machine.set_by(-86_400);
    assert_eq!(code(&mut client, &till, 2, &till.receipt(2)).await, 0, "the connection stayed");
    // Behind what was acknowledged, by less than a jump.
    machine.set_by(-30);
    client.send(&till.receipt(3)).await;
    client.expect_silence_so_far().await;
    machine.pass(30);
    assert_eq!(within(code(&mut client, &till, 3, &till.receipt(3))).await, 0);
    assert_eq!(daemon.running.metric("fiscald_clock_trusted").to_string(), "1");
    let times: Vec<_> = daemon.documents().iter().map(|row| row.received_at).collect();
    assert!(times.is_sorted(), "{times:?}");
    drop(client);
    daemon.stop().await;
}
