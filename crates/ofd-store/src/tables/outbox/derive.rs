//! Taking documents out of the journal: in order, as many as the window allows, without reading what is long.
//!
//! What has to be known of many documents is looked up for a piece of them at a time, and what is written is gathered: a
//! server is asked in few round trips.

use std::collections::{HashMap, HashSet};

use ffd::ids::{FdNumber, FnNumber};
use rusqlite::params;

use super::gaps::Lanes;
use super::parked::{self, Counts, Parked};
use super::waiting::{self, Release};
use super::{Tally, WAITING, counted, early, most, positions, rows};
use crate::outbox::{DeriveOrder, DeriveReport, OutboxState, Slot};
use crate::records::Forward;
use crate::sql::{self, Db, Row};
use crate::tables::columns::{FdColumn, FnColumn, unreadable};
use crate::tables::writes::Writes;

/// The next documents in order of arrival, short columns only: they lie before the long ones. No index may be taken
/// instead of the positions.
pub(super) const NEXT: &str = "SELECT seq, fn, fd, chain, conflict_no, form, received_at, forward \
     FROM journal NOT INDEXED WHERE seq > ?1 AND seq <= ?3 ORDER BY seq LIMIT ?2";
/// Positions of a piece that are rows already: reports that were derived ahead.
pub(super) const AHEAD: &str = "SELECT seq FROM outbox WHERE seq > ?1 AND seq <= ?2";
const INSERT: &str = "INSERT INTO outbox (seq, fn, fd, chain, kind, slot, state, serial, attempts, created_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?8) ON CONFLICT (seq) DO NOTHING";
const INSERT_WAITING: &str =
    "INSERT INTO outbox_waiting (seq, fn) VALUES (?1, ?2) ON CONFLICT (seq) DO NOTHING";
const CURSORS: &str = "SELECT derived, reports, serial FROM outbox_cursors WHERE id = 1";

/// Positions read in addition to those there is room for: not all are to be sent.
const SPARE: usize = 32;

/// What a deriving connection remembers between two transactions. Nothing of it has to be there.
#[derive(Debug, Default)]
pub(crate) struct Deriver {
    lanes: Lanes,
    /// What was taken by the newest transaction and not judged yet.
    taken: Vec<Document>,
    pub(super) release: Release,
    pub(super) counts: Counts,
}

/// A document as deriving sees it.
#[derive(Debug, Clone)]
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
    pub(super) db: Db<'a>,
    pub(super) writes: Writes<'a>,
    pub(super) tally: &'a mut Tally,
    pub(super) report: DeriveReport,
    /// How many more documents may come to be sent.
    pub(super) room: usize,
    pub(super) cursors: Cursors,
    /// Up to where the journal may be followed.
    pub(super) horizon: i64,
    /// ФН of which something is put aside.
    pub(super) parked: Parked,
    pub(super) counts: &'a mut Counts,
    /// Positions that are rows already. Complete for what was looked up.
    there: HashSet<i64>,
    /// ФН that were looked up: whether they are known.
    known: HashMap<FnNumber, bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursors {
    pub(super) derived: i64,
    pub(super) reports: i64,
    serial: i64,
}

