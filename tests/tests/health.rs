//! What the operator sees: health, readiness, metrics, and the service manager's notices.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use fiscald_tests::daemon::Setup;
use fiscald_tests::wire::{Register, Storage};

const FN: &str = "9999078900000017";

#[test]
fn metrics_count_documents_by_form_code_and_verdict() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    for fd_number in 1..=3 {
        register.exchange(&storage.send(fd_number, &storage.receipt(fd_number, 100)));
    }
    register.exchange(&storage.send(3, &storage.receipt(3, 100)));
    let labels = ["form=\"3\"", "code=\"0\"", "verdict=\"valid\""];
    assert!((daemon.metric("fiscald_documents_total", &labels) - 3.0).abs() < f64::EPSILON);
    assert!((daemon.metric("fiscald_repeats_total", &[]) - 1.0).abs() < f64::EPSILON);
    for stage in ["decode", "open", "check", "seal", "queue", "commit", "write"] {
        let label = format!("stage=\"{stage}\"");
        assert!(daemon.metric("fiscald_stage_seconds_count", &[&label]) > 0.0, "no figures of stage {stage}");
    }
    let (status, text) = daemon.admin("/metrics");
    assert_eq!(status, 200);
    for name in
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next())
    {
        let ours = ["fiscald_", "fns_", "registration_"];
        assert!(name.is_empty() || ours.iter().any(|prefix| name.starts_with(prefix)), "{name}");
    }
}

#[test]
fn readiness_and_health_answer_while_serving() {
    let setup = Setup::new();
    let daemon = setup.start();
    let (status, body) = daemon.admin("/readyz");
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], true);
    assert_eq!(daemon.admin("/healthz").0, 200);
    assert_eq!(daemon.admin("/nothing").0, 404);
}

#[test]
fn without_room_on_the_disk_it_is_silent_and_says_so() {
    // More than any disk has: the daemon is short of room from its start.
    let setup = Setup::new().with("store.min_free_mib", "1000000000");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut register = Register::connect(daemon.registers);
    register.write(&storage.send(1, &storage.receipt(1, 100)));
    assert!(register.silent_for(Duration::from_millis(500)), "no answer, and the connection stays");
    let (status, body) = daemon.admin("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("disk") || body.contains("free"), "{body}");
    assert_eq!(daemon.admin("/healthz").0, 200, "it is alive");
    assert!(daemon.metric("fiscald_rejects_total", &["reason=\"store_unavailable\""]) >= 1.0);
    assert!(setup.export().is_empty());
}

#[test]
fn the_service_manager_hears_of_start_life_and_stop() {
    let setup = Setup::new();
    let path = setup.folder().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut child = setup
        .command(&["serve"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut wait_for = |wanted: &str| {
        let mut buffer = [0; 4096];
        while !seen.contains(wanted) {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted}: {error}; got {seen}"));
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
            seen.push('\n');
        }
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    let killed = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    wait_for("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn serve_without_keys_says_how_to_make_them() {
    let setup = Setup::new().with("signs.test", "false");
    let output = setup.run(&["serve"]);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("fiscald keys generate --purpose msg"), "{text}");
    assert!(text.contains("fiscald keys generate --purpose opr"), "{text}");
}

#[test]
fn generated_keys_make_it_run_and_published_keys_in_a_file_do_not() {
    let setup = Setup::new().with("signs.test", "false");
    let keys = setup.folder().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let path = |purpose: &str| keys.join(format!("{purpose}.keys")).display().to_string();
    for purpose in ["msg", "opr"] {
        let made = setup.run(&["keys", "generate", "--purpose", purpose, "--out", &path(purpose)]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let again = setup.run(&["keys", "generate", "--purpose", purpose, "--out", &path(purpose)]);
        assert!(!again.status.success(), "a key file is never overwritten");
        let checked = setup.run(&["keys", "check", &path(purpose)]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    let setup = setup.with("signs.keys_msg", &path("msg")).with("signs.keys_opr", &path("opr"));
    let daemon = setup.start();
    assert!(daemon.stop().success());

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path("msg"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = setup.run(&["serve"]);
    assert!(!refused.status.success(), "a key file that others can read is refused");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
}

#[test]
fn a_wrong_setting_is_named_with_its_path() {
    let setup = Setup::new().with("ingest.listen", "nonsense");
    let output = setup.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ingest.listen"));
    let setup = Setup::new().with("ingest.no_such_key", "1");
    let output = setup.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no_such_key"));
    assert!(Setup::new().run(&["check-config"]).status.success());
}
