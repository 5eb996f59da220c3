//! The configuration: a strict TOML file, overridden by `FISCALD__SECTION__KEY` in the environment.
//!
//! Everything is read and checked before a port opens or a file is written, and every fault is reported with the
//! path of its key, not only the first. Defaults stand in the code beside the fields they belong to.
//! A value of the file must have the type of its key; environment values are texts, read as the type that the key asks
//! for: an INN that begins with a zero survives.

mod check;
mod nearest;
mod problem;
mod sections;
mod types;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{
    Config, ConfigBuilder, ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind,
};
use ffd::check::{Severities, UnknownRule};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) use check::rule_name;
pub(crate) use problem::{BadConfig, Problem};
use sections::{ChecksConfig, MailConfig, OperatorConfig, RegistrationConfig, WebConfig};
pub(crate) use sections::{LogConfig, LogFormat, SignProfile, SignsConfig};

/// Prefix of the environment variables that override the file.
pub(crate) const ENV_PREFIX: &str = "FISCALD__";

/// Places looked at when no `--config` is given, in this order.
pub(crate) const DEFAULT_PLACES: [&str; 2] = ["fiscald.toml", "/etc/fiscald/fiscald.toml"];

/// Longest configuration file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// All sections, checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) operator: OperatorConfig,
    pub(crate) ingest: ofd_ingest::IngestConfig,
    pub(crate) store: ofd_store::StoreConfig,
    pub(crate) signs: SignsConfig,
    pub(crate) registration: RegistrationConfig,
    pub(crate) checks: ChecksConfig,
    pub(crate) fns: ofd_fns::FnsConfig,
    pub(crate) sister: ofd_ingest::SisterConfig,
    pub(crate) web: WebConfig,
    pub(crate) admin: ofd_ingest::AdminConfig,
    pub(crate) mail: MailConfig,
    pub(crate) log: LogConfig,
}

impl Settings {
    /// The weights of the control's rules.
    ///
    /// # Errors
    /// A name that no rule has; settings that were read here have none.
    pub(crate) fn severities(&self) -> Result<Severities, UnknownRule> {
        let mut severities = Severities::default();
        self.checks.iter().try_for_each(|(rule, weight)| severities.set(rule, *weight))?;
        Ok(severities)
    }
}

/// Names of all sections, in the order of the shipped file.
const SECTIONS: [&str; 12] = [
    "operator",
    "ingest",
    "store",
    "signs",
    "registration",
    "checks",
    "fns",
    "sister",
    "web",
    "admin",
    "mail",
    "log",
];

/// What was read, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    /// The file, or that there was none.
    pub(crate) source: String,
    /// Names of the environment variables that were taken; never their values.
    pub(crate) overrides: Vec<String>,
    /// Sections named in the file or the environment, whose part this build does not have.
    pub(crate) unbuilt: Vec<&'static str>,
}

/// Reads the named file, or the first of [`DEFAULT_PLACES`] that exists, or only defaults and environment.
///
/// # Errors
/// [`BadConfig`] with every fault found.
pub(crate) fn load(file: Option<&Path>) -> Result<Loaded, BadConfig> {
    let path = match file {
        Some(path) => Some(path.to_owned()),
        None => first_there(&DEFAULT_PLACES.map(Path::new))?,
    };
    let source = match &path {
        Some(path) => path.display().to_string(),
        None => format!("no file: neither {} exists", DEFAULT_PLACES.join(" nor ")),
    };
    let fail = |problem| BadConfig { source: source.clone(), problems: vec![problem] };
    let text = match path {
        Some(path) => read_file(&path).map_err(fail)?,
        None => String::new(),
    };
    let environment = environment(std::env::vars_os()).map_err(fail)?;
    parse(&text, &source, environment)
}

