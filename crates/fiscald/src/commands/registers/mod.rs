//! `fiscald registers`: which registers the operator knows.

use std::process::ExitCode;

use anyhow::{Result, bail};
use jiff::Timestamp;
use ofd_fns::registration::ops::register_add;
use ofd_store::{RegisterAdd, RegisterChange};

use super::output::Output;
use super::{operator, reader, registry, registry_reader, settings};
use crate::cli::{RegisterAddArgs, RegistersCommand};

mod applications;
mod apply;
mod explain;
mod import;
mod list;
mod rnm;
mod show;
mod table_file;
mod view;

pub(super) use view::{View, Viewer};

/// Lists, shows, announces, imports, applies.
///
/// # Errors
/// The store cannot be used; a number that is none; a register or a contract that is not known; what the state of the
/// register does not permit.
pub(crate) fn run(command: RegistersCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        RegistersCommand::List(args) => list::run(&args, out)?,
        RegistersCommand::Show { number, table } => {
            let periods = settings(&table.config)?.registration.periods();
            let (registry, reader) = (registry_reader(&table.config)?, reader(&table.config)?);
            show::run(&number, &registry, &reader, periods, table.json, out)?;
        }
        RegistersCommand::Add(args) => announce(args, out)?,
        RegistersCommand::Import(args) => return import::run(&args, out),
        RegistersCommand::Rnm { register, rnm, unchecked, table } => {
            rnm::run(&register, &rnm, unchecked, &table, out)?;
        }
        RegistersCommand::Apply(args) => apply::run(&args, out)?,
        RegistersCommand::Applications { open, table } => applications::run(open, &table, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A contract that is not there, and what to do.
pub(super) fn no_contract(number: &str) -> String {
    format!(
        "there is no contract {number}; see `fiscald contracts list`, or add it with `fiscald contracts add`"
    )
}

/// Says what was done and where. The registration comes first, for it refuses what contradicts; reception learns of the
/// register only then.
fn announce(args: RegisterAddArgs, out: &mut Output) -> Result<()> {
    let RegisterAddArgs { fn_number, kkt_serial, rnm, unchecked, inn, table } = args;
    if let Some(inn) = &inn
        && !inn.check_digits_ok()
    {
        bail!("--inn {inn}: wrong check digits");
    }
    let stated = RegisterAdd {
        fn_number,
        kkt_serial: kkt_serial.clone(),
        rnm: rnm.map(|rnm| rnm.to_string()),
        inn: inn.map(|inn| inn.to_string()),
    };
    let periods = settings(&table.config)?.registration.periods();
    let (mut registry, place) = registry(&table.config)?;
    let kkt = register_add(
        &mut registry,
        kkt_serial.as_deref(),
        fn_number.as_ref(),
        rnm.as_ref().map(|rnm| (rnm, unchecked)),
        inn.as_ref(),
        Timestamp::now(),
    )?;
    let change = operator(&table.config)?.0.register_add(&stated)?;
    let state = kkt.state.name();
    if table.json {
        return out.json(&Viewer::new(&registry, periods).view(kkt)?.as_json());
    }
    Ok(out.line(match change {
        RegisterChange::Added => format!("added to {place} ({state})"),
        RegisterChange::Updated => format!("known already, the facts are updated in {place} ({state})"),
    })?)
}
