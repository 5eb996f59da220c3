//! Writes that are gathered, so that a server is asked once for many of them.

use std::collections::HashMap;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value};

use crate::sql::{self, Db, Statement, params_from_iter};

/// Writes gathered past which they are sent off.
const MOST: usize = 4_096;

/// Statements to be run, each for many parameters. SQLite runs them at once.
///
/// Nothing that was pushed is to be read before [`Writes::flush`], and different statements are run in any order, but for
/// those about one row.
pub(crate) struct Writes<'c> {
    db: Db<'c>,
    parts: Vec<Part<'c>>,
    /// Which part has something to do with a row.
    rows: HashMap<i64, usize>,
    waiting: usize,
}

struct Part<'c> {
    sql: &'static str,
    statement: Statement<'c>,
    waiting: Vec<Vec<Value>>,
}

impl<'c> Writes<'c> {
    pub(crate) fn new(db: Db<'c>) -> Self {
        Self { db, parts: Vec::new(), rows: HashMap::new(), waiting: 0 }
    }

    /// Runs a statement now or with the next flush.
    pub(crate) fn push(&mut self, sql: &'static str, params: &[&dyn ToSql]) -> sql::Result<()> {
        let place = self.part(sql)?;
        self.put(place, params)
    }

    /// The same, after all that was pushed about this row before.
    pub(crate) fn push_about(
        &mut self,
        row: i64,
        sql: &'static str,
        params: &[&dyn ToSql],
    ) -> sql::Result<()> {
        let place = self.part(sql)?;
        if self.rows.get(&row).is_some_and(|other| *other != place) {
            self.flush()?;
        }
        self.put(place, params)?;
        if self.waiting > 0 {
            self.rows.insert(row, place);
        }
        Ok(())
    }

    fn put(&mut self, place: usize, params: &[&dyn ToSql]) -> sql::Result<()> {
        if matches!(self.db, Db::Sqlite(_)) {
            if let Some(part) = self.parts.get_mut(place) {
                part.statement.execute(params)?;
            }
            return Ok(());
        }
        if self.waiting >= MOST {
            self.flush()?;
        }
        let values = owned(params)?;
        if let Some(part) = self.parts.get_mut(place) {
            part.waiting.push(values);
        }
        self.waiting = self.waiting.saturating_add(1);
        Ok(())
    }

    pub(crate) fn db(&self) -> Db<'c> {
        self.db
    }

    /// Runs what is gathered.
    pub(crate) fn flush(&mut self) -> sql::Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        for part in &mut self.parts {
            if !part.waiting.is_empty() {
                part.statement.execute_many(part.waiting.drain(..).map(params_from_iter))?;
            }
        }
        self.rows.clear();
        self.waiting = 0;
        Ok(())
    }

    fn part(&mut self, sql: &'static str) -> sql::Result<usize> {
        if let Some(place) = self.parts.iter().position(|part| part.sql == sql) {
            return Ok(place);
        }
        self.parts.push(Part { sql, statement: self.db.prepare(sql)?, waiting: Vec::new() });
        Ok(self.parts.len().saturating_sub(1))
    }
}

/// The parameters themselves: what they are borrowed from is gone when they are needed.
fn owned(params: &[&dyn ToSql]) -> sql::Result<Vec<Value>> {
    let value = |param: &&dyn ToSql| -> sql::Result<Value> {
        Ok(match param.to_sql()? {
            ToSqlOutput::Owned(value) => value,
            ToSqlOutput::Borrowed(value) => value.try_into().map_err(sql::Error::from)?,
            _ => Value::Null,
        })
    };
    params.iter().map(value).collect()
}
