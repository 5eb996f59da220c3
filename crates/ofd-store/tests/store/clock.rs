//! What the store says about the time, and the operator's word about it.

use std::path::Path;

use ofd_store::{ClockConfirmation, NewDocument, Operator, Store, StoreConfig};

use crate::support::{PLAIN_FN, document, moment, wait_until};
use crate::{GRACE, url};

fn open(folder: &Path) -> Store {
    Store::open(&StoreConfig { url: url(folder), ..StoreConfig::default() }).expect("a store")
}

/// Appends documents that came at these moments, in this order, after the ФД `after`.
async fn append(store: &Store, after: u32, moments: &[i64]) {
    let mut pending = Vec::new();
    for (fd, microsecond) in (after + 1..).zip(moments) {
        let document = NewDocument { received_at: moment(*microsecond), ..document(PLAIN_FN, fd, 3, "x") };
        pending.push(store.journal().append(document).await.expect("no trouble"));
    }
    for pending in pending {
        pending.await.expect("no trouble");
    }
}

#[tokio::test]
async fn the_newest_moment_after_the_newest_confirmation() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.newest_acknowledged(), Ok(None));
    let mut confirmations = store.clock_confirmations();
    assert_eq!(*confirmations.borrow_and_update(), None);
    append(&store, 0, &[5, 900, 7]).await;
    assert_eq!(store.newest_acknowledged(), Ok(Some(moment(900))), "not the last one");

    // The clock was wrong and goes back.
    let mut operator = Operator::open(&url(folder.path())).unwrap();
    let confirmation = operator.clock_confirm(moment(100)).unwrap();
    assert_eq!(confirmation, ClockConfirmation { confirmed_at: moment(100), after_seq: 3 });
    assert_eq!(store.newest_acknowledged(), Ok(None));
    wait_until("the word", || confirmations.has_changed().unwrap()).await;
    assert_eq!(*confirmations.borrow_and_update(), Some(confirmation));
    append(&store, 3, &[102, 101]).await;
    assert_eq!(store.newest_acknowledged(), Ok(Some(moment(102))));
    store.close(GRACE).await.unwrap();

    let store = open(folder.path());
    assert_eq!(*store.clock_confirmations().borrow(), Some(confirmation), "from the start");
    assert_eq!(store.newest_acknowledged(), Ok(Some(moment(102))));
    let second = operator.clock_confirm(moment(50)).unwrap();
    assert_eq!(second.after_seq, 5);
    let mut confirmations = store.clock_confirmations();
    wait_until("the second word", || *confirmations.borrow_and_update() == Some(second)).await;
    store.close(GRACE).await.unwrap();
}
