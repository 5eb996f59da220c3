//! A store of an engine, empty at the beginning.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::ProptestConfig;
use rusqlite::Connection;
use tempfile::TempDir;

use super::places::Places;
use super::view::View;
use crate::engine::{Engine, WriteItem, WriteOutcome};
use crate::fixture::On;
use crate::postgres::engine::PgEngine;
use crate::postgres::line::Opening as PgOpening;
use crate::postgres::target::Target;
use crate::records::{AppendOutcome, NewDocument, NewQuarantine, QuarantineOutcome};
use crate::sqlite::disk::OpenFiles;
use crate::sqlite::{Opening, SqliteEngine};
use crate::{Facts, Operator, Reader, Registry, Store, StoreConfig};

const ROOM: u64 = 64 << 20;
/// Longer than any answer of a healthy server on a loaded machine.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// More than any close of these tests needs.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

impl On {
    /// So many cases of a property; fewer where a store takes longer to make.
    pub(crate) fn cases(self, most: u32) -> ProptestConfig {
        let cases = match self {
            Self::Sqlite => most,
            Self::Postgres => most / 8,
        };
        // No file with failures: what fails is printed and becomes a table row.
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
    }
}

/// Where the store lies.
enum Home {
    Folder(TempDir),
    Database(String),
}

/// A store that nobody has open.
pub(crate) struct ClosedBench {
    home: Home,
}

/// A store and the journal's engine, by which a test cuts its batches.
pub(crate) struct Bench {
    engine: Box<dyn Engine>,
    places: Rc<Places>,
    home: Home,
}

impl Home {
    fn new(on: On) -> Self {
        match on {
            On::Sqlite => Self::Folder(tempfile::tempdir().unwrap()),
            On::Postgres => Self::Database(pg_testing::shared_without_sync().create_database()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Folder(folder) => format!("sqlite:{}", folder.path().join("store.db").display()),
            Self::Database(name) => pg_testing::shared_without_sync().url(name),
        }
    }

    fn engine(&self, quarantine_max_bytes: u64) -> Box<dyn Engine> {
        match self {
            Self::Folder(folder) => {
                let (path, files) = (folder.path().join("store.db"), OpenFiles::default());
                let engine = SqliteEngine::open(&path, quarantine_max_bytes, Opening::Start, files);
                Box::new(engine.expect("an engine"))
            }
            Self::Database(_) => {
                let target = Target::parse(&self.url()).expect("an address");
                let engine =
                    PgEngine::open(&target, quarantine_max_bytes, &PgOpening::Start, ANSWER_PATIENCE);
                Box::new(engine.expect("an engine"))
            }
        }
    }
}

/// An empty place for a store that a test opens itself.
pub(crate) struct Site {
    home: Home,
}

impl Site {
    pub(crate) fn new(on: On) -> Self {
        Self { home: Home::new(on) }
    }

    pub(crate) fn url(&self) -> String {
        self.home.url()
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig { url: self.url(), ..StoreConfig::default() }
    }

    /// The store as a daemon opens it.
    pub(crate) fn open(&self) -> Store {
        Store::open(&self.config()).expect("a store")
    }

    pub(crate) fn places(&self) -> Places {
        Places::new(Reader::open(&self.url()).expect("a reader"))
    }
}

impl ClosedBench {
    pub(crate) fn url(&self) -> String {
        self.home.url()
    }

    /// The file of the store.
    pub(crate) fn file(&self) -> PathBuf {
        match &self.home {
            Home::Folder(folder) => folder.path().join("store.db"),
            Home::Database(name) => panic!("{name} is no file"),
        }
    }
}

impl Bench {
    pub(crate) fn new(on: On) -> Self {
        Self::with_room(on, ROOM)
    }

    /// With so many bytes for quarantined copies.
    pub(crate) fn with_room(on: On, quarantine_max_bytes: u64) -> Self {
        let home = Home::new(on);
        let engine = home.engine(quarantine_max_bytes);
        let places = Rc::new(Places::new(Reader::open(&home.url()).unwrap()));
        Self { engine, places, home }
    }

