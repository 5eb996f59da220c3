//! Reception: the port that registers connect to, and everything between a received message and its answer.
//!
//! One document's way: [`Reception`] accepts connections within its limits; a task per connection feeds bytes to the
//! dialogue of `kkt-proto`; a finished message has its container decoded, its sign checked and its body opened by
//! `pkz`, its document read by `ffd`; if nothing shuts it out, `ffd::check` judges it against the rules and against what
//! is remembered of its ФН; [`decision`] says what becomes of it, by what is known of its register and contract in
//! memory ([`ofd_store::Facts`]); the acknowledgement is sealed; the journal of
//! `ofd-store` makes document and acknowledgement durable; the reply leaves. Nothing is answered before the commit, and
//! nothing while the clock cannot be trusted ([`TrustedClock`]).
//!
//! What this crate leaves out: the rules of the wire (`kkt-proto`), keys and signs (`pkz`), SQL (`ofd-store`), the
//! meaning of documents (`ffd`), reading configuration files and wiring (`fiscald`), forwarding to the tax service.

mod abuse;
pub mod admin;
mod clock;
pub mod config;
mod connection;
pub mod decision;
pub mod derived;
pub mod error;
mod ingest;
mod limits;
mod listener;
pub mod metrics;
mod proxy;
mod registers;
mod sister;
mod socket;
#[cfg(test)]
mod testing;

pub use clock::TrustedClock;
pub use config::{AdminConfig, IngestConfig, Policy, ProxyProtocol, SisterConfig, UnknownFn};
pub use error::IngestError;
pub use listener::{Reception, ReceptionParts, ReceptionState, ShutdownReport};
pub use proxy::{Network, Networks};
pub use registers::History;
pub use sister::Sister;
