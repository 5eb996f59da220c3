//! Where documents lie: tables that follow the journal, so that the way of a document touches nothing but its end.
//!
//! An index over (ФН, ФД) has every new document change a page of its own, anywhere in it; with ten thousand registers
//! that is a page a document to write twice, and the rate falls as the store grows. So the journal has no such index.
//! Its keys follow in large sorted steps, between batches, after the answers left:
//!
//! 1. The newest rows (some thousand) are in no table; they are known here, and a reader scans them.
//! 2. Their keys are sorted and written as a *run*: one sequential piece of a table. A reader looks into each run.
//! 3. When enough runs are gathered, they are merged into `journal_keys` in the order of their keys, so that the keys of
//!    one register fall into its page together, while new runs gather in the other of two tables.
//!
//! Every step is one transaction that moves `journal_keys_state` too: at any moment, after any crash, each row of the
//! journal is in exactly one of the three, and the view `journal_index` is all of them. The steps need no sync of their
//! own: what they write follows from the journal, lies in the log before the next batch, and is synced with it.
//!
//! In memory are the highest ФД number of each ФН, which makes an ordinary document new without a look-up, and the keys
//! that are not in `journal_keys` yet. Both are read back from the file whenever it is not as it was left.

pub(crate) mod check;
mod lag;
mod merge;
mod pace;
mod steps;
mod tables;

use std::collections::HashMap;
use std::time::Instant;

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) use self::lag::Lag;
use self::merge::Merge;
pub(super) use self::pace::Pace;
use self::tables::State;
use crate::sql;
use crate::tables::chains;

/// Highest numbers remembered, some 20 MiB; past it all are forgotten and looked up anew.
const MAX_HEADS: usize = if cfg!(test) { 8 } else { 1 << 19 };

pub(super) const FIRST: &str =
    "SELECT seq FROM journal_keys WHERE fn = ?1 AND fd = ?2 AND chain = 0 AND conflict_no = 0";
/// A step from the end, however many conflicts there are.
pub(super) const LAST_CONFLICT: &str = "SELECT conflict_no FROM journal_keys WHERE fn = ?1 AND fd = ?2 AND chain = ?3 \
     ORDER BY conflict_no DESC LIMIT 1";
const HIGHEST: &str = "SELECT fd FROM journal_keys WHERE fn = ?1 ORDER BY fd DESC LIMIT 1";
const NEWEST: &str =
    "SELECT (SELECT coalesce(max(seq), 0) FROM journal), version FROM journal_keys_state WHERE id = 1";

/// What is unique in the journal. The order is that of the tables: digits of a ФН sort as their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) fn_number: FnNumber,
    pub(super) fd: u32,
    pub(super) chain: u32,
    pub(super) conflict_no: u32,
}

/// A place and the position of its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) seq: i64,
}

/// Keys in order.
type Run = Vec<Key>;

/// What is known of the key tables, and of the rows that are not in them yet.
#[derive(Debug)]
pub(super) struct Keys {
    state: State,
    /// The newest position of the journal.
    newest: i64,
    heads: HashMap<FnNumber, u32>,
    /// The newest chains of debug ФН that wrote lately.
    chains: HashMap<FnNumber, u32>,
    /// Behind `state.seq`, in order of arrival.
    fresh: Vec<Key>,
    gathered: Vec<Run>,
    merge: Merge,
    pace: Pace,
    times: Times,
}

/// Since when the oldest key waits in each place; and the newest batch.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    fresh: Option<Instant>,
    gathered: Option<Instant>,
    merge: Option<Instant>,
    batch: Option<Instant>,
}

impl Keys {
    /// Reads what the tables say and what is not in them.
    pub(super) fn load(connection: &Connection, pace: Pace) -> rusqlite::Result<Self> {
        // One state of the file for all of it.
        let transaction = connection.unchecked_transaction()?;
        Self::read(&transaction, pace)
    }

