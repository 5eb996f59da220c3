//! The format and logic control (ФЛК) as a register and an operator see it: codes, findings, figures, settings.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{KKT_SERIAL, Register, Storage};
use serde_json::Value;

const FN: &str = "9999078900000017";
/// No debug storage: its registration number is checked too.
const GENUINE_FN: &str = "9280440300000001";

/// Sends a document and gives back its code.
fn code(daemon: &Daemon, storage: &Storage, fd_number: u32, document: &[u8]) -> u8 {
    let answer = Register::connect(daemon.registers).exchange(&storage.send(fd_number, document));
    storage.check_answer(&answer, fd_number)
}

/// Findings of a document as pairs of rule and severity.
fn findings(setup: &Setup, fn_number: &str, fd_number: u32) -> Vec<(String, String)> {
    let shown = setup.json(&["documents", "show", fn_number, &fd_number.to_string(), "--json"]);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let all = shown[0]["findings"].as_array().unwrap().iter();
    all.map(|finding| (text(finding, "rule"), text(finding, "severity"))).collect()
}

fn soft(rule: &str) -> (String, String) {
    (rule.to_owned(), "soft".to_owned())
}

fn hard(rule: &str) -> (String, String) {
    (rule.to_owned(), "hard".to_owned())
}

/// How often a rule was found since the start.
fn counted(daemon: &Daemon, rule: &str, severity: &str) -> f64 {
    let labels = [format!("rule=\"{rule}\""), format!("severity=\"{severity}\"")];
    daemon.metric("fiscald_findings_total", &labels.each_ref().map(String::as_str))
}

#[test]
fn a_whole_shift_has_no_findings() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(GENUINE_FN);
    let documents = [
        storage.registration(1, KKT_SERIAL),
        storage.shift_open(2),
        storage.receipt_of(3, 1, 12_345, 12_345),
        storage.receipt_of(4, 2, 99, 99),
        storage.shift_close(5, 2),
    ];
    for (fd_number, document) in (1..).zip(&documents) {
        assert_eq!(code(&daemon, &storage, fd_number, document), 0, "ФД {fd_number}");
        assert_eq!(findings(&setup, GENUINE_FN, fd_number), [], "ФД {fd_number}");
    }
}

#[test]
fn a_wrong_sum_is_answered_with_14_told_and_counted() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    // The thing costs five roubles more than the receipt.
    let document = storage.receipt_of(5, 5, 10_500, 10_000);
    assert_eq!(code(&daemon, &storage, 5, &document), 14);
    assert_eq!(code(&daemon, &storage, 5, &document), 14, "the repeat too");
    let found = findings(&setup, FN, 5);
    assert!(found.contains(&hard("sum.items")), "{found:?}");
    let shown = setup.run(&["documents", "show", FN, "5"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("sum.items"), "{shown}");
    assert!((counted(&daemon, "sum.items", "hard") - 1.0).abs() < f64::EPSILON, "a repeat does not count");
    assert_eq!(setup.export()[0]["code"], 14);
    let labels = ["form=\"3\"", "code=\"14\"", "verdict=\"valid\""];
    assert!((daemon.metric("fiscald_documents_total", &labels) - 1.0).abs() < f64::EPSILON);
    assert!(daemon.metric("fiscald_stage_seconds_count", &["stage=\"check\""]) >= 1.0);
}

#[test]
fn kopecks_of_rounding_are_nothing() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    assert_eq!(code(&daemon, &storage, 5, &storage.receipt_of(5, 5, 10_099, 10_000)), 0);
    let found = findings(&setup, FN, 5);
    assert!(!found.iter().any(|(rule, _)| rule == "sum.items"), "{found:?}");
}

#[test]
fn an_operator_may_make_a_rule_softer_or_leave_it_out() {
    for (weight, expected) in [("soft", vec![soft("sum.items")]), ("off", vec![])] {
        let setup = Setup::new();
        let config = setup.folder().join("fiscald.toml");
        std::fs::write(&config, format!("[checks]\n\"sum.items\" = \"{weight}\"\n")).unwrap();
        let daemon = setup.start_by(setup.command(&["serve", "--config", config.to_str().unwrap()]));
        let storage = Storage::new(FN);
        assert_eq!(code(&daemon, &storage, 5, &storage.receipt_of(5, 5, 10_500, 10_000)), 0, "{weight}");
        let mut found = findings(&setup, FN, 5);
        found.retain(|(rule, _)| rule == "sum.items");
        assert_eq!(found, expected, "{weight}");
    }
}

#[test]
fn a_gap_in_the_numbers_is_a_warning_before_and_after_a_restart() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(GENUINE_FN);
    let gap = soft("numbering.document");
    for (fd_number, expected) in [(1, false), (2, false), (5, true), (6, false)] {
        assert_eq!(code(&daemon, &storage, fd_number, &storage.receipt(fd_number, 100)), 0);
        let found = findings(&setup, GENUINE_FN, fd_number);
        assert_eq!(found.contains(&gap), expected, "ФД {fd_number}: {found:?}");
    }
    assert!((counted(&daemon, "numbering.document", "soft") - 1.0).abs() < f64::EPSILON);
    assert!(daemon.stop().success());

    let daemon = setup.start();
    for (fd_number, expected) in [(8, true), (9, false)] {
        assert_eq!(code(&daemon, &storage, fd_number, &storage.receipt(fd_number, 100)), 0);
        let found = findings(&setup, GENUINE_FN, fd_number);
        assert_eq!(found.contains(&gap), expected, "ФД {fd_number} after the restart: {found:?}");
    }
    assert!(
        (daemon.metric("fiscald_history_loads_total", &["outcome=\"found\""]) - 1.0).abs() < f64::EPSILON
    );
    assert!(daemon.metric("fiscald_judged_without_history_total", &[]) < 0.5);
}

#[test]
fn a_registration_is_remembered_over_a_restart() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(GENUINE_FN);
    assert_eq!(code(&daemon, &storage, 1, &storage.registration(1, KKT_SERIAL)), 0);
    assert_eq!(code(&daemon, &storage, 2, &storage.shift_open(2)), 0);
    drop(daemon);
    let daemon = setup.start();
    // The receipt names a place that is not the registered one.
    let mut records = storage.receipt_records(2, 1, 100, 100);
    records.extend(fiscald_tests::wire::tlv(1187, &fiscald_tests::wire::cp866("Подвал")));
    assert_eq!(code(&daemon, &storage, 3, &storage.document(3, 3, &records)), 0);
    let found = findings(&setup, GENUINE_FN, 3);
    assert!(found.contains(&soft("registration.place")), "{found:?}");
}
