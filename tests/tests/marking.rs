//! The marking point of the real program: its own port, its answers, and that it leaves with the rest.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{Register, Storage, message};

/// A message to the marking point: the same header under another signature and other versions.
fn marking(s_version: [u8; 2], flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = message("9999078900000017", [0, 1], flags, body);
    bytes[..4].copy_from_slice(&[0xDD, 0x80, 0xCA, 0xA1]);
    bytes[4..6].copy_from_slice(&s_version);
    bytes
}

fn marking_port(daemon: &mut Daemon) -> SocketAddr {
    daemon.wait_for("the marking point", |daemon| {
        daemon.log().iter().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line["marking"].as_str()?.parse().unwrap())
        })
    })
}

#[test]
fn probes_are_answered_data_is_relayed_and_documents_are_served_beside_it() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap().to_string();
    let setup = Setup::new().with("sister.listen", "127.0.0.1:0").with("sister.upstream", &address);
    let mut daemon = setup.start();
    let port = marking_port(&mut daemon);
    for s_version in [[0x82, 0xA2], [0x82, 0xFB]] {
        let sent = marking(s_version, 0x0010, &[]);
        let answer = Register::connect(port).exchange(&sent);
        assert_eq!(answer.header[..24], sent[..24]);
        assert_eq!(answer.header[24..], [0; 6]);
    }
    let request = marking([0x82, 0xA2], 0x0014, &[81; 400]);
    let reply = marking([0x82, 0xA2], 0x0014, &[83; 300]);
    let seen = std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let (mut stream, _) = upstream.accept().unwrap();
            let mut seen = vec![0; request.len()];
            stream.read_exact(&mut seen).unwrap();
            stream.write_all(&reply).unwrap();
            seen
        });
        let answer = Register::connect(port).exchange(&request);
        assert_eq!([answer.header, answer.body].concat(), reply);
        serving.join().unwrap()
    });
    assert_eq!(seen, request);
    let storage = Storage::new("9999078900000017");
    let document = storage.send(1, &storage.receipt(1, 100));
    let mut wrong_port = Register::connect(port);
    wrong_port.write(&document);
    assert!(wrong_port.closed_silently(), "a fiscal document at the marking point");
    assert_eq!(storage.check_answer(&Register::connect(daemon.registers).exchange(&document), 1), 0);
    let count = |outcome: &str| daemon.metric("fiscald_sister_total", &[&format!("outcome=\"{outcome}\"")]);
    assert_eq!(["probe", "relayed", "refused"].map(count), [2.0, 1.0, 1.0]);
    assert!(daemon.stop().success());
}

#[test]
fn without_an_upstream_data_gets_silence() {
    let setup = Setup::new().with("sister.listen", "127.0.0.1:0");
    let mut daemon = setup.start();
    let port = marking_port(&mut daemon);
    let mut register = Register::connect(port);
    register.write(&marking([0x82, 0xA2], 0x0014, &[81; 400]));
    assert!(register.closed_silently());
    assert!((daemon.metric("fiscald_sister_total", &["outcome=\"no_upstream\""]) - 1.0).abs() < f64::EPSILON);
}
