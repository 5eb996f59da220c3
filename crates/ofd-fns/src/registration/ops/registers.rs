//! Registers: announced without a contract, and the registration number that a client tells.

use ffd::ids::{FnNumber, Inn, Rnm, RnmCheck};
use jiff::Timestamp;
use ofd_store::{Kkt, KktKey, RegistrationState as State, Registry, RegistryReader};

use super::lines::usable_serial;
use super::{BY_DAEMON, OpsError, done};
use crate::registration::commit::{Draft, settle};
use crate::registration::machine::{Event, Rejected, Step, step};
use crate::registration::numbers::held_elsewhere;
use crate::registration::report::ReportFacts;
use crate::registration::table::Trigger;

/// How a person names a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterKey<'a> {
    /// Serial number of the ККТ, or number of its ФН.
    SerialOrFn(&'a str),
    /// Number of its row.
    Id(i64),
}

/// A registration number was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RnmTyped {
    /// The register.
    pub kkt: Kkt,
    /// What its check value says.
    pub check: RnmCheck,
}

/// The register that a person names; of a text that is both, the serial number wins.
///
/// # Errors
/// [`OpsError::NotFound`].
pub fn register_of(registry: &RegistryReader, key: RegisterKey<'_>) -> Result<Kkt, OpsError> {
    let (found, name) = match key {
        RegisterKey::Id(id) => (registry.kkt(KktKey::Id(id))?, id.to_string()),
        RegisterKey::SerialOrFn(text) => {
            let by_serial = registry.kkt(KktKey::Serial(text.trim()))?;
            let found = match (by_serial, text.trim().parse::<FnNumber>()) {
                (None, Ok(number)) => registry.kkt(KktKey::Fn(&number))?,
                (by_serial, _) => by_serial,
            };
            (found, text.to_owned())
        }
    };
    found.ok_or_else(|| OpsError::NotFound(format!("there is no register {name}: see `registers list`")))
}

/// Announces a register without a contract: `CONTRACTED` by the operator's word, `RNM_ASSIGNED` with a registration number
/// (beside it: whether it is taken with a wrong check value). One that is known already only gets the facts it lacks.
/// Reception learns of it by [`ofd_store::Operator::register_add`], not by this.
///
/// # Errors
/// [`OpsError::Refused`] without ФН and serial number, when the facts contradict what is known, or as [`rnm_typed`].
pub fn register_add(
    registry: &mut Registry,
    kkt_serial: Option<&str>,
    fn_number: Option<&FnNumber>,
    rnm: Option<(&Rnm, bool)>,
    inn: Option<&Inn>,
    now: Timestamp,
) -> Result<Kkt, OpsError> {
    let serial = kkt_serial.map(usable_serial).transpose()?;
    if serial.is_none() && fn_number.is_none() {
        return Err(OpsError::Refused("name the ФН or the serial number of the ККТ".to_owned()));
    }
    let (mut kkt, ids) = done(settle::<_, OpsError>(registry, |registry| {
        let known = known(registry, serial.as_deref(), fn_number)?;
        let mut step = match &known {
            None => step(None, Event::Added { draft: false }, &BY_DAEMON, now)
                .map_err(|rejected| OpsError::Refused(rejected.to_string()))?,
            Some(kkt) => {
                Step { from: Some(kkt.state), trigger: Trigger::Added, kkt: kkt.clone(), actions: Vec::new() }
            }
        };
        fill("serial number", &mut step.kkt.serial, serial.clone())?;
        fill("ФН", &mut step.kkt.fn_number, fn_number.copied())?;
        fill("INN", &mut step.kkt.inn, inn.map(ToString::to_string))?;
        let mut steps = vec![step];
        if let (Some((rnm, unchecked)), Some(last)) = (rnm, steps.last())
            && last.kkt.rnm.as_deref() != Some(rnm.as_str())
        {
            let typed = type_in(registry, &last.kkt, rnm, unchecked, now)?;
            steps.push(typed);
        }
        let Some(last) = steps.last_mut() else { return Err(OpsError::Contended) };
        let mut draft = Draft::default();
        let changed = known
            .as_ref()
            .is_none_or(|known| Kkt { updated_at: known.updated_at, ..last.kkt.clone() } != *known);
        last.kkt.updated_at = if changed { now } else { last.kkt.updated_at };
        let kkt = last.kkt.clone();
        if changed {
            draft.follow_line(registry, &kkt)?;
            draft.put(steps, None, now);
        }
        Ok((draft, kkt))
    })?)?;
    if let Some(&id) = ids.kkts.first() {
        kkt.id = id;
    }
    Ok(kkt)
}

