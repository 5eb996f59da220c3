//! The store as the daemon and the commands use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    Announced, AppendOutcome, ExportFilter, Operator, QuarantineOutcome, QuarantineRelease, Reader,
    RegisterAdd, Standing, Store, StoreConfig, StoreError, StoreState,
};

use super::*;
use crate::support::{
    DEBUG_FN, PLAIN_FN, document, fn_number, moment, quarantined, registration, wait_until,
};

promises!(
    many_writers_one_order_and_everything_there_after_reopening,
    a_reader_follows_while_documents_come,
    commands_beside_a_running_store_are_noticed,
    a_closed_store_refuses,
);

/// With small batches and a short queue.
fn open(site: &Site) -> Store {
    let config = StoreConfig { batch_max_documents: 32, queue_max_documents: 64, ..site.config() };
    Store::open(&config).expect("a store")
}

fn many_writers_one_order_and_everything_there_after_reopening(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = open(&site);
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

        let store = site.open();
        let known = document("8710000100000007", 30, 3, "x");
        let outcome = store.journal().append(known.clone()).await.unwrap().await.unwrap();
        assert!(
            matches!(outcome, AppendOutcome::Repeat { acknowledgement, .. } if acknowledgement == known.acknowledgement)
        );
        let counts = Reader::open(&site.url()).unwrap().counts().unwrap();
        assert_eq!((counts.documents, counts.conflicts), (600, 0));
    });
}

fn a_reader_follows_while_documents_come(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = open(&site);
        let (journal, done) = (store.journal(), Arc::new(AtomicBool::new(false)));
        let (address, stop) = (site.url(), Arc::clone(&done));
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
        let places = site.places();
        let seen: Vec<i64> = seen.into_iter().map(|seq| places.of(seq)).collect();
        assert_eq!(seen, (1..=300).collect::<Vec<i64>>(), "each once, in order, none missed");
    });
}

fn commands_beside_a_running_store_are_noticed(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = site.open();
        let facts = store.facts();
        let (by_command, held) = (fn_number("8710000100000011"), fn_number(PLAIN_FN));
        assert_eq!(facts.standing(&by_command, moment(0)).standing, Standing::Unknown);
        let mut operator = Operator::open(&site.url()).unwrap();
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
        let neighbour = site.open();
        let report = registration(DEBUG_FN, "0043");
        neighbour.journal().append(report).await.unwrap().await.unwrap();
        let number = fn_number(DEBUG_FN);
        wait_until("the neighbour's report", || {
            facts.standing(&number, moment(0)).standing == Standing::Known
        })
        .await;
        assert_eq!(announced("0043"), Announced::No);
        neighbour.close(GRACE).await.unwrap();
        store.close(GRACE).await.unwrap();

        let store = site.open();
        assert_eq!(store.facts().sizes(), (3, 1), "known from the start after reopening");
    });
}

fn a_closed_store_refuses(on: On) {
    block_on(async {
        let site = Site::new(on);
        let store = open(&site);
        let journal = store.journal();
        let mut pending = Vec::new();
        for fd in 1..=50 {
            pending.push(journal.append(document(PLAIN_FN, fd, 3, "x")).await.unwrap());
        }
        store.close(GRACE).await.unwrap();
        let places = site.places();
        for (pending, place) in pending.into_iter().zip(1..) {
            assert_eq!(pending.await, Ok(AppendOutcome::Appended { seq: places.at(place) }));
        }
        let refused = journal.append(document(PLAIN_FN, 51, 3, "x")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
        assert_eq!(journal.status().state, StoreState::Closed);
    });
}
