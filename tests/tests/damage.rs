//! Damaged and hostile input: silence, a reason in the metrics, and no harm to anybody else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::time::Duration;

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::wire::{FLAGS_FULL_CRC, FLAGS_HEADER_CRC, FLAGS_PLAIN, Register, Storage, message, seal};

const FN: &str = "9999078900000017";

/// Sends the bytes on a connection of their own; the daemon must close without a word, count it under the reason, and
/// go on serving others.
fn closes(daemon: &mut Daemon, what: &str, reason: &str, bytes: &[u8]) {
    let label = format!("reason=\"{reason}\"");
    let before = daemon.metric("fiscald_rejects_total", &[&label]);
    let mut register = Register::connect(daemon.registers);
    // The daemon may close before it has read everything.
    drop(register.try_write(bytes));
    assert!(register.closed_silently(), "{what}");
    let after = daemon.metric("fiscald_rejects_total", &[&label]);
    assert!((after - before - 1.0).abs() < f64::EPSILON, "{what}: {reason} was {before} and is {after}");
}

#[test]
fn every_kind_of_damage_closes_the_connection_without_an_answer() {
    let setup = Setup::new();
    let mut daemon = setup.start();
    let storage = Storage::new(FN);
    let good = storage.send(1, &storage.receipt(1, 100));
    let change = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        bytes
    };
    closes(&mut daemon, "signature", "signature", &change(0, 0));
    closes(&mut daemon, "S-version", "s_version", &change(5, 0));
    closes(&mut daemon, "P-version", "p_version", &change(6, 9));
    closes(&mut daemon, "ФН with a letter", "fn_number", &change(8, b'x'));
    closes(&mut daemon, "check code mode 11", "crc_mode", &change(26, 0x17));
    closes(&mut daemon, "capability 10", "capability", &change(26, 0x24));
    closes(&mut daemon, "capability 11", "capability", &change(26, 0x34));
    closes(&mut daemon, "a body that is no container", "body_without_container", &change(26, 0x10));
    closes(&mut daemon, "a container of no bytes", "empty_container", &message(FN, [1, 5], FLAGS_PLAIN, &[]));
    closes(
        &mut daemon,
        "a body shorter than a container",
        "container_length",
        &message(FN, [1, 5], FLAGS_PLAIN, &[0; 10]),
    );
    closes(&mut daemon, "a flipped bit in the body", "container_crc", &change(90, good[90] ^ 1));
    closes(&mut daemon, "container length", "container_length", &change(30, good[30] ^ 1));
    closes(&mut daemon, "a wrong session check code", "message_crc", &{
        let mut bytes = message(FN, [1, 5], FLAGS_FULL_CRC, &good[30..]);
        bytes[28] ^= 1;
        bytes
    });
    closes(&mut daemon, "a wrong header check code", "header_crc", &{
        let mut bytes = message(FN, [1, 5], FLAGS_HEADER_CRC, &good[30..]);
        bytes[28] ^= 1;
        // The header alone is enough to see it; nobody waits for the body of a header that is damaged.
        bytes.truncate(30);
        bytes
    });
    closes(&mut daemon, "a request line shorter than a header", "signature", b"GET / HTTP/1.0\r\n\r\n");
    let container = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut container = good[30..].to_vec();
        edit(&mut container);
        seal(&mut container);
        message(FN, [1, 5], FLAGS_PLAIN, &container)
    };
    closes(&mut daemon, "an operator's container", "container_kind", &container(&|bytes| bytes[4] = 0x5A));
    closes(
        &mut daemon,
        "a container of another ФН",
        "container_foreign_fn",
        &container(&|bytes| bytes[16] ^= 1),
    );
    closes(&mut daemon, "a container with ФД 0", "container_fd", &container(&|bytes| bytes[17..20].fill(0)));
    closes(&mut daemon, "garbage", "signature", &[0x55; 4096]);
    closes(&mut daemon, "an HTTP request", "signature", b"GET / HTTP/1.1\r\nHost: ofd.example\r\n\r\n");
    let mut too_long = good.clone();
    too_long[24..26].copy_from_slice(&0xFFFFu16.to_le_bytes());
    closes(&mut daemon, "64 KiB", "body_size", &too_long);

    assert_eq!(setup.export().len(), 0, "nothing of it is in the journal");
    let answer = Register::connect(daemon.registers).exchange(&good);
    assert_eq!(storage.check_answer(&answer, 1), 0, "an honest register is still served");
}

#[test]
fn a_peer_that_names_many_storages_does_not_swell_the_log() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let mut daemon = setup.start();
    let mut register = Register::connect(daemon.registers);
    for number in 0..300 {
        let storage = Storage::new(&format!("99990789{number:08}"));
        register.write(&storage.send(1, &storage.receipt(1, 100)));
    }
    daemon.wait_for("300 copies in quarantine", |daemon| {
        (daemon.metric("fiscald_quarantined_total", &[]) >= 300.0).then_some(())
    });
    let longest = daemon.log().iter().map(String::len).max().unwrap();
    assert!(longest < 1000, "a line of {longest} bytes");
    let refusals = daemon.log().iter().filter(|line| line.contains("unknown_fn_held")).count();
    assert!((1..=100).contains(&refusals), "{refusals} lines for 300 refusals");
    let named = daemon.log().iter().any(|line| {
        line.contains("\"fn_number\":\"9999078900000000\"")
            && line.contains("\"fd_number\":1")
            && line.contains("peer")
    });
    assert!(named, "a refusal names peer, ФН and ФД:\n{}", daemon.log().join("\n"));
}

#[test]
fn a_flood_for_quarantine_is_counted_to_the_last_message_and_honest_registers_are_served() {
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let added = setup.start();
    assert!(setup.run(&["registers", "add", "--fn", FN]).status.success());
    drop(added);
    let mut daemon = setup.start();
    let mut flood = Vec::new();
    for peer in 0..40 {
        let mut register = Register::connect(daemon.registers);
        for number in 0..20 {
            let stranger = Storage::new(&format!("99991234{:08}", peer * 20 + number));
            register.write(&stranger.send(1, &stranger.receipt(1, 100)));
        }
        flood.push(register);
    }
    let storage = Storage::new(FN);
    let answer = Register::connect(daemon.registers).exchange(&storage.send(1, &storage.receipt(1, 100)));
    assert_eq!(storage.check_answer(&answer, 1), 0);
    daemon.wait_for("an account of all 800 messages", |daemon| {
        let kept = daemon.metric("fiscald_quarantined_total", &[]);
        let not_kept = daemon.metric("fiscald_quarantine_not_kept_total", &[]);
        (kept + not_kept >= 800.0).then_some(())
    });
    assert_eq!(setup.export().len(), 1);
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
