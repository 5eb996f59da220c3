//! Signals for commands that must take something back before they end.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Signals that ask for an end, taken over so that the unfinished file can be removed first.
pub(super) struct StopSignals {
    pub(super) stopped: CancellationToken,
    /// Listens in a thread of its own until it is dropped.
    _listener: Runtime,
}

impl StopSignals {
    pub(super) fn watch() -> Result<Self> {
        let listener = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .context("cannot listen to signals")?;
        let stopped = CancellationToken::new();
        // Not SIGHUP: who starts an export with `nohup` wants it to go on.
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let _context = listener.enter();
            let mut signals = signal(kind).context("cannot listen to signals")?;
            let stopped = stopped.clone();
            listener.spawn(async move {
                signals.recv().await;
                stopped.cancel();
            });
        }
        Ok(Self { stopped, _listener: listener })
    }
}
