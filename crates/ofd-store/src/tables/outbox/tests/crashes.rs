//! A forwarder that ends between any two commits, or in the middle of one.

use super::super::derive::Deriver;
use super::*;
use crate::fixture::On;

/// Everything a forwarder does with four documents, commit by commit; true when it was done.
fn script(sender: &mut Sender, step: usize) -> bool {
    let id = BatchId::from_bytes([9; 16]);
    let change = match step {
        0 => OutboxChange { derive: Some(DeriveOrder { window: 2, scan: 100 }), ..sender.change() },
        1 => {
            let batch = NewBatch { id, ..sender.new_batch(&[1, 2]) };
            OutboxChange { new_batches: vec![batch], ..sender.change() }
        }
        2 => {
            let step = BatchStep::Retry { id, next_at: moment(0), error: "time-out".to_owned() };
            OutboxChange { steps: vec![step], ..sender.change() }
        }
        3 => {
            let results = [1, 2].map(|seq| DocumentResult { seq, outcome: taken(seq) });
            OutboxChange {
                steps: vec![BatchStep::Settle { id, results: results.to_vec() }],
                derive: Some(DeriveOrder { window: 2, scan: 100 }),
                ..sender.change()
            }
        }
        _ => return false,
    };
    sender.way.commit(&change).unwrap();
    true
}

/// The same commit, but the process ends before it is done.
fn unfinished(bench: &Bench, sender: &mut Sender, step: usize) {
    let before = bench.states();
    let look = bench.look();
    look.batch(if On::here() == On::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" });
    let batch = NewBatch { id: BatchId::from_bytes([9; 16]), ..sender.new_batch(&[1, 2]) };
    let change = OutboxChange {
        new_batches: if step == 1 { vec![batch] } else { Vec::new() },
        derive: Some(DeriveOrder { window: 10, scan: 100 }),
        ..sender.change()
    };
    super::super::commit(look.db(), &change, &mut Deriver::default(), i64::MAX).unwrap();
    drop(look);
    assert_eq!(bench.states(), before);
}

/// A new process after the leases have run out: sends whatever it finds, until nothing is left.
fn finish(bench: &Bench) {
    let mut sender = bench.sender("two");
    sender.now += LEASE;
    let gained = sender.claim().gained;
    let adoption = sender.way.adopt(&sender.holder, &sender.leases, &gained).unwrap();
    for batch in adoption.batches {
        let results = batch.documents.iter().map(|seq| (*seq, taken(*seq))).collect();
        assert!(sender.settle(batch.id, results).stale.is_empty());
    }
    loop {
        let more = sender.derive(2, 100).more;
        let open = sender.open();
        if open.is_empty() && !more {
            return;
        }
        sender.deliver(&open);
    }
}

fn whatever_was_done_the_next_one_finishes_it() {
    for steps in 0..=4 {
        let mut bench = Bench::new();
        bench.receipts(A, 1..=2);
        bench.receipts(B, 1..=2);
        let mut sender = bench.sender("one");
        for step in 0..steps {
            assert!(script(&mut sender, step));
        }
        unfinished(&bench, &mut sender, steps);
        drop(sender);
        finish(&bench);
        let delivered: Vec<_> = (1..=4).map(|seq| (seq, OutboxState::Delivered)).collect();
        assert_eq!(bench.states(), delivered, "after {steps} steps");
        bench.check_counts();
        let open = bench.look().number("SELECT count(*) FROM outbox_batches WHERE ended_at IS NULL");
        assert_eq!(open, 0, "after {steps} steps");
    }
}

fn an_adopted_batch_goes_on_under_its_key() {
    for (steps, attempts) in [(2, 0), (3, 1)] {
        let mut bench = Bench::new();
        bench.receipts(A, 1..=2);
        let mut sender = bench.sender("one");
        for step in 0..steps {
            script(&mut sender, step);
        }
        let mut next = bench.sender("two");
        next.now += LEASE;
        let gained = next.claim().gained;
        let adoption = next.way.adopt(&next.holder, &next.leases, &gained).unwrap();
        let batch = adoption.batches.first().unwrap();
        assert_eq!((batch.id, batch.attempts), (BatchId::from_bytes([9; 16]), attempts));
        assert_eq!((batch.created_at, &*batch.documents), (moment(0), [1, 2].as_slice()));
    }
}

on_both_engines!(whatever_was_done_the_next_one_finishes_it, an_adopted_batch_goes_on_under_its_key,);
