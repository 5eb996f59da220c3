//! `fiscald contracts`: clients, contracts and their lines.

mod change;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use ofd_fns::registration::ContractStanding;
use ofd_store::Contract;
use serde_json::{Value, json};

use super::output::Output;
use crate::cli::ContractsCommand;

/// Writes down, changes, lists, shows.
///
/// # Errors
/// The store cannot be used; no such contract; a number that is taken; what the state of the contract does not permit.
pub(crate) fn run(command: ContractsCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        ContractsCommand::Add(args) => change::add(args, out)?,
        ContractsCommand::Sign(args) => change::state(change::Change::Sign, &args, out)?,
        ContractsCommand::Stop(args) => change::state(change::Change::Stop, &args, out)?,
        ContractsCommand::Resume(args) => change::state(change::Change::Resume, &args, out)?,
        ContractsCommand::Line(args) => change::line(args, out)?,
        ContractsCommand::CloseLine { kkt_serial, table } => change::close_line(&kkt_serial, &table, out)?,
        ContractsCommand::List { inn, table } => show::list(inn, &table, out)?,
        ContractsCommand::Show { number, table } => show::show(&number, &table, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Until when the registers of something that ended at `since` are served; none past the end of time.
fn grace_until(since: Timestamp, grace_s: u64) -> Option<Timestamp> {
    since.checked_add(SignedDuration::from_secs(i64::try_from(grace_s).ok()?)).ok()
}

/// The members that every command shows of a contract.
fn as_json(contract: &Contract, client: Option<&str>, grace_s: u64) -> Value {
    let standing = ContractStanding::of(Some(contract), None, grace_s, Timestamp::now());
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "number": contract.number,
        "inn": contract.inn,
        "client": client,
        "state": contract.state.name(),
        "standing": standing.name(),
        "created_at": contract.created_at.to_string(),
        "active_at": moment(contract.active_at),
        "stopped_at": moment(contract.stopped_at),
        "served_until": moment(contract.stopped_at.and_then(|since| grace_until(since, grace_s))),
    })
}
