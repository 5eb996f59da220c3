//! Ends that nobody asked for: SIGKILL at random moments, and a process that stands still.

use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::fleet::REGISTERS;
use fiscald_tests::random::{Random, asked_for};

use crate::stand::Stand;

#[test]
fn kills_at_random_points_lose_and_double_nothing() {
    let rounds = asked_for("FISCALD_TEST_KILLS", 6);
    let mut random = Random::announced("kills");
    let mut stand = Stand::new(Setup::new());
    for round in 1..=rounds {
        // Some documents after the start, and then any moment between two instructions.
        stand.fleet.wait_for(random.within(1..200) as usize);
        std::thread::sleep(Duration::from_micros(random.within(0..20_000)));
        stand.kill();
        stand.start();
        if round % 25 == 0 {
            eprintln!("{round} kills, {} answers", stand.fleet.answered());
        }
    }
    stand.fleet.wait_for(REGISTERS);
    let kills = stand.kills();
    let kept = stand.expect_kept("kills");
    // A kill may leave one stored and unanswered document a register; each is sent again and answered from the store.
    assert!(kept.journal <= kept.acknowledged + REGISTERS, "{kept:?}");
    eprintln!("kills: {kills} rounds");
}

#[test]
fn a_process_that_stood_still_goes_on() {
    let seconds = asked_for("FISCALD_TEST_STANDSTILL_S", 2);
    let mut stand = Stand::new(Setup::new());
    stand.daemon().signal("STOP");
    std::thread::sleep(Duration::from_millis(50));
    let before = stand.fleet.answered();
    std::thread::sleep(Duration::from_secs(seconds));
    assert_eq!(stand.fleet.answered(), before);
    stand.daemon().signal("CONT");
    stand.expect_recovery("standstill");
    stand.expect_kept("standstill");
}
