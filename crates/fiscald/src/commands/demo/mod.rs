//! `fiscald demo`: the daemon between simulated registers and a simulated tax service, in one process, over real sockets,
//! with the published test keys.
//!
//! Neither simulation shares code with the daemon beyond the reading of a document. At the end all three sides are counted
//! and must agree: what the simulated ФН took as acknowledged, what a reader of its own finds in the journal, what the tax
//! service has accepted.

mod folder;
mod merchants;
mod picture;
mod tally;
mod view;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ffd::ids::FnNumber;
use ffd::value::Kopecks;
use jiff::Timestamp;
use ofd_sim::fns::{FnsSim, FnsSimOptions, SimConfig};
use ofd_sim::live::{LiveOptions, LiveProgress, LiveReport, PlannedRegister};
use ofd_store::{Facts, Standing};
use tokio_util::sync::CancellationToken;

use super::output::{Output, watched};
use crate::cli::DemoArgs;
use crate::run::keys::Device;
use crate::run::signals::{Reloads, Signals};
use crate::run::{Daemon, Roles, process};
use crate::telemetry;
use tally::{AtTheTaxService, Tally};
use view::View;

/// How long the simulated day should take, so that a person can watch it.
const DAY_LASTS: Duration = Duration::from_secs(4);
/// Pause between two documents of a register on a day of few receipts.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);
/// How long reception may take to notice the contracts, and how often that is looked at. Registers repeat what comes too early.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
const NOTICED_TICK: Duration = Duration::from_millis(20);
/// How long the tax service takes for a verdict and for a card, milliseconds: long enough to see documents and registers wait.
const VERDICT_TAKES_MS: u64 = 300;
const CARD_TAKES_MS: u64 = 1_500;

