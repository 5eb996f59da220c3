//! What is taken out of the journal, and how much at a time.

use super::*;

fn documents_come_in_order_and_only_those_that_are_forwarded() {
    let mut bench = Bench::new();
    bench.receipts(A, [1, 2]);
    bench.append(vec![not_forwarded(A, 3), document(A, 2, 3, "other content")]);
    bench.append(vec![document(B, 7, 2, "")]);
    // A conflict may take more positions than one.
    let newest = bench.newest();
    let mut sender = bench.sender("one");
    let report = sender.derive_all();
    assert_eq!((report.derived, report.scanned, report.cursor, report.more), (3, 5, newest, false));
    let rows = bench.rows();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, newest]);
    let last = rows.last().unwrap();
    assert_eq!((last.fn_number, last.fd_number, last.kind, last.chain), (number(B), fd(7), 2, 0));
    assert_eq!((last.slot, last.state, last.attempts), (Slot::of_fn(&number(B)), OutboxState::New, 0));
    assert_eq!((last.created_at, last.raw_sha256, &last.ticket_id), (moment(7), None, &None));
    assert_eq!(sender.open(), [1, 2, newest]);
    // Nothing twice.
    assert_eq!(sender.derive_all().derived, 0);
    bench.receipts(A, [4]);
    assert_eq!(sender.derive_all().derived, 1);
    assert_eq!(sender.open(), [1, 2, newest, bench.newest()]);
    bench.check_counts();
}

fn the_window_bounds_what_is_open() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=10);
    let mut sender = bench.sender("one");
    let report = sender.derive(4, 100);
    assert_eq!((report.derived, report.cursor, report.more, report.window_full), (4, 4, true, true));
    assert_eq!(sender.derive(4, 100).derived, 0);
    // A batch is still open; what was taken is not.
    let (id, _) = sender.begin(&[1, 2]);
    assert_eq!(sender.derive(4, 100).derived, 0);
    sender.settle(id, vec![(1, taken(1)), (2, taken(2))]);
    let report = sender.derive(4, 100);
    assert_eq!((report.derived, report.cursor), (2, 6));
    // A dead document makes room too.
    let (id, _) = sender.begin(&[3]);
    sender.settle(id, vec![(3, dead("X"))]);
    assert_eq!(sender.derive(4, 100).derived, 1);
    let depths = sender.way.depths().unwrap();
    assert_eq!((depths.open(), depths.of(OutboxState::Dead), depths.backlog), (4, 1, 3));
    bench.check_counts();
}

fn stretches_without_forwarding_are_passed_in_pieces() {
    let mut bench = Bench::new();
    bench.append((1..=9).map(|fd| not_forwarded(A, fd)).collect());
    bench.receipts(A, [10]);
    let mut sender = bench.sender("one");
    // A window that is full does not stop the walk over what is not forwarded.
    let report = sender.derive(0, 4);
    assert_eq!((report.scanned, report.cursor, report.more), (4, 4, true));
    sender.derive(0, 4);
    let report = sender.derive(0, 4);
    assert_eq!((report.scanned, report.cursor, report.more, report.window_full), (1, 9, true, true));
    let report = sender.derive(1, 4);
    assert_eq!((report.derived, report.cursor, report.more), (1, 10, false));
}

fn several_forwarders_share_one_cursor() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=4);
    bench.receipts(B, 1..=4);
    let (mut one, mut two) = (bench.sender("one"), bench.sender("two"));
    assert_eq!(one.derive(3, 100).derived, 3);
    assert_eq!(two.derive(100, 100).derived, 5);
    assert_eq!(one.derive(100, 100).derived, 0);
    // Whose slots they are in decides who sees them, whoever derived them.
    assert_eq!(one.open(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(two.open(), [0_i64; 0]);
    bench.check_counts();
}

fn what_is_added_is_told_by_serials() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=3);
    let mut sender = bench.sender("one");
    sender.derive_all();
    let seen = sender.way.newest_serial().unwrap();
    assert_eq!(sender.open_rows(seen), []);
    // Its own batches and their outcomes are no news.
    let (id, _) = sender.begin(&[1, 2, 3]);
    sender.settle(id, vec![(1, again("busy")), (2, taken(2)), (3, dead("X"))]);
    assert_eq!((sender.way.newest_serial().unwrap(), sender.open_rows(seen).len()), (seen, 0));
    assert_eq!(sender.open(), [1]);
    // What an operator puts back is.
    Operator::open(&bench.url()).unwrap().outbox_requeue(3, moment(0)).unwrap();
    bench.receipts(A, [4]);
    sender.derive_all();
    assert_eq!(sender.open_rows(seen).iter().map(|row| row.seq).collect::<Vec<_>>(), [3, 4]);
}

