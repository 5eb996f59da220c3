//! Moving the bytes of old documents into a file, step by step.
//!
//! A step copies some documents into the file, which is synced; reads them back by another connection and compares them
//! by hash; and only then, in one transaction, empties their rows and notes how far the file is filled. Whatever is in the
//! file behind that note is of a step that was killed, and is replaced by the next one. Whoever copies holds the file's
//! write lock from the reading of the note on, so that two calls at once cannot undo each other's steps.
//!
//! Emptying: a row that is only made shorter leaves a hole in its page that nothing else will ever use, because new rows
//! are written at the end of the table. So the rows of a step are taken out and put back shorter, in the same
//! transaction: then whole pages become free, and new rows use these before the file grows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::file::{Bytes, Sum};
use super::{Record, advance, all, by_id, file, month, note};
use crate::detached::{DetachError, DetachOrder, DetachProgress, DetachReport, DetachStep};
use crate::sql::{self, Db};
use crate::sqlite::{connection, disk, log, store_error};
use crate::tables::documents::newest_seq;
use crate::{StoreError, Unavailability};

/// Rows of one step: the daemon waits while they are emptied. Few in tests.
const STEP_ROWS: i64 = if cfg!(test) { 4 } else { 1_000 };
/// What the documents of one step may weigh; the one that passes it is the last one.
const STEP_BYTES: usize = 8 << 20;
/// The longest wait after a step, for the daemon's writer.
const LONGEST_YIELD: Duration = Duration::from_millis(100);
/// Reports of registration, of its change and of closing: registration and reception read them as long as there is a ФН.
const REPORTS: [u16; 3] = [1, 6, 11];

/// The newest shift of a ФН begins with this ФД.
const NEWEST_OPENING: &str = "SELECT fd FROM journal INDEXED BY journal_shifts \
     WHERE fn = ?1 AND chain = ?2 AND form IN (2, 5) AND +form = 2 AND conflict_no = 0 ORDER BY fd DESC LIMIT 1";
const NEWEST_OF_FN: &str =
    "SELECT fd FROM journal_index WHERE fn = ?1 AND chain = ?2 ORDER BY fd DESC LIMIT 1";
const ROWS: &str = "SELECT seq, fn, fd, chain, form, received_at, container, opened FROM journal NOT INDEXED \
     WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3";

type Result<T> = std::result::Result<T, DetachError>;
/// Told how far it is; may ask for an end.
type Watcher<'w> = &'w mut dyn FnMut(DetachProgress) -> std::ops::ControlFlow<()>;

/// See [`crate::detach`].
pub(crate) fn detach(path: &Path, order: DetachOrder<'_>, watch: Watcher<'_>) -> Result<DetachReport> {
    check_month(order)?;
    let store = connection::open_operator(path)?;
    // The rows of a step leave the table for a moment and come back under the same positions.
    store.pragma_update(None, "foreign_keys", false).map_err(store_error)?;
    store.pragma_update(None, "temp_store", "memory").map_err(store_error)?;
    let mut moving = Moving { store, path: path.to_path_buf(), order, watch, moved: 0 };
    let record = match moving.begin()? {
        Some(record) => Some(moving.run(record)?),
        None => None,
    };
    let pragma = |name: &str| -> std::result::Result<u64, StoreError> {
        let found: i64 =
            moving.store.pragma_query_value(None, name, |row| row.get(0)).map_err(store_error)?;
        Ok(u64::try_from(found).unwrap_or(0))
    };
    let page_bytes = pragma("page_size")?;
    Ok(DetachReport {
        file: record.as_ref().map(Record::told),
        moved: moving.moved,
        free_bytes: pragma("freelist_count")?.saturating_mul(page_bytes),
        store_bytes: pragma("page_count")?.saturating_mul(page_bytes),
    })
}

/// The beginning of a month with a whole month between it and the present one.
fn check_month(order: DetachOrder<'_>) -> std::result::Result<(), StoreError> {
    let before = order.before.to_zoned(TimeZone::UTC);
    let begins = before.first_of_month().and_then(|first| first.start_of_day());
    let next = begins.as_ref().ok().and_then(|first| first.checked_add(Span::new().months(1)).ok());
    if begins.is_ok_and(|first| first.timestamp() != order.before) {
        return Err(StoreError::refused("documents are detached by whole months"));
    }
    match next {
        Some(next) if next.timestamp() <= month_begin(order.now) => Ok(()),
        _ => Err(StoreError::refused(format!(
            "documents received before {} are too new to be detached: the last whole month stays in the store",
            month(order.before)
        ))),
    }
}

fn month_begin(moment: Timestamp) -> Timestamp {
    let first = moment.to_zoned(TimeZone::UTC).first_of_month().and_then(|first| first.start_of_day());
    first.map_or(Timestamp::MIN, |first| first.timestamp())
}

