//! The registration number that a client was given.

use anyhow::Result;
use ffd::ids::{Rnm, RnmCheck};
use jiff::Timestamp;
use ofd_fns::registration::ops::{RegisterKey, rnm_typed};

use super::super::output::Output;
use super::super::{optional, registry, settings};
use super::view::Viewer;
use crate::cli::TableArgs;

/// Writes the number down and says what came of it.
///
/// # Errors
/// No such register; a wrong check value; the state has no use for it; the store cannot be used.
pub(super) fn run(
    register: &str,
    rnm: &Rnm,
    unchecked: bool,
    table: &TableArgs,
    out: &mut Output,
) -> Result<()> {
    let periods = settings(&table.config)?.registration.periods();
    let (mut registry, place) = registry(&table.config)?;
    let key = RegisterKey::SerialOrFn(register);
    let typed = rnm_typed(&mut registry, key, rnm, unchecked, Timestamp::now())?;
    if let Some(warning) = warning(typed.check) {
        eprintln!("{warning}");
    }
    let view = Viewer::new(&registry, periods).view(typed.kkt)?;
    if table.json {
        return out.json(&view.as_json());
    }
    let kkt = &view.register.kkt;
    Ok(out.line(format!(
        "ККТ {}: РНМ {rnm}, {} «{}» ({place})",
        optional(kkt.serial.as_ref()),
        kkt.state.name(),
        view.register.label
    ))?)
}

fn warning(check: RnmCheck) -> Option<String> {
    match check {
        RnmCheck::Ok => None,
        RnmCheck::Mismatch { expected } => Some(format!(
            "taken with a wrong check value: for this INN and serial number it would be {expected:06}"
        )),
        RnmCheck::NotCheckable => Some(
            "the check value could not be compared: INN or serial number is not known or not made of digits"
                .to_owned(),
        ),
    }
}
