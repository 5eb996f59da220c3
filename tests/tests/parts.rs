//! Parts of the daemon alone and together: `--only ingest`, `--only fns`, forwarding off, trouble that keeps nobody out, and
//! what is refused at the start.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use fiscald_tests::daemon::{Daemon, Setup, program};
use fiscald_tests::tax::Tax;
use serde_json::Value;

/// Registers of a run, and the documents of each: registration, opening, receipts, correction, closing.
const REGISTERS: usize = 2;
const DOCUMENTS: usize = REGISTERS * 7;

fn live(to: SocketAddr) {
    let registers = REGISTERS.to_string();
    let output = Command::new(program("kkt-sim"))
        .args(["live", "--receipts", "3", "--registers", &registers, "--to", &to.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn accepted(tax: &Tax) -> usize {
    let documents = tax.ask("GET", "/sim/documents?verdict=accepted", &Value::Null);
    documents["documents"].as_array().map_or(0, Vec::len)
}

fn readiness(daemon: &Daemon) -> (u16, Value) {
    let (status, body) = daemon.admin("/readyz");
    (status, serde_json::from_str(&body).unwrap())
}

fn remarks(daemon: &Daemon) -> String {
    readiness(daemon).1["remarks"].to_string()
}

fn warns(daemon: &Daemon, text: &str) -> bool {
    daemon.log().iter().any(|line| line.contains("WARN") && line.contains(text))
}

#[test]
fn what_one_process_receives_another_forwards_later() {
    let tax = Tax::start();
    let setup = tax.serve(Setup::new());
    let receiver = setup.start_by(setup.command(&["serve", "--only", "ingest"]));
    live(receiver.registers);
    assert_eq!(setup.export().len(), DOCUMENTS);
    assert_eq!(readiness(&receiver).1, serde_json::json!({ "ready": true, "reasons": [] }));
    assert_eq!(accepted(&tax), 0);

    let mut forwarder = setup.start_forwarder_by(setup.command(&["serve", "--only", "fns"]));
    assert!(!forwarder.log().iter().any(|line| line.contains("\"registers\":\"")), "a port for registers");
    forwarder.wait_for("every document accepted", |_| (accepted(&tax) == DOCUMENTS).then_some(()));
    forwarder.wait_for("registers linked", |daemon| {
        (daemon.metric("registration_registers", &["state=\"LINKED\""]) >= 2.0).then_some(())
    });
    assert_eq!(readiness(&forwarder), (200, serde_json::json!({ "ready": true, "reasons": [] })));
    assert_eq!(forwarder.admin("/healthz").0, 200);
    // Each goes on without the other.
    assert_eq!(forwarder.stop().code(), Some(0));
    live(receiver.registers);
    assert_eq!(setup.export().len(), 2 * DOCUMENTS);
    assert_eq!(receiver.stop().code(), Some(0));
    let mut forwarder = setup.start_forwarder_by(setup.command(&["serve", "--only", "fns"]));
    forwarder.wait_for("the rest accepted", |_| (accepted(&tax) == 2 * DOCUMENTS).then_some(()));
    assert_eq!(forwarder.stop().code(), Some(0));
}

#[test]
fn without_a_tax_service_everything_else_works_and_it_is_said() {
    let setup = Setup::new();
    let mut daemon = setup.start();
    assert!(warns(&daemon, "forwarding to the tax service is OFF"), "{:?}", daemon.log());
    live(daemon.registers);
    let (status, body) = readiness(&daemon);
    assert_eq!((status, &body["ready"]), (200, &Value::Bool(true)));
    assert!(body["remarks"].to_string().contains("forwarding to the tax service is off"), "{body}");
    // Registers are followed all the same.
    daemon.wait_for("the reports", |daemon| {
        (daemon.metric("registration_registers", &["state=\"REPORT_RECEIVED\""]) >= 2.0).then_some(())
    });
    // Nothing to be read anew but keys, and those are the published ones.
    daemon.signal("HUP");
    daemon.wait_for("a word", |daemon| {
        let said = |line: &String| line.contains("neither key files nor certificates");
        daemon.log().iter().any(said).then_some(())
    });
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_tax_service_that_is_down_makes_nobody_unready() {
    let tax = Tax::start();
    tax.ask("PUT", "/sim/config", &serde_json::json!({ "mode": "down" }));
    let setup = tax.serve(Setup::new());
    let mut daemon = setup.start();
    live(daemon.registers);
    daemon.wait_for("a remark", |daemon| remarks(daemon).contains("cannot be reached").then_some(()));
    assert_eq!(readiness(&daemon).0, 200);
    tax.ask("PUT", "/sim/config", &serde_json::json!({ "mode": "ok" }));
    daemon.wait_for("every document accepted", |_| (accepted(&tax) == DOCUMENTS).then_some(()));
    daemon.wait_for("no remark", |daemon| (remarks(daemon) == "null").then_some(()));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_hanging_request_does_not_put_the_end_off() {
    let tax = Tax::start();
    tax.ask("PUT", "/sim/config", &serde_json::json!({ "mode": "slow", "slowMs": 600_000 }));
    let setup = tax.serve(Setup::new()).with("fns.timeout_s", "600").with("fns.lease_s", "700");
    let mut daemon = setup.start();
    live(daemon.registers);
    daemon.wait_for("a batch under way", |daemon| {
        (daemon.metric("fns_outbox_depth", &["state=\"in_flight\""]) >= 1.0).then_some(())
    });
    // Within 30 s, less than the unit of systemd gives: what was under way is sent again by whoever comes next.
    let status = daemon.stop();
    assert!(status.code().is_some(), "{status}");
    assert_eq!(setup.export().len(), DOCUMENTS);
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let tax = Tax::start();
    let setup = tax.serve(Setup::new());
    let refused = |setup: &Setup, code: i32, part: &str| {
        for command in ["check-config", "serve"] {
            let output = setup.run(&[command]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{command}: {said}");
            assert!(said.contains(part), "{command}: {said}");
        }
    };
    refused(&setup.clone().with("fns.ca", "/no/such/ca.pem"), 64, "fns.ca: there is no file");
    refused(&setup.clone().with("fns.url", "http://fns.example"), 64, "fns.url");
    refused(&setup.clone().with("fns.lease_s", "2"), 64, "fns.timeout_s");
    let other = tax.certificate("other-ofd.pem").display().to_string();
    refused(&setup.clone().with("fns.cert", &other), 1, "does not fit fns.cert");
    let key = tax.certificate("client.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&setup, 1, "others may read");
    // Who only receives has no use for them.
    let receiver = setup.start_by(setup.command(&["serve", "--only", "ingest"]));
    assert_eq!(receiver.stop().code(), Some(0));
}
