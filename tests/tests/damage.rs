//! Damaged and hostile input: silence, a reason in the metrics, and no harm to anybody else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::time::Duration;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{FLAGS_FULL_CRC, FLAGS_PLAIN, Register, Storage, message, seal};

const FN: &str = "9999078900000017";

/// Sends the bytes on a connection of their own; the daemon must close without a word and go on serving others.
fn closes(daemon: &Daemon, what: &str, bytes: &[u8]) {
    let mut register = Register::connect(daemon.registers);
    // The daemon may close before it has read everything.
    drop(register.try_write(bytes));
    assert!(register.closed_silently(), "{what}");
}

#[test]
fn every_kind_of_damage_closes_the_connection_without_an_answer() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let good = storage.send(1, &storage.receipt(1, 100));
    let change = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        bytes
    };
    closes(&daemon, "signature", &change(0, 0));
    closes(&daemon, "S-version", &change(5, 0));
    closes(&daemon, "P-version", &change(6, 9));
    closes(&daemon, "ФН with a letter", &change(8, b'x'));
    closes(&daemon, "check code mode 11", &change(26, 0x17));
    closes(&daemon, "capability 10", &change(26, 0x24));
    closes(&daemon, "capability 11", &change(26, 0x34));
    closes(&daemon, "a body that is no container", &change(26, 0x10));
    closes(&daemon, "a container of no bytes", &message(FN, [1, 5], FLAGS_PLAIN, &[]));
    closes(&daemon, "a body shorter than a container", &message(FN, [1, 5], FLAGS_PLAIN, &[0; 10]));
    closes(&daemon, "a flipped bit in the body", &change(90, good[90] ^ 1));
    closes(&daemon, "container length", &change(30, good[30] ^ 1));
    closes(&daemon, "a wrong session check code", &{
        let mut bytes = message(FN, [1, 5], FLAGS_FULL_CRC, &good[30..]);
        bytes[28] ^= 1;
        bytes
    });
    let container = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut container = good[30..].to_vec();
        edit(&mut container);
        seal(&mut container);
        message(FN, [1, 5], FLAGS_PLAIN, &container)
    };
    closes(&daemon, "an operator's container", &container(&|bytes| bytes[4] = 0x5A));
    closes(&daemon, "a container of another ФН", &container(&|bytes| bytes[16] ^= 1));
    closes(&daemon, "a container with ФД 0", &container(&|bytes| bytes[17..20].fill(0)));
    closes(&daemon, "garbage", &[0x55; 4096]);
    closes(&daemon, "an HTTP request", b"GET / HTTP/1.1\r\nHost: ofd.example\r\n\r\n");
    let mut too_long = good.clone();
    too_long[24..26].copy_from_slice(&0xFFFFu16.to_le_bytes());
    closes(&daemon, "64 KiB", &too_long);

    assert_eq!(setup.export().len(), 0, "nothing of it is in the journal");
    assert!(daemon.metric("fiscald_rejects_total", &[]) >= 19.0);
    let answer = Register::connect(daemon.registers).exchange(&good);
    assert_eq!(storage.check_answer(&answer, 1), 0, "an honest register is still served");
}

#[test]
fn a_damaged_message_does_not_take_back_the_answers_before_it() {
    let setup = Setup::new();
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut stream = Vec::new();
    for fd_number in 1..=3 {
        stream.extend(storage.send(fd_number, &storage.receipt(fd_number, 100)));
    }
    stream.extend([0u8; 64]);
    let mut register = Register::connect(daemon.registers);
    register.write(&stream);
    for fd_number in 1..=3 {
        assert_eq!(storage.check_answer(&register.answer(), fd_number), 0);
    }
    assert!(register.closed_silently());
}

#[test]
fn a_peer_that_dribbles_is_closed_after_the_message_time() {
    let setup = Setup::new().with("ingest.message_timeout_s", "1");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let good = storage.send(1, &storage.receipt(1, 100));
    let mut register = Register::connect(daemon.registers);
    let mut sent = 0;
    for byte in &good {
        if register.try_write(&[*byte]).is_err() {
            break;
        }
        sent += 1;
        if !register.silent_for(Duration::from_millis(50)) {
            break;
        }
    }
    assert!(sent > 1 && sent < good.len(), "closed after {sent} of {} bytes", good.len());
    assert!(setup.export().is_empty());
}

#[test]
fn an_idle_peer_is_closed_after_the_idle_time() {
    let setup = Setup::new().with("ingest.idle_timeout_s", "1");
    let daemon = setup.start();
    assert!(Register::connect(daemon.registers).closed_silently());
}

#[test]
fn connections_past_the_limit_are_refused_and_others_served() {
    let setup = Setup::new().with("ingest.max_connections_per_ip", "3");
    let daemon = setup.start();
    let storage = Storage::new(FN);
    let mut held: Vec<_> = (0..3).map(|_| Register::connect(daemon.registers)).collect();
    for register in &mut held {
        register.exchange(&message(FN, [1, 5], 0x0010, &[]));
    }
    assert!(Register::connect(daemon.registers).closed_silently(), "the fourth");
    let answer = held[0].exchange(&storage.send(1, &storage.receipt(1, 100)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
}
