//! What an operator decides about dead letters.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use ofd_store::{MAX_PAGE_ROWS, OutboxDecision, OutboxFilter, OutboxRow, OutboxState, Reader};
use serde_json::json;

use super::super::output::Output;
use super::super::{operator, progress, reader};
use crate::cli::{OutboxRequeueArgs, TableArgs};

/// Sends dead letters once more, or one document that the tax service took without a final verdict.
///
/// # Errors
/// No such document, or it has its verdict or is on its way; the store cannot be used.
pub(super) fn requeue(args: &OutboxRequeueArgs, out: &mut Output) -> Result<ExitCode> {
    let reader = reader(&args.table.config)?;
    let seqs = match (&args.fn_number, args.fd_number) {
        (Some(fn_number), Some(fd_number)) => vec![newest(&reader, fn_number, fd_number)?.seq],
        _ => all_dead(&reader)?,
    };
    drop(reader);
    let (mut operator, place) = operator(&args.table.config)?;
    let (mut done, mut passed) = (0_u64, 0_u64);
    let bar = progress::bar(u64::try_from(seqs.len())?, "dead letters");
    for seq in &seqs {
        match operator.outbox_requeue(*seq, Timestamp::now())? {
            OutboxDecision::Done => done = done.saturating_add(1),
            OutboxDecision::NotDead(state) if args.fn_number.is_some() => {
                let state = state.name();
                bail!(
                    "it is {state}: what has its verdict or is on its way is not sent again; nothing was changed"
                )
            }
            // Somebody else decided about it meanwhile.
            OutboxDecision::NotDead(_) | OutboxDecision::Unknown => passed = passed.saturating_add(1),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.table.json {
        out.json(&json!({ "requeued": done, "passed_over": passed }))?;
    } else if seqs.is_empty() {
        eprintln!("there are no dead letters");
    } else {
        out.line(format!("documents put back into the queue: {done} ({place})"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives a dead letter up.
///
/// # Errors
/// No such document, or it is not dead; the store cannot be used.
pub(super) fn supersede(
    fn_number: &FnNumber,
    fd_number: FdNumber,
    table: &TableArgs,
    out: &mut Output,
) -> Result<()> {
    let row = newest(&reader(&table.config)?, fn_number, fd_number)?;
    let (mut operator, place) = operator(&table.config)?;
    match operator.outbox_supersede(row.seq, Timestamp::now())? {
        OutboxDecision::Done => {}
        OutboxDecision::NotDead(state) => bail!("{}", not_dead(state)),
        OutboxDecision::Unknown => bail!("document {fd_number} of ФН {fn_number} is gone from the outbox"),
    }
    if table.json {
        return out.json(&json!({ "superseded": 1 }));
    }
    Ok(out.line(format!(
        "document {fd_number} of ФН {fn_number} is not sent any more ({place}); what was sent and answered stays"
    ))?)
}

/// The row in the newest chain.
fn newest(reader: &Reader, fn_number: &FnNumber, fd_number: FdNumber) -> Result<OutboxRow> {
    match reader.outbox_rows(fn_number, fd_number)?.into_iter().next() {
        Some(row) => Ok(row),
        None => bail!("{}", super::show::absence(reader, fn_number, fd_number)?),
    }
}

/// Positions of all dead letters, oldest first: the order in which they are owed.
fn all_dead(reader: &Reader) -> Result<Vec<i64>> {
    let mut filter = OutboxFilter { state: Some(OutboxState::Dead), ..OutboxFilter::default() };
    let mut seqs = Vec::new();
    loop {
        let page = reader.outbox_page(&filter, MAX_PAGE_ROWS)?;
        seqs.extend(page.rows.iter().map(|row| row.seq));
        match page.next_before_seq {
            Some(before) => filter.before_seq = Some(before),
            None => break,
        }
    }
    seqs.reverse();
    Ok(seqs)
}

fn not_dead(state: OutboxState) -> String {
    format!("it is {}, only a dead letter can be given up; nothing was changed", state.name())
}
