//! After events were lost: every document without a final verdict is to be asked about, and every register for its card.
//!
//! There may be millions of them, so the loss is one row for each kind, written in the transaction that gives up the cursor
//! of the feed, and a walk in pieces. A walk goes on where it stood, whoever does the next piece.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::most;

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
pub(crate) fn begin(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    for what in [DELIVERED, SOFTLY, CARDS] {
        connection
            .prepare_cached("INSERT OR REPLACE INTO fns_recalls (what, at, fn, id) VALUES (?1, ?2, '', 0)")?
            .execute(params![what, at.as_microsecond()])?;
    }
    Ok(())
}

/// Whether documents are still to be marked.
pub(crate) fn is_pending(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM fns_recalls WHERE what IN (?1, ?2))")?
        .query_row([DELIVERED, SOFTLY], |row| row.get(0))
}

/// Marks the next documents, at most `limit`. Whether there are more.
pub(crate) fn mark(connection: &Connection, limit: usize) -> rusqlite::Result<bool> {
    let mut room = limit;
    for what in [DELIVERED, SOFTLY] {
        let Some(walk) = walk(connection, what)? else { continue };
        let found = next(connection, what, &walk, room)?;
        for (_, seq) in &found {
            connection
                .prepare_cached(
                    "UPDATE outbox SET next_at = ?2 WHERE seq = ?1 AND state IN (2, 4) \
                     AND (next_at IS NULL OR next_at > ?2)",
                )?
                .execute([*seq, walk.at])?;
        }
        match found.last() {
            Some((fn_number, seq)) if found.len() == room => {
                connection
                    .prepare_cached("UPDATE fns_recalls SET fn = ?2, id = ?3 WHERE what = ?1")?
                    .execute(params![what, fn_number, seq])?;
                return Ok(true);
            }
            _ => end(connection, what)?,
        }
        room = room.saturating_sub(found.len());
    }
    Ok(false)
}

fn next(
    connection: &Connection,
    what: &str,
    walk: &Walk,
    limit: usize,
) -> rusqlite::Result<Vec<(String, i64)>> {
    let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    if what == SOFTLY {
        let mut statement = connection.prepare_cached(SOFT)?;
        return statement.query_map(params![walk.id, most(limit)], pair)?.collect();
    }
    let mut found: Vec<(String, i64)> = connection
        .prepare_cached(DELIVERED_OF_FN)?
        .query_map(params![walk.fn_number, walk.id, most(limit)], pair)?
        .collect::<rusqlite::Result<_>>()?;
    let room = limit.saturating_sub(found.len());
    let mut statement = connection.prepare_cached(DELIVERED_BEHIND)?;
    for row in statement.query_map(params![walk.fn_number, most(room)], pair)? {
        found.push(row?);
    }
    Ok(found)
}

/// The register up to which cards were asked for; none when nothing is left.
pub(crate) fn cards(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    Ok(walk(connection, CARDS)?.map(|walk| walk.id))
}

/// False when it does not stand where it must.
pub(crate) fn move_cards(connection: &Connection, from: i64, to: Option<i64>) -> rusqlite::Result<bool> {
    if cards(connection)? != Some(from) {
        return Ok(false);
    }
    match to {
        Some(to) => {
            connection
                .prepare_cached("UPDATE fns_recalls SET id = ?2 WHERE what = ?1")?
                .execute(params![CARDS, to])?;
        }
        None => end(connection, CARDS)?,
    }
    Ok(true)
}

fn walk(connection: &Connection, what: &str) -> rusqlite::Result<Option<Walk>> {
    connection
        .prepare_cached("SELECT at, fn, id FROM fns_recalls WHERE what = ?1")?
        .query_row([what], |row| Ok(Walk { at: row.get(0)?, fn_number: row.get(1)?, id: row.get(2)? }))
        .optional()
}

fn end(connection: &Connection, what: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM fns_recalls WHERE what = ?1")?.execute([what])?;
    Ok(())
}
