//! A store that was moved from SQLite goes on as the same store.

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{Register, Storage};
use pg_testing::Cluster;

const FN: &str = "8710000100000017";
const DEBUG_FN: &str = "9999078900000017";

/// A message, the code it was answered with, and the answer.
struct Exchange {
    fd_number: u32,
    message: Vec<u8>,
    answer: Vec<u8>,
}

/// One register at a daemon.
struct Till {
    storage: Storage,
    register: Register,
}

impl Till {
    fn new(fn_number: &str, daemon: &Daemon) -> Self {
        Self { storage: Storage::new(fn_number), register: Register::connect(daemon.registers) }
    }

    fn send(&mut self, fd_number: u32, document: &[u8], code: u8) -> Exchange {
        let message = self.storage.send(fd_number, document);
        let answer = self.register.exchange(&message);
        assert_eq!(self.storage.check_answer(&answer, fd_number), code, "ФД {fd_number}");
        Exchange { fd_number, message, answer: answer.body }
    }

    /// What was answered once is answered the same, byte for byte.
    fn repeat(&mut self, exchanges: &[Exchange]) {
        for exchange in exchanges {
            let answer = self.register.exchange(&exchange.message);
            assert_eq!(answer.body, exchange.answer, "ФД {}", exchange.fd_number);
        }
    }
}

/// Everything a journal may hold: a registration, receipts, one with a hard finding, another content under a known
/// number, and a debug ФН that began anew.
fn stocked(daemon: &Daemon) -> [Vec<Exchange>; 2] {
    let mut till = Till::new(FN, daemon);
    let storage = till.storage.clone();
    let plain = vec![
        till.send(1, &storage.registration(1, "0128003270"), 0),
        till.send(2, &storage.shift_open(2), 0),
        till.send(3, &storage.receipt_of(3, 1, 100, 100), 0),
        till.send(4, &storage.receipt_of(4, 2, 500, 300), 14),
        till.send(4, &storage.receipt_of(4, 2, 200, 200), 0),
        till.send(5, &storage.receipt_of(5, 3, 100, 100), 0),
    ];
    let mut till = Till::new(DEBUG_FN, daemon);
    let storage = till.storage.clone();
    let debug = vec![
        till.send(1, &storage.registration(1, "0128003271"), 0),
        till.send(2, &storage.receipt_of(2, 1, 100, 100), 0),
        till.send(1, &storage.registration(1, "0128003272"), 0),
        till.send(2, &storage.receipt_of(2, 1, 300, 300), 0),
    ];
    [plain, debug]
}

/// Number, chain and conflict of the newest documents of a ФН, the newest first.
fn places(setup: &Setup, fn_number: &str, newest: usize) -> Vec<(u64, u64, u64)> {
    let listed = setup.json(&["documents", "list", "--fn", fn_number, "--limit", "50", "--json"]);
    let rows = listed.as_array().or_else(|| listed["documents"].as_array()).unwrap();
    let number = |row: &serde_json::Value, key: &str| row[key].as_u64().unwrap();
    let place = |row| (number(row, "fd"), number(row, "chain"), number(row, "conflict_no"));
    rows.iter().take(newest).map(place).collect()
}

#[test]
fn a_moved_store_repeats_appends_and_contradicts_as_the_old_one_would() {
    let old = Setup::new();
    let daemon = old.start();
    let [plain, debug] = stocked(&daemon);
    assert!(daemon.stop().success());
    let before = old.export();
    assert_eq!(before.len(), plain.len() + debug.len());

    let cluster = Cluster::start();
    let new = old.clone().with("store.url", &cluster.url(&cluster.create_database()));
    let from = format!("sqlite:{}", old.folder().join("fiscald.db").display());
    let moved = new.run(&["migrate", "--from", &from]);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(new.export(), before);

    // Twice: the second daemon finds what the first one wrote beside what was moved.
    let (mut more, mut debug_more) = (Vec::new(), Vec::new());
    for round in 0..2 {
        let daemon = new.start();
        let mut till = Till::new(FN, &daemon);
        till.repeat(&plain);
        till.repeat(&more);
        let mut debug_till = Till::new(DEBUG_FN, &daemon);
        debug_till.repeat(&debug);
        debug_till.repeat(&debug_more);
        assert_eq!(new.export().len(), before.len() + more.len() + debug_more.len(), "a repeat was stored");
        if round == 0 {
            let storage = till.storage.clone();
            // New; another content under a number that was moved, and under one that had another already.
            more.push(till.send(6, &storage.receipt_of(6, 4, 100, 100), 0));
            more.push(till.send(3, &storage.receipt_of(3, 1, 700, 700), 0));
            more.push(till.send(4, &storage.receipt_of(4, 2, 800, 800), 0));
            assert_eq!(places(&new, FN, 3), [(4, 0, 2), (3, 0, 1), (6, 0, 0)]);
            // The debug ФН goes on in its newest chain, and may begin the next one.
            let storage = debug_till.storage.clone();
            debug_more.push(debug_till.send(3, &storage.receipt_of(3, 2, 100, 100), 0));
            debug_more.push(debug_till.send(1, &storage.registration(1, "0128003273"), 0));
            assert_eq!(places(&new, DEBUG_FN, 2), [(1, 2, 0), (3, 1, 0)]);
        }
        assert!(daemon.stop().success());
    }
    let after = new.export();
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.len(), before.len() + more.len() + debug_more.len());
    let verified = new.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
