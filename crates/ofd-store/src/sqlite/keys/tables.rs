//! The key tables: their state read and moved, keys read and written.

use rusqlite::{Connection, Row, params};

use super::{Key, Place, Run};
use crate::tables::columns::FnColumn;

/// Numbers of runs that a table can have; `journal_keys_numbers` holds them.
pub(super) const MAX_RUNS: u32 = 256;
/// Rows behind the tables past which reading them back is worth a word.
const MANY_FRESH: usize = 50_000;

const STATE: &str = "SELECT version, seq, gathering, even_runs, odd_runs, fn, fd, chain, conflict_no \
     FROM journal_keys_state WHERE id = 1";
const MOVE_STATE: &str = "UPDATE journal_keys_state SET version = ?1, seq = ?2, gathering = ?3, \
     even_runs = ?4, odd_runs = ?5, fn = ?6, fd = ?7, chain = ?8, conflict_no = ?9 WHERE id = 1";
const ADD_KEY: &str =
    "INSERT INTO journal_keys (fn, fd, chain, conflict_no, seq) VALUES (?1, ?2, ?3, ?4, ?5)";

/// One of the two tables of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Even,
    Odd,
}

/// `journal_keys_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) version: i64,
    /// The rows up to here are in the tables.
    pub(super) seq: i64,
    /// Where runs are added; those of the other one are merged.
    pub(super) gathering: Side,
    even_runs: u32,
    odd_runs: u32,
    /// Up to here the runs of the other one are merged.
    pub(super) done: Option<Place>,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Even => 0,
            Self::Odd => 1,
        }
    }

    fn read(self) -> &'static str {
        match self {
            Self::Even => {
                "SELECT fn, fd, chain, conflict_no, seq, run FROM journal_keys_even \
                 ORDER BY run, fn, fd, chain, conflict_no"
            }
            Self::Odd => {
                "SELECT fn, fd, chain, conflict_no, seq, run FROM journal_keys_odd \
                 ORDER BY run, fn, fd, chain, conflict_no"
            }
        }
    }

    fn add(self) -> &'static str {
        match self {
            Self::Even => {
                "INSERT INTO journal_keys_even (run, fn, fd, chain, conflict_no, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            }
            Self::Odd => {
                "INSERT INTO journal_keys_odd (run, fn, fd, chain, conflict_no, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            }
        }
    }

    /// All rows at once: SQLite then drops the pages without looking at the rows.
    fn clear(self) -> &'static str {
        match self {
            Self::Even => "DELETE FROM journal_keys_even",
            Self::Odd => "DELETE FROM journal_keys_odd",
        }
    }
}

impl State {
    pub(super) fn runs(&self, side: Side) -> u32 {
        match side {
            Side::Even => self.even_runs,
            Side::Odd => self.odd_runs,
        }
    }

    pub(super) fn set_runs(&mut self, side: Side, runs: u32) {
        match side {
            Side::Even => self.even_runs = runs,
            Side::Odd => self.odd_runs = runs,
        }
    }

    /// Writes it as the next version.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.version = self.version.saturating_add(1);
        let done = self.done.as_ref();
        connection.prepare_cached(MOVE_STATE)?.execute(params![
            self.version,
            self.seq,
            self.gathering.number(),
            self.even_runs,
            self.odd_runs,
            done.map_or("", |done| done.fn_number.as_str()),
            done.map_or(0, |done| done.fd),
            done.map_or(0, |done| done.chain),
            done.map_or(0, |done| done.conflict_no),
        ])?;
        Ok(())
    }
}

pub(super) fn fits(connection: &Connection) -> rusqlite::Result<()> {
    let sides = [Side::Even, Side::Odd].into_iter().flat_map(|side| [side.read(), side.add(), side.clear()]);
    [STATE, MOVE_STATE, ADD_KEY]
        .into_iter()
        .chain(sides)
        .try_for_each(|sql| connection.prepare(sql).map(|_| ()))
}

pub(super) fn state(connection: &Connection) -> rusqlite::Result<State> {
    connection.prepare_cached(STATE)?.query_row([], |row| {
        let gathering: i64 = row.get(2)?;
        let begun = !row.get_ref(5)?.as_str()?.is_empty();
        let done = || -> rusqlite::Result<Place> {
            Ok(Place {
                fn_number: row.get::<_, FnColumn>(5)?.0,
                fd: row.get(6)?,
                chain: row.get(7)?,
                conflict_no: row.get(8)?,
            })
        };
        Ok(State {
            version: row.get(0)?,
            seq: row.get(1)?,
            gathering: if gathering == 0 { Side::Even } else { Side::Odd },
            even_runs: row.get(3)?,
            odd_runs: row.get(4)?,
            done: if begun { Some(done()?) } else { None },
        })
    })
}

/// The runs of a table, without what is merged already.
pub(super) fn runs(connection: &Connection, side: Side, done: Option<Place>) -> rusqlite::Result<Vec<Run>> {
    let mut statement = connection.prepare(side.read())?;
    let mut rows = statement.query([])?;
    let mut runs: Vec<Run> = Vec::new();
    let mut number = None;
    while let Some(row) = rows.next()? {
        let key = key(row)?;
        if done.is_some_and(|done| key.place <= done) {
            continue;
        }
        let run: u32 = row.get(5)?;
        if number.replace(run) != Some(run) {
            runs.push(Run::new());
        }
        runs.last_mut().into_iter().for_each(|keys| keys.push(key));
    }
    Ok(runs)
}

/// The keys of the rows that are in no table.
pub(super) fn fresh(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<Key>> {
    let mut statement = connection
        .prepare("SELECT fn, fd, chain, conflict_no, seq FROM journal WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = statement.query([seq])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        if keys.len() == MANY_FRESH {
            tracing::info!(
                "many documents are not indexed yet: their numbers are read back from the journal"
            );
        }
        keys.push(key(row)?);
    }
    Ok(keys)
}

pub(super) fn add_run(
    connection: &Connection,
    side: Side,
    number: u32,
    keys: &[Key],
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(side.add())?;
    for Key { place, seq } in keys {
        add.execute(params![
            number,
            place.fn_number.as_str(),
            place.fd,
            place.chain,
            place.conflict_no,
            seq
        ])?;
    }
    Ok(())
}

pub(super) fn add_keys(connection: &Connection, keys: &[Key]) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(ADD_KEY)?;
    for Key { place, seq } in keys {
        add.execute(params![place.fn_number.as_str(), place.fd, place.chain, place.conflict_no, seq])?;
    }
    Ok(())
}

pub(super) fn clear(connection: &Connection, side: Side) -> rusqlite::Result<()> {
    connection.prepare_cached(side.clear())?.execute([]).map(|_| ())
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        place: Place {
            fn_number: row.get::<_, FnColumn>(0)?.0,
            fd: row.get(1)?,
            chain: row.get(2)?,
            conflict_no: row.get(3)?,
        },
        seq: row.get(4)?,
    })
}
