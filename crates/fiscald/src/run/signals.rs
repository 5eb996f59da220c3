//! Signals: the first SIGTERM or SIGINT stops gently, the second at once, SIGHUP reads the keys anew.

use std::sync::Arc;

use anyhow::{Context, Result};
use ofd_ingest::ReceptionState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

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
    /// `keys` are what SIGHUP reads anew, and the reception that uses them.
    pub(crate) async fn watch(
        mut self,
        stop: CancellationToken,
        keys: Option<(Device, Arc<ReceptionState>)>,
    ) {
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
                Asked::Reload => reload(keys.as_ref()),
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

fn reload(keys: Option<&(Device, Arc<ReceptionState>)>) {
    let Some((device, reception)) = keys else {
        info!("SIGHUP: there are no key files to read anew");
        return;
    };
    match device.reload() {
        Ok(true) => {
            // Registers whose keys were missing until now sent signs that looked wrong.
            reception.forget_penalties();
            info!(keys = device.describe(), "key files were read anew, penalties for wrong signs are over");
        }
        Ok(false) => info!("SIGHUP: there are no key files to read anew"),
        Err(error) => {
            error!(error = format!("{error:#}"), "the key files are not right, the old keys stay in use");
        }
    }
}
