//! Old months leave the store for a file beside it, and nobody who sends, shows or checks documents notices.

use std::collections::HashMap;
use std::fs;

use rusqlite::Connection;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::tax::Tax;
use fiscald_tests::wire::{Register, Storage};

use crate::stand::{CONTRACT, FN, SERIAL, code, contract, run, settles, setup};

/// How long ago the old documents came.
const AGE_DAYS: i64 = 100;
const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;

/// The last document of the old months.
const LAST_OLD: u32 = 6;

fn by_hand(setup: &Setup) -> Connection {
    Connection::open(setup.folder().join("fiscald.db")).unwrap()
}

/// The month before the present one.
fn last_month(setup: &Setup) -> String {
    let sql = "SELECT strftime('%Y-%m', 'now', 'start of month', '-1 month')";
    by_hand(setup).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A shift of long ago and the beginning of another one, all of it accepted by the tax service.
fn documents(storage: &Storage) -> Vec<(u32, Vec<u8>)> {
    let mut documents = vec![(1, storage.registration(1, SERIAL)), (2, storage.shift_open(2))];
    documents.extend((3..=LAST_OLD).map(|fd| (fd, storage.receipt_of(fd, fd - 2, 100, 100))));
    documents.push((7, storage.shift_open(7)));
    documents
}

fn answer(daemon: &Daemon, storage: &Storage, (fd_number, document): &(u32, Vec<u8>)) -> Vec<u8> {
    let answer = Register::connect(daemon.registers).exchange(&storage.send(*fd_number, document));
    storage.check_answer(&answer, *fd_number);
    answer.body
}

/// What `verify` finds.
fn problems(setup: &Setup) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_slice(&setup.run(&["verify", "--json"]).stdout).unwrap();
    assert_eq!(report["problem_count"], report["problems"].as_array().unwrap().len(), "{report}");
    report["problems"].clone()
}

#[test]
fn old_months_are_detached_and_everything_goes_on() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN);
    let documents = documents(&storage);
    for (fd_number, document) in &documents {
        code(&mut daemon, &storage, *fd_number, document);
    }
    let answers: HashMap<u32, Vec<u8>> =
        documents.iter().map(|document| (document.0, answer(&daemon, &storage, document))).collect();
    for (fd_number, _) in &documents {
        settles(&mut daemon, &setup, FN, *fd_number, "accepted");
    }
    assert!(daemon.stop().success());
    by_hand(&setup)
        .execute(
            "UPDATE journal SET received_at = received_at - ?1 WHERE fd <= ?2",
            [AGE_DAYS * DAY_MICROSECONDS, i64::from(LAST_OLD)],
        )
        .unwrap();
    let before = setup.export();
    // Only that the acknowledgements of these six are not as old as we made the documents.
    let wrong = problems(&setup);
    assert_eq!(wrong.as_array().unwrap().len(), 6, "{wrong}");

    let mut daemon = setup.start();
    let (month, file) = (last_month(&setup), setup.folder().join("old.db"));
    let order = ["detach", "--before", month.as_str(), "--to", file.to_str().unwrap()];
    let said = run(&setup, &order);
    assert!(said.contains("5 documents moved") && said.contains("old.db"), "{said}");
    let again = run(&setup, &["detach", "--before", &month, "--to", "another.db"]);
    assert!(again.contains("no document received before that month is left"), "{again}");
    assert!(!setup.folder().join("another.db").exists());

    // Shown, exported and verified as before.
    assert_eq!(setup.export(), before);
    assert_eq!(problems(&setup), wrong);
    assert!(run(&setup, &["documents", "show", FN, "4"]).contains(FN));
    assert!(run(&setup, &["reindex"]).contains("rows put right         0"));
    // Repeats get what they once got, another content under an old number is a conflict with an answer of its own.
    let repeats = |daemon: &Daemon| {
        for document in &documents {
            assert_eq!(answer(daemon, &storage, document), answers[&document.0], "ФД {}", document.0);
        }
    };
    repeats(&daemon);
    let other = (4, storage.receipt_of(4, 2, 300, 300));
    let conflict = answer(&daemon, &storage, &other);
    assert_ne!(conflict, answers[&4]);
    assert_eq!(answer(&daemon, &storage, &other), conflict);
    // What is new is taken and goes on to the tax service.
    code(&mut daemon, &storage, 8, &storage.receipt_of(8, 1, 100, 100));
    settles(&mut daemon, &setup, FN, 8, "accepted");

    // Without the file repeats are answered all the same, and whoever needs the bytes names it.
    let aside = setup.folder().join("aside");
    fs::rename(&file, &aside).unwrap();
    repeats(&daemon);
    assert!(daemon.stop().success());
    let daemon = setup.start();
    repeats(&daemon);
    let lie = format!("documents received before {month} lie in {}, which is not there", file.display());
    for command in [&["documents", "show", FN, "4"][..], &["export"], &["verify"]] {
        let output = setup.run(command);
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains(&lie), "{command:?}: {said}");
        assert!(!said.contains("damaged"), "{command:?}: {said}");
    }
    // The report lies in the store, and of the others one line is told.
    assert_eq!(problems(&setup).as_array().unwrap().len(), 2);
    fs::rename(&aside, &file).unwrap();
    assert_eq!(problems(&setup), wrong);
    let copied = run(&setup, &["backup", "copy.db"]);
    assert!(copied.contains("not in it: 5 documents") && copied.contains("old.db"), "{copied}");
    assert!(daemon.stop().success());
}

#[test]
fn what_is_not_settled_or_on_a_server_is_not_detached() {
    let tax = Tax::start();
    let setup = setup(&tax);
    let mut daemon = setup.start();
    contract(&setup, CONTRACT, SERIAL, FN);
    let storage = Storage::new(FN);
    code(&mut daemon, &storage, 1, &storage.registration(1, SERIAL));
    settles(&mut daemon, &setup, FN, 1, "accepted");
    assert!(daemon.stop().success());
    let month = last_month(&setup);
    let refused = |setup: &Setup, month: &str, words: &str| {
        let output = setup.run(&["detach", "--before", month, "--to", "old.db"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!setup.folder().join("old.db").exists());
    };
    by_hand(&setup)
        .execute_batch(
            "UPDATE journal SET received_at = received_at - 8640000000000; UPDATE outbox SET state = 2",
        )
        .unwrap();
    refused(&setup, &month, "1 without a verdict (delivered)");
    let present: String =
        by_hand(&setup).query_row("SELECT strftime('%Y-%m')", [], |row| row.get(0)).unwrap();
    refused(&setup, &present, "the last whole month stays in the store");
    let server = setup.clone().with("store.url", "postgres://fiscald@localhost/fiscald");
    refused(&server, &month, "each month of the journal is a partition");
    assert_eq!(setup.run(&["detach", "--before", "2026-13", "--to", "old.db"]).status.code(), Some(2));
}
