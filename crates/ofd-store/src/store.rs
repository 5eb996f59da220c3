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
use crate::sqlite::disk::{FileId, OpenFiles};
use crate::sqlite::second::Beside;
use crate::sqlite::watch::Watch;
use crate::sqlite::{Opening, SqliteEngine, open_reader, store_error};
use crate::tables::clock;
use crate::turnstile::Turnstile;
use crate::watcher::{Guard, Watcher};
use crate::{Forwarding, Registry, StoreConfig, StoreError};

/// An open store. Dropping it lets the journal drain by itself; [`Store::close`] waits for that.
#[derive(Debug)]
pub struct Store {
    journal: Journal,
    facts: Arc<Facts>,
    watcher: Watcher,
    history: Arc<HistoryReader>,
    confirmations: watch::Receiver<Option<ClockConfirmation>>,
    path: PathBuf,
    files: OpenFiles,
    /// Which file it is.
    same: Option<FileId>,
    turnstile: Turnstile,
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
        let path = sqlite_path(&config.url)?;
        // SQLite puts the log beside the file that a link leads to; so must we. A file not made yet is no link.
        let path = path.canonicalize().unwrap_or(path);
        let (room, files) = (config.quarantine_max_bytes(), OpenFiles::default());
        let turnstile = Turnstile::default();
        let engine =
            SqliteEngine::open(&path, room, Opening::Start, files.clone())?.in_turn(turnstile.clone());
        let same = SqliteEngine::file_id(&path);
        let facts = Arc::new(Facts::default());
        let watch = Watch::begin(&path, Arc::clone(&facts))?;
        let confirmations = watch.confirmations();
        let journal = Journal::start(
            JournalSettings::from_config(config),
            Box::new(engine),
            reopen(path.clone(), room, same, files.clone(), turnstile.clone()),
        )?;
        let guard = Guard::new(journal.handle(), files.clone(), config.min_free_bytes());
        let watcher = Watcher::start(watch, guard)?;
        let history = Arc::new(HistoryReader::new(&path));
        Ok(Self { journal, facts, watcher, history, confirmations, path, files, same, turnstile })
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
        clock::newest_acknowledged(&open_reader(&self.path)?).map_err(store_error)
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
        Forwarding::beside(&self.path, self.beside())
    }

    /// A connection for registrations, which takes turns with the journal's writer. To be dropped before the store is
    /// closed.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened.
    pub fn registry(&self) -> Result<Registry, StoreError> {
        Registry::beside(&self.path, self.beside())
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
    fn beside(&self) -> Beside {
        Beside {
            turnstile: self.turnstile.clone(),
            files: self.files.clone(),
            same: self.same,
            journal: self.journal.handle(),
        }
    }
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
