//! Care of the store: what an operator looks for, copies, verifies and puts right, beside a daemon at work.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::fleet::Fleet;
use fiscald_tests::wire::{Register, Storage};
use rusqlite::Connection;

const FN: &str = "9999078900000017";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A command that must succeed, and what it said.
fn done(setup: &Setup, args: &[&str]) -> String {
    let output = setup.run(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

/// `verify` on a store with something wrong: exit code 1, and the lines of the problems.
fn problems(setup: &Setup) -> Vec<String> {
    let output = setup.run(&["verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .filter(|line| line.starts_with(['#', 'd']) && line.contains("; "))
        .map(str::to_owned)
        .collect()
}

/// The store as somebody who should not touch it opens it.
fn by_hand(setup: &Setup) -> Connection {
    Connection::open(setup.folder().join("fiscald.db")).unwrap()
}

/// A store with a registration, the opening of a shift, two receipts, one whose sums do not agree (code 14), and
/// another content under a known number; the daemon is stopped.
fn stocked() -> Setup {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    let mut send = |fd_number: u32, document: Vec<u8>| {
        let answer = register.exchange(&storage.send(fd_number, &document));
        storage.check_answer(&answer, fd_number)
    };
    assert_eq!(send(1, storage.registration(1, "0128003270")), 0);
    assert_eq!(send(2, storage.shift_open(2)), 0);
    assert_eq!(send(3, storage.receipt_of(3, 1, 100, 100)), 0);
    assert_eq!(send(4, storage.receipt_of(4, 2, 500, 300)), 14);
    assert_eq!(send(5, storage.receipt_of(5, 3, 100, 100)), 0);
    assert_eq!(send(5, storage.receipt_of(5, 3, 200, 200)), 0);
    assert!(daemon.stop().success());
    setup
}

#[test]
fn a_backup_under_load_holds_everything_acknowledged_before_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    let fleet = Fleet::start(Duration::from_secs(20));
    fleet.aim(Some(daemon.registers));
    fleet.wait_for(300);
    let before = fleet.answers();
    let copy = setup.folder().join("copy.db");
    let said = done(&setup, &["backup", copy.to_str().unwrap()]);
    assert!(said.contains(" documents, ") && said.contains("fiscald verify"), "{said}");
    // An existing file is never replaced, whatever it is.
    let again = setup.run(&["backup", copy.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "{}", text(&again));
    assert!(text(&again).contains("there already"), "{}", text(&again));
    fleet.wait_for(100);
    fleet.aim(None);
    assert!(daemon.stop().success());
    private(&copy);

    let restored = Setup::new().with("store.url", &format!("sqlite:{}", copy.display()));
    done(&restored, &["verify"]);
    let daemon = restored.start();
    let journal: Vec<_> = restored
        .export()
        .iter()
        .map(|row| {
            (row["fn"].as_str().unwrap().to_owned(), u32::try_from(row["fd"].as_u64().unwrap()).unwrap())
        })
        .collect();
    for key in before.keys() {
        assert!(journal.contains(key), "{key:?} was acknowledged before the backup and is not in it");
    }
    // A register that lost its answer gets the same bytes from the copy.
    for ((fn_number, fd_number), answer) in before.iter().take(40) {
        let repeated = fleet.again(daemon.registers, fn_number, *fd_number);
        assert_eq!(repeated.as_ref(), Some(answer), "{fn_number} ФД {fd_number}");
    }
    // The restored store takes new documents. The fleet stays away from it: what was acknowledged after the copy was
    // made is not in it, so a repeat of that would get an answer of its own.
    fleet.stop();
    let storage = Storage::new(FN);
    let answer = Register::connect(daemon.registers).exchange(&storage.send(1, &storage.receipt(1, 100)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
    assert!(daemon.stop().success());
    done(&restored, &["verify"]);
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn verify_runs_beside_the_daemon_and_finds_nothing_wrong() {
    let setup = Setup::new();
    let daemon = setup.start();
    let fleet = Fleet::start(Duration::from_secs(20));
    fleet.aim(Some(daemon.registers));
    fleet.wait_for(200);
    let report = setup.json(&["verify", "--json"]);
    assert_eq!(report["problem_count"], 0, "{report}");
    assert!(report["documents"].as_u64().unwrap() >= 150, "{report}");
    let later = setup.json(&["verify", "--from-seq", "101", "--json"]);
    assert_eq!(later["problem_count"], 0, "{later}");
    fleet.stop();
    // Encrypted bodies are kept opened, so they are judged like the others.
    let sim = std::process::Command::new(fiscald_tests::daemon::program("kkt-sim"))
        .args([
            "live",
            "--registers",
            "4",
            "--seed",
            "11",
            "--base",
            "77",
            "--to",
            &daemon.registers.to_string(),
        ])
        .output()
        .unwrap();
    assert!(sim.status.success(), "{}", text(&sim));
    let report = setup.json(&["verify", "--json"]);
    assert_eq!(report["problem_count"], 0, "{report}");
    assert!(report["sealed_answers"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn verify_names_what_was_damaged() {
    let setup = stocked();
    done(&setup, &["verify"]);
    let blob = |column: &str, seq: i64| -> Vec<u8> {
        let sql = format!("SELECT {column} FROM journal WHERE seq = ?1");
        by_hand(&setup).query_row(&sql, [seq], |row| row.get(0)).unwrap()
    };
    let write = |column: &str, value: &dyn rusqlite::ToSql| {
        let sql = format!("UPDATE journal SET {column} = ?1 WHERE seq = 3");
        assert_eq!(by_hand(&setup).execute(&sql, [value]).unwrap(), 1);
    };
    let check = |column: &str, damaged: Vec<u8>, expected: &[&str]| {
        let right = blob(column, 3);
        write(column, &damaged);
        let said = problems(&setup).join("\n");
        for part in expected {
            assert!(said.contains(part), "{column}: {said} lacks {part:?}");
        }
        write(column, &right);
        done(&setup, &["verify"]);
    };
    let mut flipped = blob("container", 3);
    flipped[80] ^= 1;
    let place = "#3 ФН 9999078900000017 ФД 3: ";
    check("container", flipped, &[&format!("{place}the container is damaged"), "restore a backup"]);
    let foreign = format!("{place}the container is of ФН 9999078900000017 ФД 2");
    check("container", blob("container", 2), &[&foreign, "SHA-256"]);
    let foreign = format!("{place}the acknowledgement is for ФН 9999078900000017 ФД 2");
    check("acknowledgement", blob("acknowledgement", 2), &[&foreign]);
    write("code", &11);
    let said = problems(&setup).join("\n");
    assert!(said.contains("document 7 says code 0, stored is 11"), "{said}");
}

#[test]
fn verify_tells_a_lost_row() {
    let setup = stocked();
    let connection = by_hand(&setup);
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute("DELETE FROM journal WHERE seq = 3", []).unwrap();
    drop(connection);
    let said = problems(&setup).join("\n");
    assert!(said.contains("#3: the document of this position is gone"), "{said}");
}

#[test]
fn verify_tells_a_damaged_file_and_goes_on() {
    let setup = stocked();
    let connection = by_hand(&setup);
    let page_of = |name: &str| -> u32 {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        connection.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let at = u64::from(page_of("journal_reports") - 1) * u64::from(page_bytes);
    drop(connection);
    let file = std::fs::OpenOptions::new().write(true).open(setup.folder().join("fiscald.db")).unwrap();
    file.write_all_at(&[0xEE; 64], at).unwrap();
    drop(file);
    let said = problems(&setup).join("\n");
    assert!(said.contains("database: ") && said.contains("restore a backup"), "{said}");
    let report = setup.run(&["verify", "--json"]);
    assert_eq!(report.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["documents"], 6, "the documents are read all the same: {report}");
}

#[test]
fn the_full_check_holds_indexes_against_their_tables() {
    let setup = stocked();
    by_hand(&setup)
        .execute_batch(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_schema SET sql = replace(sql, 'code > 0', 'code >= 0') WHERE name = 'journal_refused'",
        )
        .unwrap();
    let quick = setup.json(&["verify", "--json"]);
    assert_eq!((quick["database"].as_str(), quick["problem_count"].as_u64()), (Some("quick"), Some(0)));
    let output = setup.run(&["verify", "--full"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("journal_refused"), "{}", text(&output));
}

#[test]
fn a_store_at_rest_is_verified_and_copied_on_a_short_disk() {
    // No disk has so much to spare. Nobody writes, so nobody is harmed.
    let setup = stocked().with("store.min_free_mib", "1000000000");
    done(&setup, &["verify"]);
    done(&setup, &["verify", "--full"]);
    let refused = setup.run(&["backup", setup.folder().join("copy.db").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "the copy itself needs room on this disk");
    assert!(text(&refused).contains("have to stay free"), "{}", text(&refused));
}

#[test]
fn only_an_older_store_is_said_to_be_upgraded() {
    let told = |setup: &Setup| {
        let daemon = setup.start();
        let log = daemon.log();
        assert!(daemon.stop().success());
        let lines = |words: &str| log.iter().filter(|line| line.contains(words)).count();
        let (begun, ended) = (lines("schema is upgraded"), lines("schema was upgraded"));
        assert_eq!(begun, ended, "{}", log.join("\n"));
        ended
    };
    let setup = Setup::new();
    assert_eq!(told(&setup), 0, "a new store has nothing to upgrade");
    let setup = Setup::new();
    let old = include_str!("../../crates/ofd-store/tests/store/data/schema-v1.sql");
    by_hand(&setup).execute_batch(old).unwrap();
    assert!(told(&setup) > 0, "each step is told");
    assert_eq!(told(&setup), 0, "it is upgraded once");
}

#[test]
fn reindex_puts_columns_right() {
    let setup = stocked();
    let listed = setup.json(&["documents", "list", "--json"]);
    let connection = by_hand(&setup);
    let columns = ["local_time", "rnm", "user_inn", "shift", "receipt_number", "operation", "total_kopecks"];
    let nulled: Vec<String> = columns.iter().map(|column| format!("{column} = NULL")).collect();
    let changed = connection.execute(&format!("UPDATE journal SET {} WHERE seq > 1", nulled.join(", ")), []);
    assert_eq!(changed.unwrap(), 5);
    connection.execute("UPDATE journal SET kkt_serial = 'wrong' WHERE seq = 1", []).unwrap();
    drop(connection);
    let said = problems(&setup);
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(said.iter().all(|line| line.contains("run `fiscald reindex`")), "{said:?}");

    let daemon = setup.start();
    let told = done(&setup, &["reindex"]);
    assert!(told.contains("documents read         6\nrows put right         6\n"), "{told}");
    assert!(done(&setup, &["reindex"]).contains("rows put right         0\n"));
    drop(daemon);
    done(&setup, &["verify"]);
    assert_eq!(setup.json(&["documents", "list", "--json"]), listed);
}

#[test]
fn documents_are_found_by_what_they_are() {
    let setup = stocked();
    let found = |args: &[&str]| -> Vec<i64> {
        let args = [&["documents", "list", "--json"], args].concat();
        let rows = setup.json(&args);
        rows.as_array().unwrap().iter().map(|row| row["seq"].as_i64().unwrap()).collect()
    };
    assert_eq!(found(&[]), [6, 5, 4, 3, 2, 1]);
    assert_eq!(found(&["--limit", "2"]), [6, 5]);
    assert_eq!(found(&["--fn", FN, "--form", "2"]), [2]);
    assert_eq!(found(&["--fn", "9999078900000018"]), Vec::<i64>::new());
    assert_eq!(found(&["--form", "3"]), [6, 5, 4, 3]);
    assert_eq!(found(&["--code", "14"]), [4]);
    assert_eq!(found(&["--verdict", "valid", "--code", "0"]).len(), 5);
    assert_eq!(found(&["--verdict", "mismatch"]), Vec::<i64>::new());
    assert_eq!(found(&["--conflicts"]), [6]);
    assert_eq!(found(&["--severity", "hard"]), [4]);
    assert_eq!(found(&["--rule", "sum.items"]), [4]);
    assert!(found(&["--findings"]).contains(&4));
    assert_eq!(found(&["--from", "2000-01-01T00:00:00Z"]).len(), 6);
    assert_eq!(found(&["--to", "2000-01-01T00:00:00Z"]), Vec::<i64>::new());
    let moment = setup.json(&["documents", "list", "--json", "--limit", "1"])[0]["received_at"].clone();
    let moment = moment.as_str().unwrap();
    assert_eq!(found(&["--from", moment]).first(), Some(&6), "the beginning of a period belongs to it");
    assert!(!found(&["--to", moment]).contains(&6), "its end does not");

    let refused = setup.run(&["documents", "list", "--rule", "sum.item"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("did you mean \"sum.items\"?"), "{}", text(&refused));
    let shown = done(&setup, &["documents", "show", FN, "4"]);
    assert!(shown.contains("hard [sum.items]"), "{shown}");
}

#[test]
fn the_clock_is_confirmed_by_a_person() {
    let setup = stocked();
    // The newest acknowledgement of ours is of next year.
    by_hand(&setup)
        .execute("UPDATE journal SET received_at = received_at + 31536000000000 WHERE seq = 6", [])
        .unwrap();
    let told = done(&setup, &["clock", "show"]);
    assert!(told.contains("BEHIND") && told.contains("never"), "{told}");
    let refused = setup.run(&["clock", "confirm"]);
    assert_eq!(refused.status.code(), Some(1), "without a terminal nobody can be asked");
    assert!(text(&refused).contains("--yes"), "{}", text(&refused));

    let mut daemon = setup.start();
    assert_eq!(daemon.admin("/readyz").0, 503);
    let said = done(&setup, &["clock", "confirm", "--yes"]);
    assert!(said.contains("confirmed at") && said.contains("position 6"), "{said}");
    daemon.wait_for("a daemon that hears the confirmation", |daemon| {
        (daemon.admin("/readyz").0 == 200).then_some(())
    });
    let told = done(&setup, &["clock", "show"]);
    assert!(told.contains("none since the confirmation") && told.contains("up to position 6"), "{told}");
}

#[test]
fn the_rules_are_listed_even_with_a_wrong_configuration() {
    let setup = Setup::new();
    let rules = setup.json(&["checks", "list", "--json"]);
    assert!(rules.as_array().unwrap().len() > 40);
    let output =
        setup.command(&["checks", "list"]).env("FISCALD__CHECKS__SUM.ITEM", "soft").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output);
    assert!(said.contains("sum.items") && said.contains("did you mean \"sum.items\"?"), "{said}");
    let output =
        setup.command(&["checks", "list"]).env("FISCALD__CHECKS__SUM.ITEMS", "off").output().unwrap();
    assert!(output.status.success() && text(&output).contains("off *"), "{}", text(&output));
}
