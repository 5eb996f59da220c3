//! What becomes of batches and of their documents.

use super::*;
use crate::{DocumentVerdict, Verdict};

fn verdict(fd_number: u32, verdict: Verdict) -> DocumentVerdict {
    DocumentVerdict {
        fn_number: number(A),
        fd_number: fd(fd_number),
        ticket_id: Some(format!("T-{fd_number}")),
        verdict,
        codes: Vec::new(),
        at: moment(5_000_000),
    }
}

fn prepared(documents: u32) -> (Bench, Sender) {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=documents);
    let mut sender = bench.sender("one");
    sender.derive_all();
    (bench, sender)
}

fn an_answer_item_by_item() {
    let (bench, mut sender) = prepared(5);
    let (id, report) = sender.begin(&[1, 2, 3, 4]);
    assert_eq!(report, CommitReport::default());
    let row = bench.row(2);
    assert_eq!((row.state, row.batch_id, row.raw_sha256), (OutboxState::InFlight, Some(id), Some([7; 32])));
    let batch = bench.reader().outbox_batch(id).unwrap().unwrap();
    assert_eq!((&*batch.documents, batch.map_ver, batch.attempts), ([1, 2, 3, 4].as_slice(), 1, 0));
    sender.now = moment(1_000_000);
    let report = sender.settle(id, vec![(1, taken(1)), (2, again("BUSY")), (3, dead("RAWDATA_INVALID"))]);
    assert_eq!((report.delivered, report.returned, report.dead), (1, 2, 1));
    use OutboxState::{Dead, Delivered, New};
    assert_eq!(bench.states(), [(1, Delivered), (2, New), (3, Dead), (4, New), (5, New)]);
    let row = bench.row(1);
    assert_eq!((row.ticket_id.as_deref(), row.delivered_at), (Some("T-1"), Some(moment(1_000_000))));
    assert_eq!((row.attempts, row.last_error), (1, None));
    let row = bench.row(2);
    assert_eq!(
        (row.attempts, row.next_at, row.last_error.as_deref()),
        (1, Some(moment(9_000_000)), Some("BUSY"))
    );
    let row = bench.row(4);
    assert_eq!((row.attempts, row.last_error.as_deref()), (1, Some("the answer does not name it")));
    assert_eq!(bench.row(3).last_error.as_deref(), Some("RAWDATA_INVALID: no"));
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None, "it is over");
    bench.check_counts();
}

fn a_batch_is_tried_again_as_it_is() {
    let (bench, mut sender) = prepared(3);
    let (id, _) = sender.begin(&[2, 1]);
    for error in ["time-out", "503"] {
        let report = sender.step(BatchStep::Retry { id, next_at: moment(7), error: error.to_owned() });
        assert_eq!(report, CommitReport::default());
    }
    let batch = bench.reader().outbox_batch(id).unwrap().unwrap();
    assert_eq!(
        (batch.attempts, batch.next_at, batch.last_error.as_deref()),
        (2, Some(moment(7)), Some("503"))
    );
    assert_eq!((batch.created_at, &*batch.documents), (moment(0), [2, 1].as_slice()), "in its order");
    assert_eq!(bench.row(1).attempts, 0);
    sender.settle(id, vec![(2, taken(2)), (1, taken(1))]);
    assert_eq!(bench.row(1).attempts, 3);
    bench.check_counts();
}

fn a_batch_is_split_in_one_commit() {
    let (bench, mut sender) = prepared(4);
    let (id, _) = sender.begin(&[1, 2, 3, 4]);
    let (left, right) = (sender.new_batch(&[1, 2]), sender.new_batch(&[3, 4]));
    let step = BatchStep::Dissolve { id, next_at: None, error: "413".to_owned() };
    let change =
        OutboxChange { steps: vec![step], new_batches: vec![left.clone(), right.clone()], ..sender.change() };
    let report = sender.way.commit(&change).unwrap();
    assert_eq!((report.returned, report.refused), (4, vec![]));
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None);
    assert!(bench.rows().iter().all(|row| row.state == OutboxState::InFlight && row.attempts == 1));
    assert_eq!((bench.row(2).batch_id, bench.row(3).batch_id), (Some(left.id), Some(right.id)));
    bench.check_counts();
}

