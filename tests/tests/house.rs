//! The shape of the house: which crate may use which, and what a container image promises.
#![allow(clippy::unwrap_used, reason = "tests: a broken assumption must stop the test at once")]

use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of the project, each with those of the project it may use (`ARCHITECTURE.md`, the rooms).
const ALLOWED: [(&str, &[&str]); 7] = [
    ("ffd", &[]),
    ("kkt-proto", &["ffd"]),
    ("pkz", &["ffd", "kkt-proto"]),
    ("ofd-store", &["ffd"]),
    ("ofd-ingest", &["ffd", "kkt-proto", "pkz", "ofd-store"]),
    ("ofd-sim", &["ffd", "kkt-proto", "pkz"]),
    ("fiscald", &["ffd", "kkt-proto", "pkz", "ofd-store", "ofd-ingest", "ofd-sim"]),
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
        assert!(found.len() > 3, "{name}: the manifest was not read: {found:?}");
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
