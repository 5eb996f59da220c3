//! To whom a registration number belongs. One that a document confirmed stands; one that was only typed in, or assigned and
//! not reported yet, gives way to the register whose report or card brings it.

use jiff::Timestamp;
use ofd_store::{Kkt, KktFilter, RegistrationState as State, RegistryReader, StoreError};

use super::RegistrationConfig;
use super::commit::{Draft, Touch};
use super::machine::{Event, register_words, step};

/// Most registers with one number that are looked at; more there are only by made-up numbers of test benches.
const MAX_HOLDERS: usize = 100;

/// Registers in use, other than `kkt_id`, that have the number.
fn others(registry: &RegistryReader, rnm: &str, kkt_id: Option<i64>) -> Result<Vec<Kkt>, StoreError> {
    let filter = KktFilter { rnm: Some(rnm.to_owned()), ..KktFilter::default() };
    let mut kkts = registry.kkts(&filter, MAX_HOLDERS)?;
    kkts.retain(|kkt| Some(kkt.id) != kkt_id && kkt.state != State::Deregistered);
    Ok(kkts)
}

/// Another register in use that has the number, confirmed or not.
pub(crate) fn held_elsewhere(
    registry: &RegistryReader,
    rnm: &str,
    kkt_id: Option<i64>,
) -> Result<Option<Kkt>, StoreError> {
    Ok(others(registry, rnm, kkt_id)?.into_iter().next())
}

/// Other registers in use that have the number without a confirmation: they lose it to a document.
pub(crate) fn unconfirmed_elsewhere(
    registry: &RegistryReader,
    rnm: &str,
    kkt_id: Option<i64>,
) -> Result<Vec<Kkt>, StoreError> {
    let mut kkts = others(registry, rnm, kkt_id)?;
    kkts.retain(|kkt| !kkt.rnm_confirmed);
    Ok(kkts)
}

/// What a change has to touch before it takes the number away from these.
pub(crate) fn touches(losers: &[Kkt]) -> impl Iterator<Item = Touch> {
    losers.iter().map(|kkt| Touch::Kkt(kkt.id))
}

/// Takes the number away from these, for `winner` has it by a document.
pub(crate) fn take_away(
    registry: &RegistryReader,
    draft: &mut Draft,
    losers: &[Kkt],
    winner: &Kkt,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<(), StoreError> {
    let by = register_words(winner);
    for loser in losers {
        match step(Some(loser), Event::RnmTaken { by: &by }, periods, now) {
            Ok(step) => {
                draft.follow_line(registry, &step.kkt)?;
                draft.put(vec![step], None, now);
            }
            Err(rejected) => draft.warn(loser, rejected.to_string()),
        }
    }
    Ok(())
}
