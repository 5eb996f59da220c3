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

#[path = "../fuzz/src/lib.rs"]
mod checks;

#[path = "../../../proto-fixtures/replay.rs"]
mod corpus;

use corpus::replay;

#[test]
fn proxy_header() {
    replay("proxy_header", checks::proxy_header::check);
}
