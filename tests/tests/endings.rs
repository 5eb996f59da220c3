//! How the daemon ends when it is asked to. Ends that nobody asked for are among the `faults`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::fleet::Fleet;
use fiscald_tests::wire::{Register, Storage};

#[test]
fn a_stop_under_load_finishes_what_was_begun() {
    let setup = Setup::new();
    let fleet = Fleet::start(Duration::from_secs(20));
    for signal in ["TERM", "INT"] {
        let mut daemon = setup.start();
        fleet.aim(Some(daemon.registers));
        fleet.wait_for(100);
        // Nobody connects anew while it stops: a connection that came too late would only be refused.
        daemon.signal(signal);
        let status = daemon.ended();
        fleet.aim(None);
        assert!(status.success(), "{signal}: {status}\n{}", daemon.log().join("\n"));
    }
    fleet.rest();
    let kept = fleet.compare(&setup);
    assert_eq!(kept.journal, kept.acknowledged, "a graceful stop leaves no stored document unanswered");
    fleet.stop();
}

#[test]
fn past_the_grace_period_it_warns_and_exits_with_1() {
    let setup = Setup::new().with("ingest.shutdown_grace_s", "1");
    let mut daemon = setup.start();
    let storage = Storage::new("9999078900000017");
    let sent = storage.send(1, &storage.receipt(1, 100));
    let mut register = Register::connect(daemon.registers);
    // A whole message and half of one that never ends, in one write: when the first is answered, the daemon has the
    // half. It waits for the rest as long as the grace period allows.
    register.write(&[sent.as_slice(), &sent[..sent.len() / 2]].concat());
    register.answer();
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code(), Some(1));
    assert!(daemon.log().iter().any(|line| line.contains("grace period")), "{}", daemon.log().join("\n"));
    assert_eq!(setup.export().len(), 1);
}

#[test]
fn a_second_daemon_on_the_same_port_says_so() {
    let setup = Setup::new();
    let daemon = setup.start();
    let second = Setup::new().with("ingest.listen", &daemon.registers.to_string());
    let output = second.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&daemon.registers.to_string()), "{text}");
}
