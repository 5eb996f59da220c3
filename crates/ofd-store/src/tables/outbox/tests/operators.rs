//! Dead documents and what is decided about them.

use super::*;
use crate::{DocumentVerdict, OutboxDecision, Verdict};

fn a_dead_document_keeps_its_evidence_and_can_be_put_back() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=2);
    let mut sender = bench.sender("one");
    sender.derive_all();
    let (id, _) = sender.begin(&[1, 2]);
    sender.settle(id, vec![(1, dead("SCHEMA_INVALID")), (2, taken(2))]);
    let letters = bench.reader().dead_letters(1).unwrap();
    let letter = letters.first().unwrap();
    assert_eq!((letter.seq, letter.code.as_str(), letter.settled_at), (1, "SCHEMA_INVALID", None));
    assert_eq!(letter.request, b"{\"docKey\":1}");
    assert_eq!(letter.answer, b"{\"result\":\"refused\"}");

    let mut operator = Operator::open(&bench.url()).unwrap();
    assert_eq!(operator.outbox_requeue(9, moment(5)).unwrap(), OutboxDecision::Unknown);
    let delivered = OutboxDecision::NotDead(OutboxState::Delivered);
    assert_eq!(operator.outbox_supersede(2, moment(5)).unwrap(), delivered);
    assert_eq!(operator.outbox_requeue(1, moment(5)).unwrap(), OutboxDecision::Done);
    let row = bench.row(1);
    assert_eq!((row.state, row.attempts, row.next_at), (OutboxState::New, 0, None));
    assert_eq!(bench.reader().dead_letters(1).unwrap().first().unwrap().settled_at, Some(moment(5)));
    bench.check_counts();

    // Refused again, given up, and taken up once more after all.
    assert_eq!(sender.open(), [1]);
    let (id, _) = sender.begin(&[1]);
    sender.settle(id, vec![(1, dead("RAWDATA_MISMATCH"))]);
    assert_eq!(operator.outbox_supersede(1, moment(6)).unwrap(), OutboxDecision::Done);
    let codes: Vec<_> =
        bench.reader().dead_letters(1).unwrap().into_iter().map(|letter| letter.code).collect();
    assert_eq!(codes, ["RAWDATA_MISMATCH", "SCHEMA_INVALID"]);
    assert_eq!(bench.row(1).state, OutboxState::Superseded);
    assert_eq!(sender.open(), [0_i64; 0]);
    bench.check_counts();
    assert_eq!(operator.outbox_requeue(1, moment(7)).unwrap(), OutboxDecision::Done);
    assert_eq!(sender.open(), [1]);
    bench.check_counts();
}

fn what_was_taken_without_a_final_verdict_can_be_put_back() {
    let check = |verdict: Option<Verdict>, expected: OutboxDecision| {
        let mut bench = Bench::new();
        bench.receipts(A, [1]);
        let mut sender = bench.sender("one");
        sender.derive_all();
        sender.deliver(&[1]);
        let verdicts: Vec<DocumentVerdict> = verdict.into_iter().map(about_the_first).collect();
        sender.way.commit(&OutboxChange { verdicts, ..sender.change() }).unwrap();
        let mut operator = Operator::open(&bench.url()).unwrap();
        assert_eq!(operator.outbox_requeue(1, moment(5)).unwrap(), expected, "{verdict:?}");
        let is_done = expected == OutboxDecision::Done;
        assert_eq!(sender.open().len(), usize::from(is_done), "{verdict:?}");
        bench.check_counts();
        if is_done {
            // What is on its way is left alone.
            let new = OutboxDecision::NotDead(OutboxState::New);
            assert_eq!(operator.outbox_requeue(1, moment(5)).unwrap(), new);
        }
    };
    check(None, OutboxDecision::Done);
    check(Some(Verdict::Soft), OutboxDecision::Done);
    check(Some(Verdict::Hard), OutboxDecision::NotDead(OutboxState::Hard));
    check(Some(Verdict::Accepted), OutboxDecision::NotDead(OutboxState::Accepted));
}

fn about_the_first(verdict: Verdict) -> DocumentVerdict {
    let (fn_number, fd_number) = (number(A), fd(1));
    DocumentVerdict { fn_number, fd_number, ticket_id: None, verdict, codes: Vec::new(), at: moment(1) }
}

fn what_the_service_has_lost_is_sent_again() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=4);
    let mut sender = bench.sender("one");
    sender.derive_all();
    sender.deliver(&[1, 2, 3]);
    let verdicts = vec![about_the_first(Verdict::Soft)];
    sender.way.commit(&OutboxChange { verdicts, ..sender.change() }).unwrap();
    let of_three = DocumentVerdict { fd_number: fd(3), ..about_the_first(Verdict::Accepted) };
    let verdicts = vec![of_three];
    sender.way.commit(&OutboxChange { verdicts, ..sender.change() }).unwrap();
    let known = sender.way.newest_serial().unwrap();

    // Without a lease: whoever asked for the statuses is not who sends.
    let nobody = HolderId::new("status").unwrap();
    let change = OutboxChange { resend: vec![1, 2, 3, 4, 99], ..OutboxChange::new(nobody, moment(9)) };
    sender.way.commit(&change).unwrap();
    use OutboxState::{Accepted, New};
    assert_eq!(bench.states(), [(1, New), (2, New), (3, Accepted), (4, New)]);
    let row = bench.row(2);
    assert_eq!((row.ticket_id, row.next_at, row.attempts), (None, None, 1));
    assert_eq!(row.last_error.as_deref(), Some("the service took it and does not know it any more"));
    let found: Vec<i64> = sender.open_rows(known).into_iter().map(|row| row.seq).collect();
    assert_eq!(found, [1, 2], "found as what was derived");
    bench.check_counts();
    sender.deliver(&[1, 2]);
    bench.check_counts();
}

on_both_engines!(
    a_dead_document_keeps_its_evidence_and_can_be_put_back,
    what_was_taken_without_a_final_verdict_can_be_put_back,
    what_the_service_has_lost_is_sent_again,
);
