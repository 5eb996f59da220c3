//! The watcher of register facts: notices what other connections committed and adds it to the memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::registers::facts_after;
use super::{open_reader, store_error};
use crate::facts::Facts;
use crate::{StoreError, Unavailability};

/// How often the file is looked at; the promise is one second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a stop waits for a look that is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A thread with a reading connection of its own. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct FactsWatcher {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

struct Watch {
    path: PathBuf,
    facts: Arc<Facts>,
    /// None after an error: opened anew at the next look.
    connection: Option<Connection>,
    /// `PRAGMA data_version` at the newest look: unchanged means that nobody committed anything.
    data_version: Option<i64>,
    version: i64,
    failing: bool,
}

impl FactsWatcher {
    /// Reads all facts, then starts the thread.
    pub(crate) fn start(path: PathBuf, facts: Arc<Facts>) -> Result<Self, StoreError> {
        let mut watch =
            Watch { path, facts, connection: None, data_version: None, version: -1, failing: false };
        watch.look()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("facts".to_owned())
            .spawn(move || {
                watch.run(&stop);
                // The connection is closed before the end is told.
                drop(watch);
                let _ = end.send(());
            })
            .map_err(|error| StoreError::unavailable(Unavailability::CannotOpen, error.to_string()))?;
        Ok(Self { stopping, thread, ended })
    }

    /// Ends the thread and waits until it has closed the file, at most a second.
    pub(crate) async fn stop(mut self) {
        self.begin_stop();
        // Past the patience it ends by itself a little later.
        let _ = tokio::time::timeout(STOP_PATIENCE, &mut self.ended).await;
    }

    fn begin_stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}

impl Drop for FactsWatcher {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

impl Watch {
    fn run(&mut self, stopping: &AtomicBool) {
        while !stopping.load(Ordering::SeqCst) {
            std::thread::park_timeout(LOOK_INTERVAL);
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
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let connection = opened(&mut self.connection, &self.path)?;
        let data_version: i64 =
            connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(store_error)?;
        if self.data_version == Some(data_version) {
            return Ok(());
        }
        let new = facts_after(connection, self.version).map_err(store_error)?;
        self.facts.learn(new.fn_numbers, new.serials);
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
