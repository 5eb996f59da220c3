//! Lines of contracts: one register each.

use ffd::ids::{FnNumber, Rnm, RnmCheck};
use jiff::Timestamp;
use ofd_store::{Contract, ContractLine, ContractState, Kkt, KktKey, LineKey, Registry, RegistryReader, row};

use super::contracts::contract_of;
use super::registers::is_free;
use super::{BY_DAEMON, OpsError, done};
use crate::registration::commit::{Draft, settle};
use crate::registration::machine::{Event, Step, step};

/// Longest serial number: tag 1013 has 20 characters.
const MAX_SERIAL_CHARS: usize = 20;

/// A register for a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Serial number of the ККТ (tag 1013).
    pub kkt_serial: String,
    /// Its model.
    pub kkt_model: Option<String>,
    /// The ФН in it.
    pub fn_number: FnNumber,
    /// Model of the ФН.
    pub fn_model: Option<String>,
    /// Registration number, when the tax service gave it already.
    pub rnm: Option<Rnm>,
    /// Take that number although its check value is wrong.
    pub unchecked: bool,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineOutcome {
    /// It was added, with its register.
    Added,
    /// It was added; the register was there already (known by its report or an operator's word).
    Joined,
    /// The same line is in the contract already: nothing was written.
    AlreadyThere,
}

/// A line with its register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineResult {
    /// What became of it.
    pub outcome: LineOutcome,
    /// The line.
    pub line: ContractLine,
    /// Its register.
    pub kkt: Kkt,
    /// What a person should look at: a registration number whose check value is wrong.
    pub warnings: Vec<String>,
}

/// What would become of a line, or why it is refused. Writes nothing.
///
/// # Errors
/// As [`line_add`].
pub fn line_check(
    registry: &RegistryReader,
    contract: &str,
    new: &NewLine,
    now: Timestamp,
) -> Result<LineOutcome, OpsError> {
    plan(registry, contract, new, now).map(|(_, result)| result.outcome)
}

/// Adds a register to a contract.
///
/// # Errors
/// [`OpsError::NotFound`] without such a contract; [`OpsError::Refused`] when it is stopped, or the ККТ or the ФН stands in
/// another line that is not closed, or in a register of another client; when the registration number belongs to another
/// register in use, or its check value is wrong.
pub fn line_add(
    registry: &mut Registry,
    contract: &str,
    new: &NewLine,
    now: Timestamp,
) -> Result<LineResult, OpsError> {
    let (mut result, ids) = done(settle(registry, |registry| plan(registry, contract, new, now))?)?;
    if result.outcome != LineOutcome::AlreadyThere {
        result.line.id = ids.lines.first().copied().unwrap_or_default();
        result.kkt.id = ids.kkts.first().copied().unwrap_or_default();
        result.kkt.line_id = Some(result.line.id);
    }
    Ok(result)
}

/// A register leaves its contract: the grace period begins for it alone.
///
/// # Errors
/// [`OpsError::NotFound`] without an open line of this serial number.
pub fn line_close(
    registry: &mut Registry,
    kkt_serial: &str,
    now: Timestamp,
) -> Result<ContractLine, OpsError> {
    let (line, _) = done(settle::<_, OpsError>(registry, |registry| {
        let line = registry.open_line(LineKey::Serial(kkt_serial.trim()))?;
        let mut line = line.ok_or_else(|| {
            OpsError::NotFound(format!(
                "no line of a contract names the ККТ {kkt_serial}: see `contracts show`"
            ))
        })?;
        line.closed_at = Some(now);
        let mut draft = Draft::default();
        draft.change.lines.push(line.clone());
        Ok((draft, line))
    })?)?;
    Ok(line)
}

