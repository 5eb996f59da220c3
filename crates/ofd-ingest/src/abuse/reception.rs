//! The table at its place: asked before a sign is looked at, told what came of it. In mode `required` only; in the
//! others nobody is refused for a sign, so nothing is remembered either.

use std::net::IpAddr;
use std::time::Duration;

use ffd::FnNumber;
use jiff::Timestamp;
use pkz::SignMode;
use tokio_util::sync::CancellationToken;

use super::Penalty;
use crate::clock;
use crate::ingest::Intake;

/// How often the gauge of refused pairs is set.
const GAUGE_INTERVAL: Duration = Duration::from_secs(5);

impl Intake {
    /// Whether a message may be looked at. `fn_number` is that of the session header; a container of another ФН is
    /// refused before its sign, too.
    pub(crate) fn penalty(&self, address: IpAddr, fn_number: FnNumber) -> Result<(), Penalty> {
        if self.policy.sign_mode != SignMode::Required {
            return Ok(());
        }
        // An ФН whose contract is stopped is no made-up one either, so it does not matter what time it is.
        let standing = self.facts.standing(&fn_number, Timestamp::MIN).standing;
        self.abuse.check(address, fn_number, standing, clock::monotonic_now())
    }

    /// A message was refused by [`Self::penalty`].
    pub(crate) fn refuse_unseen(&self, penalty: Penalty) {
        self.metrics.defence.refused(penalty);
        self.warn_limited(penalty.reason(), &"too many wrong signs: refused without a look");
    }

    /// A message was found to have a wrong sign.
    pub(crate) fn count_invalid(&self, address: IpAddr, fn_number: FnNumber) {
        let now = clock::monotonic_now();
        if let Some(refused_for) = self.abuse.invalid(address, fn_number, now) {
            self.metrics.defence.refused_pairs.increment(1);
            let seconds = refused_for.as_secs();
            self.warn_limited("pair_penalty", &format_args!("wrong signs in a row: refused for {seconds} s"));
        }
    }

    /// A document that is new in the journal had a valid sign.
    pub(crate) fn count_valid(&self, address: IpAddr, fn_number: FnNumber) {
        if self.policy.sign_mode == SignMode::Required {
            self.abuse.valid(address, fn_number, clock::monotonic_now());
        }
    }

    /// Keeps the gauge of refused pairs right until `stop` is cancelled. Cancellation-safe.
    pub(crate) async fn show_refused_pairs(&self, stop: &CancellationToken) {
        let mut interval = tokio::time::interval(GAUGE_INTERVAL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {
                    let pairs = self.abuse.refused_pairs(clock::monotonic_now());
                    self.metrics.defence.refused_pairs.set(u32::try_from(pairs).unwrap_or(u32::MAX));
                }
            }
        }
    }
}
