//! Connections that read, to either engine.

use std::path::Path;

use rusqlite::Connection;

use crate::StoreError;
use crate::config::sqlite_path;
use crate::postgres::second::Following;
use crate::postgres::{Purpose, Target, is_postgres};
use crate::sql::Db;
use crate::sqlite::open_reader;

/// Rows of which a transaction at a server is made.
const MOST_AT_A_SERVER: usize = 64;

/// A store that is read.
#[derive(Debug)]
pub(crate) enum ReadStore {
    /// A file.
    Sqlite(Connection),
    /// A server.
    Postgres(Box<Following>),
}

impl ReadStore {
    /// Opens a store that is there.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        if is_postgres(url) {
            return Self::open_server(Target::parse(url)?);
        }
        Self::open_path(&sqlite_path(url)?)
    }

    /// Opens a session with a server.
    pub(crate) fn open_server(target: Target) -> Result<Self, StoreError> {
        Ok(Self::Postgres(Box::new(Following::open(target, Purpose::Reading)?)))
    }

    /// Opens a file.
    pub(crate) fn open_path(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(open_reader(path)?))
    }

    pub(crate) fn db(&self) -> Db<'_> {
        match self {
            Self::Sqlite(connection) => Db::from(connection),
            Self::Postgres(session) => session.db(),
        }
    }

    /// Up to where the journal may be followed by what is asked after this: no position up to there will come to be seen
    /// later.
    pub(crate) fn horizon(&self) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(i64::MAX),
            Self::Postgres(session) => session.horizon(),
        }
    }

    /// Rows read as the beginning of one transaction: at a server each of them costs round trips, and reception may wait
    /// for the transaction.
    pub(crate) fn most_of_a_transaction(&self) -> usize {
        match self {
            Self::Sqlite(_) => usize::MAX,
            Self::Postgres(_) => MOST_AT_A_SERVER,
        }
    }
}
