//! A forwarder with nothing to do needs nobody's lock.

use super::*;

#[test]
fn nothing_to_derive_needs_no_turn_at_the_store() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    let mut sender = bench.sender("one");
    sender.derive_all();
    let other = bench.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let order = DeriveOrder { window: 10, scan: 10 };
    let change = OutboxChange { derive: Some(order), ..OutboxChange::new(sender.holder.clone(), sender.now) };
    let report = sender.way.commit(&change).unwrap();
    assert_eq!(report.derived, Some(DeriveReport { cursor: 1, ..DeriveReport::default() }));
    other.execute_batch("ROLLBACK").unwrap();
    bench.receipts(A, [2]);
    assert_eq!(sender.derive_all().derived, 1);
}
