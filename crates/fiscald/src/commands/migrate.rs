//! `fiscald migrate`: a store moves from SQLite to PostgreSQL, while nobody uses it.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stderr};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use ofd_store::{MigrationError, MigrationProgress, MigrationReport, MigrationStep, StoreConfig, migrate};

use super::output::Output;
use super::stop_signals::StopSignals;
use super::{WrongUsage, progress, settings};
use crate::cli::MigrateArgs;

/// Between two lines where nobody watches a bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Moves the store, or goes on with a move that was ended.
///
/// # Errors
/// The source is in use, or was changed since the move began; the target is not empty; either cannot be reached; the two
/// are not equal at the end; a signal came first. [`WrongUsage`] when the addresses are not of these engines.
pub(crate) fn run(args: &MigrateArgs, out: &mut Output) -> Result<ExitCode> {
    let configured = settings(&args.config)?.store;
    let to = StoreConfig { url: args.to.clone().unwrap_or(configured.url.clone()), ..configured };
    check(&args.from, &to.url)?;
    to.validate()?;
    let signals = StopSignals::watch()?;
    let mut shown = Shown::new();
    let began = Instant::now();
    let report = migrate(&args.from, &to, &mut |progress| {
        shown.tell(progress);
        if signals.stopped.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    shown.end();
    match report {
        Err(MigrationError::Stopped) => bail!("stopped by a signal; the same command goes on where it was"),
        report => tell(out, &report?, began.elapsed())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a move leads from the one engine to the other.
fn check(from: &str, to: &str) -> Result<(), WrongUsage> {
    if !from.starts_with("sqlite:") {
        return Err(WrongUsage("--from is the store that is moved: sqlite:PATH"));
    }
    if !to.starts_with("postgres://") && !to.starts_with("postgresql://") {
        return Err(WrongUsage(
            "the target is a PostgreSQL database: --to postgres://user@host/database, or store.url of --config",
        ));
    }
    Ok(())
}

fn tell(out: &mut Output, report: &MigrationReport, took: Duration) -> Result<()> {
    let seconds = took.as_secs_f64();
    let moved_now = report.rows.saturating_sub(report.resumed_rows);
    let mut line = format!(
        "{} documents, {} rows in all, {}, in {seconds:.1} s: {}",
        HumanCount(report.documents),
        HumanCount(report.rows),
        HumanBytes(report.bytes),
        report.target
    );
    if report.resumed_rows > 0 {
        write!(line, " ({} rows were there from an earlier attempt)", HumanCount(report.resumed_rows))?;
    }
    out.line(line)?;
    let whole = Duration::from_secs(took.as_secs().max(1)).as_secs();
    out.line(format!("{} rows/s, copied, indexed and compared", HumanCount(moved_now / whole)))?;
    out.line(format!(
        "equal on both sides by count and SHA-256: {} tables; journal {}",
        report.tables.len(),
        hex::encode(report.tables.first().map(|table| table.sha256).unwrap_or_default())
    ))?;
    out.line(
        "now let store.url name the new store, start `fiscald serve`, and put the old file away: a daemon started on it \
         would acknowledge documents that the new store never sees",
    )?;
    Ok(())
}

/// How far it is: a bar on a terminal, else a line now and then.
struct Shown {
    bar: Option<ProgressBar>,
    step: Option<MigrationStep>,
    line_at: Instant,
}

impl Shown {
    fn new() -> Self {
        let bar = stderr().is_terminal().then(|| progress::bar(0, "rows"));
        Self { bar, step: None, line_at: Instant::now() }
    }

    fn tell(&mut self, progress: &MigrationProgress<'_>) {
        let is_new = self.step != Some(progress.step);
        if is_new {
            self.step = Some(progress.step);
            // The rate and the time left are those of this step.
            if let Some(bar) = &self.bar {
                bar.reset();
            }
        }
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.total_rows);
                bar.set_position(progress.done_rows);
                bar.set_message(format!("{} {}", in_words(progress.step), progress.table));
            }
            None if is_new || self.line_at.elapsed() >= LINE_EVERY => {
                self.line_at = Instant::now();
                eprintln!(
                    "{} {}: {} of {} rows",
                    in_words(progress.step),
                    progress.table,
                    progress.done_rows,
                    progress.total_rows
                );
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn in_words(step: MigrationStep) -> &'static str {
    match step {
        MigrationStep::Copying => "copying",
        MigrationStep::Indexing => "making indexes of",
        MigrationStep::Comparing => "comparing",
    }
}
