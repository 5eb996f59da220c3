//! Copies of a long log beside the writer, and what a failed sync leaves behind.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::OpenFlags;

use super::*;
use crate::support::{PLAIN_FN, document};

fn start(path: &Path) -> Result<SqliteEngine, StoreError> {
    SqliteEngine::open(path, ROOM, Opening::Start, OpenFiles::default())
}

fn read_only(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn state(bench: &Bench) -> log::LogState {
    log::checkpoint(bench.sql(), "NOOP").unwrap()
}

/// Fills the log past the length from which on it is copied.
fn fill(bench: &mut Bench) {
    let mut fd = 0;
    while state(bench).pages < 4100 {
        let documents = (fd + 1..=fd + 50)
            .map(|fd| NewDocument { container: vec![7; 32 << 10], ..document(PLAIN_FN, fd, 3, "x") });
        bench.append(&documents.collect::<Vec<_>>());
        fd += 50;
    }
}

fn io_failure() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None)
}

#[test]
fn a_very_long_log_is_copied_beside_the_writer() {
    let mut bench = Bench::new();
    bench.engine.log.aside_from_pages = 1000;
    fill(&mut bench);
    bench.engine.tend().unwrap();
    assert!(bench.engine.log.copier.is_some(), "somebody else copies it");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut fd = 90_000;
    while state(&bench).pages >= 4000 {
        assert!(Instant::now() < deadline, "{:?}", state(&bench));
        // Documents are taken meanwhile; what they add is copied too, and the log begins anew.
        fd += 1;
        bench.append(&[document(PLAIN_FN, fd, 3, "x")]);
        bench.engine.tend().unwrap();
    }
    assert!(bench.engine.log.copier.is_none());
}

#[test]
fn a_reader_that_holds_the_log_does_not_make_a_copy_of_every_batch() {
    let mut bench = Bench::new();
    bench.engine.log.aside_from_pages = 1000;
    bench.engine.log.aside_pause = Duration::from_secs(3600);
    let reader = read_only(&bench.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    fill(&mut bench);
    bench.engine.tend().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while bench.engine.log.copier.is_some() {
        assert!(Instant::now() < deadline);
        bench.engine.tend().unwrap();
    }
    assert!(state(&bench).to_copy() >= 1000, "the reader held most of it");
    bench.engine.tend().unwrap();
    assert!(bench.engine.log.copier.is_none(), "nothing is begun within the pause");
    bench.engine.log.aside_pause = Duration::ZERO;
    bench.engine.tend().unwrap();
    assert!(bench.engine.log.copier.is_some());
}

#[test]
fn trouble_of_a_copy_beside_the_writer_is_the_writers() {
    let mut bench = Bench::new();
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    bench.engine.log.copier = Some(Copier::run(|| Err(io_failure())).unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = bench.engine.tend() {
            break error;
        }
    };
    assert!(matches!(&error, EngineError::Lost(words) if words.contains("restart the daemon")), "{error:?}");
    let mark = disk::beside(&bench.path(), "-unsynced");
    assert!(mark.exists());
    // The log stays for the next start, which copies all of it.
    let (path, _folder) = (bench.path(), bench.folder);
    drop(bench.engine);
    assert!(fs::metadata(disk::beside(&path, "-wal")).unwrap().len() > 0);
    let refused = open_operator(&path).unwrap_err();
    assert!(refused.to_string().contains("start the daemon"), "{refused}");
    let engine = start(&path).unwrap();
    assert!(!mark.exists());
    assert_eq!(log::checkpoint(&engine.connection, "NOOP").unwrap().to_copy(), 0);
    assert!(open_operator(&path).is_ok());
}

#[test]
fn trouble_of_a_copy_that_the_end_of_the_engine_finds_is_not_forgotten() {
    let mut bench = Bench::new();
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    let (path, _folder) = (bench.path(), bench.folder);
    bench.engine.log.copier = Some(Copier::run(|| Err(io_failure())).unwrap());
    drop(bench.engine);
    assert!(disk::beside(&path, "-unsynced").exists());
    assert!(fs::metadata(disk::beside(&path, "-wal")).unwrap().len() > 0, "the log stays");
    // The process that failed would take the pages for copied.
    let refused = SqliteEngine::open(&path, ROOM, AGAIN, OpenFiles::default()).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable { why: Unavailability::FileLost, detail } if detail.contains("restart")),
        "{refused:?}"
    );
    start(&path).unwrap();
    assert!(!disk::beside(&path, "-unsynced").exists());
}

#[test]
fn what_was_added_while_somebody_copied_is_copied_by_the_writer() {
    let mut bench = Bench::new();
    bench.engine.log.aside_from_pages = 1000;
    fill(&mut bench);
    bench.engine.log.copier = Some(Copier::run(|| Ok(())).unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    while bench.engine.log.copier.is_some() {
        assert!(Instant::now() < deadline);
        bench.engine.tend().unwrap();
    }
    assert_eq!(state(&bench).to_copy(), 0, "however much it was");
}

#[test]
fn the_log_is_looked_at_now_and_then() {
    let mut bench = Bench::new();
    bench.engine.tend().unwrap();
    bench.engine.log.look_pause = Duration::from_secs(3600);
    bench.engine.log.aside_from_pages = log::LONG_FROM_PAGES;
    fill(&mut bench);
    bench.engine.tend().unwrap();
    assert!(state(&bench).to_copy() >= 4000, "within the pause");
    bench.engine.log.look_pause = Duration::ZERO;
    bench.engine.tend().unwrap();
    assert_eq!(state(&bench).to_copy(), 0);
}

#[test]
fn after_a_failed_sync_a_reader_that_outlived_the_daemon_prevents_the_start() {
    let mut bench = Bench::new();
    let path = bench.path();
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    // It keeps the count of copied pages alive.
    let reader = read_only(&path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
    bench.append(&[document(PLAIN_FN, 2, 3, "x")]);
    assert!(log::checkpoint(bench.sql(), "PASSIVE").unwrap().copied > 0, "a part was copied, without a sync");
    unsynced::leave(&path);
    bench.engine.keep_log();
    let _folder = bench.folder;
    drop(bench.engine);
    reader.execute_batch("COMMIT").unwrap();
    let refused = start(&path).unwrap_err().to_string();
    assert!(refused.contains("end every process") && refused.contains("fuser"), "{refused}");
    drop(reader);
    let engine = start(&path).unwrap();
    assert_eq!(export::counts(Db::from(&engine.connection)).unwrap().documents, 2);
    assert!(!disk::beside(&path, "-unsynced").exists());
}

#[test]
fn a_log_that_vanished_after_a_failed_sync_is_told() {
    let mut bench = Bench::new();
    bench.append(&[document(PLAIN_FN, 1, 3, "x")]);
    let (path, _folder) = (bench.path(), bench.folder);
    drop(bench.engine);
    unsynced::leave(&path);
    let refused = start(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains("then remove"), "{refused}");
    fs::remove_file(disk::beside(&path, "-unsynced")).unwrap();
    start(&path).unwrap();
}

#[test]
fn an_unfinished_copy_ends_with_the_engine() {
    let mut bench = Bench::new();
    bench.engine.log.aside_from_pages = 1000;
    fill(&mut bench);
    bench.engine.tend().unwrap();
    assert!(bench.engine.log.copier.is_some());
    let (path, _folder) = (bench.path(), bench.folder);
    drop(bench.engine);
    let engine = start(&path).unwrap();
    assert!(export::counts(Db::from(&engine.connection)).unwrap().documents > 0);
}