/// Reads a configuration from its text; `environment` holds only variables that begin with [`ENV_PREFIX`].
pub(crate) fn parse(
    text: &str,
    source: &str,
    environment: HashMap<String, String>,
) -> Result<Loaded, BadConfig> {
    let mut overrides: Vec<String> = environment.keys().cloned().collect();
    overrides.sort();
    let bad = |problems| BadConfig { source: source.to_owned(), problems };
    let mut tables = tables(text, environment).map_err(|problem| bad(vec![problem]))?;
    join_dotted_keys(&mut tables, "checks");

    let mut problems = Vec::new();
    let unbuilt = check::unbuilt(|section| tables.contains_key(section));
    let settings = Settings {
        operator: section(&mut tables, "operator", &mut problems),
        ingest: section(&mut tables, "ingest", &mut problems),
        store: section(&mut tables, "store", &mut problems),
        signs: section(&mut tables, "signs", &mut problems),
        registration: section(&mut tables, "registration", &mut problems),
        checks: section(&mut tables, "checks", &mut problems),
        fns: section(&mut tables, "fns", &mut problems),
        sister: section(&mut tables, "sister", &mut problems),
        web: section(&mut tables, "web", &mut problems),
        admin: section(&mut tables, "admin", &mut problems),
        mail: section(&mut tables, "mail", &mut problems),
        log: section(&mut tables, "log", &mut problems),
    };
    for unknown in tables.keys() {
        problems.push(Problem::new(
            unknown.as_str(),
            "unknown section",
            format!("the sections are {}", SECTIONS.join(", ")),
        ));
    }
    if problems.is_empty() {
        check::check(&settings, &mut problems);
    }
    problems.sort_by(|a, b| a.key.cmp(&b.key));
    if problems.is_empty() {
        Ok(Loaded { settings, source: source.to_owned(), overrides, unbuilt })
    } else {
        Err(bad(problems))
    }
}

/// The first of these files that exists. One that cannot be looked at may hold what is needed, so it is not passed over.
fn first_there(places: &[&Path]) -> Result<Option<PathBuf>, BadConfig> {
    for place in places {
        match place.try_exists() {
            Ok(true) => return Ok(Some((*place).to_owned())),
            Ok(false) => {}
            Err(error) => {
                let what = format!("cannot be looked at: {error}");
                let problem =
                    Problem::new("", what, "make it readable for this user, or name another with --config");
                return Err(BadConfig { source: place.display().to_string(), problems: vec![problem] });
            }
        }
    }
    Ok(None)
}

fn read_file(path: &Path) -> Result<String, Problem> {
    let fix = "name a readable TOML file with --config";
    let fault = |error: std::io::Error| Problem::new("", format!("cannot be read: {error}"), fix);
    let size = std::fs::metadata(path).map_err(fault)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Problem::new("", format!("is {size} bytes long, more than {MAX_FILE_BYTES}"), fix));
    }
    std::fs::read_to_string(path).map_err(fault)
}

/// Our variables of the process environment. A value that is no text is a fault of that variable, not to be skipped.
fn environment(all: impl Iterator<Item = (OsString, OsString)>) -> Result<HashMap<String, String>, Problem> {
    let mut ours = HashMap::new();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| name.to_uppercase().starts_with(ENV_PREFIX)) else {
            continue;
        };
        let value = value.into_string().map_err(|_| {
            Problem::new(name, "the value of this environment variable is not UTF-8 text", "")
        })?;
        // An empty variable means "not set": container descriptions often pass every variable through.
        if !value.is_empty() {
            ours.insert(name.to_owned(), value);
        }
    }
    Ok(ours)
}

/// The top level of file and environment together: section name to its table.
fn tables(text: &str, environment: HashMap<String, String>) -> Result<Map<String, Value>, Problem> {
    let builder: ConfigBuilder<DefaultState> =
        Config::builder().add_source(File::from_str(text, FileFormat::Toml)).add_source(
            Environment::with_prefix("FISCALD")
                .prefix_separator("__")
                .separator("__")
                .source(Some(environment)),
        );
    let fix = "write TOML: [section] lines, then key = value";
    builder
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| Problem::new("", error.to_string().trim_end().to_owned(), fix))
}

