//! `fiscald quarantine`: messages that were kept aside without an answer.

use std::process::ExitCode;

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ffd::ids::FnNumber;
use ofd_store::{MAX_PAGE_ROWS, QuarantineFilter, QuarantineRelease, QuarantineRow, Reader};
use serde_json::json;

use super::output::Output;
use super::{decode, operator, reader};
use crate::cli::QuarantineCommand;

/// Lists, shows, releases.
///
/// # Errors
/// The store cannot be used; nothing is kept of the ФН.
pub(crate) fn run(command: QuarantineCommand, out: &mut Output) -> Result<ExitCode> {
    match command {
        QuarantineCommand::List { fn_number, reason, held, limit, table } => {
            let reader = reader(&table.config)?;
            let filter =
                QuarantineFilter { fn_number, reason, held_only: held, ..QuarantineFilter::default() };
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
            let (mut operator, place) = operator(&config)?;
            out.line(released(operator.quarantine_release(&fn_number)?, &fn_number, &place)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a release did, told. Only an ФН of which nothing was ever held is a mistake: one that is known is served, which
/// is what was wanted.
fn released(release: QuarantineRelease, fn_number: &FnNumber, place: &str) -> Result<String> {
    let known =
        format!("ФН {fn_number} is known now, its documents are taken when it sends them again ({place})");
    match release {
        QuarantineRelease::Released { copies: 0 } => {
            Ok(format!("released, no copies were kept (its messages were only counted): {known}"))
        }
        QuarantineRelease::Released { copies } => {
            Ok(format!("released, copies kept as evidence: {copies}; {known}"))
        }
        QuarantineRelease::AlreadyKnown => Ok(format!(
            "nothing to release: ФН {fn_number} is known already and nothing of it is held ({place})"
        )),
        QuarantineRelease::NeverHeld => bail!(
            "nothing of ФН {fn_number} was ever held in {place}; to announce a register use `fiscald registers add --fn {fn_number}`"
        ),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_release_did_is_told() {
        let number = "9999078900000017".parse().unwrap();
        let said = |release| released(release, &number, "/srv/fiscald.db").map_err(|error| error.to_string());
        for (release, part) in [
            (
                QuarantineRelease::Released { copies: 3 },
                "copies kept as evidence: 3; ФН 9999078900000017 is known now",
            ),
            (QuarantineRelease::Released { copies: 0 }, "only counted"),
            (QuarantineRelease::AlreadyKnown, "known already"),
        ] {
            let text = said(release).unwrap();
            assert!(text.contains(part) && text.contains("/srv/fiscald.db"), "{text}");
        }
        let text = said(QuarantineRelease::NeverHeld).unwrap_err();
        assert!(text.contains("registers add --fn 9999078900000017"), "{text}");
    }
}
