//! Reading everything anew: rows with all their columns.

use rusqlite::params;

use super::documents::{self, newest_seq, next_seq};
use super::export::end_of_piece;
use crate::StoreError;
use crate::care::{IntegrityDepth, VerifyPage, VerifyRow};
use crate::rows::DocumentRow;
use crate::sql::{self, Db};

/// What a page may weigh; the row that passes it is the last one. Little in tests.
const MAX_PAGE_BYTES: usize = if cfg!(test) { 4096 } else { 16 << 20 };

/// Most sentences that one look at the references gives.
const MAX_SENTENCES: usize = 100;
/// Rows looked at by one statement about references. Few in tests.
const PAGE_ROWS: i64 = if cfg!(test) { 3 } else { 10_000 };
/// Rows read by one statement. Few in tests.
const CHUNK_ROWS: usize = if cfg!(test) { 3 } else { 64 };

/// The next positions; a row that cannot be read does not hide the others.
pub(crate) fn page(db: Db<'_>, after_seq: i64, limit: usize) -> sql::Result<VerifyPage> {
    match db {
        Db::Sqlite(_) => db.read(|db| page_of_rows(db, after_seq, limit)),
        // A transaction would end at the first page that is damaged.
        Db::Postgres(_) => page_of_rows(db, after_seq, limit),
    }
}

fn page_of_rows(db: Db<'_>, after_seq: i64, limit: usize) -> sql::Result<VerifyPage> {
    let newest = newest_seq(db)?;
    let mut page = VerifyPage::default();
    let (mut after, mut bytes) = (after_seq.max(0), 0_usize);
    while after < newest && page.rows.len() < limit && bytes < MAX_PAGE_BYTES {
        let left = limit.saturating_sub(page.rows.len());
        for row in chunk(db, after, newest, left.min(CHUNK_ROWS))? {
            after = match &row {
                VerifyRow::Document(document) => {
                    bytes = bytes.saturating_add(weight(document));
                    document.seq
                }
                VerifyRow::Unreadable { seq, .. } | VerifyRow::Elsewhere { seq, .. } => *seq,
                VerifyRow::Missing { to, .. } => *to,
            };
            page.rows.push(row);
        }
    }
    page.next = (after < newest).then_some(after);
    Ok(page)
}

/// At least one row after a position: several at once where all is well, one by one where it is not.
fn chunk(db: Db<'_>, after: i64, newest: i64, most: usize) -> sql::Result<Vec<VerifyRow>> {
    let first = after.saturating_add(1);
    match documents::following(db, after, most) {
        Ok(found) => {
            let (mut rows, mut expected) = (Vec::with_capacity(found.len()), first);
            for document in found {
                // A hole takes a place of its own, and the row behind it may have to wait for the next page.
                if document.seq > expected && rows.len() < most && tells_holes(db) {
                    rows.push(VerifyRow::Missing { from: expected, to: document.seq.saturating_sub(1) });
                }
                if rows.len() >= most {
                    break;
                }
                expected = document.seq.saturating_add(1);
                rows.push(VerifyRow::Document(Box::new(document)));
            }
            if rows.is_empty() && tells_holes(db) {
                rows.push(VerifyRow::Missing { from: first, to: newest });
            }
            Ok(rows)
        }
        Err(error) if error.is_damage() || is_elsewhere(&error) => Ok(vec![one(db, first, newest)?]),
        Err(error) => Err(error),
    }
}

fn weight(document: &DocumentRow) -> usize {
    let opened = document.opened.as_ref().map_or(0, Vec::len);
    document.container.len().saturating_add(opened).saturating_add(document.acknowledgement.len())
}

/// Whether a position that is not taken was lost. A server takes positions that come to nothing, and begins each month
/// anew; there the keys tell what was lost.
fn tells_holes(db: Db<'_>) -> bool {
    matches!(db, Db::Sqlite(_))
}

/// What lies at a position, or at the next one that is taken.
fn one(db: Db<'_>, seq: i64, newest: i64) -> sql::Result<VerifyRow> {
    if tells_holes(db) {
        return at(db, seq, newest);
    }
    let next = next_seq(db, seq).ok().flatten().unwrap_or(seq);
    at(db, next, newest)
}

