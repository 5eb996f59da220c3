//! Wiring: the parts of this process put together, and taken apart in the order that loses nothing: stop accepting, finish
//! what was started, let the forwarder end its requests, last commit, then the admin port.

pub(crate) mod certificates;
mod forwarding;
mod intake;
pub(crate) mod keys;
pub(crate) mod process;
pub(crate) mod signals;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use ffd::ids::Inn;
use metrics_exporter_prometheus::PrometheusHandle;
use ofd_fns::FnsStores;
use ofd_ingest::ReceptionState;
use ofd_ingest::admin::{self, Health, Trouble};
use ofd_store::{Facts, JournalHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::Settings;
use forwarding::Forwarding;
pub(crate) use forwarding::LinkReload;
use intake::Intake;
use keys::Device;

/// What a process does.
pub(crate) struct Roles {
    /// It takes documents, with this crypto device.
    pub(crate) reception: Option<Device>,
    /// It follows registers and forwards documents.
    pub(crate) forwarding: bool,
}

/// A daemon whose ports are open; it serves from [`Daemon::run`] on.
pub(crate) struct Daemon {
    intake: Option<Intake>,
    forwarding: Option<Forwarding>,
    admin: TcpListener,
    health: Health,
    prometheus: PrometheusHandle,
    /// Where registers connect, if they do.
    pub(crate) register_address: Option<SocketAddr>,
    /// Where metrics and health are.
    pub(crate) admin_address: SocketAddr,
}

impl Daemon {
    /// Opens everything: store first, ports last, so that nobody is served who could not be kept.
    ///
    /// # Errors
    /// The store, a certificate or a port cannot be opened.
    pub(crate) async fn start(
        settings: &Settings,
        inn: Inn,
        roles: Roles,
        stop: &CancellationToken,
    ) -> Result<Self> {
        // First of all, or what is counted before it goes nowhere: the store makes its handles when it opens.
        let prometheus = ofd_ingest::metrics::install_recorder()?;
        // The tables of the dictionary are read on first use; no register shall wait for that.
        ffd::dictionary();
        let intake = match roles.reception {
            Some(device) => Some(Intake::open(settings, inn, device).await?),
            None => None,
        };
        let forwarding = match roles.forwarding {
            true => {
                let stores = match &intake {
                    Some(intake) => FnsStores::beside(intake.store()),
                    None => FnsStores::alone(settings.store.address()),
                };
                Some(Forwarding::start(settings, inn, stores).await?)
            }
            false => None,
        };
        let admin = admin::bind(&settings.admin).await?;
        let mut health = match &intake {
            Some(intake) => intake.health(settings),
            None => Health::without_reception(stop.clone()),
        };
        if let Some(forwarding) = &forwarding {
            let reload = forwarding.link();
            health = health.with_remark(Trouble::new(move || reload.trouble()));
        }
        let register_address = match &intake {
            Some(intake) => Some(intake.address()?),
            None => None,
        };
        Ok(Self {
            register_address,
            admin_address: admin.local_addr()?,
            intake,
            forwarding,
            admin,
            health,
            prometheus,
        })
    }

    /// What others may know of the reception, and tell it.
    pub(crate) fn reception(&self) -> Option<Arc<ReceptionState>> {
        self.intake.as_ref().map(Intake::state)
    }

    /// The journal, to be watched.
    pub(crate) fn journal(&self) -> Option<JournalHandle> {
        self.intake.as_ref().map(|intake| intake.store().journal())
    }

    /// What reception knows of registers.
    pub(crate) fn facts(&self) -> Option<Arc<Facts>> {
        self.intake.as_ref().map(|intake| intake.store().facts())
    }

    /// The link with the tax service, to be told of new certificates.
    pub(crate) fn link(&self) -> Option<LinkReload> {
        self.forwarding.as_ref().map(Forwarding::link)
    }

    /// Serves until `stop` is cancelled, then ends in order. True when nothing had to be abandoned.
    ///
    /// # Errors
    /// A part ended badly; what goes wrong on the way out otherwise is logged where it happens and makes the answer false.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<bool> {
        let Self { intake, forwarding, admin, health, prometheus, .. } = self;
        let helpers = CancellationToken::new();
        let admin = tokio::spawn(admin::serve(admin, health, prometheus, helpers.clone()));
        let forwarding = forwarding.map(Forwarding::begin);

        let clean = match intake {
            Some(intake) => {
                let drained = intake.serve(stop, helpers.clone()).await?;
                if let Some(forwarding) = forwarding {
                    forwarding.end().await;
                }
                // The admin port still answers: /readyz says that the daemon is stopping.
                drained.close().await
            }
            None => match forwarding {
                Some(forwarding) => forwarding.until(stop).await,
                None => true,
            },
        };
        helpers.cancel();
        match admin.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the admin port failed"),
            Err(error) => error!(%error, "the admin port ended badly"),
        }
        info!("stopped");
        Ok(clean)
    }
}
