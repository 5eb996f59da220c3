//! A shared histogram of latencies: log-linear buckets of microseconds, atomic, fixed size.
//!
//! 32 buckets for each power of two: a percentile is at most about 3 % too high, whatever the range. Own
//! code, because this is all that a load run needs of a histogram crate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SUB_BITS: u32 = 5;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
/// Values of 2^36 us (19 hours) and more share the last bucket.
const MAX_EXPONENT: u32 = 36;
const BUCKETS: usize = 1024;

/// Counts of latencies.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<AtomicU64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(index_of(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets them all.
    pub(crate) fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    /// How many latencies were counted.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The latency in microseconds that `per_mille` of 1000 do not exceed, as the upper end of its bucket;
    /// 0 when nothing was counted.
    #[must_use]
    pub(crate) fn per_mille(&self, per_mille: u64) -> u64 {
        let total = self.count();
        let rank = (u128::from(total) * u128::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += u128::from(bucket.load(Ordering::Relaxed));
            if seen >= rank {
                return upper_end(index);
            }
        }
        0
    }
}

/// Buckets below 32 us are exact; above, the five bits after the leading one choose the bucket.
fn index_of(micros: u64) -> usize {
    let capped = micros.min((1 << MAX_EXPONENT) - 1);
    let exponent = (u64::BITS - capped.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let index = u64::from(exponent) * SUB_BUCKETS + (capped >> exponent);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

fn upper_end(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(0);
    if index < 2 * SUB_BUCKETS {
        return index;
    }
    let exponent = index / SUB_BUCKETS - 1;
    let step = index - exponent * SUB_BUCKETS;
    ((step + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_within_three_percent() {
        let mut last = 0;
        for micros in (0..5000).chain((1..100).map(|step| step * 777_777)).chain([u64::from(u32::MAX)]) {
            let end = upper_end(index_of(micros));
            assert!(end >= micros, "{micros} -> {end}");
            assert!(end - micros <= micros / 32 + 1, "{micros} -> {end}");
            if micros > last {
                assert!(index_of(micros) >= index_of(last));
                last = micros;
            }
        }
        assert!(index_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_of_known_latencies() {
        let histogram = Histogram::default();
        assert_eq!(histogram.per_mille(500), 0);
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 1000);
        let check = |per_mille, low, high| {
            let found = histogram.per_mille(per_mille);
            assert!((low..=high).contains(&found), "{per_mille}: {found}");
        };
        check(500, 500, 520);
        check(990, 990, 1023);
        check(999, 999, 1023);
        check(1000, 1000, 1023);
    }
}