/// What lies at a position.
fn at(db: Db<'_>, seq: i64, newest: i64) -> sql::Result<VerifyRow> {
    match documents::at(db, seq) {
        Ok(Some(document)) => Ok(VerifyRow::Document(Box::new(document))),
        Ok(None) => {
            // The newest position is there, so there is a next one; if it cannot be found, these are taken one by one.
            let next = next_seq(db, seq).ok().flatten().unwrap_or(seq.saturating_add(1));
            Ok(VerifyRow::Missing { from: seq, to: next.saturating_sub(1).clamp(seq, newest) })
        }
        Err(error) if is_elsewhere(&error) => Ok(VerifyRow::Elsewhere { seq, why: error.words() }),
        Err(error) if error.is_damage() => Ok(VerifyRow::Unreadable { seq, why: error.words() }),
        Err(error) => Err(error),
    }
}

/// Whether the bytes of a document lie in a file that cannot be read.
fn is_elsewhere(error: &sql::Error) -> bool {
    matches!(error, sql::Error::Store(StoreError::Elsewhere { .. }))
}

/// What is wrong with the rows of a server's tables as they refer to each other; at most some hundred sentences for each
/// look. Reads bounded pieces, each of one state.
pub(crate) fn references(
    db: Db<'_>,
    depth: IntegrityDepth,
    step: &mut dyn FnMut(&str),
) -> sql::Result<Vec<String>> {
    let mut wrong = Vec::new();
    step("keys of the journal");
    rows_without_keys(db, &mut wrong)?;
    if depth == IntegrityDepth::Full {
        step("rows of the keys");
        keys_without_rows(db, &mut wrong)?;
    }
    for table in ["findings", "human_tasks", "outbox"] {
        step(&format!("references of {table}"));
        let sql = format!(
            "SELECT r.seq, (SELECT count(*) FROM journal AS j WHERE j.seq = r.seq) FROM \
             (SELECT DISTINCT seq FROM {table} WHERE seq > ?1 ORDER BY seq LIMIT ?2) AS r ORDER BY r.seq"
        );
        // What belongs to detached months stays.
        let oldest = next_seq(db, 0)?.unwrap_or(i64::MAX);
        let (mut after, mut read, mut found) = (oldest.saturating_sub(1), PAGE_ROWS, 0_usize);
        while read >= PAGE_ROWS && found < MAX_SENTENCES {
            read = 0;
            let mut statement = db.prepare(&sql)?;
            let mut rows = statement.query([after, PAGE_ROWS])?;
            while let Some(row) = rows.next()? {
                (after, read) = (row.get(0)?, read.saturating_add(1));
                if row.get::<i64>(1)? == 0 && found < MAX_SENTENCES {
                    found = found.saturating_add(1);
                    wrong.push(format!("a row of {table} has no row of journal: position {after}"));
                }
            }
        }
    }
    Ok(wrong)
}

