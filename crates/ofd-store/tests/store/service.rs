//! The store as the daemon and the commands use it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ofd_store::{
    Announced, AppendOutcome, ExportFilter, Operator, QuarantineOutcome, QuarantineRelease, Reader,
    RegisterAdd, Standing, Store, StoreConfig, StoreError, StoreState, Unavailability,
};
use rusqlite::Connection;

use crate::support::{
    DEBUG_FN, PLAIN_FN, document, fn_number, moment, quarantined, registration, wait_until,
};
use crate::{GRACE, url};

fn open(folder: &Path) -> Store {
    let config = StoreConfig {
        url: url(folder),
        batch_max_documents: 32,
        queue_max_documents: 64,
        ..StoreConfig::default()
    };
    Store::open(&config).expect("a store")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_one_order_and_everything_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut tasks = Vec::new();
    for task in 0..20_u32 {
        let journal = store.journal();
        let fn_text = format!("87100001{task:08}");
        tasks.push(tokio::spawn(async move {
            let mut last = 0;
            for fd in 1..=30 {
                let sent = document(&fn_text, fd, 3, "x");
                let outcome = journal.append(sent.clone()).await.unwrap().await.unwrap();
                let AppendOutcome::Appended { seq } = outcome else { panic!("{outcome:?}") };
                assert!(seq > last, "the order of one writer is kept");
                last = seq;
                let again = journal.append(sent.clone()).await.unwrap().await.unwrap();
                assert_eq!(again, AppendOutcome::Repeat { seq, acknowledgement: sent.acknowledgement });
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    store.close(GRACE).await.unwrap();
    assert!(!folder.path().join("store.db-wal").exists(), "the last one out leaves no log");

    let store = open(folder.path());
    let known = document("8710000100000007", 30, 3, "x");
    let outcome = store.journal().append(known.clone()).await.unwrap().await.unwrap();
    assert!(
        matches!(outcome, AppendOutcome::Repeat { acknowledgement, .. } if acknowledgement == known.acknowledgement)
    );
    let counts = Reader::open(&url(folder.path())).unwrap().counts().unwrap();
    assert_eq!((counts.documents, counts.conflicts), (600, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_follows_while_documents_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (journal, done) = (store.journal(), Arc::new(AtomicBool::new(false)));
    let (address, stop) = (url(folder.path()), Arc::clone(&done));
    let reader = std::thread::spawn(move || {
        let reader = Reader::open(&address).unwrap();
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let last_look = stop.load(Ordering::SeqCst);
            let page = reader.export_page(after, &ExportFilter::default(), 7).unwrap();
            match page.last() {
                Some(row) => after = row.seq,
                None if last_look => return seen,
                None => {}
            }
            seen.extend(page.into_iter().map(|row| row.seq));
        }
    });
    for fd in 1..=300 {
        let pending = journal.append(document(PLAIN_FN, fd, 3, "x")).await.unwrap();
        if fd % 10 == 0 {
            pending.await.unwrap();
        }
    }
    store.close(GRACE).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let seen = reader.join().unwrap();
    assert_eq!(seen, (1..=300).collect::<Vec<i64>>(), "each once, in order, none missed");
}

#[tokio::test]
async fn an_open_read_does_not_stop_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let journal = store.journal();
    journal.append(document(PLAIN_FN, 1, 3, "x")).await.unwrap().await.unwrap();
    let reading = Connection::open(folder.path().join("store.db")).unwrap();
    let count = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap()
    };
    reading.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reading), 1);
    journal.append(document(PLAIN_FN, 2, 3, "x")).await.unwrap().await.unwrap();
    assert_eq!(count(&reading), 1, "an old state is read on");
    reading.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reading), 2);
    store.close(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_writer_elsewhere_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let holder = Connection::open(folder.path().join("store.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut pending = store.journal().append(document(PLAIN_FN, 1, 3, "x")).await.unwrap();
    // Long enough for several attempts of the writer: it must neither fail nor answer.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(pending.try_take(), None);
    }
    assert_eq!(store.status().state, StoreState::Serving);
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq: 1 }));
    store.close(GRACE).await.unwrap();
}

