//! `kkt-sim replay`: capture files of every kind of disorder, and the recorded stream against the real daemon.
//!
//! The small files in `proto-fixtures/streams/made` are written by [`made`]: `UPDATE_STREAMS=1 cargo test -p
//! fiscald-tests --test replay` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fiscald_tests::daemon::{Daemon, Setup, program};
use fiscald_tests::pcap::{ACK, FIN, RST, SYN, Writer};
use fiscald_tests::wire::{FLAGS_PLAIN, container, message, tlv};
use fiscald_tests::{fixtures, tshark};
use serde_json::Value;

const TILL: u16 = 40_001;
const OPERATOR: u16 = 7777;

fn kkt_sim(arguments: &[&str]) -> Output {
    Command::new(program("kkt-sim")).args(arguments).output().unwrap()
}

/// What `--list` finds in a file, a member a message.
fn list(path: &Path) -> Vec<Value> {
    let output = kkt_sim(&["replay", path.to_str().unwrap(), "--list"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Bytes of both directions by connection.
type Streams = BTreeMap<u64, [Vec<u8>; 2]>;

fn streams(path: &Path) -> Streams {
    let mut found = Streams::new();
    for line in list(path) {
        let streams = found.entry(line["flow"].as_u64().unwrap()).or_default();
        streams[0].extend(hex::decode(line["message"].as_str().unwrap()).unwrap());
        if let Some(answer) = line["answer"].as_str() {
            streams[1].extend(hex::decode(answer).unwrap());
        }
    }
    found
}

/// The same as tshark puts them together; the register is the end whose bytes came first.
fn tshark_streams(path: &Path, count: u64) -> Streams {
    let mut command = Command::new("tshark");
    command.args(["-q", "-r"]).arg(path);
    for flow in 0..count {
        command.args(["-z", &format!("follow,tcp,raw,{flow}")]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Streams::new();
    let mut flow = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(filter) = line.strip_prefix("Filter: tcp.stream eq ") {
            flow = filter.parse().unwrap();
            found.insert(flow, Default::default());
        } else if let (Some(streams), Ok(bytes)) = (found.get_mut(&flow), hex::decode(line.trim())) {
            streams[usize::from(line.starts_with('\t'))].extend(bytes);
        }
    }
    found
}

/// Five messages of one storage, one behind the other: 240 bytes each, whole on the wire, of no use as receipts.
fn receipts() -> Vec<u8> {
    let number = "9999000700000300";
    (1..=5_u8)
        .flat_map(|fd| {
            let mut document = vec![3, 0, 164, 0];
            document.extend(tlv(1040, &[fd, 0, 0, 0]));
            document.extend(tlv(1048, &[b'a' + fd; 152]));
            let container = container(0xA5, 3, number, fd.into(), &document, [0x81, 6, 1, 2, 3, 4, 5, fd]);
            message(number, [1, 0x20], FLAGS_PLAIN, &container)
        })
        .collect()
}

/// Offsets of the pieces of a stream.
fn pieces(length: usize, size: usize) -> Vec<(usize, usize)> {
    (0..length).step_by(size).map(|start| (start, (start + size).min(length))).collect()
}

/// One connection of [`receipts`]: the pieces in the given order, numbered from `first`; `opened` with its SYN.
fn connection(first: u32, opened: bool, order: &[(usize, usize)]) -> Writer {
    let stream = receipts();
    let mut writer = Writer::new();
    if opened {
        writer.frame([TILL, OPERATOR], first.wrapping_sub(1), SYN, b"");
        writer.frame([OPERATOR, TILL], 0, SYN | ACK, b"");
    }
    for (start, end) in order {
        let number = first.wrapping_add(u32::try_from(*start).unwrap());
        writer.frame([TILL, OPERATOR], number, ACK, &stream[*start..*end]);
    }
    writer.frame([TILL, OPERATOR], first.wrapping_add(u32::try_from(stream.len()).unwrap()), FIN | ACK, b"");
    writer
}

/// The files of `proto-fixtures/streams/made`: name, bytes, and how many of the five messages they hold whole.
fn made() -> Vec<(&'static str, Vec<u8>, usize)> {
    let length = receipts().len();
    let in_order = pieces(length, 100);
    let twice: Vec<_> = in_order.iter().flat_map(|piece| [*piece, *piece]).collect();
    let swapped: Vec<_> = in_order.chunks(2).flat_map(|pair| pair.iter().rev().copied()).collect();
    let backwards: Vec<_> = in_order.iter().rev().copied().collect();
    let overlapping: Vec<_> =
        in_order.iter().map(|(start, end)| (start.saturating_sub(37), (end + 21).min(length))).collect();
    let mut hole = in_order.clone();
    hole.remove(9);
    let near_the_end = u32::MAX - 250;
    let mut reset = connection(1000, true, &in_order[..8]);
    reset.frame([TILL, OPERATOR], 1000 + 800, RST | ACK, b"");
    // The stream has 5 messages of 240 bytes; the hole begins with byte 900, the reset follows byte 800.
    let whole_before = |bytes: usize| bytes / (length / 5);
    vec![
        ("in-order.pcap", connection(1000, true, &in_order).bytes(), 5),
        ("retransmission.pcap", connection(1000, true, &twice).bytes(), 5),
        ("out-of-order.pcap", connection(1000, true, &swapped).bytes(), 5),
        ("backwards.pcap", connection(1000, true, &backwards).bytes(), 5),
        ("overlap.pcap", connection(1000, true, &overlapping).bytes(), 5),
        ("wrap.pcap", connection(near_the_end, true, &swapped).bytes(), 5),
        ("wrap-retransmission.pcap", connection(near_the_end, true, &twice).bytes(), 5),
        ("no-syn.pcap", connection(1000, false, &in_order).bytes(), 5),
        ("hole.pcap", connection(1000, true, &hole).bytes(), whole_before(900)),
        ("reset.pcap", reset.bytes(), whole_before(800)),
    ]
}

fn made_folder() -> PathBuf {
    fixtures().join("streams/made")
}

#[test]
fn disorder_of_segments_is_put_right() {
    for (name, bytes, messages) in made() {
        let path = made_folder().join(name);
        if std::env::var_os("UPDATE_STREAMS").is_some() {
            std::fs::create_dir_all(made_folder()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == bytes,
            "{name} is stale: run this test once with UPDATE_STREAMS=1"
        );
        let found = streams(&path);
        let whole = receipts();
        let expected = &whole[..messages * whole.len() / 5];
        assert_eq!(list(&path).len(), messages, "{name}");
        assert!(found[&0][0] == expected, "{name}: the bytes differ");
    }
}

#[test]
fn tshark_puts_the_same_streams_together() {
    if !tshark::is_there() {
        return;
    }
    let whole: Vec<PathBuf> = made()
        .into_iter()
        .filter(|(_, _, messages)| *messages == 5)
        .map(|(name, ..)| made_folder().join(name))
        .collect();
    for path in
        whole.iter().chain(&[fixtures().join("streams/live.pcap"), fixtures().join("streams/live.pcapng")])
    {
        let ours = streams(path);
        let theirs = tshark_streams(path, u64::try_from(ours.len()).unwrap());
        assert!(!ours.is_empty());
        for (flow, streams) in &ours {
            assert!(theirs[flow] == *streams, "{}: connection {flow} differs", path.display());
        }
        assert_eq!(theirs.len(), ours.len());
    }
}

/// Replays into a daemon and returns the report and whether the exit code was 0.
fn replay(daemon: &Daemon, capture: &Path, more: &[&str]) -> (Value, bool) {
    let to = daemon.registers.to_string();
    let mut arguments = vec!["replay", capture.to_str().unwrap(), "--to", &to, "--json"];
    arguments.extend(more);
    let output = kkt_sim(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {errors}"));
    eprintln!("{arguments:?}: {report}\n{errors}");
    (report, output.status.success())
}

#[test]
fn the_recorded_stream_is_answered_as_it_was() {
    let capture = fixtures().join("streams/live.pcapng");
    let listed = list(&capture);
    let documents: BTreeMap<&str, &Value> =
        listed.iter().map(|line| (line["name"].as_str().unwrap(), line)).collect();
    let probes = listed.iter().filter(|line| line["name"].as_str().unwrap().starts_with("probe")).count();
    for mode in ["captured", "persistent", "per-document", "window=8"] {
        let setup = Setup::new();
        let daemon = setup.start();
        let more = ["--speed", "max", "--mode", mode, "--check", "signs", "--timeout-s", "60"];
        let (report, clean) = replay(&daemon, &capture, &more);
        assert!(clean, "{mode}");
        let sent = u64::try_from(listed.len()).unwrap();
        assert_eq!(report["sent"], sent, "{mode}");
        assert_eq!(report["documents"], sent, "{mode}");
        assert_eq!(report["probes"], probes, "{mode}");
        assert_eq!(report["same_as_captured"], sent, "{mode}");
        for member in ["missing", "wrong", "other_code", "other_bytes", "reconnects"] {
            assert_eq!(report[member], 0, "{mode}: {member}");
        }
        if mode == "captured" {
            // The same again: every answer is the stored one.
            let (again, clean) = replay(&daemon, &capture, &more);
            assert!(clean);
            assert_eq!(again["same_as_captured"], sent);
        }
        assert!(daemon.stop().success());
        // Repeats in the capture, and the whole second replay, left nothing new.
        assert_eq!(setup.export().len(), documents.len() - usize::from(probes > 0), "{mode}");
    }
}

#[test]
fn original_timing_is_kept_and_a_limit_too() {
    let setup = Setup::new();
    let daemon = setup.start();
    let capture = fixtures().join("streams/live.pcap");
    let moments: Vec<f64> = list(&capture).iter().map(|line| line["at"].as_f64().unwrap()).collect();
    let span = moments.iter().copied().fold(0.0, f64::max) - moments.iter().copied().fold(f64::MAX, f64::min);
    let (report, clean) = replay(&daemon, &capture, &["--speed", "0.5", "--timeout-s", "60"]);
    assert!(clean);
    assert!(report["seconds"].as_f64().unwrap() >= span * 2.0, "{report} in {span} s of capture");
    let (report, clean) = replay(&daemon, &capture, &["--speed", "max", "--limit", "3"]);
    assert!(clean);
    assert_eq!(report["sent"], 3);
}

#[test]
fn silence_is_a_failure() {
    // A daemon that holds unknown registers back does not answer them.
    let setup = Setup::new().with("registration.unknown_fn", "hold");
    let daemon = setup.start();
    let capture = fixtures().join("streams/live.pcap");
    let more = ["--speed", "max", "--limit", "1", "--timeout-s", "2"];
    let (report, clean) = replay(&daemon, &capture, &more);
    assert!(!clean);
    assert_eq!((&report["missing"], &report["documents"]), (&Value::from(1), &Value::from(0)));
    assert!(report["problems"][0].as_str().unwrap().contains("no answer"), "{report}");
}

#[test]
fn a_folder_of_messages_is_sent_by_name() {
    // Genuine captures have signs that no public key can check.
    let setup = Setup::new().with("signs.mode", "log-only");
    let daemon = setup.start();
    let (report, clean) = replay(&daemon, &fixtures().join("captures"), &["--speed", "max"]);
    assert!(clean);
    assert_eq!(report["sent"], 7);
    // An acknowledgement and a lone header are no messages to an operator.
    assert_eq!(report["source"]["folder"]["left_out"].as_array().unwrap().len(), 2);
    let codes: u64 = report["codes"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(codes, 7, "{report}");
}

#[test]
fn what_is_no_capture_is_refused() {
    let setup = Setup::new();
    let file = setup.folder().join("text");
    std::fs::write(&file, "no capture at all, but long enough for a head").unwrap();
    for path in [file.as_path(), &setup.folder().join("absent")] {
        let output = kkt_sim(&["replay", path.to_str().unwrap(), "--to", "127.0.0.1:1"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stderr.is_empty());
    }
    let output = kkt_sim(&["replay", "x"]);
    assert_eq!(output.status.code(), Some(2), "an address is needed");
}
