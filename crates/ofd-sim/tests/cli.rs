//! The binary as a stranger meets it: exit codes, streams, help.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output};

fn kkt_sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kkt-sim")).args(arguments).output().expect("the binary starts")
}

fn check(arguments: &[&str], code: i32, on_stdout: &str, on_stderr: &str) {
    let output = kkt_sim(arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    assert!(stdout.contains(on_stdout), "{arguments:?}: {stdout}");
    assert!(stderr.contains(on_stderr), "{arguments:?}: {stderr}");
}

/// An address that nobody listens on: bound and let go.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address").to_string()
}

#[test]
fn help_has_examples_and_wrong_usage_is_2() {
    for command in ["send", "live", "load", "probe"] {
        check(&[command, "--help"], 0, "Examples:", "");
        check(&[command], 2, "", "--to");
    }
    check(&["load", "--to", "127.0.0.1:1", "--registers", "1"], 2, "", "--documents");
    check(&[], 2, "", "Usage");
}

#[test]
fn failure_is_1() {
    let nobody = nobody();
    check(&["probe", "--to", &nobody], 1, "no connection", "");
    check(&["probe", "--to", &nobody, "--json"], 1, "\"answered\":false", "");
    check(&["probe", "--to", "no-port"], 1, "", "address no-port");
    check(&["send", "/nonexistent/capture", "--to", &nobody], 1, "cannot be read", "");
    check(
        &["live", "--to", &nobody, "--registers", "1", "--receipts", "1", "--attempts", "1"],
        1,
        "1 gave up",
        "no connection",
    );
    check(
        &["load", "--to", &nobody, "--registers", "1", "--documents", "1", "--give-up-s", "0.01"],
        1,
        "",
        "opening a register",
    );
}

#[test]
fn an_acknowledgement_is_refused_with_its_reason() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let captures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures");
    let ack = std::fs::read(captures.join("container_ack7_taxcom_flk14_9999078902013267_fd1.bin")).unwrap();
    file.write_all(hex::encode(ack).as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    check(&["send", path, "--to", &nobody()], 1, "acknowledgement", "");
    check(&["send", path, "--to", &nobody(), "--json"], 1, "\"answer\":null", "");
}
