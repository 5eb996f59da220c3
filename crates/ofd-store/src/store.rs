//! The store of a running daemon: journal, register facts, and the watcher that keeps them fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::ClockConfirmation;
use crate::config::sqlite_path;
use crate::engine::{Engine, EngineFactory};
use crate::facts::Facts;
use crate::history::HistoryReader;
use crate::journal::{Journal, JournalHandle, JournalSettings, StoreStatus};
use crate::postgres::{self, PgEngine, Target, is_postgres};
use crate::reading::ReadStore;
use crate::sql::store_error;
use crate::sqlite::disk::{FileId, OpenFiles};
use crate::sqlite::second::Beside;
use crate::sqlite::{Opening, SqliteEngine};
use crate::tables::clock;
use crate::turnstile::Turnstile;
use crate::watch::{Watch, Watched};
use crate::watcher::{Guard, Watcher};
use crate::{Forwarding, Registry, StoreConfig, StoreError, Unavailability};

/// An open store. Dropping it lets the journal drain by itself; [`Store::close`] waits for that.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    facts: Arc<Facts>,
    watcher: Watcher,
    history: Arc<HistoryReader>,
    confirmations: watch::Receiver<Option<ClockConfirmation>>,
    place: Place,
}

/// Where the store lies.
#[derive(Debug)]
enum Place {
    /// In a file.
    File {
        path: PathBuf,
        files: OpenFiles,
        /// Which file it is.
        same: Option<FileId>,
        turnstile: Turnstile,
    },
    /// On a server.
    Server { address: Address, target: Box<Target> },
}

/// An address that may hold a password.
struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&postgres::masked(&self.0))
    }
}

impl Store {
    /// Opens the store (creates it where there is none, upgrades an older one), reads the register facts, and
    /// starts the writer and the watcher.
    ///
    /// Blocks while it reads and syncs; meant for the start of the program.
    ///
    /// # Errors
    /// [`StoreError`]: a bad setting, a file of somebody else, a newer file, a damaged one, or one that cannot be
    /// opened or is held by somebody else.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        config.validate()?;
        if is_postgres(&config.url) { Self::on_server(config) } else { Self::in_file(config) }
    }

    fn in_file(config: &StoreConfig) -> Result<Self, StoreError> {
        let path = sqlite_path(&config.url)?;
        // SQLite puts the log beside the file that a link leads to; so must we. A file not made yet is no link.
        let path = path.canonicalize().unwrap_or(path);
        let (room, files) = (config.quarantine_max_bytes(), OpenFiles::default());
        let turnstile = Turnstile::default();
        let engine =
            SqliteEngine::open(&path, room, Opening::Start, files.clone())?.in_turn(turnstile.clone());
        let same = SqliteEngine::file_id(&path);
        let reopen = reopen(path.clone(), room, same, files.clone(), turnstile.clone());
        let history = HistoryReader::new(&path);
        let watched = Watched::File(path.clone());
        let place = Place::File { path, files, same, turnstile };
        Self::around(config, Box::new(engine), reopen, watched, history, place)
    }

    fn on_server(config: &StoreConfig) -> Result<Self, StoreError> {
        let address = Address(config.address());
        let target = Target::parse(&address.0)?;
        let engine = opened_apart(&target, config)?;
        let reopen = reopen_server(target.clone(), config, engine.store_id().to_owned());
        let history = HistoryReader::on_server(target.clone());
        let watched = Watched::Server(Box::new(target.clone()));
        let place = Place::Server { address, target: Box::new(target) };
        Self::around(config, Box::new(engine), reopen, watched, history, place)
    }

    fn around(
        config: &StoreConfig,
        engine: Box<dyn Engine>,
        reopen: EngineFactory,
        watched: Watched,
        history: HistoryReader,
        place: Place,
    ) -> Result<Self, StoreError> {
        let facts = Arc::new(Facts::default());
        let watch = Watch::begin(watched, Arc::clone(&facts))?;
        let confirmations = watch.confirmations();
        let journal = Journal::start(JournalSettings::from_config(config), engine, reopen)?;
        let files = match &place {
            Place::File { files, .. } => files.clone(),
            Place::Server { .. } => OpenFiles::default(),
        };
        let guard = Guard::new(journal.handle(), files, config.min_free_bytes());
        let watcher = Watcher::start(watch, guard)?;
        Ok(Self { journal, facts, watcher, history: Arc::new(history), confirmations, place })
    }

    /// The way to the journal.
    #[must_use]
    pub fn journal(&self) -> JournalHandle {
        self.journal.handle()
    }

    /// The register facts, kept fresh within a second.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts)
    }

    /// What is stored of each ФН, for the checks that look beyond one document.
    #[must_use]
    pub fn history(&self) -> Arc<HistoryReader> {
        Arc::clone(&self.history)
    }

    /// The newest moment, by our own clock, at which something was stored that came after the newest confirmation of the
    /// clock; `None` when nothing came since. A clock that is behind it is wrong.
    ///
    /// Looks at the last 10,000 documents, which are nearly in the order of their moments: what it gives may be older
    /// than the newest by the seconds that a document waited for its commit.
    ///
    /// Blocks; meant for the start of the program.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn newest_acknowledged(&self) -> Result<Option<Timestamp>, StoreError> {
        let store = match &self.place {
            Place::File { path, .. } => ReadStore::open_path(path)?,
            Place::Server { target, .. } => ReadStore::open_server((**target).clone())?,
        };
        clock::newest_acknowledged(store.db()).map_err(store_error)
    }

    /// The newest confirmation of the clock by an operator, fresh within a second. What it holds at the start is already
    /// considered in [`Store::newest_acknowledged`].
    #[must_use]
    pub fn clock_confirmations(&self) -> watch::Receiver<Option<ClockConfirmation>> {
        self.confirmations.clone()
    }

    /// A connection for the forwarder, which takes turns with the journal's writer. To be dropped before the store is
    /// closed.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened.
    pub fn forwarding(&self) -> Result<Forwarding, StoreError> {
        match &self.place {
            Place::File { path, files, same, turnstile } => {
                Forwarding::beside(path, self.beside(files, *same, turnstile))
            }
            Place::Server { address, .. } => Forwarding::open(&address.0),
        }
    }

    /// A connection for registrations, which takes turns with the journal's writer. To be dropped before the store is
    /// closed.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened.
    pub fn registry(&self) -> Result<Registry, StoreError> {
        match &self.place {
            Place::File { path, files, same, turnstile } => {
                Registry::beside(path, self.beside(files, *same, turnstile))
            }
            Place::Server { address, .. } => Registry::open(&address.0),
        }
    }

    /// State of the journal.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        self.journal.handle().status()
    }

    /// Refuses new work, writes what is queued and closes the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that was not done within `grace` or could not be done.
    pub async fn close(self, grace: Duration) -> Result<(), StoreError> {
        let Self { journal, watcher, history, .. } = self;
        // First the readers, so that the writer is the last to close the file and leaves no log behind.
        history.close();
        watcher.stop().await;
        journal.close(grace).await
    }
}

