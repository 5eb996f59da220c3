//! The world against the store: kills, failing and full disks, damaged files, wrong clocks. Whatever happens, what a
//! register holds an answer for is in the journal exactly once, and where the daemon cannot keep a document it is
//! silent, red and clear about the reason.
//!
//! Random choices follow from a seed that is printed. The long form is `cargo xtask faults`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

mod clock;
mod disk;
mod errors;
mod file;
mod kills;
mod stand;
