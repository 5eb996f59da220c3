//! `fiscald demo`: the daemon and simulated registers in one process, over real sockets, with the published test keys.
//!
//! The registers share no code with the receiving side. At the end both sides are counted and must agree: what the
//! simulated ФН took as acknowledged, and what a reader of its own finds in the journal.

mod tally;
mod view;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ffd::value::Kopecks;
use jiff::Timestamp;
use ofd_ingest::UnknownFn;
use ofd_sim::live::{LiveOptions, LiveProgress, LiveReport};
use tokio_util::sync::CancellationToken;

use super::output::Output;
use crate::cli::DemoArgs;
use crate::config::Settings;
use crate::quoting::toml_text;
use crate::run::keys::Device;
use crate::run::signals::Signals;
use crate::run::{Daemon, process};
use crate::telemetry;
use tally::Tally;
use view::View;

/// What the demonstration makes in its folder.
const STORE: &str = "fiscald.db";
const CONFIGURATION: &str = "fiscald.toml";
const LOG: &str = "fiscald.log";
/// How long the simulated day should take, so that a person can watch it.
const DAY_LASTS: Duration = Duration::from_secs(4);
/// Pause between two documents of a register on a day of few receipts.
const LONGEST_PAUSE: Duration = Duration::from_millis(150);

/// Runs a day and counts. Exit code 1 when the counts differ or a register gave up.
///
/// # Errors
/// The folder, the store or a port cannot be used.
pub(crate) fn run(args: DemoArgs, out: &mut Output) -> Result<ExitCode> {
    let folder = make_folder(args.data)?;
    let settings = settings(&folder);
    let mut file = new_file(&folder, CONFIGURATION)?;
    file.write_all(configuration(&settings).as_bytes())
        .with_context(|| format!("cannot write {CONFIGURATION} in {}", folder.display()))?;
    let log = new_file(&folder, LOG)?;
    telemetry::start_in_file(log, "info")?;
    pkz::self_test().context("the self-test of the crypto device failed")?;
    // Both ends of every connection are in this process.
    let connections = usize::try_from(args.registers)?.saturating_mul(2);
    process::raise_descriptor_limit(connections);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let day = Day { registers: args.registers, receipts: args.receipts };
    let outcome = runtime.block_on(live(&settings, &folder, &day, out))?;
    let tally = Tally::of_journal(&settings.store.url)?;
    view::summary(out, &outcome.report, &tally)?;
    let differences = tally.differences(&outcome.report);
    for difference in &differences {
        out.line(format!("DIFFERENT: {difference}"))?;
    }
    if outcome.report.is_clean() && differences.is_empty() && outcome.clean {
        out.line(format!(
            "\nBoth sides agree: {} documents acknowledged by the registers, {} in the journal; \
             the same for each register, form and code; turnover {} roubles on both.",
            outcome.report.counts.acknowledged(),
            tally.documents,
            Kopecks::new(tally.turnover_kopecks)
        ))?;
        view::hints(out, &folder, &outcome.report)?;
        return Ok(ExitCode::SUCCESS);
    }
    out.line(match outcome.report.cancelled {
        true => "\nThe demonstration was interrupted.",
        false => "\nThe two sides do NOT agree, or something failed; see above.",
    })?;
    view::hints(out, &folder, &outcome.report)?;
    Ok(ExitCode::FAILURE)
}

/// What is played.
struct Day {
    registers: u32,
    receipts: u32,
}

struct Outcome {
    report: LiveReport,
    /// The daemon ended in order.
    clean: bool,
}

async fn live(settings: &Settings, folder: &Path, day: &Day, out: &mut Output) -> Result<Outcome> {
    let signals = Signals::take()?;
    let interrupted = CancellationToken::new();
    let inn = settings.operator.inn.as_deref().unwrap_or_default().parse()?;
    let daemon = Daemon::start(settings, inn, Device::published()).await?;
    tokio::spawn(signals.watch(interrupted.clone(), None));
    view::heading(out, &daemon, day.registers, folder)?;

    let options = options(daemon.register_address, day);
    let progress = Arc::new(LiveProgress::default());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(daemon.run(stop.clone()));
    let registers = tokio::spawn(ofd_sim::live::run(options, Arc::clone(&progress), interrupted));
    let view = View::new(day.registers, Arc::clone(&progress), settings.store.url.clone());
    let report = view.watch(registers, out).await?;
    stop.cancel();
    let clean = serving.await.context("the daemon ended badly")??;
    Ok(Outcome { report, clean })
}