    /// The same within a transaction.
    fn read(connection: &Connection, pace: Pace) -> rusqlite::Result<Self> {
        let state = tables::state(connection)?;
        let gathered = tables::runs(connection, state.gathering, None)?;
        let merging = tables::runs(connection, state.gathering.other(), state.done)?;
        let fresh = tables::fresh(connection, state.seq)?;
        let (newest, _) = newest_and_version(connection)?;
        let now = Instant::now();
        let merge = Merge::of(merging);
        let times = Times {
            fresh: (!fresh.is_empty()).then_some(now),
            gathered: (!gathered.is_empty()).then_some(now),
            merge: (!merge.is_empty()).then_some(now),
            batch: None,
        };
        let (heads, chains) = (HashMap::new(), HashMap::new());
        Ok(Self { state, newest, heads, chains, fresh, gathered, merge, pace, times })
    }

    /// To be called when a batch has begun its transaction: whatever somebody else appended is known from here on.
    pub(super) fn begin(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (newest, version) = newest_and_version(connection)?;
        if newest != self.newest || version != self.state.version {
            tracing::warn!("somebody else wrote into the journal or its keys: they are read anew");
            *self = Self::read(connection, self.pace)?;
        }
        Ok(())
    }

    /// The position of the next row.
    pub(super) fn next_seq(&self) -> i64 {
        self.fresh.last().map_or(self.newest, |key| key.seq.max(self.newest)).saturating_add(1)
    }

    /// A row has its position.
    pub(super) fn note(&mut self, key: Key) {
        let highest = self.heads.entry(key.place.fn_number).or_insert(key.place.fd);
        *highest = key.place.fd.max(*highest);
        self.fresh.push(key);
    }

    /// The batch stands.
    pub(super) fn keep(&mut self) {
        let now = Instant::now();
        self.times.batch = Some(now);
        if let Some(newest) = self.fresh.last().map(|key| key.seq)
            && newest > self.newest
        {
            self.pace.appended(newest.abs_diff(self.newest));
            self.newest = newest;
            self.times.fresh.get_or_insert(now);
        }
    }

    /// The batch came to nothing: so do its rows.
    pub(super) fn forget(&mut self) {
        let kept = self.fresh.partition_point(|key| key.seq <= self.newest);
        for key in self.fresh.drain(kept..) {
            self.heads.remove(&key.place.fn_number);
        }
        self.chains.clear();
    }

    /// The newest chain of a debug ФН; none before its first document.
    pub(super) fn newest_chain(
        &mut self,
        connection: &Connection,
        fn_number: FnNumber,
    ) -> sql::Result<Option<u32>> {
        if let Some(chain) = self.chains.get(&fn_number) {
            return Ok(Some(*chain));
        }
        let stored = chains::newest_chain(connection.into(), fn_number.as_str())?;
        if let Some(chain) = stored {
            self.remember_chain(fn_number, chain);
        }
        Ok(stored)
    }

    /// Makes a chain the newest one.
    pub(super) fn open_chain(
        &mut self,
        connection: &Connection,
        fn_number: FnNumber,
        chain: u32,
    ) -> sql::Result<u32> {
        chains::open_chain(connection.into(), fn_number.as_str(), chain)?;
        self.remember_chain(fn_number, chain);
        Ok(chain)
    }

    fn remember_chain(&mut self, fn_number: FnNumber, chain: u32) {
        if self.chains.len() >= MAX_HEADS {
            self.chains.clear();
        }
        self.chains.insert(fn_number, chain);
    }