/// The change that adds a line, and what it comes to.
fn plan(
    registry: &RegistryReader,
    number: &str,
    new: &NewLine,
    now: Timestamp,
) -> Result<(Draft, LineResult), OpsError> {
    let serial = usable_serial(&new.kkt_serial)?;
    let contract = contract_of(registry, number)?;
    if contract.state == ContractState::Stopped {
        return Err(OpsError::Refused(format!(
            "contract {number} is stopped: let it go on with `contracts resume` first"
        )));
    }
    if let Some(there) = standing(registry, &contract, &serial, new)? {
        return Ok((Draft::default(), there));
    }
    let kkt = known_register(registry, &contract, &serial, &new.fn_number)?;
    if let Some(rnm) = &new.rnm {
        let nobody = Kkt::new(ofd_store::RegistrationState::Contracted, now);
        is_free(registry, rnm, kkt.as_ref().unwrap_or(&nobody))?;
        is_well_typed(new, rnm, &contract.inn, &serial)?;
    }
    let outcome = if kkt.is_some() { LineOutcome::Joined } else { LineOutcome::Added };
    let mut steps = steps(kkt, &contract, new, now)?;
    let mut draft = Draft::default();
    let Some(last) = steps.last_mut() else { return Err(OpsError::Contended) };
    last.kkt.line_id = Some(row(0));
    last.kkt.serial = Some(serial.clone());
    last.kkt.inn = Some(contract.inn.clone());
    last.kkt.fn_number = last.kkt.fn_number.or(Some(new.fn_number));
    last.kkt.model = new.kkt_model.clone().or(last.kkt.model.take());
    last.kkt.fn_model = new.fn_model.clone().or(last.kkt.fn_model.take());
    let line = ContractLine {
        id: 0,
        version: 0,
        contract_id: contract.id,
        inn: contract.inn.clone(),
        kkt_serial: serial.clone(),
        kkt_model: last.kkt.model.clone(),
        fn_number: Some(new.fn_number),
        fn_model: new.fn_model.clone(),
        rnm: new.rnm.map(|rnm| rnm.to_string()).or_else(|| last.kkt.rnm.clone()),
        created_at: now,
        closed_at: None,
    };
    let kkt = last.kkt.clone();
    draft.put(steps, None, now);
    draft.change.lines.push(line.clone());
    let warnings = warnings(new, &contract.inn, &serial);
    Ok((draft, LineResult { outcome, line, kkt, warnings }))
}

/// The line that is there already, if it is the same; refuses one that clashes.
fn standing(
    registry: &RegistryReader,
    contract: &Contract,
    serial: &str,
    new: &NewLine,
) -> Result<Option<LineResult>, OpsError> {
    let other = |line: &ContractLine, what: String| -> Result<OpsError, OpsError> {
        let holder = registry.contract_by_id(line.contract_id)?;
        let holder = holder.map_or_else(|| line.contract_id.to_string(), |holder| holder.number);
        Ok(OpsError::Refused(format!("{what} stands in a line of contract {holder} already")))
    };
    let by_serial = registry.open_line(LineKey::Serial(serial))?;
    if let Some(line) = &by_serial {
        if line.contract_id != contract.id {
            return Err(other(line, format!("the ККТ {serial}"))?);
        }
        if line.fn_number != Some(new.fn_number) {
            let there = line.fn_number.map(|number| number.to_string()).unwrap_or_default();
            return Err(other(line, format!("the ККТ {serial} with the ФН {there}"))?);
        }
        if let Some(kkt) = registry.kkt(KktKey::Line(line.id))? {
            let outcome = LineOutcome::AlreadyThere;
            return Ok(Some(LineResult { outcome, line: line.clone(), kkt, warnings: Vec::new() }));
        }
    }
    match registry.line_of_fn(&new.fn_number)? {
        Some(line) => Err(other(&line, format!("the ФН {}", new.fn_number))?),
        None => Ok(None),
    }
}

