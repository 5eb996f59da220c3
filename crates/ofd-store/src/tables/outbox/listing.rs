//! Lists for people, newest first, in pieces.

use ffd::ids::FnNumber;
use rusqlite::params;

use super::{COLUMNS, most, outbox_row, reading, rows};
use crate::outbox::{OutboxFilter, OutboxPage, OutboxRow, OutboxState};
use crate::sql::{self, Db};
use crate::tables::documents::SCAN_POSITIONS;

/// All that is open: at most a window, sorted. Not by position itself, see `reading`.
pub(super) const OPEN: &str = "FROM outbox INDEXED BY outbox_open \
     WHERE state <= 1 AND state = ?1 AND seq < ?2 ORDER BY seq + 0 DESC LIMIT ?3";
/// What went wrong, by state and position.
pub(super) const TROUBLED: &str = "FROM outbox INDEXED BY outbox_troubled \
     WHERE state >= 4 AND state = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
/// A piece of all positions.
pub(super) const PIECE: &str = "FROM outbox NOT INDEXED \
     WHERE seq < ?2 AND seq >= ?4 AND (CAST(?1 AS BIGINT) IS NULL OR state = ?1) ORDER BY seq DESC LIMIT ?3";
/// Positions of a ФН. The index has all of it; the sort is over positions only.
pub(super) const OF_FN: &str = "SELECT seq FROM journal_index \
     WHERE fn = ?1 AND conflict_no = 0 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";

/// Rows of a ФН read at a time.
const LOOKS: usize = 128;

/// The next rows, newest first.
pub(crate) fn page(db: Db<'_>, filter: &OutboxFilter, limit: usize) -> sql::Result<OutboxPage> {
    let before = filter.before_seq.unwrap_or(i64::MAX);
    if let Some(fn_number) = &filter.fn_number {
        return of_fn(db, fn_number, filter.state, before, limit);
    }
    let sql = match filter.state {
        Some(OutboxState::New | OutboxState::InFlight) => OPEN,
        Some(OutboxState::Soft | OutboxState::Hard | OutboxState::Dead | OutboxState::Superseded) => TROUBLED,
        None | Some(OutboxState::Delivered | OutboxState::Accepted) => {
            return piece(db, filter.state, before, limit);
        }
    };
    let state = filter.state.map(OutboxState::number);
    let found =
        rows(db, &format!("SELECT {COLUMNS} {sql}"), params![state, before, most(limit)], outbox_row)?;
    Ok(full_or_last(found, limit))
}

/// Where no index leads: a bounded piece of positions.
fn piece(db: Db<'_>, state: Option<OutboxState>, before: i64, limit: usize) -> sql::Result<OutboxPage> {
    let newest: Option<i64> =
        db.query_row("SELECT max(seq) FROM outbox WHERE seq < ?1", [before], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(OutboxPage::default()) };
    let from = newest.saturating_sub(SCAN_POSITIONS).saturating_add(1);
    let key = params![state.map(OutboxState::number), before, most(limit), from];
    let found = rows(db, &format!("SELECT {COLUMNS} {PIECE}"), key, outbox_row)?;
    let mut page = full_or_last(found, limit);
    if page.next_before_seq.is_none() && from > 1 {
        page.next_before_seq = Some(from);
    }
    Ok(page)
}

fn of_fn(
    db: Db<'_>,
    fn_number: &FnNumber,
    state: Option<OutboxState>,
    before: i64,
    limit: usize,
) -> sql::Result<OutboxPage> {
    let key = params![fn_number.as_str(), before, SCAN_POSITIONS];
    let seqs: Vec<i64> = rows(db, OF_FN, key, |row| row.get(0))?;
    let is_last = i64::try_from(seqs.len()).is_ok_and(|number| number < SCAN_POSITIONS);
    let mut page =
        OutboxPage { rows: Vec::new(), next_before_seq: seqs.last().copied().filter(|_| !is_last) };
    for some in seqs.chunks(LOOKS) {
        for row in reading::at_each(db, some)? {
            if state.is_some_and(|state| state != row.state) {
                continue;
            }
            let seq = row.seq;
            page.rows.push(row);
            if page.rows.len() >= limit {
                page.next_before_seq = Some(seq);
                return Ok(page);
            }
        }
    }
    Ok(page)
}

fn full_or_last(rows: Vec<OutboxRow>, limit: usize) -> OutboxPage {
    let next_before_seq = if rows.len() < limit { None } else { rows.last().map(|row| row.seq) };
    OutboxPage { rows, next_before_seq }
}
