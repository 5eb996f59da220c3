//! Honest registers living one day, compressed: registration, shift, receipts, a refund, a correction, one
//! lost connection, one deliberate repeat, shift close.
//!
//! A day that ends now has no document in the future, and its shift stays within 20 hours of till time.
//!
//! Used by `kkt-sim live` and by the daemon's `demo`. Prints nothing: counts go to [`LiveProgress`].

mod options;
mod progress;
mod register;

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use options::documents_of_day;
pub use options::{Connections, FfdMix, LiveOptions};
pub use progress::{LiveCounts, LiveProgress, LiveReport, RegisterReport};

/// Runs all registers to the end of their day, or until `token` is cancelled.
///
/// Cancelling is clean: every register abandons the exchange under way (a real one would repeat it later),
/// and the report has the counts so far with `cancelled` set.
pub async fn run(options: LiveOptions, progress: Arc<LiveProgress>, token: CancellationToken) -> LiveReport {
    let started = Instant::now();
    let options = Arc::new(options);
    let mut running = JoinSet::new();
    for index in 0..options.registers {
        let (options, progress, token) = (Arc::clone(&options), Arc::clone(&progress), token.clone());
        running.spawn(
            async move { (index, Box::pin(register::live(&options, index, &progress, &token)).await) },
        );
    }
    let mut registers = Vec::with_capacity(running.len());
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok(report) => registers.push(report),
            Err(error) => tracing::error!(%error, "a simulated register died"),
        }
    }
    registers.sort_by_key(|(index, _)| *index);
    LiveReport {
        counts: progress.snapshot(),
        seconds: started.elapsed().as_secs_f64(),
        cancelled: token.is_cancelled(),
        registers: registers.into_iter().map(|(_, report)| report).collect(),
    }
}

#[cfg(test)]
mod tests;
