//! Honest registers living compressed lives over real sockets: a day (registration, shift, receipts, refunds, a
//! correction, closing) or many of them, with one lost connection and one deliberate repeat each.
//!
//! A life that ends now has no document in the future, and its shifts stay within 20 hours of till time. What
//! happens on which day is `life`'s.
//!
//! Registers may be told to make faults ([`Faults`], `--faults`): then each spoiled document must get the code that its
//! rule weighs, 14 or 0, and every other one 0.
//!
//! Used by `kkt-sim live` and by the daemon's `demo`. Prints nothing: counts go to [`LiveProgress`].

mod mix;
mod options;
mod planned;
mod progress;
mod register;

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crate::faults::Faults;
pub use mix::{FfdMix, TradeMix, ZoneMix};
pub use options::{Connections, LiveOptions};
pub use planned::PlannedRegister;
pub use progress::{LiveCounts, LiveProgress, LiveReport, RegisterReport, SpoiledDocument};

/// Runs all registers to the end of their lives, or until `token` is cancelled.
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
        registers: registers.into_iter().flat_map(|(_, reports)| reports).collect(),
    }
}

#[cfg(test)]
mod tests;