fn documents_wait_for_their_fn_to_be_known() {
    let mut bench = Bench::new();
    bench.append(vec![waiting(A, 1), waiting(A, 2), waiting(B, 1), waiting(DEBUG, 1), waiting(A, 3)]);
    let mut sender = bench.sender("one");
    let report = sender.derive_all();
    assert_eq!((report.derived, report.waiting, report.cursor), (0, 5, 5));
    assert_eq!(sender.way.depths().unwrap().waiting, 5);
    assert_eq!(sender.way.oldest_undelivered().unwrap(), None, "nothing is owed yet");
    bench.know(A);
    let report = sender.derive_all();
    assert_eq!((report.derived, report.released, report.waiting), (3, 3, 0));
    assert_eq!(sender.open(), [1, 2, 5]);
    // Known by now: not put aside.
    bench.append(vec![waiting(A, 4)]);
    assert_eq!(sender.derive_all().derived, 1);
    bench.know(DEBUG);
    bench.know(B);
    while sender.derive_all().more {}
    assert_eq!(sender.open(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(sender.way.depths().unwrap().waiting, 0);
    bench.check_counts();
}

fn what_waited_fills_the_window_first_and_a_restart_goes_on() {
    let mut bench = Bench::new();
    bench.append((1..=5).map(|fd| waiting(A, fd)).collect());
    bench.sender("one").derive_all();
    bench.know(A);
    bench.receipts(B, [1]);
    let mut sender = bench.sender("one");
    let report = sender.derive(2, 100);
    assert_eq!((report.released, report.derived, report.cursor), (2, 2, 5));
    assert!(report.more && report.window_full);
    let mut sender = bench.sender("one");
    let report = sender.derive(100, 100);
    assert_eq!((report.released, report.derived, report.cursor), (3, 4, 6));
    assert_eq!(sender.open(), [1, 2, 3, 4, 5, 6]);
    bench.check_counts();
}

fn a_line_of_a_contract_makes_its_fn_known_unless_it_is_a_draft() {
    let mut bench = Bench::new();
    bench.append(vec![waiting(A, 1)]);
    let mut sender = bench.sender("one");
    sender.derive_all();
    bench.look().batch(&format!(
        "INSERT INTO clients (inn, name, created_at) VALUES ('7704358518', '', 0);
             INSERT INTO contracts (id, version, number, inn, state, created_at, facts_version)
                 VALUES (1, 1, '1', '7704358518', 'draft', 0, 1);
             INSERT INTO contract_lines (version, contract_id, inn, kkt_serial, fn, created_at, facts_version)
                 VALUES (1, 1, '7704358518', '0042', '{A}', 0, 1);
             UPDATE facts_version SET version = version + 1;"
    ));
    assert_eq!(sender.derive_all().derived, 0);
    bench
        .look()
        .batch("UPDATE contracts SET state = 'active'; UPDATE facts_version SET version = version + 1;");
    assert_eq!(sender.derive_all().released, 1);
}

on_both_engines!(
    documents_come_in_order_and_only_those_that_are_forwarded,
    the_window_bounds_what_is_open,
    stretches_without_forwarding_are_passed_in_pieces,
    several_forwarders_share_one_cursor,
    what_is_added_is_told_by_serials,
    documents_wait_for_their_fn_to_be_known,
    what_waited_fills_the_window_first_and_a_restart_goes_on,
    a_line_of_a_contract_makes_its_fn_known_unless_it_is_a_draft,
);
