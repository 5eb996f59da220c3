//! What the journal says about the time, and the operator's word about it.

use jiff::Timestamp;
use rusqlite::params;

use super::columns::Moment;
use super::documents::newest_seq;
use crate::clock::ClockConfirmation;
use crate::sql::{self, Db, OptionalExtension as _};

/// Rows at the end of the journal among which the newest moment is looked for.
///
/// `received_at` is taken when a message is complete, the position when it is committed: rows can only be out of order
/// by the time a document waits for its commit, and by steps of the clock that reception lets pass (less than a
/// minute). So the newest moment of the last rows is the newest of all but for such seconds. A table with that moment
/// would cost every commit a page of the log; this costs one read of some megabytes at the start.
const LAST_ROWS: i64 = 10_000;

/// The newest moment at which something was acknowledged, by our own clock; documents up to the newest confirmation of
/// the clock left out.
pub(crate) fn newest_acknowledged(db: Db<'_>) -> sql::Result<Option<Timestamp>> {
    db.read(|db| {
        let confirmed = newest_confirmation(db)?.map_or(0, |confirmation| confirmation.after_seq);
        let newest: Option<Moment> = db
            .prepare(
                "SELECT max(received_at) FROM (SELECT received_at FROM journal WHERE seq > ?1 \
                 ORDER BY seq DESC LIMIT ?2) AS newest",
            )?
            .query_row([confirmed, LAST_ROWS], |row| row.get(0))?;
        Ok(newest.map(|moment| moment.0))
    })
}

/// The newest confirmation of the clock.
pub(crate) fn newest_confirmation(db: Db<'_>) -> sql::Result<Option<ClockConfirmation>> {
    db.prepare("SELECT confirmed_at, after_seq FROM clock_confirmations ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(ClockConfirmation { confirmed_at: row.get::<Moment>(0)?.0, after_seq: row.get(1)? })
        })
        .optional()
}

/// Writes down that the clock is right.
pub(crate) fn confirm(db: Db<'_>, now: Timestamp) -> sql::Result<ClockConfirmation> {
    let after_seq = newest_seq(db)?;
    db.prepare("INSERT INTO clock_confirmations (confirmed_at, after_seq) VALUES (?1, ?2)")?
        .execute(params![now.as_microsecond(), after_seq])?;
    Ok(ClockConfirmation { confirmed_at: now, after_seq })
}
