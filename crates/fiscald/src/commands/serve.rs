//! `fiscald serve`: the daemon.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use ffd::ids::Inn;
use ofd_store::JournalHandle;
use pkz::SignMode;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::WrongUsage;
use crate::cli::{Part, ServeArgs};
use crate::config::{BadConfig, Loaded, Problem, Settings, load};
use crate::run::keys::{self, Device, NoKeys};
use crate::run::signals::{Reloads, Signals};
use crate::run::{Daemon, LinkReload, Roles, certificates, process};
use crate::telemetry;

/// How often an operator is reminded of what is left out by choice.
const REMINDER: Duration = Duration::from_secs(3_600);
/// How often it is looked whether the service manager shows what is.
const STATUS_TICK: Duration = Duration::from_secs(5);
/// How long the way out waits for reads that a hung disk does not let go.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to stop. Exit code 1 when it could not end in order.
///
/// # Errors
/// A configuration that cannot be used; keys, certificates, store or ports that cannot be opened.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode> {
    let parts = Parts::of(&args.only)?;
    let mut loaded = load(args.config.config.as_deref())?;
    let identity = identity(&loaded, parts)?;
    telemetry::start(&loaded.settings.log).context("cannot start logging")?;
    announce(&loaded, parts, identity.device.as_ref());
    if parts.ingest {
        fit_connections(&mut loaded.settings);
    }
    if holds_secrets(&loaded.settings, parts, identity.device.as_ref()) {
        process::harden();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let clean = runtime.block_on(serve(&loaded, parts, identity));
    process::end(runtime, RUNTIME_PATIENCE);
    Ok(if clean? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The parts of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// Takes documents.
    pub(super) ingest: bool,
    /// Follows registers and forwards documents.
    pub(super) fns: bool,
}

impl Parts {
    /// Everything that is built.
    pub(super) const ALL: Self = Self { ingest: true, fns: true };

    fn of(only: &[Part]) -> Result<Self, WrongUsage> {
        if only.contains(&Part::Web) {
            return Err(WrongUsage(
                "the part `web` (cabinet and public pages) is not built yet; this build has `ingest` and `fns`",
            ));
        }
        let runs = |part| only.is_empty() || only.contains(&part);
        Ok(Self { ingest: runs(Part::Ingest), fns: runs(Part::Fns) })
    }
}

/// Keys that nobody else on this machine may read out of our memory.
fn holds_secrets(settings: &Settings, parts: Parts, device: Option<&Device>) -> bool {
    let signs = device.is_some_and(|device| device.has_keys() && !device.holds_published_test_key());
    signs || (parts.fns && settings.fns.key.is_some() && !settings.signs.test)
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

/// Who this process is towards registers and the tax service.
#[derive(Clone)]
pub(super) struct Identity {
    /// The operator's INN.
    pub(super) inn: Inn,
    /// Its keys; only reception needs them.
    pub(super) device: Option<Device>,
}

/// Who acknowledges and forwards, and with which keys and certificates. What is missing of them is said at once.
///
/// # Errors
/// What is missing is a matter of the configuration (64); key files and certificates that are there and not right are a
/// failure (1).
pub(super) fn identity(loaded: &Loaded, parts: Parts) -> Result<Identity> {
    let settings = &loaded.settings;
    let inn = operator_inn(settings.operator.inn.as_deref());
    let device = if parts.ingest { keys::load(&settings.signs).map(Some) } else { Ok(None) };
    let mut missing: Vec<Problem> = inn.as_ref().err().cloned().into_iter().collect();
    if let Err(error) = &device
        && error.is::<NoKeys>()
    {
        missing.push(Problem::new("signs", error.to_string(), ""));
    }
    let mut wrong = None;
    if parts.fns {
        let (there_not, unfit) = certificates::check(&settings.fns);
        missing.extend(there_not);
        wrong = unfit;
    }
    match (inn, missing.is_empty()) {
        (Ok(inn), true) => {
            let device = device?;
            wrong.map_or(Ok(Identity { inn, device }), Err)
        }
        _ => Err(BadConfig { source: loaded.source.clone(), problems: missing }.into()),
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
fn announce(loaded: &Loaded, parts: Parts, device: Option<&Device>) {
    let settings = &loaded.settings;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = loaded.source,
        overridden = loaded.overrides.join(" "),
        operator_inn = settings.operator.inn,
        store = ofd_store::shown_url(&settings.store.url),
        sign_mode = settings.signs.mode.as_str(),
        keys = device.map_or_else(|| "none".to_owned(), Device::describe),
        "fiscald starts"
    );
    for section in &loaded.unbuilt {
        info!(section, "this section of the configuration is checked, but its part is not built yet");
    }
    if !settings.checks.is_empty() {
        let rules: Vec<&str> = settings.checks.keys().map(String::as_str).collect();
        info!(rules = rules.join(" "), "the configuration gives these rules of the control their weight");
    }
    match parts {
        Parts { ingest: true, fns: false } => info!(
            "this process only takes documents; another one with --only fns follows registers and forwards, and picks up \
             what is taken meanwhile"
        ),
        Parts { ingest: false, .. } => {
            info!("this process takes no documents: no port for registers is opened")
        }
        Parts { ingest: true, fns: true } => {}
    }
    if let Some(url) = settings.fns.url.as_ref().filter(|_| parts.fns) {
        info!(url, ofd_id = settings.fns.ofd_id, "documents are forwarded to the tax service");
    }
    if let Some(device) = device {
        warn_of_weak_signs(settings.signs.mode, device);
    }
    remind(&reminders(settings, parts));
}

fn warn_of_weak_signs(mode: SignMode, device: &Device) {
    if device.holds_published_test_key() {
        warn!(
            "PUBLISHED TEST KEYS are in use: anybody can make valid signs. Never run a real operator like this"
        );
    }
    match mode {
        SignMode::LogOnly if device.has_keys() => {
            warn!("signs.mode is log-only: documents with wrong signs are taken and acknowledged");
        }
        SignMode::LogOnly => {
            warn!(
                "signs.mode is log-only and there are no keys: no sign is checked, acknowledgements are UNSIGNED"
            );
        }
        SignMode::Required | SignMode::Off => {}
    }
}

/// What an operator is told at the start and every hour: what this process leaves out by choice, and somebody may miss.
fn reminders(settings: &Settings, parts: Parts) -> Vec<&'static str> {
    let mut texts = Vec::new();
    if parts.ingest && settings.signs.mode == SignMode::Off {
        texts.push(
            "signs.mode is off: signs are not checked, acknowledgements are UNSIGNED and no certified ФН accepts them",
        );
    }
    if parts.fns && settings.fns.url.is_none() {
        texts.push(
            "forwarding to the tax service is OFF (no [fns] url): registers are followed, documents are kept and wait in the \
             journal",
        );
    }
    texts
}

fn remind(texts: &[&'static str]) {
    for text in texts {
        warn!("{text}");
    }
}

async fn serve(loaded: &Loaded, parts: Parts, identity: Identity) -> Result<bool> {
    let signals = Signals::take()?;
    let stop = CancellationToken::new();
    let roles = Roles { reception: identity.device.clone(), forwarding: parts.fns };
    let daemon = Daemon::start(&loaded.settings, identity.inn, roles, &stop).await?;
    let (registers, admin, link) = (daemon.register_address, daemon.admin_address, daemon.link());
    let reloads = Reloads { keys: identity.device.zip(daemon.reception()), link: link.clone() };
    tokio::spawn(signals.watch(stop.clone(), reloads));
    let ended = CancellationToken::new();
    let journal = daemon.journal();
    let is_progressing = move || journal.as_ref().is_none_or(JournalHandle::is_progressing);
    tokio::spawn(process::feed_watchdog(is_progressing, ended.clone()));
    let texts = reminders(&loaded.settings, parts);
    if !texts.is_empty() {
        tokio::spawn(remind_hourly(texts, stop.clone()));
    }
    match registers {
        Some(registers) => info!(%registers, %admin, "ready: registers may connect"),
        None => info!(%admin, "ready: registers are followed, documents are forwarded"),
    }
    let status = Status { registers, url: loaded.settings.fns.url.clone(), link };
    process::tell(&[NotifyState::Ready, NotifyState::Status(&status.line())]);
    tokio::spawn(tell_status(status, stop.clone()));
    let clean = daemon.run(stop).await;
    ended.cancel();
    clean
}

/// What the service manager shows of this process.
struct Status {
    registers: Option<SocketAddr>,
    url: Option<String>,
    link: Option<LinkReload>,
}

impl Status {
    fn line(&self) -> String {
        let taking = self.registers.map(|address| format!("taking documents on {address}"));
        let forwarding = self.link.as_ref().map(|link| match (link.trouble(), &self.url) {
            (Some(trouble), _) => trouble,
            (None, Some(url)) => format!("forwarding to {url}"),
            (None, None) => "following registers".to_owned(),
        });
        taking.into_iter().chain(forwarding).collect::<Vec<_>>().join("; ")
    }
}

/// Tells the service manager what has changed, and at the end that it ends.
///
/// Cancellation-safe: nothing is in flight between two ticks.
async fn tell_status(status: Status, stop: CancellationToken) {
    let mut interval = tokio::time::interval(STATUS_TICK);
    let mut told = status.line();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        let line = status.line();
        if line != told {
            process::tell(&[NotifyState::Status(&line)]);
            told = line;
        }
    }
    process::tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was started")]);
}

async fn remind_hourly(texts: Vec<&'static str>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(REMINDER);
    // The first tick comes at once, and the start has said it already.
    interval.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => remind(&texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_by_choice_is_said_again_and_again() {
        let linked = "[fns]\nurl = \"http://127.0.0.1:8080\"\nofd_id = \"ofd1\"\n";
        let unsigned = "[signs]\nmode = \"off\"\ni_understand_unsigned = true\n";
        let check = |text: &str, only: &[Part], expected: &[&str]| {
            let settings =
                crate::config::parse(text, "test", std::collections::HashMap::new()).unwrap().settings;
            let said = reminders(&settings, Parts::of(only).unwrap());
            let beginnings: Vec<&str> =
                said.iter().filter_map(|text| text.split(" (").next()?.split(':').next()).collect();
            assert_eq!(beginnings, expected, "{text} {only:?}");
        };
        let (forwarding, signs) = ("forwarding to the tax service is OFF", "signs.mode is off");
        check(linked, &[], &[]);
        check("", &[], &[forwarding]);
        check("", &[Part::Fns], &[forwarding]);
        check("", &[Part::Ingest], &[]);
        check(&format!("{linked}{unsigned}"), &[], &[signs]);
        check(unsigned, &[], &[signs, forwarding]);
        check(unsigned, &[Part::Fns], &[forwarding]);
    }

    #[test]
    fn parts_of_a_process() {
        let parts = |only: &[Part]| Parts::of(only).map_err(|error| error.to_string());
        assert_eq!(parts(&[]), Ok(Parts::ALL));
        assert_eq!(parts(&[Part::Fns, Part::Ingest]), Ok(Parts::ALL));
        assert_eq!(parts(&[Part::Ingest]), Ok(Parts { ingest: true, fns: false }));
        assert_eq!(parts(&[Part::Fns]), Ok(Parts { ingest: false, fns: true }));
        let said = parts(&[Part::Ingest, Part::Web]).unwrap_err();
        assert!(said.contains("`web`") && said.contains("`ingest` and `fns`"), "{said}");
        let code = crate::report(&Parts::of(&[Part::Web]).unwrap_err().into());
        assert_eq!(code, ExitCode::from(2));
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let missing_of = |text: &str, parts: Parts| {
            let loaded = crate::config::parse(text, "test", std::collections::HashMap::new()).unwrap();
            let error = identity(&loaded, parts).err()?;
            let bad = error.downcast::<BadConfig>().unwrap();
            Some(bad.problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>())
        };
        let missing = |text: &str| missing_of(text, Parts::ALL);
        assert_eq!(missing(""), Some(vec!["operator.inn".to_owned(), "signs".to_owned()]));
        assert_eq!(missing("[operator]\ninn = \"7700000009\"\n"), Some(vec!["signs".to_owned()]));
        assert_eq!(missing("[signs]\ntest = true\n"), Some(vec!["operator.inn".to_owned()]));
        assert_eq!(missing("[operator]\ninn = \"7700000009\"\n[signs]\ntest = true\n"), None);
        // Who only forwards signs nothing; who only receives needs no certificates.
        let parts = |only| Parts::of(&[only]).unwrap();
        assert_eq!(missing_of("[operator]\ninn = \"7700000009\"\n", parts(Part::Fns)), None);
        let link = "[fns]\nurl = \"https://f\"\nofd_id = \"1\"\nca = \"/no/ca\"\ncert = \"/no/c\"\nkey = \"/no/k\"\n";
        let linked = format!("[operator]\ninn = \"7700000009\"\n[signs]\ntest = true\n{link}");
        let files = ["fns.ca", "fns.cert", "fns.key"].map(str::to_owned).to_vec();
        assert_eq!(missing_of(&linked, parts(Part::Fns)), Some(files.clone()));
        assert_eq!(missing_of(&linked, Parts::ALL), Some(files));
        assert_eq!(missing_of(&linked, parts(Part::Ingest)), None);
        let all = missing_of(link, Parts::ALL).unwrap();
        assert_eq!(all, ["operator.inn", "signs", "fns.ca", "fns.cert", "fns.key"]);
    }
}