/// A register that is there without an open line: known by its report, by an operator's word, or of a contract that it left.
fn known_register(
    registry: &RegistryReader,
    contract: &Contract,
    serial: &str,
    fn_number: &FnNumber,
) -> Result<Option<Kkt>, OpsError> {
    use ofd_store::RegistrationState::Deregistered;
    if let Some(kkt) = registry.kkt(KktKey::Fn(fn_number))?.filter(|kkt| kkt.state != Deregistered) {
        let differs =
            |ours: &Option<String>, theirs: &str| ours.as_deref().is_some_and(|ours| ours != theirs);
        for (what, ours, theirs) in
            [("the serial number", &kkt.serial, serial), ("the INN", &kkt.inn, &contract.inn)]
        {
            if differs(ours, theirs) {
                return Err(OpsError::Refused(format!(
                    "the ФН {fn_number} is in another register: {what} there is {}, here {theirs}",
                    ours.as_deref().unwrap_or_default()
                )));
            }
        }
        return Ok(Some(kkt));
    }
    let same = |kkt: &Kkt| {
        kkt.state != Deregistered
            && kkt.inn.as_ref().is_none_or(|inn| *inn == contract.inn)
            && kkt.fn_number.is_none_or(|ours| ours == *fn_number)
    };
    Ok(registry.kkt(KktKey::Serial(serial))?.filter(same))
}

/// What adding it does to the register: a new one begins in the draft or under contract; one that was announced or that has
/// reported already keeps its state.
fn steps(
    kkt: Option<Kkt>,
    contract: &Contract,
    new: &NewLine,
    now: Timestamp,
) -> Result<Vec<Step>, OpsError> {
    let refused = |rejected: crate::registration::machine::Rejected| OpsError::Refused(rejected.to_string());
    let draft = contract.state == ContractState::Draft;
    let mut steps = vec![match kkt {
        None => {
            let mut added = step(None, Event::Added { draft }, &BY_DAEMON, now).map_err(refused)?;
            added.kkt.serial = Some(new.kkt_serial.trim().to_owned());
            added.kkt.inn = Some(contract.inn.clone());
            added
        }
        Some(mut kkt) => {
            kkt.updated_at = now;
            Step {
                from: Some(kkt.state),
                trigger: crate::registration::table::Trigger::Added,
                kkt,
                actions: Vec::new(),
            }
        }
    }];
    if let (Some(rnm), Some(last), false) = (&new.rnm, steps.last(), draft) {
        let typed = Event::RnmTyped { rnm, unchecked: true, reported: None };
        // Looked at before, with the INN of the contract.
        match step(Some(&last.kkt), typed, &BY_DAEMON, now) {
            Ok(step) => steps.push(step),
            // Known better already.
            Err(_) if last.kkt.rnm_confirmed => {}
            Err(rejected) => return Err(refused(rejected)),
        }
    }
    Ok(steps)
}

fn is_well_typed(new: &NewLine, rnm: &Rnm, inn: &str, serial: &str) -> Result<(), OpsError> {
    match rnm.verify(inn, serial) {
        RnmCheck::Mismatch { expected } if !new.unchecked => Err(OpsError::Refused(format!(
            "the check value of the registration number {rnm} is wrong: for this INN and serial number it ends in \
             {expected:06}; a test stand with made-up numbers says --unchecked"
        ))),
        _ => Ok(()),
    }
}

fn warnings(new: &NewLine, inn: &str, serial: &str) -> Vec<String> {
    match new.rnm.map(|rnm| (rnm, rnm.verify(inn, serial))) {
        Some((rnm, RnmCheck::Mismatch { expected })) => {
            vec![format!(
                "the check value of {rnm} is wrong: for this INN and serial number it ends in {expected:06}"
            )]
        }
        _ => Vec::new(),
    }
}

/// A serial number without padding.
pub(super) fn usable_serial(serial: &str) -> Result<String, OpsError> {
    let serial = serial.trim();
    let fits =
        (1..=MAX_SERIAL_CHARS).contains(&serial.chars().count()) && !serial.chars().any(char::is_control);
    if fits {
        Ok(serial.to_owned())
    } else {
        Err(OpsError::Refused(format!(
            "{serial:?} is no serial number of a ККТ: 1 to {MAX_SERIAL_CHARS} characters"
        )))
    }
}
