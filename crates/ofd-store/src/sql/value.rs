//! Values on the way to and from PostgreSQL.

use std::borrow::Cow;

use bytes::BytesMut;
use rusqlite::types::{FromSql, FromSqlError, ToSqlOutput, Type as Kind, ValueRef};
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, Type, to_sql_checked};

use super::{Error, Params, Result};

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

/// A column as SQLite would give it.
#[derive(Debug)]
struct Cell<'r>(ValueRef<'r>);

impl<'r> tokio_postgres::types::FromSql<'r> for Cell<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> std::result::Result<Self, BoxedError> {
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

    fn from_sql_null(_: &Type) -> std::result::Result<Self, BoxedError> {
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

/// A parameter, encoded as the type that the server expects.
#[derive(Debug)]
pub(super) struct Param<'p>(ToSqlOutput<'p>);

/// All parameters of a statement.
pub(super) fn params(params: &impl Params) -> Result<Vec<Param<'_>>> {
    let mut all = Vec::new();
    params.visit(&mut |value| {
        all.push(Param(value.to_sql()?));
        Ok(())
    })?;
    Ok(all)
}

impl tokio_postgres::types::ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, BoxedError> {
        let value = match &self.0 {
            ToSqlOutput::Borrowed(value) => *value,
            ToSqlOutput::Owned(value) => value.into(),
            other => return Err(format!("{other:?} is no value of a column").into()),
        };
        match (value, ty) {
            (ValueRef::Null, _) => Ok(IsNull::Yes),
            (ValueRef::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (ValueRef::Integer(number), &Type::INT4) => i32::try_from(number)?.to_sql(ty, out),
            (ValueRef::Integer(number), &Type::INT2) => i16::try_from(number)?.to_sql(ty, out),
            (ValueRef::Integer(number), &Type::BOOL) => (number != 0).to_sql(ty, out),
            (ValueRef::Real(number), &Type::FLOAT8) => number.to_sql(ty, out),
            (ValueRef::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (ValueRef::Text(bytes), &(Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN)) => {
                let text = std::str::from_utf8(bytes)?;
                storable(text).as_ref().to_sql(ty, out)
            }
            (value, ty) => Err(format!("{} for a parameter of type {ty}", value.data_type()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Texts of PostgreSQL cannot hold the character 0, which tills do send: it becomes the sign for one that cannot be shown.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
