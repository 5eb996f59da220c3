//! Contracts.

use ffd::ids::{FnNumber, Inn, Rnm};
use jiff::Timestamp;
use ofd_store::{
    Client, Contract, ContractLine, ContractState, KktKey, MAX_PAGE_ROWS, Registry, RegistryReader,
    StoreError, TaskKind,
};

use super::{BY_DAEMON, OpsError, done};
use crate::registration::commit::{Draft, Touch, settle};
use crate::registration::machine::{Event, register_words, step};
use crate::registration::numbers::held_elsewhere;

/// Longest number of a contract and longest name of a client, characters.
const MAX_TEXT_CHARS: usize = 200;
/// Most ФН that an answer names.
const MAX_NAMED_FNS: usize = 1_000;

/// A contract to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContract {
    /// Its number, as it stands on the paper.
    pub number: String,
    /// ИНН of the client.
    pub inn: Inn,
    /// Name of the client. A known client gets it anew.
    pub client_name: String,
    /// Signed or paid already.
    pub active: bool,
}

/// A contract after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractChanged {
    /// The contract.
    pub contract: Contract,
    /// False: it was there already, nothing was written.
    pub changed: bool,
    /// Registers that came to another state by it.
    pub registers_moved: u64,
    /// ФН of its open lines, at most 1,000: those that are served from now on, or until the grace period ends.
    pub fns: Vec<FnNumber>,
}

/// Writes down a contract and its client.
///
/// # Errors
/// [`OpsError::Refused`] when the number is taken or not usable.
pub fn contract_add(
    registry: &mut Registry,
    new: &NewContract,
    now: Timestamp,
) -> Result<Contract, OpsError> {
    let number = usable("the number of the contract", &new.number)?;
    let name = usable("the name of the client", &new.client_name)?;
    let state = if new.active { ContractState::Active } else { ContractState::Draft };
    let (mut contract, ids) = done(settle::<_, OpsError>(registry, |registry| {
        if let Some(there) = registry.contract(&number)? {
            return Err(OpsError::Refused(format!(
                "contract {number} is there already (client {}, {})",
                there.inn,
                there.state.name()
            )));
        }
        let inn = new.inn.to_string();
        let created_at = registry.client(&inn)?.map_or(now, |client| client.created_at);
        let contract = Contract {
            id: 0,
            version: 0,
            number: number.clone(),
            inn: inn.clone(),
            state,
            created_at: now,
            active_at: new.active.then_some(now),
            stopped_at: None,
        };
        let mut draft = Draft::default();
        draft.change.clients.push(Client { inn, name: name.clone(), created_at });
        draft.change.contracts.push(contract.clone());
        Ok((draft, contract))
    })?)?;
    contract.id = ids.contracts.first().copied().unwrap_or_default();
    Ok(contract)
}

/// The contract was paid or signed: its registers leave the draft, their ФН are served.
///
/// # Errors
/// [`OpsError::NotFound`]; [`OpsError::Refused`] when it was stopped (that is what [`contract_resume`] is for).
pub fn contract_sign(
    registry: &mut Registry,
    number: &str,
    now: Timestamp,
) -> Result<ContractChanged, OpsError> {
    change(registry, number, now, |contract| match contract.state {
        ContractState::Draft => {
            (contract.state, contract.active_at) = (ContractState::Active, Some(now));
            Ok(true)
        }
        ContractState::Active => Ok(false),
        ContractState::Stopped => Err(OpsError::Refused(format!(
            "contract {number} was stopped: let it go on with `contracts resume`"
        ))),
    })
}

/// The contract ended: the grace period begins.
///
/// # Errors
/// [`OpsError::NotFound`]; [`OpsError::Refused`] of a draft.
pub fn contract_stop(
    registry: &mut Registry,
    number: &str,
    now: Timestamp,
) -> Result<ContractChanged, OpsError> {
    change(registry, number, now, |contract| match contract.state {
        ContractState::Active => {
            (contract.state, contract.stopped_at) = (ContractState::Stopped, Some(now));
            Ok(true)
        }
        ContractState::Stopped => Ok(false),
        ContractState::Draft => {
            Err(OpsError::Refused(format!("contract {number} is a draft: nothing of it is served")))
        }
    })
}

