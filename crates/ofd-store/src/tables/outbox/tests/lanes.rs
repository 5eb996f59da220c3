//! Order within lanes: reports ahead of the cursor, and holes in the numbers.

use super::*;

/// A report of registration or of its change.
fn report(fn_text: &str, number: u32, form: u16) -> NewDocument {
    document(fn_text, number, form, "report")
}

fn reports_go_ahead_of_a_backlog() {
    let check = |prepare: fn(&mut Bench), early: &[i64]| {
        let mut bench = Bench::new();
        bench.receipts(B, 1..=3);
        prepare(&mut bench);
        let mut sender = bench.sender("one");
        // Room for the first two receipts alone.
        let found = sender.derive(2, 100);
        let mut expected = vec![1, 2];
        expected.extend(early);
        assert_eq!(sender.open(), expected);
        assert_eq!(found.early, u64::try_from(early.len()).unwrap());
        // Later the cursor comes by, and nothing is twice.
        while sender.derive(1000, 100).more {}
        bench.check_counts();
        let rows = bench.rows();
        let forwarded = bench.look().number("SELECT count(*) FROM journal WHERE forward = 1");
        assert_eq!(i64::try_from(rows.len()).unwrap(), forwarded);
    };
    // The first document of a ФН.
    check(|bench| bench.append(vec![report(A, 1, 1)]), &[4]);
    check(|bench| bench.append(vec![report(A, 1, 11), report(A, 2, 11)]), &[4, 5]);
    // Behind a document of its own lane that is still to come: in its turn.
    check(|bench| bench.append(vec![document(A, 1, 2, ""), report(A, 2, 11)]), &[]);
    check(|bench| bench.append(vec![report(B, 4, 11)]), &[]);
    // What is not forwarded, a conflict, and what comes after it do not hold it.
    check(|bench| bench.append(vec![not_forwarded(A, 1), report(A, 2, 11)]), &[5]);
    check(
        |bench| bench.append(vec![report(A, 1, 1), document(A, 1, 3, "conflict"), report(A, 2, 11)]),
        &[4, 6],
    );
    check(|bench| bench.append(vec![document(A, 9, 3, ""), report(A, 2, 11)]), &[5]);
    // A conflict with a report and a closing of a ФН are nothing to hurry.
    check(
        |bench| bench.append(vec![report(A, 1, 1), document(A, 1, 1, "conflict"), document(A, 2, 6, "")]),
        &[4],
    );
    // One that is not forwarded at all.
    check(|bench| bench.append(vec![NewDocument { forward: Forward::No, ..report(A, 1, 1) }]), &[]);
}

fn a_report_of_a_later_chain_waits_for_the_earlier_ones() {
    let mut bench = Bench::new();
    bench.receipts(B, 1..=3);
    bench.append(vec![report(DEBUG, 1, 1), document(DEBUG, 2, 2, ""), document(DEBUG, 1, 1, "begins anew")]);
    let mut sender = bench.sender("one");
    assert_eq!(sender.derive(2, 100).early, 1);
    assert_eq!(sender.open(), [1, 2, 4]);
    // With the first receipt derived nothing of the chain before is left.
    let mut other = Bench::new();
    other.append(vec![report(DEBUG, 1, 1), document(DEBUG, 2, 2, "")]);
    other.receipts(B, 1..=3);
    other.append(vec![document(DEBUG, 1, 1, "begins anew")]);
    let mut sender = other.sender("one");
    assert_eq!(sender.derive(3, 100).early, 1);
    assert_eq!(sender.open(), [1, 2, 3, 6]);
    assert_eq!(other.row(6).place(), (1, fd(1)));
}

fn reports_are_looked_at_in_pieces_and_may_exceed_the_window() {
    let mut bench = Bench::new();
    bench.receipts(B, 1..=2);
    let lanes: Vec<String> = (10..20).map(|number| format!("87100001000000{number}")).collect();
    bench.append(lanes.iter().map(|fn_text| report(fn_text, 1, 1)).collect());
    let mut sender = bench.sender("one");
    let found: Vec<u64> = (0..4).map(|_| sender.derive(1, 100).early).collect();
    assert_eq!(found, [4, 4, 2, 0]);
    assert_eq!(sender.open().len(), 11);
    bench.check_counts();
}

fn holes_in_the_numbers_are_counted() {
    let check = |numbers: &[u32], gaps: &[(u32, Option<u32>)], late: &[u32]| {
        // At once, and one by one with a forwarder that remembers nothing.
        for scan in [1000, 1] {
            let mut bench = Bench::new();
            let mut sender = bench.sender("one");
            let (mut found_gaps, mut found_late) = (Vec::new(), Vec::new());
            let mut derive = |bench: &Bench, sender: &mut Sender| {
                let mut more = true;
                while more {
                    let found = sender.derive(1000, scan);
                    more = found.more;
                    assert_eq!(found.gaps + found.late, u64::try_from(found.examples.len()).unwrap());
                    for example in found.examples {
                        match example.late {
                            true => found_late.push(example.fd_number.get()),
                            false => {
                                found_gaps.push((example.fd_number.get(), example.after.map(FdNumber::get)))
                            }
                        }
                    }
                    if scan == 1 {
                        *sender = bench.sender("one");
                    }
                }
            };
            for number in numbers {
                bench.receipts(A, [*number]);
                derive(&bench, &mut sender);
            }
            assert_eq!((&*found_gaps, &*found_late), (gaps, late), "{numbers:?}");
        }
    };
    check(&[1, 2, 3], &[], &[]);
    check(&[5, 6], &[(5, None)], &[]);
    check(&[1, 4, 5], &[(4, Some(1))], &[]);
    check(&[1, 4, 2, 3, 5], &[(4, Some(1))], &[2, 3]);
    check(&[1, 3, 2, 4], &[(3, Some(1))], &[2]);
}

fn a_hole_that_was_filled_meanwhile_is_none() {
    let mut bench = Bench::new();
    bench.receipts(A, [1, 3, 2, 4]);
    let report = bench.sender("one").derive_all();
    assert_eq!((report.gaps, report.late), (0, 1));
}

fn many_lanes_are_forgotten_not_lost() {
    let mut bench = Bench::new();
    let lanes: Vec<String> = (10..30).map(|number| format!("87100001000000{number}")).collect();
    for number in 1..=3 {
        bench.append(lanes.iter().map(|fn_text| document(fn_text, number, 3, "")).collect());
    }
    let report = bench.sender("one").derive_all();
    assert_eq!((report.derived, report.gaps, report.late), (60, 0, 0));
}

on_both_engines!(
    reports_go_ahead_of_a_backlog,
    a_report_of_a_later_chain_waits_for_the_earlier_ones,
    reports_are_looked_at_in_pieces_and_may_exceed_the_window,
    holes_in_the_numbers_are_counted,
    a_hole_that_was_filled_meanwhile_is_none,
    many_lanes_are_forgotten_not_lost,
);
