//! Every document arrives: once, in the order of its ФН, bit for bit, whatever happens on the way.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Storage, rnm};

use crate::stand::{
    CONTRACT, FN, SERIAL, at_tax, code, contract, is_accepted, mode, reaches, run, send, settles, setup,
    show, tasks,
};

/// A shop of several registers, each with its contract line and report.
struct Shop {
    storages: Vec<(Storage, String)>,
}

impl Shop {
    fn open(setup: &Setup, daemon: &mut Daemon, registers: u32) -> Self {
        let storages = (0..registers)
            .map(|index| {
                let (fn_number, serial) = (format!("99990789000{index:05}"), format!("0010690{index:07}"));
                contract(setup, &format!("{index}-К"), &serial, &fn_number);
                (Storage::new(&fn_number).of_rnm(&rnm(index + 1, &serial)), serial)
            })
            .collect();
        let shop = Self { storages };
        for (storage, serial) in &shop.storages {
            send(daemon, storage, 1, &storage.registration(1, serial));
            send(daemon, storage, 2, &storage.shift_open(2));
        }
        shop
    }

    /// One receipt of each register.
    fn sell(&self, daemon: &mut Daemon, fd_number: u32) {
        for (storage, _) in &self.storages {
            send(daemon, storage, fd_number, &storage.receipt_of(fd_number, fd_number - 2, 100, 100));
        }
    }

    /// Waits until everything up to a document is accepted, then checks that the tax service met the documents of each ФН
    /// in the order of their numbers, and each of them once.
    fn all_arrived(&self, tax: &Tax, last: u32) {
        for (storage, _) in &self.storages {
            is_accepted(tax, &storage.fn_number, last);
        }
        let mut met: HashMap<String, Vec<u64>> = HashMap::new();
        for document in tax.documents() {
            let (fn_number, fd) = document["docKey"].as_str().unwrap().split_once('-').unwrap();
            met.entry(fn_number.to_owned()).or_default().push(fd.parse().unwrap());
        }
        for (storage, _) in &self.storages {
            let expected: Vec<u64> = (1..=last.into()).collect();
            assert_eq!(met[&storage.fn_number], expected, "{}", storage.fn_number);
        }
    }
}

#[test]
fn an_answer_that_was_lost_makes_no_second_document() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    let shop = Shop::open(&setup, &mut daemon, 3);
    shop.all_arrived(&tax, 2);
    tax.set(&mode("drop_after_accept"));
    shop.sell(&mut daemon, 3);
    tax.wait_for("the documents without an answer", |tax| at_tax(tax, &shop.storages[2].0.fn_number, 3));
    tax.set(&mode("ok"));
    shop.sell(&mut daemon, 4);
    shop.all_arrived(&tax, 4);
    let (storage, _) = &shop.storages[0];
    settles(&mut daemon, &setup, &storage.fn_number, 3, "accepted");
    let requests = tax.ask("GET", "/sim/requests", &Value::Null);
    assert!(
        requests["counts"]["repeatedBatches"].as_u64().unwrap() > 0,
        "the batch came again under its key: {requests}"
    );
}

#[test]
fn after_an_outage_everything_arrives_in_order() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    let shop = Shop::open(&setup, &mut daemon, 4);
    shop.all_arrived(&tax, 2);
    tax.set(&mode("down"));
    for fd_number in 3..=12 {
        shop.sell(&mut daemon, fd_number);
    }
    // Reception goes on, the breaker is open, and the restart of the daemon in between loses nothing.
    daemon
        .wait_for("an open breaker", |daemon| (daemon.metric("fns_breaker_state", &[]) >= 2.0).then_some(()));
    daemon.wait_for("the age of the oldest document", |daemon| {
        (daemon.metric("fns_outbox_oldest_age_seconds", &[]) > 0.0).then_some(())
    });
    assert!(daemon.stop().success());
    let mut daemon = setup.start();
    for fd_number in 13..=20 {
        shop.sell(&mut daemon, fd_number);
    }
    tax.set(&mode("ok"));
    shop.all_arrived(&tax, 20);
    daemon.wait_for("a closed breaker", |daemon| {
        (daemon.metric("fns_breaker_state", &[]) == 0.0).then_some(())
    });
    daemon.wait_for("an empty outbox", |daemon| {
        let open = ["new", "in_flight", "delivered"];
        let depth = |state: &&str| daemon.metric("fns_outbox_depth", &[&format!("state=\"{state}\"")]);
        (open.iter().map(depth).sum::<f64>() == 0.0).then_some(())
    });
}

