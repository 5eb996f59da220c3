//! The newest documents of one ФН, by index.

use ffd::ids::FnNumber;
use rusqlite::params;

use super::chains::newest_chain;
use crate::history::RegisterHistory;
use crate::rows::opened_document;
use crate::sql::{self, Db, OptionalExtension as _};

/// What the documents of a history may weigh together. Little in tests.
const MAX_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Documents read at once: few at first, because many shifts are short, then more, because a server is asked each time.
const FIRST_STEP: i64 = if cfg!(test) { 2 } else { 16 };
const LONGEST_STEP: i64 = if cfg!(test) { 4 } else { 256 };
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

const BACKWARDS: &str = "SELECT fd, seq FROM journal_index \
     WHERE fn = ?1 AND chain = ?2 AND conflict_no = 0 AND fd < ?3 ORDER BY fd DESC LIMIT ?4";
const DOCUMENT: &str =
    concat!("SELECT form, container, opened FROM journal WHERE seq = ?1 AND ", believable!());
const NEWEST_REPORT: &str = concat!(
    "SELECT container, opened FROM journal INDEXED BY journal_reports \
     WHERE fn = ?1 AND chain = ?2 AND fd < ?3 AND form IN (1, 11) AND conflict_no = 0 AND ",
    believable!(),
    " ORDER BY fd DESC LIMIT 1"
);

/// The newest documents of the newest chain, at most `most`; none when nothing of the ФН is stored.
pub(crate) fn load(db: Db<'_>, fn_number: &FnNumber, most: usize) -> sql::Result<Option<RegisterHistory>> {
    // One state of the store for all look-ups.
    db.read(|db| {
        let key = fn_number.as_str();
        let chain = if fn_number.is_debug() { newest_chain(db, key)?.unwrap_or(0) } else { 0 };
        let mut history = RegisterHistory::default();
        let Some(oldest) = shift(db, key, chain, most.max(1), &mut history)? else { return Ok(None) };
        history.registration = db
            .prepare(NEWEST_REPORT)?
            .query_row(params![key, chain, oldest], |row| {
                Ok(opened_document(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob_or_null()?).to_vec())
            })
            .optional()?;
        Ok(Some(history))
    })
}

/// Goes back to the opening of the newest shift. Gives the ФД of the oldest document that was taken.
fn shift(
    db: Db<'_>,
    key: &str,
    chain: u32,
    most: usize,
    history: &mut RegisterHistory,
) -> sql::Result<Option<u32>> {
    let (mut bytes, mut oldest) = (0_usize, None);
    let (mut before, mut step) = (i64::MAX, FIRST_STEP);
    'steps: loop {
        let places: Vec<(u32, i64)> = db
            .prepare(BACKWARDS)?
            .query_map(params![key, chain, before, step], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<sql::Result<_>>()?;
        let documents = db.prepare(DOCUMENT)?.query_all(places.iter().map(|(_, seq)| [*seq]), |row| {
            let container = row.get_ref(1)?.as_blob()?;
            let document = opened_document(container, row.get_ref(2)?.as_blob_or_null()?).to_vec();
            Ok((row.get::<u16>(0)?, (!container.is_empty()).then_some(document)))
        })?;
        for ((fd, _), document) in places.iter().zip(documents) {
            let Some((form, document)) = document.into_iter().next() else { continue };
            // Moved into a file of old documents, as those before it: reception must not depend on that.
            let Some(document) = document else {
                history.cut = true;
                oldest = oldest.or(Some(fd.saturating_add(1)));
                break 'steps;
            };
            bytes = bytes.saturating_add(document.len());
            history.shift.push(document);
            history.cut = form != SHIFT_OPENING && *fd != 1;
            oldest = Some(*fd);
            if form == SHIFT_OPENING || bytes >= MAX_BYTES || history.shift.len() >= most {
                break 'steps;
            }
        }
        let is_end = i64::try_from(places.len()).is_ok_and(|found| found < step);
        match places.last() {
            Some((fd, _)) if !is_end => before = i64::from(*fd),
            _ => break,
        }
        step = step.saturating_mul(2).min(LONGEST_STEP);
    }
    history.shift.reverse();
    Ok(oldest)
}
