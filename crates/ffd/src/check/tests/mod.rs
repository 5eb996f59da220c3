//! The rules held against documents: genuine ones, made-up good ones, and each good one with one fault.

use super::*;
use crate::dict::FormCode;
use crate::ids::FdNumber;
use crate::tags;

mod bounds;
mod captures;
mod good;
pub(in crate::check) mod made;
mod rules;

use made::Made;

/// When the made-up documents are received: three hours before the till's clock, and a minute later.
const RECEIVED: u32 = made::START - 3 * 3600 + 3600;

/// What is remembered after these documents.
fn state(life: &[Made]) -> RegisterState {
    let mut state = RegisterState::default();
    for made in life {
        state.apply(&Document::decode(&made.bytes()).unwrap());
    }
    state
}