fn rows_without_keys(db: Db<'_>, wrong: &mut Vec<String>) -> sql::Result<()> {
    let newest = newest_seq(db)?;
    let (mut after, mut found) = (0_i64, 0_usize);
    while after < newest && found < MAX_SENTENCES {
        let until = end_of_piece(db, after)?.min(newest);
        let mut statement = db.prepare(
            "SELECT j.fn, j.fd, j.seq FROM journal AS j WHERE j.seq > ?1 AND j.seq <= ?2 AND NOT EXISTS (SELECT 1 \
             FROM journal_keys AS k WHERE k.fn = j.fn AND k.fd = j.fd AND k.chain = j.chain \
             AND k.conflict_no = j.conflict_no AND k.seq = j.seq AND k.identity = j.identity) ORDER BY j.seq LIMIT ?3",
        )?;
        let most = i64::try_from(MAX_SENTENCES).unwrap_or(i64::MAX);
        let mut rows = statement.query([after, until, most])?;
        while let Some(row) = rows.next()? {
            found = found.saturating_add(1);
            let (fn_number, fd, seq): (String, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            wrong.push(format!("ФН {fn_number} ФД {fd} at position {seq} has no key, or another one"));
        }
        after = until;
    }
    Ok(())
}

/// Years of which the journal was detached have keys still.
fn keys_without_rows(db: Db<'_>, wrong: &mut Vec<String>) -> sql::Result<()> {
    let oldest = next_seq(db, 0)?.unwrap_or(i64::MAX);
    let mut after: (String, i64, i64, i64) = Default::default();
    let (mut read, mut found) = (PAGE_ROWS, 0_usize);
    while read >= PAGE_ROWS && found < MAX_SENTENCES {
        read = 0;
        let mut statement = db.prepare(
            "SELECT k.fn, k.fd, k.chain, k.conflict_no, k.seq, \
             (SELECT count(*) FROM journal AS j WHERE j.seq = k.seq AND j.fn = k.fn AND j.fd = k.fd) \
             FROM (SELECT fn, fd, chain, conflict_no, seq FROM journal_keys \
             WHERE (fn, fd, chain, conflict_no) > (?1, ?2, ?3, ?4) ORDER BY fn, fd, chain, conflict_no LIMIT ?5) AS k \
             ORDER BY k.fn, k.fd, k.chain, k.conflict_no",
        )?;
        let mut rows = statement.query(params![after.0, after.1, after.2, after.3, PAGE_ROWS])?;
        while let Some(row) = rows.next()? {
            read = read.saturating_add(1);
            after = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let seq: i64 = row.get(4)?;
            if row.get::<i64>(5)? == 0 && seq >= oldest && found < MAX_SENTENCES {
                found = found.saturating_add(1);
                wrong.push(format!("ФН {} ФД {} is lost: its key names position {seq}", after.0, after.1));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{On, Place};
    use crate::support::{PLAIN_FN, document};
    use crate::{Derived, OpenedRow, Operator, Reader};

    fn filled() -> Place {
        On::Postgres.choose();
        let mut place = Place::new();
        place.append((1..=9).map(|fd| document(PLAIN_FN, fd, 3, "x")).collect());
        place
    }

    fn wrong(place: &Place, depth: IntegrityDepth) -> Vec<String> {
        let reader = Reader::open(place.url()).unwrap();
        let wrong = reader.integrity_check(depth, &mut |_| {}).unwrap();
        // Positions are the engine's own.
        wrong.iter().map(|words| words.split(" position").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_a_server_has_lost_is_told() {
        let place = filled();
        for depth in [IntegrityDepth::Quick, IntegrityDepth::Full] {
            assert!(wrong(&place, depth).is_empty(), "{depth:?}");
        }
        place.look().batch(
            "DELETE FROM journal WHERE fd = 4; DELETE FROM journal_keys WHERE fd = 5; \
             UPDATE journal_keys SET identity = '' WHERE fd = 6; \
             INSERT INTO findings (seq, ordinal, path, rule, severity, text) VALUES (1000, 0, '', 'x', 0, '')",
        );
        let without_keys = [5, 6].map(|fd| format!("ФН {PLAIN_FN} ФД {fd} at"));
        let of_findings = "a row of findings has no row of journal:".to_owned();
        let mut expected = without_keys.to_vec();
        expected.push(of_findings.clone());
        assert_eq!(wrong(&place, IntegrityDepth::Quick), expected);
        expected = without_keys.to_vec();
        expected.push(format!("ФН {PLAIN_FN} ФД 4 is lost: its key names"));
        expected.push(of_findings);
        assert_eq!(wrong(&place, IntegrityDepth::Full), expected);
        // The rows themselves are read past the hole, which a server may have for other reasons.
        let page = Reader::open(place.url()).unwrap().verify_page(0, 100).unwrap();
        assert!(page.rows.iter().all(|row| matches!(row, VerifyRow::Document(_))), "{page:?}");
        assert_eq!(page.rows.len(), 8);
    }

    #[test]
    fn a_server_is_not_copied_by_us() {
        let place = filled();
        let reader = Reader::open(place.url()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copied =
            reader.backup(&folder.path().join("copy"), 0, &mut |_| std::ops::ControlFlow::Continue(()));
        assert!(copied.unwrap_err().to_string().contains("pg_basebackup"));
    }

    #[test]
    fn columns_that_a_server_cannot_hold_are_not_changed_for_ever() {
        let place = filled();
        let mut operator = Operator::open(place.url()).unwrap();
        let mut changed = |rnm: &str| {
            let mut wanted =
                |_: &OpenedRow<'_>| Some(Derived { rnm: Some(rnm.to_owned()), ..Derived::default() });
            operator.reindex_page(0, 100, &mut wanted).unwrap().changed
        };
        assert_eq!((changed("1\0"), changed("1\0"), changed("1")), (9, 0, 9));
    }
}