#[tokio::test]
async fn commands_beside_a_running_store_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let facts = store.facts();
    let (by_command, held) = (fn_number("8710000100000011"), fn_number(PLAIN_FN));
    assert_eq!(facts.standing(&by_command, moment(0)).standing, Standing::Unknown);
    let mut operator = Operator::open(&url(folder.path())).unwrap();
    let add = |fn_number, kkt_serial: Option<&str>| RegisterAdd {
        fn_number,
        kkt_serial: kkt_serial.map(str::to_owned),
        ..RegisterAdd::default()
    };
    operator.register_add(&add(Some(by_command), None)).unwrap();
    wait_until("the ФН", || facts.standing(&by_command, moment(0)).standing == Standing::Known).await;
    operator.register_add(&add(None, Some("0042"))).unwrap();
    let announced = |serial: &str| facts.announced(&held, serial, None, moment(0));
    wait_until("the serial number", || announced("0042") == Announced::Yes).await;

    let copy = store.journal().quarantine(quarantined(PLAIN_FN, 1, "x")).await.unwrap();
    assert_eq!(copy.await, Ok(QuarantineOutcome::Kept));
    assert_eq!(facts.standing(&held, moment(0)).standing, Standing::Unknown);
    assert_eq!(operator.quarantine_release(&held), Ok(QuarantineRelease::Released { copies: 1 }));
    wait_until("the release", || facts.standing(&held, moment(0)).standing == Standing::Known).await;

    // A report that another store on the same file let in.
    let neighbour = open(folder.path());
    let report = registration(DEBUG_FN, "0043");
    neighbour.journal().append(report).await.unwrap().await.unwrap();
    let number = fn_number(DEBUG_FN);
    wait_until("the neighbour's report", || facts.standing(&number, moment(0)).standing == Standing::Known)
        .await;
    assert_eq!(announced("0043"), Announced::No);
    neighbour.close(GRACE).await.unwrap();
    store.close(GRACE).await.unwrap();

    let store = open(folder.path());
    assert_eq!(store.facts().sizes(), (3, 1), "known from the start after reopening");
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let journal = store.journal();
    let mut pending = Vec::new();
    for fd in 1..=50 {
        pending.push(journal.append(document(PLAIN_FN, fd, 3, "x")).await.unwrap());
    }
    store.close(GRACE).await.unwrap();
    for (pending, seq) in pending.into_iter().zip(1..) {
        assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq }));
    }
    let refused = journal.append(document(PLAIN_FN, 51, 3, "x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
    assert_eq!(journal.status().state, StoreState::Closed);
}

#[test]
fn bad_settings_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { queue_max_documents: 0, url: url(folder.path()), ..StoreConfig::default() };
    assert!(matches!(Store::open(&config), Err(StoreError::Refused { .. })));
    let config = StoreConfig { url: "postgres://db/x".to_owned(), ..StoreConfig::default() };
    assert!(matches!(Store::open(&config), Err(StoreError::Refused { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_limit_past_any_disk_refuses_documents_and_not_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig { url: url(folder.path()), min_free_mib: u64::MAX, ..StoreConfig::default() };
    let store = Store::open(&config).unwrap();
    assert_eq!(store.status().state, StoreState::DiskLow);
    let refused = store.journal().append(document(PLAIN_FN, 1, 3, "x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { why: Unavailability::DiskLow, .. })));
    store.close(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_file_taken_away_under_an_idle_store_is_noticed_and_final() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let journal = store.journal();
    let (path, aside) = (folder.path().join("store.db"), folder.path().join("aside.db"));
    journal.append(document(PLAIN_FN, 1, 3, "x")).await.unwrap().await.unwrap();
    std::fs::rename(&path, &aside).unwrap();
    wait_until("the loss", || store.status().state == StoreState::Failed).await;
    assert!(store.status().reason.unwrap().contains("restart"));
    std::fs::rename(&aside, &path).unwrap();
    let refused = journal.append(document(PLAIN_FN, 2, 3, "x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { why: Unavailability::FileLost, .. })));
    let closed = store.close(GRACE).await;
    assert!(matches!(closed, Err(StoreError::Unavailable { why: Unavailability::FileLost, .. })));
}
