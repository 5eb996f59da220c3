//! Real captured bytes through the whole house: sent, answered, exported unchanged, explained to the last byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests: a broken assumption must stop the test at once"
)]

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fiscald_tests::daemon::{Setup, program};
use fiscald_tests::wire::{FLAGS_PLAIN, Register, message, sha256};
use fiscald_tests::{capture, fixtures};

/// The settings under which captures of certified storages are answered: their signs cannot be checked here.
fn tolerant() -> Setup {
    Setup::new().with("signs.mode", "log-only")
}

/// Every capture that holds a document of a register, and its code. The report of ФФД 1.2 lacks the mandatory 1048 and
/// 1009; its own operator answered it with 14, and that answer is among the captures.
const DOCUMENTS: [(&str, u64); 7] = [
    ("msg_reg11_ffd105_9999078900005488_fd1", 0),
    ("msg_reg11_ffd12_9999078902013267_fd1", 14),
    ("container_reg1_ffd10_9999078912345678_fd1", 0),
    ("raw_receipt3_9999078900011918_fd132", 0),
    ("raw_receipt3_9280440300332772_fd10756", 0),
    ("raw_receipt3_hdr_8710000101557641_fd39752", 0),
    ("raw_receipt3_8710000100518313_fd55817", 0),
];

#[test]
fn every_captured_document_gets_the_code_of_a_genuine_operator() {
    let setup = tolerant();
    let daemon = setup.start();
    for (name, code) in DOCUMENTS {
        let file = fixtures().join("captures").join(format!("{name}.bin"));
        let output = Command::new(program("kkt-sim"))
            .args(["send", "--json", "--to", &daemon.registers.to_string()])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.replace(' ', "").contains(&format!("\"code\":{code}")), "{name}: {text}");
    }
    let rows = setup.export();
    let codes: Vec<_> = rows.iter().map(|row| row["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, DOCUMENTS.map(|(_, code)| code));
    // What the genuine operator objected to is told, tag by tag.
    let shown = setup.json(&["documents", "show", "9999078902013267", "1", "--json"]);
    let hard = findings(&shown, "hard");
    assert_eq!(hard, [("structure.mandatory", vec![1009]), ("structure.mandatory", vec![1048])], "{shown}");
}

/// Rules and paths of the findings of one severity, sorted.
fn findings<'s>(shown: &'s serde_json::Value, severity: &str) -> Vec<(&'s str, Vec<u64>)> {
    let all = shown[0]["findings"].as_array().unwrap().iter();
    let mut found: Vec<_> = all
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| {
            let path = finding["path"].as_array().unwrap().iter().map(|tag| tag.as_u64().unwrap()).collect();
            (finding["rule"].as_str().unwrap(), path)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_received_bytes_come_back_unchanged() {
    let setup = tolerant();
    let daemon = setup.start();
    let mut register = Register::connect(daemon.registers);
    let one = capture("msg_reg11_ffd105_9999078900005488_fd1");
    let two = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let three = capture("container_reg1_ffd10_9999078912345678_fd1");
    register.exchange(&one);
    register.exchange(&two);
    register.exchange(&message("999907891234567", [0, 1], FLAGS_PLAIN, &three));

    let rows = setup.export();
    let expected = [&one[30..], &two[30..], three.as_slice()];
    assert_eq!(rows.len(), expected.len());
    for (row, container) in rows.iter().zip(expected) {
        assert_eq!(STANDARD.decode(row["raw"].as_str().unwrap()).unwrap(), container);
        assert_eq!(
            STANDARD.decode(row["document"].as_str().unwrap()).unwrap(),
            &container[32..container.len() - 10]
        );
        assert_eq!(row["sha256"], sha256(container));
    }
    assert_eq!(rows[2]["fn"], "999907891234567", "without padding");

    let raw = setup.run(&["export", "--as", "raw"]);
    assert_eq!(raw.stdout, expected.concat());
    let csv = setup.run(&["export", "--as", "csv"]);
    assert_eq!(String::from_utf8(csv.stdout).unwrap().lines().count(), 4, "a head and three rows");
}

#[test]
fn decode_explains_every_capture_to_its_last_byte() {
    let setup = Setup::new();
    for entry in std::fs::read_dir(fixtures().join("captures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let output = setup.run(&["decode", path.to_str().unwrap()]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(explained_bytes(&text), capture(&name), "{name}: {text}");
        let json = setup.run(&["decode", path.to_str().unwrap(), "--as", "json"]);
        assert!(json.status.success(), "{name}: {}", String::from_utf8_lossy(&json.stderr));
        let _: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    }
}

/// Reads the hex column of `decode` back: offset of six digits, two spaces, bytes, then two spaces and the meaning.
fn explained_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let Some((offset, rest)) = line.split_once("  ") else { continue };
        let is_offset = offset.len() == 6 && offset.chars().all(|digit| digit.is_ascii_hexdigit());
        // Lines that only name a part have no offset; a long value goes on without one being repeated.
        if is_offset {
            let column = rest.split("  ").next().unwrap();
            bytes.extend(
                hex::decode(column.replace(' ', "")).unwrap_or_else(|error| panic!("{error}: {line}")),
            );
        }
    }
    bytes
}

#[test]
fn a_captured_report_as_tax_service_json_is_the_published_example() {
    let setup = Setup::new();
    let path = fixtures().join("captures/msg_reg11_ffd105_9999078900005488_fd1.bin");
    let json = setup.json(&["decode", path.to_str().unwrap(), "--as", "fns"]);
    let expected = std::fs::read_to_string(fixtures().join("fns-json/C5.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(json, expected);
}
