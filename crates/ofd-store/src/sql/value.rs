//! Values on the way to and from PostgreSQL.

use rusqlite::types::{FromSql, FromSqlError, Type as Kind, ValueRef};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Error, Result};

/// A column as SQLite would give it.
#[derive(Debug)]
struct Cell<'r>(ValueRef<'r>);

impl<'r> tokio_postgres::types::FromSql<'r> for Cell<'r> {
    fn from_sql(
        ty: &Type,
        raw: &'r [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let value = match *ty {
            Type::INT8 => ValueRef::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => ValueRef::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => ValueRef::Integer(i16::from_sql(ty, raw)?.into()),
            Type::OID => ValueRef::Integer(u32::from_sql(ty, raw)?.into()),
            Type::BOOL => ValueRef::Integer(bool::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => ValueRef::Real(f64::from_sql(ty, raw)?),
            Type::BYTEA => ValueRef::Blob(raw),
            _ => ValueRef::Text(raw),
        };
        Ok(Self(value))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(ValueRef::Null))
    }

    fn accepts(ty: &Type) -> bool {
        [
            Type::INT8,
            Type::INT4,
            Type::INT2,
            Type::OID,
            Type::BOOL,
            Type::FLOAT8,
            Type::BYTEA,
            Type::TEXT,
            Type::VARCHAR,
            Type::NAME,
            Type::UNKNOWN,
        ]
        .contains(ty)
    }
}

/// A column, counted from 0.
pub(super) fn column<T: FromSql>(row: &Row, index: usize) -> Result<T> {
    let value = column_ref(row, index)?;
    T::column_result(value).map_err(|error| Error::Sqlite(in_column(error, row, index, value.data_type())))
}

/// A column as it lies in the row.
pub(super) fn column_ref(row: &Row, index: usize) -> Result<ValueRef<'_>> {
    let Cell(value) = row.try_get(index)?;
    Ok(value)
}

/// As rusqlite tells that a column does not hold what it has to.
fn in_column(error: FromSqlError, row: &Row, index: usize, kind: Kind) -> rusqlite::Error {
    match error {
        FromSqlError::InvalidType => {
            let name = row.columns().get(index).map(|column| column.name().to_owned());
            rusqlite::Error::InvalidColumnType(index, name.unwrap_or_default(), kind)
        }
        FromSqlError::OutOfRange(number) => rusqlite::Error::IntegralValueOutOfRange(index, number),
        FromSqlError::Utf8Error(error) => rusqlite::Error::Utf8Error(index, error),
        other => rusqlite::Error::FromSqlConversionFailure(index, kind, Box::new(other)),
    }
}
