//! Several nodes on one PostgreSQL behind a balancer, and what may be lost of that: a node, the primary, its standby, the
//! balancer. Whatever happens, a register gets one answer to one document, whichever node it comes to, and what it holds
//! an answer for is stored exactly once.
//!
//! Random choices follow from a seed that is printed. The long form is `cargo xtask failover`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests: a broken assumption must stop the test at once"
)]

mod balancer;
mod failover;
mod hopping;
mod moving;
mod place;
mod stand;
mod upgrades;
