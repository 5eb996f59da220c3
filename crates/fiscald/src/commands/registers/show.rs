//! One register, explained.

use anyhow::{Context, Result};
use ffd::ids::FnNumber;
use ofd_fns::RegistrationConfig;
use ofd_fns::registration::RegisterView;
use ofd_fns::registration::view::find;
use ofd_store::{Kkt, Reader, RegistrationState, RegistryReader, Task};

use super::super::output::Output;
use super::super::{optional, tasks};
use super::explain::{Explanation, explain};
use super::list::reception_json;
use super::view::{View, Viewer, due, inn};

/// Prints a register by its РНМ, else by its ФН.
///
/// # Errors
/// No such register; the store cannot be read.
pub(super) fn run(
    number: &FnNumber,
    registry: &RegistryReader,
    reader: &Reader,
    periods: RegistrationConfig,
    as_object: bool,
    out: &mut Output,
) -> Result<()> {
    let Some(kkt) = find(registry, number.as_str())? else {
        let row = reader.register(number)?;
        let row = row.with_context(|| format!("no register with РНМ or ФН {number} is known"))?;
        if as_object {
            return out.json(&reception_json(&row));
        }
        let source = &row.source;
        out.line(format!(
            "ФН {number} is known to reception (source: {source}): its documents are served.\n\
             No registration report of it was followed yet; the daemon does that within a second of the report."
        ))?;
        return Ok(());
    };
    let id = kkt.id;
    let source = kkt.fn_number.map(|number| reader.register(&number)).transpose()?.flatten();
    let view = Viewer::new(registry, periods).view(kkt)?;
    let tasks = tasks::open_of(registry, id)?;
    if as_object {
        let mut json = view.as_json();
        if let Some(members) = json.as_object_mut() {
            members.insert("source".to_owned(), source.map(|row| row.source).into());
            members.insert("tasks".to_owned(), tasks.iter().map(tasks::as_json).collect::<Vec<_>>().into());
            members.insert("fn_history".to_owned(), history_json(registry, id)?);
        }
        return out.json(&json);
    }
    Ok(out.text(&text(&view, &history(registry, id)?, &tasks))?)
}

fn text(view: &View, history: &[String], tasks: &[Task]) -> String {
    let RegisterView { kkt, dimensions, .. } = &view.register;
    let model = kkt.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
    let mut text = format!("ККТ {}{model}, ФН {}\n", optional(kkt.serial.as_ref()), optional(kkt.fn_number));
    let mut line = |name: &str, value: String| text += &format!("   {name:<14} {value}\n");
    line("состояние", view.register.label.clone());
    line("state", format!("{} since {}", kkt.state.name(), kkt.state_since));
    line("rnm", rnm(kkt));
    line("client", client(view));
    line("contract", contract(view));
    let seen = view.register.last_seen.map_or_else(String::new, |at| format!(", last document {at}"));
    line("liveness", format!("{}{seen}", dimensions.liveness.name()));
    line("fn state", dimensions.fn_condition.name().to_owned());
    line("fns", dimensions.fns.name().to_owned());
    if !kkt.mismatch.is_empty() {
        line("differs in", kkt.mismatch.join(", "));
    }
    if let Some(id) = kkt.card_id {
        line("card", format!("#{id}, see `fiscald cards show {id}`"));
    }
    if let Some(at) = kkt.deregistered_at {
        line("deregistered", format!("{} by the till's clock", ffd::value::LocalTime::new(at)));
    }
    for (position, entry) in history.iter().enumerate() {
        line(if position == 0 { "fn history" } else { "" }, entry.clone());
    }
    text += &explained(view);
    if !tasks.is_empty() {
        text += "\nopen tasks:\n";
        tasks.iter().for_each(|task| text += &format!("   {}\n", tasks::in_a_line(task)));
    }
    text
}

fn explained(view: &View) -> String {
    let number = view.register.contract.as_ref().map(|contract| contract.number.as_str());
    let Explanation { meaning, waits_for, next } =
        explain(&view.register.kkt, number, view.register.dimensions.contract);
    let mut text = format!("\nwhat it means:    {meaning}\n");
    if !waits_for.is_empty() {
        let due = due(&view.register.kkt).map_or_else(String::new, |at| format!(" (expected until {at})"));
        text += &format!("it waits for:     {waits_for}{due}\n");
    }
    for (position, step) in next.iter().enumerate() {
        let name = if position == 0 { "what to do next:" } else { "" };
        text += &format!("{name:<17} {step}\n");
    }
    if let Some(manual) = view.register.manual.as_ref().filter(|_| wants_values(view.register.kkt.state)) {
        text += &format!(
            "\nthe three values of the report, for the taxpayer's cabinet:\n   \
             Дата и время        {}\n   Номер ФД            {}\n   Фискальный признак  {}\n",
            manual.date_time, manual.fd, manual.fiscal_sign
        );
    }
    text
}

/// Whether somebody may have to type the values: a report is there and no card for it.
fn wants_values(state: RegistrationState) -> bool {
    use RegistrationState as State;
    matches!(
        state,
        State::ReportReceived
            | State::ReportForwarded
            | State::AwaitingManualCompletion
            | State::ReregReportReceived
            | State::ReregForwarded
    )
}

fn rnm(kkt: &Kkt) -> String {
    match (&kkt.rnm, kkt.rnm_confirmed) {
        (None, _) => "not known yet".to_owned(),
        (Some(rnm), true) => format!("{rnm}, confirmed by a received document"),
        (Some(rnm), false) => format!("{rnm}, not confirmed by a document yet"),
    }
}

fn client(view: &View) -> String {
    let name = view.client.as_ref().map_or_else(String::new, |name| format!(", {name}"));
    format!("{}{name}", optional(inn(&view.register)))
}

fn contract(view: &View) -> String {
    let standing = view.register.dimensions.contract.name();
    match &view.register.contract {
        Some(contract) => format!("{}, {standing}", contract.number),
        None => standing.to_owned(),
    }
}

/// ФН before the one that is in it, oldest first; a typing error was never in it.
fn history(registry: &RegistryReader, kkt_id: i64) -> Result<Vec<String>> {
    let history = registry.fn_history(kkt_id)?;
    let earlier = history.iter().filter(|held| !held.withdrawn && held.to_at.is_some());
    Ok(earlier
        .map(|held| format!("{} from {} to {}", held.fn_number, held.from_at, optional(held.to_at)))
        .collect())
}

fn history_json(registry: &RegistryReader, kkt_id: i64) -> Result<serde_json::Value> {
    let history = registry.fn_history(kkt_id)?;
    let entries = history.iter().filter(|held| !held.withdrawn).map(|held| {
        serde_json::json!({
            "fn": held.fn_number.to_string(),
            "model": held.model,
            "from": held.from_at.to_string(),
            "to": held.to_at.map(|at| at.to_string()),
        })
    });
    Ok(entries.collect::<Vec<_>>().into())
}
