//! Applications that were handed in here.

use anyhow::Result;
use ofd_store::{Application, ApplicationFilter, ApplicationState, Kkt, KktKey};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::{optional, registry_reader};
use crate::cli::TableArgs;

/// Applications that one read takes.
const PAGE: usize = 500;

/// Prints applications, newest first.
///
/// # Errors
/// The store cannot be used.
pub(super) fn run(open_only: bool, table: &TableArgs, out: &mut Output) -> Result<()> {
    let registry = registry_reader(&table.config)?;
    let mut filter = ApplicationFilter::default();
    let mut found: Vec<(Application, Option<Kkt>)> = Vec::new();
    loop {
        let page = registry.applications(&filter, PAGE)?;
        let Some(last) = page.last() else { break };
        filter.after_id = last.id;
        for application in page {
            if open_only && !is_open(application.state) {
                continue;
            }
            let kkt = registry.kkt(KktKey::Id(application.kkt_id))?;
            found.push((application, kkt));
        }
    }
    found.reverse();
    if table.json {
        return out.json(&found.iter().map(|(row, kkt)| as_json(row, kkt.as_ref())).collect::<Vec<_>>());
    }
    if found.is_empty() {
        eprintln!("no such applications; hand one in with `fiscald registers apply`");
        return Ok(());
    }
    let heading =
        ["ID", "KIND", "KKT SERIAL", "FN", "STATE", "NUMBER", "RNM", "ATTEMPTS", "NEXT", "CHANGED", "WHAT"];
    let rows = found.iter().map(|(row, kkt)| cells(row, kkt.as_ref())).collect();
    Ok(out.table(&heading, &[0, 7], rows)?)
}

fn is_open(state: ApplicationState) -> bool {
    matches!(state, ApplicationState::New | ApplicationState::Sent)
}

fn cells(row: &Application, kkt: Option<&Kkt>) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.kind.clone(),
        optional(kkt.and_then(|kkt| kkt.serial.as_ref())),
        optional(kkt.and_then(|kkt| kkt.fn_number)),
        row.state.name().to_owned(),
        optional(row.application_id.as_ref()),
        optional(row.rnm.as_ref()),
        row.attempts.to_string(),
        optional(row.next_at),
        row.updated_at.to_string(),
        optional(row.refusal.as_ref().or(row.last_error.as_ref())),
    ]
}

pub(super) fn as_json(row: &Application, kkt: Option<&Kkt>) -> Value {
    let request = serde_json::from_str(&row.request).unwrap_or_else(|_| Value::String(row.request.clone()));
    json!({
        "id": row.id,
        "case_id": row.case_id,
        "kind": row.kind,
        "kkt_serial": kkt.and_then(|kkt| kkt.serial.as_ref()),
        "fn": kkt.and_then(|kkt| kkt.fn_number).map(|number| number.to_string()),
        "state": row.state.name(),
        "application_id": row.application_id,
        "rnm": row.rnm,
        "refusal": row.refusal,
        "attempts": row.attempts,
        "next_at": row.next_at.map(|at| at.to_string()),
        "last_error": row.last_error,
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
        "request": request,
    })
}
