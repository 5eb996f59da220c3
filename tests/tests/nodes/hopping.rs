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
    // Documents of a debug ФН are judged one by one, those of others by their keys.
    for fn_number in ["9999078900000017", "9280910000000017"] {
        at_three_nodes_at_once(fn_number);
    }
}

fn at_three_nodes_at_once(fn_number: &str) {
    let rounds = asked_for("FISCALD_TEST_FAILOVER_ROUNDS", 4) * 25;
    let (_cluster, mut places) = nodes(3);
    let addresses: Vec<_> = places.iter_mut().map(|place| place.daemon().registers).collect();
    let storage = Storage::new(fn_number);
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

/// What the other node took is not missing, and a register known by its number is judged by all of its documents.
#[test]
fn a_register_between_two_nodes_leaves_no_findings_about_its_numbers() {
    let mut random = Random::announced("numbers");
    let (_cluster, mut places) = nodes(2);
    let storage = Storage::new("9280910000000017");
    let mut registers: Vec<_> =
        places.iter_mut().map(|place| Register::connect(place.daemon().registers)).collect();
    for fd_number in 1..=60 {
        let register = &mut registers[usize::try_from(random.within(0..2)).unwrap()];
        let answer = register.exchange(&storage.send(fd_number, &storage.receipt(fd_number, 100)));
        assert_eq!(storage.check_answer(&answer, fd_number), 0);
    }
    let numbering =
        |place: &mut Place| place.daemon().metric("fiscald_findings_total", &["rule=\"numbering.document\""]);
    let found: Vec<String> = places.iter_mut().map(|place| numbering(place).to_string()).collect();
    assert_eq!(found, ["0", "0"]);
    // The rule itself is on: a number that nobody took is missed.
    let answer = registers[0].exchange(&storage.send(100, &storage.receipt(100, 100)));
    assert_eq!(storage.check_answer(&answer, 100), 0);
    assert_eq!(numbering(&mut places[0]).to_string(), "1");
}

/// Its next document finds it known at the other node, however soon it comes.
#[test]
fn a_register_let_in_at_one_node_is_known_at_the_other() {
    let cluster = Cluster::start();
    let url = cluster.url(&cluster.create_database());
    let setup = || Setup::new().with("store.url", &url).with("registration.unknown_fn", "hold");
    let mut places = [Place::new(setup()), Place::new(setup())];
    places.iter_mut().for_each(Place::start);
    let serials: Vec<String> = (1..=12).map(|number| format!("00001{number:02}")).collect();
    for serial in &serials {
        let added = places[0].setup.run(&["registers", "add", "--kkt-serial", serial]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
    let [mut here, mut there] = places.each_mut().map(|place| Register::connect(place.daemon().registers));
    for (number, serial) in (10..).zip(&serials) {
        let storage = Storage::new(&format!("92809100000000{number}"));
        let answer = here.exchange(&storage.send(1, &storage.registration(1, serial)));
        assert_eq!(storage.check_answer(&answer, 1), 0);
        let answer = there.exchange(&storage.send(2, &storage.receipt(2, 100)));
        assert_eq!(storage.check_answer(&answer, 2), 0, "{serial}");
    }
    assert_eq!(places[0].setup.export().len(), 2 * serials.len());
    // A stranger stays one.
    let storage = Storage::new("9280910000000099");
    there.write(&storage.send(2, &storage.receipt(2, 100)));
    assert!(there.silent_for(Duration::from_secs(1)));
    let held = ["reason=\"unknown_fn_held\""];
    for (place, expected) in places.iter_mut().zip(["0", "1"]) {
        assert_eq!(place.daemon().metric("fiscald_rejects_total", &held).to_string(), expected);
    }
}

#[test]
fn a_register_that_leaves_in_the_middle_is_answered_elsewhere() {
    for fn_number in ["9999078900000017", "9280910000000017"] {
        leaves_in_the_middle(fn_number);
    }
}

fn leaves_in_the_middle(fn_number: &str) {
    let rounds = asked_for("FISCALD_TEST_FAILOVER_ROUNDS", 4) * 10;
    let mut random = Random::announced("hopping");
    let (_cluster, mut places) = nodes(2);
    let addresses: Vec<_> = places.iter_mut().map(|place| place.daemon().registers).collect();
    let storage = Storage::new(fn_number);
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
