//! `fiscald serve`: the daemon.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use ffd::ids::Inn;
use pkz::SignMode;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::WrongUsage;
use crate::cli::{Part, ServeArgs};
use crate::config::{BadConfig, Loaded, Problem, Settings, load};
use crate::run::keys::{self, Device, NoKeys};
use crate::run::signals::Signals;
use crate::run::{Daemon, process};
use crate::telemetry;

/// How often an operator without signs is reminded.
const REMINDER: Duration = Duration::from_secs(3_600);
/// How long the way out waits for reads that a hung disk does not let go.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to stop. Exit code 1 when it could not end in order.
///
/// # Errors
/// A configuration that cannot be used; keys, store or ports that cannot be opened.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode> {
    only_built_parts(&args.only)?;
    let mut loaded = load(args.config.config.as_deref())?;
    let (inn, device) = identity(&loaded)?;
    telemetry::start(&loaded.settings.log).context("cannot start logging")?;
    announce(&loaded, &device);
    fit_connections(&mut loaded.settings);
    if device.has_keys() && !device.holds_published_test_key() {
        process::harden();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let clean = runtime.block_on(serve(&loaded, inn, device));
    process::end(runtime, RUNTIME_PATIENCE);
    Ok(if clean? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every connection needs a descriptor, one at the marking point a second one for its upstream.
fn fit_connections(settings: &mut Settings) {
    let marking = settings.sister.listen.map_or(0, |_| settings.sister.max_connections.saturating_mul(2));
    let wanted = settings.ingest.max_connections.saturating_add(marking);
    let fit = process::raise_descriptor_limit(wanted);
    if fit < wanted {
        settings.sister.max_connections = (fit / 8).clamp(1, settings.sister.max_connections);
        let left = if marking == 0 { fit } else { fit.saturating_sub(settings.sister.max_connections * 2) };
        settings.ingest.max_connections = left.clamp(1, settings.ingest.max_connections);
    }
}

fn only_built_parts(parts: &[Part]) -> Result<(), WrongUsage> {
    parts.iter().try_for_each(|part| match part {
        Part::Ingest => Ok(()),
        Part::Fns => Err(WrongUsage(
            "the part `fns` (forwarding to the tax service) is not built yet; use --only ingest",
        )),
        Part::Web => {
            Err(WrongUsage("the part `web` (cabinet and public pages) is not built yet; use --only ingest"))
        }
    })
}

/// Who acknowledges, and with which keys. What is missing of both is said at once.
///
/// # Errors
/// What is missing is a matter of the configuration (64); key files that are there and not right are a failure (1).
pub(super) fn identity(loaded: &Loaded) -> Result<(Inn, Device)> {
    let inn = operator_inn(loaded.settings.operator.inn.as_deref());
    let device = keys::load(&loaded.settings.signs);
    let missing_keys = match &device {
        Err(error) if error.is::<NoKeys>() => Some(Problem::new("signs", error.to_string(), "")),
        _ => None,
    };
    match (inn, device, missing_keys) {
        (Ok(inn), device, None) => Ok((inn, device?)),
        (inn, _, missing_keys) => {
            let problems = inn.err().into_iter().chain(missing_keys).collect();
            Err(BadConfig { source: loaded.source.clone(), problems }.into())
        }
    }
}

fn operator_inn(text: Option<&str>) -> Result<Inn, Problem> {
    let fail = |what: String| {
        Problem::new(
            "operator.inn",
            what,
            "write inn = \"...\" under [operator], or set FISCALD__OPERATOR__INN: it stands in every acknowledgement",
        )
    };
    let text = text.ok_or_else(|| fail("is missing".to_owned()))?;
    text.parse().map_err(|error| fail(format!("\"{text}\": {error}")))
}

/// Says once what a reader of the log needs to know about this run.
fn announce(loaded: &Loaded, device: &Device) {
    let settings = &loaded.settings;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = loaded.source,
        overridden = loaded.overrides.join(" "),
        operator_inn = settings.operator.inn,
        store = settings.store.url,
        sign_mode = settings.signs.mode.as_str(),
        keys = device.describe(),
        "fiscald starts"
    );
    for section in &loaded.unbuilt {
        info!(section, "this section of the configuration is checked, but its part is not built yet");
    }
    if !settings.checks.is_empty() {
        let rules: Vec<&str> = settings.checks.keys().map(String::as_str).collect();
        info!(rules = rules.join(" "), "the configuration gives these rules of the control their weight");
    }
    if settings.fns.url.is_none() {
        warn!(
            "forwarding to the tax service is OFF (no [fns] url): documents are kept and acknowledged only"
        );
    } else {
        warn!("forwarding to the tax service is not built yet: documents are kept and acknowledged only");
    }
    if device.holds_published_test_key() {
        warn!(
            "PUBLISHED TEST KEYS are in use: anybody can make valid signs. Never run a real operator like this"
        );
    }
    match settings.signs.mode {
        SignMode::Required => {}
        SignMode::LogOnly if device.has_keys() => {
            warn!("signs.mode is log-only: documents with wrong signs are taken and acknowledged");
        }
        SignMode::LogOnly => {
            warn!(
                "signs.mode is log-only and there are no keys: no sign is checked, acknowledgements are UNSIGNED"
            );
        }
        SignMode::Off => {}
    }
    remind(settings.signs.mode);
}

/// What an operator is told at the start and every hour, while nothing is signed by choice.
fn reminder(mode: SignMode) -> Option<&'static str> {
    match mode {
        SignMode::Off => Some(
            "signs.mode is off: signs are not checked, acknowledgements are UNSIGNED and no certified ФН accepts them",
        ),
        SignMode::Required | SignMode::LogOnly => None,
    }
}

