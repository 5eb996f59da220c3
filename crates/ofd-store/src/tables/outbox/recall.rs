//! After events were lost: every document without a final verdict is to be asked about, and every register for its card.
//!
//! There may be millions of them, so the loss is one row for each kind, written in the transaction that gives up the cursor
//! of the feed, and a walk in pieces. A walk goes on where it stood, whoever does the next piece.

use jiff::Timestamp;
use rusqlite::params;

use super::{most, rows};
use crate::sql::{self, Db, OptionalExtension as _, Row};

/// The rest of a ФН.
pub(super) const DELIVERED_OF_FN: &str = "SELECT fn, seq FROM outbox INDEXED BY outbox_delivered \
     WHERE state = 2 AND fn = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
/// Those behind it.
pub(super) const DELIVERED_BEHIND: &str = "SELECT fn, seq FROM outbox INDEXED BY outbox_delivered \
     WHERE state = 2 AND fn > ?1 ORDER BY fn, seq LIMIT ?2";
pub(super) const SOFT: &str = "SELECT '', seq FROM outbox INDEXED BY outbox_troubled \
     WHERE state >= 4 AND state = 4 AND seq > ?1 ORDER BY seq LIMIT ?2";

const DELIVERED: &str = "delivered";
const SOFTLY: &str = "soft";
const CARDS: &str = "cards";

/// A walk under way.
struct Walk {
    at: i64,
    fn_number: String,
    id: i64,
}

/// Everything is to be asked for: walks under way begin anew.
pub(crate) fn begin(db: Db<'_>, at: Timestamp) -> sql::Result<()> {
    for what in [DELIVERED, SOFTLY, CARDS] {
        db.execute(
            "INSERT INTO fns_recalls (what, at, fn, id) VALUES (?1, ?2, '', 0) \
             ON CONFLICT (what) DO UPDATE SET at = excluded.at, fn = excluded.fn, id = excluded.id",
            params![what, at.as_microsecond()],
        )?;
    }
    Ok(())
}

/// Whether documents are still to be marked.
pub(crate) fn is_pending(db: Db<'_>) -> sql::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM fns_recalls WHERE what IN (?1, ?2))",
        [DELIVERED, SOFTLY],
        |row| row.get(0),
    )
}

/// Marks the next documents, at most `limit`. Whether there are more.
pub(crate) fn mark(db: Db<'_>, limit: usize) -> sql::Result<bool> {
    let mut room = limit;
    for what in [DELIVERED, SOFTLY] {
        let Some(walk) = walk(db, what)? else { continue };
        let found = next(db, what, &walk, room)?;
        db.prepare(
            "UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state IN (2, 4) \
             AND (next_at IS NULL OR next_at > ?2)",
        )?
        .execute_many(found.iter().map(|(_, seq)| [*seq, walk.at]))?;
        match found.last() {
            Some((fn_number, seq)) if found.len() == room => {
                db.execute(
                    "UPDATE fns_recalls SET fn = ?2, id = ?3 WHERE what = ?1",
                    params![what, fn_number, seq],
                )?;
                return Ok(true);
            }
            _ => end(db, what)?,
        }
        room = room.saturating_sub(found.len());
    }
    Ok(false)
}

fn next(db: Db<'_>, what: &str, walk: &Walk, limit: usize) -> sql::Result<Vec<(String, i64)>> {
    let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    if what == SOFTLY {
        return rows(db, SOFT, params![walk.id, most(limit)], pair);
    }
    let mut found: Vec<(String, i64)> =
        rows(db, DELIVERED_OF_FN, params![walk.fn_number, walk.id, most(limit)], pair)?;
    let room = limit.saturating_sub(found.len());
    found.extend(rows(db, DELIVERED_BEHIND, params![walk.fn_number, most(room)], pair)?);
    Ok(found)
}

/// The register up to which cards were asked for; none when nothing is left.
pub(crate) fn cards(db: Db<'_>) -> sql::Result<Option<i64>> {
    Ok(walk(db, CARDS)?.map(|walk| walk.id))
}

/// False when it does not stand where it must.
pub(crate) fn move_cards(db: Db<'_>, from: i64, to: Option<i64>) -> sql::Result<bool> {
    if cards(db)? != Some(from) {
        return Ok(false);
    }
    match to {
        Some(to) => {
            db.execute("UPDATE fns_recalls SET id = ?2 WHERE what = ?1", params![CARDS, to])?;
        }
        None => end(db, CARDS)?,
    }
    Ok(true)
}

fn walk(db: Db<'_>, what: &str) -> sql::Result<Option<Walk>> {
    db.query_row("SELECT at, fn, id FROM fns_recalls WHERE what = ?1", [what], |row| {
        Ok(Walk { at: row.get(0)?, fn_number: row.get(1)?, id: row.get(2)? })
    })
    .optional()
}

fn end(db: Db<'_>, what: &str) -> sql::Result<()> {
    db.execute("DELETE FROM fns_recalls WHERE what = ?1", [what])?;
    Ok(())
}
