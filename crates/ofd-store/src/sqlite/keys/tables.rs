//! The key tables: their state read and moved, keys read and written.

use rusqlite::{CachedStatement, Connection, Row, ToSql, params};

use super::{Key, Place, Run};
use crate::tables::columns::FnColumn;

/// Numbers of runs that a table can have; `journal_keys_numbers` holds them.
pub(super) const MAX_RUNS: u32 = 256;
/// Keys of one statement: preparing to run it costs as much as several keys.
const TOGETHER: usize = 16;
/// Rows behind the tables past which reading them back is worth a word.
const MANY_FRESH: usize = 50_000;

const STATE: &str = "SELECT version, seq, gathering, even_runs, odd_runs, fn, fd, chain, conflict_no \
     FROM journal_keys_state WHERE id = 1";
const MOVE_STATE: &str = "UPDATE journal_keys_state SET version = ?1, seq = ?2, gathering = ?3, \
     even_runs = ?4, odd_runs = ?5, fn = ?6, fd = ?7, chain = ?8, conflict_no = ?9 WHERE id = 1";
/// OR FAIL, here and below: the transaction is given up after any failure, so that nothing has to be remembered for undoing
/// a statement.
const ADD_KEYS: &str = "INSERT OR FAIL INTO journal_keys (fn, fd, chain, conflict_no, seq) VALUES";

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
                "INSERT OR FAIL INTO journal_keys_even (run, fn, fd, chain, conflict_no, seq) VALUES"
            }
            Self::Odd => "INSERT OR FAIL INTO journal_keys_odd (run, fn, fd, chain, conflict_no, seq) VALUES",
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
    let both = [Side::Even, Side::Odd];
    let sides = both.into_iter().flat_map(|side| [side.read(), side.clear()]);
    [STATE, MOVE_STATE].into_iter().chain(sides).try_for_each(|sql| connection.prepare(sql).map(|_| ()))?;
    connection.prepare(&insert(ADD_KEYS, 1))?;
    both.into_iter().try_for_each(|side| connection.prepare(&insert(side.add(), 1)).map(|_| ()))
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

/// Adds a run to one of the two tables.
pub(super) fn add_run(
    connection: &Connection,
    side: Side,
    number: u32,
    keys: &[Key],
) -> rusqlite::Result<()> {
    add(connection, side.add(), Some(number), keys)
}

/// Puts keys to their places.
pub(super) fn add_keys(connection: &Connection, keys: &[Key]) -> rusqlite::Result<()> {
    add(connection, ADD_KEYS, None, keys)
}

fn add(connection: &Connection, into: &str, run: Option<u32>, keys: &[Key]) -> rusqlite::Result<()> {
    let (together, rest) = keys.as_chunks::<TOGETHER>();
    let mut statement = connection.prepare_cached(&insert(into, TOGETHER))?;
    together.iter().try_for_each(|keys| execute(&mut statement, run, keys))?;
    let mut statement = connection.prepare_cached(&insert(into, 1))?;
    rest.chunks(1).try_for_each(|keys| execute(&mut statement, run, keys))
}

/// The first parameter is the number of the run, for tables that have one.
fn insert(into: &str, rows: usize) -> String {
    let run = if into == ADD_KEYS { "" } else { "?1, " };
    format!("{into} {}", vec![format!("({run}?, ?, ?, ?, ?)"); rows].join(", "))
}

fn execute(statement: &mut CachedStatement<'_>, run: Option<u32>, keys: &[Key]) -> rusqlite::Result<()> {
    let mut at = 1;
    let mut bind = |value: &dyn ToSql| {
        statement.raw_bind_parameter(at, value)?;
        at = at.saturating_add(1);
        Ok::<(), rusqlite::Error>(())
    };
    if let Some(run) = run {
        bind(&run)?;
    }
    for Key { place, seq } in keys {
        bind(&place.fn_number.as_str())?;
        bind(&place.fd)?;
        bind(&place.chain)?;
        bind(&place.conflict_no)?;
        bind(seq)?;
    }
    statement.raw_execute().map(|_| ())
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