impl Deriver {
    /// Derives what comes next, up to the horizon: positions past it may still get company before them. The counts must
    /// have been written.
    pub(super) fn derive(
        &mut self,
        db: Db<'_>,
        order: DeriveOrder,
        horizon: i64,
        tally: &mut Tally,
    ) -> sql::Result<DeriveReport> {
        let before = cursors(db)?;
        let open = counted(db, OutboxState::New.number())?
            .saturating_add(counted(db, OutboxState::InFlight.number())?);
        let open = usize::try_from(open).unwrap_or(0);
        let mut work = Derivation {
            db,
            writes: Writes::new(db),
            tally,
            report: DeriveReport::default(),
            room: order.window.saturating_sub(open),
            cursors: before,
            horizon,
            parked: parked::all(db)?,
            counts: &mut self.counts,
            there: HashSet::new(),
            known: HashMap::new(),
        };
        // What was put aside, and what waits, came before what follows the cursor.
        parked::resume(&mut work)?;
        self.release.run(&mut work)?;
        let newest = positions::newest(db, horizon)?;
        self.taken = follow(&mut work, order.scan, newest)?;
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
            work.writes.push(
                "UPDATE outbox_cursors SET derived = ?1, reports = ?2, serial = ?3 WHERE id = 1",
                params![work.cursors.derived, work.cursors.reports, work.cursors.serial],
            )?;
        }
        work.writes.flush()?;
        Ok(work.report)
    }

    /// Reports the holes before what the newest transaction took. After it: the looks into the journal may take their
    /// time, and others wait for the lock.
    pub(crate) fn judge(&mut self, db: Db<'_>, report: &mut DeriveReport) -> sql::Result<()> {
        let taken = std::mem::take(&mut self.taken);
        self.lanes.note(db, &taken, report)
    }

    /// The report of a derivation that would change nothing; none when there may be something to do.
    pub(crate) fn idle(&self, db: Db<'_>, horizon: i64) -> sql::Result<Option<DeriveReport>> {
        let cursor = cursors(db)?.derived;
        let is_idle =
            cursor >= positions::newest(db, horizon)? && parked::is_none(db)? && self.release.is_done(db)?;
        Ok(is_idle.then(|| DeriveReport { cursor, ..DeriveReport::default() }))
    }
}

/// Follows the journal until it ends, the window is full or enough was looked at. What was taken.
fn follow(work: &mut Derivation<'_>, scan: usize, newest: i64) -> sql::Result<Vec<Document>> {
    let mut taken = Vec::new();
    let mut left = scan;
    while work.cursors.derived < newest && left > 0 {
        let limit = work.room.saturating_add(SPARE).min(left);
        let piece: Vec<Document> =
            rows(work.db, NEXT, [work.cursors.derived, most(limit), newest], document)?;
        work.look_ahead(&piece)?;
        let (read, before) = (piece.len(), taken.len());
        for document in piece {
            if document.is_forwarded() && work.room == 0 {
                break;
            }
            work.take(&document)?;
            work.cursors.derived = document.seq;
            work.report.scanned = work.report.scanned.saturating_add(1);
            taken.push(document);
        }
        left = left.saturating_sub(limit);
        if read < limit || taken.len() < before.saturating_add(read) {
            break;
        }
    }
    Ok(taken)
}

impl Document {
    /// Whether it is the service's business, now or later. A conflict never is.
    pub(super) fn is_forwarded(&self) -> bool {
        self.forward != Forward::No && !self.is_conflict
    }
}

