//! The file: locks, several writers, durable modes, refused items.

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::support::{PLAIN_FN, document};

#[test]
fn an_item_that_breaks_a_constraint_is_refused_alone() {
    let mut bench = Bench::new();
    bench
        .sql()
        .execute_batch(
            "CREATE TRIGGER poison BEFORE INSERT ON journal WHEN NEW.fd = 666 \
             BEGIN SELECT RAISE(ABORT, 'poison'); END",
        )
        .unwrap();
    let items = [1, 666, 2, 666].map(|fd| WriteItem::Document(Box::new(document(PLAIN_FN, fd, 3, "x"))));
    let outcomes = bench.write(items.into());
    assert_eq!(outcomes[0], WriteOutcome::Append(appended(1)));
    assert_eq!(outcomes[2], WriteOutcome::Append(appended(2)));
    for refused in [&outcomes[1], &outcomes[3]] {
        assert!(matches!(refused, WriteOutcome::Refused { reason } if reason.contains("poison")));
    }
    assert_eq!(export::counts(bench.db()).unwrap().documents, 2);
}

#[test]
fn a_lock_of_somebody_else_is_busy_and_nothing_is_written() {
    let mut bench = Bench::new();
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let item = WriteItem::Document(Box::new(document(PLAIN_FN, 1, 3, "x")));
    assert!(matches!(bench.engine.commit(std::slice::from_ref(&item)), Err(EngineError::Busy(_))));
    assert!(matches!(bench.engine.probe(), Err(EngineError::Busy(_))));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(bench.engine.probe(), Ok(()));
    assert_eq!(bench.write(vec![item]), [WriteOutcome::Append(appended(1))]);
}

#[test]
fn several_writers_on_one_file_agree() {
    let bench = Bench::new();
    let path = bench.path();
    let write = |content: &'static str| {
        let path = path.clone();
        let (out, outcomes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut engine = SqliteEngine::open(&path, ROOM, Opening::Start, OpenFiles::default()).unwrap();
            for fd in 1..=40 {
                let item = WriteItem::Document(Box::new(document(PLAIN_FN, fd, 3, content)));
                let outcome = loop {
                    match engine.commit(std::slice::from_ref(&item)) {
                        Ok(mut outcomes) => break outcomes.remove(0),
                        Err(EngineError::Busy(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                };
                out.send((fd, outcome)).unwrap();
            }
        });
        outcomes
    };
    let (first, second) = (write("a"), write("b"));
    let mut news = BTreeMap::new();
    let wait = Duration::from_secs(60);
    for outcomes in [first, second] {
        for _ in 1..=40 {
            let (fd, outcome) = outcomes.recv_timeout(wait).unwrap();
            let (new, disputed): &mut (u32, u32) = news.entry(fd).or_default();
            match outcome {
                WriteOutcome::Append(AppendOutcome::Appended { .. }) => *new += 1,
                WriteOutcome::Append(AppendOutcome::Conflict { .. }) => *disputed += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(news.values().all(|counts| *counts == (1, 1)), "{news:?}");
}

#[test]
fn commits_are_synced_and_the_log_is_emptied_at_opening() {
    let mut bench = Bench::new();
    let pragma = |name: &str| -> String {
        bench
            .sql()
            .pragma_query_value(None, name, |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str()?.to_owned(),
                })
            })
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2");
    assert_eq!(pragma("foreign_keys"), "1");
    assert_eq!(pragma("wal_autocheckpoint"), "0", "the log is copied by us");
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    let log = bench.path().with_extension("db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let again = SqliteEngine::open(&bench.path(), ROOM, AGAIN, OpenFiles::default()).unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    drop(again);
}

#[test]
fn a_store_that_vanished_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    assert!(SqliteEngine::open(&path, ROOM, AGAIN, OpenFiles::default()).unwrap_err().is_unavailable());
    assert!(!path.exists());
    std::fs::File::create(&path).unwrap();
    assert!(SqliteEngine::open(&path, ROOM, AGAIN, OpenFiles::default()).unwrap_err().is_unavailable());
    assert!(SqliteEngine::open(&path, ROOM, Opening::Start, OpenFiles::default()).is_ok());
}
