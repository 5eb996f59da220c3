//! Registers that come to another node with what they have begun at the first.

use std::time::Duration;

use fiscald_tests::random::{Random, asked_for};
use fiscald_tests::wire::{Register, Storage};
use pg_testing::Cluster;

use fiscald_tests::daemon::Setup;

use crate::place::Place;

/// Nodes that registers reach without a balancer, on one database.
fn nodes(count: usize) -> (Cluster, Vec<Place>) {
    let cluster = Cluster::start();
    let url = cluster.url(&cluster.create_database());
    let mut places: Vec<Place> =
        (0..count).map(|_| Place::new(Setup::new().with("store.url", &url))).collect();
    std::thread::scope(|scope| {
        for place in &mut places {
            scope.spawn(|| place.start());
        }
    });
    (cluster, places)
}

#[test]
fn one_document_at_three_nodes_at_once_gets_one_answer() {
    let rounds = asked_for("FISCALD_TEST_FAILOVER_ROUNDS", 4) * 25;
    let (_cluster, mut places) = nodes(3);
    let addresses: Vec<_> = places.iter_mut().map(|place| place.daemon().registers).collect();
    let storage = Storage::new("9999078900000017");
    let mut registers: Vec<_> = addresses.into_iter().map(Register::connect).collect();
    for fd_number in 1..=u32::try_from(rounds).unwrap() {
        let message = storage.send(fd_number, &storage.receipt(fd_number, 100));
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> =
                registers.iter_mut().map(|register| scope.spawn(|| register.exchange(&message))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(storage.check_answer(&answers[0], fd_number), 0);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "ФД {fd_number}: byte for byte");
    }
    assert_eq!(places[0].setup.export().len(), usize::try_from(rounds).unwrap());
}

#[test]
fn a_register_that_leaves_in_the_middle_is_answered_elsewhere() {
    let rounds = asked_for("FISCALD_TEST_FAILOVER_ROUNDS", 4) * 10;
    let mut random = Random::announced("hopping");
    let (_cluster, mut places) = nodes(2);
    let addresses: Vec<_> = places.iter_mut().map(|place| place.daemon().registers).collect();
    let storage = Storage::new("9999078900000017");
    let count = u32::try_from(rounds).unwrap();
    for fd_number in 1..=count {
        let message = storage.send(fd_number, &storage.receipt(fd_number, 100));
        // A part of it, all of it, or all of it with a wait that ends before, in or after the commit.
        let mut first = Register::connect(addresses[usize::try_from(random.within(0..2)).unwrap()]);
        let part = usize::try_from(random.within(1..u64::try_from(message.len()).unwrap() + 1)).unwrap();
        let sent = if random.within(0..3) == 0 { part } else { message.len() };
        first.write(&message[..sent]);
        std::thread::sleep(Duration::from_micros(random.within(0..8_000)));
        drop(first);
        let mut answers = addresses.iter().map(|to| {
            let answer = Register::connect(*to).exchange(&message);
            assert_eq!(storage.check_answer(&answer, fd_number), 0);
            answer.body
        });
        let answer = answers.next().unwrap();
        assert!(answers.all(|other| other == answer), "ФД {fd_number}: two answers");
    }
    let stored = places[1].setup.export();
    assert_eq!(stored.len(), usize::try_from(count).unwrap());
}
