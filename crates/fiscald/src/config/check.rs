//! Values that parse but cannot work, and sections that go together.

use ffd::check::{Severities, UnknownRule};
use ffd::ids::Inn;
use pkz::SignMode;

use super::nearest::nearest;
use super::{Problem, Settings, SignProfile, SignsConfig};

/// Sections that are read and checked, but whose part this build does not have.
const UNBUILT: [&str; 2] = ["web", "mail"];

/// Which of the sections named by the operator do nothing yet.
pub(super) fn unbuilt(named: impl Fn(&str) -> bool) -> Vec<&'static str> {
    UNBUILT.into_iter().filter(|section| named(section)).collect()
}

/// Every fault of the values, with the path of its key.
pub(super) fn check(settings: &Settings, problems: &mut Vec<Problem>) {
    let mut report = Report { problems };
    operator(settings, &mut report);
    ingest(settings, &mut report);
    store(settings, &mut report);
    signs(&settings.signs, &mut report);
    registration(settings, &mut report);
    checks(settings, &mut report);
    fns(settings, &mut report);
    sister(settings, &mut report);
    addresses(settings, &mut report);
    mail(settings, &mut report);
    if let Err(error) = crate::telemetry::filter(&settings.log.filter) {
        report.bad("log.filter", format!("{error:#}"), "write a level (\"info\") or target=level pairs");
    }
}

struct Report<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Report<'_> {
    fn bad(&mut self, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem::new(key, what, fix));
    }

    /// `HOST:PORT` of a machine we would connect to; the name is looked up later.
    fn remote(&mut self, key: &str, value: &str) {
        let good = value
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        if !good {
            self.bad(
                key,
                format!("\"{value}\" is no HOST:PORT"),
                "write the name or address, a colon, the port",
            );
        }
    }
}

fn operator(settings: &Settings, report: &mut Report<'_>) {
    let fix = "write the operator's INN as a text of 10 (or 12) digits";
    match settings.operator.inn.as_deref().map(|text| (text, text.parse::<Inn>())) {
        Some((text, Err(error))) => report.bad("operator.inn", format!("\"{text}\": {error}"), fix),
        // A wrong INN would stand in every acknowledgement for ever; only a test may make one up.
        Some((text, Ok(inn))) if !inn.check_digits_ok() && !settings.signs.test => {
            report.bad("operator.inn", format!("\"{text}\" has wrong check digits"), fix);
        }
        _ => {}
    }
    if let Some(site) = &settings.operator.site
        && !site.starts_with("https://")
        && !site.starts_with("http://")
    {
        report.bad("operator.site", format!("\"{site}\" is no web address"), "begin it with https://");
    }
}

fn ingest(settings: &Settings, report: &mut Report<'_>) {
    if let Err(error) = settings.ingest.validate() {
        match error {
            ofd_ingest::IngestError::Config { key, reason } => report.bad(&key, reason, ""),
            other => report.bad("ingest", other.to_string(), ""),
        }
    }
}

fn store(settings: &Settings, report: &mut Report<'_>) {
    let store = &settings.store;
    match store.url.split_once(':') {
        // What is said about an address does not repeat its password.
        Some(("sqlite" | "postgres" | "postgresql", _)) => {
            if let Err(error) = store.validate() {
                report.bad("store", error.to_string(), "");
            }
        }
        _ => report.bad(
            "store.url",
            "names no store this program knows",
            "write \"sqlite:PATH\", or \"postgres://USER@HOST/DATABASE\"",
        ),
    }
    if store.queue_max_documents < store.batch_max_documents {
        report.bad(
            "store.queue_max_documents",
            "is smaller than store.batch_max_documents, so no batch could ever be full",
            "make the queue at least as long as a batch",
        );
    }
}

