//! `fiscald detach`: the received bytes of old months leave the store for a file beside it.

use std::io::{IsTerminal as _, stderr};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use ofd_store::{DetachError, DetachOrder, DetachReport, detach, shown_url};

use super::backup::keep_free_bytes;
use super::output::Output;
use super::stop_signals::StopSignals;
use super::{explain_missing, progress, settings, store_place};
use crate::cli::DetachArgs;

/// Moves them, or goes on with a move that was ended.
///
/// # Errors
/// The month is too near, or its documents are not settled; the file is there already; too little room; the store cannot be
/// used; a signal came first. A store on a server.
pub(crate) fn run(args: &DetachArgs, out: &mut Output) -> Result<ExitCode> {
    let store = settings(&args.config)?.store;
    if store_place(&store.url).is_none() {
        bail!(
            "{} is a PostgreSQL database, where each month of the journal is a partition of its own: how to move one to \
             another disk or to detach it stands in config/POSTGRESQL.md, «Backup, and old months»",
            shown_url(&store.url)
        );
    }
    let to = std::path::absolute(&args.to).context("the name of the new file")?;
    let signals = StopSignals::watch()?;
    let bar = stderr().is_terminal().then(|| progress::bar(0, "positions"));
    let began = Instant::now();
    let keep_free_bytes = keep_free_bytes(&store, &to);
    let order = DetachOrder { before: args.before.0, to: &to, keep_free_bytes, now: Timestamp::now() };
    let report = detach(&store.url, order, &mut |progress| {
        if let Some(bar) = &bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
        if signals.stopped.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    match report {
        Err(DetachError::Stopped) => bail!("stopped by a signal; the same command goes on where it was"),
        Err(DetachError::Store(error)) => return Err(explain_missing(&store.url, error)),
        Ok(report) => tell(out, &report, began.elapsed().as_secs_f64())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(out: &mut Output, report: &DetachReport, seconds: f64) -> Result<()> {
    let Some(file) = &report.file else {
        out.line("no document received before that month is left to be moved; no file was made")?;
        return Ok(());
    };
    out.line(format!(
        "{} documents moved in {seconds:.1} s; {} documents received before {}, {}, lie in {}",
        HumanCount(report.moved),
        HumanCount(file.documents),
        file.before,
        HumanBytes(file.bytes),
        file.path.display()
    ))?;
    out.line(format!("SHA-256 over them in their order: {}", hex::encode(file.sha256)))?;
    out.line(format!(
        "the store's file has {}, of which {} are free for new documents; it does not get smaller",
        HumanBytes(report.store_bytes),
        HumanBytes(report.free_bytes)
    ))?;
    out.line("keep the file readable where it is, or beside the store, and a copy of it with the backups")?;
    Ok(())
}
