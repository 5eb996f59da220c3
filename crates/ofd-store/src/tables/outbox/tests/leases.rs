//! Who holds what: fair shares, expiry, and results that come too late.

use std::collections::BTreeSet;

use super::*;

fn lanes(sender: &Sender) -> usize {
    sender.leases.iter().filter(|lease| lease.slot.has_lanes()).count()
}

fn one_holder_has_all_and_two_share() {
    let bench = Bench::new();
    let mut one = bench.sender("one");
    assert_eq!(one.leases.len(), 257);
    assert!(one.leases.iter().all(|lease| lease.epoch == 1 && lease.until == moment(60_000_000)));
    let mut two = bench.sender("two");
    assert_eq!(two.leases.len(), 0, "nothing is taken from a holder that lives");
    let claim = one.claim();
    assert_eq!((claim.excess, claim.holders, claim.gained.len()), (128, 2, 0));
    let given: Vec<Slot> = one.leases.iter().map(|lease| lease.slot).take(128).collect();
    one.way.release(&one.holder, &given).unwrap();
    assert_eq!(one.claim().leases.len(), 129);
    let claim = two.claim();
    assert_eq!((claim.gained, claim.leases.len(), claim.excess), (given, 128, 0));
    assert!(two.leases.iter().all(|lease| lease.epoch == 2));
    // Giving back what is not one's own changes nothing.
    two.way.release(&two.holder, &[Slot::REGISTRAR]).unwrap();
    assert_eq!(one.claim().leases.len(), 129);
    // A clean stop: the other gets everything at once.
    one.way.leave(&one.holder).unwrap();
    let claim = two.claim();
    assert_eq!((claim.leases.len(), claim.holders), (257, 1));
}

fn slots_of_a_holder_that_is_gone_are_taken_after_their_time() {
    let bench = Bench::new();
    let one = bench.sender("one");
    let mut two = bench.sender("two");
    two.now = one.now + LEASE - Duration::from_micros(1);
    assert_eq!(two.claim().leases.len(), 0);
    two.now = one.now + LEASE;
    let claim = two.claim();
    assert_eq!((claim.gained.len(), claim.holders), (257, 1));
}

fn a_holder_that_does_not_send_takes_no_part_in_the_share() {
    let bench = Bench::new();
    let mut way = forwarding(&bench.url());
    let holder = HolderId::new("registrar").unwrap();
    let order =
        ClaimOrder { holder, now: moment(0), until: moment(60_000_000), lanes: false, registrar: true };
    let claim = way.claim(&order).unwrap();
    assert_eq!((claim.gained, claim.holders), (vec![Slot::REGISTRAR], 0));
    let one = bench.sender("one");
    assert_eq!((lanes(&one), one.leases.len()), (256, 256));
}

