//! The running service: its threads, its workers, its end.
//!
//! Two OS threads own the store's connections (blocking, at ordinary priority, since whoever has the store's turn must not
//! be kept waiting for the processor); one more, at a lower priority, runs everything else on a runtime of its own: JSON,
//! compression, TLS, timers. Reception comes first. Channels between them are bounded.

pub(crate) mod care;
pub(crate) mod registrar;
pub(crate) mod remarks;
pub(crate) mod store_thread;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ffd::ids::Inn;
use ofd_store::{Forwarding, Registry, Store, StoreError};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle as Task;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::care::Certificates;
use self::registrar::Registrar;
use self::remarks::Remarks;
use self::store_thread::StoreThread;
use crate::client::{HttpTaxService, TaxService};
use crate::config::FnsConfig;
use crate::error::FnsError;
use crate::forwarder::body::Envelope;
use crate::forwarder::driver::Driver;
use crate::metrics::Metrics;
use crate::registration::RegistrationConfig;

/// How much the thread of the service gives way to others.
const NICENESS: i32 = 10;
/// How long the runtime waits for what cannot be called off.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);

/// What a service is made of.
#[derive(Debug, Clone)]
pub struct FnsParts {
    /// Section `[fns]`, valid. Without `url` nothing is sent; registers are followed all the same.
    pub config: FnsConfig,
    /// Periods of section `[registration]`.
    pub registration: RegistrationConfig,
    /// Our INN, for the envelope of batches.
    pub operator_inn: Inn,
    /// Where the journal lies.
    pub stores: FnsStores,
}

/// How connections to the store are made, at the start and after a failure.
#[derive(Debug, Clone)]
pub struct FnsStores(How);

#[derive(Clone)]
enum How {
    /// Beside the journal of this process: writers take turns.
    Beside(Arc<Store>),
    /// A process of its own (`serve --only fns`): waits politely for the one that receives.
    Alone(String),
}

impl FnsStores {
    /// In the process that owns the journal. The store must outlive the service: wait for [`FnsService::run`] before
    /// closing it.
    pub fn beside(store: Arc<Store>) -> Self {
        Self(How::Beside(store))
    }

    /// In a process without a journal, by the address of the store (`sqlite:PATH`).
    pub fn alone(url: impl Into<String>) -> Self {
        Self(How::Alone(url.into()))
    }

    fn forwarding(&self) -> Result<Forwarding, StoreError> {
        match &self.0 {
            How::Beside(store) => store.forwarding(),
            How::Alone(url) => Forwarding::open(url),
        }
    }

    fn registry(&self) -> Result<Registry, StoreError> {
        match &self.0 {
            How::Beside(store) => store.registry(),
            How::Alone(url) => Registry::open(url),
        }
    }
}

impl fmt::Debug for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beside(_) => "beside the journal",
            Self::Alone(_) => "alone",
        })
    }
}

/// A service whose files and connections are open; it works from [`FnsService::run`] on.
pub struct FnsService {
    driver: Driver,
    registrar: Registrar,
    certificates: Option<Certificates>,
    handle: FnsHandle,
    threads: Vec<JoinHandle<()>>,
}

/// Tells a running service something, or asks it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FnsHandle {
    reload: Arc<Notify>,
    remarks: Arc<Remarks>,
    files: Vec<PathBuf>,
}

impl FnsHandle {
    /// Reads the certificates anew (SIGHUP). What cannot be used is said in the log; the old ones stay in use then.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// What an operator should know, in a sentence: sending stopped by a refused certificate, a store that fails, a tax
    /// service that cannot be reached, a certificate that ends. Nothing when all is well. No reason to stop reception.
    pub fn trouble(&self) -> Option<String> {
        self.remarks.line()
    }

    /// The files of the certificates: the service looks at them itself and reads them anew when they change.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}

impl FnsService {
    /// Reads the certificates, opens the connections to the store, registers the metrics with the recorder that is current.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    /// [`FnsError`]: a setting, a certificate file, the store.
    pub fn start(parts: FnsParts) -> Result<Self, FnsError> {
        if let Some(problem) = parts.config.validate().into_iter().next() {
            return Err(FnsError::Config(problem));
        }
        let link = HttpTaxService::new(&parts.config)?.map(Arc::new);
        let certificates = match &link {
            Some(link) => Certificates::new(&parts.config, Arc::clone(link))?,
            None => None,
        };
        let tax = link.map(|link| link as Arc<dyn TaxService>);
        Self::assemble(parts, tax, certificates)
    }

    /// As [`Self::start`], with another link than HTTP; the settings need no `url` then.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_tax_service(parts: FnsParts, tax: Arc<dyn TaxService>) -> Result<Self, FnsError> {
        Self::assemble(parts, Some(tax), None)
    }