/// Names of this section hold dots. Written without quotes, and in the environment, they come as tables inside tables.
fn join_dotted_keys(tables: &mut Map<String, Value>, section: &str) {
    fn join(prefix: &str, from: Map<String, Value>, into: &mut Map<String, Value>) {
        for (key, value) in from {
            let name = format!("{prefix}{key}");
            match value.kind {
                ValueKind::Table(inner) if !inner.is_empty() => join(&format!("{name}."), inner, into),
                // Written in two ways, in the file and in the environment: only the latter has an origin, and it wins.
                _ if value.origin().is_none() && into.contains_key(&name) => {}
                _ => {
                    into.insert(name, value);
                }
            }
        }
    }
    let Some(ValueKind::Table(table)) = tables.get_mut(section).map(|value| &mut value.kind) else { return };
    let nested = std::mem::take(table);
    join("", nested, table);
}

fn section<T: DeserializeOwned + Default>(
    tables: &mut Map<String, Value>,
    name: &'static str,
    problems: &mut Vec<Problem>,
) -> T {
    let Some(mut value) = tables.remove(name) else { return T::default() };
    if let ValueKind::Table(table) = &mut value.kind {
        types::take_mistyped::<T>(name, table, problems);
    } else {
        problems.push(Problem::new(name, "is a section, not a value", format!("write [{name}] on a line")));
        return T::default();
    }
    read_section(name, value).unwrap_or_else(|problem| {
        problems.push(problem);
        T::default()
    })
}

fn read_section<'de, T: Deserialize<'de>>(name: &str, value: Value) -> Result<T, Problem> {
    value.try_deserialize().map_err(|error| explain(name, &error))
}

/// Turns the reader's error into the path of the key, what is wrong, and what to write.
fn explain(section: &str, error: &ConfigError) -> Problem {
    match error {
        ConfigError::At { error, key: Some(key), .. } => {
            let inner = explain(section, error);
            let path = format!("{section}.{key}");
            Problem { fix: advice(&path).unwrap_or(inner.fix), what: inner.what, key: path }
        }
        ConfigError::Type { unexpected, expected, key, origin } => {
            let path = key.as_ref().map_or_else(|| section.to_owned(), |key| format!("{section}.{key}"));
            let place = match origin.as_deref() {
                Some(place) => format!(" (from {place})"),
                None => String::new(),
            };
            let fix = advice(&path).unwrap_or_else(|| format!("write {expected}"));
            Problem::new(path, format!("{unexpected}{place} does not fit here"), fix)
        }
        ConfigError::Message(text) => explain_message(section, text),
        other => Problem::new(section, other.to_string(), ""),
    }
}

fn explain_message(section: &str, text: &str) -> Problem {
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let (field, rest) = rest.split_once('`').unwrap_or((rest, ""));
        let known = rest.trim_start_matches(", ").replace("expected one of ", "").replace("expected ", "");
        let fix = format!("[{section}] knows {}", known.replace('`', ""));
        return Problem::new(format!("{section}.{field}"), "unknown key", fix);
    }
    if let Some((_, chosen)) = text.split_once("does not have variant constructor ") {
        return Problem::new(section, format!("\"{chosen}\" is not one of the choices"), "");
    }
    Problem::new(section, text, "")
}

/// What may be written where a choice is closed.
fn advice(path: &str) -> Option<String> {
    let choices = match path {
        "signs.mode" => "\"required\", \"log-only\" or \"off\"",
        "signs.profile" => "\"soft-gost-1\", \"hsm\" or \"none\"",
        "registration.unknown_fn" => "\"hold\", \"accept\" or \"reject\"",
        "ingest.proxy_protocol" | "sister.proxy_protocol" => "\"off\" or \"required\"",
        "fns.names" => "\"modern\" or \"legacy\"",
        "log.format" => "\"text\" or \"json\"",
        path if path.ends_with(".listen") => {
            return Some(
                "write ADDRESS:PORT, the address in figures: \"127.0.0.1:7777\", \"[::]:7777\"".to_owned(),
            );
        }
        path if path.starts_with("checks.") => "\"hard\", \"soft\" or \"off\"",
        _ => return None,
    };
    Some(format!("write {choices}"))
}

#[cfg(test)]
mod tests;
