//! The tax service: from the first report of a register to its card, and every document delivered. The real daemon, the
//! real simulator over mutual TLS, registers over real sockets; periods of seconds stand for hours and days.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests: a broken assumption must stop the test at once"
)]

mod delivery;
mod detach;
mod leases;
mod link;
mod paths;
mod registration;
mod stand;
mod trouble;
