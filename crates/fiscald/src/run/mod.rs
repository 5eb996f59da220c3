//! Wiring: store, crypto device, reception and admin port put together, and taken apart in the order that loses
//! nothing: stop accepting, finish what was started, last commit, then the admin port.

pub(crate) mod keys;
pub(crate) mod process;
pub(crate) mod signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ffd::ids::Inn;
use metrics_exporter_prometheus::PrometheusHandle;
use ofd_ingest::admin::{self, Health, KeysTrouble};
use ofd_ingest::metrics::Metrics;
use ofd_ingest::{Policy, Reception, ReceptionParts, ReceptionState, Sister, TrustedClock};
use ofd_store::{JournalHandle, Store, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Settings;
use keys::Device;

/// How often the device is told the time, so that expired keys stop being used, and a wrong time that it was made with is
/// put right as soon as the clock is trusted.
const DEVICE_CLOCK: Duration = Duration::from_secs(1);

/// How often keys that end soon are written into the log.
const EXPIRY_REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// A daemon whose ports are open; it serves from [`Daemon::run`] on.
pub(crate) struct Daemon {
    store: Store,
    reception: Reception,
    sister: Option<Sister>,
    clock: Arc<TrustedClock>,
    admin: TcpListener,
    health: Health,
    prometheus: PrometheusHandle,
    device: Device,
    grace: Duration,
    /// Where registers connect.
    pub(crate) register_address: SocketAddr,
    /// Where metrics and health are.
    pub(crate) admin_address: SocketAddr,
}

impl Daemon {
    /// Opens everything: store first, ports last, so that nobody is served who could not be kept.
    ///
    /// # Errors
    /// The store or a port cannot be opened.
    pub(crate) async fn start(settings: &Settings, inn: Inn, device: Device) -> Result<Self> {
        // First of all, or what is counted before it goes nowhere: the store makes its handles when it opens.
        let prometheus = ofd_ingest::metrics::install_recorder()?;
        // The tables of the dictionary are read on first use; no register shall wait for that.
        ffd::dictionary();
        let store_config = settings.store.clone();
        // Opening reads and syncs; that has no place on the runtime's threads.
        let opening = move || {
            let store = Store::open(&store_config)?;
            let newest = store.newest_acknowledged()?;
            Ok::<_, StoreError>((store, newest))
        };
        let (store, newest) = tokio::task::spawn_blocking(|| process::while_starting(opening))
            .await
            .context("the store's opening was interrupted")?
            .with_context(|| format!("cannot open the store {}", settings.store.url))?;
        let clock = Arc::new(TrustedClock::new(newest));
        let sign_mode = settings.signs.mode;
        let metrics = Arc::new(Metrics::new());
        let reception = Reception::bind(ReceptionParts {
            config: settings.ingest.clone(),
            policy: Policy {
                unknown_fn: settings.registration.unknown_fn,
                sign_mode,
                forward_unknown: settings.fns.forward_unknown,
            },
            operator_inn: inn,
            verifier: device.verifier(),
            signer: device.signer(),
            severities: settings.severities()?,
            clock: Arc::clone(&clock),
            history: store.history(),
            journal: store.journal(),
            facts: store.facts(),
            metrics: Arc::clone(&metrics),
        })
        .await?;
        let sister = Sister::bind(settings.sister.clone(), metrics)?;
        if let Some(sister) = &sister {
            let upstream = settings.sister.upstream.as_deref().unwrap_or("none: only probes are answered");
            info!(marking = %sister.local_addr()?, upstream, "the marking point is open");
        }
        let admin = admin::bind(&settings.admin).await?;
        Ok(Self {
            register_address: reception.local_addr()?,
            admin_address: admin.local_addr()?,
            health: Health::new(
                store.journal(),
                reception.state(),
                Arc::clone(&clock),
                KeysTrouble::new({
                    let device = device.clone();
                    move || device.trouble()
                }),
                sign_mode,
            ),
            grace: Duration::from_secs(settings.ingest.shutdown_grace_s),
            store,
            reception,
            sister,
            clock,
            admin,
            prometheus,
            device,
        })
    }

    /// What others may know of the reception, and tell it.
    pub(crate) fn reception(&self) -> Arc<ReceptionState> {
        self.reception.state()
    }

    /// The journal, to be watched.
    pub(crate) fn journal(&self) -> JournalHandle {
        self.store.journal()
    }

    /// Serves until `stop` is cancelled, then ends in order. True when nothing had to be abandoned.
    ///
    /// # Errors
    /// None at present: what goes wrong on the way out is logged where it happens and makes the answer false.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<bool> {
        let Self { store, reception, sister, clock, admin, health, prometheus, device, grace, .. } = self;
        let helpers = CancellationToken::new();
        let admin = tokio::spawn(admin::serve(admin, health, prometheus, helpers.clone()));
        let device_clock = tokio::spawn(tell_time(device, Arc::clone(&clock), helpers.clone()));
        let (confirmations, stop_keeping) = (store.clock_confirmations(), helpers.clone());
        let clock = tokio::spawn(async move { clock.keep(confirmations, stop_keeping).await });

        // Both stop together; the marking point keeps nothing, so it only has to be waited for.
        let marking = sister.map(|sister| tokio::spawn(sister.run(stop.clone())));
        let report = reception.run(stop).await;
        if let Some(marking) = marking {
            marking.await.context("the marking point ended badly")?;
        }
        if !report.drained {
            let abandoned = report.abandoned;
            warn!(abandoned, "the grace period is over, connections are abandoned; registers will repeat");
        }
        // The admin port still answers: /readyz says that the daemon is stopping.
        let closed = store.close(grace.max(Duration::from_secs(1))).await;
        if let Err(error) = &closed {
            error!(%error, "the store was not closed cleanly");
        }
        helpers.cancel();
        match admin.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the admin port failed"),
            Err(error) => error!(%error, "the admin port ended badly"),
        }
        device_clock.await.context("the device's clock ended badly")?;
        clock.await.context("the guard of the clock ended badly")?;
        info!("stopped");
        Ok(report.drained && closed.is_ok())
    }
}

/// Only time that is trusted: by a clock that has jumped, keys would expire that are good, or the other way round.
///
/// Cancellation-safe: nothing is in flight between two ticks.
async fn tell_time(device: Device, clock: Arc<TrustedClock>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(DEVICE_CLOCK);
    let mut reminded: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let Some(now) = clock.trusted_now() else { continue };
        device.set_now(now);
        if reminded.is_none_or(|at| at.elapsed() >= EXPIRY_REMINDER)
            && let Some(what) = device.expiry(now)
        {
            warn!("{what}");
            reminded = Some(Instant::now());
        }
    }
}
