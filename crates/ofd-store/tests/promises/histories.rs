//! Histories for many readers at once, and after the close.

use std::sync::Arc;

use super::*;
use crate::support::{PLAIN_FN, document, fn_number};
use crate::{MAX_HISTORY_DOCUMENTS, NewDocument, Reader, Store, StoreError};

promises!(many_ask_at_once_while_documents_come, a_long_shift_is_cut);

async fn append(store: &Store, fn_text: &str, documents: impl Iterator<Item = (u32, u16)>) {
    let mut pending = Vec::new();
    for (fd, form) in documents {
        // The page of a history is small in tests, see `register_history`.
        let document = NewDocument { opened: Some(vec![1]), ..document(fn_text, fd, form, "x") };
        pending.push(store.journal().append(document).await.expect("no trouble"));
    }
    for pending in pending {
        pending.await.expect("no trouble");
    }
}

fn many_ask_at_once_while_documents_come(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let fns: Vec<_> = (2..22).map(|number| format!("87100001{number:08}")).collect();
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
                        assert_eq!((found.registration, found.shift.len()), (Some(vec![1]), 2));
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
        assert!(matches!(history.load(&fn_number(PLAIN_FN)), Err(StoreError::Unavailable { .. })));
    });
}

fn a_long_shift_is_cut(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let most = u32::try_from(MAX_HISTORY_DOCUMENTS).unwrap();
        append(&store, PLAIN_FN, (1..=most + 1).map(|fd| (fd, if fd == 1 { 1 } else { 3 }))).await;
        let found = store.history().load(&fn_number(PLAIN_FN)).unwrap().unwrap();
        assert_eq!((found.shift.len(), found.cut), (MAX_HISTORY_DOCUMENTS, true));
        assert_eq!(found.registration, Some(vec![1]));
        // A reader says how many it wants.
        let reader = Reader::open(&site.url()).unwrap();
        let found = reader.register_history(&fn_number(PLAIN_FN), usize::MAX).unwrap().unwrap();
        assert_eq!(
            (found.shift.len(), found.cut, found.registration),
            (MAX_HISTORY_DOCUMENTS + 1, false, None)
        );
        store.close(GRACE).await.unwrap();
    });
}
