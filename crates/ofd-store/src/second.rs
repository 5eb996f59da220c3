//! Writers beside the journal: the forwarder and the registrations, on either engine.

use std::path::Path;

use crate::StoreError;
use crate::config::sqlite_path;
use crate::postgres::is_postgres;
use crate::postgres::second::SecondWriter as PostgresWriter;
use crate::sql::{self, Db};
use crate::sqlite::second::{Beside, SecondWriter as SqliteWriter};

/// A writer of other rows than the journal's, as durable as those.
#[derive(Debug)]
pub(crate) enum SecondWriter {
    /// Of a file.
    Sqlite(SqliteWriter),
    /// Of a server.
    Postgres(Box<PostgresWriter>),
}

/// What a writer writes: on a server those of one family take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// The outbox.
    Outbox,
    /// Contracts, registers and their papers, and what they say about the outbox and to reception.
    Registration,
}

impl SecondWriter {
    /// Opens a store that is there and of this program's version, for a process without a journal.
    pub(crate) fn open(url: &str, family: Family) -> Result<Self, StoreError> {
        if is_postgres(url) {
            return Ok(Self::Postgres(Box::new(PostgresWriter::open(url, family)?)));
        }
        Ok(Self::Sqlite(SqliteWriter::open(&sqlite_path(url)?, None)?))
    }

    /// Opens the file of the journal of this process.
    pub(crate) fn beside(path: &Path, beside: Beside) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(SqliteWriter::open(path, Some(beside))?))
    }

    /// Whether writers of other hosts may be at the same rows.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// For reading.
    pub(crate) fn db(&self) -> Db<'_> {
        match self {
            Self::Sqlite(writer) => writer.db(),
            Self::Postgres(writer) => writer.db(),
        }
    }

    /// Up to where the journal may be followed by a transaction that begins after this: no position up to there will come
    /// to be seen later.
    pub(crate) fn horizon(&mut self) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(i64::MAX),
            Self::Postgres(writer) => writer.horizon(),
        }
    }

    /// One transaction. `work` is run anew when somebody else held the database.
    ///
    /// After an error nothing was written, unless the database or the way to it failed at the commit: then nobody knows.
    pub(crate) fn write<T>(&mut self, work: impl FnMut(Db<'_>) -> sql::Result<T>) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(writer) => writer.write(work),
            Self::Postgres(writer) => writer.write(work),
        }
    }
}
