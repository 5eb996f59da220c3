//! What becomes of the items of a batch.

use super::*;
use crate::records::{FindingSeverity, KnownContent, QuarantineOutcome, StoredFinding, TaskKind};
use crate::support::{DEBUG_FN, PLAIN_FN, quarantined, registration};
use crate::{Derived, MAX_CONFLICTS};

fn appended(outcome: &AppendOutcome) -> i64 {
    match outcome {
        AppendOutcome::Appended { seq } => *seq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn new_documents_lie_in_the_order_of_their_batch() {
    let mut node = Node::new();
    // Their keys come in another order.
    let batch: Vec<_> = receipts(300, 7).into_iter().rev().collect();
    let seqs: Vec<i64> = node.commit(&batch).iter().map(seq_of).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    let first = node.ask(&format!("SELECT fn FROM journal WHERE seq = {}", seqs[0]));
    assert_eq!(first, fn_text(299));
    assert_eq!(
        node.ask("SELECT count(*) FROM journal_keys JOIN journal USING (seq, fn, fd, identity)"),
        "300"
    );
    let month = node.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')");
    assert!(seqs[0].to_string().starts_with(&month), "{}", seqs[0]);
}

#[test]
fn every_column_comes_back() {
    let mut node = Node::new();
    let full = NewDocument {
        opened: Some(b"opened".to_vec()),
        code: 14,
        flk_mark: true,
        after_deregistration_mark: true,
        derived: Derived {
            ffd_version: Some(4),
            local_time: Some(1_795_262_400),
            rnm: Some("0000000001024546".to_owned()),
            user_inn: Some("7704358518".to_owned()),
            kkt_serial: Some("a\0б".to_owned()),
            shift: Some(1),
            receipt_number: Some(2),
            operation: Some(3),
            total_kopecks: Some(4),
            fiscal_sign: Some(u32::MAX),
        },
        ..document(PLAIN_FN, 5, 3, "full")
    };
    let chain = document(DEBUG_FN, 5, 3, "slow");
    // The same columns by the quick way and by the other one.
    node.commit(&[item(full.clone()), item(NewDocument { fn_number: chain.fn_number, ..full })]);
    let row = "SELECT string_agg(concat_ws('|', fd, chain, conflict_no, form, received_at, code, forward, marks, verdict, \
               sign_scheme, sign_generation, encode(identity, 'hex'), peer, ffd_version, local_time, rnm, user_inn, \
               kkt_serial, shift, receipt_number, operation, total_kopecks, fiscal_sign, encode(acknowledgement, 'escape'), \
               encode(container, 'escape'), encode(opened, 'escape')), E'\n' ORDER BY seq) FROM journal";
    let rows = node.ask(row);
    let (one, other) = rows.split_once('\n').unwrap();
    assert_eq!(one, other);
    assert!(one.starts_with("5|0|0|3|1795262400000005|14|1|9|valid|soft-gost-1|1|"), "{one}");
    assert!(
        one.contains(
            "|192.0.2.7:40000|4|1795262400|0000000001024546|7704358518|a\u{fffd}б|1|2|3|4|4294967295|"
        ),
        "{one}"
    );
    assert!(one.ends_with("|opened"), "{one}");
}

#[test]
fn a_repeat_gets_the_first_acknowledgement_and_changes_nothing() {
    let mut node = Node::new();
    let first = document(PLAIN_FN, 1, 3, "one");
    let seq = appended(&node.append(first.clone()));
    let again = NewDocument { acknowledgement: b"another".to_vec(), ..first.clone() };
    let expected = AppendOutcome::Repeat { seq, acknowledgement: first.acknowledgement };
    // Met by an error at first, then looked for.
    for _ in 0..3 {
        assert_eq!(node.append(again.clone()), expected);
    }
    let mut batch = receipts(20, 2);
    batch.insert(7, item(again));
    let outcomes = node.commit(&batch);
    assert_eq!(outcomes[7], WriteOutcome::Append(expected));
    assert_eq!(node.ask("SELECT count(*) FROM journal"), "21");
}

#[test]
fn doubles_within_a_batch_are_judged_in_order() {
    let mut node = Node::new();
    let one = document(PLAIN_FN, 1, 3, "one");
    let outcomes = node.commit(&[
        item(one.clone()),
        item(document(PLAIN_FN, 1, 3, "other")),
        item(one.clone()),
        item(document(PLAIN_FN, 1, 3, "other")),
    ]);
    let seqs: Vec<i64> = outcomes.iter().map(seq_of).collect();
    assert_eq!(outcomes[0], WriteOutcome::Append(AppendOutcome::Appended { seq: seqs[0] }));
    assert_eq!(outcomes[1], WriteOutcome::Append(AppendOutcome::Conflict { seq: seqs[0] + 1 }));
    let repeat = AppendOutcome::Repeat { seq: seqs[0], acknowledgement: one.acknowledgement };
    assert_eq!(outcomes[2], WriteOutcome::Append(repeat));
    assert_eq!(seqs[3], seqs[1]);
    assert_eq!(node.ask("SELECT string_agg(kind, ',') FROM human_tasks"), "conflict");
}

#[test]
fn conflicts_are_kept_up_to_a_limit() {
    let mut node = Node::new();
    let content = |number: u32| item(document(PLAIN_FN, 1, 3, &number.to_string()));
    let outcomes = node.commit(&(0..=MAX_CONFLICTS + 1).map(content).collect::<Vec<_>>());
    assert!(matches!(outcomes.last(), Some(WriteOutcome::Refused { .. })), "{:?}", outcomes.last());
    let kept = MAX_CONFLICTS as usize;
    assert!(matches!(outcomes[kept], WriteOutcome::Append(AppendOutcome::Conflict { .. })));
    let again = node.commit(&[content(MAX_CONFLICTS), content(MAX_CONFLICTS + 2)]);
    assert_eq!(seq_of(&again[0]), seq_of(&outcomes[kept]));
    assert!(matches!(again[1], WriteOutcome::Refused { .. }));
    assert_eq!(
        node.ask("SELECT count(*) || '/' || max(conflict_no) FROM journal WHERE forward = 0"),
        "100/100"
    );
}

#[test]
fn a_debug_fn_begins_anew() {
    let mut node = Node::new();
    let mut check = |fd: u32, form: u16, content: &str, chain: &str| {
        let outcome = node.append(document(DEBUG_FN, fd, form, content));
        let seq = seq_of(&WriteOutcome::Append(outcome.clone()));
        assert_eq!(node.ask(&format!("SELECT chain FROM journal WHERE seq = {seq}")), chain, "{content}");
        outcome
    };
    check(1, 1, "born", "0");
    let second = check(2, 3, "receipt", "0");
    check(1, 11, "born again", "1");
    check(2, 3, "receipt again", "1");
    assert!(matches!(check(2, 3, "conflict", "1"), AppendOutcome::Conflict { .. }));
    // A repeat of what lies in an earlier chain.
    let again = check(2, 3, "receipt", "0");
    assert_eq!(seq_of(&WriteOutcome::Append(again)), seq_of(&WriteOutcome::Append(second)));
    assert_eq!(node.ask("SELECT chain FROM debug_chains"), "1");
}

#[test]
fn what_comes_with_a_document_lies_beside_it() {
    let mut node = Node::new();
    let finding = |text: &str| StoredFinding {
        path: vec![1059, 1023],
        rule: "items.sum".to_owned(),
        severity: FindingSeverity::Soft,
        text: text.to_owned(),
    };
    let quick = NewDocument { findings: vec![finding("a"), finding("b\0")], ..document(PLAIN_FN, 1, 3, "x") };
    let slow = NewDocument { findings: vec![finding("c")], ..document(DEBUG_FN, 1, 3, "y") };
    let tasked = NewDocument { task: Some(TaskKind::Unreadable), ..document(PLAIN_FN, 2, 3, "z") };
    node.commit(&[item(quick), item(slow), item(tasked), item(registration(&fn_text(5), "0042"))]);
    let findings = "SELECT string_agg(ordinal || path || rule || severity || text, ',' ORDER BY seq, ordinal) FROM findings";
    assert_eq!(
        node.ask(findings),
        "01059.1023items.sum0a,11059.1023items.sum0b\u{fffd},01059.1023items.sum0c"
    );
    assert_eq!(node.ask("SELECT string_agg(kind, ',') FROM human_tasks"), "unreadable");
    assert_eq!(node.ask("SELECT fn || kkt_serial || version FROM registers"), format!("{}00421", fn_text(5)));
}

#[test]
fn quarantine_keeps_counts_and_finds_known_content() {
    let mut node = Node::new();
    let known = document(PLAIN_FN, 1, 3, "known");
    let asking = NewQuarantine {
        identity: Some(known.identity),
        known_content: KnownContent::Acknowledged,
        ..quarantined(PLAIN_FN, 1, "known")
    };
    // Before the document it is not known, although it is of the same batch.
    let outcomes = node.commit(&[copy(asking.clone()), item(known.clone()), copy(asking.clone())]);
    assert_eq!(outcomes[0], WriteOutcome::Quarantine(QuarantineOutcome::Kept));
    let seq = seq_of(&outcomes[1]);
    let acknowledgement = known.acknowledgement;
    let found = QuarantineOutcome::Acknowledged { seq, acknowledgement };
    assert_eq!(outcomes[2], WriteOutcome::Quarantine(found));
    let outcomes = node.commit(&[copy(quarantined(PLAIN_FN, 2, "a")), copy(quarantined(PLAIN_FN, 2, "a"))]);
    assert_eq!(outcomes[0], WriteOutcome::Quarantine(QuarantineOutcome::Kept));
    assert_eq!(outcomes[1], WriteOutcome::Quarantine(QuarantineOutcome::Repeat));
}

#[test]
fn one_bad_item_is_refused_and_the_others_are_written() {
    let mut node = Node::new();
    run(&node.url, "ALTER TABLE journal ADD CHECK (receipt_number <> 666)");
    let derived = Derived { receipt_number: Some(666), ..Derived::default() };
    let mut batch = receipts(5, 1);
    batch.insert(2, item(NewDocument { derived, ..document(PLAIN_FN, 9, 3, "bad") }));
    let outcomes = node.commit(&batch);
    assert!(matches!(outcomes[2], WriteOutcome::Refused { .. }), "{:?}", outcomes[2]);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, WriteOutcome::Append(_))).count(), 5);
    assert_eq!(node.ask("SELECT count(*) FROM journal_keys"), "5");
}
