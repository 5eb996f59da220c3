//! The PostgreSQL store that is filled, and what it remembers of the move.

use std::io::Cursor;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Row};

use super::memory::{self, Phase};
use super::rows::{self, Column, HEADER, Kind, Sum, TRAILER};
use super::tables::{KEY_COLUMNS, Table};
use crate::postgres::connect::{Purpose, Session, WireWatch, in_words};
use crate::postgres::line::prepare_store;
use crate::postgres::schema;
use crate::postgres::target::Target as Address;
use crate::{StoreError, Unavailability};

/// How long the server may need to notice that a killed process is gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Pieces of rows between reader and sender.
const PIECES: usize = 8;

/// A session with the database that is filled.
pub(super) struct Target {
    runtime: Runtime,
    client: Arc<Client>,
    watch: Arc<WireWatch>,
    masked: String,
}

/// A table under way: rows go in until it is ended. Dropped without an end, nothing of it has gone in.
pub(super) struct Copying<'t> {
    target: &'t Target,
    pieces: mpsc::Sender<Piece>,
    task: JoinHandle<Result<u64, tokio_postgres::Error>>,
}

enum Piece {
    Rows(Vec<u8>),
    End,
}

impl Target {
    /// Opens the database and keeps other moves and whoever writes out.
    pub(super) fn open(address: &Address) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("migration")
            .enable_all()
            .build()
            .map_err(|error| StoreError::unavailable(Unavailability::CannotOpen, error.to_string()))?;
        let session = runtime.block_on(Session::open(address, Purpose::Schema))?;
        runtime.spawn(session.wire);
        let masked = address.masked().to_owned();
        let target = Self { runtime, client: Arc::new(session.client), watch: session.watch, masked };
        // Whatever the server's owner thinks long: an index over years is.
        target.run("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        // Of two moves into one database at the same time the second is refused.
        if !target.locks(schema::MOVE_LOCK)? {
            let other = format!("another `fiscald migrate` is at work in {}", target.masked);
            return Err(StoreError::refused(other));
        }
        let begun = memory::begun(&target)?;
        // Nothing is done to a store that was moved, and its nodes may serve.
        if begun.is_none_or(|begun| begun.phase != Phase::Done) {
            target.keep_writers_out()?;
        }
        if begun.is_none() {
            target.runtime.block_on(prepare_store(address))?;
        }
        Ok(target)
    }

    /// From here to the end of this session nobody else writes in the database.
    fn keep_writers_out(&self) -> Result<(), StoreError> {
        if self.locks(schema::IN_USE_LOCK)? {
            return Ok(());
        }
        let who: Option<String> = self.row(&writers(), &[])?.get(0);
        Err(StoreError::refused(format!(
            "{}: a node is serving on it: {}. Stop it first: a store is moved while nobody uses either",
            self.masked,
            who.unwrap_or_else(|| "it has just gone, try again".to_owned())
        )))
    }

    /// Takes an advisory lock for the life of the session; whether nobody else holds it.
    fn locks(&self, lock: i32) -> Result<bool, StoreError> {
        let sql = format!("SELECT pg_try_advisory_lock({}, {lock})", schema::LOCK_CLASS);
        let deadline = Instant::now() + LOCK_PATIENCE;
        while !self.row(&sql, &[])?.get::<_, bool>(0) {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Ok(true)
    }

    /// The database, without its password.
    pub(super) fn masked(&self) -> &str {
        &self.masked
    }

    /// Runs statements, each on its own.
    pub(super) fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(|error| self.failed(&error))
    }

