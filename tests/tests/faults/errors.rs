//! A disk that reports errors, by the lying layer under SQLite.

use fiscald_tests::daemon::Setup;
use fiscald_tests::random::{Random, asked_for};
use fiscald_tests::shim::Failing::{HalfWrite, Sync, Write};
use fiscald_tests::shim::errno::{EIO, ENOSPC, EROFS};
use fiscald_tests::shim::{Failing, Files};

use crate::stand::Stand;

/// What `/readyz` says of a store that cannot write.
const WORDS: [&str; 3] = ["store", "write", "disk"];

/// Errors of the log end with the errors: the store opens itself anew.
const PASSING: [(&str, Failing, i32); 7] = [
    ("writes of the log, EIO", Write, EIO),
    ("half writes of the log, EIO", HalfWrite, EIO),
    ("writes of the log, no space", Write, ENOSPC),
    ("half writes of the log, no space", HalfWrite, ENOSPC),
    ("writes of the log, read-only", Write, EROFS),
    ("syncs of the log, EIO", Sync, EIO),
    ("syncs of the log, no space", Sync, ENOSPC),
];

#[test]
fn errors_of_the_log_are_silence_and_pass_by_themselves() {
    let mut random = Random::announced("errors");
    let mut stand = Stand::new(Setup::new());
    let rounds = asked_for("FISCALD_TEST_FAULT_ROUNDS", 1) as usize * PASSING.len();
    for round in 0..rounds {
        let (what, failing, error) = PASSING[round % PASSING.len()];
        stand.fleet.wait_for(random.within(1..100) as usize);
        let before = stand.shim.hits();
        stand.shim.fail(Files::Log, failing, error, None);
        stand.expect_silence(what, &WORDS);
        assert!(stand.shim.hits() > before, "{what}: the layer was not met");
        assert!(stand.logged("ERROR", &["store"]), "{what}: {}", stand.log());
        // Now and then the power fails as well.
        let killed = random.within(0..3) == 0;
        if killed {
            stand.kill();
        }
        stand.shim.heal();
        if killed {
            stand.start();
        }
        stand.expect_recovery(what);
    }
    stand.expect_kept("errors of the log");
}

#[test]
fn a_single_failed_write_or_sync_is_not_taken_for_a_commit() {
    let mut random = Random::announced("single errors");
    let mut stand = Stand::new(Setup::new());
    for round in 0..asked_for("FISCALD_TEST_FAULT_ROUNDS", 1) * 6 {
        stand.fleet.wait_for(random.within(1..100) as usize);
        let before = stand.shim.hits();
        let failing = [Write, HalfWrite, Sync][round as usize % 3];
        stand.shim.fail(Files::Log, failing, EIO, Some(1));
        // The batch that met it is repeated by its registers.
        stand.expect_recovery("a single error");
        assert!(stand.shim.hits() > before, "{failing:?}: the layer was not met");
        stand.shim.heal();
    }
    stand.expect_kept("single errors");
}

#[test]
fn a_failed_sync_of_the_database_is_silence_until_a_restart() {
    let mut stand = Stand::new(Setup::new());
    // The failed commit makes the store copy its log into the database, whose syncs fail as well.
    stand.shim.fail(Files::Both, Sync, EIO, None);
    stand.expect_silence("syncs of log and database", &WORDS);
    stand.shim.heal();
    assert_eq!(stand.stop(), Some(1), "documents may not have been written");
    stand.start();
    stand.expect_recovery("restart after a failed sync of the database");
    stand.expect_kept("failed syncs of the database");
}

#[test]
fn failed_writes_of_the_database_lose_nothing() {
    let mut stand = Stand::new(Setup::new());
    stand.shim.fail(Files::Both, Write, EIO, None);
    stand.expect_silence("writes of log and database", &WORDS);
    stand.kill();
    stand.shim.heal();
    stand.start();
    stand.expect_recovery("restart after failed writes of the database");
    stand.expect_kept("failed writes of the database");
}