/// A stopped contract goes on.
///
/// # Errors
/// [`OpsError::NotFound`]; [`OpsError::Refused`] of a draft.
pub fn contract_resume(
    registry: &mut Registry,
    number: &str,
    now: Timestamp,
) -> Result<ContractChanged, OpsError> {
    change(registry, number, now, |contract| match contract.state {
        ContractState::Stopped => {
            (contract.state, contract.stopped_at) = (ContractState::Active, None);
            Ok(true)
        }
        ContractState::Active => Ok(false),
        ContractState::Draft => {
            Err(OpsError::Refused(format!("contract {number} is a draft: begin it with `contracts sign`")))
        }
    })
}

/// Changes the row, and moves registers of the contract that still are in the draft, if it is in force now. One
/// transaction, whatever their number: half a contract must not be served.
fn change(
    registry: &mut Registry,
    number: &str,
    now: Timestamp,
    turn: impl Fn(&mut Contract) -> Result<bool, OpsError>,
) -> Result<ContractChanged, OpsError> {
    let (changed, _) = done(settle::<_, OpsError>(registry, |registry| {
        let mut contract = contract_of(registry, number)?;
        let mut draft = Draft::default();
        let turned = turn(&mut contract)?;
        if turned {
            draft.change.contracts.push(contract.clone());
        }
        let lines = lines_of(registry, &contract)?;
        if contract.state == ContractState::Active {
            for line in &lines {
                leave_draft(registry, &mut draft, line, now)?;
            }
        }
        let fns = lines.iter().filter_map(|line| line.fn_number).take(MAX_NAMED_FNS).collect();
        let changed = turned || draft.moved != 0;
        let registers_moved = draft.moved;
        Ok((draft, ContractChanged { contract, changed, registers_moved, fns }))
    })?)?;
    Ok(changed)
}

fn leave_draft(
    registry: &RegistryReader,
    draft: &mut Draft,
    line: &ContractLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(kkt) = registry.kkt(KktKey::Line(line.id))? else { return Ok(()) };
    // Of a register that went on without a contract (policy `accept`) nothing is to be moved.
    let Ok(signed) = step(Some(&kkt), Event::ContractSigned, &BY_DAEMON, now) else { return Ok(()) };
    let mut steps = vec![signed];
    let stated = line.rnm.as_deref().and_then(|rnm| rnm.parse::<Rnm>().ok());
    if let (Some(rnm), Some(signed)) = (stated, steps.last()) {
        // Since the line was written, or in another line of this contract, another register may have got the number.
        let is_taken = held_elsewhere(registry, rnm.as_str(), Some(kkt.id))?.is_some()
            || !draft.touch(vec![Touch::Rnm(rnm.to_string())]);
        if is_taken {
            let text = format!(
                "{}: РНМ {rnm} из договора уже записан за другой ККТ и не взят. Уточните у клиента.",
                register_words(&kkt)
            );
            draft.task(&kkt, kkt.id, TaskKind::Mismatch, text, None, now);
            draft.put(steps, None, now);
            return Ok(());
        }
        // Its check value was looked at when the line was written, with an operator's word to take it wrong.
        let typed = Event::RnmTyped { rnm: &rnm, unchecked: true, reported: None };
        if let Ok(step) = step(Some(&signed.kkt), typed, &BY_DAEMON, now) {
            steps.push(step);
        }
    }
    draft.put(steps, None, now);
    Ok(())
}

/// The contract of a number.
pub(super) fn contract_of(registry: &RegistryReader, number: &str) -> Result<Contract, OpsError> {
    registry
        .contract(number.trim())?
        .ok_or_else(|| OpsError::NotFound(format!("there is no contract {number}: see `contracts list`")))
}

/// All lines of a contract that are not closed.
fn lines_of(registry: &RegistryReader, contract: &Contract) -> Result<Vec<ContractLine>, StoreError> {
    let mut lines = Vec::new();
    let mut after = 0;
    loop {
        let page = registry.lines(contract.id, after, MAX_PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(lines) };
        after = last.id;
        lines.extend(page.into_iter().filter(|line| line.closed_at.is_none()));
    }
}

fn usable(what: &str, text: &str) -> Result<String, OpsError> {
    let text = text.trim();
    let bad = text.is_empty() || text.chars().count() > MAX_TEXT_CHARS || text.chars().any(char::is_control);
    if bad {
        return Err(OpsError::Refused(format!(
            "{what} is not usable: write 1 to {MAX_TEXT_CHARS} characters in one line"
        )));
    }
    Ok(text.to_owned())
}
