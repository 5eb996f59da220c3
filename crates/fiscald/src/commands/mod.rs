//! One file for each command. A command writes results to [`output::Output`] and returns the exit code.

pub(crate) mod backup;
pub(crate) mod cards;
pub(crate) mod check_config;
pub(crate) mod checks;
pub(crate) mod clock;
mod columns;
pub(crate) mod contracts;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod detach;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod migrate;
mod new_file;
pub(crate) mod outbox;
pub(crate) mod output;
mod progress;
pub(crate) mod quarantine;
pub(crate) mod registers;
pub(crate) mod reindex;
pub(crate) mod serve;
#[cfg(test)]
mod sessions;
mod stop_signals;
pub(crate) mod tasks;
mod tax_service;
pub(crate) mod verify;

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use ofd_store::{
    Operator, Reader, Registry, RegistryReader, StoreConfig, StoreError, Unavailability, shown_url,
};

use crate::cli::{Command, ConfigArg};
use crate::config::{BadConfig, Settings, load};
use output::Output;

/// A command line that the parser takes and this build cannot serve: exit code 2.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) &'static str);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Runs a command to its end.
///
/// # Errors
/// Whatever kept it from its work; [`BadConfig`] among them means exit code 64, [`WrongUsage`] 2.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    let mut out = Output::new();
    let code = run_into(command, &mut out)?;
    out.finish()?;
    Ok(code)
}

fn run_into(command: Command, out: &mut Output) -> Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(args, out),
        Command::Decode(args) => decode::run(args, out),
        Command::CheckConfig(args) => check_config::run(&args, out),
        Command::Export(args) => export::run(&args, out),
        Command::Contracts(command) => contracts::run(command, out),
        Command::Registers(command) => registers::run(command, out),
        Command::Cards(command) => cards::run(command, out),
        Command::Tasks(command) => tasks::run(command, out),
        Command::Documents(command) => documents::run(command, out),
        Command::Outbox(command) => outbox::run(command, out),
        Command::Quarantine(command) => quarantine::run(command, out),
        Command::Checks(command) => checks::run(&command, out),
        Command::Clock(command) => clock::run(command, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Backup(args) => backup::run(&args, out),
        Command::Reindex(args) => reindex::run(&args, out),
        Command::Detach(args) => detach::run(&args, out),
        Command::Migrate(args) => migrate::run(&args, out),
        Command::Keys(command) => keys::run(command, out),
    }
}

/// The settings of a command that only works on the store.
fn settings(config: &ConfigArg) -> Result<Settings, BadConfig> {
    Ok(load(config.config.as_deref())?.settings)
}

/// The journal of the settings, for reading.
///
/// # Errors
/// [`BadConfig`]; a store that is not there, said so that the reader knows what to do; any other [`StoreError`].
fn reader(config: &ConfigArg) -> Result<Reader> {
    let store = settings(config)?.store;
    Ok(open_reader(&store.address())?.keeping_free(kept_for_the_daemon(&store)))
}

fn open_reader(url: &str) -> Result<Reader> {
    Reader::open(url).map_err(|error| explain_missing(url, error))
}

/// The store of the settings for a writing command, and the place of its file, to be told with what was done: in the
/// wrong folder the same command would find another store.
///
/// # Errors
/// As [`reader`]. A store is made by `serve` only.
fn operator(config: &ConfigArg) -> Result<(Operator, String)> {
    let url = settings(config)?.store.address();
    Ok((open_operator(&url)?, told_place(&url)))
}

/// What is stored of the registration, for reading.
///
/// # Errors
/// As [`reader`].
fn registry_reader(config: &ConfigArg) -> Result<RegistryReader> {
    let url = settings(config)?.store.address();
    RegistryReader::open(&url).map_err(|error| explain_missing(&url, error))
}

/// What is stored of the registration, for a writing command; and the place of its file, as of [`operator`].
///
/// # Errors
/// As [`reader`].
fn registry(config: &ConfigArg) -> Result<(Registry, String)> {
    let url = settings(config)?.store.address();
    let registry = Registry::open(&url).map_err(|error| explain_missing(&url, error))?;
    Ok((registry, told_place(&url)))
}

/// The place of a store as people are told it.
fn told_place(url: &str) -> String {
    store_place(url).map_or_else(|| shown_url(url), |path| path.display().to_string())
}

/// A cell of a table for something that may be absent.
fn optional(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn open_operator(url: &str) -> Result<Operator> {
    Operator::open(url).map_err(|error| explain_missing(url, error))
}

fn explain_missing(url: &str, error: StoreError) -> anyhow::Error {
    match missing_store(url, &error) {
        Some(path) => anyhow!(
            "there is no store at {}: `fiscald serve` makes one; check store.url or --config",
            path.display()
        ),
        None => error.into(),
    }
}

/// Bytes of the store's disk at which a long read gives up: twice what the daemon needs to go on.
fn kept_for_the_daemon(store: &StoreConfig) -> u64 {
    store.min_free_mib.saturating_mul(2 * 1024 * 1024)
}

/// The absolute path of the store's file.
fn store_place(url: &str) -> Option<PathBuf> {
    std::path::absolute(url.strip_prefix("sqlite:")?).ok()
}

/// The place where a store should be and is not: nothing there, or an empty file.
fn missing_store(url: &str, error: &StoreError) -> Option<PathBuf> {
    let StoreError::Unavailable { why: Unavailability::CannotOpen, .. } = error else { return None };
    let path = store_place(url)?;
    match std::fs::metadata(&path) {
        Ok(file) => file.len() == 0,
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
    .then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_store_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, expected: &str| {
            let url = format!("sqlite:{}", folder.path().join(name).display());
            for error in [open_reader(&url).err(), open_operator(&url).err()] {
                let error = error.map(|error| format!("{error:#}")).unwrap_or_default();
                assert!(error.contains(expected), "{name}: {error}");
            }
        };
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let path = folder.path().display();
        check("none.db", &format!("there is no store at {path}/none.db: `fiscald serve` makes one"));
        check("no/folder/none.db", "check store.url or --config");
        assert_eq!(files(), 0, "a store was made");
        std::fs::write(folder.path().join("empty.db"), "").unwrap();
        check("empty.db", "there is no store at");
        check("empty.db/below.db", "there is no store at");
        std::fs::write(folder.path().join("foreign.db"), "a text of somebody else, longer than nothing")
            .unwrap();
        check("foreign.db", "is not a store of fiscald");
    }
}
