//! Quarantine: its bounds, copies seen again, release.

use super::*;
use crate::MAX_QUARANTINE_PER_FN;
use crate::records::QuarantineRelease::{AlreadyKnown, NeverHeld, Released};
use crate::records::{KnownContent, NewDocument, NewQuarantine, QuarantineOutcome};
use crate::rows::QuarantineFilter;
use crate::support::{DEBUG_FN, PLAIN_FN, document, fn_number, moment, quarantined};

promises!(
    quarantine_of_one_number_is_bounded,
    quarantine_room_is_bounded,
    made_up_numbers_share_a_counter_in_the_end,
    quarantine_knows_a_copy_again,
    release_lifts_the_hold_and_keeps_the_copies,
    what_was_only_counted_is_released_too,
    what_the_journal_acknowledged_is_acknowledged_again_where_that_is_asked_for,
);

fn quarantine_of_one_number_is_bounded(on: On) {
    let mut bench = Bench::new(on);
    let copies =
        |from: u32, to: u32| (from..=to).map(|fd| quarantined(PLAIN_FN, fd, "x")).collect::<Vec<_>>();
    let limit = u32::try_from(MAX_QUARANTINE_PER_FN).unwrap();
    let outcomes = bench.keep(copies(1, limit));
    assert!(outcomes.iter().all(|outcome| *outcome == QuarantineOutcome::Kept));
    assert_eq!(bench.keep(copies(limit + 1, limit + 2)), vec![QuarantineOutcome::NotKept; 2]);
    // What is there is still recognised; another ФН still has room.
    assert_eq!(bench.keep(copies(1, 1)), [QuarantineOutcome::Repeat]);
    assert_eq!(bench.keep(vec![quarantined("8710000100000002", 1, "x")]), [QuarantineOutcome::Kept]);
    let counts = bench.reader().quarantine_counts();
    let counts: Vec<_> = counts.iter().map(|count| (count.kept, count.not_kept)).collect();
    assert_eq!(counts, [(MAX_QUARANTINE_PER_FN, 2), (1, 0)]);
    let rows = bench.reader().quarantine(&QuarantineFilter::default(), 2000);
    assert_eq!(rows.len(), 1001);
}

fn quarantine_room_is_bounded(on: On) {
    // Room for exactly two copies of 744 bytes with what a row costs.
    let mut bench = Bench::with_room(on, 2000);
    let copy = |fd, length: usize| NewQuarantine {
        container: vec![7; length],
        ..quarantined("8710000100000003", fd, "")
    };
    assert_eq!(bench.keep(vec![copy(1, 744)]), [QuarantineOutcome::Kept]);
    assert_eq!(bench.keep(vec![copy(2, 745)]), [QuarantineOutcome::NotKept], "one byte past");
    assert_eq!(bench.keep(vec![copy(2, 744)]), [QuarantineOutcome::Kept], "to the last byte");
    assert_eq!(bench.keep(vec![copy(3, 0)]), [QuarantineOutcome::NotKept]);
    assert_eq!(bench.reader().counts().quarantine, 2);
}

fn made_up_numbers_share_a_counter_in_the_end(on: On) {
    let mut bench = Bench::with_room(on, 0);
    let copies = |range: std::ops::Range<u64>| {
        range.map(|n| quarantined(&format!("{n:016}"), 1, "x")).collect::<Vec<_>>()
    };
    // As if 9,990 others had come before.
    bench.execute("UPDATE quarantine_usage SET counters = 9990");
    bench.keep(copies(0..10));
    assert_eq!(bench.reader().quarantine_counts().len(), 10);
    bench.keep(copies(10..13));
    bench.keep(copies(5..6));
    let counts = bench.reader().quarantine_counts();
    assert_eq!(counts.len(), 11);
    assert_eq!((counts[0].fn_number, counts[0].not_kept), (None, 3));
    assert_eq!((counts[6].fn_number.unwrap().to_string(), counts[6].not_kept), (format!("{:016}", 5), 2));
}

fn quarantine_knows_a_copy_again(on: On) {
    let mut bench = Bench::new(on);
    let closed = quarantined(PLAIN_FN, 1, "encrypted");
    let opened = NewQuarantine { identity: Some([5; 32]), ..quarantined(PLAIN_FN, 1, "one way") };
    let again = NewQuarantine { container: b"another way".to_vec(), reason: "mismatch", ..opened.clone() };
    let later = NewQuarantine { received_at: moment(99), ..closed.clone() };
    let outcomes = bench.keep(vec![closed.clone(), opened, again, later]);
    use QuarantineOutcome::{Kept, Repeat};
    assert_eq!(outcomes, [Kept, Kept, Repeat, Repeat]);
    let rows = bench.reader().quarantine(&QuarantineFilter::default(), 10);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].container.as_slice(), rows[0].times, rows[0].identity),
        (b"one way".as_slice(), 2, Some([5; 32]))
    );
    assert_eq!((rows[1].times, rows[1].received_at, rows[1].last_at), (2, closed.received_at, moment(99)));
    let of_reason =
        |reason: &str| QuarantineFilter { reason: Some(reason.to_owned()), ..QuarantineFilter::default() };
    let pages = QuarantineFilter { before_id: Some(rows[0].id), ..QuarantineFilter::default() };
    assert_eq!(bench.reader().quarantine(&pages, 10), rows[1..]);
    assert_eq!(bench.reader().quarantine(&of_reason("unknown_fn"), 10).len(), 2);
    assert_eq!(bench.reader().quarantine(&of_reason("mismatch"), 10).len(), 0);
}