fn holders_that_race_never_hold_the_same() {
    let bench = Bench::new();
    let url = bench.url();
    let threads: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|name| {
            let url = url.clone();
            std::thread::spawn(move || {
                let mut way = forwarding(&url);
                let holder = HolderId::new(name).unwrap();
                let order = ClaimOrder {
                    holder,
                    now: moment(0),
                    until: moment(60_000_000),
                    lanes: true,
                    registrar: true,
                };
                for _ in 0..20 {
                    let claim = way.claim(&order).unwrap();
                    let excess: Vec<Slot> =
                        claim.leases.iter().map(|lease| lease.slot).take(claim.excess).collect();
                    way.release(&order.holder, &excess).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut seen = BTreeSet::new();
    for name in ["a", "b", "c", "d"] {
        // By now all four are known, so whoever has too much gives it back and the others take it.
        let mut sender = bench.sender(name);
        let excess = sender.claim().excess;
        let excess: Vec<Slot> = sender.leases.iter().map(|lease| lease.slot).take(excess).collect();
        sender.way.release(&sender.holder, &excess).unwrap();
    }
    for name in ["a", "b", "c", "d"] {
        let sender = bench.sender(name);
        assert_eq!(lanes(&sender), 64, "{name}");
        for lease in &sender.leases {
            assert!(seen.insert(lease.slot), "{lease:?} of {name} is somebody else's too");
        }
    }
    assert_eq!(seen.len(), 257);
}

fn results_of_a_lost_lease_are_not_recorded() {
    let mut bench = Bench::new();
    bench.receipts(A, 1..=2);
    bench.receipts(B, 1..=2);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1, 2, 3, 4]);
    // Paused past its lease; another takes over and adopts the batch under the same key.
    let mut two = bench.sender("two");
    two.now = one.now + LEASE;
    let gained = two.claim().gained;
    let adoption = two.way.adopt(&two.holder, &two.leases, &gained).unwrap();
    assert_eq!(adoption.returned, 0);
    let batch = adoption.batches.first().unwrap();
    assert_eq!((batch.id, &*batch.documents, batch.created_at), (id, [1, 2, 3, 4].as_slice(), moment(0)));
    let results = || (1..=4).map(|seq| (seq, taken(seq))).collect::<Vec<_>>();
    let report = one.settle(id, results());
    assert_eq!((report.stale, report.lost.len(), report.delivered), (vec![1, 2, 3, 4], 257, 0));
    assert!(bench.rows().iter().all(|row| row.state == OutboxState::InFlight));
    // The batch is not ended by the one who lost it.
    let report = two.settle(id, results());
    assert_eq!((report.delivered, report.lost), (4, vec![]));
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None);
    bench.check_counts();
}

fn a_lease_that_ran_out_and_nobody_took_is_still_good() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1]);
    one.now += LEASE + LEASE;
    assert_eq!(one.settle(id, vec![(1, taken(1))]).delivered, 1);
    let claim = one.claim();
    assert_eq!(claim.gained, []);
}

fn a_batch_of_which_only_a_part_is_gained_is_dissolved() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    bench.receipts(B, [1]);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1, 2]);
    let slot = Slot::of_fn(&number(A));
    one.way.release(&one.holder, &[slot]).unwrap();
    let mut two = bench.sender("two");
    let gained = two.claim().gained;
    assert_eq!(two.leases.iter().map(|lease| lease.slot).collect::<Vec<_>>(), [slot]);
    // It was gained when the sender was made.
    assert_eq!(gained, []);
    let adoption = two.way.adopt(&two.holder, &two.leases, &[slot]).unwrap();
    assert_eq!((adoption.batches, adoption.returned), (vec![], 1));
    assert_eq!(bench.states(), [(1, OutboxState::New), (2, OutboxState::InFlight)]);
    assert_eq!((bench.row(1).attempts, bench.row(1).last_error.is_some()), (1, true));
    // The other goes on with what it has, but not under that key.
    let next_at = moment(1);
    let report = one.step(BatchStep::Retry { id, next_at, error: "time-out".to_owned() });
    assert_eq!((report.dissolved, report.returned, report.stale), (vec![id], 1, vec![]));
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None);
    assert_eq!(bench.states(), [(1, OutboxState::New), (2, OutboxState::New)]);
    bench.check_counts();
}

fn an_answer_that_comes_before_the_new_holder_looks_is_stale_and_lost_for_nobody() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    bench.receipts(B, [1]);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1, 2]);
    let slot = Slot::of_fn(&number(A));
    one.way.release(&one.holder, &[slot]).unwrap();
    let mut two = bench.sender("two");
    let report = one.settle(id, vec![(1, taken(1)), (2, taken(2))]);
    assert_eq!((report.delivered, &*report.stale, &*report.lost), (1, [1].as_slice(), [slot].as_slice()));
    assert!(bench.reader().outbox_batch(id).unwrap().is_some(), "a document is still in flight in it");
    let adoption = two.way.adopt(&two.holder, &two.leases, &[slot]).unwrap();
    assert_eq!((adoption.batches, adoption.returned), (vec![], 1));
    assert_eq!(bench.states(), [(1, OutboxState::New), (2, OutboxState::Delivered)]);
    assert_eq!(bench.reader().outbox_batch(id).unwrap(), None);
    bench.check_counts();
}

