//! The tables, in SQL that both engines understand.
//!
//! What acknowledges documents is not here: each engine has a way of its own for it, and only there are the schemas, the
//! care of files and the connections.

pub(crate) mod bodies;
pub(crate) mod chains;
pub(crate) mod clock;
pub(crate) mod columns;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod outbox;
pub(crate) mod quarantine;
pub(crate) mod registers;
pub(crate) mod registration;
pub(crate) mod reindex;
pub(crate) mod search;
pub(crate) mod tasks;
pub(crate) mod verify;
pub(crate) mod writes;
