//! Harness of the system tests: starts the real programs and talks to them over real sockets.
//!
//! [`wire`] is a register written from the protocol alone. It shares no code with the crates under test, not even the
//! check code or the sign, so that an error there cannot hide itself by being made twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "a harness of tests: a broken assumption must stop the test at once, with the place"
)]

pub mod daemon;
pub mod fleet;
pub mod haproxy;
pub mod pcap;
pub mod promtool;
pub mod random;
pub mod shim;
pub mod sockets;
pub mod tax;
pub mod tshark;
pub mod wire;

use std::path::PathBuf;

/// Bytes of one capture of `proto-fixtures/captures`.
pub fn capture(name: &str) -> Vec<u8> {
    let path = fixtures().join("captures").join(format!("{name}.bin"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder with bytes and expected results shared by all tests.
pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proto-fixtures")
}
