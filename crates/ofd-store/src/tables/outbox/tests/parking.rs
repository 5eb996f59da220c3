//! A ФН that the service does not take must not hold up the others.

use super::super::parked::LANE_CAP;
use super::*;
use crate::fixture::On;

const C: &str = "8710000100000003";

fn cap() -> i64 {
    i64::try_from(LANE_CAP).unwrap()
}

fn number_of(count: i64) -> u32 {
    u32::try_from(count).unwrap()
}

fn one_lane_does_not_fill_the_window() {
    let mut bench = Bench::new();
    let many = cap() * 3;
    bench.receipts(A, 1..=number_of(many));
    bench.receipts(B, 1..=3);
    let mut sender = bench.sender("one");
    let report = sender.derive(LANE_CAP + 2, 1000);
    // The window is full with two of B, and the cursor stands before its third.
    assert_eq!((report.derived, report.parked), (u64::try_from(LANE_CAP).unwrap() + 2, 40));
    assert_eq!((report.cursor, report.window_full, report.more), (many + 2, true, true));
    let open = sender.open();
    assert_eq!(open, (1..=cap()).chain([many + 1, many + 2]).collect::<Vec<_>>());
    assert_eq!(bench.reader().outbox_depths().unwrap().backlog, 41);
    assert_eq!(bench.reader().fns_summary(&number(A)).unwrap().waiting, u64::try_from(many).unwrap());
    bench.check_counts();
    sender.deliver(&[many + 1, many + 2]);
    assert_eq!(sender.derive_all().derived, 1);
    assert_eq!(sender.open().last(), Some(&(many + 3)));
    // Nothing changes while the lane stands still.
    assert_eq!(sender.derive_all(), DeriveReport { cursor: many + 3, ..DeriveReport::default() });
}

fn what_was_put_aside_follows_in_order_and_once() {
    let mut bench = Bench::new();
    let many = cap() * 4;
    bench.receipts(A, 1..=number_of(many));
    let mut sender = bench.sender("one");
    let mut sent: Vec<i64> = Vec::new();
    let mut came = number_of(many);
    while i64::try_from(sent.len()).unwrap() < many + 10 {
        sender.derive_all();
        // More of it comes meanwhile.
        if came < number_of(many) + 10 {
            came += 1;
            bench.receipts(A, [came]);
        }
        let mut rows = sender.open_rows(0);
        rows.sort_by_key(|row| row.serial);
        assert!((1..=LANE_CAP).contains(&rows.len()), "{}", rows.len());
        let some: Vec<i64> = rows.iter().take(7).map(|row| row.seq).collect();
        sender.deliver(&some);
        sent.extend(some);
        bench.check_counts();
        // Whoever goes on remembers nothing.
        sender.way = forwarding(&bench.url());
    }
    assert_eq!(sent, (1..=many + 10).collect::<Vec<_>>());
    assert_eq!(bench.reader().outbox_depths().unwrap().backlog, 0);
}

fn what_was_put_aside_is_owed_since_it_was_received() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=number_of(cap() + 5));
    let mut sender = bench.sender("one");
    sender.derive_all();
    let oldest_open = bench.reader().oldest_undelivered().unwrap();
    let all: Vec<i64> = (1..=cap()).collect();
    sender.deliver(&all);
    let parked = bench.look().number(&format!("SELECT received_at FROM journal WHERE seq = {}", cap() + 1));
    let oldest = bench.reader().oldest_undelivered().unwrap().unwrap();
    assert_eq!(oldest.as_microsecond(), parked);
    assert!(oldest_open.is_some_and(|open| open <= oldest));
}

fn a_report_does_not_overtake_what_was_put_aside() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=number_of(cap() + 1));
    // The window ends in the midst of others, with reports of both behind.
    bench.receipts(B, 1..=5);
    bench.append(vec![document(A, number_of(cap() + 2), 11, ""), document(C, 1, 1, "")]);
    let mut sender = bench.sender("one");
    let report = sender.derive(LANE_CAP + 1, 1000);
    assert_eq!((report.parked, report.early, report.window_full), (1, 1, true));
    let of_a = || bench.rows().iter().filter(|row| row.fn_number == number(A)).count();
    assert_eq!(of_a(), LANE_CAP);
    let first: Vec<i64> = (1..=cap()).collect();
    sender.deliver(&first);
    sender.derive_all();
    let mut rows = sender.open_rows(0);
    rows.retain(|row| row.fn_number == number(A));
    rows.sort_by_key(|row| row.serial);
    let places: Vec<u32> = rows.iter().map(|row| row.fd_number.get()).collect();
    assert_eq!(places, [number_of(cap() + 1), number_of(cap() + 2)]);
}

fn documents_of_a_register_that_becomes_known_do_not_fill_the_window_either() {
    let mut bench = Bench::new();
    let many = cap() * 2;
    bench.append((1..=number_of(many)).map(|number| waiting(A, number)).collect());
    let mut sender = bench.sender("one");
    assert_eq!(sender.derive_all().waiting, u64::try_from(many).unwrap());
    bench.know(A);
    bench.receipts(A, [number_of(many + 1)]);
    sender.derive_all();
    assert_eq!(sender.open(), (1..=cap()).collect::<Vec<_>>());
    bench.check_counts();
    let mut sent = 0;
    while sent < many + 1 {
        let open = sender.open();
        assert_eq!(open.first(), Some(&(sent + 1)));
        sent += i64::try_from(open.len()).unwrap();
        sender.deliver(&open);
        sender.derive_all();
    }
    assert_eq!(sender.open(), [0_i64; 0]);
}

fn nothing_to_derive_needs_no_turn_at_the_store() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    let mut sender = bench.sender("one");
    sender.derive_all();
    let other = bench.look();
    other.batch(match On::here() {
        On::Sqlite => "BEGIN IMMEDIATE",
        On::Postgres => "BEGIN; LOCK TABLE outbox_lock IN EXCLUSIVE MODE",
    });
    let order = DeriveOrder { window: 10, scan: 10 };
    let change = OutboxChange { derive: Some(order), ..OutboxChange::new(sender.holder.clone(), sender.now) };
    let report = sender.way.commit(&change).unwrap();
    assert_eq!(report.derived, Some(DeriveReport { cursor: 1, ..DeriveReport::default() }));
    other.batch("ROLLBACK");
    bench.receipts(A, [2]);
    assert_eq!(sender.derive_all().derived, 1);
}

on_both_engines!(
    one_lane_does_not_fill_the_window,
    what_was_put_aside_follows_in_order_and_once,
    what_was_put_aside_is_owed_since_it_was_received,
    a_report_does_not_overtake_what_was_put_aside,
    documents_of_a_register_that_becomes_known_do_not_fill_the_window_either,
    nothing_to_derive_needs_no_turn_at_the_store,
);
