//! What changes contracts and their lines, and what is told about it.

use anyhow::Result;
use jiff::Timestamp;
use ofd_fns::registration::ops::{
    ContractChanged, LineOutcome, NewContract, NewLine, contract_add, contract_resume, contract_sign,
    contract_stop, line_add, line_close,
};

use super::super::output::Output;
use super::super::registers::Viewer;
use super::super::{registry, settings};
use super::{as_json, grace_until};
use crate::cli::{ContractAddArgs, ContractArgs, ContractLineArgs, TableArgs};

/// A change of a contract's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Sign,
    Stop,
    Resume,
}

/// Writes down a contract.
///
/// # Errors
/// A wrong INN; a number that is taken; the store cannot be used.
pub(super) fn add(args: ContractAddArgs, out: &mut Output) -> Result<()> {
    let ContractAddArgs { number, inn, name, active, table } = args;
    if !inn.check_digits_ok() {
        anyhow::bail!("--inn {inn}: wrong check digits");
    }
    let grace_s = settings(&table.config)?.registration.grace_s;
    let (mut registry, place) = registry(&table.config)?;
    let new = NewContract { number, inn, client_name: name, active };
    let contract = contract_add(&mut registry, &new, Timestamp::now())?;
    if table.json {
        return out.json(&as_json(&contract, Some(&new.client_name), grace_s));
    }
    let number = &contract.number;
    let next = if active {
        format!("add its registers: fiscald contracts line {number} ..., or fiscald registers import")
    } else {
        format!("it is a draft: nothing is served before `fiscald contracts sign {number}`")
    };
    Ok(out.line(format!(
        "contract {number} with {} ({}) is in {place}\n{next}",
        new.client_name, contract.inn
    ))?)
}

/// Signs, stops or resumes.
///
/// # Errors
/// No such contract; its state does not permit it; the store cannot be used.
pub(super) fn state(change: Change, args: &ContractArgs, out: &mut Output) -> Result<()> {
    let grace_s = settings(&args.table.config)?.registration.grace_s;
    let (mut registry, place) = registry(&args.table.config)?;
    let (number, now) = (args.number.as_str(), Timestamp::now());
    let changed = match change {
        Change::Sign => contract_sign(&mut registry, number, now)?,
        Change::Stop => contract_stop(&mut registry, number, now)?,
        Change::Resume => contract_resume(&mut registry, number, now)?,
    };
    if args.table.json {
        let client = registry.client(&changed.contract.inn)?.map(|client| client.name);
        let mut json = as_json(&changed.contract, client.as_deref(), grace_s);
        if let Some(members) = json.as_object_mut() {
            members.insert("changed".to_owned(), changed.changed.into());
            members.insert("registers_moved".to_owned(), changed.registers_moved.into());
        }
        return out.json(&json);
    }
    Ok(out.line(told(change, &changed, grace_s, &place))?)
}

fn told(change: Change, changed: &ContractChanged, grace_s: u64, place: &str) -> String {
    let ContractChanged { contract, changed, registers_moved, fns } = changed;
    let number = &contract.number;
    let said = match (change, changed) {
        (Change::Sign, true) => format!("contract {number} is in force: its registers are served"),
        (Change::Resume, true) => format!("contract {number} goes on: its registers are served"),
        (Change::Sign | Change::Resume, false) => {
            format!("contract {number} is in force already, nothing was changed")
        }
        (Change::Stop, _) => {
            let until = contract.stopped_at.and_then(|since| grace_until(since, grace_s));
            let until = until.map_or_else(|| "ever".to_owned(), |until| until.to_string());
            let already = if *changed { "" } else { " already" };
            format!(
                "contract {number} is stopped{already}: its registers are served until {until}, \
                 afterwards their documents get no answer"
            )
        }
    };
    let moved = if *registers_moved > 0 {
        format!(", {registers_moved} of them changed their state")
    } else {
        String::new()
    };
    format!("{said} ({place}; registers: {}{moved})", fns.len())
}

/// Adds a register to a contract.
///
/// # Errors
/// No such contract; a ККТ or ФН that stands in another line; a registration number of another register, or with a wrong
/// check value; the store cannot be used.
pub(super) fn line(args: ContractLineArgs, out: &mut Output) -> Result<()> {
    let ContractLineArgs { number, kkt_serial, fn_number, model, fn_model, rnm, unchecked, table } = args;
    let periods = settings(&table.config)?.registration.periods();
    let (mut registry, place) = registry(&table.config)?;
    let new = NewLine { kkt_serial, kkt_model: model, fn_number, fn_model, rnm, unchecked };
    let added = line_add(&mut registry, &number, &new, Timestamp::now())?;
    for warning in &added.warnings {
        eprintln!("{warning}");
    }
    let view = Viewer::new(&registry, periods).view(added.kkt)?;
    if table.json {
        return out.json(&view.as_json());
    }
    let what = match added.outcome {
        LineOutcome::Added => "is in the contract now",
        LineOutcome::Joined => "was known before and is in the contract now",
        LineOutcome::AlreadyThere => "is in the contract already, nothing was changed",
    };
    let state = view.register.kkt.state.name();
    Ok(out.line(format!(
        "ККТ {} with ФН {fn_number} {what} ({number}, {place}): {state} «{}»",
        new.kkt_serial, view.register.label
    ))?)
}

/// Takes a register out of its contract.
///
/// # Errors
/// No open line of this serial number; the store cannot be used.
pub(super) fn close_line(kkt_serial: &str, table: &TableArgs, out: &mut Output) -> Result<()> {
    let grace_s = settings(&table.config)?.registration.grace_s;
    let (mut registry, place) = registry(&table.config)?;
    let line = line_close(&mut registry, kkt_serial, Timestamp::now())?;
    if table.json {
        return out.json(&super::show::line_json(&line, None));
    }
    let until = line.closed_at.and_then(|since| grace_until(since, grace_s));
    let until = until.map_or_else(|| "ever".to_owned(), |until| until.to_string());
    Ok(out.line(format!("ККТ {kkt_serial} left its contract ({place}): it is served until {until}"))?)
}