/// Writes down the registration number that the client was given. `unchecked` takes it with a wrong check value.
///
/// # Errors
/// [`OpsError::NotFound`]; [`OpsError::Refused`] for a wrong check value, a number that another register in use has, another
/// number that was confirmed already, or a state that has no use for it.
pub fn rnm_typed(
    registry: &mut Registry,
    key: RegisterKey<'_>,
    rnm: &Rnm,
    unchecked: bool,
    now: Timestamp,
) -> Result<RnmTyped, OpsError> {
    let (typed, _) = done(settle::<_, OpsError>(registry, |registry| {
        let kkt = register_of(registry, key)?;
        let step = type_in(registry, &kkt, rnm, unchecked, now)?;
        let check = match (&kkt.inn, &kkt.serial) {
            (Some(inn), Some(serial)) => rnm.verify(inn, serial),
            _ => RnmCheck::NotCheckable,
        };
        let mut draft = Draft::default();
        draft.follow_line(registry, &step.kkt)?;
        let after = step.kkt.clone();
        draft.put(vec![step], None, now);
        Ok((draft, RnmTyped { kkt: after, check }))
    })?)?;
    Ok(typed)
}

/// What a typed number does to a register.
fn type_in(
    registry: &RegistryReader,
    kkt: &Kkt,
    rnm: &Rnm,
    unchecked: bool,
    now: Timestamp,
) -> Result<Step, OpsError> {
    is_free(registry, rnm, kkt)?;
    let report = kkt.report_seq.map(|seq| registry.report(seq)).transpose()?.flatten();
    let reported = report.as_ref().and_then(ReportFacts::of).and_then(|facts| facts.rnm);
    let event = Event::RnmTyped { rnm, unchecked, reported: reported.as_deref() };
    step(Some(kkt), event, &BY_DAEMON, now).map_err(|rejected| refused(kkt, &rejected))
}

/// A number that another register in use has cannot be that of this one; one of the two is mistyped.
pub(super) fn is_free(registry: &RegistryReader, rnm: &Rnm, kkt: &Kkt) -> Result<(), OpsError> {
    if kkt.rnm.as_deref() == Some(rnm.as_str()) {
        return Ok(());
    }
    let Some(holder) = held_elsewhere(registry, rnm.as_str(), Some(kkt.id))? else { return Ok(()) };
    let (confirmed, hint) = if holder.rnm_confirmed {
        ("", "")
    } else {
        (" without confirmation", "; if it was mistyped there, put that right first with `registers rnm`")
    };
    let name = match (&holder.serial, holder.fn_number) {
        (Some(serial), _) => format!("ККТ {serial}"),
        (None, Some(number)) => format!("ФН {number}"),
        (None, None) => format!("register {}", holder.id),
    };
    Err(OpsError::Refused(format!(
        "the registration number {rnm} belongs to another register{confirmed}: {name}, {}{hint}",
        holder.state.name()
    )))
}

/// The register that has the ФН, else the one of the serial number that has none or the same.
fn known(
    registry: &RegistryReader,
    serial: Option<&str>,
    fn_number: Option<&FnNumber>,
) -> Result<Option<Kkt>, OpsError> {
    let in_use = |kkt: &Kkt| kkt.state != State::Deregistered;
    if let Some(number) = fn_number
        && let Some(kkt) = registry.kkt(KktKey::Fn(number))?.filter(in_use)
    {
        return Ok(Some(kkt));
    }
    let Some(serial) = serial else { return Ok(None) };
    Ok(registry
        .kkt(KktKey::Serial(serial))?
        .filter(in_use)
        .filter(|kkt| kkt.fn_number.is_none() || fn_number.is_none()))
}

fn fill<T: PartialEq + std::fmt::Display>(
    what: &str,
    ours: &mut Option<T>,
    stated: Option<T>,
) -> Result<(), OpsError> {
    match (&*ours, stated) {
        (_, None) => {}
        (Some(known), Some(stated)) if *known == stated => {}
        (Some(known), Some(stated)) => {
            return Err(OpsError::Refused(format!("the {what} of this register is {known}, not {stated}")));
        }
        (None, stated) => *ours = stated,
    }
    Ok(())
}

pub(super) fn refused(kkt: &Kkt, rejected: &Rejected) -> OpsError {
    let hint = match (rejected, kkt.state) {
        (Rejected::RnmCheck { .. }, _) => "; a test stand with made-up numbers says --unchecked",
        (Rejected::OutOfPlace { .. }, State::ContractDraft) => {
            ": the contract is not signed yet (`contracts sign`)"
        }
        _ => "",
    };
    OpsError::Refused(format!("{rejected}{hint}"))
}
