//! Taking documents out of the journal: in order, as many as the window allows, without reading what is long.

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::{CachedStatement, Connection, Row, params};

use super::gaps::Lanes;
use super::parked::{self, Counts, Parked};
use super::waiting::Release;
use super::{Tally, WAITING, counted, early, most, statement};
use crate::outbox::{DeriveOrder, DeriveReport, OutboxState, Slot};
use crate::records::Forward;
use crate::tables::columns::{FdColumn, FnColumn, unreadable};
use crate::tables::documents::newest_seq;

/// The next documents in order of arrival, short columns only: they lie before the long ones. No index may be taken
/// instead of the positions.
pub(super) const NEXT: &str = "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward \
     FROM journal NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const INSERT: &str = "INSERT INTO outbox (seq, fn, fd, chain, kind, slot, state, serial, attempts, created_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?8) ON CONFLICT (seq) DO NOTHING";
const CURSORS: &str = "SELECT derived, reports, serial FROM outbox_cursors WHERE id = 1";

/// What a deriving connection remembers between two transactions. Nothing of it has to be there.
#[derive(Debug, Default)]
pub(crate) struct Deriver {
    pub(super) lanes: Lanes,
    pub(super) release: Release,
    pub(super) counts: Counts,
}

/// A document as deriving sees it.
pub(super) struct Document {
    pub(super) seq: i64,
    pub(super) fn_number: FnNumber,
    pub(super) fd_number: FdNumber,
    pub(super) chain: u32,
    pub(super) is_conflict: bool,
    pub(super) form: u16,
    pub(super) received_at: i64,
    pub(super) forward: Forward,
}

/// One transaction's work at the outbox.
pub(super) struct Derivation<'a> {
    pub(super) connection: &'a Connection,
    insert: CachedStatement<'a>,
    pub(super) tally: &'a mut Tally,
    pub(super) report: DeriveReport,
    /// How many more documents may come to be sent.
    pub(super) room: usize,
    pub(super) cursors: Cursors,
    /// ФН of which something is put aside.
    pub(super) parked: Parked,
    pub(super) counts: &'a mut Counts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursors {
    pub(super) derived: i64,
    pub(super) reports: i64,
    serial: i64,
}

impl Deriver {
    /// Derives what comes next. The counts must have been written.
    pub(super) fn derive(
        &mut self,
        connection: &Connection,
        order: DeriveOrder,
        tally: &mut Tally,
    ) -> rusqlite::Result<DeriveReport> {
        let before = cursors(connection)?;
        let open = counted(connection, OutboxState::New.number())?
            .saturating_add(counted(connection, OutboxState::InFlight.number())?);
        let open = usize::try_from(open).unwrap_or(0);
        let mut work = Derivation {
            connection,
            insert: statement(connection, INSERT)?,
            tally,
            report: DeriveReport::default(),
            room: order.window.saturating_sub(open),
            cursors: before,
            parked: parked::all(connection)?,
            counts: &mut self.counts,
        };
        // What was put aside, and what waits, came before what follows the cursor.
        parked::resume(&mut work)?;
        self.release.run(&mut work)?;
        let newest = newest_seq(connection)?;
        follow(&mut self.lanes, &mut work, order.scan, newest)?;
        if work.cursors.derived < newest {
            work.report.more = true;
            work.report.window_full = work.room == 0;
            let most_open = order.window.saturating_add(early::ROOM);
            work.room = most_open.saturating_sub(open.saturating_add(work.derived()));
            early::run(&mut work)?;
        }
        work.report.more |= self.release.is_under_way();
        work.report.cursor = work.cursors.derived;
        if work.cursors != before {
            connection
                .prepare_cached(
                    "UPDATE outbox_cursors SET derived = ?1, reports = ?2, serial = ?3 WHERE id = 1",
                )?
                .execute([work.cursors.derived, work.cursors.reports, work.cursors.serial])?;
        }
        Ok(work.report)
    }

    /// The report of a derivation that would change nothing; none when there may be something to do.
    pub(crate) fn idle(&self, connection: &Connection) -> rusqlite::Result<Option<DeriveReport>> {
        let cursor = cursors(connection)?.derived;
        let is_idle = cursor >= newest_seq(connection)?
            && parked::is_none(connection)?
            && self.release.is_done(connection)?;
        Ok(is_idle.then(|| DeriveReport { cursor, ..DeriveReport::default() }))
    }
}