impl Derivation<'_> {
    /// What has to be known of a piece of the journal.
    fn look_ahead(&mut self, piece: &[Document]) -> sql::Result<()> {
        let Some(last) = piece.last() else { return Ok(()) };
        let ahead = rows(self.db, AHEAD, [self.cursors.derived, last.seq], |row| row.get::<i64>(0))?;
        self.there.extend(ahead);
        self.look_up_known(piece)?;
        let forwarded = piece.iter().filter(|document| document.is_forwarded());
        self.look_up_counts(forwarded.map(|document| document.fn_number))
    }

    /// Which ФН of documents that wait for that are known.
    pub(super) fn look_up_known(&mut self, documents: &[Document]) -> sql::Result<()> {
        let asked: HashSet<FnNumber> = documents
            .iter()
            .filter(|document| document.forward == Forward::WhenKnown && document.is_forwarded())
            .map(|document| document.fn_number)
            .filter(|fn_number| !self.known.contains_key(fn_number))
            .collect();
        let asked: Vec<FnNumber> = asked.into_iter().collect();
        self.known.extend(waiting::which_are_known(self.db, &asked)?);
        Ok(())
    }

    /// How many documents of these ФН are open, of those that are not remembered. What was written is not counted unless
    /// it was sent off, so this comes first.
    pub(super) fn look_up_counts(&mut self, fns: impl Iterator<Item = FnNumber>) -> sql::Result<()> {
        self.writes.flush()?;
        self.counts.look_up(self.db, fns.filter(|fn_number| !self.parked.contains(fn_number)))
    }

    /// Which of these positions are rows already.
    pub(super) fn look_up_rows(&mut self, seqs: impl Iterator<Item = i64>) -> sql::Result<()> {
        self.writes.flush()?;
        let found = super::verdicts::states_of(self.db, &seqs.collect::<Vec<i64>>())?;
        self.there.extend(found.into_keys());
        Ok(())
    }

    /// Of a position that was looked up.
    pub(super) fn is_there(&self, seq: i64) -> bool {
        self.there.contains(&seq)
    }

    pub(super) fn is_known(&mut self, fn_number: &FnNumber) -> sql::Result<bool> {
        if let Some(known) = self.known.get(fn_number) {
            return Ok(*known);
        }
        let known = waiting::is_known(self.db, fn_number)?;
        self.known.insert(*fn_number, known);
        Ok(known)
    }

    fn take(&mut self, document: &Document) -> sql::Result<()> {
        if !document.is_forwarded() {
            return Ok(());
        }
        if document.forward == Forward::WhenKnown && !self.is_known(&document.fn_number)? {
            return self.put_aside(document);
        }
        self.admit(document).map(|_| ())
    }

    /// Makes it a row to be sent, or puts it aside when enough of its ФН is open. True when it came to be sent.
    pub(super) fn admit(&mut self, document: &Document) -> sql::Result<bool> {
        if parked::put_aside(self, document)? { Ok(false) } else { self.enqueue(document) }
    }

    /// Makes it a row to be sent. False for one that is there already: a report that was derived ahead.
    pub(super) fn enqueue(&mut self, document: &Document) -> sql::Result<bool> {
        if !self.there.insert(document.seq) {
            return Ok(false);
        }
        self.cursors.serial = self.cursors.serial.saturating_add(1);
        self.writes.push(
            INSERT,
            params![
                document.seq,
                document.fn_number.as_str(),
                document.fd_number.get(),
                document.chain,
                document.form,
                Slot::of_fn(&document.fn_number).get(),
                self.cursors.serial,
                document.received_at,
            ],
        )?;
        self.counts.added(&document.fn_number);
        self.room = self.room.saturating_sub(1);
        self.tally.added(OutboxState::New);
        self.report.derived = self.report.derived.saturating_add(1);
        Ok(true)
    }

    fn put_aside(&mut self, document: &Document) -> sql::Result<()> {
        self.writes.push(INSERT_WAITING, params![document.seq, document.fn_number.as_str()])?;
        self.tally.add(WAITING, 1);
        self.report.waiting = self.report.waiting.saturating_add(1);
        Ok(())
    }

    fn derived(&self) -> usize {
        usize::try_from(self.report.derived).unwrap_or(usize::MAX)
    }
}

pub(super) fn cursors(db: Db<'_>) -> sql::Result<Cursors> {
    db.query_row(CURSORS, [], |row| {
        Ok(Cursors { derived: row.get(0)?, reports: row.get(1)?, serial: row.get(2)? })
    })
}

/// Of the columns of [`NEXT`].
pub(super) fn document(row: &Row<'_>) -> sql::Result<Document> {
    let forward: i64 = row.get(7)?;
    Ok(Document {
        seq: row.get(0)?,
        fn_number: row.get::<FnColumn>(1)?.0,
        fd_number: row.get::<FdColumn>(2)?.0,
        chain: row.get(3)?,
        is_conflict: row.get::<i64>(4)? != 0,
        form: row.get(5)?,
        received_at: row.get(6)?,
        forward: Forward::from_number(forward).ok_or_else(|| unreadable(7, "journal.forward", forward))?,
    })
}
