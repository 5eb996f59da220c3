//! Rows as they come.

use rusqlite::types::{FromSql, FromSqlError, ValueRef};

use super::{Error, Result, value};

/// One row.
pub(crate) enum Row<'r> {
    /// Of a file.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of a session.
    Postgres(&'r tokio_postgres::Row),
}

/// The rows of a statement.
pub(crate) enum Rows<'s> {
    /// Of a file.
    Sqlite(rusqlite::Rows<'s>),
    /// Of a session.
    Postgres(Received),
}

/// Rows that were all read.
pub(crate) struct Received {
    rows: std::vec::IntoIter<tokio_postgres::Row>,
    current: Option<tokio_postgres::Row>,
}

impl Received {
    pub(super) fn new(rows: Vec<tokio_postgres::Row>) -> Self {
        Self { rows: rows.into_iter(), current: None }
    }

    fn next(&mut self) -> Option<&tokio_postgres::Row> {
        self.current = self.rows.next();
        self.current.as_ref()
    }
}

/// Rows turned into values.
pub(crate) struct MappedRows<'s, F> {
    rows: Rows<'s>,
    read: F,
}

impl Row<'_> {
    /// A column, counted from 0.
    pub(crate) fn get<T: FromSql>(&self, index: usize) -> Result<T> {
        match self {
            Self::Sqlite(row) => Ok(row.get(index)?),
            Self::Postgres(row) => value::column(row, index),
        }
    }

    /// A column as it lies in the row.
    pub(crate) fn get_ref(&self, index: usize) -> Result<ValueRef<'_>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(index)?),
            Self::Postgres(row) => value::column_ref(row, index),
        }
    }
}

impl Rows<'_> {
    /// The next row; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        match self {
            Self::Sqlite(rows) => Ok(rows.next()?.map(Row::Sqlite)),
            Self::Postgres(rows) => Ok(rows.next().map(Row::Postgres)),
        }
    }
}

impl<'s, F> MappedRows<'s, F> {
    pub(super) fn new(rows: Rows<'s>, read: F) -> Self {
        Self { rows, read }
    }
}

impl<T, F: FnMut(&Row<'_>) -> Result<T>> Iterator for MappedRows<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(Some(row)) => Some((self.read)(&row)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

// `row.get_ref(2)?.as_blob()?`
impl From<FromSqlError> for Error {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}