struct Moving<'o, 'w> {
    store: Connection,
    path: PathBuf,
    order: DetachOrder<'o>,
    watch: Watcher<'w>,
    moved: u64,
}

/// Some rows that follow each other.
struct Batch {
    /// What leaves the store, in order.
    documents: Vec<(i64, Bytes)>,
    /// The last position looked at.
    until: i64,
}

impl Moving<'_, '_> {
    /// The file to fill: the one that was begun, or a new one; none when there is nothing to move.
    fn begin(&mut self) -> Result<Option<Record>> {
        let known = all(&self.store).map_err(store_error)?;
        let to = std::path::absolute(self.order.to).unwrap_or_else(|_| self.order.to.to_path_buf());
        let Some(text) = to.to_str() else {
            return Err(StoreError::refused("the name of the file is no UTF-8 text").into());
        };
        if let Some(record) = known.iter().find(|record| !record.is_whole) {
            if record.path != text || record.before_at != self.order.before.as_microsecond() {
                return Err(StoreError::refused(format!(
                    "another detachment is unfinished: `fiscald detach --before {} --to {}` goes on with it",
                    record.before(),
                    record.path
                ))
                .into());
            }
            self.require_settled(record.until_seq, record.end_seq)?;
            return Ok(Some(record.clone()));
        }
        let after = known.last().map_or(0, |record| record.until_seq);
        let before_at = self.order.before.as_microsecond();
        let end = end_before(&self.store, after, before_at).map_err(store_error)?;
        if end <= after {
            return Ok(None);
        }
        self.require_settled(after, end)?;
        let marks: Vec<&[u8]> = known.iter().map(|record| record.mark.as_slice()).collect();
        let mark = file::make(&to, before_at, &marks)?;
        let sha256 = Sum::NOTHING.0;
        let (path, until_seq, end_seq) = (text.to_owned(), after, end);
        let mut record = Record {
            id: 0,
            path,
            mark,
            before_at,
            after_seq: after,
            until_seq,
            end_seq,
            documents: 0,
            bytes: 0,
            sha256,
            is_whole: false,
        };
        self.tell(DetachStep::Made, &record)?;
        record.id = connection::write_once(&mut self.store, |db| {
            // Two that begin at once: one of them finds the other's.
            if all(db)?.len() != known.len() {
                return Err(sql::Error::Store(StoreError::refused("another detachment has just begun")));
            }
            Ok(note(db, &record)?)
        })?;
        self.tell(DetachStep::Noted, &record)?;
        Ok(Some(record))
    }

    fn run(&mut self, mut record: Record) -> Result<Record> {
        let mut filled = file::open_for_writing(&record, &self.path)?;
        let reading = file::open_for_reading(&record, &self.path)?;
        while record.until_seq < record.end_seq {
            self.require_room()?;
            record = self.step(&mut filled, &reading, record)?;
        }
        self.finish(&reading, record)
    }

    fn step(&mut self, filled: &mut Connection, reading: &Connection, record: Record) -> Result<Record> {
        let failed = |error: rusqlite::Error| file::at(Path::new(&record.path), error);
        let copying = Transaction::new(filled, TransactionBehavior::Immediate).map_err(failed)?;
        let now = by_id(&self.store, record.id).map_err(store_error)?;
        if now != record {
            return Err(another().into());
        }
        let batch = batch(&self.store, &record).map_err(store_error)?;
        file::put(&copying, record.until_seq, &batch.documents).map_err(failed)?;
        copying.commit().map_err(failed)?;
        self.tell(DetachStep::Copied, &record)?;

        let mut next = record.clone();
        let mut expected = Sum(record.sha256);
        for (seq, bytes) in &batch.documents {
            expected.add(*seq, bytes);
            next.bytes = next.bytes.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        }
        let mut found = Sum(record.sha256);
        let count = file::sum(reading, record.until_seq, batch.until, &mut found)
            .map_err(|error| file::unreadable(&record, &error))?;
        if found != expected || usize::try_from(count) != Ok(batch.documents.len()) {
            return Err(record
                .elsewhere("which does not hold what was just written to it: check its disk")
                .into());
        }
        self.tell(DetachStep::Compared, &record)?;

        (next.until_seq, next.sha256) = (batch.until, expected.0);
        next.documents = record.documents.saturating_add(count);
        let held = self.empty(&record, &next, &batch.documents)?;
        self.moved = self.moved.saturating_add(u64::try_from(count).unwrap_or(0));
        log::copy_left(&self.store).map_err(store_error)?;
        self.tell(DetachStep::Emptied, &next)?;
        // The daemon polls for the lock: without a pause this command could keep it for itself.
        std::thread::sleep(held.min(LONGEST_YIELD));
        Ok(next)
    }

