//! Many registers: those on their way to the registry, and those that only reception knows.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use ffd::ids::FnNumber;
use ofd_fns::registration::RegisterView;
use ofd_store::{KktFilter, KktKey, Reader, RegisterRow, RegistrationState, RegistryReader};
use serde_json::{Value, json};

use super::super::output::Output;
use super::super::{optional, progress, reader, registry_reader, settings};
use super::view::{View, Viewer, inn};
use crate::cli::RegistersListArgs;

/// Registers that one read takes.
const PAGE: usize = 500;

/// Prints the registers that pass.
///
/// # Errors
/// The store cannot be used; no such contract.
pub(super) fn run(args: &RegistersListArgs, out: &mut Output) -> Result<()> {
    let periods = settings(&args.table.config)?.registration.periods();
    let registry = registry_reader(&args.table.config)?;
    let filter = filter(args, &registry)?;
    let mut viewer = Viewer::new(&registry, periods);
    let views = views(&registry, &mut viewer, filter)?;
    let known = Known::read(&reader(&args.table.config)?)?;
    let others = match (&args.state, &args.contract, &args.inn) {
        (None, None, inn) => {
            let mut others = known.beside(&views, &registry)?;
            others.retain(|row| inn.is_none_or(|inn| row.inn.as_deref() == Some(inn.as_str())));
            others
        }
        _ => Vec::new(),
    };
    if args.table.json {
        let views = views.iter().map(|view| with_source(view.as_json(), known.of(view)));
        return out.json(&views.chain(others.iter().map(|row| reception_json(row))).collect::<Vec<_>>());
    }
    table(&views, &others, out)
}

fn filter(args: &RegistersListArgs, registry: &RegistryReader) -> Result<KktFilter> {
    let contract = match &args.contract {
        Some(number) => Some(registry.contract(number)?.with_context(|| super::no_contract(number))?),
        None => None,
    };
    Ok(KktFilter {
        state: args.state.as_deref().and_then(|name| RegistrationState::from_name(&name.to_uppercase())),
        inn: args.inn.map(|inn| inn.to_string()),
        contract_id: contract.map(|contract| contract.id),
        ..KktFilter::default()
    })
}

/// Page by page; each register takes some ten look-ups, so a long list shows that it gets on.
fn views(registry: &RegistryReader, viewer: &mut Viewer<'_>, mut filter: KktFilter) -> Result<Vec<View>> {
    let counter = progress::counting("registers");
    let mut views = Vec::new();
    loop {
        let page = registry.kkts(&filter, PAGE)?;
        let Some(last) = page.last() else { break };
        filter.after_id = last.id;
        for kkt in page {
            views.push(viewer.view(kkt)?);
            counter.inc(1);
        }
    }
    counter.finish_and_clear();
    Ok(views)
}

/// What reception knows, whatever the registration does.
struct Known {
    by_fn: HashMap<FnNumber, RegisterRow>,
    by_serial: Vec<RegisterRow>,
}

impl Known {
    fn read(reader: &Reader) -> Result<Self> {
        let (mut by_fn, mut by_serial) = (HashMap::new(), Vec::new());
        for row in reader.registers()? {
            match row.fn_number {
                Some(number) => {
                    by_fn.insert(number, row);
                }
                None => by_serial.push(row),
            }
        }
        Ok(Self { by_fn, by_serial })
    }

    fn of(&self, view: &View) -> Option<&RegisterRow> {
        view.register.kkt.fn_number.and_then(|number| self.by_fn.get(&number))
    }

    /// Rows of which none of all registers tells: released from quarantine, stated by serial number alone, or so new that
    /// the daemon has not followed them yet.
    fn beside(&self, views: &[View], registry: &RegistryReader) -> Result<Vec<&RegisterRow>> {
        let numbers: HashSet<FnNumber> =
            views.iter().filter_map(|view| view.register.kkt.fn_number).collect();
        let serials: HashSet<&str> =
            views.iter().filter_map(|view| view.register.kkt.serial.as_deref()).collect();
        let mut others: Vec<&RegisterRow> = Vec::new();
        for (number, row) in &self.by_fn {
            if !numbers.contains(number) && registry.kkt(KktKey::FnEver(number))?.is_none() {
                others.push(row);
            }
        }
        others.sort_by_key(|row| row.fn_number);
        let stated = self.by_serial.iter();
        others.extend(
            stated.filter(|row| row.kkt_serial.as_deref().is_none_or(|serial| !serials.contains(serial))),
        );
        Ok(others)
    }
}

fn with_source(mut json: Value, known: Option<&RegisterRow>) -> Value {
    if let Some(members) = json.as_object_mut() {
        members.insert("source".to_owned(), known.map(|row| row.source.clone()).into());
    }
    json
}

/// A register that only reception knows: the same members as far as there is something to say.
pub(super) fn reception_json(row: &RegisterRow) -> Value {
    json!({
        "rnm": row.rnm,
        "fn": row.fn_number.map(|number| number.to_string()),
        "kkt_serial": row.kkt_serial,
        "inn": row.inn,
        "state": null,
        "label": null,
        "contract": "none",
        "liveness": null,
        "fn_state": null,
        "fns": null,
        "manual": null,
        "report_seq": row.report_seq,
        "source": row.source,
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
    })
}

fn table(views: &[View], others: &[&RegisterRow], out: &mut Output) -> Result<()> {
    if views.is_empty() && others.is_empty() {
        eprintln!(
            "no such registers are known; add one to a contract with `fiscald contracts line`, \
             or announce it with `fiscald registers add --fn FN`"
        );
        return Ok(());
    }
    let heading =
        ["RNM", "FN", "KKT SERIAL", "INN", "STATE", "СОСТОЯНИЕ", "CONTRACT", "LIVENESS", "FN STATE", "FNS"];
    let rows = views.iter().map(cells).chain(others.iter().map(|row| reception_cells(row)));
    out.table(&heading, &[], rows.collect())?;
    if !others.is_empty() {
        eprintln!(
            "without a state: known to reception only, no report of them was followed ({})",
            others.len()
        );
    }
    Ok(())
}

fn cells(view: &View) -> Vec<String> {
    let RegisterView { kkt, dimensions, label, .. } = &view.register;
    let rnm = kkt.rnm.as_ref().map(|rnm| if kkt.rnm_confirmed { rnm.clone() } else { format!("{rnm}?") });
    vec![
        optional(rnm),
        optional(kkt.fn_number),
        optional(kkt.serial.as_ref()),
        optional(inn(&view.register)),
        kkt.state.name().to_owned(),
        label.clone(),
        dimensions.contract.name().to_owned(),
        dimensions.liveness.name(),
        dimensions.fn_condition.name().to_owned(),
        dimensions.fns.name().to_owned(),
    ]
}

fn reception_cells(row: &RegisterRow) -> Vec<String> {
    let mut cells = vec![
        optional(row.rnm.as_ref()),
        optional(row.fn_number),
        optional(row.kkt_serial.as_ref()),
        optional(row.inn.as_ref()),
    ];
    cells.extend(["-"; 6].map(str::to_owned));
    cells
}
