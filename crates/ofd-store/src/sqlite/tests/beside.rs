//! A second writer beside the journal's engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::StoreConfig;
use crate::journal::{Journal, JournalSettings};
use crate::sqlite::second::{Beside, SecondWriter};
use crate::support::document;
use crate::turnstile::Turnstile;

/// An engine and what stands beside it.
fn beside(bench: &Bench) -> (Turnstile, Beside, Journal) {
    let turnstile = Turnstile::default();
    let files = OpenFiles::default();
    let engine = SqliteEngine::open(&bench.path(), ROOM, AGAIN, files.clone()).unwrap();
    let journal = Journal::start(
        JournalSettings::from_config(&StoreConfig::default()),
        Box::new(engine.in_turn(turnstile.clone())),
        Box::new(|| panic!("nothing is opened anew here")),
    )
    .unwrap();
    let same = SqliteEngine::file_id(&bench.path());
    let beside = Beside { turnstile: turnstile.clone(), files, same, journal: journal.handle() };
    (turnstile, beside, journal)
}

#[tokio::test]
async fn neither_the_journal_nor_the_forwarder_starves() {
    const TURNS: u32 = 50;
    let bench = Bench::new();
    let (_, beside, journal) = beside(&bench);
    let mut second = SecondWriter::open(&bench.path(), Some(beside)).unwrap();
    let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let forwarder = {
        let (stop, turns) = (Arc::clone(&stop), Arc::clone(&turns));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let raise =
                    |db: Db<'_>| db.execute("UPDATE outbox_cursors SET serial = serial + 1", []).map(|_| ());
                second.write(raise).unwrap();
                turns.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    // Neither ever rests; each has to get its turns all the same.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut number = 0;
    while number < TURNS || turns.load(Ordering::Relaxed) < TURNS {
        assert!(Instant::now() < deadline, "{number} of the journal, {turns:?} of the forwarder");
        number += 1;
        let pending = journal.handle().append(document("8710000100000001", number, 3, "")).await.unwrap();
        assert_eq!(pending.await, Ok(appended(i64::from(number))));
    }
    stop.store(true, Ordering::Relaxed);
    forwarder.join().unwrap();
    journal.close(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_beside_the_journal_makes_it_open_its_file_anew() {
    let mut bench = Bench::new();
    let turnstile = Turnstile::default();
    bench.engine = SqliteEngine::open(&bench.path(), ROOM, AGAIN, OpenFiles::default()).unwrap();
    bench.engine.turnstile = turnstile.clone();
    turnstile.report_trouble("a write beside the journal failed");
    let item = || [WriteItem::Document(Box::new(document("8710000100000001", 1, 3, "")))];
    let error = bench.engine.commit(&item()).unwrap_err();
    assert!(matches!(error, EngineError::Failed(ref what) if what.contains("beside")), "{error}");
    // Told once: the engine opened after it works.
    bench.engine = SqliteEngine::open(&bench.path(), ROOM, AGAIN, OpenFiles::default()).unwrap();
    bench.engine.turnstile = turnstile;
    assert!(bench.engine.commit(&item()).is_ok());
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_waited_for_without_a_turn() {
    let bench = Bench::new();
    let (turnstile, beside, journal) = beside(&bench);
    let mut second = SecondWriter::open(&bench.path(), Some(beside)).unwrap();
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(
        second.write(|_| Ok(())),
        Err(StoreError::Unavailable { why: Unavailability::Busy, .. })
    ));
    let waiting = std::thread::spawn(move || second.write(|_| Ok(())));
    // It lets others have turns while it is patient: with the turn taken the database becomes free, and it goes on.
    let turn = turnstile.enter();
    other.execute_batch("ROLLBACK").unwrap();
    drop(turn);
    assert_eq!(waiting.join().unwrap(), Ok(()));
    journal.close(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_replaced_is_not_written_for_nothing() {
    let bench = Bench::new();
    let (_, beside, journal) = beside(&bench);
    let mut second = SecondWriter::open(&bench.path(), Some(beside)).unwrap();
    assert_eq!(second.write(|_| Ok(())), Ok(()));
    std::fs::rename(bench.path(), bench.folder.path().join("moved")).unwrap();
    let lost = second.write(|_| Ok(()));
    assert!(matches!(lost, Err(StoreError::Unavailable { why: Unavailability::FileLost, .. })), "{lost:?}");
    drop(journal);
}

#[tokio::test]
async fn nothing_is_written_into_a_file_put_in_the_place_of_the_store() {
    let bench = Bench::new();
    let (_, beside, journal) = beside(&bench);
    let mut second = SecondWriter::open(&bench.path(), Some(beside.clone())).unwrap();
    let (other, place) = (bench.folder.path().join("other"), bench.path());
    drop(SqliteEngine::open(&other, ROOM, Opening::Start, OpenFiles::default()).unwrap());
    std::fs::rename(&other, &place).unwrap();
    let is_lost =
        |error: &StoreError| matches!(error, StoreError::Unavailable { why: Unavailability::FileLost, .. });
    let touched = std::cell::Cell::new(false);
    let touch = |_: Db<'_>| {
        touched.set(true);
        Ok(())
    };
    let error = second.write(touch).unwrap_err();
    assert!(is_lost(&error) && !touched.get(), "{error}");
    // Opened anew, also at a moment in which the journal has nothing open.
    for files in [beside.files.clone(), OpenFiles::default()] {
        let error = SecondWriter::open(&place, Some(Beside { files, ..beside.clone() })).unwrap_err();
        assert!(is_lost(&error), "{error}");
    }
    drop(journal);
}

#[tokio::test]
async fn only_failures_of_commits_and_syncs_concern_the_journal() {
    use rusqlite::ffi;
    let bench = Bench::new();
    let (turnstile, beside, journal) = beside(&bench);
    let mut second = SecondWriter::open(&bench.path(), Some(beside)).unwrap();
    let mut check = |extended: i32, expected: bool| {
        let error = second.write(|_| -> crate::sql::Result<()> {
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None).into())
        });
        assert!(error.is_err());
        assert_eq!(turnstile.take_trouble().is_some(), expected, "{extended}");
    };
    check(ffi::SQLITE_IOERR_READ, false);
    check(ffi::SQLITE_IOERR_SHORT_READ, false);
    check(ffi::SQLITE_IOERR_FSYNC, true);
    check(ffi::SQLITE_IOERR_DIR_FSYNC, true);
    journal.close(Duration::from_secs(10)).await.unwrap();
}
