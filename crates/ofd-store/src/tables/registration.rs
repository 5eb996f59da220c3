//! Clients, contracts, registers and their papers: the rows, and the one transaction that changes them.

pub(crate) mod commit;
pub(crate) mod contracts;
pub(crate) mod facts;
pub(crate) mod fns;
pub(crate) mod kkts;
pub(crate) mod papers;
pub(crate) mod stated;

pub(crate) use self::commit::commit;
