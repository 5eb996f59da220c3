//! Our types as columns: ФН as text without padding, moments as microseconds UTC.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use crate::{Derived, NewDocument};

pub(crate) const FLK_MARK: i64 = 1;
pub(crate) const SIGN_MARK: i64 = 2;
pub(crate) const FN_CHANGED_MARK: i64 = 4;
pub(crate) const AFTER_DEREGISTRATION_MARK: i64 = 8;

pub(crate) struct FnColumn(pub(crate) FnNumber);
pub(crate) struct FdColumn(pub(crate) FdNumber);
pub(crate) struct Moment(pub(crate) Timestamp);

/// The sum as its column holds it: none past what SQLite's signed integers can.
pub(crate) fn kopecks_column(derived: &Derived) -> Option<i64> {
    derived.total_kopecks.and_then(|kopecks| i64::try_from(kopecks).ok())
}

/// The marks of a document as their column holds them.
pub(crate) fn marks_column(document: &NewDocument) -> i64 {
    [
        (document.flk_mark, FLK_MARK),
        (document.sign_mark, SIGN_MARK),
        (document.fn_changed_mark, FN_CHANGED_MARK),
        (document.after_deregistration_mark, AFTER_DEREGISTRATION_MARK),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .fold(0, |marks, (_, bit)| marks | bit)
}

/// A value that no column of ours can hold: the file was changed by somebody else.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds {value}, which is no value of it")]
struct Unreadable {
    column: &'static str,
    value: String,
}

impl FromSql for FnColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        FnNumber::from_padded(text.as_bytes()).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for FdColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FdNumber::new(u32::column_result(value)?).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(FromSqlError::other)
    }
}

/// An error for a stored number or name that means nothing.
pub(crate) fn unreadable(index: usize, column: &'static str, value: impl ToString) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        index,
        rusqlite::types::Type::Null,
        Box::new(Unreadable { column, value: value.to_string() }),
    )
}
