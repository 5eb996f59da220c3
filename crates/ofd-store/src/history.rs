//! What the store remembers of one ФН, for the checks that look beyond the document in hand.
//!
//! Asked when a ФН comes back after a restart (or after it was forgotten), not for every document: a look costs a few
//! reads by index and takes nothing from the writer.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use ffd::ids::FnNumber;

use crate::StoreError;
use crate::postgres::Target;
use crate::reading::ReadStore;
use crate::sql::store_error;
use crate::tables::history;

/// Most documents of a shift that [`HistoryReader::load`] gives out.
pub const MAX_HISTORY_DOCUMENTS: usize = 2000;

/// Connections that read at the same time; whoever comes later waits for one of them.
const HISTORY_CONNECTIONS: usize = 4;

/// Documents of the newest chain of one ФН, opened. Left out are conflicts, what could not be read (code 11), and what is
/// not the document its container announces (findings `identity.*`). Told to the checks in this order: first
/// `registration`, then `shift`; the ФД numbers only rise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisterHistory {
    /// The newest report of registration or of its change (form 1 or 11) before the first document of `shift`. A
    /// newer report lies in `shift`.
    pub registration: Option<Vec<u8>>,
    /// Everything from the newest opening of a shift (form 2) on; without one, everything that is there, or the newest
    /// documents if that is too much.
    pub shift: Vec<Vec<u8>>,
    /// Documents are missing at the beginning of `shift`: it begins neither with form 2 nor with the first document of
    /// the ФН, so that sums over the shift are not known.
    pub cut: bool,
}

/// Reads histories beside the writer, from any thread. Connections are opened when first needed; one that met an error
/// is closed and replaced at the next call.
#[derive(Debug)]
pub struct HistoryReader {
    address: Address,
    pool: Mutex<Pool>,
    returned: Condvar,
}

/// Where the store lies.
#[derive(Debug)]
enum Address {
    File(PathBuf),
    Server(Box<Target>),
}

impl Address {
    fn open(&self) -> Result<ReadStore, StoreError> {
        match self {
            Self::File(path) => ReadStore::open_path(path),
            Self::Server(target) => ReadStore::open_server((**target).clone()),
        }
    }
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<ReadStore>,
    busy: usize,
    closed: bool,
}

impl HistoryReader {
    pub(crate) fn new(path: &Path) -> Self {
        Self::of(Address::File(path.to_path_buf()))
    }

    /// Whether the store is on a server, where other nodes may write too.
    #[must_use]
    pub fn is_on_server(&self) -> bool {
        matches!(self.address, Address::Server(_))
    }

    /// Of a store on a server.
    pub(crate) fn on_server(target: Target) -> Self {
        Self::of(Address::Server(Box::new(target)))
    }

    fn of(address: Address) -> Self {
        Self { address, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// The history of a ФН, at most [`MAX_HISTORY_DOCUMENTS`] documents and some 16 MiB; `None` when nothing of it is
    /// stored that says anything.
    ///
    /// Blocks: it reads the disk, and waits while four others read.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn load(&self, fn_number: &FnNumber) -> Result<Option<RegisterHistory>, StoreError> {
        let taken = self.take()?;
        let result = history::load(taken.store.db(), fn_number, MAX_HISTORY_DOCUMENTS).map_err(store_error);
        taken.give_back(result.is_ok());
        result
    }
}

impl HistoryReader {
    /// Closes the connections; from now on nothing is read. One that is reading is closed when it is done.
    pub(crate) fn close(&self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.closed = true;
        pool.idle.clear();
    }

    /// Takes a connection out of the pool, or opens one.
    fn take(&self) -> Result<Taken<'_>, StoreError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.busy >= HISTORY_CONNECTIONS {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        if pool.closed {
            return Err(StoreError::closed());
        }
        pool.busy += 1;
        let idle = pool.idle.pop();
        drop(pool);
        let place = Place { reader: self, returned: None };
        let store = match idle {
            Some(store) => store,
            None => self.address.open()?,
        };
        Ok(Taken { store, place })
    }
}

/// A connection that is in use.
struct Taken<'r> {
    store: ReadStore,
    place: Place<'r>,
}

/// One of the places in the pool; given up when dropped, with the connection if it is to be used again.
struct Place<'r> {
    reader: &'r HistoryReader,
    returned: Option<ReadStore>,
}

impl Taken<'_> {
    fn give_back(mut self, sound: bool) {
        if sound {
            self.place.returned = Some(self.store);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.reader.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.busy = pool.busy.saturating_sub(1);
        if !pool.closed {
            pool.idle.extend(self.returned.take());
        }
        drop(pool);
        self.reader.returned.notify_one();
    }
}