fn release_lifts_the_hold_and_keeps_the_copies(on: On) {
    let mut bench = Bench::new(on);
    let number = fn_number(PLAIN_FN);
    assert_eq!(bench.operator().quarantine_release(&number).unwrap(), NeverHeld);
    assert_eq!(bench.reader().register(PLAIN_FN), None, "nothing to release, nothing learned");
    bench.keep(vec![quarantined(PLAIN_FN, 1, "a"), quarantined(PLAIN_FN, 2, "b")]);
    let held = QuarantineFilter { fn_number: Some(number), held_only: true, ..QuarantineFilter::default() };
    assert_eq!(bench.reader().quarantine(&held, 10).len(), 2);
    assert_eq!(bench.operator().quarantine_release(&number).unwrap(), Released { copies: 2 });
    assert_eq!(bench.reader().register(PLAIN_FN).unwrap().source, "released");
    assert_eq!(bench.reader().quarantine(&held, 10).len(), 0);
    let rows = bench.reader().quarantine(&QuarantineFilter::default(), 10);
    assert!(rows.iter().all(|row| row.released_at.is_some() && row.released_at == rows[0].released_at));
    assert_eq!(bench.operator().quarantine_release(&number).unwrap(), AlreadyKnown);
    assert_eq!(bench.facts().sizes(), (1, 0));
    // Known by then, but with a copy that is held: it is marked.
    bench.keep(vec![quarantined(PLAIN_FN, 3, "c")]);
    assert_eq!(bench.operator().quarantine_release(&number).unwrap(), Released { copies: 1 });
}

fn what_was_only_counted_is_released_too(on: On) {
    let mut bench = Bench::with_room(on, 0);
    let alone = fn_number(PLAIN_FN);
    assert_eq!(bench.keep(vec![quarantined(PLAIN_FN, 1, "a")]), [QuarantineOutcome::NotKept]);
    let release = |bench: &Bench, number| bench.operator().quarantine_release(number).unwrap();
    assert_eq!(release(&bench, &alone), Released { copies: 0 });
    assert_eq!(bench.reader().register(PLAIN_FN).unwrap().source, "released");
    assert_eq!(release(&bench, &alone), AlreadyKnown);
    // Past the number of those counted one by one nobody can be told apart.
    let other = fn_number("8710000100000002");
    assert_eq!(release(&bench, &other), NeverHeld);
    bench.execute("UPDATE quarantine_usage SET counters = 10000");
    bench.keep(vec![quarantined("8710000100000002", 1, "a")]);
    assert_eq!(release(&bench, &other), Released { copies: 0 });
}

fn what_the_journal_acknowledged_is_acknowledged_again_where_that_is_asked_for(on: On) {
    let mut bench = Bench::new(on);
    let stored = document(PLAIN_FN, 1, 3, "stored");
    let conflict = document(PLAIN_FN, 1, 3, "other content");
    let opener = document(DEBUG_FN, 1, 1, "a chain");
    let next_opener = document(DEBUG_FN, 1, 1, "the next chain");
    bench.append(&[stored.clone(), conflict.clone(), opener, next_opener.clone()]);
    let copy_of = |document: &NewDocument, known_content| NewQuarantine {
        identity: Some(document.identity),
        known_content,
        ..quarantined(document.fn_number.as_str(), document.fd_number.get(), "copy")
    };
    let mut check = |document: &NewDocument, seq: i64| {
        let outcome = bench.keep(vec![copy_of(document, KnownContent::Acknowledged)]);
        let acknowledgement = document.acknowledgement.clone();
        assert_eq!(outcome, [QuarantineOutcome::Acknowledged { seq, acknowledgement }]);
    };
    check(&stored, 1);
    check(&conflict, 2);
    check(&next_opener, 4);
    assert_eq!(bench.reader().counts().quarantine, 0, "no copies");

    let unknown_content = document(PLAIN_FN, 1, 3, "never seen");
    let unknown_number = NewDocument { identity: stored.identity, ..document(PLAIN_FN, 2, 3, "") };
    let closed = NewQuarantine {
        identity: None,
        ..copy_of(&document(PLAIN_FN, 3, 3, ""), KnownContent::Acknowledged)
    };
    let copies = vec![
        copy_of(&unknown_content, KnownContent::Acknowledged),
        copy_of(&unknown_number, KnownContent::Acknowledged),
        closed,
        copy_of(&stored, KnownContent::Quarantined),
    ];
    assert_eq!(bench.keep(copies), vec![QuarantineOutcome::Kept; 4]);
}
