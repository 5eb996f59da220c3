//! What must hold for any bytes: one module for each fuzz target, its function `check` panics when it does not.

pub mod document_json;
mod mend;
pub mod tlv;
