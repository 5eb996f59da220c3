//! Moving a store from SQLite to PostgreSQL, while nobody uses either.
//!
//! Every table is copied in large transactions, each of which also notes how far it has come, so that a move that was
//! killed goes on where it was. Positions stay what they are: what refers to a document, here or in a paper of
//! somebody's, refers to it afterwards. At the end both sides are read back and compared, row by row in their order,
//! by hash.
//!
//! The source is held for the whole time and never changed; until the move is done the daemon refuses the target.

mod memory;
mod rows;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::memory::{Moved, Phase};
use self::rows::{Column, Sum};
use self::source::Source;
use self::tables::{JOURNAL, KEYS, TABLES, Table};
use self::target::{Copying, Target};
use crate::config::sqlite_path;
use crate::postgres::target::Target as Address;
use crate::{StoreConfig, StoreError};

/// Bytes of rows handed over at a time.
const PIECE_BYTES: usize = if cfg!(test) { 2 << 10 } else { 512 << 10 };
/// Bytes of one transaction: what a move that was killed has to do again at most.
const CHUNK_BYTES: u64 = if cfg!(test) { 8 << 10 } else { 16 << 20 };

/// What is done at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MigrationStep {
    /// Rows go over.
    Copying,
    /// Indexes and references are made.
    Indexing,
    /// Both sides are read back.
    Comparing,
}

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress<'t> {
    /// What is done.
    pub step: MigrationStep,
    /// The table.
    pub table: &'t str,
    /// Rows of all tables so far, those of an earlier attempt among them; of both sides while they are compared.
    pub done_rows: u64,
    /// Rows there are to be, nearly.
    pub total_rows: u64,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// Rows of the journal.
    pub documents: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of all rows as they were sent, those of an earlier attempt among them.
    pub bytes: u64,
    /// Rows that an earlier attempt had moved.
    pub resumed_rows: u64,
    /// The tables, and the hash of the rows of each in their order, equal on both sides.
    pub tables: Vec<MigratedTable>,
    /// Where it lies now; without a password.
    pub target: String,
}

/// One table of a [`MigrationReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigratedTable {
    /// Its name.
    pub name: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over its rows.
    pub sha256: [u8; 32],
}

/// Why a store was not moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    /// The caller asked for an end. The same call goes on later.
    #[error("stopped; the same command goes on where it was")]
    Stopped,
    /// The two sides are not equal.
    #[error(
        "the table {table} is not the same on both sides ({source_rows} rows here, {target_rows} there). The source is \
         untouched: drop the database that was filled, make it anew and begin again"
    )]
    Different {
        /// Which.
        table: &'static str,
        /// Rows of the source.
        source_rows: u64,
        /// Rows of the target.
        target_rows: u64,
    },
    /// One of the stores.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, MigrationError>;
/// Told how far it is; may ask for an end.
type Watcher<'w> = &'w mut dyn FnMut(&MigrationProgress<'_>) -> ControlFlow<()>;

/// Moves the store at `from` (`sqlite:PATH`, the schema of this program) into the empty database of `to`
/// (`postgres://...`), or goes on with a move of the same store that was ended. `watch` is told how far it is.
///
/// Blocks, for minutes or hours; not to be called within a tokio runtime.
///
/// # Errors
/// [`MigrationError`]; of the refusals: the source is in use or was changed since the move began, the target is not empty
/// or holds the move of another store, or that move is done.
pub fn migrate(from: &str, to: &StoreConfig, watch: Watcher<'_>) -> Result<MigrationReport> {
    let path = sqlite_path(from)?;
    let target = Target::open(&Address::parse(&to.address())?)?;
    let source = Source::open(&path)?;
    let path = path.canonicalize().unwrap_or(path).display().to_string();
    prepare(&source, &target, &path)?;
    let step = MigrationStep::Copying;
    let teller = Teller { watch, step, done: 0, total: total_rows(&source)? };
    let mut work = Move { source, target, teller };
    let (mut bytes, mut resumed_rows) = (0_u64, 0_u64);
    for table in TABLES {
        let (moved, resumed) = work.copy(table)?;
        bytes = bytes.saturating_add(moved.bytes);
        resumed_rows = resumed_rows.saturating_add(resumed);
    }
    work.index()?;
    memory::enter(&work.target, Phase::Comparing)?;
    let tables = work.compare()?;
    memory::enter(&work.target, Phase::Done)?;
    let rows_of = |name: &str| tables.iter().filter(|table| table.name == name).map(|table| table.rows).sum();
    Ok(MigrationReport {
        documents: rows_of(JOURNAL.name),
        rows: tables.iter().filter(|table| table.name != KEYS.name).map(|table| table.rows).sum(),
        bytes,
        resumed_rows,
        tables,
        target: work.target.masked().to_owned(),
    })
}

/// Begins the move, or finds that it is the one that was begun.
fn prepare(source: &Source, target: &Target, path: &str) -> Result<()> {
    let fingerprint = source.fingerprint()?;
    let Some(begun) = memory::begun(target)? else {
        memory::require_empty(target)?;
        return Ok(memory::begin(target, path, &fingerprint, &source.months()?)?);
    };
    let place = target.masked();
    if begun.phase == Phase::Done {
        let done = format!("{place} holds a store that was moved into it already: nothing is left to do");
        return Err(StoreError::refused(done).into());
    }
    if begun.fingerprint != fingerprint {
        let other = format!(
            "{place} holds the half of another store, or {path} was changed since its move began: drop that database, \
             make it anew and begin again"
        );
        return Err(StoreError::refused(other).into());
    }
    Ok(())
}

/// Rows of all tables; of the journal, which would have to be read for it, the greatest position.
fn total_rows(source: &Source) -> Result<u64> {
    let mut total = u64::try_from(source.newest()?).unwrap_or_default();
    for table in TABLES.into_iter().filter(|table| *table != JOURNAL) {
        total = total.saturating_add(source.count(table)?);
    }
    Ok(total)
}

/// Tells the caller how far it is.
struct Teller<'w> {
    watch: Watcher<'w>,
    step: MigrationStep,
    done: u64,
    total: u64,
}

