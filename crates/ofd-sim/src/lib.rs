//! Simulated registers: the other end of the wire.
//!
//! An honest register ([`kkt`]) with its fiscal storage (`storage`) that signs, encrypts, keeps a queue and
//! checks every acknowledgement as a real ФН does; the TCP link to an operator ([`link`]); a compressed day
//! of many registers ([`live`]); a load generator with messages prepared beforehand (`load`); the
//! sending of captured bytes (`send`, [`spelling`]) and the replay of whole captures ([`replay`]). The command line of `kkt-sim` is `args` and
//! [`commands`]. Public is what the daemon's demonstration, its `decode` and the fuzz targets need; the rest serves the binary.
//!
//! Registers are honest unless they are asked for faults (`faults`): every rule of the control has one of its name, a
//! document that breaks it and only it, signed like any other. `kkt-sim live --faults list` shows the table.
//!
//! The tax service that an operator forwards to is simulated too ([`fns`], the binary `fns-sim`): it stands at the far
//! end of another wire and shares nothing with the registers but this crate.
//!
//! Left out on purpose: everything of the receiving side. This crate never uses `ofd-ingest` or `ofd-store`,
//! so that a mistake there cannot hide behind the same mistake here. The modules below print nothing, except
//! [`commands`], which is the terminal side of the binary.

mod args;
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "results go to stdout, everything else to stderr"
)]
pub mod commands;
mod faults;
mod fleet;
pub mod fns;
pub mod keys;
pub mod kkt;
mod life;
pub mod link;
pub mod live;
mod load;
pub mod replay;
mod rng;
mod send;
pub mod spelling;
mod storage;
pub mod trade;

pub use storage::{Accepted, AckChecker, RefusalReason};

#[cfg(test)]
mod test_operator;
