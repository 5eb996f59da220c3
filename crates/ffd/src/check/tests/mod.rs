//! The rules held against documents: genuine ones, made-up good ones, and each good one with one fault.

use super::*;
use crate::dict::FormCode;
use crate::ids::FdNumber;
use crate::tags;

mod bounds;
mod captures;
mod good;
mod lenient;
pub(in crate::check) mod made;
mod rules;

use made::{FN, Made, OPERATOR};

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

/// Findings of a document in a container that says the same.
fn findings(made: &Made, register: Option<&RegisterState>) -> Vec<Finding> {
    let claimed = |number| Claimed {
        fn_number: FN.parse().unwrap(),
        fd_number: FdNumber::new(number).unwrap(),
        form: FormCode(made.form()),
    };
    let around = Surroundings {
        claimed: made.has(1040).then(|| claimed(made.number(1040))),
        received_at: RECEIVED,
        operator_inn: Some(OPERATOR.parse().unwrap()),
        register,
    };
    check(&Document::decode(&made.bytes()).unwrap(), &around, &Severities::default())
}
