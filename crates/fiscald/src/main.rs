//! `fiscald`, the program: command line, configuration, wiring and shutdown.
//!
//! Start reading at [`cli`] (what can be asked for), then [`run`] (how the daemon is put together). What happens to
//! a document is not here: reception is `ofd-ingest`, keeping is `ofd-store`, signs are `pkz`.
#![expect(clippy::print_stderr, reason = "a command-line program talks to its user")]

mod cli;
mod commands;
mod config;
mod keys_files;
mod quoting;
mod run;
mod telemetry;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// A document's memory is taken by the thread that reads it and given back by the one that writes it, which this allocator
/// makes cheaper than the system's (benches/COST.md). SQLite allocates from it too; its settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit code of a configuration that cannot be used (`EX_USAGE` of sysexits.h).
const BAD_CONFIG: u8 = 64;
/// Exit code of a wrong command line.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results and go to stdout; a closed pipe there is nobody's fault.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(WRONG_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    commands::run(cli.command).unwrap_or_else(|error| report(&error))
}

/// Says what went wrong on stderr and chooses the exit code.
fn report(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_closed_pipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("fiscald: {error:#}");
    if error.chain().any(|cause| cause.is::<commands::WrongUsage>()) {
        return ExitCode::from(WRONG_USAGE);
    }
    if error.chain().any(|cause| cause.is::<config::BadConfig>()) {
        return ExitCode::from(BAD_CONFIG);
    }
    ExitCode::FAILURE
}

fn is_closed_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