fn a_new_batch_needs_its_leases() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    bench.receipts(B, [1]);
    let mut one = bench.sender("one");
    one.derive_all();
    one.way.release(&one.holder, &[Slot::of_fn(&number(A))]).unwrap();
    let (id, report) = one.begin(&[1, 2]);
    assert_eq!((report.refused, report.stale, report.gone), (vec![id], vec![1], vec![]));
    assert!(bench.rows().iter().all(|row| row.state == OutboxState::New && row.batch_id.is_none()));
    let (_, report) = one.begin(&[2]);
    assert_eq!(report.refused, []);
}

fn a_proof_is_of_holder_slot_and_epoch() {
    let bench = Bench::new();
    let mut one = bench.sender("one");
    let lease = *one.leases.last().unwrap();
    assert_eq!(lease.slot, Slot::REGISTRAR);
    let check = |proof: &crate::LeaseProof, expected: bool| {
        assert_eq!(super::super::holds(bench.look().db(), proof).unwrap(), expected, "{proof:?}");
    };
    let proof = lease.proof(&one.holder);
    check(&proof, true);
    check(&crate::LeaseProof { holder: HolderId::new("two").unwrap(), ..proof.clone() }, false);
    check(&crate::LeaseProof { epoch: 2, ..proof.clone() }, false);
    one.way.release(&one.holder, &[Slot::REGISTRAR]).unwrap();
    check(&proof, false);
    one.claim();
    check(&proof, false);
    check(&one.leases.last().unwrap().proof(&one.holder), true);
}

fn leases_counted_from_a_clock_that_was_wrong_are_not_waited_for() {
    let bench = Bench::new();
    let mut one = bench.sender("one");
    one.way.leave(&one.holder).unwrap();
    one.now = moment(0) + Duration::from_secs(30 * 86_400);
    assert_eq!(one.claim().gained.len(), 257);
    // It was killed, the clock is right again.
    let mut two = bench.sender("two");
    assert_eq!((two.leases.len(), two.claim().holders), (257, 1));
    // A clock that goes back a little takes nothing from one that lives.
    let mut three = bench.sender("three");
    three.now = moment(0) - Duration::from_secs(5);
    assert_eq!((three.claim().gained.len(), three.claim().holders), (0, 2));
    three.now = moment(0) - Duration::from_secs(11);
    assert_eq!((three.claim().leases.len(), three.claim().holders), (257, 1));
}

fn what_ended_processes_hold_is_free_at_once() {
    let mut bench = Bench::new();
    bench.receipts(A, [1]);
    let mut one = bench.sender("one");
    one.derive_all();
    let (id, _) = one.begin(&[1]);
    let mut two = bench.sender("two");
    assert_eq!(two.way.dismiss(&|_| false).unwrap(), []);
    assert_eq!(two.claim().leases.len(), 0);
    assert_eq!(two.way.holdings().unwrap().first().map(|holding| holding.lanes), Some(256));
    let gone = two.way.dismiss(&|holder| holder.as_str() == "one").unwrap();
    assert_eq!(gone, [one.holder.clone()]);
    let claim = two.claim();
    assert_eq!((claim.gained.len(), claim.holders), (257, 1));
    // Should it live all the same, it has lost its leases: nothing is recorded twice.
    let adoption = two.way.adopt(&two.holder, &two.leases, &claim.gained).unwrap();
    assert_eq!(adoption.batches.first().map(|batch| batch.id), Some(id));
    assert_eq!(one.settle(id, vec![(1, taken(1))]).stale, [1]);
}

on_both_engines!(
    one_holder_has_all_and_two_share,
    slots_of_a_holder_that_is_gone_are_taken_after_their_time,
    a_holder_that_does_not_send_takes_no_part_in_the_share,
    holders_that_race_never_hold_the_same,
    results_of_a_lost_lease_are_not_recorded,
    a_lease_that_ran_out_and_nobody_took_is_still_good,
    a_batch_of_which_only_a_part_is_gained_is_dissolved,
    an_answer_that_comes_before_the_new_holder_looks_is_stale_and_lost_for_nobody,
    a_new_batch_needs_its_leases,
    a_proof_is_of_holder_slot_and_epoch,
    leases_counted_from_a_clock_that_was_wrong_are_not_waited_for,
    what_ended_processes_hold_is_free_at_once,
);
