//! The inputs that the fuzzer of this crate kept, and those that once failed, held against the same checks:
//! `proto-fixtures/corpus/TARGET/*`.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a broken assumption must stop the test at once; the checks are the library of the fuzz crate"
)]

use std::panic;
use std::path::PathBuf;

#[path = "../fuzz/src/lib.rs"]
mod checks;

/// Runs `check` on every file of the target's folder; names the file that fails.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        assert!(panic::catch_unwind(|| check(&input)).is_ok(), "fails: {}", path.display());
        replayed += 1;
    }
    assert!(replayed > 0, "nothing in {}", folder.display());
}

#[test]
fn session_message() {
    replay("session_message", checks::session_message::check);
}

#[test]
fn container() {
    replay("container", checks::container::check);
}
