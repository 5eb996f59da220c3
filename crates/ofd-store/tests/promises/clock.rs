//! What the store says about the time, and the operator's word about it.

use super::*;
use crate::support::{PLAIN_FN, document, moment, wait_until};
use crate::{ClockConfirmation, NewDocument, Operator, Store};

promises!(the_newest_moment_after_the_newest_confirmation);

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

fn the_newest_moment_after_the_newest_confirmation(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        assert_eq!(store.newest_acknowledged(), Ok(None));
        let mut confirmations = store.clock_confirmations();
        assert_eq!(*confirmations.borrow_and_update(), None);
        append(&store, 0, &[5, 900, 7]).await;
        assert_eq!(store.newest_acknowledged(), Ok(Some(moment(900))), "not the last one");

        // The clock was wrong and goes back.
        let mut operator = Operator::open(&site.url()).unwrap();
        let confirmation = operator.clock_confirm(moment(100)).unwrap();
        let after_seq = site.places().at(3);
        assert_eq!(confirmation, ClockConfirmation { confirmed_at: moment(100), after_seq });
        assert_eq!(store.newest_acknowledged(), Ok(None));
        wait_until("the word", || confirmations.has_changed().unwrap()).await;
        assert_eq!(*confirmations.borrow_and_update(), Some(confirmation));
        append(&store, 3, &[102, 101]).await;
        assert_eq!(store.newest_acknowledged(), Ok(Some(moment(102))));
        store.close(GRACE).await.unwrap();

        let store = site.open();
        assert_eq!(*store.clock_confirmations().borrow(), Some(confirmation), "from the start");
        assert_eq!(store.newest_acknowledged(), Ok(Some(moment(102))));
        let second = operator.clock_confirm(moment(50)).unwrap();
        assert_eq!(second.after_seq, site.places().at(5));
        let mut confirmations = store.clock_confirmations();
        wait_until("the second word", || *confirmations.borrow_and_update() == Some(second)).await;
        store.close(GRACE).await.unwrap();
    });
}
