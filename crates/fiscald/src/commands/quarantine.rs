//! `fiscald quarantine`: messages that were kept aside without an answer.

use std::process::ExitCode;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ofd_store::{MAX_PAGE_ROWS, Operator, QuarantineFilter, QuarantineRow, Reader};
use serde_json::json;

use super::output::Output;
use super::{decode, reader, settings};
use crate::cli::QuarantineCommand;

/// Lists, shows, releases.
///
/// # Errors
/// The store cannot be used; nothing is kept of the ФН.
pub(crate) fn run(command: QuarantineCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        QuarantineCommand::List { fn_number, limit, table } => {
            let reader = reader(&table.config)?;
            let filter = QuarantineFilter { fn_number, ..QuarantineFilter::default() };
            let rows = reader.quarantine(&filter, usize::try_from(limit)?)?;
            if table.json {
                out.json(&rows.iter().map(as_json).collect::<Vec<_>>())?;
            } else {
                list(&rows, &reader, out)?;
            }
        }
        QuarantineCommand::Show { fn_number, fd_number, table } => {
            let reader = reader(&table.config)?;
            let filter = QuarantineFilter { fn_number: Some(fn_number), ..QuarantineFilter::default() };
            let mut rows = reader.quarantine(&filter, MAX_PAGE_ROWS)?;
            rows.retain(|row| fd_number.is_none_or(|fd_number| row.fd_number == fd_number));
            if rows.is_empty() {
                bail!("nothing of ФН {fn_number} is kept in quarantine");
            }
            if table.json {
                out.json(&rows.iter().map(as_json).collect::<Vec<_>>())?;
            } else {
                show(&rows, out)?;
            }
        }
        QuarantineCommand::Release { fn_number, config } => {
            let released = Operator::open(&settings(&config)?.store.url)?.quarantine_release(&fn_number)?;
            if released == 0 {
                bail!(
                    "nothing of ФН {fn_number} is held; to announce a register use `fiscald registers add --fn {fn_number}`"
                );
            }
            out.line(format!(
                "released {released} copies: ФН {fn_number} is known now, its documents are taken when it sends them again"
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(rows: &[QuarantineRow], reader: &Reader, out: &mut Output) -> Result<()> {
    if rows.is_empty() {
        eprintln!("nothing is in quarantine");
    } else {
        let heading = ["ID", "FN", "FD", "FORM", "REASON", "FIRST", "LAST", "TIMES", "PEER", "RELEASED"];
        out.table(&heading, &[0, 2, 3, 7], rows.iter().map(cells).collect())?;
    }
    let not_kept: u64 = reader.quarantine_counts()?.iter().map(|count| count.not_kept).sum();
    if not_kept > 0 {
        eprintln!("{not_kept} more messages were past the limits: counted, not kept");
    }
    Ok(())
}

fn cells(row: &QuarantineRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.fn_number.to_string(),
        row.fd_number.to_string(),
        row.form.to_string(),
        row.reason.clone(),
        row.received_at.to_string(),
        row.last_at.to_string(),
        row.times.to_string(),
        row.peer.clone().unwrap_or_else(|| "-".to_owned()),
        row.released_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
    ]
}

fn show(rows: &[QuarantineRow], out: &mut Output) -> Result<()> {
    for row in rows {
        let peer = row.peer.as_deref().unwrap_or("unknown");
        out.line(format!(
            "#{} ФН {} ФД {}: {}, first {} from {peer}, last {}, {} times",
            row.id, row.fn_number, row.fd_number, row.reason, row.received_at, row.last_at, row.times
        ))?;
        if let Some(at) = row.released_at {
            out.line(format!("   hold lifted {at}"))?;
        }
        out.line("")?;
        out.text(&decode::tree(&row.container)?)?;
        out.line("")?;
    }
    Ok(())
}

fn as_json(row: &QuarantineRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "fn": row.fn_number.to_string(),
        "fd": row.fd_number.get(),
        "form": row.form,
        "reason": row.reason,
        "received_at": row.received_at.to_string(),
        "last_at": row.last_at.to_string(),
        "times": row.times,
        "peer": row.peer,
        "released_at": row.released_at.map(|at| at.to_string()),
        "identity": row.identity.map(hex::encode),
        "raw": STANDARD.encode(&row.container),
    })
}
