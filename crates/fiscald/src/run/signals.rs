//! Signals: the first SIGTERM or SIGINT stops gently, the second at once, SIGHUP reads the keys anew.

use anyhow::{Context, Result};
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
    pub(crate) async fn watch(mut self, stop: CancellationToken, device: Option<Device>) {
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
                Asked::Reload => reload(device.as_ref()),
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

fn reload(device: Option<&Device>) {
    match device.map(Device::reload) {
        Some(Ok(true)) => {
            let keys = device.map(Device::describe).unwrap_or_default();
            info!(keys, "key files were read anew");
        }
        Some(Ok(false)) | None => info!("SIGHUP: there are no key files to read anew"),
        Some(Err(error)) => {
            error!(error = format!("{error:#}"), "the key files are not right, the old keys stay in use");
        }
    }
}
