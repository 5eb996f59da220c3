//! The terminal side of `kkt-sim`: runs a command, prints its result on stdout and everything else on stderr.

mod live;
mod load;
mod probe;
mod replay;
mod send;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, KeyArgs};
use crate::keys::SimKeys;

/// Runs the command line of this process; 0 done, 1 failed. Wrong usage ends in the parser with 2.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let Some(ContextValue::String(table)) = error.get(ContextKind::Custom) else { error.exit() };
            print!("{table}");
            return ExitCode::SUCCESS;
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second subscriber (there is none in the binary) would only lose log lines.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let done = match cli.command {
        Command::Send(args) => runtime(1).and_then(|runtime| runtime.block_on(send::run(&args))),
        Command::Live(args) => runtime(2).and_then(|runtime| runtime.block_on(live::run(&args))),
        Command::Load(args) => runtime(args.threads).and_then(|runtime| runtime.block_on(load::run(&args))),
        Command::Replay(args) => runtime(1).and_then(|runtime| runtime.block_on(replay::run(&args))),
        Command::Probe(args) => runtime(1).and_then(|runtime| runtime.block_on(probe::run(&args))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kkt-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread runs everything itself; more are a pool.
fn runtime(threads: u32) -> anyhow::Result<Runtime> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(usize::try_from(threads).unwrap_or(1));
    }
    builder.enable_all().build().context("starting the runtime")
}

/// The first address that a HOST:PORT stands for.
async fn resolve(to: &str) -> anyhow::Result<SocketAddr> {
    let mut addresses = tokio::net::lookup_host(to).await.with_context(|| format!("address {to}"))?;
    addresses.next().with_context(|| format!("address {to} stands for nothing"))
}

fn keys(args: &KeyArgs) -> anyhow::Result<Arc<SimKeys>> {
    let keys = match (&args.keys_msg, &args.keys_doc) {
        (Some(message), Some(document)) => {
            let now = jiff::Timestamp::now().as_second();
            SimKeys::from_files(message, document, args.keys_opr.as_deref(), now)?
        }
        _ => SimKeys::published(),
    };
    Ok(Arc::new(keys))
}

/// A token that SIGINT (Ctrl-C) or SIGTERM cancels; a second one ends the program at once.
fn interruptible() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        if asked_to_end().await.is_ok() {
            eprintln!("kkt-sim: interrupted, finishing");
            cancel.cancel();
            if asked_to_end().await.is_ok() {
                std::process::exit(1);
            }
        }
    });
    token
}

/// Waits for one of the two signals. Cancellation-safe.
async fn asked_to_end() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