fn signs(signs: &SignsConfig, report: &mut Report<'_>) {
    if signs.profile == SignProfile::Hsm {
        report.bad("signs.profile", "no adapter for a crypto module is built yet", "write \"soft-gost-1\"");
    }
    if signs.profile == SignProfile::None && signs.mode != SignMode::Off {
        report.bad(
            "signs.profile",
            "\"none\" neither checks nor makes signs",
            "write \"soft-gost-1\", or set signs.mode = \"off\"",
        );
    }
    if signs.mode == SignMode::Off && !signs.i_understand_unsigned {
        report.bad(
            "signs.mode",
            "\"off\" sends acknowledgements that no certified ФН accepts",
            "if that is what you want, set signs.i_understand_unsigned = true as well",
        );
    }
    match (&signs.keys_msg, &signs.keys_opr) {
        (Some(_), None) => {
            report.bad("signs.keys_opr", "is missing beside signs.keys_msg", "name both key files")
        }
        (None, Some(_)) => {
            report.bad("signs.keys_msg", "is missing beside signs.keys_opr", "name both key files")
        }
        _ => {}
    }
}

fn registration(settings: &Settings, report: &mut Report<'_>) {
    for problem in settings.registration.periods().validate() {
        report.bad(problem.key, problem.what, problem.fix);
    }
}

fn checks(settings: &Settings, report: &mut Report<'_>) {
    let mut severities = Severities::default();
    for (rule, weight) in &settings.checks {
        let key = format!("checks.{rule}");
        match severities.set(rule, *weight) {
            Ok(()) => {}
            // Whose document it is cannot be a matter of taste.
            Err(UnknownRule::Fixed { .. }) => {
                report.bad(&key, "rules of identity are always hard", "remove the line");
            }
            Err(UnknownRule::NotThere { .. }) => report.bad(&key, "is no name of a rule", nearest_rule(rule)),
        }
    }
}

/// The name of a rule, for the command line.
///
/// # Errors
/// What to write instead.
pub(crate) fn rule_name(text: &str) -> Result<String, String> {
    match ffd::check::rule(text) {
        Some(rule) => Ok(rule.name.to_owned()),
        None => Err(nearest_rule(text)),
    }
}

/// What to write instead of a name that no rule has.
fn nearest_rule(wrong: &str) -> String {
    let all = "`fiscald checks list` shows all of them";
    match nearest(wrong, ffd::check::rules().iter().map(|rule| rule.name)) {
        Some(name) => format!("did you mean \"{name}\"? {all}"),
        None => all.to_owned(),
    }
}

fn fns(settings: &Settings, report: &mut Report<'_>) {
    for problem in settings.fns.validate() {
        report.bad(problem.key, problem.what, problem.fix);
    }
}

fn sister(settings: &Settings, report: &mut Report<'_>) {
    let sister = &settings.sister;
    if let Err(error) = sister.validate() {
        match error {
            ofd_ingest::IngestError::Config { key, reason } => report.bad(&key, reason, ""),
            other => report.bad("sister", other.to_string(), ""),
        }
    }
    if sister.upstream.is_some() && sister.listen.is_none() {
        report.bad("sister.upstream", "is given without sister.listen", "name the address to listen on");
    }
}

/// Two parts cannot listen on one address; with port 0 the system gives each its own.
fn addresses(settings: &Settings, report: &mut Report<'_>) {
    let mut taken = vec![("ingest.listen", settings.ingest.listen)];
    let others = [
        ("sister.listen", settings.sister.listen),
        ("web.listen", Some(settings.web.listen)),
        ("admin.listen", Some(settings.admin.listen)),
    ];
    for (key, address) in others {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        match taken.iter().find(|(_, other)| *other == address) {
            Some((other, _)) => {
                report.bad(key, format!("{address} is the address of {other} too"), "choose another port");
            }
            None => taken.push((key, address)),
        }
    }
}

fn mail(settings: &Settings, report: &mut Report<'_>) {
    let mail = &settings.mail;
    if let Some(relay) = &mail.relay {
        report.remote("mail.relay", relay);
        if mail.from.is_none() {
            report.bad("mail.from", "is missing beside mail.relay", "write the sender's address");
        }
    }
    if mail.from.as_ref().is_some_and(|from| !from.contains('@')) {
        report.bad("mail.from", "is no mail address", "write NAME@HOST");
    }
    if mail.user.is_some() != mail.password_file.is_some() {
        report.bad("mail.user", "and mail.password_file go together", "give both or none");
    }
}
