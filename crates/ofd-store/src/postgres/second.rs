//! Writers beside the journal, and readers that follow it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::horizon::{self, Horizon};
use super::{Purpose, Target, schema};
use crate::second::Family;
use crate::sql::{self, Db, PgSession, store_error};
use crate::{StoreError, Unavailability};

/// How long a write is tried again while others are quicker.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 10_000 } else { 30_000 });
/// Between two attempts; the locks wait by themselves, this is for what they do not cover.
const PAUSE: Duration = Duration::from_millis(5);

/// A session that writes.
#[derive(Debug)]
pub(crate) struct SecondWriter {
    session: Following,
    begin: &'static str,
}

/// A session that can follow the journal.
#[derive(Debug)]
pub(crate) struct Following {
    session: PgSession,
    /// What is known of the horizon, and of which connection with which server.
    horizon: RefCell<(Horizon, [i64; 2])>,
}

impl Family {
    /// The beginning of a transaction. The locks come before its first look at the rows, so that it sees all that those
    /// before it have written; and always in the same order.
    fn begin(self) -> &'static str {
        match self {
            Self::Outbox => "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE outbox_lock IN EXCLUSIVE MODE",
            Self::Registration => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ; \
                 LOCK TABLE registration_lock, registers_lock, outbox_lock IN EXCLUSIVE MODE"
            }
        }
    }
}

impl SecondWriter {
    /// Opens a store that is there.
    pub(crate) fn open(url: &str, family: Family) -> Result<Self, StoreError> {
        Ok(Self { session: Following::open(Target::parse(url)?, Purpose::Writing)?, begin: family.begin() })
    }

    pub(crate) fn db(&self) -> Db<'_> {
        self.session.db()
    }

    pub(crate) fn horizon(&self) -> Result<i64, StoreError> {
        self.session.horizon()
    }

    /// One transaction. `work` is run anew when it met another one.
    ///
    /// When the connection breaks at the commit nobody knows what became of it, and nothing is tried again here: whoever
    /// writes begins with what is there. The forwarder ends its session and takes over what that one left; a change of
    /// registrations names the versions that it was decided by.
    pub(crate) fn write<T>(&self, mut work: impl FnMut(Db<'_>) -> sql::Result<T>) -> Result<T, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.session.session.transaction(self.begin, || work(self.db())) {
                Err(error) if error.is_busy() && Instant::now() < deadline => std::thread::sleep(PAUSE),
                result => return result.map_err(store_error),
            }
        }
    }
}

impl Following {
    /// Opens a store that is there.
    pub(crate) fn open(target: Target, purpose: Purpose) -> Result<Self, StoreError> {
        let place = target.masked().to_owned();
        let session = PgSession::new(target, purpose);
        session.open().map_err(store_error)?;
        require_store(Db::Postgres(&session), &place)?;
        Ok(Self { session, horizon: RefCell::default() })
    }

    pub(crate) fn db(&self) -> Db<'_> {
        Db::Postgres(&self.session)
    }

    /// The settled position. What is read after this sees everything up to it.
    pub(crate) fn horizon(&self) -> Result<i64, StoreError> {
        self.look().map_err(store_error)
    }

    fn look(&self) -> sql::Result<i64> {
        let (newest, connection) = self
            .db()
            .query_row(horizon::NEWEST_HERE, [], |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?])))?;
        let mut holders = self.db().prepare(horizon::HOLDERS)?;
        let holders = holders.query_map([], |row| row.get(0))?.collect::<sql::Result<Vec<String>>>()?;
        let mut known = self.horizon.borrow_mut();
        if known.1 != connection {
            // Another connection, perhaps with another server.
            *known = (Horizon::default(), connection);
        }
        Ok(known.0.advance(newest, holders))
    }
}

/// Looks that there is a store, and of a version that this program works with.
pub(crate) fn require_store(db: Db<'_>, place: &str) -> Result<(), StoreError> {
    let is_there: bool = db.query_row(schema::IS_THERE, [], |row| row.get(0)).map_err(store_error)?;
    if !is_there {
        return Err(StoreError::unavailable(
            Unavailability::CannotOpen,
            format!("there is no store in {place}: `fiscald serve` makes one"),
        ));
    }
    schema::fits(db.query_row(schema::VERSION, [], |row| row.get(0)).map_err(store_error)?)
}
