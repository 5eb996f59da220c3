//! Contracts as tables and JSON.

use anyhow::{Context, Result};
use ffd::ids::Inn;
use jiff::Timestamp;
use ofd_fns::registration::ContractStanding;
use ofd_store::{Contract, ContractLine, KktKey, RegistryReader};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::registers::{View, Viewer, no_contract};
use super::super::{optional, registry_reader, settings};
use super::{as_json, grace_until};
use crate::cli::TableArgs;

/// Rows that one read takes.
const PAGE: usize = 1_000;

/// Prints all contracts, or those of one client.
///
/// # Errors
/// The store cannot be used.
pub(super) fn list(inn: Option<Inn>, table: &TableArgs, out: &mut Output) -> Result<()> {
    let grace_s = settings(&table.config)?.registration.grace_s;
    let registry = registry_reader(&table.config)?;
    let mut found: Vec<(Contract, Option<String>)> = Vec::new();
    let mut after = 0;
    loop {
        let page = registry.contracts(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for contract in page {
            if inn.is_none_or(|inn| inn.as_str() == contract.inn) {
                let client = registry.client(&contract.inn)?.map(|client| client.name);
                found.push((contract, client));
            }
        }
    }
    if table.json {
        let found = found.iter().map(|(contract, client)| as_json(contract, client.as_deref(), grace_s));
        return out.json(&found.collect::<Vec<_>>());
    }
    if found.is_empty() {
        eprintln!("there are no such contracts; write one down with `fiscald contracts add`");
        return Ok(());
    }
    let heading = ["NUMBER", "INN", "CLIENT", "STATE", "CREATED", "SIGNED", "STOPPED", "SERVED UNTIL"];
    let rows = found.iter().map(|(contract, client)| cells(contract, client.as_ref(), grace_s)).collect();
    Ok(out.table(&heading, &[], rows)?)
}

fn cells(contract: &Contract, client: Option<&String>, grace_s: u64) -> Vec<String> {
    let standing = ContractStanding::of(Some(contract), None, grace_s, Timestamp::now());
    vec![
        contract.number.clone(),
        contract.inn.clone(),
        optional(client),
        standing.name().to_owned(),
        contract.created_at.to_string(),
        optional(contract.active_at),
        optional(contract.stopped_at),
        optional(contract.stopped_at.and_then(|since| grace_until(since, grace_s))),
    ]
}

/// Prints one contract with its lines.
///
/// # Errors
/// No such contract; the store cannot be used.
pub(super) fn show(number: &str, table: &TableArgs, out: &mut Output) -> Result<()> {
    let periods = settings(&table.config)?.registration.periods();
    let registry = registry_reader(&table.config)?;
    let contract = registry.contract(number)?.with_context(|| no_contract(number))?;
    let client = registry.client(&contract.inn)?.map(|client| client.name);
    let lines = lines(&registry, &contract, &mut Viewer::new(&registry, periods))?;
    if table.json {
        let mut json = as_json(&contract, client.as_deref(), periods.grace_s);
        if let Some(members) = json.as_object_mut() {
            let lines = lines.iter().map(|(line, view)| line_json(line, view.as_ref()));
            members.insert("lines".to_owned(), lines.collect::<Vec<_>>().into());
        }
        return out.json(&json);
    }
    let standing = ContractStanding::of(Some(&contract), None, periods.grace_s, Timestamp::now());
    out.line(format!("contract {number}"))?;
    out.line(format!("   client       {}, {}", contract.inn, optional(client)))?;
    out.line(format!("   state        {}", standing.name()))?;
    out.line(format!("   created      {}", contract.created_at))?;
    out.line(format!("   signed       {}", optional(contract.active_at)))?;
    if let Some(since) = contract.stopped_at {
        let until = optional(grace_until(since, periods.grace_s));
        out.line(format!("   stopped      {since}, served until {until}"))?;
    }
    if lines.is_empty() {
        out.line(format!("\nno registers; add one with `fiscald contracts line {number} ...`"))?;
        return Ok(());
    }
    out.line("")?;
    let heading = ["KKT SERIAL", "FN", "RNM", "MODEL", "STATE", "СОСТОЯНИЕ", "ADDED", "LEFT"];
    Ok(out.table(&heading, &[], lines.iter().map(line_cells).collect())?)
}

fn lines(
    registry: &RegistryReader,
    contract: &Contract,
    viewer: &mut Viewer<'_>,
) -> Result<Vec<(ContractLine, Option<View>)>> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = registry.lines(contract.id, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.id;
        for line in page {
            let kkt = registry.kkt(KktKey::Line(line.id))?;
            let view = kkt.map(|kkt| viewer.view(kkt)).transpose()?;
            found.push((line, view));
        }
    }
}

fn line_cells((line, view): &(ContractLine, Option<View>)) -> Vec<String> {
    let register = view.as_ref().map(|view| &view.register);
    vec![
        line.kkt_serial.clone(),
        optional(line.fn_number),
        optional(line.rnm.as_ref()),
        optional(line.kkt_model.as_ref()),
        optional(register.map(|register| register.kkt.state.name())),
        optional(register.map(|register| &register.label)),
        line.created_at.to_string(),
        optional(line.closed_at),
    ]
}

pub(super) fn line_json(line: &ContractLine, view: Option<&View>) -> Value {
    let register = view.map(|view| &view.register);
    json!({
        "kkt_serial": line.kkt_serial,
        "kkt_model": line.kkt_model,
        "fn": line.fn_number.map(|number| number.to_string()),
        "fn_model": line.fn_model,
        "rnm": line.rnm,
        "state": register.map(|register| register.kkt.state.name()),
        "label": register.map(|register| &register.label),
        "created_at": line.created_at.to_string(),
        "closed_at": line.closed_at.map(|at| at.to_string()),
    })
}
