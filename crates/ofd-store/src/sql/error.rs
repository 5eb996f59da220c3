//! What can go wrong in either engine.

use rusqlite::{ErrorCode, ffi};
use thiserror::Error as ThisError;
use tokio_postgres::error::{Severity, SqlState};

use crate::postgres::in_words;
use crate::{StoreError, Unavailability};

/// As every function of the tables answers.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// An error of either engine.
#[derive(Debug, ThisError)]
pub(crate) enum Error {
    /// Of SQLite; and of values of either engine: a column that holds what it cannot, no row where one has to be.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Of PostgreSQL.
    #[error("PostgreSQL: {}", in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The session with PostgreSQL was lost, or did not answer in time: what was under way may have been done.
    #[error("the session with PostgreSQL is lost: {0}")]
    Lost(String),
    /// There is no session to be had.
    #[error(transparent)]
    Store(StoreError),
}

/// What an error of either engine means to the caller.
pub(crate) fn store_error(error: impl Into<Error>) -> StoreError {
    let error = match error.into() {
        Error::Sqlite(error) => return crate::sqlite::store_error(error),
        Error::Store(error) => return error,
        error => error,
    };
    let why = match &error {
        Error::Postgres(told) => match told.code() {
            _ if error.is_busy() => Unavailability::Busy,
            Some(code) if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) => {
                return StoreError::corrupt(in_words(told));
            }
            Some(code) if [SqlState::DISK_FULL, SqlState::IO_ERROR].contains(code) => {
                Unavailability::WriteFailed
            }
            _ => Unavailability::CannotOpen,
        },
        Error::Sqlite(_) | Error::Lost(_) | Error::Store(_) => Unavailability::CannotOpen,
    };
    StoreError::unavailable(why, error.to_string())
}

/// A constraint that a statement broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constraint {
    /// A row like it is there. `what` ends in the last column of the key, as `contracts.number`, in the words of SQLite,
    /// and is the name of the constraint in PostgreSQL.
    Unique { what: String },
    /// It names a row that is not there.
    Reference,
    /// Another one, in the engine's words.
    Other { words: String },
}

/// No row is no error to many.
pub(crate) trait OptionalExtension<T> {
    /// None for no row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_no_rows() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Error {
    pub(crate) fn no_rows() -> Self {
        Self::Sqlite(rusqlite::Error::QueryReturnedNoRows)
    }

    /// Whether a row was asked for and there is none.
    pub(crate) fn is_no_rows(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Whether somebody else held what was to be written: the same work may be done again.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Sqlite(error) => crate::sqlite::is_busy(error),
            Self::Postgres(error) => error.code().is_some_and(|code| {
                [
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::LOCK_NOT_AVAILABLE,
                ]
                .contains(code)
            }),
            Self::Lost(_) | Self::Store(_) => false,
        }
    }

    /// Whether it says that what is stored is damaged, of the row alone: the disk, the locks and the way are not meant.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => crate::sqlite::verify::is_damage(error),
            Self::Postgres(error) => error.code().is_some_and(|code| code.code().starts_with("XX")),
            Self::Lost(_) | Self::Store(_) => false,
        }
    }

    /// With the code of the engine.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Sqlite(error) => crate::sqlite::in_words(error),
            other => other.to_string(),
        }
    }

    /// Whether the session in which it came is of no more use: it is over, or it is with a server that takes no writes,
    /// or its compiled statements are of another schema.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Lost(_) | Self::Store(_) => true,
            Self::Postgres(error) => {
                let Some(told) = error.as_db_error() else { return error.is_closed() };
                let is_fatal = told
                    .parsed_severity()
                    .is_none_or(|severity| matches!(severity, Severity::Fatal | Severity::Panic));
                let code = told.code().code();
                is_fatal
                    || code.starts_with("08")
                    || code.starts_with("57P")
                    || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::FEATURE_NOT_SUPPORTED]
                        .contains(told.code())
            }
        }
    }

    /// Which constraint was broken, if that is what went wrong.
    pub(crate) fn constraint(&self) -> Option<Constraint> {
        match self {
            Self::Sqlite(error) => {
                let code = error.sqlite_error().filter(|code| code.code == ErrorCode::ConstraintViolation)?;
                let words = error.to_string();
                Some(match code.extended_code {
                    ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                        Constraint::Unique { what: words }
                    }
                    ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Constraint::Reference,
                    _ => Constraint::Other { words },
                })
            }
            Self::Postgres(error) => {
                let error = error.as_db_error()?;
                let words = error.message().to_owned();
                Some(match error.code() {
                    code if *code == SqlState::UNIQUE_VIOLATION => {
                        Constraint::Unique { what: error.constraint().unwrap_or_default().to_owned() }
                    }
                    code if *code == SqlState::FOREIGN_KEY_VIOLATION => Constraint::Reference,
                    code if code.code().starts_with("23") => Constraint::Other { words },
                    _ => return None,
                })
            }
            Self::Lost(_) | Self::Store(_) => None,
        }
    }
}

/// For what speaks SQLite alone: there no other error can come.
impl From<Error> for rusqlite::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Sqlite(error) => error,
            other => Self::ToSqlConversionFailure(Box::new(other)),
        }
    }
}