/// Runs a day and counts. Exit code 1 when the counts differ or a register gave up.
///
/// # Errors
/// The folder, the store or a port cannot be used.
pub(crate) fn run(args: DemoArgs, out: &mut Output) -> Result<ExitCode> {
    let folder = folder::make(args.data)?;
    telemetry::start_in_file(folder::new_log(&folder)?, "info")?;
    pkz::self_test().context("the self-test of the crypto device failed")?;
    // Both ends of every connection are in this process.
    let connections = usize::try_from(args.registers)?.saturating_mul(2);
    process::raise_descriptor_limit(connections);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let day = Day { registers: args.registers, receipts: args.receipts };
    let outcome = runtime.block_on(Box::pin(play(&folder, &day, out)))?;
    let tally = Tally::of_journal(&outcome.url)?;
    view::summary(out, &outcome.report, &tally, &outcome.tax)?;
    let mut differences = tally.differences(&outcome.report);
    differences.extend(outcome.tax.differences(&outcome.report));
    for difference in &differences {
        out.line(format!("DIFFERENT: {difference}"))?;
    }
    let agreed = outcome.report.is_clean() && differences.is_empty() && outcome.clean;
    out.line(match (agreed, outcome.report.cancelled) {
        (true, _) => agreement(&tally, &outcome),
        (false, true) => "\nThe demonstration was interrupted.".to_owned(),
        (false, false) => "\nThe three sides do NOT agree, or something failed; see above.".to_owned(),
    })?;
    view::hints(out, &folder, &outcome.report)?;
    Ok(if agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn agreement(tally: &Tally, outcome: &Outcome) -> String {
    format!(
        "\nAll three sides agree: {} documents acknowledged by the registers, {} in the journal, {} accepted\n\
         by the tax service, the same for each register and form; turnover {} roubles; {} cards.",
        outcome.report.counts.acknowledged(),
        tally.documents,
        outcome.tax.accepted,
        Kopecks::new(tally.turnover_kopecks),
        outcome.tax.cards,
    )
}

/// What is played.
struct Day {
    registers: u32,
    receipts: u32,
}

struct Outcome {
    report: LiveReport,
    tax: AtTheTaxService,
    /// Where the journal lies.
    url: String,
    /// The daemon ended in order.
    clean: bool,
}

async fn play(folder: &Path, day: &Day, out: &mut Output) -> Result<Outcome> {
    let signals = Signals::take()?;
    let interrupted = CancellationToken::new();
    tokio::spawn(signals.watch(interrupted.clone(), Reloads::default()));
    let tax = tax_service(folder).await?;
    let settings = folder::settings(folder, &tax)?;
    folder::write_configuration(folder, &settings)?;
    let inn = settings.operator.inn.as_deref().unwrap_or_default().parse()?;
    let (stop, url) = (CancellationToken::new(), settings.store.url.clone());
    let roles = Roles { reception: Some(Device::published()), forwarding: true };
    let daemon = Daemon::start(&settings, inn, roles, &stop).await?;
    view::heading(out, &daemon, &tax.url(), day.registers, folder)?;
    let to = daemon.register_address.context("no port for registers")?;
    let facts = daemon.facts().context("no reception")?;
    let serving = tokio::spawn(daemon.run(stop.clone()));

    let progress = Arc::new(LiveProgress::default());
    let mut view = View::new(day.registers, Arc::clone(&progress), url.clone());
    let mut options = options(to, day);
    let planned = options.planned();
    let merchants = sign_contracts(url.clone(), planned, facts, interrupted.clone());
    let report = match view.during(tokio::spawn(merchants), out).await? {
        Ok(()) => {
            // Drawing the contracts up has taken its time; the day ends about now.
            options.end_now();
            let registers = ofd_sim::live::run(options, progress, interrupted.clone());
            view.during(tokio::spawn(registers), out).await
        }
        Err(error) => Err(error),
    };
    if report.is_ok() {
        view.until_settled(out, &interrupted).await?;
        view.last(out).await?;
    }
    stop.cancel();
    let clean = serving.await.context("the daemon ended badly")??;
    let counted = AtTheTaxService::of(&tax.tally());
    tax.stop().await?;
    Ok(Outcome { report: report?, tax: counted, url, clean })
}

/// Makes the contracts and waits until reception knows of them, as a merchant does before his ККТ sends its report.
async fn sign_contracts(
    url: String,
    planned: Vec<PlannedRegister>,
    facts: Arc<Facts>,
    interrupted: CancellationToken,
) -> Result<()> {
    let numbers: Vec<FnNumber> = planned.iter().map(|register| register.fn_number).collect();
    let contracts = move || merchants::contract_all(&url, &planned, watched());
    tokio::task::spawn_blocking(contracts).await.context("the contracts ended badly")??;
    let deadline = Instant::now() + NOTICED_WITHIN;
    let is_known = |number: &FnNumber| facts.standing(number, Timestamp::now()).standing == Standing::Known;
    while !numbers.iter().all(is_known) && Instant::now() < deadline && !interrupted.is_cancelled() {
        tokio::time::sleep(NOTICED_TICK).await;
    }
    Ok(())
}

async fn tax_service(folder: &Path) -> Result<FnsSim> {
    let options = FnsSimOptions {
        ofd_id: folder::OFD_ID.to_owned(),
        certificates: Some(folder::certificates(folder)),
        check_signs: true,
        config: SimConfig {
            verdict_delay_ms: VERDICT_TAKES_MS,
            card_delay_ms: CARD_TAKES_MS,
            ..SimConfig::default()
        },
        ..FnsSimOptions::default()
    };
    FnsSim::start(options).await.context("the simulated tax service cannot be started")
}

fn options(to: SocketAddr, day: &Day) -> LiveOptions {
    // ФН numbers of its own for every run, a day that ends about now.
    let mut options = LiveOptions::starting_now(to, day.registers, day.receipts);
    options.pause = (DAY_LASTS / day.receipts.max(1)).min(LONGEST_PAUSE);
    options
}
