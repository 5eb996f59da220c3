//! A clock that jumps. A wrong clock would refuse honest receipts for ever (code 14 for a time in the future), so
//! nothing is answered until it agrees again or a person has confirmed it.

use fiscald_tests::daemon::Setup;
use fiscald_tests::random::Random;

use crate::stand::Stand;

const HOUR_S: u64 = 3_600;

#[test]
fn a_clock_that_jumps_makes_silence_until_it_agrees_again() {
    let mut random = Random::announced("clock");
    let mut stand = Stand::new(Setup::new());
    for sign in [1, -1, 1, -1] {
        let jump_s = sign * i64::try_from(random.within(90..400 * 24 * HOUR_S)).unwrap();
        let what = format!("clock moved by {jump_s} s");
        stand.shim.clock(jump_s);
        stand.expect_silence(&what, &["clock"]);
        assert!(stand.logged("ERROR", &["clock"]), "{}", stand.log());
        stand.shim.clock(0);
        stand.expect_recovery(&what);
    }
    stand.expect_kept("clock");
}

#[test]
fn a_small_step_is_nothing() {
    let mut stand = Stand::new(Setup::new());
    stand.shim.clock(20);
    stand.fleet.wait_for(100);
    assert_eq!(stand.daemon().admin("/readyz").0, 200);
    stand.expect_kept("small step");
}

#[test]
fn a_clock_behind_the_newest_acknowledgement_is_not_trusted_at_the_start() {
    let mut stand = Stand::new(Setup::new());
    assert_eq!(stand.stop(), Some(0));
    stand.shim.clock(-i64::try_from(30 * 24 * HOUR_S).unwrap());
    stand.start();
    stand.expect_silence("clock a month behind", &["clock"]);
    stand.shim.clock(0);
    stand.expect_recovery("clock a month behind");
    stand.expect_kept("clock a month behind");
}

#[test]
fn an_operator_may_confirm_the_clock() {
    let mut stand = Stand::new(Setup::new());
    // The clock was an hour behind until now, and is put right: only a person can know.
    stand.shim.clock(i64::try_from(HOUR_S).unwrap());
    stand.expect_silence("clock put right", &["clock"]);
    let confirmed = stand.setup.run(&["clock", "confirm", "--yes"]);
    assert!(confirmed.status.success(), "{}", String::from_utf8_lossy(&confirmed.stderr));
    stand.expect_recovery("confirmed clock");
    // The confirmation was wrong: the way back is the same.
    stand.shim.clock(0);
    stand.expect_silence("clock behind what was acknowledged", &["clock"]);
    let confirmed = stand.setup.run(&["clock", "confirm", "--yes"]);
    assert!(confirmed.status.success(), "{}", String::from_utf8_lossy(&confirmed.stderr));
    stand.expect_recovery("clock confirmed again");
    // And a restart remembers it.
    assert_eq!(stand.stop(), Some(0));
    stand.start();
    stand.expect_recovery("restart after a confirmation");
    stand.expect_kept("confirmed clock");
}