impl Store {
    fn beside(&self, files: &OpenFiles, same: Option<FileId>, turnstile: &Turnstile) -> Beside {
        let (turnstile, files) = (turnstile.clone(), files.clone());
        Beside { turnstile, files, same, journal: self.journal.handle() }
    }
}

/// Opens the engine in a thread of its own: it runs a small runtime, and the caller may be within another one.
fn opened_apart(target: &Target, config: &StoreConfig) -> Result<PgEngine, StoreError> {
    let (room, patience) = (config.quarantine_max_bytes(), config.commit_timeout());
    let opening = || PgEngine::open(target, room, &postgres::Opening::Start, patience);
    std::thread::scope(|scope| scope.spawn(opening).join()).unwrap_or_else(|_| {
        Err(StoreError::unavailable(Unavailability::CannotOpen, "the opening of the store broke down"))
    })
}

fn reopen_server(target: Target, config: &StoreConfig, store_id: String) -> EngineFactory {
    let (room, patience) = (config.quarantine_max_bytes(), config.commit_timeout());
    let opening = postgres::Opening::AfterFailure { store_id };
    Box::new(move || {
        let engine = PgEngine::open(&target, room, &opening, patience)?;
        Ok(Box::new(engine) as Box<dyn Engine>)
    })
}

fn reopen(
    path: PathBuf,
    quarantine_max_bytes: u64,
    same: Option<FileId>,
    files: OpenFiles,
    turnstile: Turnstile,
) -> EngineFactory {
    let opening = Opening::AfterFailure { same };
    Box::new(move || {
        let engine = SqliteEngine::open(&path, quarantine_max_bytes, opening, files.clone())?;
        Ok(Box::new(engine.in_turn(turnstile.clone())) as Box<dyn Engine>)
    })
}
