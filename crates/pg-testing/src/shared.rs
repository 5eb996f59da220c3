//! One cluster for all tests of a process; each takes a database of its own.

use std::sync::OnceLock;

use crate::cluster::Cluster;

/// The cluster of this process, durable as in production. It ends with the process.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// The cluster of this process that syncs nothing: for suites that test no durability.
pub fn shared_without_sync() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::builder().without_sync().start())
}
