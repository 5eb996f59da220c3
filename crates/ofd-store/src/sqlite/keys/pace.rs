//! How much of the work is done when.

use std::time::Duration;

use super::Keys;
use super::tables::MAX_RUNS;

/// Tests do not depend on the time.
const NEVER: Duration = Duration::from_secs(3600);

/// How far the tables may stay behind, and in what steps they follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Keys of a run.
    pub(super) run_keys: usize,
    /// Keys that are gathered before they are merged.
    pub(super) window_keys: usize,
    /// Keys merged at least, and between two batches at most, in one step.
    pub(super) step_keys: (usize, usize),
    /// Without a batch for so long, the rest is worked off.
    pub(super) quiet: Duration,
    /// How long a row may be in no table.
    pub(super) longest_fresh: Duration,
    /// How long a key may wait before its merge begins.
    pub(super) longest_gathered: Duration,
    /// Rows that came since the last step.
    rows: usize,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) fresh: Fresh,
    pub(super) merge: usize,
    /// When nothing is left to merge: what is gathered comes next.
    pub(super) turn: bool,
}

/// What is to be done with rows that are in no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fresh {
    #[default]
    Leave,
    /// One more run.
    Run,
    /// Straight to their places.
    Place,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            run_keys: 2048,
            window_keys: 1 << 18,
            step_keys: (512, 8192),
            quiet: Duration::from_millis(250),
            longest_fresh: if cfg!(test) { NEVER } else { Duration::from_secs(1) },
            longest_gathered: if cfg!(test) { NEVER } else { Duration::from_secs(60) },
            rows: 0,
        }
    }
}

impl Pace {
    /// Steps as a test wants them, and nothing that depends on the time.
    #[cfg(test)]
    pub(in crate::sqlite) fn of(
        run_keys: usize,
        window_keys: usize,
        step_keys: (usize, usize),
        quiet: Duration,
    ) -> Self {
        Self {
            run_keys,
            window_keys,
            step_keys,
            quiet,
            longest_fresh: NEVER,
            longest_gathered: NEVER,
            rows: 0,
        }
    }

    pub(super) fn appended(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(usize::try_from(rows).unwrap_or(usize::MAX));
    }
}

impl Keys {
    /// What is to be done between two batches.
    ///
    /// While there is something to merge, it is merged as fast as rows come, so that it is done when the next window is
    /// full: the work is spread evenly, and a register never waits for a large piece of it.
    pub(super) fn between_batches(&mut self) -> Plan {
        let is_older =
            |since: Option<std::time::Instant>, than| since.is_some_and(|since| since.elapsed() >= than);
        let fresh_is_due =
            self.fresh.len() >= self.pace.run_keys || is_older(self.times.fresh, self.pace.longest_fresh);
        let runs = self.state.runs(self.state.gathering);
        let gathered: usize = self.gathered.iter().map(Vec::len).sum();
        let is_full = gathered >= self.pace.window_keys || runs >= MAX_RUNS / 2;
        let (least, most) = self.pace.step_keys;
        // Small batches wait for each other: a step has a price of its own.
        let rows = if self.pace.rows < least { 0 } else { std::mem::take(&mut self.pace.rows) };
        let merge = match self.merge.left() {
            left if runs >= MAX_RUNS / 4 * 3 || gathered >= self.pace.window_keys.saturating_mul(2) => left,
            0 => 0,
            _ if rows == 0 => 0,
            left => {
                let room = self.pace.window_keys.saturating_sub(gathered).max(1);
                rows.saturating_mul(left).div_ceil(room).clamp(least, most)
            }
        };
        Plan {
            fresh: if fresh_is_due && runs < MAX_RUNS { Fresh::Run } else { Fresh::Leave },
            merge,
            turn: is_full || is_older(self.times.gathered, self.pace.longest_gathered),
        }
    }

    /// What is to be done while no batch comes; nothing when one came just now.
    pub(super) fn in_a_pause(&self, at_once: bool) -> Option<Plan> {
        if !at_once && self.times.batch.is_some_and(|batch| batch.elapsed() < self.pace.quiet) {
            return None;
        }
        let (_, most) = self.pace.step_keys;
        if !self.merge.is_empty() {
            return Some(Plan { merge: most / 4, ..Plan::default() });
        }
        if !self.gathered.is_empty() {
            return Some(Plan { turn: true, ..Plan::default() });
        }
        (!self.fresh.is_empty()).then_some(Plan { fresh: Fresh::Place, ..Plan::default() })
    }
}