    /// The highest ФД number of a ФН in all its chains, 0 while nothing of it is there: above it everything is new.
    pub(super) fn highest(&mut self, connection: &Connection, fn_number: FnNumber) -> rusqlite::Result<u32> {
        if let Some(highest) = self.heads.get(&fn_number) {
            return Ok(*highest);
        }
        let stored: Option<u32> = connection
            .prepare_cached(HIGHEST)?
            .query_row([fn_number.as_str()], |row| row.get(0))
            .optional()?;
        let last = Place { fn_number, fd: u32::MAX, chain: u32::MAX, conflict_no: u32::MAX };
        let waiting = self.last_until(last).filter(|place| place.fn_number == fn_number);
        let highest = stored.max(waiting.map(|place| place.fd)).unwrap_or(0);
        if self.heads.len() >= MAX_HEADS {
            self.heads.clear();
        }
        self.heads.insert(fn_number, highest);
        Ok(highest)
    }

    /// The position of what came first under (ФН, ФД).
    pub(super) fn first(
        &self,
        connection: &Connection,
        fn_number: FnNumber,
        fd_number: FdNumber,
    ) -> rusqlite::Result<Option<i64>> {
        let place = Place { fn_number, fd: fd_number.get(), chain: 0, conflict_no: 0 };
        if let Some(seq) = self.waiting(place) {
            return Ok(Some(seq));
        }
        connection
            .prepare_cached(FIRST)?
            .query_row(params![fn_number.as_str(), place.fd], |row| row.get(0))
            .optional()
    }

    /// The highest conflict under (ФН, chain, ФД); none while nothing is there.
    pub(super) fn last_conflict(
        &self,
        connection: &Connection,
        fn_number: FnNumber,
        fd_number: FdNumber,
        chain: u32,
    ) -> rusqlite::Result<Option<u32>> {
        let stored: Option<u32> = connection
            .prepare_cached(LAST_CONFLICT)?
            .query_row(params![fn_number.as_str(), fd_number.get(), chain], |row| row.get(0))
            .optional()?;
        let last = Place { fn_number, fd: fd_number.get(), chain, conflict_no: u32::MAX };
        let waiting = self.last_until(last).filter(|place| Place { conflict_no: u32::MAX, ..*place } == last);
        Ok(stored.max(waiting.map(|place| place.conflict_no)))
    }

    /// Whether the tables of the file are those that the statements here need.
    pub(super) fn fits(connection: &Connection) -> rusqlite::Result<()> {
        [FIRST, LAST_CONFLICT, HIGHEST]
            .iter()
            .try_for_each(|sql| connection.prepare_cached(sql).map(|_| ()))?;
        tables::fits(connection)
    }

    #[cfg(test)]
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// How many documents are not in `journal_keys` yet.
    pub(super) fn unindexed(&self) -> usize {
        let gathered: usize = self.gathered.iter().map(Vec::len).sum();
        self.fresh.len().saturating_add(gathered).saturating_add(self.merge.left())
    }

    /// How long the oldest of them has been waiting.
    pub(super) fn lag(&self) -> std::time::Duration {
        let waiting = [self.times.merge, self.times.gathered, self.times.fresh];
        waiting.into_iter().flatten().min().map(|since| since.elapsed()).unwrap_or_default()
    }

    /// The position of a place that waits for its table.
    fn waiting(&self, place: Place) -> Option<i64> {
        let found = self.fresh.iter().rev().find(|key| key.place == place);
        let in_runs = || {
            self.runs().find_map(|run| {
                let at = run.binary_search_by(|key| key.place.cmp(&place)).ok()?;
                run.get(at)
            })
        };
        found.or_else(in_runs).map(|key| key.seq)
    }

    /// The greatest waiting place that is not above `most`.
    fn last_until(&self, most: Place) -> Option<Place> {
        let fresh = self.fresh.iter().map(|key| key.place).filter(|place| *place <= most).max();
        let of_run = |run: &Run| {
            let above = run.partition_point(|key| key.place <= most);
            run.get(above.checked_sub(1)?).map(|key| key.place)
        };
        fresh.max(self.runs().filter_map(of_run).max())
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.gathered.iter().chain(self.merge.runs())
    }
}

fn newest_and_version(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.prepare_cached(NEWEST)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}