    fn assemble(
        parts: FnsParts,
        tax: Option<Arc<dyn TaxService>>,
        certificates: Option<Certificates>,
    ) -> Result<Self, FnsError> {
        let FnsParts { config, registration, operator_inn, stores } = parts;
        let metrics = Arc::new(Metrics::new());
        let remarks = Arc::new(Remarks::default());
        let reload = Arc::new(Notify::new());
        let (again, first) = (stores.clone(), stores.forwarding()?);
        let (store, sending) = StoreThread::start("fns-outbox", first, Arc::new(move || again.forwarding()))?;
        let (again, first) = (stores.clone(), stores.registry()?);
        let (registry, following) =
            StoreThread::start("fns-registry", first, Arc::new(move || again.registry()))?;
        let (leased, lease) = watch::channel(None);
        let files = certificates.as_ref().map(Certificates::files).unwrap_or_default();
        let registrar = Registrar {
            config: Arc::new(config.clone()),
            periods: Arc::new(registration),
            registry,
            forwarding: store.clone(),
            tax: tax.clone(),
            lease,
            metrics: Arc::clone(&metrics),
            remarks: Arc::clone(&remarks),
            reloaded: Arc::new(Notify::new()),
            shared: Arc::default(),
        };
        let driver = Driver {
            envelope: Envelope { ofd_inn: operator_inn, max_bytes: config.batch_bytes },
            config,
            tax,
            store,
            metrics,
            registrar: leased,
            reloaded: Arc::new(Notify::new()),
            remarks: Arc::clone(&remarks),
        };
        let handle = FnsHandle { reload, remarks, files };
        Ok(Self { driver, registrar, certificates, handle, threads: vec![sending, following] })
    }

    /// A handle.
    pub fn handle(&self) -> FnsHandle {
        self.handle.clone()
    }

    /// Works until `stop` is cancelled: then nothing new is sent, requests under way get their time, results are
    /// recorded, leases given back, the store's connections closed. True when all of that was done.
    ///
    /// Not cancellation-safe: dropped, the service goes on until `stop` is cancelled, and nobody knows how it ended.
    pub async fn run(self, stop: CancellationToken) -> bool {
        let (ended, end) = oneshot::channel();
        let thread = std::thread::Builder::new().name("fns".to_owned()).spawn(move || {
            // Whoever waited has gone when it cannot be told.
            let _ = ended.send(self.work(stop));
        });
        match thread {
            Ok(_) => end.await.unwrap_or(false),
            Err(error) => {
                error!(%error, "the system gives no thread for the link with the tax service");
                false
            }
        }
    }

    /// The whole life of the service, on its own thread.
    fn work(self, asked: CancellationToken) -> bool {
        // When a part breaks down the others end too.
        let stop = asked.child_token();
        let Self { driver, registrar, certificates, handle, threads } = self;
        give_way();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                error!(%error, "no runtime for the link with the tax service");
                return false;
            }
        };
        if driver.tax.is_none() {
            info!("no tax service is configured: registers are followed, nothing is sent");
        }
        let clean = runtime.block_on(async {
            let helpers = CancellationToken::new();
            let care = certificates.map(|certificates| {
                let reloaded = [Arc::clone(&driver.reloaded), Arc::clone(&registrar.reloaded)];
                let helpers = helpers.clone();
                let (metrics, handle) = (Arc::clone(&driver.metrics), handle.clone());
                tokio::spawn(certificates.care(handle.reload, reloaded, metrics, handle.remarks, helpers))
            });
            let registrar = tokio::spawn(registrar.run(stop.clone()));
            let driver = tokio::spawn(driver.run(stop.clone()));
            let clean = together(driver, registrar, &stop).await;
            helpers.cancel();
            if let Some(care) = care {
                // Nothing depends on how it ends.
                let _ = care.await;
            }
            clean
        });
        // The threads of the store end when nobody can call them any more. A name that is being looked up is not waited for.
        runtime.shutdown_timeout(SHUTDOWN_PATIENCE);
        clean & threads.into_iter().all(|thread| thread.join().is_ok())
    }
}

/// Waits for both parts; one that ends before it was asked to ends the other. True when both ended in order.
async fn together(mut driver: Task<bool>, mut registrar: Task<()>, stop: &CancellationToken) -> bool {
    let (sent, registered) = tokio::select! {
        sent = &mut driver => {
            broke_down("forwarding", stop);
            (sent, registrar.await)
        }
        registered = &mut registrar => {
            broke_down("registration", stop);
            (driver.await, registered)
        }
    };
    let words = [sent.as_ref().err(), registered.as_ref().err()];
    for error in words.into_iter().flatten() {
        error!(%error, "a part of the link with the tax service broke down");
    }
    sent.unwrap_or(false) && registered.is_ok()
}

fn broke_down(part: &str, stop: &CancellationToken) {
    if !stop.is_cancelled() {
        error!(
            part,
            "a part of the link with the tax service has ended by itself; the whole is to be started anew"
        );
        stop.cancel();
    }
}

/// Only this thread: in Linux a thread has a niceness of its own, and threads it starts have the same.
fn give_way() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
        warn!(%error, "the link with the tax service runs at the priority of reception");
    }
}

#[cfg(test)]
mod tests;