    pub(crate) fn url(&self) -> String {
        self.home.url()
    }

    pub(super) fn places(&self) -> Rc<Places> {
        Rc::clone(&self.places)
    }

    /// The position of the document at a place.
    pub(crate) fn at(&self, place: i64) -> i64 {
        self.places.at(place)
    }

    /// Writes one batch.
    pub(crate) fn write(&mut self, items: &[WriteItem]) -> Vec<WriteOutcome> {
        let mut outcomes = self.engine.commit(items).unwrap();
        for outcome in &mut outcomes {
            match outcome {
                WriteOutcome::Append(
                    AppendOutcome::Appended { seq }
                    | AppendOutcome::Conflict { seq }
                    | AppendOutcome::Repeat { seq, .. },
                )
                | WriteOutcome::Quarantine(QuarantineOutcome::Acknowledged { seq, .. }) => {
                    self.places.name(seq);
                }
                WriteOutcome::Quarantine(_) | WriteOutcome::Refused { .. } => {}
            }
        }
        outcomes
    }

    /// Appends one batch.
    pub(crate) fn append(&mut self, documents: &[NewDocument]) -> Vec<AppendOutcome> {
        let items: Vec<_> =
            documents.iter().map(|document| WriteItem::Document(Box::new(document.clone()))).collect();
        let outcomes = self.write(&items).into_iter().map(|outcome| match outcome {
            WriteOutcome::Append(outcome) => outcome,
            other => panic!("{other:?}"),
        });
        outcomes.collect()
    }

    /// Quarantines one batch.
    pub(crate) fn keep(&mut self, copies: Vec<NewQuarantine>) -> Vec<QuarantineOutcome> {
        let items: Vec<_> = copies.into_iter().map(|copy| WriteItem::Quarantine(Box::new(copy))).collect();
        let outcomes = self.write(&items).into_iter().map(|outcome| match outcome {
            WriteOutcome::Quarantine(outcome) => outcome,
            other => panic!("{other:?}"),
        });
        outcomes.collect()
    }

    /// Without a process that uses it.
    pub(crate) fn closed(self) -> ClosedBench {
        let Self { engine, places, home } = self;
        drop((engine, places));
        ClosedBench { home }
    }

    /// For reading; names documents by their places.
    pub(crate) fn reader(&self) -> View {
        View::new(&self.url(), self.places())
    }

    pub(crate) fn operator(&self) -> Operator {
        Operator::open(&self.url()).unwrap()
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::open(&self.url()).unwrap()
    }

    /// The place of the document at a position.
    pub(crate) fn place(&self, seq: i64) -> i64 {
        self.places.of(seq)
    }

    /// What reception knows of registers after a start.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        let config = StoreConfig { url: self.url(), ..StoreConfig::default() };
        Store::open(&config).expect("a store").facts()
    }

    /// Changes the tables behind the store's back.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.home {
            Home::Folder(folder) => {
                let connection = Connection::open(folder.path().join("store.db")).unwrap();
                connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Home::Database(name) => {
                pg_testing::shared_without_sync().psql_in(name, sql);
            }
        }
    }

    /// Chain and number of conflict of everything under (ФН, ФД), in order of arrival.
    pub(crate) fn chains(&self, fn_text: &str, fd: u32) -> Vec<(u32, u32)> {
        let rows = self.reader().document(fn_text, fd);
        rows.iter().map(|row| (row.chain, row.conflict_no)).collect()
    }
}

pub(crate) fn appended(seq: i64) -> AppendOutcome {
    AppendOutcome::Appended { seq }
}

pub(crate) fn conflict(seq: i64) -> AppendOutcome {
    AppendOutcome::Conflict { seq }
}

pub(crate) fn repeat(seq: i64, of: &NewDocument) -> AppendOutcome {
    AppendOutcome::Repeat { seq, acknowledgement: of.acknowledgement.clone() }
}