fn options(to: SocketAddr, day: &Day) -> LiveOptions {
    // ФН numbers of its own for every run, a day that ends about now.
    let mut options = LiveOptions::starting_now(to, day.registers, day.receipts);
    options.pause = (DAY_LASTS / day.receipts.max(1)).min(LONGEST_PAUSE);
    options
}

fn make_folder(given: Option<PathBuf>) -> Result<PathBuf> {
    let folder = given.unwrap_or_else(|| {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
        PathBuf::from("data").join(format!("demo-{time}"))
    });
    // All of them before anything is made: a refused folder stays as it was.
    for name in [STORE, CONFIGURATION, LOG] {
        match std::fs::symlink_metadata(folder.join(name)) {
            Ok(_) => return Err(taken(&folder, name)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot look into {}", folder.display()));
            }
        }
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    std::path::absolute(&folder).with_context(|| format!("cannot find the folder {}", folder.display()))
}

/// A file that was not there before: the demonstration overwrites nothing, however the folder changes meanwhile.
fn new_file(folder: &Path, name: &str) -> Result<File> {
    File::create_new(folder.join(name)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(folder, name),
        _ => anyhow!(error).context(format!("cannot make {name} in {}", folder.display())),
    })
}

fn taken(folder: &Path, name: &str) -> anyhow::Error {
    anyhow!(
        "{} holds {name} already, and the demonstration never overwrites anything; name another folder with --data",
        folder.display()
    )
}

/// Ports chosen by the system, the published test keys, every register welcome.
fn settings(folder: &Path) -> Settings {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::default();
    settings.operator.inn = Some(ofd_sim::kkt::OperatorCard::default().inn.as_str().to_owned());
    settings.ingest.listen = any_port;
    settings.admin.listen = any_port;
    settings.store.url = format!("sqlite:{}", folder.join(STORE).display());
    // A day of the demonstration is small, and shall be seen on a small machine too.
    settings.store.min_free_mib = 16;
    settings.signs.test = true;
    settings.registration.unknown_fn = UnknownFn::Accept;
    settings
}

/// The same settings as a file, so that the other commands work on the data of the demonstration.
fn configuration(settings: &Settings) -> String {
    format!(
        "# Written by `fiscald demo`. Published test keys: never for a real operator.\n\
         [operator]\ninn = {}\n\n[store]\nurl = {}\n\n[signs]\ntest = true\n\n\
         [registration]\nunknown_fn = \"accept\"\n",
        toml_text(settings.operator.inn.as_deref().unwrap_or_default()),
        toml_text(&settings.store.url),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_configuration_loads_as_what_ran() {
        let settings = settings(Path::new("/srv/a \"b\""));
        let loaded =
            crate::config::parse(&configuration(&settings), "demo", std::collections::HashMap::new());
        let loaded = loaded.unwrap().settings;
        assert_eq!(loaded.store.url, settings.store.url);
        assert_eq!(loaded.operator.inn, settings.operator.inn);
        assert!(loaded.signs.test);
        assert_eq!(loaded.registration.unknown_fn, UnknownFn::Accept);
    }

    #[test]
    fn a_folder_in_use_is_refused_and_left_alone() {
        for name in [STORE, CONFIGURATION, LOG] {
            let folder = tempfile::tempdir().unwrap();
            assert!(make_folder(Some(folder.path().to_owned())).is_ok());
            std::fs::write(folder.path().join(name), "precious").unwrap();
            let said = |error: anyhow::Error| {
                let text = format!("{error:#}");
                assert!(text.contains(&format!("holds {name} already")) && text.contains("--data"), "{text}");
            };
            said(make_folder(Some(folder.path().to_owned())).unwrap_err());
            // It came between the look and the making.
            said(new_file(folder.path(), name).unwrap_err());
            assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), "precious");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
