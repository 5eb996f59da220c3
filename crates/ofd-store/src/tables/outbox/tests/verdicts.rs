//! What the service says later.

use super::*;
use crate::fixture::On;
use crate::{DocumentVerdict, FnsCode, Verdict, VerdictReport};

fn code(code: i64) -> FnsCode {
    FnsCode {
        code, text: "карточка регистрации не сформирована".to_owned(), path: None
    }
}

fn said(verdict: Verdict, codes: &[i64], at: i64) -> DocumentVerdict {
    DocumentVerdict {
        fn_number: number(A),
        fd_number: fd(1),
        ticket_id: Some("T-1".to_owned()),
        verdict,
        codes: codes.iter().map(|number| code(*number)).collect(),
        at: moment(at),
    }
}

fn decide(sender: &mut Sender, verdict: DocumentVerdict) -> VerdictReport {
    let change = OutboxChange { verdicts: vec![verdict], ..sender.change() };
    sender.way.commit(&change).unwrap().verdicts
}

fn verdicts_in_every_order() {
    use OutboxState::{Accepted, Hard, Soft};
    let check = |verdicts: &[(Verdict, &[i64], i64)], expected: OutboxState, applied: usize| {
        let mut bench = Bench::new();
        bench.receipts(A, [1]);
        let mut sender = bench.sender("one");
        sender.derive_all();
        sender.deliver(&[1]);
        let found = verdicts
            .iter()
            .map(|(verdict, codes, at)| decide(&mut sender, said(*verdict, codes, *at)).applied.len());
        assert_eq!(found.sum::<usize>(), applied, "{verdicts:?}");
        assert_eq!(bench.row(1).state, expected, "{verdicts:?}");
        bench.check_counts();
    };
    check(&[(Verdict::Accepted, &[], 1)], Accepted, 1);
    check(&[(Verdict::Accepted, &[], 1), (Verdict::Accepted, &[], 1)], Accepted, 1);
    check(&[(Verdict::Soft, &[901], 1), (Verdict::Accepted, &[], 2)], Accepted, 2);
    check(&[(Verdict::Soft, &[901], 1), (Verdict::Hard, &[420], 2)], Hard, 2);
    // Repeated and older ones.
    check(&[(Verdict::Soft, &[901], 1), (Verdict::Soft, &[901], 1)], Soft, 1);
    check(&[(Verdict::Soft, &[902], 2), (Verdict::Soft, &[901], 1)], Soft, 1);
    check(&[(Verdict::Soft, &[901], 1), (Verdict::Soft, &[902], 2)], Soft, 2);
    check(&[(Verdict::Soft, &[901], 2), (Verdict::Accepted, &[], 1)], Accepted, 2);
    // Final ones stay.
    check(&[(Verdict::Accepted, &[], 1), (Verdict::Soft, &[901], 2)], Accepted, 1);
    check(&[(Verdict::Accepted, &[], 1), (Verdict::Hard, &[420], 2)], Accepted, 1);
    check(&[(Verdict::Hard, &[420], 1), (Verdict::Accepted, &[], 2)], Hard, 1);
}

fn a_verdict_is_kept_with_its_codes() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    let mut sender = bench.sender("one");
    sender.derive_all();
    sender.deliver(&[1]);
    let report = decide(&mut sender, said(Verdict::Soft, &[901, 906], 3));
    let applied = report.applied.first().unwrap();
    assert_eq!(
        (applied.seq, applied.kind, applied.from, applied.to),
        (1, 3, OutboxState::Delivered, OutboxState::Soft)
    );
    let row = bench.row(1);
    assert_eq!((row.fns_codes, row.fns_at), (vec![code(901), code(906)], Some(moment(3))));
    decide(&mut sender, said(Verdict::Accepted, &[], 4));
    assert_eq!((bench.row(1).fns_codes, bench.row(1).fns_at), (vec![], Some(moment(4))));
    let unknown = DocumentVerdict { fd_number: fd(2), ..said(Verdict::Accepted, &[], 1) };
    assert_eq!(decide(&mut sender, unknown).unknown, 1);
}

fn the_ticket_tells_the_chains_apart() {
    let mut bench = Bench::new();
    let anew = |content: &str| document(DEBUG, 1, 1, content);
    bench.append(vec![
        anew("first"),
        document(DEBUG, 2, 3, "first"),
        anew("second"),
        document(DEBUG, 2, 3, "second"),
    ]);
    let mut sender = bench.sender("one");
    sender.derive_all();
    sender.deliver(&[1, 2]);
    let of = |ticket: Option<&str>, verdict| DocumentVerdict {
        fn_number: number(DEBUG),
        fd_number: fd(2),
        ticket_id: ticket.map(str::to_owned),
        ..said(verdict, &[], 1)
    };
    // By its ticket; else the one whose ticket is not known yet; else the newest.
    assert_eq!(decide(&mut sender, of(Some("T-2"), Verdict::Accepted)).applied.first().unwrap().seq, 2);
    assert_eq!(decide(&mut sender, of(Some("T-9"), Verdict::Soft)).applied.first().unwrap().seq, 4);
    assert_eq!(bench.row(4).ticket_id.as_deref(), Some("T-9"));
    assert_eq!(decide(&mut sender, of(None, Verdict::Hard)).applied.first().unwrap().seq, 4);
    let rows = bench.reader().outbox_rows(&number(DEBUG), fd(2)).unwrap();
    assert_eq!(rows.iter().map(|row| (row.seq, row.chain)).collect::<Vec<_>>(), [(4, 1), (2, 0)]);
}

