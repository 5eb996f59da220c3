//! Contracts and reception, with the real daemon and the operator's commands beside it: a draft holds, a signature serves,
//! a stop silences once its grace period is over, and a register under contract may come with another ФН.
#![allow(clippy::unwrap_used, reason = "tests: a broken assumption must stop the test at once")]

use std::time::Duration;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{Answer, KKT_SERIAL, Register, Storage, USER_INN};

const FN: &str = "9999078900000017";
/// The ФН that comes after [`FN`] in the same register.
const NEXT_FN: &str = "9999078900000025";
const CONTRACT: &str = "17-КЗ";

/// Runs a command that must succeed.
fn operator(setup: &Setup, args: &[&str]) {
    let output = setup.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A drafted contract with the register of every document here.
fn draft(setup: &Setup) {
    operator(setup, &["contracts", "add", CONTRACT, "--inn", USER_INN, "--name", "ООО Пекарня"]);
    operator(setup, &["contracts", "line", CONTRACT, "--kkt-serial", KKT_SERIAL, "--fn", FN]);
}

/// Sends until there is an answer, as a register does; then once more, to have the whole of it.
fn until_answered(daemon: &mut Daemon, what: &str, message: &[u8]) -> Answer {
    daemon.wait_for(what, |daemon| {
        let mut register = Register::connect(daemon.registers);
        register.write(message);
        if register.silent_for(Duration::from_millis(300)) {
            None
        } else {
            Some(Register::connect(daemon.registers).exchange(message))
        }
    })
}

fn refused(daemon: &Daemon, reason: &str) -> f64 {
    daemon.metric("fiscald_rejects_total", &[&format!(r#"reason="{reason}""#)])
}

/// Sends a message that gets no answer, and waits until that was counted for this reason.
fn silenced(daemon: &mut Daemon, reason: &str, message: &[u8]) {
    let before = refused(daemon, reason);
    let mut register = Register::connect(daemon.registers);
    register.write(message);
    daemon.wait_for(reason, |daemon| (refused(daemon, reason) > before).then_some(()));
    assert!(register.silent_for(Duration::from_millis(50)), "no answer, and the connection stays");
}

/// A line of the log that says all of this.
fn is_told(daemon: &Daemon, words: &[&str]) -> bool {
    daemon.log().iter().any(|line| words.iter().all(|word| line.contains(word)))
}

#[test]
fn a_draft_holds_and_a_signature_serves() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let mut daemon = setup.start();
    draft(&setup);
    let storage = Storage::new(FN);
    let report = storage.send(1, &storage.registration(1, KKT_SERIAL));
    silenced(&mut daemon, "unknown_fn_held", &report);
    assert!(is_told(&daemon, &["not known", FN, KKT_SERIAL, USER_INN]), "{}", daemon.log().join("\n"));
    assert!(setup.export().is_empty(), "a draft makes nobody known");

    operator(&setup, &["contracts", "sign", CONTRACT]);
    let answer = until_answered(&mut daemon, "an answer after the signature", &report);
    assert_eq!(storage.check_answer(&answer, 1), 0);
    let mut register = Register::connect(daemon.registers);
    let answer = register.exchange(&storage.send(2, &storage.receipt(2, 100)));
    assert_eq!(storage.check_answer(&answer, 2), 0);
    assert_eq!(setup.export().len(), 2);
}

#[test]
fn a_stopped_contract_is_served_for_its_grace_and_then_silenced_until_it_goes_on() {
    let setup = Setup::new().with("registration.unknown_fn", "accept");
    let daemon = setup.start();
    draft(&setup);
    operator(&setup, &["contracts", "sign", CONTRACT]);
    let storage = Storage::new(FN);
    let receipt = |number: u32| storage.send(number, &storage.receipt(number, 100));
    let first = Register::connect(daemon.registers).exchange(&receipt(1));
    assert_eq!(storage.check_answer(&first, 1), 0);
    operator(&setup, &["contracts", "stop", CONTRACT]);
    assert!(daemon.stop().success());

    // Started anew it knows of the stop from the first moment; three days of grace are left.
    let daemon = setup.start();
    let second = Register::connect(daemon.registers).exchange(&receipt(2));
    assert_eq!(storage.check_answer(&second, 2), 0, "the grace period is service");
    assert!(daemon.stop().success());

    // With a second of grace, which is over long since or will be soon.
    let setup = setup.with("registration.grace_s", "1");
    let mut daemon = setup.start();
    let mut next = 3;
    daemon.wait_for("the end of the grace period", |daemon| {
        let mut register = Register::connect(daemon.registers);
        register.write(&receipt(next));
        if !register.silent_for(Duration::from_millis(300)) {
            next += 1;
        }
        (refused(daemon, "contract_stopped") > 0.5).then_some(())
    });
    let held = setup.json(&["quarantine", "list", "--json"]).to_string();
    assert!(held.contains("contract_stopped") && held.contains(FN), "{held}");
    assert!(is_told(&daemon, &["contract of its register is stopped", FN]), "{}", daemon.log().join("\n"));

    // What was acknowledged before is acknowledged again, byte for byte; nothing new is stored.
    assert_eq!(Register::connect(daemon.registers).exchange(&receipt(1)), first);
    assert_eq!(Register::connect(daemon.registers).exchange(&receipt(2)), second);
    let stored = |number: u32| setup.export().iter().filter(|row| row["fd"] == number).count();
    assert_eq!((stored(1), stored(2)), (1, 1));

    // A number that was not sent yet: the one before may have been stored just when it was given up.
    operator(&setup, &["contracts", "resume", CONTRACT]);
    let fresh = next + 1;
    let answer = until_answered(&mut daemon, "an answer after the resumption", &receipt(fresh));
    assert_eq!(storage.check_answer(&answer, fresh), 0);
    assert_eq!(stored(fresh), 1);
}

#[test]
fn a_register_under_contract_comes_with_another_fn() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let mut daemon = setup.start();
    draft(&setup);
    operator(&setup, &["contracts", "sign", CONTRACT]);
    let served = Storage::new(FN);
    until_answered(&mut daemon, "service by the contract", &served.send(1, &served.receipt(1, 100)));
    let storage = Storage::new(NEXT_FN);
    silenced(&mut daemon, "unknown_fn_held", &storage.send(2, &storage.receipt(2, 100)));
    let of_another_register = storage.registration(1, "00106900000027");
    silenced(&mut daemon, "unknown_fn_held", &storage.send(1, &of_another_register));

    let mut register = Register::connect(daemon.registers);
    let answer = register.exchange(&storage.send(1, &storage.registration(1, KKT_SERIAL)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
    let answer = register.exchange(&storage.send(2, &storage.receipt(2, 100)));
    assert_eq!(storage.check_answer(&answer, 2), 0, "known from then on");
    let shown = setup.json(&["documents", "show", NEXT_FN, "1", "--json"]).to_string();
    assert!(shown.contains(r#""fn_changed_mark":true"#), "{shown}");
    assert!(is_told(&daemon, &["its contract names another ФН", NEXT_FN, KKT_SERIAL]));
    // The register itself follows the report: its contract line has the new ФН.
    daemon.wait_for("the new ФН in the contract", |_| {
        let shown = setup.json(&["contracts", "show", CONTRACT, "--json"]).to_string();
        shown.contains(NEXT_FN).then_some(())
    });
}

#[test]
fn a_released_storage_is_served_but_a_stop_has_the_last_word() {
    let setup = Setup::new().with("registration.unknown_fn", "hold").with("registration.grace_s", "1");
    let mut daemon = setup.start();
    draft(&setup);
    let storage = Storage::new(FN);
    let receipt = |number: u32| storage.send(number, &storage.receipt(number, 100));
    silenced(&mut daemon, "unknown_fn_held", &receipt(1));
    operator(&setup, &["quarantine", "release", FN]);
    let answer = until_answered(&mut daemon, "an answer after the release", &receipt(1));
    assert_eq!(storage.check_answer(&answer, 1), 0);

    operator(&setup, &["contracts", "sign", CONTRACT]);
    operator(&setup, &["contracts", "stop", CONTRACT]);
    let mut next = 2;
    daemon.wait_for("the end of the grace period", |daemon| {
        let mut register = Register::connect(daemon.registers);
        register.write(&receipt(next));
        next += 1;
        register.silent_for(Duration::from_millis(300));
        (refused(daemon, "contract_stopped") > 0.5).then_some(())
    });
}
