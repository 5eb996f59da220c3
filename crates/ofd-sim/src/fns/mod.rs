//! A simulated tax service (ФНС): the far end of the operator's forwarding.
//!
//! It has the nine endpoints of our contract with the tax service (spec, "HTTP contract of the tax-service endpoint"),
//! mutual TLS with a CA of its own, the checks of the door and of the format-logic control (ФЛК), a registry of
//! registers with cards, applications, an events feed, and on a second, loopback-only port everything a test needs to
//! make it misbehave.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use ofd_sim::fns::{FnsSim, FnsSimOptions};
//!
//! let sim = FnsSim::start(FnsSimOptions { certificates: Some("certs".into()), ..FnsSimOptions::default() }).await?;
//! println!("{} {}", sim.url(), sim.control_url());
//! sim.stop().await?;
//! # Ok(()) }
//! ```
//!
//! Left out on purpose: everything of the operator's side. Requests and answers have their own types here and documents
//! are read again from `rawData` with `ffd` alone, so that a mistake of the forwarder cannot hide behind the same
//! mistake here.

mod card;
mod certificates;
mod codes;
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the ready line goes to stdout, everything else to stderr"
)]
pub mod command;
mod config;
mod connection;
mod control;
mod door;
mod flk;
mod http;
mod json;
mod options;
mod shared;
mod signs;
mod tally;
#[cfg(test)]
mod tests;
mod wire;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use certificates::CertificateFiles;
pub use config::{ConfigError, Mode, SimConfig};
pub use http::examine_batch;
pub use options::FnsSimOptions;
pub use tally::FnsTally;

use connection::Peer;
use shared::Shared;
use world::World;

/// How long requests under way may take to end after [`FnsSim::stop`].
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running simulator. Dropping it without [`FnsSim::stop`] ends it too, and writes no snapshot.
pub struct FnsSim {
    address: SocketAddr,
    control_address: SocketAddr,
    certificates: Option<CertificateFiles>,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for FnsSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FnsSim")
            .field("address", &self.address)
            .field("control_address", &self.control_address)
            .finish_non_exhaustive()
    }
}

impl Drop for FnsSim {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl FnsSim {
    /// Reads the snapshot, makes the certificates, opens both ports and serves until [`FnsSim::stop`].
    ///
    /// # Errors
    /// A port cannot be opened, a file cannot be read or written, plain http or the control port is not on loopback, or
    /// a setting is out of range.
    pub async fn start(options: FnsSimOptions) -> anyhow::Result<Self> {
        check(&options)?;
        let certificates = match &options.certificates {
            None => None,
            Some(folder) => Some(CertificateFiles::prepare(
                folder,
                &options.ofd_id,
                options.renew_client,
                options.client_days,
            )?),
        };
        let tls = certificates.as_ref().map(connection::tls).transpose()?;
        let existing = options.snapshot.as_ref().filter(|path| path.exists());
        let world = match existing {
            Some(path) => World::load(path, options.config.clone(), options.seed, shared::now())?,
            None => World::new(options.config.clone(), options.seed),
        };
        let listener = bind(options.listen).await?;
        let control = bind(options.control).await?;
        let (address, control_address) = (listener.local_addr()?, control.local_addr()?);
        let shared = Arc::new(Shared::new(world, &options));
        let accepted = connection::accept(listener, tls, Arc::clone(&shared), shared.stop.clone());
        let service = http::router(Arc::clone(&shared)).into_make_service_with_connect_info::<Peer>();
        let main =
            axum::serve(accepted, service).with_graceful_shutdown(shared.stop.clone().cancelled_owned());
        let control = axum::serve(control, control::router(Arc::clone(&shared)))
            .with_graceful_shutdown(shared.stop.clone().cancelled_owned());
        let timer = Arc::clone(&shared);
        let tasks = vec![
            tokio::spawn(async move { log_end("the tax service", main.await) }),
            tokio::spawn(async move { log_end("the control port", control.await) }),
            tokio::spawn(async move { timer.keep_time().await }),
        ];
        tracing::info!(%address, %control_address, ofd_id = options.ofd_id, "the tax service is open");
        Ok(Self { address, control_address, certificates, shared, tasks })
    }

    /// Where the tax service listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the control port listens.
    #[must_use]
    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }

    /// `https://…` or `http://…` of the tax service, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// `http://…` of the control port, without a path; the taxpayer's page is `/cabinet` there.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_address)
    }

    /// The certificate files in use; `None` for plain http.
    #[must_use]
    pub fn certificates(&self) -> Option<&CertificateFiles> {
        self.certificates.as_ref()
    }

    /// The present behaviour.
    #[must_use]
    pub fn config(&self) -> SimConfig {
        self.shared.config()
    }

    /// Changes the behaviour, as `PUT /sim/config` does.
    ///
    /// # Errors
    /// [`ConfigError`] for a setting out of range; nothing is changed then.
    pub fn set_config(&self, config: SimConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.shared.with(|world, now| world.set_config(config, now));
        Ok(())
    }

    /// What the service has seen so far.
    #[must_use]
    pub fn totals(&self) -> FnsTotals {
        self.shared.with(|world, _| world.totals())
    }

    /// Everything the service has, counted by form, ФН and verdict. Looks at every document: for the end of a run.
    #[must_use]
    pub fn tally(&self) -> FnsTally {
        self.shared.with(|world, _| FnsTally::of(world))
    }

    /// Stops serving and writes the snapshot.
    ///
    /// # Errors
    /// The snapshot cannot be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shared.stop.cancel();
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(STOP_TIMEOUT, &mut task).await.is_err() {
                tracing::warn!("requests under way are cut");
                task.abort();
            }
        }
        if self.shared.save()? {
            tracing::info!("the snapshot is written");
        }
        Ok(())
    }
}

/// Sums for a display, see [`FnsSim::totals`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FnsTotals {
    /// Documents taken, each counted once.
    pub documents: usize,
    /// Of those: accepted.
    pub accepted: usize,
    /// Of those: in the soft quarantine.
    pub soft: usize,
    /// Of those: in the hard quarantine.
    pub hard: usize,
    /// Documents that came again.
    pub duplicates: u64,
    /// Registers known.
    pub registers: usize,
    /// Registers with a card for their newest report.
    pub registered: usize,
}

fn check(options: &FnsSimOptions) -> anyhow::Result<()> {
    options.config.validate().context("the behaviour of the simulator")?;
    if !options.control.ip().is_loopback() {
        bail!("the control port has no protection, so it is on loopback only, not on {}", options.control);
    }
    if options.certificates.is_none() && !options.listen.ip().is_loopback() {
        bail!(
            "plain http is for a gateway on this machine, not for {}: name a folder of certificates",
            options.listen
        );
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&options.ofd_id.len()) || !options.ofd_id.bytes().all(is_plain) {
        bail!("the operator's id is 1 to 64 letters, digits, dots, dashes and underscores");
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("opening {address}"))
}

fn log_end(what: &str, ended: std::io::Result<()>) {
    if let Err(error) = ended {
        tracing::error!(%error, "{what} ended");
    }
}
