//! What the store promises, each promise written once and tried on every engine.
//!
//! A test is a function of the engine; [`promises`] makes one test of it for each engine, so that a failing test names
//! its engine: `promises::identity::sqlite::identity_table`. Documents are named by their place in the journal (the
//! first, the second ...), since only the order of positions is promised, not their values: see `places`.
//!
//! Part of the crate's own tests, not of `tests/`: pages are small there, so that few documents fill several, and batches
//! are cut as a test wants them. Everything else goes through the public types.
//!
//! What only one engine has is tested beside it: files, logs, locks and damage below `sqlite/tests`, connections,
//! partitions and the horizon below `postgres/`.

mod bench;
mod places;
mod sender;
mod view;
mod way;

mod clock;
mod everything;
mod facts;
mod filters;
mod histories;
mod identity;
mod quarantine;
mod reading;
mod register_history;
mod registers;
mod reindexing;
mod service;
mod verification;

use crate::fixture::On;
pub(crate) use bench::{Bench, ClosedBench};
use bench::{GRACE, Site, appended, conflict, repeat};
pub(crate) use everything::everything;

/// Makes of functions that take an engine one test for each engine.
macro_rules! promises {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod sqlite {
            $($(#[$attribute])* #[test] fn $name() { super::$name($crate::fixture::On::Sqlite); })+
        }
        mod postgres {
            $($(#[$attribute])* #[test] fn $name() { super::$name($crate::fixture::On::Postgres); })+
        }
    };
}
use promises;
use view::View;

/// Runs a test that waits.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime").block_on(work)
}
