//! Randomness that can be had again: every random test says its seed, and takes it from `FISCALD_TEST_SEED`.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that follow from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    /// The seed of the environment, else a new one; says which on stderr, where a failed test shows it.
    pub fn announced(test: &str) -> Self {
        let told = std::env::var("FISCALD_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = told.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_secs() ^ u64::from(now.subsec_nanos()) << 20
        });
        eprintln!("{test}: seed {seed} (FISCALD_TEST_SEED={seed} repeats it)");
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    /// So many bytes of rubbish.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A number of the range, which is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.draw() % (range.end - range.start)
    }
}

/// How much of something a long run asks for: the number in the environment, else the short run's.
pub fn asked_for(variable: &str, short: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(short, |text| text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}