    /// Runs a statement; how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        self.runtime.block_on(self.client.execute(sql, params)).map_err(|error| self.failed(&error))
    }

    /// The one row of a statement.
    pub(super) fn row(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreError> {
        self.runtime.block_on(self.client.query_one(sql, params)).map_err(|error| self.failed(&error))
    }

    /// The rows of a statement, all at once.
    pub(super) fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.runtime.block_on(self.client.query(sql, params)).map_err(|error| self.failed(&error))
    }

    /// Ends a transaction; the change is as durable as the server promises.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        let before = self.watch.warnings();
        self.run("COMMIT")?;
        if self.watch.warnings() == before {
            return Ok(());
        }
        let words = self.watch.words().unwrap_or_default();
        Err(self.unavailable(&format!("a commit is in doubt, the server warned: {words}")))
    }

    /// The columns of a table with their types, by name.
    pub(super) fn columns(&self, table: Table) -> Result<Vec<Column>, StoreError> {
        let sql = "SELECT column_name::text, data_type::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY column_name::text COLLATE \"C\"";
        let found = self.rows(sql, &[&table.name])?;
        let column = |row: &Row| {
            let (name, kind): (String, String) = (row.get(0), row.get(1));
            let kind = match kind.as_str() {
                "bigint" => Kind::Number,
                "text" => Kind::Text,
                "bytea" => Kind::Bytes,
                other => {
                    return Err(StoreError::corrupt(format!("{}.{name} is of the type {other}", table.name)));
                }
            };
            Ok(Column { name, kind })
        };
        found.iter().map(column).collect()
    }

    /// Begins to fill a table, within the transaction that is open.
    pub(super) fn copy(&self, table: Table, columns: &[Column]) -> Result<Copying<'_>, StoreError> {
        let sql = format!("COPY {} ({}) FROM STDIN BINARY", table.name, rows::names(columns));
        let sink: CopyInSink<Cursor<Vec<u8>>> =
            self.runtime.block_on(self.client.copy_in(&sql)).map_err(|error| self.failed(&error))?;
        let (pieces, mut queue) = mpsc::channel(PIECES);
        let task = self.runtime.spawn(async move {
            let mut sink = pin!(sink);
            sink.send(Cursor::new(HEADER.to_vec())).await?;
            loop {
                match queue.recv().await {
                    Some(Piece::Rows(rows)) => sink.send(Cursor::new(rows)).await?,
                    Some(Piece::End) => break,
                    // Given up: the sink, dropped, tells the server.
                    None => return Ok(0),
                }
            }
            sink.send(Cursor::new(TRAILER.to_vec())).await?;
            sink.finish().await
        });
        Ok(Copying { target: self, pieces, task })
    }

    /// The greatest position of the journal; 0 in an empty one.
    pub(super) fn newest(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT coalesce(max(seq), 0) FROM journal", &[])?.get(0))
    }

    /// Derives the keys of the documents after a position.
    pub(super) fn derive_keys(&self, after: i64) -> Result<u64, StoreError> {
        let sql = format!(
            "INSERT INTO journal_keys ({KEY_COLUMNS}) SELECT {KEY_COLUMNS} FROM journal WHERE seq > $1 ORDER BY seq"
        );
        self.execute(&sql, &[&after])
    }

    /// Rows of a table and the hash of all of them in their order; `tick` is called now and then.
    pub(super) fn sum(
        &self,
        table: Table,
        columns: &[Column],
        tick: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        let rows: i64 = self.row(&format!("SELECT count(*) FROM {}", table.name), &[])?.get(0);
        let sql = format!(
            "COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT BINARY",
            rows::names(columns),
            table.name,
            table.key
        );
        let sum = self.runtime.block_on(async {
            let mut stream = pin!(self.client.copy_out(&sql).await?);
            let mut sum = Sum::of_stream();
            while let Some(piece) = stream.next().await {
                sum.pour(&piece?);
                if !tick() {
                    return Ok(None);
                }
            }
            Ok(Some(sum))
        });
        let Some(sum) = sum.map_err(|error| self.failed(&error))? else { return Ok(None) };
        let sum = sum.end().ok_or_else(|| self.unavailable("a table was cut off while it was read"))?;
        Ok(Some((u64::try_from(rows).unwrap_or_default(), sum)))
    }

    /// Numbers given out from now on come after those that were moved, and readers see what was moved.
    pub(super) fn set_sequences(&self) -> Result<(), StoreError> {
        for row in self.rows(memory::NUMBERED, &[])? {
            let (table, column): (String, String) = (row.get(0), row.get(1));
            self.run(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
                 coalesce((SELECT max({column}) FROM {table}), 0) + 1, false)"
            ))?;
        }
        // The position of the month, so that everything that was moved lies before what readers take for settled.
        self.run("SELECT journal_take(1)")
    }

    fn failed(&self, error: &tokio_postgres::Error) -> StoreError {
        let words = match (error.as_db_error(), self.watch.words()) {
            (None, Some(words)) => format!("{}: {words}", in_words(error)),
            _ => in_words(error),
        };
        self.unavailable(&words)
    }

    fn unavailable(&self, words: &str) -> StoreError {
        StoreError::unavailable(Unavailability::WriteFailed, format!("{}: {words}", self.masked))
    }
}

/// Who writes in this database, by the lock that each of its sessions holds.
fn writers() -> String {
    format!(
        "SELECT string_agg(DISTINCT format('%s (%s)', coalesce(nullif(application_name, ''), 'unnamed'), \
         coalesce(host(client_addr), 'the server''s own machine')), ', ') \
         FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND classid = {} AND objid = {} \
         AND objsubid = 2 AND granted AND pid <> pg_backend_pid() \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        schema::LOCK_CLASS,
        schema::IN_USE_LOCK
    )
}

impl Copying<'_> {
    /// Hands rows over; waits while the server is behind.
    pub(super) fn send(&self, rows: Vec<u8>) -> bool {
        self.pieces.blocking_send(Piece::Rows(rows)).is_ok()
    }

    /// Ends it; how many rows went in.
    pub(super) fn end(self) -> Result<u64, StoreError> {
        // When the server has refused something already, the task says what.
        let _ = self.pieces.blocking_send(Piece::End);
        match self.target.runtime.block_on(self.task) {
            Ok(result) => result.map_err(|error| self.target.failed(&error)),
            Err(error) => Err(self.target.unavailable(&error.to_string())),
        }
    }
}