    /// Empties the rows and notes how far the file is filled, in one transaction; tells how long it held the lock.
    fn empty(
        &mut self,
        from: &Record,
        to: &Record,
        documents: &[(i64, Bytes)],
    ) -> std::result::Result<Duration, StoreError> {
        let mut began = Instant::now();
        connection::write_once(&mut self.store, |db| {
            began = Instant::now();
            let refusal = unsettled(db, from.until_seq, to.until_seq)?.map(StoreError::refused);
            let overtaken = if advance(db, from, to)? { None } else { Some(another()) };
            if let Some(error) = refusal.or(overtaken) {
                return Err(sql::Error::Store(error));
            }
            if shorten(db, documents)? {
                return Ok(());
            }
            Err(sql::Error::Store(StoreError::corrupt(
                "a row of the journal is not where it was a moment ago",
            )))
        })?;
        Ok(began.elapsed())
    }

    /// Compares the whole file with what was noted, and notes that it is whole.
    fn finish(&mut self, reading: &Connection, mut record: Record) -> Result<Record> {
        let mut found = Sum::NOTHING;
        let count = file::sum(reading, record.after_seq, record.end_seq, &mut found)
            .map_err(|error| file::unreadable(&record, &error))?;
        if found.0 != record.sha256 || count != record.documents {
            return Err(record
                .elsewhere("which is not what was written to it: put back a sound copy")
                .into());
        }
        let now = self.order.now.as_microsecond();
        connection::write_once(&mut self.store, |db| {
            Ok(db.execute("UPDATE detached_files SET done_at = ?2 WHERE id = ?1", [record.id, now])?)
        })?;
        record.is_whole = true;
        Ok(record)
    }

    fn tell(&mut self, step: DetachStep, record: &Record) -> Result<()> {
        let positions = |until: i64| u64::try_from(until.saturating_sub(record.after_seq)).unwrap_or(0);
        let (done, total) = (positions(record.until_seq), positions(record.end_seq));
        match (self.watch)(DetachProgress { step, done, total }) {
            std::ops::ControlFlow::Continue(()) => Ok(()),
            std::ops::ControlFlow::Break(()) => Err(DetachError::Stopped),
        }
    }

    fn require_settled(&self, after: i64, end: i64) -> std::result::Result<(), StoreError> {
        match unsettled(&self.store, after, end).map_err(store_error)? {
            Some(why) => Err(StoreError::refused(why)),
            None => Ok(()),
        }
    }

    fn require_room(&self) -> std::result::Result<(), StoreError> {
        let needed = u64::try_from(STEP_BYTES).unwrap_or(u64::MAX).saturating_mul(2);
        match disk::free_bytes(self.order.to) {
            Ok(free) if free < needed.saturating_add(self.order.keep_free_bytes) => {
                let detail = format!(
                    "{} MiB are free where {} lies, and {} MiB have to stay: free some space, the same command goes on",
                    free >> 20,
                    self.order.to.display(),
                    self.order.keep_free_bytes >> 20
                );
                Err(StoreError::unavailable(Unavailability::DiskLow, detail))
            }
            _ => Ok(()),
        }
    }
}

fn another() -> StoreError {
    StoreError::refused("another `fiscald detach` is at work on this store")
}

/// The last position before which, as far as positions follow the time, everything came before a moment. A clock that was
/// set back for a while makes it another one, and each row is asked all the same.
fn end_before(store: &Connection, after: i64, before_at: i64) -> rusqlite::Result<i64> {
    let mut first_from =
        store.prepare_cached("SELECT seq, received_at FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let newest = newest_seq(Db::from(store))?;
    let (mut low, mut high) = (after, newest.saturating_add(1));
    while high.saturating_sub(low) > 1 {
        let middle = low.saturating_add(high.saturating_sub(low) / 2);
        let found: Option<(i64, i64)> =
            first_from.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((_, at)) if at < before_at => low = middle,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Why the documents of some positions are still needed whole: the tax service has not settled them.
fn unsettled(store: &Connection, after: i64, end: i64) -> rusqlite::Result<Option<String>> {
    let derived: i64 =
        store.query_row("SELECT derived FROM outbox_cursors WHERE id = 1", [], |row| row.get(0))?;
    let owed = "SELECT 1 FROM journal NOT INDEXED WHERE seq > ?1 AND seq <= ?2 AND forward <> 0 \
                AND conflict_no = 0 LIMIT 1";
    if store.prepare_cached(owed)?.exists([after.max(derived), end])? {
        return Ok(Some(
            "documents of these months are still to be put in line for the tax service: let `fiscald serve` do that \
             first (with [fns] set)"
                .to_owned(),
        ));
    }
    let count = |sql: &str| -> rusqlite::Result<i64> {
        store.prepare_cached(sql)?.query_row([after, end], |row| row.get(0))
    };
    let open = count(
        "SELECT count(*) FROM outbox INDEXED BY outbox_open WHERE state <= 1 AND seq > ?1 AND seq <= ?2",
    )?
    .saturating_add(count("SELECT count(*) FROM outbox_parked WHERE seq > ?1 AND seq <= ?2")?);
    let delivered = count(
        "SELECT count(*) FROM outbox INDEXED BY outbox_delivered WHERE state = 2 AND seq > ?1 AND seq <= ?2",
    )?;
    let troubled = "SELECT count(*) FROM outbox INDEXED BY outbox_troubled \
                    WHERE state >= 4 AND state = ?3 AND seq > ?1 AND seq <= ?2";
    let of_state = |state: i64| -> rusqlite::Result<i64> {
        store.prepare_cached(troubled)?.query_row([after, end, state], |row| row.get(0))
    };
    let waiting = count("SELECT count(*) FROM outbox_waiting WHERE seq > ?1 AND seq <= ?2")?;
    let told = [
        (open, "to be sent"),
        (delivered, "without a verdict (delivered)"),
        (of_state(4)?, "in soft quarantine (soft)"),
        (of_state(6)?, "refused and not decided upon (dead)"),
        (waiting, "of ФН that are not known yet"),
    ];
    let told: Vec<String> =
        told.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "the tax service has not settled all documents of these months: {}; see `fiscald outbox list`",
        told.join(", ")
    )))
}

