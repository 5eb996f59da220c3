//! The main job in one command, and the simulated registers against the real daemon.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::net::SocketAddr;
use std::process::{Command, Output};

use fiscald_tests::daemon::{Setup, program};

fn kkt_sim(to: SocketAddr, args: &[&str]) -> Output {
    let output =
        Command::new(program("kkt-sim")).args(args).args(["--to", &to.to_string()]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {}{errors}", String::from_utf8_lossy(&output.stdout));
    output
}

#[test]
fn the_demonstration_ends_with_counts_that_agree() {
    let setup = Setup::new();
    let data = setup.folder().join("demo");
    let output =
        setup.run(&["demo", "--registers", "3", "--receipts", "5", "--data", data.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // Registration, opening, five receipts, a correction, closing: nine documents of each of three registers.
    assert!(text.contains("All three sides agree: 27 documents"), "{text}");
    assert!(text.contains("27 in the journal, 27 accepted\nby the tax service"), "{text}");
    assert!(text.contains("3 on purpose, 3 got the same bytes"), "{text}");
    assert!(text.contains(" Подключена                                         3 "), "{text}");
    let config = data.join("fiscald.toml");
    let listed = Command::new(program("fiscald")).args(["export", "--config"]).arg(&config).output().unwrap();
    assert!(
        listed.status.success(),
        "the data stays and can be read: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
}

#[test]
fn honest_registers_get_every_document_acknowledged() {
    let setup = Setup::new();
    let daemon = setup.start();
    kkt_sim(daemon.registers, &["live", "--registers", "6", "--seed", "7", "--base", "42"]);
    let journal = setup.export();
    assert!(journal.iter().all(|row| row["code"] == 0 && row["verdict"] == "valid"));
    let mut numbers: Vec<_> = journal.iter().map(|row| (row["fn"].to_string(), row["fd"].as_u64())).collect();
    let documents = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), documents, "no document is in the journal twice, whatever was repeated");
    assert_eq!(setup.json(&["documents", "gaps", "--json"]).as_array().map(Vec::len), Some(0));
    assert!(daemon.metric("fiscald_repeats_total", &[]) >= 6.0, "lost answers were asked for again");
    // An encrypted body is kept as received, and opened beside it.
    let encrypted = journal.iter().find(|row| {
        let (raw, document) = (row["raw"].as_str().unwrap(), row["document"].as_str().unwrap());
        !hex::encode(decode(raw)).contains(&hex::encode(decode(document)))
    });
    assert!(encrypted.is_some(), "the simulated registers are a mix of open and encrypted ones");
}

fn decode(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

#[test]
fn load_reports_one_json_object_in_each_mode() {
    let setup = Setup::new();
    let daemon = setup.start();
    for mode in ["persistent", "per-document", "window=8"] {
        let args = ["load", "--registers", "4", "--documents", "80", "--mode", mode, "--json"];
        let output = kkt_sim(daemon.registers, &args);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for key in ["seconds", "documents_per_second", "p50_us", "p99_us", "p999_us", "repeats"] {
            assert!(report[key].is_number(), "{mode}: {key} in {report}");
        }
        assert_eq!(report["documents"], 80, "{mode}");
        assert_eq!(report["errors"], 0, "{mode}");
    }
}
