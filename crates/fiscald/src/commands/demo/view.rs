//! What a person sees: a table that is redrawn on a terminal, plain lines elsewhere.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ffd::dict::FormCode;
use ffd::value::Kopecks;
use ofd_sim::live::{LiveCounts, LiveProgress, LiveReport};
use ofd_store::Reader;
use tokio::task::JoinHandle;

use super::Tally;
use crate::commands::output::{Output, table, watched};
use crate::quoting::{program, shell_word};
use crate::run::Daemon;

/// How often the table of a terminal is drawn, and how often a line is printed elsewhere.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(1);

/// Addresses and places, before anything happens.
pub(super) fn heading(out: &mut Output, daemon: &Daemon, registers: u32, folder: &Path) -> Result<()> {
    out.line(format!("fiscald demo: {registers} simulated registers live one day against a real daemon."))?;
    out.line("Published test keys; nothing leaves this machine.\n")?;
    out.line(format!("  registers connect to  {}", daemon.register_address))?;
    out.line(format!("  metrics               http://{}/metrics", daemon.admin_address))?;
    out.line(format!("  health                http://{}/readyz", daemon.admin_address))?;
    out.line(format!("  data and log          {}\n", folder.display()))?;
    Ok(out.writer().flush()?)
}

/// The running day.
pub(super) struct View {
    registers: u32,
    progress: Arc<LiveProgress>,
    url: String,
    begun: Instant,
    /// Lines of the table on the terminal, to be drawn over.
    drawn: usize,
}

impl View {
    pub(super) fn new(registers: u32, progress: Arc<LiveProgress>, url: String) -> Self {
        Self { registers, progress, url, begun: Instant::now(), drawn: 0 }
    }

    /// Shows the day until the registers are done, and hands over their report.
    ///
    /// # Errors
    /// stdout is closed; the simulation ended badly.
    pub(super) async fn watch(
        mut self,
        mut day: JoinHandle<LiveReport>,
        out: &mut Output,
    ) -> Result<LiveReport> {
        let mut interval = tokio::time::interval(if watched() { REDRAW } else { LINE });
        let report = loop {
            tokio::select! {
                report = &mut day => break report.context("the simulated registers ended badly")?,
                _ = interval.tick() => self.show(out).await?,
            }
        };
        self.show(out).await?;
        Ok(report)
    }

    async fn show(&mut self, out: &mut Output) -> Result<()> {
        let counts = self.progress.snapshot();
        let url = self.url.clone();
        let journal = tokio::task::spawn_blocking(move || Reader::open(&url)?.counts()).await?;
        // Between two drawings the journal may be busy opening; the next one shows it.
        let journal = journal.map_or(0, |counts| counts.documents);
        let seconds = self.begun.elapsed().as_secs();
        if !watched() {
            out.line(self.line(&counts, journal, seconds))?;
            return Ok(out.writer().flush()?);
        }
        let rows = rows(self.registers, &counts, journal);
        let text = table(&[&format!("{seconds} s"), "", ""], &[1], rows);
        if self.drawn > 0 {
            out.text(&format!("\x1b[{}A\x1b[J", self.drawn))?;
        }
        self.drawn = text.lines().count();
        out.line(text)?;
        Ok(out.writer().flush()?)
    }

    fn line(&self, counts: &LiveCounts, journal: u64, seconds: u64) -> String {
        format!(
            "{seconds:>3} s  registered {}/{}  finished {}  documents {}  acknowledged {}  refused {}  in the journal {journal}  \
             lost connections {}  repeats {}",
            registered(counts),
            self.registers,
            counts.registers_finished,
            counts.documents,
            counts.acknowledged(),
            counts.refused(),
            counts.lost_answers,
            counts.repeats,
        )
    }
}

/// Registers whose registration report was acknowledged.
fn registered(counts: &LiveCounts) -> u64 {
    counts.by_form.get(&FormCode::REGISTRATION.0).copied().unwrap_or_default()
}

/// What happened, number, explanation.
fn rows(registers: u32, counts: &LiveCounts, journal: u64) -> Vec<Vec<String>> {
    let row = |name: &str, number: String, text: String| vec![name.to_owned(), number, text];
    vec![
        row(
            "registers",
            registered(counts).to_string(),
            format!("of {registers} registered, {} finished their day", counts.registers_finished),
        ),
        row(
            "documents",
            counts.documents.to_string(),
            format!("made by the ФН, turnover {}", Kopecks::new(counts.turnover_kopecks)),
        ),
        row(
            "acknowledged",
            counts.acknowledged().to_string(),
            format!("sign, format, numbers verified by the ФН; refused {}", counts.refused()),
        ),
        row("in the journal", journal.to_string(), "durable before each answer".to_owned()),
        row(
            "lost connections",
            counts.lost_answers.to_string(),
            format!("answer lost on purpose; {} reconnected and repeated", counts.reconnects),
        ),
        row(
            "repeats",
            counts.repeats.to_string(),
            format!(
                "{} on purpose: {} answered with the same bytes, {} with others",
                counts.repeats_equal.saturating_add(counts.repeats_different),
                counts.repeats_equal,
                counts.repeats_different
            ),
        ),
    ]
}

/// Both sides at the end.
pub(super) fn summary(out: &mut Output, report: &LiveReport, tally: &Tally) -> Result<()> {
    let counts = &report.counts;
    if !watched() {
        out.line("")?;
        out.table(
            &["", "", ""],
            &[1],
            rows(u32::try_from(report.registers.len())?, counts, tally.documents),
        )?;
    }
    out.line("\nThe journal, counted by a reader of its own:\n")?;
    let forms = tally
        .by_form
        .iter()
        .map(|(form, count)| vec![form.to_string(), FormCode(*form).name_ru().to_owned(), count.to_string()]);
    out.table(&["FORM", "DOCUMENT", "COUNT"], &[0, 2], forms.collect())?;
    let codes: Vec<String> =
        tally.by_code.iter().map(|(code, count)| format!("code {code}: {count}")).collect();
    let verdicts: Vec<String> =
        tally.by_verdict.iter().map(|(name, count)| format!("{name}: {count}")).collect();
    out.line(format!("\nanswers  {}\nsigns    {}", codes.join(", "), verdicts.join(", ")))?;
    // After an interruption every register has stopped in the middle; that is no failure of its own.
    let failed = report.registers.iter().filter(|register| register.failure.is_some() && !report.cancelled);
    for register in failed {
        let why = register.failure.as_deref().unwrap_or_default();
        out.line(format!("FAILED: ФН {}: {why}", register.fn_number))?;
    }
    Ok(())
}

/// What to look at next: commands that work as they stand, on a machine that has only this program.
pub(super) fn hints(out: &mut Output, folder: &Path, report: &LiveReport) -> Result<()> {
    let (program, config) = (program(), shell_word(&folder.join("fiscald.toml")));
    out.line("\nThe data stays; look at it with")?;
    out.line(format!("  {program} documents list --config {config}"))?;
    if let Some(register) = report.registers.iter().find(|register| register.documents > 0) {
        out.line(format!("  {program} documents show {} 1 --config {config}", register.fn_number))?;
    }
    out.line(format!("  {program} registers list --config {config}"))?;
    out.line(format!("  {program} export --as raw --config {config} | {program} decode - | head -n 40"))?;
    Ok(())
}