/// The next rows of a file, and which of them leave the store; of one state.
fn batch(store: &Connection, record: &Record) -> rusqlite::Result<Batch> {
    let state = store.unchecked_transaction()?;
    let mut newest_shifts = HashMap::new();
    let mut batch = Batch { documents: Vec::new(), until: record.until_seq };
    let (mut looked, mut weight) = (0_i64, 0_usize);
    {
        let mut statement = state.prepare_cached(ROWS)?;
        let mut rows = statement.query([record.until_seq, record.end_seq, STEP_ROWS])?;
        while weight < STEP_BYTES
            && let Some(row) = rows.next()?
        {
            looked = looked.saturating_add(1);
            batch.until = row.get(0)?;
            let (form, received_at): (u16, i64) = (row.get(4)?, row.get(5)?);
            // An empty one was never received: somebody made it so, and there is nothing to move.
            let is_empty = row.get_ref(6)?.as_blob()?.is_empty();
            if REPORTS.contains(&form) || received_at >= record.before_at || is_empty {
                continue;
            }
            let (key, fd, chain): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let stays_from = match newest_shifts.entry((key, chain)) {
                std::collections::hash_map::Entry::Occupied(known) => *known.get(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let from = newest_shift(&state, &place.key().0, chain)?;
                    *place.insert(from)
                }
            };
            if fd < stays_from {
                let bytes = Bytes { container: row.get(6)?, opened: row.get(7)? };
                weight = weight.saturating_add(bytes.len());
                batch.documents.push((batch.until, bytes));
            }
        }
    }
    if looked < STEP_ROWS && weight < STEP_BYTES {
        batch.until = record.end_seq;
    }
    Ok(batch)
}

/// The ФД with which the newest shift of a ФН begins; without an opening its newest document.
fn newest_shift(store: &Connection, key: &str, chain: i64) -> rusqlite::Result<i64> {
    let find = |sql: &str| {
        store.prepare_cached(sql)?.query_row(params![key, chain], |row| row.get::<_, i64>(0)).optional()
    };
    match find(NEWEST_OPENING)? {
        Some(fd) => Ok(fd),
        None => Ok(find(NEWEST_OF_FN)?.unwrap_or(0)),
    }
}

/// Takes the rows out and puts them back without their documents. False when one of them is not there.
fn shorten(store: &Connection, documents: &[(i64, Bytes)]) -> rusqlite::Result<bool> {
    store.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS shortened AS SELECT * FROM main.journal LIMIT 0; DELETE FROM temp.shortened",
    )?;
    let each = |sql: &str| -> rusqlite::Result<bool> {
        let mut statement = store.prepare_cached(sql)?;
        for (seq, _) in documents {
            if statement.execute([seq])? != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if !each("INSERT INTO temp.shortened SELECT * FROM main.journal WHERE seq = ?1")? {
        return Ok(false);
    }
    store.execute("UPDATE temp.shortened SET container = x'', opened = NULL", [])?;
    if !each("DELETE FROM main.journal WHERE seq = ?1")? {
        return Ok(false);
    }
    let back = store.execute("INSERT INTO main.journal SELECT * FROM temp.shortened ORDER BY seq", [])?;
    store.execute("DELETE FROM temp.shortened", [])?;
    Ok(back == documents.len())
}
