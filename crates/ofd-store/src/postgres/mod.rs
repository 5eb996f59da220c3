//! The PostgreSQL engine: several daemons on one database, each with a journal of its own.
//!
//! Here are the connections, the schema and its partitions, the appending of batches, and the horizon up to which a
//! reader has seen everything. What is read and written beside that is in `tables`.

pub(crate) mod connect;
mod copy;
pub(crate) mod engine;
pub(crate) mod horizon;
mod judge;
pub(crate) mod line;
mod partitions;
mod plan;
pub(crate) mod schema;
pub(crate) mod second;
mod statements;
pub(crate) mod target;
mod tls;

pub(crate) use self::connect::{Purpose, Session, WireWatch, in_words};
pub(crate) use self::engine::PgEngine;
pub(crate) use self::line::Opening;
pub(crate) use self::target::{Target, is_postgres, masked, percent_encoded};

#[cfg(test)]
mod tests;
