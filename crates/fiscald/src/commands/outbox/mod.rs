//! `fiscald outbox`: documents on their way to the tax service.

mod decide;
mod show;
mod summary;

use std::process::ExitCode;

use anyhow::Result;
use ffd::dict::FormCode;
use ofd_store::{OutboxFilter, OutboxRow, OutboxState, Reader};
use serde_json::json;

use super::output::Output;
use super::{optional, progress, reader, tax_service};
use crate::cli::{OutboxCommand, OutboxListArgs};

/// Lists, shows, sums up, puts back, gives up.
///
/// # Errors
/// The store cannot be used; no such document, or it is in another state.
pub(crate) fn run(command: OutboxCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        OutboxCommand::Summary(table) => summary::run(&table, out)?,
        OutboxCommand::List(args) => list(&args, out)?,
        OutboxCommand::Show { fn_number, fd_number, table } => {
            show::run(&reader(&table.config)?, &fn_number, fd_number, table.json, out)?;
        }
        OutboxCommand::Requeue(args) => return decide::requeue(&args, out),
        OutboxCommand::Supersede { fn_number, fd_number, table } => {
            decide::supersede(&fn_number, fd_number, &table, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &OutboxListArgs, out: &mut Output) -> Result<()> {
    let filter = OutboxFilter {
        state: args.state.as_deref().and_then(OutboxState::from_name),
        fn_number: args.fn_number,
        ..OutboxFilter::default()
    };
    let rows = search(&reader(&args.table.config)?, filter, usize::try_from(args.limit)?)?;
    if args.table.json {
        return out.json(&rows.iter().map(as_json).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        eprintln!(
            "no such documents in the outbox; `fiscald outbox summary` tells what has not come to it yet"
        );
        return Ok(());
    }
    let heading = [
        "SEQ",
        "FN",
        "FD",
        "FORM",
        "STATE",
        "СОСТОЯНИЕ",
        "ATTEMPTS",
        "NEXT",
        "TICKET",
        "CODES",
        "LAST ERROR",
    ];
    Ok(out.table(&heading, &[0, 2, 6], rows.iter().map(cells).collect())?)
}

/// Page by page, so that a long search shows that it gets on.
fn search(reader: &Reader, mut filter: OutboxFilter, limit: usize) -> Result<Vec<OutboxRow>> {
    let spinner = progress::working();
    let mut rows = Vec::new();
    loop {
        let page = reader.outbox_page(&filter, limit.saturating_sub(rows.len()))?;
        rows.extend(page.rows);
        match page.next_before_seq {
            Some(before) if rows.len() < limit => {
                filter.before_seq = Some(before);
                spinner.set_message(format!("{} found, looking before position {before}", rows.len()));
                spinner.tick();
            }
            _ => break,
        }
    }
    spinner.finish_and_clear();
    Ok(rows)
}

/// Characters of an error in a table; `show` has all of it.
const ERROR_CHARS: usize = 60;

fn cells(row: &OutboxRow) -> Vec<String> {
    let codes: Vec<String> = row.fns_codes.iter().map(|code| code.code.to_string()).collect();
    let error = row.last_error.as_deref().map(|error| {
        let mut short: String = error.chars().take(ERROR_CHARS).collect();
        if short.len() < error.len() {
            short.push('…');
        }
        short
    });
    vec![
        row.seq.to_string(),
        row.fn_number.to_string(),
        row.fd_number.to_string(),
        format!("{} {}", row.kind, FormCode(row.kind).name_ru()),
        row.state.name().to_owned(),
        tax_service::of_state(row.state).label.to_owned(),
        row.attempts.to_string(),
        optional(row.next_at),
        optional(row.ticket_id.as_ref()),
        if codes.is_empty() { "-".to_owned() } else { codes.join(" ") },
        optional(error),
    ]
}

fn as_json(row: &OutboxRow) -> serde_json::Value {
    let status = tax_service::of_state(row.state);
    json!({
        "seq": row.seq,
        "fn": row.fn_number.to_string(),
        "fd": row.fd_number.get(),
        "chain": row.chain,
        "form": row.kind,
        "state": row.state.name(),
        "status": status.name,
        "label": status.label,
        "attempts": row.attempts,
        "next_at": row.next_at.map(|at| at.to_string()),
        "last_error": row.last_error,
        "batch_id": row.batch_id.map(|id| id.to_string()),
        "doc_sha256": row.raw_sha256.map(hex::encode),
        "ticket_id": row.ticket_id,
        "codes": tax_service::codes_json(&row.fns_codes),
        "fns_at": row.fns_at.map(|at| at.to_string()),
        "created_at": row.created_at.to_string(),
        "delivered_at": row.delivered_at.map(|at| at.to_string()),
        "slot": row.slot.get(),
    })
}
