//! Parameters of a statement, by place.

use rusqlite::ToSql;

use super::{Error, Result};

/// What a statement is given: `[a, b]`, `[]`, `params![..]`, or [`params_from_iter`].
pub(crate) trait Params {
    /// Shows every one, in order.
    fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()>;
}

/// Parameters out of an iterator.
#[derive(Debug)]
pub(crate) struct FromIter<T>(Vec<T>);

/// As many parameters as the iterator gives.
pub(crate) fn params_from_iter<I: IntoIterator<Item: ToSql>>(values: I) -> FromIter<I::Item> {
    FromIter(values.into_iter().collect())
}

/// Gives a statement of SQLite its parameters.
pub(super) fn bind(statement: &mut rusqlite::Statement<'_>, params: &impl Params) -> Result<()> {
    let mut given = 0_usize;
    let wanted = statement.parameter_count();
    params.visit(&mut |value| {
        given = given.saturating_add(1);
        if given > wanted {
            return Ok(());
        }
        Ok(statement.raw_bind_parameter(given, value)?)
    })?;
    if given == wanted {
        return Ok(());
    }
    Err(Error::Sqlite(rusqlite::Error::InvalidParameterCount(given, wanted)))
}

// The only empty array, so that `[]` needs no type.
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn visit<'p>(&'p self, _: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()> {
        Ok(())
    }
}

impl Params for &[&dyn ToSql] {
    fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(|value| visit(*value))
    }
}

impl<T: ToSql> Params for FromIter<T> {
    fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()> {
        self.0.iter().try_for_each(|value| visit(value))
    }
}

macro_rules! arrays {
    ($($length:literal)+) => {$(
        impl<T: ToSql> Params for [T; $length] {
            fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()> {
                self.iter().try_for_each(|value| visit(value))
            }
        }
        // What `params!` gives.
        impl Params for &[&dyn ToSql; $length] {
            fn visit<'p>(&'p self, visit: &mut dyn FnMut(&'p dyn ToSql) -> Result<()>) -> Result<()> {
                self.iter().try_for_each(|value| visit(*value))
            }
        }
    )+};
}

arrays!(1 2 3 4 5 6 7 8);
