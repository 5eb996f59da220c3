//! Starts real PostgreSQL clusters for tests and benchmarks: a private data folder, loopback only, an unprivileged user
//! even when the tests run as root, stopped and removed when dropped.
//!
//! A cluster does not outlive its test, however that ends. A panic drops it; when the whole process is killed, or ends
//! without dropping what is `static`, a small watcher notices that and does the same.
//!
//! It speaks to the server through Debian's programs (`initdb`, `postgres`, `psql`, `pg_basebackup`) and shares no code
//! with the clients under test. Whatever is missing or goes wrong is a panic with the reason: a test that cannot have
//! its database has failed.
//!
//! ```no_run
//! let cluster = pg_testing::Cluster::start();
//! let database = cluster.create_database();
//! let url = cluster.url(&database);
//! # drop(url);
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness of tests: a broken assumption must stop the test at once, with the place"
)]

mod builder;
mod cluster;
mod folder;
mod ports;
mod programs;
mod server;
mod shared;
mod standby;

pub use builder::ClusterBuilder;
pub use cluster::{Cluster, Stop, url_of};
pub use ports::free_port;
pub use shared::{shared, shared_without_sync};
