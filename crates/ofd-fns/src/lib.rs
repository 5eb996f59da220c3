//! The tax service (ФНС): registration of registers, forwarding of documents, and what comes back.
//!
//! Where to look: [`registration`] is the pure state machine and what moves it; [`client`] is the link, behind the one
//! trait [`client::TaxService`]; [`forwarder`] sends the documents of the journal in the order of their numbers;
//! [`service`] puts it all on its own threads. What is to be sent next and what an answer means is decided by a struct
//! without sockets, files or clock (`forwarder::scheduler`), so that it is tested as a table.
//!
//! Left out on purpose: SQL (the store's), whether a document is to be forwarded (fixed when it was appended), keys and
//! cryptography of documents (the store keeps them opened), and anything that the acknowledgement of a document would
//! wait for.

pub mod certificates;
pub mod client;
mod config;
mod error;
pub mod forwarder;
mod metrics;
pub mod registration;
pub mod service;

pub use config::{ConfigProblem, FnsConfig, FnsNames};
pub use error::FnsError;
pub use registration::RegistrationConfig;
pub use service::{FnsHandle, FnsParts, FnsService, FnsStores};