fn remind(mode: SignMode) {
    if let Some(text) = reminder(mode) {
        warn!("{text}");
    }
}

async fn serve(loaded: &Loaded, inn: Inn, device: Device) -> Result<bool> {
    let signals = Signals::take()?;
    let stop = CancellationToken::new();
    let daemon = Daemon::start(&loaded.settings, inn, device.clone()).await?;
    let (registers, admin) = (daemon.register_address, daemon.admin_address);
    tokio::spawn(signals.watch(stop.clone(), Some((device, daemon.reception()))));
    let ended = CancellationToken::new();
    let journal = daemon.journal();
    tokio::spawn(process::feed_watchdog(move || journal.is_progressing(), ended.clone()));
    let mode = loaded.settings.signs.mode;
    if reminder(mode).is_some() {
        tokio::spawn(remind_hourly(mode, stop.clone()));
    }
    info!(%registers, %admin, "ready: registers may connect");
    let status = format!("taking documents on {registers}");
    process::tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    tokio::spawn(tell_stopping(stop.clone()));
    let clean = daemon.run(stop).await;
    ended.cancel();
    clean
}

async fn tell_stopping(stop: CancellationToken) {
    stop.cancelled().await;
    process::tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was started")]);
}

async fn remind_hourly(mode: SignMode, stop: CancellationToken) {
    let mut interval = tokio::time::interval(REMINDER);
    // The first tick comes at once, and the start has said it already.
    interval.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => remind(mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_chose_to_sign_nothing_is_reminded() {
        for (mode, reminded) in
            [(SignMode::Required, false), (SignMode::LogOnly, false), (SignMode::Off, true)]
        {
            let text = reminder(mode);
            assert_eq!(text.is_some(), reminded, "{mode:?}");
            assert!(text.is_none_or(|text| text.contains("UNSIGNED") && text.contains("signs.mode")));
        }
    }

    #[test]
    fn a_part_that_is_not_built_is_wrong_usage() {
        let run = |parts: &[Part]| only_built_parts(parts).map_err(|error| error.to_string());
        assert_eq!(run(&[]), Ok(()));
        assert_eq!(run(&[Part::Ingest]), Ok(()));
        for (part, name) in [(Part::Fns, "`fns`"), (Part::Web, "`web`")] {
            let said = run(&[Part::Ingest, part]).unwrap_err();
            assert!(said.contains(name) && said.contains("--only ingest"), "{said}");
            let code = crate::report(&only_built_parts(&[part]).unwrap_err().into());
            assert_eq!(code, ExitCode::from(2));
        }
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let missing = |text: &str| {
            let loaded = crate::config::parse(text, "test", std::collections::HashMap::new()).unwrap();
            let error = identity(&loaded).err()?;
            let bad = error.downcast::<BadConfig>().unwrap();
            Some(bad.problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>())
        };
        assert_eq!(missing(""), Some(vec!["operator.inn".to_owned(), "signs".to_owned()]));
        assert_eq!(missing("[operator]\ninn = \"7700000009\"\n"), Some(vec!["signs".to_owned()]));
        assert_eq!(missing("[signs]\ntest = true\n"), Some(vec!["operator.inn".to_owned()]));
        assert_eq!(missing("[operator]\ninn = \"7700000009\"\n[signs]\ntest = true\n"), None);
    }
}
