//! What other connections committed and the daemon has to know: register facts, the operator's word about the clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

use super::{open_reader, store_error};
use crate::StoreError;
use crate::clock::ClockConfirmation;
use crate::facts::Facts;
use crate::tables::clock::newest_confirmation;
use crate::tables::registers::facts_after;

/// A look at the register facts from time to time, with a reading connection of its own.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    facts: Arc<Facts>,
    confirmation: watch::Sender<Option<ClockConfirmation>>,
    /// None after an error: opened anew at the next look.
    connection: Option<Connection>,
    /// `PRAGMA data_version` at the newest look: unchanged means that nobody committed anything.
    data_version: Option<i64>,
    version: i64,
    failing: bool,
}

impl Watch {
    /// Reads all facts.
    pub(crate) fn begin(path: &Path, facts: Arc<Facts>) -> Result<Self, StoreError> {
        let mut watch = Self {
            path: path.to_path_buf(),
            facts,
            confirmation: watch::Sender::new(None),
            connection: None,
            data_version: None,
            version: -1,
            failing: false,
        };
        watch.look()?;
        Ok(watch)
    }

    /// The file that is looked at.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The newest confirmation of the clock, from the first look on.
    pub(crate) fn confirmations(&self) -> watch::Receiver<Option<ClockConfirmation>> {
        self.confirmation.subscribe()
    }

    /// Adds what is new; an error is told once, until it works again.
    pub(crate) fn renew(&mut self) {
        match self.look() {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "register facts cannot be read; those known stay in force");
                }
                self.failing = true;
                self.connection = None;
                self.data_version = None;
            }
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let connection = opened(&mut self.connection, &self.path)?;
        let data_version: i64 =
            connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(store_error)?;
        if self.data_version == Some(data_version) {
            return Ok(());
        }
        let new = facts_after(connection, self.version).map_err(store_error)?;
        let confirmed = newest_confirmation(connection).map_err(store_error)?;
        self.confirmation.send_if_modified(|known| {
            let changed = *known != confirmed;
            *known = confirmed;
            changed
        });
        self.facts.apply(new.changes);
        self.version = new.version;
        // Only now: after an error the same look is taken again.
        self.data_version = Some(data_version);
        Ok(())
    }
}

fn opened<'c>(connection: &'c mut Option<Connection>, path: &Path) -> Result<&'c Connection, StoreError> {
    match connection {
        Some(open) => Ok(open),
        None => Ok(connection.insert(open_reader(path)?)),
    }
}
