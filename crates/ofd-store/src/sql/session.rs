//! A session with PostgreSQL for readers and second writers.

use std::marker::PhantomData;

use tokio_postgres::Row;

use super::{Error, Params, Result};

/// A session that blocks its caller, in whatever thread that is.
#[derive(Debug)]
pub(crate) struct PgSession {}

/// A statement of a session.
pub(crate) struct Prepared<'c> {
    session: PhantomData<&'c PgSession>,
}

fn not_yet<T>() -> Result<T> {
    Err(Error::Lost("not built yet".to_owned()))
}

impl PgSession {
    pub(super) fn prepare(&self, _sql: &str) -> Result<Prepared<'_>> {
        not_yet()
    }

    /// One state of the database for all that `work` reads.
    pub(super) fn read<T>(&self, _work: impl FnOnce() -> Result<T>) -> Result<T> {
        not_yet()
    }
}

impl Prepared<'_> {
    pub(super) fn execute(&mut self, _params: &impl Params) -> Result<usize> {
        not_yet()
    }

    pub(super) fn execute_many<P: Params>(
        &mut self,
        _rows: impl IntoIterator<Item = P>,
    ) -> Result<Vec<usize>> {
        not_yet()
    }

    pub(super) fn query_many<P: Params, T>(
        &mut self,
        _rows: impl IntoIterator<Item = P>,
        _read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        not_yet()
    }

    pub(super) fn query(&mut self, _params: &impl Params) -> Result<Vec<Row>> {
        not_yet()
    }
}
