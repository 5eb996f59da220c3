//! Reception of this process: store, crypto device, register port, marking point and the guard of the clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ffd::ids::Inn;
use ofd_ingest::admin::{Health, Trouble};
use ofd_ingest::metrics::Metrics;
use ofd_ingest::{Policy, Reception, ReceptionParts, ReceptionState, Sister, TrustedClock};
use ofd_store::{Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::keys::Device;
use super::process;
use crate::config::Settings;

/// How often the device is told the time, so that expired keys stop being used, and a wrong time that it was made with is
/// put right as soon as the clock is trusted.
const DEVICE_CLOCK: Duration = Duration::from_secs(1);

/// How often keys that end soon are written into the log.
const EXPIRY_REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// Reception whose ports are open.
pub(super) struct Intake {
    store: Arc<Store>,
    reception: Reception,
    sister: Option<Sister>,
    clock: Arc<TrustedClock>,
    device: Device,
    grace: Duration,
}

/// Reception that has answered everything it began; its store is still open.
pub(super) struct Drained {
    store: Arc<Store>,
    grace: Duration,
    complete: bool,
    device_clock: JoinHandle<()>,
    clock: JoinHandle<()>,
    helpers: CancellationToken,
}

impl Intake {
    /// Opens the store, then the ports.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub(super) async fn open(settings: &Settings, inn: Inn, device: Device) -> Result<Self> {
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
            .with_context(|| {
                format!("cannot open the store {}", ofd_store::shown_url(&settings.store.url))
            })?;
        store.facts().set_grace(Duration::from_secs(settings.registration.grace_s));
        let clock = Arc::new(TrustedClock::new(newest));
        let metrics = Arc::new(Metrics::new());
        let reception = Reception::bind(ReceptionParts {
            config: settings.ingest.clone(),
            policy: Policy {
                unknown_fn: settings.registration.unknown_fn,
                sign_mode: settings.signs.mode,
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
        let grace = Duration::from_secs(settings.ingest.shutdown_grace_s);
        Ok(Self { store: Arc::new(store), reception, sister, clock, device, grace })
    }

    /// The store of this process.
    pub(super) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// What others may know of the reception, and tell it.
    pub(super) fn state(&self) -> Arc<ReceptionState> {
        self.reception.state()
    }

    /// Where registers connect.
    ///
    /// # Errors
    /// The system does not know.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.reception.local_addr()?)
    }

    /// What keeps documents from being taken.
    pub(super) fn health(&self, settings: &Settings) -> Health {
        let device = self.device.clone();
        let keys = Trouble::new(move || device.trouble());
        let clock = Arc::clone(&self.clock);
        Health::new(self.store.journal(), self.reception.state(), clock, keys, settings.signs.mode)
    }

    /// Takes documents until `stop` is cancelled, then finishes what was started. The clock is guarded until `helpers` is
    /// cancelled.
    ///
    /// # Errors
    /// The marking point ended badly.
    pub(super) async fn serve(self, stop: CancellationToken, helpers: CancellationToken) -> Result<Drained> {
        let Self { store, reception, sister, clock, device, grace } = self;
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
        Ok(Drained { store, grace, complete: report.drained, device_clock, clock, helpers })
    }
}

impl Drained {
    /// Writes what is queued and closes the store. True when that was done and nothing had been abandoned before.
    pub(super) async fn close(self) -> bool {
        let Self { store, grace, complete, device_clock, clock, helpers } = self;
        let closed = match Arc::into_inner(store) {
            Some(store) => store.close(grace.max(Duration::from_secs(1))).await,
            // Only a forwarder that hangs in a read of a dead disk: everything acknowledged is committed.
            None => {
                warn!("the store is still being read and is left to the end of the process");
                Ok(())
            }
        };
        if let Err(error) = &closed {
            error!(%error, "the store was not closed cleanly");
        }
        helpers.cancel();
        for (task, name) in [(device_clock, "the device's clock"), (clock, "the guard of the clock")] {
            if let Err(error) = task.await {
                error!(%error, "{name} ended badly");
            }
        }
        complete && closed.is_ok()
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
