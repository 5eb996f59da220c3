//! The pause before the next attempt: full jitter, growing (B4).

use std::time::Duration;

/// How pauses grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Upper bound of the first pause.
    pub(crate) base: Duration,
    /// Upper bound of every pause.
    pub(crate) cap: Duration,
}

impl Backoff {
    /// A pause after `failures` failures (1 for the first), drawn by `random` (uniform over all of u64) between nothing
    /// and `min(cap, base * 2^(failures - 1))`; never shorter than `at_least`, which the service asked for.
    pub(crate) fn pause(self, failures: u32, random: u64, at_least: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(63);
        let bound = u128::from(millis(self.base)) << doublings;
        let bound = bound.min(u128::from(millis(self.cap)));
        let drawn = (u128::from(random) * (bound + 1)) >> 64;
        let pause = Duration::from_millis(u64::try_from(drawn).unwrap_or(u64::MAX));
        pause.max(at_least.unwrap_or_default())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(300) };
        let check = |failures: u32, random: u64, at_least: Option<u64>, expected_ms: u64| {
            let pause = backoff.pause(failures, random, at_least.map(Duration::from_secs));
            assert_eq!(pause, Duration::from_millis(expected_ms), "{failures} {random} {at_least:?}");
        };
        check(1, 0, None, 0);
        check(1, u64::MAX, None, 1_000);
        check(1, u64::MAX / 2, None, 500);
        check(2, u64::MAX, None, 2_000);
        check(5, u64::MAX, None, 16_000);
        check(9, u64::MAX, None, 256_000);
        check(10, u64::MAX, None, 300_000);
        check(u32::MAX, u64::MAX, None, 300_000);
        check(u32::MAX, 0, None, 0);
        check(0, u64::MAX, None, 1_000);
        check(1, 0, Some(7), 7_000);
        check(9, u64::MAX, Some(7), 256_000);
        // The service may ask for more than our own bound.
        check(1, 0, Some(3_600), 3_600_000);
    }
}