impl Teller<'_> {
    fn tell(&mut self, table: &str) -> Result<()> {
        let progress = MigrationProgress {
            step: self.step,
            table,
            done_rows: self.done,
            total_rows: self.total.max(self.done),
        };
        match (self.watch)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(MigrationError::Stopped),
        }
    }

    fn enter(&mut self, step: MigrationStep, total: u64) {
        (self.step, self.done, self.total) = (step, 0, total);
    }
}

/// A move at work.
struct Move<'w> {
    source: Source,
    target: Target,
    teller: Teller<'w>,
}

impl Move<'_> {
    /// The columns of a table, by the target, which the source has to have too.
    fn columns(&self, table: Table) -> Result<Vec<Column>> {
        let columns = self.target.columns(table)?;
        let mut ours = self.source.columns(table)?;
        ours.sort_unstable();
        if columns.iter().map(|column| &column.name).eq(&ours) {
            return Ok(columns);
        }
        let theirs = rows::names(&columns);
        let different =
            format!("the table {} has other columns in the two stores: {ours:?}, {theirs}", table.name);
        Err(StoreError::refused(different).into())
    }

    /// Moves what is left of a table. Gives how much of it is there now, and how many rows were there before.
    fn copy(&mut self, table: Table) -> Result<(Moved, u64)> {
        let columns = self.columns(table)?;
        let moved = memory::moved(&self.target, table)?;
        self.teller.done = self.teller.done.saturating_add(moved.rows);
        self.teller.tell(table.name)?;
        if moved.is_whole {
            return Ok((moved, moved.rows));
        }
        let (source, target, teller) = (&self.source, &self.target, &mut self.teller);
        let mut pouring = Pouring { target, teller, table, columns: &columns, moved, chunk: None };
        let mut outcome = Ok(());
        let rest = source.read(table, &columns, moved.rows, &mut |buffer| {
            outcome = pouring.take(buffer);
            outcome.is_ok()
        })?;
        outcome?;
        Ok((pouring.end(rest)?, moved.rows))
    }

    /// Makes what waited for the rows.
    fn index(&mut self) -> Result<()> {
        self.target.set_sequences()?;
        let postponed = memory::postponed(&self.target)?;
        self.teller.enter(MigrationStep::Indexing, u64::try_from(postponed.len()).unwrap_or_default());
        for (n, sql) in postponed {
            self.teller.tell("journal_keys")?;
            memory::make(&self.target, n, &sql)?;
            self.teller.done += 1;
        }
        Ok(self.target.run("ANALYZE")?)
    }

    /// Reads both sides back.
    fn compare(&mut self) -> Result<Vec<MigratedTable>> {
        let total = total_rows(&self.source)?.saturating_mul(2);
        self.teller.enter(MigrationStep::Comparing, total);
        let mut tables = Vec::with_capacity(TABLES.len() + 1);
        for table in TABLES {
            let columns = self.target.columns(table)?;
            tables.push(self.compare_table(table, table, &columns)?);
        }
        // The keys of the journal, by the journal of the source.
        let columns = self.target.columns(KEYS)?;
        tables.push(self.compare_table(JOURNAL, KEYS, &columns)?);
        Ok(tables)
    }

    /// Both sides of a table at the same time.
    fn compare_table(&mut self, here: Table, there: Table, columns: &[Column]) -> Result<MigratedTable> {
        let (source, target, teller) = (&self.source, &self.target, &mut self.teller);
        let (go_on, pieces) = (AtomicBool::new(true), AtomicU64::new(0));
        let mut tick = || {
            pieces.fetch_add(1, Ordering::Relaxed);
            go_on.load(Ordering::Relaxed)
        };
        let begun = teller.done;
        let (ours, theirs) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| target.sum(there, columns, &mut tick));
            let (mut sum, mut rows, mut told) = (Sum::of_rows(), 0_u64, Ok(()));
            let read = source.read(here, columns, 0, &mut |buffer| {
                rows += 1;
                if buffer.len() >= PIECE_BYTES {
                    sum.add(buffer);
                    buffer.clear();
                    // One piece of the other side is a row.
                    teller.done = begun.saturating_add(rows).saturating_add(pieces.load(Ordering::Relaxed));
                    told = teller.tell(there.name);
                }
                told.is_ok()
            });
            let ours = read.map_err(MigrationError::from).and_then(|rest| {
                sum.add(&rest);
                told.map(|()| (rows, sum.end()))
            });
            if ours.is_err() {
                go_on.store(false, Ordering::Relaxed);
            }
            (ours, theirs.join())
        });
        let (rows, ours) = ours?;
        // A panic of the other thread is ours.
        let theirs = theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let Some((target_rows, theirs)) = theirs else { return Err(MigrationError::Stopped) };
        teller.done = begun.saturating_add(rows).saturating_add(target_rows);
        teller.tell(there.name)?;
        if ours != Some(theirs) || rows != target_rows {
            return Err(MigrationError::Different { table: there.name, source_rows: rows, target_rows });
        }
        Ok(MigratedTable { name: there.name, rows, sha256: theirs })
    }
}

