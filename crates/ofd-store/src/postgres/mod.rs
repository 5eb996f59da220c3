//! The PostgreSQL engine: several daemons on one database, each with a journal of its own.
//!
//! Here are the connections, the schema and its partitions, the appending of batches, and the horizon up to which a
//! reader has seen everything. What is read and written beside that is in `tables`.

pub(crate) mod connect;
mod copy;
mod engine;
pub(crate) mod horizon;
mod judge;
mod line;
mod partitions;
mod plan;
pub(crate) mod schema;
mod statements;
pub(crate) mod target;
mod tls;

#[cfg(test)]
mod tests;
