//! Nodes, databases and balancers that are lost under load.

use std::time::Duration;

use fiscald_tests::random::{Random, asked_for};

use crate::stand::Stand;

#[test]
fn a_killed_node_is_not_missed() {
    let mut stand = Stand::new(2, false);
    stand.outage("a node killed", |stand| {
        stand.places[0].kill();
        stand.haproxy.wait_for(&[false, true]);
    });
    stand.outage("the node back, the other killed", |stand| {
        stand.places[0].start();
        stand.haproxy.wait_for(&[true, true]);
        stand.places[1].kill();
    });
    stand.expect_kept("a killed node");
}

#[test]
fn a_promoted_standby_is_found() {
    let mut stand = Stand::new(2, true);
    stand.outage("the primary killed, its standby promoted", Stand::fail_over);
    // The new primary acknowledges alone until it has a standby again; then that one takes over too.
    stand.outage("a new synchronous standby", Stand::rebuild_standby);
    stand.outage("the second primary killed", Stand::fail_over);
    let kept = stand.expect_kept("two failovers");
    assert!(kept.acknowledged > 0);
}

/// Whatever is lost next, and however often: for a few rounds here, for hours by `cargo xtask failover`.
#[test]
fn random_faults_lose_and_double_nothing() {
    let rounds = asked_for("FISCALD_TEST_FAILOVER_ROUNDS", 4);
    let mut random = Random::announced("failover");
    let mut stand = Stand::new(3, true);
    let mut silences: Vec<(&str, Duration)> = Vec::new();
    for round in 1..=rounds {
        // In the middle of whatever is going on.
        std::thread::sleep(Duration::from_micros(random.within(0..50_000)));
        let node = usize::try_from(random.within(0..3)).unwrap();
        let pause = Duration::from_millis(random.within(50..3000));
        let what = match random.within(0..7) {
            0 => "node killed",
            1 => "node paused",
            2 => "primary failed over",
            3 => "primary paused",
            4 => "primary crashed and restarted",
            5 => "standby lost for a while",
            _ => "balancer killed",
        };
        let silence = stand.outage(&format!("round {round}: {what}"), |stand| match what {
            "node killed" => {
                stand.places[node].kill();
                stand.places[node].start();
            }
            "node paused" => {
                stand.places[node].daemon().signal("STOP");
                std::thread::sleep(pause);
                stand.places[node].daemon().signal("CONT");
            }
            "primary failed over" => {
                stand.fail_over();
                stand.rebuild_standby();
            }
            "primary paused" => {
                stand.primary().pause();
                std::thread::sleep(pause);
                stand.primary().resume();
            }
            "primary crashed and restarted" => {
                stand.primary().kill();
                stand.primary().start_again();
            }
            "standby lost for a while" => {
                let standby = 1 - stand.primary;
                stand.clusters[standby].kill();
                std::thread::sleep(pause);
                stand.clusters[standby].start_again();
            }
            _ => {
                stand.haproxy.kill();
                std::thread::sleep(pause);
                stand.haproxy.start_again();
            }
        });
        silences.push((what, silence));
    }
    let kept = stand.expect_kept("random faults");
    silences.sort();
    for (what, silence) in silences {
        eprintln!("{what}: {} ms of silence", silence.as_millis());
    }
    eprintln!("failover: {rounds} rounds, {kept:?}");
}
