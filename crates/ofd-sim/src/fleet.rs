//! What all registers of a run share: the range of their ФН numbers, the clock of their tills, the draw who
//! encrypts.

use ffd::FnNumber;
use jiff::Timestamp;

use crate::rng::Rng;

/// Clock of the tills against UTC: all shops are in Moscow time.
const MOSCOW_OFFSET_S: i64 = 3 * 3600;
/// Sets the draw of encryption apart from the other draws of a seed.
const ENCRYPTION_SALT: u64 = 0x1056;

/// A ФН number past twelve digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ФН number 9999 and {0} does not fit 16 digits")]
pub(crate) struct OutOfRange(pub(crate) u64);

/// The debug ФН number 9999 followed by `number` on 12 digits.
///
/// # Errors
/// [`OutOfRange`] past 12 digits.
pub(crate) fn debug_fn(number: u64) -> Result<FnNumber, OutOfRange> {
    let text = format!("9999{number:012}");
    FnNumber::from_padded(text.as_bytes()).map_err(|_| OutOfRange(number))
}

/// The number of a storage that is not for tests, as far as an operator can see: 9280 followed by `number`.
///
/// # Errors
/// [`OutOfRange`] past 12 digits.
pub(crate) fn genuine_fn(number: u64) -> Result<FnNumber, OutOfRange> {
    let text = format!("9280{number:012}");
    FnNumber::from_padded(text.as_bytes()).map_err(|_| OutOfRange(number))
}

/// A first ФН number that differs from run to run: ten numbers for each millisecond of the clock, on 12
/// digits, so it comes round after three years. Runs of more registers than that may overlap when one
/// begins within a second of another; they say `--base`.
pub(crate) fn fresh_fn_base() -> u64 {
    let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    // Room for a million registers above the number.
    millis.wrapping_mul(10) % 999_999_000_000
}

/// What a till shows now, as tag 1012 has it.
pub(crate) fn till_clock_now() -> u32 {
    till_clock(Timestamp::now()).unwrap_or(u32::MAX)
}

/// What a till shows at `moment`, as tag 1012 has it; nothing outside 1970 to 2106.
pub(crate) fn till_clock(moment: Timestamp) -> Option<u32> {
    u32::try_from(moment.as_second().saturating_add(MOSCOW_OFFSET_S)).ok()
}

/// Whether the `index`-th register of a run encrypts, so that about `percent` of 100 do. Not drawn from the
/// ФН number: the same seed has the same mix in every range of numbers.
pub(crate) fn encrypts(seed: u64, index: u32, percent: u8) -> bool {
    Rng::split(seed ^ ENCRYPTION_SALT, u64::from(index)).percent(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fn_ranges_stay_within_twelve_digits() {
        assert_eq!(debug_fn(42).unwrap().as_str(), "9999000000000042");
        assert!(debug_fn(fresh_fn_base() + 1_000_000).is_ok());
        assert_eq!(debug_fn(1_000_000_000_000), Err(OutOfRange(1_000_000_000_000)));
    }

    #[test]
    fn tills_show_moscow_time() {
        let check = |moment: &str, expected| assert_eq!(till_clock(moment.parse().unwrap()), expected);
        check("1970-01-01T00:00:00Z", Some(10_800));
        check("2026-03-01T08:00:00+03:00", Some(1_772_352_000));
        check("2026-03-01T05:00:00Z", Some(1_772_352_000));
        check("1969-12-31T20:59:59Z", None);
        check("2106-02-07T03:28:16Z", None);
    }

    #[test]
    fn the_share_that_encrypts_is_kept_and_small_runs_are_mixed() {
        for seed in [1, 7] {
            let mix: Vec<bool> = (0..6).map(|index| encrypts(seed, index, 33)).collect();
            assert!(mix.contains(&true) && mix.contains(&false), "seed {seed}: {mix:?}");
        }
        let many = (0..10_000).filter(|index| encrypts(3, *index, 33)).count();
        assert!((3_100..3_500).contains(&many), "{many}");
        assert!((0..100).all(|index| !encrypts(3, index, 0) && encrypts(3, index, 100)));
    }
}
