//! The newest documents of one ФН, by index.

use ffd::ids::FnNumber;
use rusqlite::{Connection, OptionalExtension, params};

use super::chains::newest_chain;
use crate::history::RegisterHistory;
use crate::rows::opened_document;

/// What the documents of a history may weigh together. Little in tests.
const MAX_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Opening of a shift.
const SHIFT_OPENING: u16 = 2;

/// A document that could not be read (code 11), or is not the one its container announces, says nothing about its ФН:
/// the checks passed over it when it came, so they must when it is remembered. The findings are found by `seq`, hence
/// the plus, which keeps the index by rules out of it.
macro_rules! believable {
    () => {
        "code <> 11 AND NOT EXISTS (SELECT 1 FROM findings \
         WHERE findings.seq = journal.seq AND +rule >= 'identity.' AND +rule < 'identity/')"
    };
}
pub(crate) use believable;

const BACKWARDS: &str = concat!(
    "SELECT fd, form, container, opened FROM journal INDEXED BY journal_identity \
     WHERE fn = ?1 AND chain = ?2 AND conflict_no = 0 AND ",
    believable!(),
    " ORDER BY fd DESC LIMIT ?3"
);
const NEWEST_REPORT: &str = concat!(
    "SELECT container, opened FROM journal INDEXED BY journal_reports \
     WHERE fn = ?1 AND chain = ?2 AND fd < ?3 AND form IN (1, 11) AND conflict_no = 0 AND ",
    believable!(),
    " ORDER BY fd DESC LIMIT 1"
);

/// The newest documents of the newest chain, at most `most`; none when nothing of the ФН is stored.
pub(crate) fn load(
    connection: &Connection,
    fn_number: &FnNumber,
    most: usize,
) -> rusqlite::Result<Option<RegisterHistory>> {
    // One state of the file for all three look-ups.
    let transaction = connection.unchecked_transaction()?;
    let key = fn_number.as_str();
    let chain = if fn_number.is_debug() { newest_chain(&transaction, key)?.unwrap_or(0) } else { 0 };
    let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
    let mut history = RegisterHistory::default();
    let (mut bytes, mut oldest) = (0_usize, None);
    {
        let mut statement = transaction.prepare_cached(BACKWARDS)?;
        let mut rows = statement.query(params![key, chain, most])?;
        while bytes < MAX_BYTES
            && let Some(row) = rows.next()?
        {
            let (fd, form): (u32, u16) = (row.get(0)?, row.get(1)?);
            let document = opened_document(row.get_ref(2)?.as_blob()?, row.get_ref(3)?.as_blob_or_null()?);
            bytes = bytes.saturating_add(document.len());
            history.shift.push(document.to_vec());
            history.cut = form != SHIFT_OPENING && fd != 1;
            oldest = Some(fd);
            if form == SHIFT_OPENING {
                break;
            }
        }
    }
    let Some(oldest) = oldest else { return Ok(None) };
    history.shift.reverse();
    history.registration = transaction
        .prepare_cached(NEWEST_REPORT)?
        .query_row(params![key, chain, oldest], |row| {
            Ok(opened_document(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob_or_null()?).to_vec())
        })
        .optional()?;
    Ok(Some(history))
}
