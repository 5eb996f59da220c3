//! The one place of this crate that reads the time.

use std::time::Instant;

use jiff::Timestamp;

/// A clock that shows less than this is wrong: it is older than the program itself (2025-01-01T00:00:00Z).
const EARLIEST_CREDIBLE_S: i64 = 1_735_689_600;

/// UTC time of reception in the two shapes that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For the journal.
    pub(crate) timestamp: Timestamp,
    /// For tag 1012 of the acknowledgement: seconds since 1970, UTC.
    pub(crate) unix_s: u32,
}

/// The time now, or nothing when the clock cannot be trusted: an acknowledgement with a wrong 1012 stays in the ФН
/// for five years, so silence is better. A computer without a battery starts in 1970.
pub(crate) fn trusted_now() -> Option<Moment> {
    trusted(Timestamp::now())
}

fn trusted(timestamp: Timestamp) -> Option<Moment> {
    let seconds = timestamp.as_second();
    let unix_s = u32::try_from(seconds).ok()?;
    (seconds >= EARLIEST_CREDIBLE_S).then_some(Moment { timestamp, unix_s })
}

/// Time for time-outs and for stage costs.
pub(crate) fn monotonic_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(second: i64, expected: Option<u32>) {
        let moment = trusted(Timestamp::from_second(second).unwrap());
        assert_eq!(moment.map(|moment| moment.unix_s), expected, "second {second}");
    }

    #[test]
    fn a_clock_of_another_age_is_not_trusted() {
        check(0, None);
        check(EARLIEST_CREDIBLE_S - 1, None);
        check(EARLIEST_CREDIBLE_S, Some(1_735_689_600));
        check(i64::from(u32::MAX), Some(u32::MAX));
        check(i64::from(u32::MAX) + 1, None);
    }
}
