//! The binary `fns-sim` as a stranger meets it: the ready line, the signals, the snapshot, wrong usage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn fns_sim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fns-sim"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// A running simulator with the address line it printed.
struct Running {
    child: Child,
    ready: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended after a clean stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let both = ["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        let mut child = fns_sim(&[&both, arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        Self { child, ready }
    }

    fn control(&self) -> &str {
        self.ready.trim().rsplit_once("http://").unwrap().1
    }

    /// Sends the signal and waits; true when it ended well.
    fn stop(&mut self, signal: &str) -> bool {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        killed.success() && self.child.wait().unwrap().success()
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_says_where_it_listens_and_stops_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certs");
    let snapshot = folder.path().join("state.jsonl");
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start(&[
            "--write-certs",
            &file(&certificates),
            "--snapshot",
            &file(&snapshot),
            "--auto-card",
            "off",
        ]);
        assert!(running.ready.starts_with("ready: https://127.0.0.1:"), "{}", running.ready);
        let config = get(running.control(), "/sim/config");
        assert!(config.starts_with("HTTP/1.1 200") && config.contains("\"autoCard\":false"), "{config}");
        assert!(running.stop(signal));
        assert!(snapshot.exists());
    }
    for name in ["ca.pem", "server.pem", "client.pem", "client.key", "other-ofd.pem", "taxpayer.key"] {
        assert!(certificates.join(name).exists(), "{name}");
    }
    let mut plain = Running::start(&["--plain", "--mode", "429", "--fail-rate", "0.5"]);
    assert!(plain.ready.starts_with("ready: http://127.0.0.1:"), "{}", plain.ready);
    let service = plain.ready.split(' ').nth(1).unwrap().strip_prefix("http://").unwrap().to_owned();
    assert!(get(&service, "/v1/ping").starts_with("HTTP/1.1 429"));
    assert!(plain.stop("-TERM"));
}

#[test]
fn wrong_usage_is_2_and_failure_is_1() {
    let check = |arguments: &[&str], code: i32, text: &str| {
        let Output { status, stdout, stderr } = fns_sim(arguments).output().unwrap();
        let all = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(code), "{arguments:?}: {all}");
        assert!(all.contains(text), "{arguments:?}: {all}");
    };
    check(&["serve", "--help"], 0, "Examples:");
    check(&[], 2, "Usage");
    check(&["serve"], 2, "--write-certs");
    check(&["serve", "--plain", "--write-certs", "x"], 2, "cannot be used");
    check(&["serve", "--plain", "--mode", "sideways"], 2, "drop_after_accept");
    check(&["serve", "--plain", "--listen", "0.0.0.0:0"], 1, "plain http");
    check(&["serve", "--plain", "--control", "0.0.0.0:0"], 1, "loopback");
    check(&["serve", "--plain", "--fail-rate", "2"], 1, "failRate");
}
