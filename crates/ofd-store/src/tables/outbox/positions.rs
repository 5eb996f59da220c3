//! Positions of the journal as numbers: how far one is from another.
//!
//! On PostgreSQL a position is the month, times ten thousand millions, and a number within it. Within a month they follow
//! each other, but for those of transactions that came to nothing; between two months there is nothing.

use crate::sql::{self, Db, OptionalExtension as _};

/// Positions of one month. A position of SQLite is a small number, so all of it is one month.
const MONTH: i64 = 10_000_000_000;

/// The newest position up to a bound.
pub(super) const NEWEST: &str = "SELECT seq FROM journal WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1";
/// The next position after one.
pub(super) const NEXT: &str = "SELECT seq FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT 1";

/// The newest position up to a bound, 0 when there is none.
pub(super) fn newest(db: Db<'_>, bound: i64) -> sql::Result<i64> {
    Ok(db.query_row(NEWEST, [bound], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The first position after one, if there is any.
pub(super) fn next(db: Db<'_>, after: i64) -> sql::Result<Option<i64>> {
    db.query_row(NEXT, [after, i64::MAX], |row| row.get(0)).optional()
}

/// How many positions lie after one, up to and with another that is taken.
pub(super) fn between(db: Db<'_>, after: i64, to: i64) -> sql::Result<i64> {
    let (mut after, mut number) = (after, 0_i64);
    while after < to {
        let end = end_of_month(after);
        if to < end {
            return Ok(number.saturating_add(to.saturating_sub(after)));
        }
        let last = newest(db, end.saturating_sub(1))?.max(after);
        number = number.saturating_add(last.saturating_sub(after));
        // The first of the next month that has any.
        let Some(first) = next(db, end.saturating_sub(1))? else { return Ok(number) };
        after = first.saturating_sub(1);
    }
    Ok(number)
}

/// The first position of the month after.
fn end_of_month(seq: i64) -> i64 {
    seq.div_euclid(MONTH).saturating_add(1).saturating_mul(MONTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end() {
        assert_eq!(end_of_month(0), MONTH);
        assert_eq!(end_of_month(2_026_110_000_000_007), 2_026_120_000_000_000);
        assert_eq!(end_of_month(2_026_120_000_000_000), 2_026_130_000_000_000);
        assert_eq!(end_of_month(i64::MAX), i64::MAX);
    }
}
