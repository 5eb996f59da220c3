//! `reindex` beside a daemon at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ofd_store::{AppendOutcome, Derived, DocumentFilter, Operator, Reader, Store, StoreConfig};

use crate::support::{PLAIN_FN, document};
use crate::{GRACE, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_get_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig { url: url(folder.path()), ..StoreConfig::default() }).unwrap();
    let (journal, stop) = (store.journal(), Arc::new(AtomicBool::new(false)));
    let mut pending = Vec::new();
    for fd in 1..=300 {
        pending.push(journal.append(document(PLAIN_FN, fd, 3, "x")).await.unwrap());
    }
    for pending in pending {
        pending.await.unwrap();
    }
    let load = {
        let (journal, stop) = (journal.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut fd = 0;
            while !stop.load(Ordering::SeqCst) {
                fd += 1;
                let outcome = journal.append(document("8710000100000002", fd, 3, "x")).await.unwrap().await;
                assert!(matches!(outcome, Ok(AppendOutcome::Appended { .. })), "{outcome:?}");
            }
            fd
        })
    };
    let address = url(folder.path());
    let changed = tokio::task::spawn_blocking(move || {
        let mut operator = Operator::open(&address).unwrap();
        let (mut after, mut changed) = (0, 0);
        // Until everything that was there at the beginning has its column.
        while after < 300 {
            let mut recompute =
                |_: &ofd_store::OpenedRow<'_>| Some(Derived { shift: Some(7), ..Derived::default() });
            let page = operator.reindex_page(after, 20, &mut recompute).unwrap();
            changed += page.changed;
            after = page.next.unwrap_or(i64::MAX);
        }
        changed
    })
    .await
    .unwrap();
    stop.store(true, Ordering::SeqCst);
    assert!(changed >= 300 && load.await.unwrap() > 0);
    let reader = Reader::open(&url(folder.path())).unwrap();
    let rows = reader.summaries(&DocumentFilter::default(), 10_000).unwrap();
    assert!(rows.iter().filter(|row| row.seq <= 300).all(|row| row.derived.shift == Some(7)));
    store.close(GRACE).await.unwrap();
}
