//! How a fiscal document travels between a register (ККТ) and its operator (ОФД).
//!
//! From the outside in: a session message is a 30-byte [`header`] and a body; the body is a
//! [`container`] (32-byte header, document, sign); the document inside is read by the crate `ffd`,
//! except the operator's own document 7, whose making and reading is [`ack`]. The two ends of the
//! dialogue, [`server`] (ours) and [`client`] (the register's), are state machines without sockets:
//! bytes and the moment go in, events and bytes come out.
//!
//! Left out on purpose: sockets and tasks (`ofd-ingest`, `ofd-sim`), signs and ciphers (`pkz`), what
//! a document means and which code it deserves (`ffd`, `ofd-ingest`). Nothing here reads a clock,
//! a file or the environment, and nothing logs. No input makes this crate panic.
//!
//! Byte order differs from field to field: it is stated at every number.

pub mod ack;
pub mod client;
pub mod container;
pub mod crc;
pub mod error;
pub mod header;
pub mod server;

mod frame;

#[cfg(test)]
mod dialogue_tests;
#[cfg(test)]
mod marking_tests;
#[cfg(test)]
mod testing;

pub use error::{Malformed, TooLong};
