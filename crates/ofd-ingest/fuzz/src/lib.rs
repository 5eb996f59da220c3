//! What must hold for any bytes: one module for each fuzz target, its function `check` panics when it does not.

#[path = "../../../kkt-proto/fuzz/src/dice.rs"]
mod dice;
#[path = "../../src/proxy/header.rs"]
mod header;
pub mod proxy_header;