fn statuses_are_asked_when_due() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=3);
    let mut sender = bench.sender("one");
    sender.derive_all();
    let (id, _) = sender.begin(&[1, 2, 3]);
    let at = |seconds: i64| DocumentOutcome::Delivered {
        ticket_id: None,
        refresh_at: Some(moment(seconds * 1_000_000)),
    };
    sender.settle(id, vec![(1, at(20)), (2, at(10)), (3, at(30))]);
    let mut due = |seconds: i64| -> Vec<i64> {
        let rows = sender.way.refresh_due(moment(seconds * 1_000_000), 2).unwrap();
        rows.into_iter().map(|row| row.seq).collect()
    };
    assert_eq!(due(9), [0_i64; 0]);
    assert_eq!(due(10), [2]);
    assert_eq!(due(30), [2, 1], "the longest due first, no more than asked for");
    // No answer: later, or never. A verdict ends it.
    let change = OutboxChange {
        refresh_later: vec![(2, Some(moment(40_000_000))), (3, None)],
        verdicts: vec![said(Verdict::Soft, &[901], 1)],
        ..sender.change()
    };
    sender.way.commit(&change).unwrap();
    let due: Vec<i64> =
        sender.way.refresh_due(moment(99_000_000), 9).unwrap().into_iter().map(|row| row.seq).collect();
    assert_eq!(due, [2]);
    // A card came: what is softly held of this ФН is asked anew, and only that.
    super::super::refresh(bench.look().db(), &number(A), moment(0)).unwrap();
    super::super::refresh(bench.look().db(), &number(B), moment(0)).unwrap();
    assert_eq!(sender.way.refresh_due(moment(1), 9).unwrap(), [], "they are marked later, a piece at a time");
    assert!(!sender.way.recall_statuses(100).unwrap());
    let due = sender.way.refresh_due(moment(1), 9).unwrap();
    assert_eq!(due.iter().map(|row| (row.seq, row.state)).collect::<Vec<_>>(), [(1, OutboxState::Soft)]);
}

/// Rows in soft quarantine of a ФН, without a journal.
fn soft_rows(bench: &Bench, fn_text: &str, first: i64, number: i64) {
    let look = bench.look();
    if On::here() == On::Sqlite {
        look.batch("PRAGMA foreign_keys = off");
    }
    look.batch(&format!(
        "WITH RECURSIVE n (seq) AS (SELECT {first} UNION ALL SELECT seq + 1 FROM n WHERE seq < {first} + {number} - 1) \
         INSERT INTO outbox (seq, fn, fd, chain, kind, slot, state, serial, attempts, created_at) \
         SELECT seq, '{fn_text}', seq, 0, 3, 1, 4, seq, 1, 0 FROM n"
    ));
}

fn a_card_of_a_register_with_very_many_soft_documents_costs_one_row() {
    let bench = Bench::new();
    soft_rows(&bench, A, 1, 1_201);
    soft_rows(&bench, B, 5_000, 3);
    let mut way = forwarding(&bench.url());
    let count = |sql: &str| bench.look().number(sql);
    let marked = || count("SELECT count(*) FROM outbox WHERE next_at IS NOT NULL");
    for fn_text in [A, B, DEBUG] {
        super::super::refresh(bench.look().db(), &number(fn_text), moment(7)).unwrap();
    }
    assert_eq!((marked(), count("SELECT count(*) FROM outbox_refresh_queue")), (0, 3));
    assert!(way.recall_statuses(usize::MAX).unwrap(), "there is more");
    assert_eq!(marked(), 500, "no more in one transaction, whatever is asked for");
    // Who goes on need not be who began.
    let mut way = forwarding(&bench.url());
    assert!(way.recall_statuses(500).unwrap());
    assert_eq!(marked(), 1000);
    // A card more: the whole begins anew, and ends all the same.
    super::super::refresh(bench.look().db(), &number(A), moment(8)).unwrap();
    let mut calls = 0;
    while way.recall_statuses(500).unwrap() {
        calls += 1;
        assert!(calls < 10);
    }
    assert_eq!((marked(), count("SELECT count(*) FROM outbox_refresh_queue")), (1_204, 0));
    assert_eq!(way.refresh_due(moment(8), 1000).unwrap().len(), 1000);
}

on_both_engines!(
    verdicts_in_every_order,
    a_verdict_is_kept_with_its_codes,
    the_ticket_tells_the_chains_apart,
    statuses_are_asked_when_due,
    a_card_of_a_register_with_very_many_soft_documents_costs_one_row,
);
