//! Several forwarding processes on one store: each lane has one holder, and whoever is late does no harm.

use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Storage, rnm};

use crate::stand::{contract, is_accepted, send, setup};

fn reception(setup: &Setup) -> Daemon {
    setup.start_by(setup.command(&["serve", "--only", "ingest"]))
}

fn forwarder(setup: &Setup) -> Daemon {
    setup.start_forwarder_by(setup.command(&["serve", "--only", "fns"]))
}

/// A register for each of several slots.
fn registers(setup: &Setup, daemon: &mut Daemon) -> Vec<Storage> {
    let storages: Vec<Storage> = (0..12_u32)
        .map(|index| {
            let (fn_number, serial) = (format!("99990789001{index:05}"), format!("0010691{index:07}"));
            contract(setup, &format!("{index}-К"), &serial, &fn_number);
            let storage = Storage::new(&fn_number).of_rnm(&rnm(index + 1, &serial));
            send(daemon, &storage, 1, &storage.registration(1, &serial));
            send(daemon, &storage, 2, &storage.shift_open(2));
            storage
        })
        .collect();
    storages
}

fn sell(daemon: &mut Daemon, storages: &[Storage], fd_numbers: std::ops::RangeInclusive<u32>) {
    for fd_number in fd_numbers {
        for storage in storages {
            send(daemon, storage, fd_number, &storage.receipt_of(fd_number, fd_number - 2, 100, 100));
        }
    }
}

/// Everything is accepted, and every document is there once.
fn all_arrived(tax: &Tax, storages: &[Storage], last: u32) {
    for storage in storages {
        is_accepted(tax, &storage.fn_number, last);
    }
    let expected = storages.len() * usize::try_from(last).unwrap();
    let mut keys: Vec<Value> = tax.documents().iter().map(|document| document["docKey"].clone()).collect();
    assert_eq!(keys.len(), expected);
    keys.sort_by_key(ToString::to_string);
    keys.dedup();
    assert_eq!(keys.len(), expected, "none twice");
}

fn slots(daemon: &Daemon) -> f64 {
    daemon.metric("fns_slots_held", &[])
}

/// Stops a forwarder in the middle of its batches, but not of a transaction: the lock of a file that a process holds while it is
/// stopped is held against everybody.
fn pause(setup: &Setup, forwarder: &Daemon) {
    let store = Connection::open(setup.folder().join("fiscald.db")).unwrap();
    store.busy_timeout(Duration::from_secs(1)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        forwarder.signal("STOP");
        if store.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "it holds the store whenever it is stopped");
        forwarder.signal("CONT");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_forwarders_share_the_lanes_and_a_dead_one_is_taken_over() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut reception = reception(&setup);
    let mut first = forwarder(&setup);
    first.wait_for("all lanes", |daemon| (slots(daemon) >= 256.0).then_some(()));
    let mut second = forwarder(&setup);
    second.wait_for("its share of the lanes", |daemon| (slots(daemon) >= 128.0).then_some(()));
    first.wait_for("the rest of the lanes", |daemon| (slots(daemon) <= 129.0).then_some(()));
    let storages = registers(&setup, &mut reception);
    sell(&mut reception, &storages, 3..=6);
    all_arrived(&tax, &storages, 6);
    first.kill();
    sell(&mut reception, &storages, 7..=10);
    all_arrived(&tax, &storages, 10);
    second.wait_for("all lanes", |daemon| (slots(daemon) >= 256.0).then_some(()));
}

#[test]
fn a_forwarder_paused_past_its_lease_does_no_harm_when_it_wakes() {
    let tax = Tax::start();
    tax.set(&serde_json::json!({ "latencyMs": 200 }));
    let setup = setup(&tax);
    let mut reception = reception(&setup);
    let mut first = forwarder(&setup);
    first.wait_for("all lanes", |daemon| (slots(daemon) >= 256.0).then_some(()));
    let storages = registers(&setup, &mut reception);
    sell(&mut reception, &storages, 3..=5);
    pause(&setup, &first);
    let mut second = forwarder(&setup);
    sell(&mut reception, &storages, 6..=8);
    second.wait_for("all lanes", |daemon| (slots(daemon) >= 256.0).then_some(()));
    all_arrived(&tax, &storages, 8);
    first.signal("CONT");
    // It wakes, sends what it had, and its results are worth nothing.
    first.wait_for("its loss noticed", |daemon| (slots(daemon) < 256.0).then_some(()));
    sell(&mut reception, &storages, 9..=10);
    all_arrived(&tax, &storages, 10);
    let summary = setup.json(&["outbox", "summary", "--json"]);
    let depth = |state: &str| summary["states"][state].as_u64().unwrap_or(0);
    assert_eq!(depth("dead") + depth("hard"), 0, "{summary}");
    let status = Command::new("kill").arg("-0").arg(first.pid().to_string()).status().unwrap();
    assert!(status.success(), "the paused one lives on");
}
