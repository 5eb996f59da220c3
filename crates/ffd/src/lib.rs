//! What a fiscal document says (ФФД, the Russian formats of fiscal documents).
//!
//! This crate knows the words of the format and nothing of how they travel: the numbers that name things ([`ids`]),
//! the dictionary of tags ([`dict`]), records ([`tlv`]), values ([`value`]) and the lossless tree of a document
//! ([`document`]); and three views of that tree: findings ([`check`]), a human one ([`text`]) and the JSON of the tax
//! service ([`json`]).
//!
//! It is pure: no clock, files, environment, global state (save the read-only dictionary) or logging. It leaves out
//! the container and the session around a document, all cryptography, and any decision what to do about a finding.
//!
//! Start at [`Document::decode`].

pub mod check;
pub mod dict;
pub mod document;
pub mod error;
pub mod ids;
pub mod json;
pub mod tags;
pub mod text;
pub mod tlv;
pub mod value;

#[cfg(test)]
mod fixtures;

pub use dict::{
    Dictionary, EnumDef, FfdVersion, FieldDef, Fixed, FormCode, FormDef, Requirement, TagDef, ValueKind,
    dictionary,
};
pub use document::{Content, Document, Node, Nodes, Record};
pub use error::{DecodeError, EncodeError, IdError, IdKind, Lengths, TlvError, ValueError};
pub use ids::{FdNumber, FnNumber, Inn, Rnm, RnmCheck};
pub use value::{Decimal, Kopecks, LocalTime, Value};
