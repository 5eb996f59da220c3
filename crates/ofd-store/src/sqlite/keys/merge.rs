//! Several sorted runs as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Key, Run};

/// Runs that are given out in the order of their keys. What is taken counts only when it is confirmed.
#[derive(Debug, Default)]
pub(super) struct Merge {
    runs: Vec<Run>,
    /// The next key of each run, with the number of the run and its place in it.
    next: BinaryHeap<Reverse<(Key, usize, usize)>>,
    taken: Vec<Key>,
    left: usize,
}

impl Merge {
    pub(super) fn of(runs: Vec<Run>) -> Self {
        let next = runs.iter().enumerate().filter_map(|(run, keys)| Some(Reverse((*keys.first()?, run, 0))));
        let (next, left) = (next.collect(), runs.iter().map(Vec::len).sum());
        Self { runs, next, taken: Vec::new(), left }
    }

    /// All keys of all runs, those confirmed too.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// Keys that are not confirmed.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next keys: at least those that were taken before and not confirmed.
    pub(super) fn take(&mut self, most: usize) -> &[Key] {
        while self.taken.len() < most
            && let Some(Reverse((key, run, at))) = self.next.pop()
        {
            self.taken.push(key);
            let after = at.saturating_add(1);
            if let Some(next) = self.runs.get(run).and_then(|keys| keys.get(after)) {
                self.next.push(Reverse((*next, run, after)));
            }
        }
        &self.taken
    }

    /// What was taken is done.
    pub(super) fn confirm(&mut self) {
        self.left = self.left.saturating_sub(self.taken.len());
        self.taken.clear();
        if self.left == 0 {
            *self = Self::default();
        }
    }
}
