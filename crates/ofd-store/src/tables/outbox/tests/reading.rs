//! What is read of the outbox.

use super::*;
use crate::{DocumentVerdict, FnsSummary, OutboxFilter, Verdict};

/// A container as a register sends it: 32 bytes of header, the document, its sign, two zeros.
fn container(document: &[u8], sign: [u8; 8]) -> Vec<u8> {
    [&[0xEE; 32], document, &sign, &[0, 0]].concat()
}

/// Document 7 with the moment 0x01020304 in it.
const ACKNOWLEDGEMENT: &[u8] = &[7, 0, 8, 0, 0xF4, 3, 4, 0, 4, 3, 2, 1];

fn what_bodies_are_built_from() {
    let mut bench = Bench::new();
    let sign = [1, 2, 3, 4, 5, 6, 7, 8];
    let plain = NewDocument {
        container: container(b"\x03\x00\x00\x00", sign),
        acknowledgement: container(ACKNOWLEDGEMENT, [0; 8]),
        code: 14,
        flk_mark: true,
        ..document(A, 1, 3, "")
    };
    let encrypted = NewDocument {
        container: container(b"secret", sign),
        opened: Some(b"\x03\x00\x00\x00".to_vec()),
        acknowledgement: container(b"secret", [0; 8]),
        sign_mark: true,
        ..document(A, 2, 3, "")
    };
    bench.append(vec![plain, encrypted, document(A, 3, 3, "short")]);
    let mut sender = bench.sender("one");
    let bodies = sender.way.bodies(&[2, 1]).unwrap();
    let [second, first] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert_eq!((first.seq, first.fd_number, first.form, first.code, first.marks), (1, fd(1), 3, 14, 1));
    assert_eq!((&*first.opened, first.message_sign), (b"\x03\x00\x00\x00".as_slice(), sign));
    assert_eq!(first.acknowledged_at, 0x0102_0304);
    assert_eq!(
        (&*second.opened, second.message_sign, second.marks),
        (b"\x03\x00\x00\x00".as_slice(), sign, 2)
    );
    assert_eq!(second.received_at, moment(2));
    assert_eq!(i64::from(second.acknowledged_at), moment(2).as_second());
    assert!(sender.way.bodies(&[1, 99]).is_err());
}

fn how_the_service_stands_to_a_fn() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=9);
    bench.append(vec![waiting(B, 1)]);
    let summary = |bench: &Bench, fn_text: &str| bench.reader().fns_summary(&number(fn_text)).unwrap();
    let of = |waiting, soft, hard| FnsSummary { waiting, soft, hard };
    assert_eq!(summary(&bench, A), of(9, 0, 0), "to be derived");
    let mut sender = bench.sender("one");
    sender.derive(6, 100);
    assert_eq!(summary(&bench, A), of(9, 0, 0));
    sender.deliver(&[1, 2, 3]);
    let (id, _) = sender.begin(&[4]);
    sender.settle(id, vec![(4, dead("X"))]);
    let verdicts = [(1, Verdict::Accepted), (2, Verdict::Soft), (3, Verdict::Hard)];
    let verdicts = verdicts.map(|(number_of, verdict)| DocumentVerdict {
        fn_number: number(A),
        fd_number: fd(number_of),
        ticket_id: None,
        verdict,
        codes: Vec::new(),
        at: moment(0),
    });
    let change = OutboxChange { verdicts: verdicts.to_vec(), ..sender.change() };
    sender.way.commit(&change).unwrap();
    assert_eq!(summary(&bench, A), of(5, 1, 2));
    sender.derive_all();
    assert_eq!(summary(&bench, A), of(5, 1, 2));
    assert_eq!((summary(&bench, B), summary(&bench, DEBUG)), (of(1, 0, 0), of(0, 0, 0)));
    assert_eq!(sender.way.fns_summary(&number(A)).unwrap(), of(5, 1, 2));
}

fn how_old_what_is_owed_is() {
    let mut bench = Bench::new();
    let mut sender = bench.sender("one");
    assert_eq!(sender.way.oldest_undelivered().unwrap(), None);
    bench.append(vec![not_forwarded(A, 1)]);
    bench.receipts(A, 2..=4);
    let oldest = |sender: &mut Sender| sender.way.oldest_undelivered().unwrap();
    assert_eq!(oldest(&mut sender), Some(moment(2)), "to be derived");
    sender.derive(2, 100);
    assert_eq!(oldest(&mut sender), Some(moment(2)));
    sender.deliver(&[2]);
    assert_eq!(oldest(&mut sender), Some(moment(3)));
    sender.deliver(&[3]);
    assert_eq!(oldest(&mut sender), Some(moment(4)), "to be derived");
    sender.derive_all();
    let (id, _) = sender.begin(&[4]);
    assert_eq!(oldest(&mut sender), Some(moment(4)), "in flight");
    sender.settle(id, vec![(4, dead("X"))]);
    assert_eq!(oldest(&mut sender), None, "a dead document is a matter of its own");
    assert_eq!(bench.reader().oldest_undelivered().unwrap(), None);
}

fn lists_newest_first() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=6);
    bench.receipts(B, 1..=6);
    let mut sender = bench.sender("one");
    sender.derive(11, 100);
    sender.deliver(&[1, 2, 7]);
    let (id, _) = sender.begin(&[3, 8]);
    sender.settle(id, vec![(3, dead("X")), (8, dead("X"))]);
    sender.begin(&[4]);
    use OutboxState::{Accepted, Dead, Delivered, InFlight, New};
    let reader = bench.reader();
    let check = |state: Option<OutboxState>, fn_text: Option<&str>, expected: &[i64]| {
        for limit in [1, 2, 100] {
            let mut filter =
                OutboxFilter { state, fn_number: fn_text.map(number), ..OutboxFilter::default() };
            let mut found = Vec::new();
            loop {
                let page = reader.outbox_page(&filter, limit).unwrap();
                assert!(page.rows.len() <= limit);
                found.extend(page.rows.iter().map(|row| row.seq));
                filter.before_seq = page.next_before_seq;
                if page.next_before_seq.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{state:?} {fn_text:?} {limit}");
        }
    };
    check(None, None, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    check(Some(New), None, &[11, 10, 9, 6, 5]);
    check(Some(InFlight), None, &[4]);
    check(Some(Delivered), None, &[7, 2, 1]);
    check(Some(Dead), None, &[8, 3]);
    check(Some(Accepted), None, &[]);
    check(None, Some(A), &[6, 5, 4, 3, 2, 1]);
    check(Some(Dead), Some(A), &[3]);
    check(Some(New), Some(B), &[11, 10, 9]);
    check(None, Some(DEBUG), &[]);
    let depths = reader.outbox_depths().unwrap();
    assert_eq!((depths.of(New), depths.of(Dead), depths.open(), depths.backlog), (5, 2, 6, 1));
}

on_both_engines!(
    what_bodies_are_built_from,
    how_the_service_stands_to_a_fn,
    how_old_what_is_owed_is,
    lists_newest_first,
);
