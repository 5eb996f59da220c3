//! `fiscald tasks`: what a human must look at.

use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use ofd_fns::registration::ops::task_close;
use ofd_store::{MAX_PAGE_ROWS, RegistryReader, Task, TaskFilter, TaskKind};
use serde_json::json;

use super::output::Output;
use super::{optional, registry, registry_reader};
use crate::cli::TasksCommand;

/// Lists, closes.
///
/// # Errors
/// The store cannot be used; no such task.
pub(crate) fn run(command: TasksCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        TasksCommand::List { kind, all, limit, table } => {
            let kind = kind.as_deref().and_then(TaskKind::from_name);
            let filter = TaskFilter { kind, with_closed: all, ..TaskFilter::default() };
            let reader = registry_reader(&table.config)?;
            let tasks = reader.tasks(&filter, usize::try_from(limit)?)?;
            if table.json {
                return out.json(&tasks.iter().map(as_json).collect::<Vec<_>>()).map(|()| ExitCode::SUCCESS);
            }
            list(&tasks, &filter, &reader, out)?;
        }
        TasksCommand::Close { id, note, table } => {
            let (mut registry, place) = registry(&table.config)?;
            let task = task_close(&mut registry, id, note.as_deref(), Timestamp::now())?;
            if table.json {
                out.json(&as_json(&task))?;
            } else {
                out.line(format!("task {id} is closed in {place}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(tasks: &[Task], filter: &TaskFilter, reader: &RegistryReader, out: &mut Output) -> Result<()> {
    if tasks.is_empty() {
        eprintln!("{}", if filter.with_closed { "there are no such tasks" } else { "no such task is open" });
        return Ok(());
    }
    let heading = ["ID", "KIND", "FN", "FD", "RNM", "SINCE", "CLOSED", "WHAT"];
    out.table(&heading, &[0, 3], tasks.iter().map(cells).collect())?;
    let open = reader.open_tasks()?;
    let shown = u64::try_from(tasks.iter().filter(|task| task.closed_at.is_none()).count())?;
    if open > shown {
        eprintln!("open tasks in all: {open}; see --limit and --kind");
    }
    Ok(())
}

fn cells(task: &Task) -> Vec<String> {
    vec![
        task.id.to_string(),
        task.kind.name().to_owned(),
        optional(task.fn_number),
        optional(task.fd_number),
        optional(task.rnm.as_ref()),
        task.created_at.to_string(),
        optional(task.closed_at),
        what(task),
    ]
}

/// What is to be done, Russian; tasks of reception say it by their kind alone.
fn what(task: &Task) -> String {
    let text = if task.text.is_empty() { by_kind(task.kind) } else { &task.text };
    match &task.note {
        Some(note) => format!("{text} [{note}]"),
        None => text.to_owned(),
    }
}

fn by_kind(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Unreadable => "Документ не читается: сверьте с владельцем кассы, что она передаёт.",
        TaskKind::UnknownForm => "Неизвестная форма документа.",
        TaskKind::Conflict => "Под известным номером пришёл документ с другим содержанием.",
        _ => "",
    }
}

/// All of a register's open tasks, for the views of others.
pub(super) fn open_of(reader: &RegistryReader, kkt_id: i64) -> Result<Vec<Task>> {
    let filter = TaskFilter { kkt_id: Some(kkt_id), ..TaskFilter::default() };
    Ok(reader.tasks(&filter, MAX_PAGE_ROWS)?)
}

/// A task as others show it in a line.
pub(super) fn in_a_line(task: &Task) -> String {
    format!("#{} {}: {}", task.id, task.kind.name(), what(task))
}

pub(super) fn as_json(task: &Task) -> serde_json::Value {
    json!({
        "id": task.id,
        "kind": task.kind.name(),
        "seq": task.seq,
        "fn": task.fn_number.map(|number| number.to_string()),
        "fd": task.fd_number.map(|number| number.get()),
        "rnm": task.rnm,
        "text": task.text,
        "created_at": task.created_at.to_string(),
        "closed_at": task.closed_at.map(|at| at.to_string()),
        "note": task.note,
    })
}
