//! Registers that make faults on purpose against the real daemon: each fault is found at its document and nothing else
//! is, and code 14 is answered exactly where the fault is a hard one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::BTreeMap;
use std::process::Command;

use fiscald_tests::daemon::{Daemon, Setup, program};
use serde_json::Value;

/// A document: its ФН and its number.
type Key = (String, u64);

/// Runs spoiled registers to the end of their lives; their report.
fn live(daemon: &Daemon, faults: &str, args: &[&str]) -> Value {
    let output = Command::new(program("kkt-sim"))
        .args(["live", "--json", "--base", "4242", "--operator-inn", "7704211201", "--faults", faults])
        .args(["--to", &daemon.registers.to_string()])
        .args(args)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{faults}: {report}{errors}");
    serde_json::from_str(&report).unwrap()
}

/// What the registers say that their documents break, by document; hard rules give 14, which they have checked.
fn done(report: &Value) -> BTreeMap<Key, (u64, Vec<String>)> {
    let mut done = BTreeMap::new();
    for register in report["registers"].as_array().unwrap() {
        let fn_number = register["fn_number"].as_str().unwrap();
        for spoiled in register["spoiled"].as_array().into_iter().flatten() {
            let echoes = spoiled["echoes"].as_array().unwrap().iter();
            let rules = std::iter::once(&spoiled["fault"]).chain(echoes).filter_map(Value::as_str);
            let mut rules: Vec<_> = rules.map(str::to_owned).collect();
            rules.sort();
            let key = (fn_number.to_owned(), spoiled["fd_number"].as_u64().unwrap());
            done.insert(key, (spoiled["code"].as_u64().unwrap(), rules));
        }
    }
    done
}

/// What the daemon found and answered, by document; those with findings or another code than 0 only.
fn found(setup: &Setup) -> BTreeMap<Key, (u64, Vec<String>)> {
    let mut found = BTreeMap::new();
    for row in setup.json(&["documents", "list", "--limit", "10000", "--json"]).as_array().unwrap() {
        let code = row["code"].as_u64().unwrap();
        let findings = row["findings"].as_array().unwrap();
        let is_hard = findings.iter().any(|finding| finding["severity"] == "hard");
        assert_eq!(code, if is_hard { 14 } else { 0 }, "{row}");
        let mut rules: Vec<_> =
            findings.iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect();
        rules.sort();
        if !rules.is_empty() {
            let key = (row["fn"].as_str().unwrap().to_owned(), row["fd"].as_u64().unwrap());
            found.insert(key, (code, rules));
        }
    }
    found
}

/// Each fault and echo is in the journal and in the figures, and nothing else is.
fn compare(setup: &Setup, daemon: &Daemon, report: &Value) {
    let (done, found) = (done(report), found(setup));
    assert_eq!(done, found);
    let mut by_rule: BTreeMap<&str, f64> = BTreeMap::new();
    for rule in done.values().flat_map(|(_, rules)| rules) {
        *by_rule.entry(rule).or_default() += 1.0;
    }
    for (rule, count) in &by_rule {
        let counted = daemon.metric("fiscald_findings_total", &[&format!("rule=\"{rule}\"")]);
        assert!((counted - count).abs() < f64::EPSILON, "{rule}: {counted} in the figures, {count} made");
    }
    let all = daemon.metric("fiscald_findings_total", &[]);
    assert!((all - by_rule.values().sum::<f64>()).abs() < f64::EPSILON, "{all} in the figures");
    let refused = daemon.metric("fiscald_documents_total", &["code=\"14\""]);
    let hard = done.values().filter(|(code, _)| *code == 14).map(|_| 1.0).sum::<f64>();
    assert!((refused - hard).abs() < f64::EPSILON, "{refused} answered with 14, {hard} hard faults");
}

#[test]
fn a_handful_of_faults_is_found_and_nothing_else() {
    let setup = Setup::new();
    let daemon = setup.start();
    let faults = [
        "structure.mandatory",
        "sum.payments",
        "identity.fd",
        "identity.fn",
        "identity.sign",
        "time.future",
        "inn.digits",
        "vat.totals",
        "registration.operator",
        "counters.receipts",
        "numbering.document",
    ];
    let wishes = faults.map(|rule| format!("{rule}:once")).join(",");
    let report = live(
        &daemon,
        &wishes,
        &["--registers", "4", "--days", "9", "--receipts", "8", "--seed", "7", "--encrypted", "50"],
    );
    compare(&setup, &daemon, &report);
    for rule in faults {
        assert!(report["counts"]["by_fault"][rule].as_u64() > Some(0), "{rule}: {}", report["counts"]);
    }
    let shown: Vec<_> = done(&report).into_iter().collect();
    let ((fn_number, fd), (_, rules)) = &shown[shown.len() / 2];
    let shown = setup.json(&["documents", "show", fn_number, &fd.to_string(), "--json"]);
    assert_eq!(shown[0]["findings"][0]["rule"].as_str(), Some(rules[0].as_str()), "{shown}");
}

#[test]
fn every_fault_that_comes_along_is_found_and_nothing_else() {
    let setup = Setup::new();
    let daemon = setup.start();
    let args = ["--registers", "6", "--days", "6", "--receipts", "6", "--seed", "3", "--zones", "all"];
    let report = live(&daemon, "all:40", &args);
    compare(&setup, &daemon, &report);
    assert!(report["counts"]["by_fault"].as_object().unwrap().len() > 30, "{}", report["counts"]);
}

#[test]
fn wrong_expectations_end_with_a_failure() {
    let setup = Setup::new();
    let config = setup.folder().join("fiscald.toml");
    std::fs::write(&config, "[checks]\n\"structure.mandatory\" = \"soft\"\n").unwrap();
    let daemon = setup.start_by(setup.command(&["serve", "--config", config.to_str().unwrap()]));
    let output = Command::new(program("kkt-sim"))
        .args(["live", "--registers", "1", "--receipts", "3", "--operator-inn", "7704211201"])
        .args(["--faults", "structure.mandatory:once", "--to", &daemon.registers.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 other than the documents were made for"), "{text}");
}
