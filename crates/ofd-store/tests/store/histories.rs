//! Histories for many readers at once, through trouble and after the close.

use std::path::Path;
use std::sync::Arc;

use ofd_store::{MAX_HISTORY_DOCUMENTS, NewDocument, Reader, Store, StoreConfig, StoreError};
use rusqlite::Connection;

use crate::support::{PLAIN_FN, document, fn_number};
use crate::{GRACE, url};

fn open(folder: &Path) -> Store {
    Store::open(&StoreConfig { url: url(folder), ..StoreConfig::default() }).expect("a store")
}

async fn append(store: &Store, fn_text: &str, documents: impl Iterator<Item = (u32, u16)>) {
    let mut pending = Vec::new();
    for (fd, form) in documents {
        let opened = Some(format!("{fn_text} {fd}").into_bytes());
        let document = NewDocument { opened, ..document(fn_text, fd, form, "x") };
        pending.push(store.journal().append(document).await.expect("no trouble"));
    }
    for pending in pending {
        pending.await.expect("no trouble");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ask_at_once_while_documents_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let fns: Vec<_> = (0..20).map(|number| format!("87100001{number:08}")).collect();
    for fn_text in &fns {
        append(&store, fn_text, [(1, 1), (2, 2), (3, 3)].into_iter()).await;
    }
    let history = store.history();
    let askers: Vec<_> = (0..12)
        .map(|_| {
            let (history, fns) = (Arc::clone(&history), fns.clone());
            tokio::task::spawn_blocking(move || {
                for fn_text in &fns {
                    let found = history.load(&fn_number(fn_text)).unwrap().unwrap();
                    assert_eq!(found.registration, Some(format!("{fn_text} 1").into_bytes()));
                    assert_eq!(found.shift[0], format!("{fn_text} 2").into_bytes());
                }
            })
        })
        .collect();
    append(&store, PLAIN_FN, (1..=50).map(|fd| (fd, 3))).await;
    for asker in askers {
        asker.await.unwrap();
    }
    assert_eq!(history.load(&fn_number("1")), Ok(None));
    store.close(GRACE).await.unwrap();
    assert!(!folder.path().join("store.db-wal").exists(), "it keeps no file open");
    assert!(matches!(history.load(&fn_number(PLAIN_FN)), Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn a_connection_that_met_trouble_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, PLAIN_FN, [(1, 1)].into_iter()).await;
    let (history, number) = (store.history(), fn_number(PLAIN_FN));
    assert!(history.load(&number).unwrap().is_some());
    let other = Connection::open(folder.path().join("store.db")).unwrap();
    other.execute_batch("DROP INDEX journal_reports").unwrap();
    for _ in 0..9 {
        // More often than there are connections: none is lost by an error.
        assert!(history.load(&number).is_err());
    }
    other
        .execute_batch(
            "CREATE INDEX journal_reports ON journal (fn, chain, fd) WHERE form IN (1, 11) AND conflict_no = 0",
        )
        .unwrap();
    assert!(history.load(&number).unwrap().is_some());
    store.close(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_long_shift_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let most = u32::try_from(MAX_HISTORY_DOCUMENTS).unwrap();
    append(&store, PLAIN_FN, (1..=most + 1).map(|fd| (fd, if fd == 1 { 1 } else { 3 }))).await;
    let found = store.history().load(&fn_number(PLAIN_FN)).unwrap().unwrap();
    assert_eq!((found.shift.len(), found.cut), (MAX_HISTORY_DOCUMENTS, true));
    assert_eq!(found.registration, Some(format!("{PLAIN_FN} 1").into_bytes()));
    assert_eq!(found.shift.last(), Some(&format!("{PLAIN_FN} {}", most + 1).into_bytes()));
    // A reader says how many it wants.
    let reader = Reader::open(&url(folder.path())).unwrap();
    let found = reader.register_history(&fn_number(PLAIN_FN), usize::MAX).unwrap().unwrap();
    assert_eq!((found.shift.len(), found.cut, found.registration), (MAX_HISTORY_DOCUMENTS + 1, false, None));
    store.close(GRACE).await.unwrap();
}