#[test]
fn a_tax_service_killed_and_begun_again_gets_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("fns.jsonl").display().to_string();
    let mut tax = Tax::start_with(&["--snapshot", &snapshot]);
    let setup = setup(&tax);
    let mut daemon = setup.start();
    let shop = Shop::open(&setup, &mut daemon, 3);
    shop.all_arrived(&tax, 2);
    // It has these documents and never said so, neither at once nor by a ticket: what it remembers after its end, the daemon
    // does not know.
    tax.set(&json!({ "mode": "drop_after_accept", "verdictDelayMs": 86_400_000 }));
    shop.sell(&mut daemon, 3);
    let unanswered = tax.wait_for("a document without an answer", |tax| {
        shop.storages
            .iter()
            .map(|(storage, _)| &storage.fn_number)
            .find(|number| at_tax(tax, number, 3).is_some())
    });
    tax.ask("POST", "/sim/snapshot", &Value::Null);
    tax.end("KILL");
    for fd_number in 4..=8 {
        shop.sell(&mut daemon, fd_number);
    }
    daemon
        .wait_for("an open breaker", |daemon| (daemon.metric("fns_breaker_state", &[]) >= 2.0).then_some(()));
    let tax = tax.again();
    for fd_number in 9..=12 {
        shop.sell(&mut daemon, fd_number);
    }
    shop.all_arrived(&tax, 12);
    for (storage, _) in &shop.storages {
        for fd_number in [3, 12] {
            settles(&mut daemon, &setup, &storage.fn_number, fd_number, "accepted");
        }
        reaches(&mut daemon, &setup, &storage.rnm, "LINKED", "Подключена");
    }
    // By the answer to a repeat, or by a ticket that came before it.
    assert_eq!(at_tax(&tax, unanswered, 3).unwrap()["verdict"], "accepted");
    assert_eq!(tasks(&setup), [""; 0]);
}

#[test]
fn a_hard_refusal_does_not_block_its_lane() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    send(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    send(&mut daemon, &storage, 2, &storage.shift_open(2));
    // The till is told 14 for it, and it is forwarded with that; the tax service finds the worst in it too.
    tax.ask("POST", "/sim/verdicts", &json!({ "docKey": format!("{FN}-3"), "codes": [507] }));
    let wrong = storage.receipt_of(3, 1, 100, 200);
    assert_eq!(code(&mut daemon, &storage, 3, &wrong), 14);
    send(&mut daemon, &storage, 4, &storage.receipt_of(4, 2, 100, 100));
    is_accepted(&tax, FN, 4);
    let shown = settles(&mut daemon, &setup, FN, 3, "hard");
    assert!(shown.to_string().contains("507"), "{shown}");
    assert_eq!(show(&setup, FN)["fns"], "has_hard");
}

#[test]
fn a_daemon_killed_again_and_again_delivers_each_document_once() {
    let tax = Tax::start();
    tax.set(&json!({ "latencyMs": 20, "verdictDelayMs": 100 }));
    let setup = setup(&tax);
    let mut daemon = setup.start();
    let shop = Shop::open(&setup, &mut daemon, 4);
    let mut fd_number = 2;
    for round in 0..4_u64 {
        for _ in 0..5 {
            fd_number += 1;
            shop.sell(&mut daemon, fd_number);
        }
        // Somewhere between effect and save.
        std::thread::sleep(Duration::from_millis(30 * round));
        daemon.kill();
        daemon = setup.start();
    }
    shop.all_arrived(&tax, fd_number);
    for (storage, _) in &shop.storages {
        settles(&mut daemon, &setup, &storage.fn_number, fd_number, "accepted");
        reaches(&mut daemon, &setup, &storage.rnm, "LINKED", "Подключена");
    }
    let cards = setup.json(&["cards", "list", "--json"]);
    assert_eq!(cards.as_array().unwrap().len(), shop.storages.len(), "one card each: {cards}");
    assert_eq!(tasks(&setup), [""; 0]);
}

#[test]
fn signs_above_two_to_the_63_arrive_bit_for_bit() {
    let tax = Tax::start_with(&["--keep-bodies"]);
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN).of_rnm(&rnm(1, SERIAL));
    let report = storage.registration(1, SERIAL);
    send(&mut daemon, &storage, 1, &report);
    is_accepted(&tax, FN, 1);
    let sign = u64::from_be_bytes(storage.message_sign(&report));
    assert!(sign > 1 << 63, "the test proves something");
    let kept = tax.ask("GET", &format!("/sim/documents/{FN}-1"), &Value::Null);
    let item: Value = serde_json::from_str(kept["item"].as_str().unwrap()).unwrap();
    let body = &item["document"]["fiscalReport"];
    assert_eq!(body["messageFiscalSign"].as_u64(), Some(sign), "{kept}");
    let raw =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body["rawData"].as_str().unwrap());
    assert_eq!(raw.unwrap(), [&report[..], &sign.to_be_bytes()[..]].concat());
}

#[test]
fn documents_of_a_storage_not_known_yet_go_when_it_is() {
    let tax = Tax::start();
    let setup = setup(&tax).with("registration.unknown_fn", "accept");
    let mut daemon = setup.start();
    let storage = Storage::new(FN);
    send(&mut daemon, &storage, 5, &storage.receipt(5, 100));
    let summary = daemon.wait_for("the waiting document", |_| {
        let summary = setup.json(&["outbox", "summary", "--json"]);
        (summary["waiting_for_fn"] == 1).then_some(summary)
    });
    assert_eq!(tax.documents(), Vec::<Value>::new(), "{summary}");
    run(&setup, &["registers", "add", "--fn", FN]);
    tax.wait_for("the document", |tax| at_tax(tax, FN, 5));
}