/// Follows the journal until it ends, the window is full or enough was looked at.
fn follow(lanes: &mut Lanes, work: &mut Derivation<'_>, scan: usize, newest: i64) -> rusqlite::Result<()> {
    if work.cursors.derived >= newest {
        return Ok(());
    }
    let mut next = statement(work.connection, NEXT)?;
    let mut rows = next.query(params![work.cursors.derived, most(scan)])?;
    while let Some(row) = rows.next()? {
        let document = document(row)?;
        if document.is_forwarded() && work.room == 0 {
            break;
        }
        if !document.is_conflict {
            lanes.note(work.connection, &document, &mut work.report)?;
        }
        work.take(&document)?;
        work.cursors.derived = document.seq;
        work.report.scanned = work.report.scanned.saturating_add(1);
    }
    Ok(())
}

impl Document {
    /// Whether it is the service's business, now or later. A conflict never is.
    pub(super) fn is_forwarded(&self) -> bool {
        self.forward != Forward::No && !self.is_conflict
    }
}

impl Derivation<'_> {
    fn take(&mut self, document: &Document) -> rusqlite::Result<()> {
        if !document.is_forwarded() {
            return Ok(());
        }
        if document.forward == Forward::WhenKnown
            && !super::waiting::is_known(self.connection, &document.fn_number)?
        {
            return self.put_aside(document);
        }
        self.admit(document).map(|_| ())
    }

    /// Makes it a row to be sent, or puts it aside when enough of its ФН is open. True when it came to be sent.
    pub(super) fn admit(&mut self, document: &Document) -> rusqlite::Result<bool> {
        if parked::put_aside(self, document)? { Ok(false) } else { self.enqueue(document) }
    }

    /// Makes it a row to be sent. False for one that is there already: a report that was derived ahead.
    pub(super) fn enqueue(&mut self, document: &Document) -> rusqlite::Result<bool> {
        let serial = self.cursors.serial.saturating_add(1);
        let added = self.insert.execute(params![
            document.seq,
            document.fn_number.as_str(),
            document.fd_number.get(),
            document.chain,
            document.form,
            Slot::of_fn(&document.fn_number).get(),
            serial,
            document.received_at,
        ])?;
        if added == 0 {
            return Ok(false);
        }
        self.cursors.serial = serial;
        self.counts.added(&document.fn_number);
        self.room = self.room.saturating_sub(1);
        self.tally.added(OutboxState::New);
        self.report.derived = self.report.derived.saturating_add(1);
        Ok(true)
    }

    fn put_aside(&mut self, document: &Document) -> rusqlite::Result<()> {
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO outbox_waiting (seq, fn) VALUES (?1, ?2) ON CONFLICT (seq) DO NOTHING",
            )?
            .execute(params![document.seq, document.fn_number.as_str()])?;
        if added > 0 {
            self.tally.add(WAITING, 1);
            self.report.waiting = self.report.waiting.saturating_add(1);
        }
        Ok(())
    }

    fn derived(&self) -> usize {
        usize::try_from(self.report.derived).unwrap_or(usize::MAX)
    }
}

pub(super) fn cursors(connection: &Connection) -> rusqlite::Result<Cursors> {
    statement(connection, CURSORS)?
        .query_row([], |row| Ok(Cursors { derived: row.get(0)?, reports: row.get(1)?, serial: row.get(2)? }))
}

/// Of the columns of [`NEXT`].
pub(super) fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let forward: i64 = row.get(7)?;
    Ok(Document {
        seq: row.get(0)?,
        fn_number: row.get::<_, FnColumn>(1)?.0,
        fd_number: row.get::<_, FdColumn>(2)?.0,
        chain: row.get(3)?,
        is_conflict: row.get::<_, i64>(4)? != 0,
        form: row.get(5)?,
        received_at: row.get(6)?,
        forward: Forward::from_number(forward).ok_or_else(|| unreadable(7, "journal.forward", forward))?,
    })
}
