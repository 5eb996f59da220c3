//! A daemon, its tax service and a register with a contract.

use std::time::Duration;

use serde_json::{Value, json};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Register, Storage, USER_INN};

/// ФН of the register most tests have.
pub(crate) const FN: &str = "9999078900000017";
/// Serial number of its ККТ.
pub(crate) const SERIAL: &str = "00106900000019";
/// Its contract.
pub(crate) const CONTRACT: &str = "17-К";

/// A daemon that forwards to `tax`, unknown ФН held.
pub(crate) fn setup(tax: &Tax) -> Setup {
    tax.serve(Setup::new().with("registration.unknown_fn", "hold"))
}

/// Runs a command that must succeed.
pub(crate) fn run(setup: &Setup, args: &[&str]) -> String {
    let output = setup.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A signed contract about one register.
pub(crate) fn contract(setup: &Setup, number: &str, serial: &str, fn_number: &str) {
    run(setup, &["contracts", "add", number, "--inn", USER_INN, "--name", "ООО Пекарня", "--active"]);
    run(setup, &["contracts", "line", number, "--kkt-serial", serial, "--fn", fn_number]);
}

/// `registers show` of one number.
pub(crate) fn show(setup: &Setup, number: &str) -> Value {
    setup.json(&["registers", "show", number, "--json"])
}

/// Waits until a register is in a state, and checks its label with it.
pub(crate) fn reaches(daemon: &mut Daemon, setup: &Setup, number: &str, state: &str, label: &str) -> Value {
    let shown = daemon.wait_for(&format!("{number} in state {state}"), |_| {
        // A registration number is known from its report on.
        let output = setup.run(&["registers", "show", number, "--json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).ok()?;
        (shown["state"] == state).then_some(shown)
    });
    assert_eq!(shown["label"], label, "{shown}");
    shown
}

/// Sends documents that must be acknowledged with code 0, repeating while there is no answer.
pub(crate) fn send(daemon: &mut Daemon, storage: &Storage, fd_number: u32, document: &[u8]) {
    assert_eq!(code(daemon, storage, fd_number, document), 0);
}

/// Sends a document until it is answered; the code of the answer.
pub(crate) fn code(daemon: &mut Daemon, storage: &Storage, fd_number: u32, document: &[u8]) -> u8 {
    let message = storage.send(fd_number, document);
    let answer = daemon.wait_for("an acknowledgement", |daemon| {
        // Held until the daemon has seen its contract: silence, then the register comes again.
        let mut register = Register::try_connect(daemon.registers, Duration::from_secs(1)).ok()?;
        register.try_write(&message).ok()?;
        register.try_answer().ok()
    });
    storage.check_answer(&answer, fd_number)
}

/// A document as the tax service has it.
pub(crate) fn at_tax(tax: &Tax, fn_number: &str, fd_number: u32) -> Option<Value> {
    tax.documents().into_iter().find(|document| document["docKey"] == format!("{fn_number}-{fd_number}"))
}

/// Waits until the tax service has accepted a document.
pub(crate) fn is_accepted(tax: &Tax, fn_number: &str, fd_number: u32) {
    tax.wait_for(&format!("{fn_number}-{fd_number} accepted"), |tax| {
        at_tax(tax, fn_number, fd_number).filter(|document| document["verdict"] == "accepted")
    });
}

/// What the daemon's store says about a document at the tax service.
pub(crate) fn outbox(setup: &Setup, fn_number: &str, fd_number: u32) -> Value {
    setup.json(&["outbox", "show", fn_number, &fd_number.to_string(), "--json"])[0].clone()
}

/// Waits until the outbox has a document in a state.
pub(crate) fn settles(
    daemon: &mut Daemon,
    setup: &Setup,
    fn_number: &str,
    fd_number: u32,
    state: &str,
) -> Value {
    daemon.wait_for(&format!("{fn_number}-{fd_number} {state}"), |_| {
        let output = setup.run(&["outbox", "show", fn_number, &fd_number.to_string(), "--json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).ok()?;
        (shown[0]["state"] == state).then(|| shown[0].clone())
    })
}

/// Open tasks, the kind of each.
pub(crate) fn tasks(setup: &Setup) -> Vec<String> {
    let list = setup.json(&["tasks", "list", "--json"]);
    list.as_array().unwrap().iter().map(|task| task["kind"].as_str().unwrap().to_owned()).collect()
}

/// `{"mode": ...}` for [`Tax::set`].
pub(crate) fn mode(mode: &str) -> Value {
    json!({ "mode": mode })
}
