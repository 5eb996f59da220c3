//! Whom the operator serves: unknown storages, forged signs, quarantine and its release.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::wire::{FLAGS_PLAIN, Register, Storage, message};

const FN: &str = "9999078900000017";

fn short() -> Duration {
    Duration::from_millis(300)
}

#[test]
fn an_unknown_storage_is_held_until_the_operator_adds_it() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let mut daemon = setup.start();
    let storage = Storage::new(FN);
    let sent = storage.send(5, &storage.receipt(5, 100));
    let mut register = Register::connect(daemon.registers);
    register.write(&sent);
    assert!(register.silent_for(short()), "held: no answer, the connection stays");
    assert!(setup.export().is_empty());
    let held = setup.json(&["quarantine", "list", "--json"]).to_string();
    assert!(held.contains(FN), "{held}");

    let added = setup.run(&["registers", "add", "--fn", FN]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    // The daemon notices within a second; a register sends again until it is answered.
    let answer = daemon.wait_for("an answer after `registers add`", |daemon| {
        let mut register = Register::connect(daemon.registers);
        register.write(&sent);
        if register.silent_for(short()) {
            None
        } else {
            Some(Register::connect(daemon.registers).exchange(&sent))
        }
    });
    assert_eq!(storage.check_answer(&answer, 5), 0);
    assert_eq!(setup.export().len(), 1);
}

#[test]
fn a_first_report_of_a_known_serial_makes_its_storage_known() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    register.write(&storage.send(1, &storage.registration(1, "0000123")));
    assert!(register.silent_for(short()), "forms 1 and 11 are held as well");
    drop(register);
    drop(daemon);
    let added = setup.run(&["registers", "add", "--kkt-serial", "0000123"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let daemon = setup.start();
    let mut register = Register::connect(daemon.registers);
    let answer = register.exchange(&storage.send(1, &storage.registration(1, "0000123")));
    assert_eq!(storage.check_answer(&answer, 1), 0);
    let answer = register.exchange(&storage.send(2, &storage.receipt(2, 100)));
    assert_eq!(storage.check_answer(&answer, 2), 0);
    let known = setup.json(&["registers", "list", "--json"]).to_string();
    assert!(known.contains(FN) && known.contains("0000123"), "{known}");
}

#[test]
fn reject_keeps_nothing() {
    let setup = Setup::new().with("registration.unknown_fn", "reject");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    register.write(&storage.send(5, &storage.receipt(5, 100)));
    assert!(register.silent_for(short()));
    assert!(setup.export().is_empty());
    assert_eq!(setup.json(&["quarantine", "list", "--json"]).as_array().map(Vec::len), Some(0));
    assert!(daemon.metric("fiscald_rejects_total", &[]) >= 1.0);
}

#[test]
fn releasing_lifts_the_hold_and_keeps_the_copies() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let mut daemon = setup.start();
    let storage = Storage::new(FN);
    let sent = storage.send(5, &storage.receipt(5, 100));
    let mut register = Register::connect(daemon.registers);
    register.write(&sent);
    register.write(&sent);
    assert!(register.silent_for(short()));
    let held = setup.json(&["quarantine", "list", "--json"]);
    assert_eq!(held.as_array().map(Vec::len), Some(1), "one row for one document: {held}");
    let released = setup.run(&["quarantine", "release", FN]);
    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
    assert!(setup.export().is_empty(), "a document enters the journal only when its register sends it again");
    daemon.wait_for("an answer after the release", |daemon| {
        let mut register = Register::connect(daemon.registers);
        register.write(&sent);
        if register.silent_for(short()) { None } else { Some(()) }
    });
    assert_eq!(setup.export().len(), 1);
    assert_eq!(setup.json(&["quarantine", "list", "--json"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_forged_sign_is_quarantined_and_the_connection_closed() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let document = storage.receipt(5, 100);
    let mut sign = storage.message_sign(&document);
    sign[5] ^= 1;
    let container = fiscald_tests::wire::container(0xA5, 3, FN, 5, &document, sign);
    let mut register = Register::connect(daemon.registers);
    register.write(&message(FN, [1, 5], FLAGS_PLAIN, &container));
    assert!(register.closed_silently());
    assert!(setup.export().is_empty());
    let held = setup.json(&["quarantine", "list", "--json"]).to_string();
    assert!(held.contains("sign_invalid"), "{held}");
    // The storage itself is not silenced by the forgery.
    let answer = Register::connect(daemon.registers).exchange(&storage.send(5, &document));
    assert_eq!(storage.check_answer(&answer, 5), 0);
}

#[test]
fn log_only_answers_and_keeps_the_verdict() {
    let setup = Setup::new().with("signs.mode", "log-only");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let document = storage.receipt(5, 100);
    let mut sign = storage.message_sign(&document);
    sign[5] ^= 1;
    let container = fiscald_tests::wire::container(0xA5, 3, FN, 5, &document, sign);
    let answer = Register::connect(daemon.registers).exchange(&message(FN, [1, 5], FLAGS_PLAIN, &container));
    assert_eq!(storage.check_answer(&answer, 5), 0);
    assert_eq!(setup.export()[0]["verdict"], "mismatch");
}

#[test]
fn off_needs_a_second_setting_and_answers_unsigned() {
    let setup = Setup::new().with("signs.mode", "off").with("signs.test", "false");
    let refused = setup.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("i_understand_unsigned"));

    let setup = setup.with("signs.i_understand_unsigned", "true");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let answer = Register::connect(daemon.registers).exchange(&storage.send(5, &storage.receipt(5, 100)));
    let sign = &answer.body[answer.body.len() - 10..];
    assert_eq!(sign, [0; 10], "ФПП is eight zeros");
    assert_eq!(setup.export()[0]["verdict"], "disabled");
}

#[test]
fn an_encrypted_body_without_a_key_is_silence_in_every_mode() {
    for mode in ["required", "log-only"] {
        let setup = Setup::new().with("signs.mode", mode);
        let daemon = setup.start();
        let storage = Storage::new(FN);
        let mut document = storage.receipt(5, 100);
        for byte in &mut document {
            *byte ^= 0xA5;
        }
        // A sign of a generation that no keystore holds.
        let container =
            fiscald_tests::wire::container(0xA5, 3, FN, 5, &document, [0xDF, 6, 1, 2, 3, 4, 5, 6]);
        let mut register = Register::connect(daemon.registers);
        register.write(&message(FN, [1, 5], FLAGS_PLAIN, &container));
        assert!(register.silent_for(short()), "{mode}");
        assert!(setup.export().is_empty(), "{mode}");
        let held = setup.json(&["quarantine", "list", "--json"]);
        assert_eq!(held.as_array().map(Vec::len), Some(1), "{mode}: {held}");
    }
}