fn a_batch_takes_only_what_is_new() {
    let (bench, mut sender) = prepared(3);
    sender.begin(&[1]);
    for (seqs, gone) in
        [(vec![1, 2], vec![1]), (vec![2, 99], vec![99]), (vec![2, 2], vec![2]), (vec![], vec![])]
    {
        let (id, report) = sender.begin(&seqs);
        assert_eq!((report.refused, report.gone), (vec![id], gone), "{seqs:?}");
    }
    assert_eq!(bench.row(2).state, OutboxState::New);
    bench.check_counts();
}

fn an_event_that_is_faster_than_the_answer_stands() {
    let (bench, mut sender) = prepared(3);
    let (id, _) = sender.begin(&[1, 2, 3]);
    let verdicts = vec![verdict(1, Verdict::Accepted), verdict(2, Verdict::Soft), verdict(3, Verdict::Hard)];
    let change = OutboxChange { verdicts, ..sender.change() };
    assert_eq!(sender.way.commit(&change).unwrap().verdicts.applied.len(), 3);
    let report = sender.settle(id, vec![(1, taken(1)), (2, again("BUSY")), (3, dead("CONFLICT_HASH"))]);
    assert_eq!((report.delivered, report.returned, report.dead), (1, 0, 0));
    use OutboxState::{Accepted, Hard, Soft};
    assert_eq!(bench.states(), [(1, Accepted), (2, Soft), (3, Hard)]);
    assert_eq!(bench.row(1).delivered_at, Some(moment(0)));
    assert_eq!((1..=3).map(|seq| bench.row(seq).attempts).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None);
    bench.check_counts();
}

fn attempts_are_counted_once_however_the_batch_ends() {
    let (bench, mut sender) = prepared(2);
    let (id, _) = sender.begin(&[1, 2]);
    let retry = |error: &str| BatchStep::Retry { id, next_at: moment(7), error: error.to_owned() };
    sender.step(retry("time-out"));
    let change = OutboxChange { verdicts: vec![verdict(1, Verdict::Accepted)], ..sender.change() };
    sender.way.commit(&change).unwrap();
    assert_eq!(sender.step(retry("time-out")).dissolved, [id]);
    assert_eq!((bench.row(1).attempts, bench.row(2).attempts), (2, 2));
    // The batch is over: its late answer is no request of the next one.
    sender.deliver(&[2]);
    sender.settle(id, vec![(2, taken(2))]);
    assert_eq!(bench.row(2).attempts, 3);
    bench.check_counts();
}

fn an_event_about_a_document_that_was_put_back_ends_it() {
    let (bench, mut sender) = prepared(2);
    let (id, _) = sender.begin(&[1]);
    sender.step(BatchStep::Dissolve { id, next_at: None, error: "lost answer".to_owned() });
    let change = OutboxChange { verdicts: vec![verdict(1, Verdict::Accepted)], ..sender.change() };
    sender.way.commit(&change).unwrap();
    let (second, report) = sender.begin(&[1, 2]);
    assert_eq!((report.refused, report.gone), (vec![second], vec![1]));
    assert_eq!(sender.open(), [2]);
    bench.check_counts();
}

fn results_of_a_batch_that_is_over_change_nothing() {
    let (bench, mut sender) = prepared(2);
    let (id, _) = sender.begin(&[1, 2]);
    sender.settle(id, vec![(1, taken(1)), (2, again("BUSY"))]);
    let (second, _) = sender.begin(&[2]);
    // The same answer once more, by mistake.
    let report = sender.settle(id, vec![(1, dead("X")), (2, again("old"))]);
    assert_eq!((report.dead, report.returned), (0, 0));
    sender.step(BatchStep::Retry { id, next_at: moment(1), error: "old".to_owned() });
    assert_eq!(bench.states(), [(1, OutboxState::Delivered), (2, OutboxState::InFlight)]);
    assert_eq!(bench.row(2).batch_id, Some(second));
    bench.check_counts();
}

on_both_engines!(
    an_answer_item_by_item,
    a_batch_is_tried_again_as_it_is,
    a_batch_is_split_in_one_commit,
    a_batch_takes_only_what_is_new,
    an_event_that_is_faster_than_the_answer_stands,
    attempts_are_counted_once_however_the_batch_ends,
    an_event_about_a_document_that_was_put_back_ends_it,
    results_of_a_batch_that_is_over_change_nothing,
);
