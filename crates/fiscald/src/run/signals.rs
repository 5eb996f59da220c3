//! Signals: the first SIGTERM or SIGINT stops gently, the second at once, SIGHUP reads keys and certificates anew.

use std::sync::Arc;

use anyhow::{Context, Result};
use ofd_ingest::ReceptionState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::LinkReload;
use super::keys::Device;

/// Exit code of a process that was not given the time to end in order.
const ENDED_AT_ONCE: i32 = 1;

/// The signals of this process. Made before the ports open, so that none is lost.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
enum Asked {
    Stop(&'static str),
    Reload,
}

impl Signals {
    /// # Errors
    /// The system refuses to hand over a signal.
    pub(crate) fn take() -> Result<Self> {
        let one = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: one(SignalKind::terminate())?,
            interrupt: one(SignalKind::interrupt())?,
            hang_up: one(SignalKind::hangup())?,
        })
    }

    /// Cancels `stop` on the first signal to stop and ends the process on the second. Runs until the process ends.
    /// `reloads` is what SIGHUP reads anew.
    pub(crate) async fn watch(mut self, stop: CancellationToken, reloads: Reloads) {
        loop {
            match self.next().await {
                Asked::Stop(signal) if stop.is_cancelled() => {
                    warn!(signal, "second signal, ending at once");
                    std::process::exit(ENDED_AT_ONCE);
                }
                Asked::Stop(signal) => {
                    info!(signal, "stopping: finishing what was started; a second signal ends at once");
                    stop.cancel();
                }
                Asked::Reload => reloads.reload(),
            }
        }
    }

    /// Cancellation-safe: a signal is taken only when it is returned.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

/// What SIGHUP reads anew.
#[derive(Clone, Default)]
pub(crate) struct Reloads {
    /// The keys, and the reception that uses them.
    pub(crate) keys: Option<(Device, Arc<ReceptionState>)>,
    /// The certificates of the tax service.
    pub(crate) link: Option<LinkReload>,
}

impl Reloads {
    /// Each for itself: a wrong certificate must not keep new keys from being used, nor the other way round.
    fn reload(&self) {
        let keys = self.keys.as_ref().is_some_and(reload_keys);
        let certificates = self.link.as_ref().is_some_and(LinkReload::reload);
        if !keys && !certificates {
            info!("SIGHUP: there are neither key files nor certificates to read anew");
        }
    }
}

/// False: there are no files.
fn reload_keys((device, reception): &(Device, Arc<ReceptionState>)) -> bool {
    match device.reload() {
        Ok(true) => {
            // Registers whose keys were missing until now sent signs that looked wrong.
            reception.forget_penalties();
            info!(keys = device.describe(), "key files were read anew, penalties for wrong signs are over");
        }
        Ok(false) => return false,
        Err(error) => {
            error!(error = format!("{error:#}"), "the key files are not right, the old keys stay in use");
        }
    }
    true
}
