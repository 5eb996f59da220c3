//! What other connections committed and the daemon has to know: register facts, the operator's word about the clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::StoreError;
use crate::clock::ClockConfirmation;
use crate::facts::Facts;
use crate::postgres::Target;
use crate::reading::ReadStore;
use crate::sql::store_error;
use crate::tables::clock::newest_confirmation;
use crate::tables::registers::facts_after;

/// A look at the register facts from time to time, with a reading connection of its own.
#[derive(Debug)]
pub(crate) struct Watch {
    place: Watched,
    facts: Arc<Facts>,
    confirmation: watch::Sender<Option<ClockConfirmation>>,
    /// None after an error: opened anew at the next look.
    store: Option<ReadStore>,
    /// `PRAGMA data_version` at the newest look: unchanged means that nobody committed anything. None for a server, where
    /// asking for it costs as much as asking for what is looked for.
    data_version: Option<i64>,
    version: i64,
    failing: bool,
}

/// What is looked at.
#[derive(Debug)]
pub(crate) enum Watched {
    /// A file.
    File(PathBuf),
    /// A database.
    Server(Box<Target>),
}

impl Watch {
    /// Reads all facts.
    pub(crate) fn begin(place: Watched, facts: Arc<Facts>) -> Result<Self, StoreError> {
        let mut watch = Self {
            place,
            facts,
            confirmation: watch::Sender::new(None),
            store: None,
            data_version: None,
            version: -1,
            failing: false,
        };
        watch.look()?;
        Ok(watch)
    }

    /// The file that is looked at, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Watched::File(path) => Some(path),
            Watched::Server(_) => None,
        }
    }

    /// What the looks are taken for.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts)
    }

    /// The newest confirmation of the clock, from the first look on.
    pub(crate) fn confirmations(&self) -> watch::Receiver<Option<ClockConfirmation>> {
        self.confirmation.subscribe()
    }

    /// Adds what is new; an error is told once, until it works again.
    pub(crate) fn renew(&mut self) {
        let facts = Arc::clone(&self.facts);
        match facts.looks().take(|| self.look()) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "register facts cannot be read; those known stay in force");
                }
                self.failing = true;
                self.store = None;
                self.data_version = None;
            }
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let store = opened(&mut self.store, &self.place)?;
        let data_version = data_version(store)?;
        if data_version.is_some() && self.data_version == data_version {
            return Ok(());
        }
        let new = facts_after(store.db(), self.version).map_err(store_error)?;
        let confirmed = newest_confirmation(store.db()).map_err(store_error)?;
        self.confirmation.send_if_modified(|known| {
            let changed = *known != confirmed;
            *known = confirmed;
            changed
        });
        self.facts.apply(new.changes);
        self.version = new.version;
        // Only now: after an error the same look is taken again.
        self.data_version = data_version;
        Ok(())
    }
}

fn data_version(store: &ReadStore) -> Result<Option<i64>, StoreError> {
    match store {
        ReadStore::Sqlite(connection) => {
            let version = connection.pragma_query_value(None, "data_version", |row| row.get(0));
            version.map(Some).map_err(store_error)
        }
        ReadStore::Postgres(_) => Ok(None),
    }
}

fn opened<'s>(store: &'s mut Option<ReadStore>, place: &Watched) -> Result<&'s ReadStore, StoreError> {
    match store {
        Some(open) => Ok(open),
        None => Ok(store.insert(match place {
            Watched::File(path) => ReadStore::open_path(path)?,
            Watched::Server(target) => ReadStore::open_server((**target).clone())?,
        })),
    }
}
