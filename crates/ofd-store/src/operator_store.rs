//! Short writes of an operator's command, to either engine.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::StoreError;
use crate::config::sqlite_path;
use crate::postgres::second::require_store;
use crate::postgres::{Purpose, Target, is_postgres};
use crate::sql::{self, Db, PgSession, store_error};
use crate::sqlite::{keys, log, open_operator, verify, write_once};

/// How long a transaction is tried again on a server while others are at the same rows.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Takes the turns of all that an operator may write, in the order in which everybody takes them, before the snapshot is
/// taken.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; \
     LOCK TABLE journal_lock, registration_lock, registers_lock, quarantine_lock, outbox_lock IN EXCLUSIVE MODE";

/// A store in which a command writes.
#[derive(Debug)]
pub(crate) enum OperatorStore {
    /// A file.
    Sqlite(Connection),
    /// A server.
    Postgres(Box<PgSession>),
}

impl OperatorStore {
    /// Opens a store that is there and of this program's version.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        if is_postgres(url) {
            let target = Target::parse(url)?;
            let place = target.masked().to_owned();
            let session = PgSession::new(target, Purpose::Writing);
            session.open().map_err(store_error)?;
            require_store(Db::Postgres(&session), &place)?;
            return Ok(Self::Postgres(Box::new(session)));
        }
        Ok(Self::Sqlite(open_operator(&sqlite_path(url)?)?))
    }

    /// For reading.
    pub(crate) fn db(&self) -> Db<'_> {
        match self {
            Self::Sqlite(connection) => Db::from(connection),
            Self::Postgres(session) => Db::Postgres(session),
        }
    }

    /// One short transaction. On a server `work` is run anew when somebody else was at the same rows.
    pub(crate) fn write<T>(
        &mut self,
        mut work: impl FnMut(Db<'_>) -> sql::Result<T>,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(connection) => write_once(connection, |transaction| work(Db::from(transaction))),
            Self::Postgres(session) => {
                let deadline = Instant::now() + PATIENCE;
                loop {
                    match session.transaction(BEGIN, || work(Db::Postgres(session))) {
                        Err(error) if error.is_busy() && Instant::now() < deadline => {
                            std::thread::sleep(PAUSE);
                        }
                        result => return result.map_err(store_error),
                    }
                }
            }
        }
    }

    /// Whether the index of the journal had to be made anew, and was.
    pub(crate) fn rebuild_index(&mut self) -> Result<bool, StoreError> {
        let Self::Sqlite(connection) = self else { return Ok(false) };
        if verify::index_agrees(connection)? {
            return Ok(false);
        }
        write_once(connection, |transaction| Ok(keys::check::rebuild(transaction)?))?;
        log::copy_left(connection).map_err(store_error)?;
        Ok(true)
    }

    /// After much was written: a log that nobody else keeps short is copied. Never waits.
    pub(crate) fn keep_log_short(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => log::copy_left(connection).map_err(store_error),
            Self::Postgres(_) => Ok(()),
        }
    }
}
