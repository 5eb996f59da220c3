//! What must hold for any bytes: one module for each fuzz target, its function `check` panics when it does not.

pub mod application;
pub mod batch_answer;
pub mod card;
pub mod events_page;
mod rewritten;
pub mod service_answer;
