//! The SQLite store that is moved: held for ourselves, never changed, read table by table.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};

use super::rows::{self, Column, Unfit};
use super::tables::{JOURNAL, LEFT_BEHIND, TABLES, Table};
use crate::sql::{self, Db};
use crate::sqlite::detached::file::Bytes;
use crate::sqlite::{open_operator, store_error};
use crate::tables::bodies::Bodies;
use crate::{StoreError, Unavailability};

/// How long a process that is just ending is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// A SQLite store that nobody else has open, and nobody can open while this lives.
pub(super) struct Source {
    connection: Connection,
}

/// A month of the journal, by its positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Month {
    /// Such as 202611.
    pub(super) number: i64,
    /// Its first position.
    pub(super) from: i64,
}

impl Source {
    /// Takes the store for itself.
    ///
    /// A connection that has the file open, even one that does nothing, keeps us out, and so we keep others out: a
    /// document acknowledged by a daemon meanwhile would be lost with the move.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_operator(path)?;
        let hold = || {
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
            connection.execute_batch("BEGIN IMMEDIATE")
        };
        match hold().map_err(store_error) {
            Ok(()) => {}
            Err(StoreError::Unavailable { why: Unavailability::Busy, .. }) => {
                return Err(StoreError::refused(format!(
                    "{} is in use: stop the daemon and every command that reads it (see who with `fuser {0}`), then \
                     move it",
                    path.display()
                )));
            }
            Err(other) => return Err(other),
        }
        let source = Self { connection };
        source.require_known_tables()?;
        Ok(source)
    }

    /// A table that nobody told us of would be left behind in silence.
    fn require_known_tables(&self) -> Result<(), StoreError> {
        let names = self.texts(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
        )?;
        let known = |name: &str| LEFT_BEHIND.contains(&name) || TABLES.iter().any(|table| table.name == name);
        match names.iter().find(|name| !known(name)) {
            Some(name) => Err(StoreError::refused(format!(
                "the store has a table {name} that this program cannot move"
            ))),
            None => Ok(()),
        }
    }

    /// Names of the columns of a table.
    pub(super) fn columns(&self, table: Table) -> Result<Vec<String>, StoreError> {
        self.texts(&format!("SELECT name FROM pragma_table_info('{}')", table.name))
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: Table) -> Result<u64, StoreError> {
        let count: i64 = self
            .connection
            .query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0))
            .map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The greatest position of the journal; 0 in an empty one.
    pub(super) fn newest(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> = self
            .connection
            .query_row("SELECT max(seq) FROM journal", [], |row| row.get(0))
            .map_err(store_error)?;
        Ok(newest.unwrap_or(0))
    }

    /// Reads the rows of a table, after the first `after`, in its order and in the form of [`rows::put`], until `take` has
    /// enough. `take` is called after each row, which lies at the end of the buffer, and may empty that. Gives what is
    /// left in it.
    pub(super) fn read(
        &self,
        table: Table,
        columns: &[Column],
        after: u64,
        take: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<Vec<u8>, StoreError> {
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT -1 OFFSET {after}",
            rows::names(columns),
            table.name,
            table.key
        );
        let failed = |unfit: Unfit, row: u64| match unfit {
            Unfit::Sqlite(error) => store_error(error),
            Unfit::Cell(what) => StoreError::corrupt(format!("row {} of {}: {what}", row + 1, table.name)),
        };
        let mut statement = self.connection.prepare(&sql).map_err(store_error)?;
        let mut found = statement.query([]).map_err(store_error)?;
        let (mut buffer, mut number) = (Vec::new(), after);
        let mut bodies = Bodies::new(Db::from(&self.connection));
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let places = if table == JOURNAL { place("seq").zip(place(rows::CONTAINER)) } else { None };
        while let Some(row) = found.next().map_err(store_error)? {
            let moved = match places {
                Some((seq, container)) => self.moved(row, seq, container, &mut bodies)?,
                None => None,
            };
            rows::put(row, columns, moved.as_ref(), &mut buffer).map_err(|unfit| failed(unfit, number))?;
            number += 1;
            if !take(&mut buffer) {
                break;
            }
        }
        Ok(buffer)
    }

    /// The bytes of a document that do not lie in its row.
    fn moved(
        &self,
        row: &Row<'_>,
        seq: usize,
        container: usize,
        bodies: &mut Bodies<'_>,
    ) -> Result<Option<Bytes>, StoreError> {
        let is_empty = |cell: ValueRef<'_>| matches!(cell, ValueRef::Blob([]));
        if !row.get_ref(container).is_ok_and(is_empty) {
            return Ok(None);
        }
        let seq = row.get(seq).map_err(store_error)?;
        bodies.moved(&self.connection, seq).map_err(sql::store_error)
    }

    /// Months of the journal in the order of positions, by the moments of reception, which are nearly in that order: a
    /// document that came at the turn of a month may lie in the month beside it.
    pub(super) fn months(&self) -> Result<Vec<Month>, StoreError> {
        let newest = self.newest()?;
        let (mut months, mut from) = (Vec::<Month>::new(), 1);
        while let Some((seq, at)) = self.first_from(from)? {
            let (number, next) = month_of(at)?;
            // A clock that was set back ends no month.
            if months.last().is_none_or(|last| last.number < number) {
                months.push(Month { number, from: seq });
            }
            let (mut low, mut high) = (seq, newest + 1);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                match self.first_from(middle)? {
                    Some((_, at)) if at < next => low = middle,
                    _ => high = middle,
                }
            }
            from = high;
        }
        Ok(months)
    }

    /// The first document at or after a position, and when it came.
    fn first_from(&self, seq: i64) -> Result<Option<(i64, i64)>, StoreError> {
        self.connection
            .prepare_cached("SELECT seq, received_at FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT 1")
            .and_then(|mut statement| {
                statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(store_error)
    }

    /// What tells this state of this store from others: of large tables the number of the newest row and all of it, the
    /// small ones whole. What it misses, the comparison at the end finds.
    pub(super) fn fingerprint(&self) -> Result<[u8; 32], StoreError> {
        let mut hasher = Sha256::new();
        for table in TABLES {
            hasher.update(table.name);
            let order = if table.is_large {
                format!("{} DESC LIMIT 1", table.key.replace(", ", " DESC, "))
            } else {
                table.key.to_owned()
            };
            self.hash(&format!("SELECT * FROM {} ORDER BY {order}", table.name), &mut hasher)
                .map_err(store_error)?;
        }
        Ok(hasher.finalize().into())
    }

    fn hash(&self, sql: &str, hasher: &mut Sha256) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                hasher.update(format!("{:?};", row.get_ref(column)?));
            }
        }
        Ok(())
    }

    fn texts(&self, sql: &str) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(store_error)
    }
}

/// Year and month of a moment as one number, and the moment at which the next month begins.
fn month_of(microseconds: i64) -> Result<(i64, i64), StoreError> {
    let month = || -> Result<(i64, i64), jiff::Error> {
        let date = Timestamp::from_microsecond(microseconds)?.to_zoned(TimeZone::UTC).date();
        let next = date.first_of_month().checked_add(jiff::Span::new().months(1))?.to_zoned(TimeZone::UTC)?;
        let number = i64::from(date.year()) * 100 + i64::from(date.month());
        Ok((number, next.timestamp().as_microsecond()))
    };
    month()
        .map_err(|error| StoreError::corrupt(format!("a document was received at {microseconds}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_of_moments() {
        let check = |moment: &str, number: i64, next: &str| {
            let microseconds = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
            assert_eq!(month_of(microseconds(moment)), Ok((number, microseconds(next))), "{moment}");
        };
        check("2026-11-22T08:00:00Z", 202_611, "2026-12-01T00:00:00Z");
        check("2026-12-31T23:59:59.999999Z", 202_612, "2027-01-01T00:00:00Z");
        check("2027-01-01T00:00:00Z", 202_701, "2027-02-01T00:00:00Z");
    }
}
