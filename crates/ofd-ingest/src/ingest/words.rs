//! What is counted and told of messages that are not taken. A stranger can send as many as it likes, so the log has a
//! limit of its own; the counters have none.

use std::fmt::Display;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Intake;
use crate::clock;
use crate::decision::Refusal;

/// How long a reason must be quiet before the lines left out of the log are told without it.
const LEFT_OUT_AFTER: Duration = Duration::from_secs(5);

impl Intake {
    /// Reserved bits in the flags of a session header are no reason to refuse a till that works.
    pub(crate) fn note_reserved_bits(&self, bits: u16) {
        self.warn_limited(
            "reserved_flags",
            &format_args!("reserved bits {bits:#06x} in the session header, ignored"),
        );
    }

    /// A message that nothing could be decided about.
    pub(crate) fn reject(&self, reason: &'static str, detail: &dyn Display) {
        self.metrics.rejected(reason);
        self.warn_limited(reason, detail);
    }

    /// The same when it will not pass by itself: a person has to act.
    pub(super) fn fail(&self, reason: &'static str, detail: &dyn Display) {
        self.metrics.rejected(reason);
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            error!(reason, left_out, "{detail}");
        }
    }

    pub(super) fn refuse(&self, refusal: Refusal, consequence: &'static str) {
        self.metrics.refused(refusal);
        self.warn_limited(refusal.as_str(), &consequence);
    }

    /// Writes into the log what was counted there and not told, now and then until `stop` is cancelled.
    ///
    /// Cancellation-safe: nothing is in flight between two looks.
    pub(crate) async fn tell_left_out(&self, stop: &CancellationToken) {
        let mut interval = tokio::time::interval(LEFT_OUT_AFTER);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = interval.tick() => self.tell_left_out_since(LEFT_OUT_AFTER),
            }
        }
    }

    /// The same once, for reasons that were quiet for so long.
    pub(crate) fn tell_left_out_since(&self, age: Duration) {
        for (reason, left_out) in self.log_limiter.take_left_out(age, clock::monotonic_now()) {
            warn!(reason, left_out, "lines left out of the log");
        }
    }

    /// Peer and ФН are fields of the connection's span.
    pub(crate) fn warn_limited(&self, reason: &'static str, detail: &dyn Display) {
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            warn!(reason, left_out, "{detail}");
        }
    }
}
