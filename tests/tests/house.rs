//! The shape of the house: which crate may use which, and what a container image promises.
#![allow(clippy::unwrap_used, reason = "tests: a broken assumption must stop the test at once")]

use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of the project, each with those of the project it may use (`ARCHITECTURE.md`, the rooms).
const ALLOWED: [(&str, &[&str]); 9] = [
    ("ffd", &[]),
    ("kkt-proto", &["ffd"]),
    ("pkz", &["ffd", "kkt-proto"]),
    ("ofd-store", &["ffd"]),
    ("ofd-ingest", &["ffd", "kkt-proto", "pkz", "ofd-store"]),
    ("ofd-fns", &["ffd", "ofd-store"]),
    ("ofd-sim", &["ffd", "kkt-proto", "pkz"]),
    // For tests and benchmarks only: no program may use it.
    ("pg-testing", &[]),
    ("fiscald", &["ffd", "kkt-proto", "pkz", "ofd-store", "ofd-ingest", "ofd-fns", "ofd-sim"]),
];

/// Names of the dependencies of a crate, those of its tests left out.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split(['.', '=', ' ']).next()?.to_owned())).collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    for (name, allowed) in ALLOWED {
        let found = dependencies(name);
        assert!(found.len() > 1, "{name}: the manifest was not read: {found:?}");
        for dependency in found {
            let ours = ALLOWED.iter().any(|(other, _)| *other == dependency);
            assert!(!ours || allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn the_pure_crates_know_no_runtime_and_no_files() {
    let impure =
        ["tokio", "tokio-util", "rusqlite", "tracing", "metrics", "axum", "getrandom", "rustix", "config"];
    for name in ["ffd", "kkt-proto", "pkz"] {
        for dependency in dependencies(name) {
            assert!(!impure.contains(&dependency.as_str()), "{name} is pure and must not use {dependency}");
        }
    }
}

#[test]
fn the_image_keeps_its_journal_in_the_volume() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let volume = dockerfile.lines().find_map(|line| line.strip_prefix("VOLUME ")).unwrap();
    let url =
        dockerfile.split("FISCALD__STORE__URL=sqlite:").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(url.starts_with(&format!("{volume}/")), "{url} is not under {volume}");
}

/// Kept inputs of one fuzz target: enough to begin with, few enough to be replayed by every test run.
const CORPUS_FILES_MOST: usize = 250;
const CORPUS_BYTES_MOST: u64 = 1024 * 1024;

/// The fuzz targets: crate and name.
fn fuzz_targets() -> Vec<(String, String)> {
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(files) = std::fs::read_dir(folder.join("fuzz/fuzz_targets")) else { continue };
        let owner = folder.file_name().unwrap().to_string_lossy().into_owned();
        for file in files {
            let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            targets.push((owner.clone(), name));
        }
    }
    targets
}

#[test]
fn every_fuzz_target_has_a_corpus_that_a_plain_test_replays() {
    let targets = fuzz_targets();
    assert!(targets.len() >= 6, "{targets:?}");
    for (owner, name) in &targets {
        let test = root().join("crates").join(owner).join("tests/corpus.rs");
        let test = std::fs::read_to_string(&test).unwrap_or_default();
        assert!(
            test.contains(&format!("replay(\"{name}\", checks::{name}::check);")),
            "{owner}: {name} is not replayed"
        );
        let manifest = root().join("crates").join(owner).join("fuzz/Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(
            manifest.contains("\n[workspace]\n") && manifest.contains(&format!("name = \"{name}\"")),
            "{owner}: {name}"
        );
        let folder = root().join("proto-fixtures/corpus").join(name);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap()).collect();
        let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(!files.is_empty() && files.len() <= CORPUS_FILES_MOST, "{name}: {} files", files.len());
        assert!(bytes <= CORPUS_BYTES_MOST, "{name}: {bytes} bytes");
    }
}

#[test]
fn every_corpus_belongs_to_a_fuzz_target() {
    let targets = fuzz_targets();
    for entry in std::fs::read_dir(root().join("proto-fixtures/corpus")).unwrap() {
        let entry = entry.unwrap();
        let folder = entry.file_name().to_string_lossy().into_owned();
        let is_known = targets.iter().any(|(_, name)| *name == folder);
        assert!(is_known || !entry.file_type().unwrap().is_dir(), "{folder}: no such target");
    }
}
