//! Registration and forwarding of this process. Reception never waits for it: it starts after reception's store, ends after
//! reception has answered everything, and when it breaks down it is started anew beside it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use ffd::ids::Inn;
use ofd_fns::registration::RegistrationConfig;
use ofd_fns::{FnsConfig, FnsError, FnsHandle, FnsParts, FnsService, FnsStores};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::process;
use crate::config::Settings;

/// How long requests under way may take after a stop was asked for. What is cut off then is sent again with the same key by
/// whoever comes next. With twice the grace of reception it must stay below `TimeoutStopSec` of the unit.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Pause before a service that broke down is started anew.
const PAUSE: Duration = Duration::from_secs(10);

/// A service that is ready to work.
pub(super) struct Forwarding {
    recipe: Recipe,
    service: FnsService,
    link: LinkReload,
}

/// A service at work.
pub(super) struct Working {
    stop: CancellationToken,
    task: JoinHandle<bool>,
}

/// What a service is made of, again and again.
#[derive(Clone)]
struct Recipe {
    config: FnsConfig,
    registration: RegistrationConfig,
    operator_inn: Inn,
    stores: FnsStores,
}

/// The way to the service that works at present.
#[derive(Clone)]
pub(crate) struct LinkReload {
    current: Arc<RwLock<FnsHandle>>,
    is_off: bool,
}

impl LinkReload {
    /// Reads the certificates anew. False: there are none.
    pub(crate) fn reload(&self) -> bool {
        if !self.is_off {
            self.handle().reload();
        }
        !self.is_off
    }

    /// What an operator should know of it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let own = self.handle().trouble();
        let off = "forwarding to the tax service is off: no fns.url";
        own.or_else(|| self.is_off.then(|| off.to_owned()))
    }

    fn handle(&self) -> FnsHandle {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, handle: FnsHandle) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}

impl Recipe {
    /// Opening reads files and the store; that has no place on the runtime's threads.
    async fn make(self) -> Result<FnsService> {
        let parts = FnsParts {
            config: self.config,
            registration: self.registration,
            operator_inn: self.operator_inn,
            stores: self.stores,
        };
        let opening = move || process::while_starting(|| FnsService::start(parts));
        let service =
            tokio::task::spawn_blocking(opening).await.context("the forwarder's start was interrupted")?;
        service.map_err(|error| match error {
            FnsError::Store(error) => {
                anyhow::Error::new(error).context("the forwarder cannot open the store")
            }
            other => other.into(),
        })
    }
}

impl Forwarding {
    /// Reads the certificates and opens the store's connections.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(super) async fn start(settings: &Settings, operator_inn: Inn, stores: FnsStores) -> Result<Self> {
        let recipe = Recipe {
            config: settings.fns.clone(),
            registration: settings.registration.periods(),
            operator_inn,
            stores,
        };
        let service = recipe.clone().make().await?;
        let current = Arc::new(RwLock::new(service.handle()));
        let link = LinkReload { current, is_off: settings.fns.url.is_none() };
        Ok(Self { recipe, service, link })
    }

    /// The way to it while it works.
    pub(super) fn link(&self) -> LinkReload {
        self.link.clone()
    }

    /// Begins to work.
    pub(super) fn begin(self) -> Working {
        let stop = CancellationToken::new();
        let task = tokio::spawn(self.keep_working(stop.clone()));
        Working { stop, task }
    }

    /// Works until `stop` is cancelled. True when it ended in order.
    async fn keep_working(self, stop: CancellationToken) -> bool {
        let Self { recipe, mut service, link } = self;
        loop {
            let ended = tokio::spawn(service.run(stop.clone())).await;
            if stop.is_cancelled() {
                return ended.unwrap_or(false);
            }
            let why = ended.err().map(|error| error.to_string()).unwrap_or_default();
            error!(why, "registration and forwarding broke down and are started anew; reception goes on");
            service = loop {
                tokio::select! {
                    () = stop.cancelled() => return false,
                    () = tokio::time::sleep(PAUSE) => {}
                }
                match recipe.clone().make().await {
                    Ok(service) => break service,
                    Err(error) => {
                        error!(error = format!("{error:#}"), "registration and forwarding cannot be started");
                    }
                }
            };
            link.replace(service.handle());
            info!("registration and forwarding work again");
        }
    }
}

impl Working {
    /// Tells it to stop and waits, not for ever. True when it ended in order.
    pub(super) async fn end(self) -> bool {
        self.stop.cancel();
        let mut task = self.task;
        match tokio::time::timeout(PATIENCE, &mut task).await {
            Ok(Ok(clean)) => clean,
            Ok(Err(error)) => {
                error!(%error, "the forwarder ended badly");
                false
            }
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                warn!(
                    seconds,
                    "the forwarder did not end in time and is left; what was under way is sent again later"
                );
                task.abort();
                false
            }
        }
    }

    /// Works until `stop` is cancelled, then ends as [`Self::end`].
    pub(super) async fn until(self, stop: CancellationToken) -> bool {
        stop.cancelled().await;
        self.end().await
    }
}
