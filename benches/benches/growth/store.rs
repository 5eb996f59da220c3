//! What is filled: the store through its journal, or a bare table with the index that the store does without.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use fiscald_benches::processes::real;
use ofd_store::{AppendOutcome, JournalHandle, NewDocument, PendingAppend, Store, StoreConfig};
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;

use crate::documents::{Sent, Stream};

/// Batches on their way at the same time: one is written while the next one gathers.
const OUTSTANDING_BATCHES: usize = 2;
/// Of the threads that filled a bare table and are gone.
static BARE_NANOSECONDS: AtomicU64 = AtomicU64::new(0);
const CLOSING: Duration = Duration::from_secs(600);

pub(crate) enum Filled {
    Store { store: Store, runtime: Runtime, batch: usize },
    Bare { connection: Connection, batch: usize },
}

impl Filled {
    /// `batch` documents at most are written in one transaction.
    pub(crate) fn store(folder: &Path, batch: usize) -> Self {
        let config = StoreConfig {
            url: url(folder),
            min_free_mib: 64,
            batch_max_documents: batch,
            ..StoreConfig::default()
        };
        let store = Store::open(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self::Store { store, runtime, batch }
    }

    /// The table of a server that does nothing but keep documents: the unique index decides.
    pub(crate) fn bare(folder: &Path, batch: usize) -> Self {
        let connection = Connection::open(folder.join("store.db")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; \
                 PRAGMA cache_size = -262144; \
                 CREATE TABLE documents (id INTEGER PRIMARY KEY, fn TEXT NOT NULL, fd INTEGER NOT NULL, \
                 form INTEGER NOT NULL, received_at INTEGER NOT NULL, identity BLOB NOT NULL, \
                 acknowledgement BLOB NOT NULL, container BLOB NOT NULL); \
                 CREATE UNIQUE INDEX documents_identity ON documents (fn, fd);",
            )
            .unwrap();
        Self::Bare { connection, batch }
    }

    /// Writes so many documents, as fast as they are taken. Nothing is on its way afterwards.
    pub(crate) fn fill(&mut self, stream: &mut Stream, documents: u64) {
        match self {
            Self::Store { store, runtime, batch } => {
                runtime.block_on(append(&store.journal(), stream, documents, *batch * OUTSTANDING_BATCHES));
            }
            Self::Bare { connection, batch } => insert(connection, stream, documents, *batch),
        }
    }

    /// Waits until everything is where it stays; the size of the file is final then.
    pub(crate) fn close(self) {
        if let Self::Store { store, runtime, .. } = self {
            runtime.block_on(store.close(CLOSING)).unwrap();
        }
    }
}

/// Processor time of the thread that writes, seconds: steadier than the clock on a machine that others use too.
pub(crate) fn writer_cpu_s() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let journals = tasks.filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "journal")
    });
    let nanoseconds: u64 = journals.map(|task| ran(&task.path().join("schedstat"))).sum();
    real(nanoseconds + BARE_NANOSECONDS.load(Ordering::Relaxed)) / 1e9
}

/// The first number of a `schedstat`.
fn ran(schedstat: &Path) -> u64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(crate) fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("store.db").display())
}

async fn append(journal: &JournalHandle, stream: &mut Stream, documents: u64, outstanding: usize) {
    let mut on_their_way: VecDeque<(PendingAppend, Option<Vec<u8>>)> = VecDeque::with_capacity(outstanding);
    let mut sent = 0;
    while sent < documents || !on_their_way.is_empty() {
        while sent < documents && on_their_way.len() < outstanding {
            let Sent { document, again } = stream.next();
            let expected = again.then(|| document.acknowledgement.clone());
            on_their_way.push_back((journal.append(document).await.unwrap(), expected));
            sent += 1;
        }
        // All that are ready, so that the next batch is large.
        let (pending, expected) = on_their_way.pop_front().unwrap();
        check(&pending.await.unwrap(), expected);
        while let Some((pending, _)) = on_their_way.front_mut()
            && let Some(outcome) = pending.try_take()
        {
            let (_, expected) = on_their_way.pop_front().unwrap();
            check(&outcome.unwrap(), expected);
        }
    }
}

/// A new document is new, and one that was sent before gets what it once got.
fn check(outcome: &AppendOutcome, expected: Option<Vec<u8>>) {
    match (outcome, expected) {
        (AppendOutcome::Appended { .. }, None) => {}
        (AppendOutcome::Repeat { acknowledgement, .. }, Some(expected)) => {
            assert_eq!(*acknowledgement, expected)
        }
        (outcome, expected) => panic!("{outcome:?}, sent before: {}", expected.is_some()),
    }
}

/// The documents are made beside the writer, as they are for the journal.
fn insert(connection: &mut Connection, stream: &mut Stream, documents: u64, batch: usize) {
    let (make, made) = mpsc::sync_channel::<Vec<NewDocument>>(OUTSTANDING_BATCHES);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            made.iter().for_each(|batch| insert_batch(connection, &batch));
            BARE_NANOSECONDS.fetch_add(ran(Path::new("/proc/thread-self/schedstat")), Ordering::Relaxed);
        });
        let mut left = usize::try_from(documents).unwrap();
        while left > 0 {
            let size = left.min(batch);
            make.send((0..size).map(|_| stream.next().document).collect()).unwrap();
            left -= size;
        }
        drop(make);
    });
}

fn insert_batch(connection: &mut Connection, batch: &[NewDocument]) {
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO documents (fn, fd, form, received_at, identity, acknowledgement, container) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (fn, fd) DO NOTHING",
            )
            .unwrap();
        for document in batch {
            insert
                .execute(params![
                    document.fn_number.as_str(),
                    document.fd_number.get(),
                    document.form,
                    document.received_at.as_microsecond(),
                    document.identity,
                    document.acknowledgement,
                    document.container,
                ])
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}
