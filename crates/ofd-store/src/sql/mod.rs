//! One SQL for two engines.
//!
//! What is kept beside the journal's own appending is written once, in SQL that SQLite and PostgreSQL both understand;
//! [`Db`] runs it on either. Values speak rusqlite's language on both: `ToSql` in, `FromSql` out, so that a column
//! type of ours is written once too.
//!
//! On PostgreSQL the text is translated (see `dialect`), parameters are encoded by the type the server expects, and the
//! rows of a statement are all read before the first is given out. So a statement that may find much needs a LIMIT, and
//! a caller who may stop early reads pages.
//!
//! Portable text: `?` or `?N`; `CAST(sum(x) AS BIGINT)` around sums; `RETURNING id`; comparisons instead of bare numbers
//! where a truth is asked for (`x <> 0`); no `INSERT OR`, no scalar `max`. A parameter whose type nothing tells
//! (`?1 IS NULL` alone) needs a CAST.

mod dialect;
mod error;
mod params;
mod row;
mod session;
#[cfg(test)]
mod tests;
mod value;
mod wait;

use rusqlite::{CachedStatement, Connection};

pub(crate) use self::error::{Constraint, Error, OptionalExtension, Result, store_error};
pub(crate) use self::params::{Params, params_from_iter};
pub(crate) use self::row::{MappedRows, Row, Rows};
pub(crate) use self::session::PgSession;
pub(crate) use self::value::storable;

/// A connection to either engine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Db<'c> {
    /// A file.
    Sqlite(&'c Connection),
    /// A session with a server.
    Postgres(&'c PgSession),
}

/// A statement that stays compiled on its connection.
pub(crate) enum Statement<'c> {
    /// Of a file.
    Sqlite(CachedStatement<'c>),
    /// Of a session.
    Postgres(session::Prepared<'c>),
}

impl<'c> From<&'c Connection> for Db<'c> {
    fn from(connection: &'c Connection) -> Self {
        Self::Sqlite(connection)
    }
}

impl<'c> Db<'c> {
    /// Compiles a statement, or finds it compiled.
    pub(crate) fn prepare(self, sql: &str) -> Result<Statement<'c>> {
        match self {
            Self::Sqlite(connection) => Ok(Statement::Sqlite(connection.prepare_cached(sql)?)),
            Self::Postgres(session) => Ok(Statement::Postgres(session.prepare(sql)?)),
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) fn execute(self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare(sql)?.execute(params)
    }

    /// The first row of a statement; [`Error::is_no_rows`] when there is none.
    pub(crate) fn query_row<T>(
        self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare(sql)?.query_row(params, read)
    }

    /// Reads one state of the store in several statements. Within a transaction that is open already, it is that one.
    pub(crate) fn read<T>(self, work: impl FnOnce(Self) -> Result<T>) -> Result<T> {
        match self {
            Self::Sqlite(connection) if connection.is_autocommit() => {
                let transaction = connection.unchecked_transaction()?;
                let value = work(self);
                // Nothing was written; and its end must not fail because of a damaged page that was met and told.
                drop(transaction);
                value
            }
            Self::Sqlite(_) => work(self),
            Self::Postgres(session) => session.read(|| work(self)),
        }
    }
}

impl Statement<'_> {
    /// Runs it; how many rows it changed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Self::Sqlite(statement) => {
                params::bind(statement, &params)?;
                Ok(statement.raw_execute()?)
            }
            Self::Postgres(statement) => statement.execute(&params),
        }
    }

    /// Runs it once for each of many parameters, in their order, on PostgreSQL in one round trip; how many rows each
    /// changed. Ends at the first error.
    pub(crate) fn execute_many<P: Params>(
        &mut self,
        rows: impl IntoIterator<Item = P>,
    ) -> Result<Vec<usize>> {
        match self {
            Self::Sqlite(_) => rows.into_iter().map(|params| self.execute(params)).collect(),
            Self::Postgres(statement) => statement.execute_many(rows),
        }
    }

    /// The first row for each of many parameters, in their order, on PostgreSQL in one round trip.
    pub(crate) fn query_many<P: Params, T>(
        &mut self,
        rows: impl IntoIterator<Item = P>,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        match self {
            Self::Sqlite(_) => {
                rows.into_iter().map(|params| self.query_row(params, &mut read).optional()).collect()
            }
            Self::Postgres(statement) => {
                let found = statement.query_all(rows, |row| read(&Row::Postgres(row)))?;
                Ok(found.into_iter().map(|rows| rows.into_iter().next()).collect())
            }
        }
    }

    /// All rows for each of many parameters, in their order, on PostgreSQL in one round trip.
    pub(crate) fn query_all<P: Params, T>(
        &mut self,
        rows: impl IntoIterator<Item = P>,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        match self {
            Self::Sqlite(_) => {
                rows.into_iter().map(|params| self.query_map(params, &mut read)?.collect()).collect()
            }
            Self::Postgres(statement) => statement.query_all(rows, |row| read(&Row::Postgres(row))),
        }
    }

    /// Its rows.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        match self {
            Self::Sqlite(statement) => {
                params::bind(statement, &params)?;
                Ok(Rows::Sqlite(statement.raw_query()))
            }
            Self::Postgres(statement) => Ok(Rows::Postgres(row::Received::new(statement.query(&params)?))),
        }
    }

    /// Its first row; [`Error::is_no_rows`] when there is none.
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        match self.query(params)?.next()? {
            Some(row) => read(&row),
            None => Err(Error::no_rows()),
        }
    }

    /// Its rows, read one by one as they are asked for.
    pub(crate) fn query_map<T, F: FnMut(&Row<'_>) -> Result<T>>(
        &mut self,
        params: impl Params,
        read: F,
    ) -> Result<MappedRows<'_, F>> {
        Ok(MappedRows::new(self.query(params)?, read))
    }

    /// Whether it has a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }
}
