//! Dead documents and what is decided about them.

use super::*;
use crate::OutboxDecision;

#[test]
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
    assert_eq!(operator.outbox_requeue(2, moment(5)).unwrap(), delivered);
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
