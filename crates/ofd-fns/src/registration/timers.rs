//! Timers of states: the report that does not come after a number was assigned, the card that does not come after a report.

use jiff::Timestamp;
use ofd_store::{Kkt, LeaseProof, RegistrationState as State, Registry, RegistryReader, StoreError};

use super::commit::{Draft, Settled, settle};
use super::machine::{Event, step};
use super::{ManualValues, RegistrationConfig};

/// Most registers of one transaction.
const BATCH: usize = 500;

/// What one look at the timers did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fired {
    /// Registers whose timer had run out.
    pub registers: u64,
    /// Registers that came to another state.
    pub moved: u64,
    /// More of them are due: call again at once.
    pub more: bool,
    /// The lease is lost: nothing was written.
    pub stale: bool,
}

/// Handles the registers whose timer has run out, at most 500.
///
/// # Errors
/// [`StoreError`]: the store is unavailable; call again later.
pub fn fire(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Fired, StoreError> {
    let settled = settle::<_, StoreError>(registry, |registry| {
        let due = registry.due(now, BATCH)?;
        let mut draft = Draft::under(lease);
        let mut fired = Fired { more: due.len() == BATCH, ..Fired::default() };
        for mut kkt in due {
            if let Some(later) = really_due(&kkt, periods).filter(|later| *later > now) {
                (kkt.due_at, kkt.updated_at) = (Some(later), now);
                draft.change.kkts.push(kkt);
                continue;
            }
            fired.registers += 1;
            ran_out(registry, &mut draft, kkt, periods, now)?;
        }
        fired.moved = draft.moved;
        Ok((draft, fired))
    })?;
    Ok(match settled {
        Settled::Done(fired, _) => fired,
        Settled::Stale => Fired { stale: true, ..Fired::default() },
    })
}

/// When the timer of a register runs out by the periods of today. A command that started it did not know them, and they may
/// have been changed since.
fn really_due(kkt: &Kkt, periods: &RegistrationConfig) -> Option<Timestamp> {
    match kkt.state {
        State::RnmAssigned => periods.report_due(kkt.state_since),
        State::ReportForwarded | State::ReregForwarded => periods.card_due(kkt.state_since),
        _ => None,
    }
}

fn ran_out(
    registry: &RegistryReader,
    draft: &mut Draft,
    mut kkt: Kkt,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<(), StoreError> {
    let report = kkt.report_seq.map(|seq| registry.report(seq)).transpose()?.flatten();
    let manual = report.as_ref().and_then(ManualValues::of);
    match step(Some(&kkt), Event::TimeOut { manual: manual.as_ref() }, periods, now) {
        Ok(step) => {
            draft.put(vec![step], kkt.report_seq, now);
        }
        // A timer that its state does not have: taken back, or it would come up for ever.
        Err(rejected) => {
            draft.warn(&kkt, rejected.to_string());
            kkt.due_at = None;
            kkt.updated_at = now;
            draft.change.kkts.push(kkt);
        }
    }
    Ok(())
}
