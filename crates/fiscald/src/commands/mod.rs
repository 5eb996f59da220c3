//! One file for each command. A command writes results to [`output::Output`] and returns the exit code.

pub(crate) mod check_config;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod output;
pub(crate) mod quarantine;
pub(crate) mod registers;
pub(crate) mod serve;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Command, ConfigArg};
use crate::config::{BadConfig, Settings, load};
use output::Output;

/// Runs a command to its end.
///
/// # Errors
/// Whatever kept it from its work; [`BadConfig`] among them means exit code 64.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    let mut out = Output::new();
    let code = match command {
        Command::Serve(args) => serve::run(&args)?,
        Command::Demo(args) => demo::run(args, &mut out)?,
        Command::Decode(args) => decode::run(args, &mut out)?,
        Command::CheckConfig(args) => check_config::run(&args, &mut out)?,
        Command::Export(args) => export::run(&args, &mut out)?,
        Command::Registers(command) => registers::run(command, &mut out)?,
        Command::Documents(command) => documents::run(command, &mut out)?,
        Command::Quarantine(command) => quarantine::run(command, &mut out)?,
        Command::Keys(command) => keys::run(command, &mut out)?,
    };
    out.finish()?;
    Ok(code)
}

/// The settings of a command that only works on the store.
fn settings(config: &ConfigArg) -> Result<Settings, BadConfig> {
    Ok(load(config.config.as_deref())?.settings)
}
