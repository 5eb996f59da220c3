//! The command line of `fns-sim`: one line on stdout when both ports are open, logs on stderr.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::config::{Mode, SimConfig};
use super::{FnsSim, FnsSimOptions};

/// A simulated tax service (ФНС): the far end of an operator's forwarding.
#[derive(Debug, Parser)]
#[command(
    name = "fns-sim",
    version,
    max_term_width = 110,
    after_help = "The address line goes to stdout, everything else to stderr.\nExit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the nine endpoints and the control port until SIGTERM or SIGINT
    Serve(Box<ServeArgs>),
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    Ok,
    Down,
    #[value(name = "429")]
    TooManyRequests,
    #[value(name = "503")]
    Unavailable,
    Slow,
    #[value(name = "drop_after_accept")]
    DropAfterAccept,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Ok => Self::Ok,
            ModeArg::Down => Self::Down,
            ModeArg::TooManyRequests => Self::TooManyRequests,
            ModeArg::Unavailable => Self::Unavailable,
            ModeArg::Slow => Self::Slow,
            ModeArg::DropAfterAccept => Self::DropAfterAccept,
        }
    }
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    fns-sim serve --write-certs certs\n  \
    fns-sim serve --listen 127.0.0.1:0 --control 127.0.0.1:0 --write-certs certs --snapshot fns.jsonl\n  \
    fns-sim serve --plain --auto-card off --verdict-delay-ms 500\n\n\
    When both ports are open, stdout has one line:\n  \
    ready: https://127.0.0.1:9443 control http://127.0.0.1:9444\n\n\
    The daemon's settings for it: [fns] url = \"https://127.0.0.1:9443\", ofd_id = \"ofd1\", ca = \"certs/ca.pem\",\n\
    cert = \"certs/client.pem\", key = \"certs/client.key\".\n\n\
    While it runs:\n  \
    curl http://127.0.0.1:9444/sim/requests\n  \
    curl -X PUT -d '{\"mode\":\"down\"}' http://127.0.0.1:9444/sim/config\n\
    The taxpayer's page «Завершить регистрацию» is http://127.0.0.1:9444/cabinet")]
struct ServeArgs {
    /// Where the tax service listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// Where the control port listens; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9444")]
    control: SocketAddr,
    /// Folder for CA, server and client certificates; made when absent, kept when there
    #[arg(long, value_name = "DIR", required_unless_present = "plain", conflicts_with = "plain")]
    write_certs: Option<PathBuf>,
    /// Plain http instead of mutual TLS, as behind a gateway on this machine; loopback only
    #[arg(long)]
    plain: bool,
    /// Make the operator's client certificate anew
    #[arg(long, requires = "write_certs")]
    renew_client: bool,
    /// How long a new client certificate is valid, days
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    client_days: u16,
    /// The one operator that the service knows
    #[arg(long, value_name = "ID", default_value = "ofd1")]
    ofd_id: String,
    /// File with the state: read at start, written at the end
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Cards by themselves from registration reports; off = December 2016, after the three values only
    #[arg(long, value_name = "on|off", default_value = "on")]
    auto_card: Switch,
    /// Applications are accepted by themselves; off = decided at the control port
    #[arg(long, value_name = "on|off", default_value = "on")]
    auto_applications: Switch,
    /// From a document's reception to its ticket, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    verdict_delay_ms: u64,
    /// From a report's reception to its card, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    card_delay_ms: u64,
    /// Added to every answer, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Share of documents answered BUSY, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    fail_rate: f64,
    /// How requests are treated
    #[arg(long, value_enum, default_value = "ok")]
    mode: ModeArg,
    /// Most documents of a batch
    #[arg(long, value_name = "N", default_value_t = SimConfig::default().max_batch_documents)]
    max_batch_documents: usize,
    /// Check ФПД and ФПС with the published test keys: a wrong one is hard 910
    #[arg(long)]
    check_signs: bool,
    /// Keep every document as it came
    #[arg(long)]
    keep_bodies: bool,
    /// Seed of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl ServeArgs {
    fn options(self) -> FnsSimOptions {
        FnsSimOptions {
            listen: self.listen,
            control: self.control,
            ofd_id: self.ofd_id,
            certificates: self.write_certs,
            renew_client: self.renew_client,
            client_days: self.client_days,
            snapshot: self.snapshot,
            keep_bodies: self.keep_bodies,
            check_signs: self.check_signs,
            seed: self.seed,
            config: SimConfig {
                auto_card: self.auto_card == Switch::On,
                auto_applications: self.auto_applications == Switch::On,
                verdict_delay_ms: self.verdict_delay_ms,
                card_delay_ms: self.card_delay_ms,
                latency_ms: self.latency_ms,
                fail_rate: self.fail_rate,
                mode: self.mode.into(),
                max_batch_documents: self.max_batch_documents,
                ..SimConfig::default()
            },
        }
    }
}

/// Runs the command line of this process; 0 done, 1 failed. Wrong usage ends in the parser with 2.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command: Command::Serve(arguments) } = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second subscriber (there is none in the binary) would only lose log lines.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime
        .context("starting the runtime")
        .and_then(|runtime| runtime.block_on(Box::pin(serve(arguments.options()))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fns-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: FnsSimOptions) -> anyhow::Result<()> {
    // Before the ready line: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let sim = FnsSim::start(options).await?;
    println!("ready: {} control {}", sim.url(), sim.control_url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    sim.stop().await
}
