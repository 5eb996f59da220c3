//! Runs a fuzz target's check on everything its corpus holds. Included by the `tests/corpus.rs` of each crate with fuzz
//! targets: the crates may not share a library for it, and it must not be written four times.

use std::panic;
use std::path::PathBuf;

/// Runs `check` on every file of the target's folder; names the file that fails.
pub fn replay(target: &str, check: fn(&[u8])) {
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