/// Rows on their way into a table, cut into transactions.
struct Pouring<'a, 'w> {
    target: &'a Target,
    teller: &'a mut Teller<'w>,
    table: Table,
    columns: &'a [Column],
    moved: Moved,
    chunk: Option<Chunk<'a>>,
}

/// A transaction.
struct Chunk<'a> {
    copying: Copying<'a>,
    rows: u64,
    bytes: u64,
    /// The newest position of the journal before it.
    after: i64,
}

impl<'a> Pouring<'a, '_> {
    /// A row has come; the buffer holds it and those before it that were not handed over.
    fn take(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let mut chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.begin()?,
        };
        chunk.rows += 1;
        self.teller.done += 1;
        if buffer.len() >= PIECE_BYTES {
            chunk = self.hand_over(chunk, std::mem::take(buffer))?;
        }
        if chunk.bytes >= CHUNK_BYTES {
            return self.commit(chunk, false);
        }
        self.chunk = Some(chunk);
        Ok(())
    }

    /// No more rows come; `rest` holds those that were not handed over.
    fn end(mut self, rest: Vec<u8>) -> Result<Moved> {
        let mut chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.begin()?,
        };
        if !rest.is_empty() {
            chunk = self.hand_over(chunk, rest)?;
        }
        self.commit(chunk, true)?;
        Ok(self.moved)
    }

    fn begin(&self) -> Result<Chunk<'a>> {
        self.target.run("BEGIN")?;
        let after = if self.table == JOURNAL { self.target.newest()? } else { 0 };
        let copying = self.target.copy(self.table, self.columns)?;
        Ok(Chunk { copying, rows: 0, bytes: 0, after })
    }

    fn hand_over(&mut self, mut chunk: Chunk<'a>, rows: Vec<u8>) -> Result<Chunk<'a>> {
        chunk.bytes = chunk.bytes.saturating_add(u64::try_from(rows.len()).unwrap_or_default());
        if !chunk.copying.send(rows) {
            // The other end is gone, and knows why.
            chunk.copying.end()?;
            return Err(self.lost_rows());
        }
        self.teller.tell(self.table.name)?;
        Ok(chunk)
    }

    /// Ends the transaction: rows, what follows from them, and how far the table has come.
    fn commit(&mut self, chunk: Chunk<'a>, is_whole: bool) -> Result<()> {
        let Chunk { copying, rows, bytes, after } = chunk;
        if copying.end()? != rows || (self.table == JOURNAL && self.target.derive_keys(after)? != rows) {
            return Err(self.lost_rows());
        }
        self.moved = Moved {
            rows: self.moved.rows.saturating_add(rows),
            bytes: self.moved.bytes.saturating_add(bytes),
            is_whole,
        };
        memory::note(self.target, self.table, self.moved)?;
        self.target.commit()?;
        self.teller.tell(self.table.name)
    }

    fn lost_rows(&self) -> MigrationError {
        StoreError::corrupt(format!(
            "{} took fewer rows of {} than were sent",
            self.target.masked(),
            self.table.name
        ))
        .into()
    }
}
