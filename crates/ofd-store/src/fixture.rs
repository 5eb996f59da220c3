//! Stores of both engines for tests, which are written once.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::engine::{Engine, WriteItem, WriteOutcome};
use crate::postgres::{Opening as PgOpening, PgEngine, Purpose, Target};
use crate::sql::{Db, PgSession};
use crate::sqlite::disk::OpenFiles;
use crate::sqlite::{Opening, SqliteEngine};
use crate::{AppendOutcome, NewDocument};

const ROOM: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine that tests are run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

thread_local! {
    static ON: Cell<On> = const { Cell::new(On::Sqlite) };
}

impl On {
    /// Runs a test on this engine.
    pub(crate) fn run(self, test: fn()) {
        self.choose();
        test();
    }

    /// Stores that this thread makes from now on are of this engine.
    pub(crate) fn choose(self) {
        ON.set(self);
    }

    /// What the test of this thread runs on.
    pub(crate) fn here() -> Self {
        ON.get()
    }
}

/// Makes two tests of each function, one for each engine.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $test() { $crate::fixture::On::Sqlite.run(super::$test); })+
        }
        mod on_postgres {
            $(#[test] fn $test() { $crate::fixture::On::Postgres.run(super::$test); })+
        }
    };
}
pub(crate) use on_both_engines;

/// A store with a journal.
pub(crate) struct Place {
    pub(crate) engine: Box<dyn Engine>,
    url: String,
    /// Of a file.
    folder: Option<TempDir>,
}

/// A connection for looking into a store and for meddling with it.
pub(crate) enum Look {
    Sqlite(Connection),
    Postgres(Box<PgSession>),
}

impl Place {
    /// An empty store of the engine that the test runs on. Positions begin with 1.
    pub(crate) fn new() -> Self {
        match On::here() {
            On::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("store.db");
                let engine = SqliteEngine::open(&path, ROOM, Opening::Start, OpenFiles::default()).unwrap();
                let url = format!("sqlite:{}", path.display());
                Self { engine: Box::new(engine), url, folder: Some(folder) }
            }
            On::Postgres => {
                let url = postgres();
                Self { engine: postgres_engine(&url), url, folder: None }
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.as_ref().expect("a store of SQLite").path().join("store.db")
    }

    /// Appends a batch.
    pub(crate) fn append(&mut self, documents: Vec<NewDocument>) -> Vec<AppendOutcome> {
        append(&mut *self.engine, documents)
    }

    pub(crate) fn look(&self) -> Look {
        match On::here() {
            On::Sqlite => Look::Sqlite(Connection::open(self.path()).unwrap()),
            On::Postgres => {
                let target = Target::parse(&self.url).unwrap();
                Look::Postgres(Box::new(PgSession::new(target, Purpose::Writing)))
            }
        }
    }
}

impl Look {
    pub(crate) fn db(&self) -> Db<'_> {
        match self {
            Self::Sqlite(connection) => Db::from(connection),
            Self::Postgres(session) => Db::Postgres(session),
        }
    }

    /// Runs statements without parameters.
    pub(crate) fn batch(&self, sql: &str) {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).unwrap(),
            Self::Postgres(session) => session.batch(sql).unwrap(),
        }
    }

    /// The number that a query gives.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.db().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Appends a batch of documents.
pub(crate) fn append(engine: &mut dyn Engine, documents: Vec<NewDocument>) -> Vec<AppendOutcome> {
    let items: Vec<_> =
        documents.into_iter().map(|document| WriteItem::Document(Box::new(document))).collect();
    let outcomes = engine.commit(&items).unwrap().into_iter().map(|outcome| match outcome {
        WriteOutcome::Append(outcome) => outcome,
        other => panic!("{other:?}"),
    });
    outcomes.collect()
}

pub(crate) fn postgres_engine(url: &str) -> Box<dyn Engine> {
    let target = Target::parse(url).unwrap();
    Box::new(PgEngine::open(&target, ROOM, &PgOpening::Start, PATIENCE).unwrap())
}

/// The address of a new database with a store in it whose positions begin with 1, whatever the month.
pub(crate) fn postgres() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    static MODEL: OnceLock<String> = OnceLock::new();
    let cluster = pg_testing::shared_without_sync();
    let model = MODEL.get_or_init(|| {
        let model = cluster.create_database();
        drop(postgres_engine(&cluster.url(&model)));
        cluster.psql_in(
            &model,
            "CREATE OR REPLACE FUNCTION journal_take(wanted bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
             DECLARE taken bigint;
             BEGIN
                 PERFORM pg_advisory_xact_lock_shared(1179861828, 1);
                 PERFORM pg_advisory_lock(1179861828, 2);
                 taken := nextval('journal_seq');
                 PERFORM setval('journal_seq', taken + wanted - 1);
                 PERFORM pg_advisory_unlock(1179861828, 2);
                 RETURN taken;
             END $$",
        );
        model
    });
    let name = format!("copy_{}", MADE.fetch_add(1, Ordering::Relaxed));
    // The sessions that made the model may take a moment to end.
    cluster
        .psql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{model}'"));
    cluster.psql(&format!("CREATE DATABASE {name} TEMPLATE {model}"));
    cluster.url(&name)
}
