//! What a person sees: a table that is redrawn on a terminal, plain lines elsewhere.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ffd::dict::FormCode;
use ofd_sim::live::{LiveProgress, LiveReport};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Tally;
use super::picture::{Picture, Stored};
use super::tally::AtTheTaxService;
use crate::commands::output::{Output, watched};
use crate::quoting::{program, shell_word};
use crate::run::Daemon;

/// How often the table of a terminal is drawn, and how often a line is printed elsewhere.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(1);
/// How long nothing may change before the waiting for the tax service is given up.
const STALLED: Duration = Duration::from_secs(30);

/// Addresses and places, before anything happens.
pub(super) fn heading(
    out: &mut Output,
    daemon: &Daemon,
    tax_url: &str,
    registers: u32,
    folder: &Path,
) -> Result<()> {
    out.line(format!(
        "fiscald demo: {registers} simulated registers live one day against a real daemon, which forwards\n\
         everything to a simulated tax service. Published test keys; nothing leaves this machine.\n"
    ))?;
    if let Some(address) = daemon.register_address {
        out.line(format!("  registers connect to  {address}"))?;
    }
    out.line(format!("  tax service           {tax_url}  (mutual TLS)"))?;
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
    /// The last that was read of the store.
    stored: Stored,
}

impl View {
    pub(super) fn new(registers: u32, progress: Arc<LiveProgress>, url: String) -> Self {
        Self { registers, progress, url, begun: Instant::now(), drawn: 0, stored: Stored::default() }
    }

    /// Shows what happens until `work` is done, and hands over its result.
    ///
    /// # Errors
    /// stdout is closed; the work ended badly.
    pub(super) async fn during<T>(&mut self, mut work: JoinHandle<T>, out: &mut Output) -> Result<T> {
        let mut interval = interval();
        loop {
            tokio::select! {
                done = &mut work => return done.context("a part of the demonstration ended badly"),
                _ = interval.tick() => self.show(out).await?,
            }
        }
    }

    /// Shows what happens until the tax service has judged everything that was acknowledged, nothing moves any more, or
    /// `interrupted` is cancelled.
    ///
    /// # Errors
    /// stdout is closed.
    pub(super) async fn until_settled(
        &mut self,
        out: &mut Output,
        interrupted: &CancellationToken,
    ) -> Result<()> {
        let acknowledged = self.progress.snapshot().acknowledged();
        let mut interval = interval();
        let mut moved = (Instant::now(), self.stored.clone());
        loop {
            self.show(out).await?;
            if moved.1 != self.stored {
                moved = (Instant::now(), self.stored.clone());
            }
            let linked = self.stored.registers(ofd_store::RegistrationState::Linked);
            let is_done = self.stored.settled() >= acknowledged && linked >= u64::from(self.registers);
            if is_done || moved.0.elapsed() > STALLED || interrupted.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = interrupted.cancelled() => {}
                _ = interval.tick() => {}
            }
        }
    }

    async fn show(&mut self, out: &mut Output) -> Result<()> {
        let picture = self.picture().await?;
        if !watched() {
            out.line(picture.line())?;
            return Ok(out.writer().flush()?);
        }
        let text = picture.table();
        if self.drawn > 0 {
            out.text(&format!("\x1b[{}A\x1b[J", self.drawn))?;
        }
        self.drawn = text.lines().count();
        out.line(text)?;
        Ok(out.writer().flush()?)
    }

    async fn picture(&mut self) -> Result<Picture> {
        let counts = self.progress.snapshot();
        let url = self.url.clone();
        // While the store is busy the last look is as good; the next one shows what is new.
        if let Ok(stored) = tokio::task::spawn_blocking(move || Stored::read(&url)).await? {
            self.stored = stored;
        }
        let seconds = self.begun.elapsed().as_secs();
        Ok(Picture { seconds, registers: self.registers, counts, stored: self.stored.clone() })
    }

    /// The table as it is at the end, for those who saw only lines.
    ///
    /// # Errors
    /// stdout is closed.
    pub(super) async fn last(&mut self, out: &mut Output) -> Result<()> {
        if !watched() {
            let picture = self.picture().await?;
            out.line(format!("\n{}", picture.table()))?;
        }
        Ok(())
    }
}

fn interval() -> tokio::time::Interval {
    let mut interval = tokio::time::interval(if watched() { REDRAW } else { LINE });
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// All three sides at the end.
pub(super) fn summary(
    out: &mut Output,
    report: &LiveReport,
    tally: &Tally,
    tax: &AtTheTaxService,
) -> Result<()> {
    out.line("\nEach side counts for itself:\n")?;
    let registers = &report.counts.by_form;
    let of = |side: &std::collections::BTreeMap<u16, u64>, form: u16| {
        side.get(&form).copied().unwrap_or_default().to_string()
    };
    let forms: std::collections::BTreeSet<u16> =
        registers.keys().chain(tally.by_form.keys()).chain(tax.by_form.keys()).copied().collect();
    let rows = forms.into_iter().map(|form| {
        let name = FormCode(form).name_ru().to_owned();
        let counts = [registers, &tally.by_form, &tax.by_form].map(|side| of(side, form));
        [form.to_string(), name].into_iter().chain(counts).collect()
    });
    let heading = ["FORM", "DOCUMENT", "REGISTERS", "JOURNAL", "TAX SERVICE"];
    out.table(&heading, &[0, 2, 3, 4], rows.collect())?;
    let codes: Vec<String> =
        tally.by_code.iter().map(|(code, count)| format!("code {code}: {count}")).collect();
    let verdicts: Vec<String> =
        tally.by_verdict.iter().map(|(name, count)| format!("{name}: {count}")).collect();
    out.line(format!(
        "\nanswers   {}\nsigns     {}\nverdicts  accepted: {}, soft: {}, hard: {}, none yet: {}",
        codes.join(", "),
        verdicts.join(", "),
        tax.accepted,
        tax.soft,
        tax.hard,
        tax.waiting
    ))?;
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
    let program = program();
    out.line("\nThe data stays; look at it with")?;
    out.line(format!("  cd {}", shell_word(folder)))?;
    out.line(format!("  {program} registers list"))?;
    if let Some(register) = report.registers.iter().find(|register| register.documents > 0) {
        let number = register.fn_number;
        out.line(format!("  {program} registers show {number}"))?;
        out.line(format!("  {program} documents show {number} 1"))?;
        out.line(format!("  {program} outbox show {number} 1"))?;
    }
    out.line(format!("  {program} contracts list"))?;
    out.line(format!("  {program} outbox summary"))?;
    out.line(format!("  {program} cards list"))?;
    out.line(format!("  {program} export --as raw | {program} decode - | head -n 40"))?;
    Ok(())
}
