//! Events were lost: what has no final verdict is asked about, in pieces that go on after a crash.

use super::*;
use crate::{Commit, DocumentVerdict, Registry, RegistryChange, Verdict};

fn verdict(fn_text: &str, fd_number: u32, verdict: Verdict) -> DocumentVerdict {
    let (fn_number, fd_number) = (number(fn_text), fd(fd_number));
    DocumentVerdict { fn_number, fd_number, ticket_id: None, verdict, codes: Vec::new(), at: moment(1) }
}

fn lost(bench: &Bench, change: &RegistryChange) -> Commit {
    Registry::open(&bench.url()).unwrap().commit(change).unwrap()
}

fn due(bench: &Bench) -> Vec<i64> {
    let mut way = forwarding(&bench.url());
    let mut seqs: Vec<i64> =
        way.refresh_due(moment(100), 1000).unwrap().into_iter().map(|row| row.seq).collect();
    seqs.sort_unstable();
    seqs
}

/// Twelve documents of two ФН: 1 to 6 and 7 to 12. Of each three are delivered, the others soft, accepted and hard.
fn prepared() -> (Bench, Sender) {
    let mut bench = Bench::new();
    bench.receipts(B, 1..=6);
    bench.receipts(A, 1..=6);
    let mut sender = bench.sender("one");
    sender.derive_all();
    sender.deliver(&[1, 2, 3, 4, 5, 6]);
    sender.deliver(&[7, 8, 9, 10, 11, 12]);
    let mut verdicts = Vec::new();
    for fn_text in [A, B] {
        verdicts.push(verdict(fn_text, 4, Verdict::Soft));
        verdicts.push(verdict(fn_text, 5, Verdict::Accepted));
        verdicts.push(verdict(fn_text, 6, Verdict::Hard));
    }
    sender.way.commit(&OutboxChange { verdicts, ..sender.change() }).unwrap();
    (bench, sender)
}

const WITHOUT_VERDICT: [i64; 8] = [1, 2, 3, 4, 7, 8, 9, 10];

fn everything_without_a_final_verdict_is_marked_in_pieces() {
    for limit in 1..=9 {
        let (bench, sender) = prepared();
        drop(sender);
        assert!(!forwarding(&bench.url()).recall_statuses(limit).unwrap(), "nothing was lost");
        assert_eq!(due(&bench), [0_i64; 0]);
        lost(&bench, &RegistryChange { recall: Some(moment(50)), ..RegistryChange::default() });
        let mut pieces = 1;
        // Each piece by another process: the one before was killed.
        while forwarding(&bench.url()).recall_statuses(limit).unwrap() {
            pieces += 1;
            assert!(pieces < 20, "without end");
        }
        assert!(pieces >= WITHOUT_VERDICT.len() / limit, "{limit}: {pieces}");
        assert_eq!(due(&bench), WITHOUT_VERDICT, "{limit}");
        assert!(!forwarding(&bench.url()).recall_statuses(limit).unwrap());
    }
}

fn what_is_due_earlier_stays_so_and_what_was_asked_is_not_asked_twice() {
    let (bench, mut sender) = prepared();
    let later = vec![(1, Some(moment(10))), (2, Some(moment(900)))];
    sender.way.commit(&OutboxChange { refresh_later: later, ..sender.change() }).unwrap();
    lost(&bench, &RegistryChange { recall: Some(moment(50)), ..RegistryChange::default() });
    while sender.way.recall_statuses(3).unwrap() {}
    assert_eq!((bench.row(1).next_at, bench.row(2).next_at), (Some(moment(10)), Some(moment(50))));
    let later = WITHOUT_VERDICT.map(|seq| (seq, Some(moment(900)))).to_vec();
    sender.way.commit(&OutboxChange { refresh_later: later, ..sender.change() }).unwrap();
    assert!(!sender.way.recall_statuses(3).unwrap());
    assert_eq!(due(&bench), [0_i64; 0]);
    // Lost once more before the first walk has ended: from the beginning.
    for at in [60, 70] {
        lost(&bench, &RegistryChange { recall: Some(moment(at)), ..RegistryChange::default() });
        sender.way.recall_statuses(2).unwrap();
    }
    while sender.way.recall_statuses(2).unwrap() {}
    assert_eq!(due(&bench), WITHOUT_VERDICT);
}

fn registers_are_walked_beside_it_and_nothing_is_written_by_halves() {
    let bench = Bench::new();
    let registry = || Registry::open(&bench.url()).unwrap();
    assert_eq!(registry().recalled_cards().unwrap(), None);
    let events_cursor = Some((Some("7".to_owned()), None));
    let recall = Some(moment(50));
    let change = RegistryChange { events_cursor, recall, ..RegistryChange::default() };
    assert_eq!(lost(&bench, &change), Commit::Stale, "the cursor does not stand there");
    assert_eq!(registry().recalled_cards().unwrap(), None);
    lost(&bench, &RegistryChange { recall: Some(moment(50)), ..RegistryChange::default() });
    let moved = |from, to| {
        let recalled_cards = Some((from, to));
        let done = lost(&bench, &RegistryChange { recalled_cards, ..RegistryChange::default() });
        (done != Commit::Stale, registry().recalled_cards().unwrap())
    };
    assert_eq!(moved(0, Some(7)), (true, Some(7)));
    assert_eq!(moved(0, Some(9)), (false, Some(7)), "somebody else went on");
    assert_eq!(moved(7, None), (true, None));
    assert_eq!(moved(7, Some(8)), (false, None));
}

on_both_engines!(
    everything_without_a_final_verdict_is_marked_in_pieces,
    what_is_due_earlier_stays_so_and_what_was_asked_is_not_asked_twice,
    registers_are_walked_beside_it_and_nothing_is_written_by_halves,
);
