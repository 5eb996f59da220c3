//! What the tax service refuses, and what operators do about it.

use serde_json::json;

use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Storage, rnm};

use crate::stand::{
    CONTRACT, FN, SERIAL, at_tax, contract, is_accepted, mode, reaches, run, send, settles, setup, show,
    tasks,
};

#[test]
fn a_batch_that_cannot_be_digested_is_split_until_one_is_dead() {
    let tax = Tax::start();
    let setup = setup(&tax).with("fns.linger_ms", "500");
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    send(&mut daemon, &storage, 2, &storage.shift_open(2));
    is_accepted(&tax, FN, 2);
    tax.set(&json!({ "poison": [format!("{FN}-5")] }));
    for fd_number in 3..=10 {
        send(&mut daemon, &storage, fd_number, &storage.receipt_of(fd_number, fd_number - 2, 100, 100));
    }
    for fd_number in (3..=10).filter(|fd_number| *fd_number != 5) {
        is_accepted(&tax, FN, fd_number);
    }
    let dead = settles(&mut daemon, &setup, FN, 5, "dead");
    let letter = &dead["dead_letters"][0];
    assert!(letter["request"].to_string().contains(&format!("{FN}-5")), "{dead}");
    assert!(!letter["answer"].to_string().is_empty(), "{dead}");
    assert!(daemon.metric("fns_dead_total", &[]) >= 1.0);

    // What was wrong is put right; the operator sends it once more.
    tax.set(&json!({ "poison": [] }));
    run(&setup, &["outbox", "requeue", FN, "5"]);
    tax.wait_for("the dead letter", |tax| at_tax(tax, FN, 5));
}

#[test]
fn a_busy_tax_service_is_asked_again_when_it_wants() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    tax.set(&mode("429"));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    daemon.wait_for("a refused request", |daemon| {
        (daemon.metric("fns_send_total", &["result=\"throttled\""]) > 0.0).then_some(())
    });
    tax.set(&json!({ "mode": "ok", "failRate": 0.5 }));
    for fd_number in 2..=20 {
        let document = if fd_number == 2 {
            storage.shift_open(2)
        } else {
            storage.receipt_of(fd_number, fd_number - 2, 100, 100)
        };
        send(&mut daemon, &storage, fd_number, &document);
    }
    for fd_number in 1..=20 {
        is_accepted(&tax, FN, fd_number);
    }
}

#[test]
fn verdicts_and_cards_that_were_forgotten_before_anybody_read_them_are_asked_for() {
    let tax = Tax::start();
    // Time for the daemon to go before anything is said about its documents.
    tax.set(&json!({ "verdictDelayMs": 4_000, "cardDelayMs": 4_000 }));
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let number = rnm(1, SERIAL);
    let storage = Storage::new(FN).of_rnm(&number);
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    send(&mut daemon, &storage, 2, &storage.shift_open(2));
    settles(&mut daemon, &setup, FN, 1, "delivered");
    settles(&mut daemon, &setup, FN, 2, "delivered");
    // Its place in the feed is before all that comes.
    daemon.kill();
    for fd_number in [1, 2] {
        is_accepted(&tax, FN, fd_number);
    }
    tax.set(&json!({ "retentionS": 0 }));
    assert_eq!(show(&setup, FN)["state"], "REPORT_RECEIVED");

    let mut daemon = setup.start();
    for fd_number in [1, 2] {
        settles(&mut daemon, &setup, FN, fd_number, "accepted");
    }
    reaches(&mut daemon, &setup, FN, "LINKED", "Подключена");
    assert_eq!(tasks(&setup), ["events_lost"]);
    assert_eq!(at_tax(&tax, FN, 1).unwrap()["verdict"], "accepted");
}
