//! What must hold for any bytes: one module for each fuzz target, its function `check` panics when it does not.

pub mod acknowledgement;
pub mod batch;
pub mod capture;
#[path = "../../../kkt-proto/fuzz/src/dice.rs"]
mod dice;
mod pcap;
pub mod spelling;
