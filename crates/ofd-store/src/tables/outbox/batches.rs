//! Batches: before their first request, their outcomes, and what becomes of them when their sender is gone.
//!
//! Rows that a change speaks about are read together, kept in step in memory, and written together.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::params;

use super::leases::{self, Held};
use super::{BRIEF, Brief, SlotColumn, StateColumn, Tally, batch_column, brief_row, dead};
use crate::outbox::{
    Adoption, BatchId, BatchRow, BatchStep, CommitReport, DocumentOutcome, DocumentResult, HolderId, Lease,
    NewBatch, OutboxChange, OutboxState, Slot,
};
use crate::sql::{self, Db, OptionalExtension as _, Row};
use crate::tables::columns::{Moment, unreadable};
use crate::tables::writes::Writes;

/// In-flight documents of all slots: what is open is at most a window.
pub(super) const IN_FLIGHT: &str =
    "SELECT seq, batch_id, slot, state FROM outbox INDEXED BY outbox_open WHERE state <= 1";
/// A batch that is not ended.
const BATCH: &str = "SELECT batch_id, created_at, map_ver, attempts, next_at, last_error, documents \
     FROM outbox_batches WHERE batch_id = ?1 AND ended_at IS NULL";

/// What is said of documents whose sender was gone before the outcome was known.
const ABANDONED: &str = "its sender did not tell the outcome";

/// Writes what concerns batches. Borrows the open transaction.
pub(super) struct BatchWriter<'a> {
    db: Db<'a>,
    writes: Writes<'a>,
    held: &'a Held,
    now: Timestamp,
    tally: &'a mut Tally,
    /// Rows as they stand with what was written so far; none for positions without a row.
    briefs: HashMap<i64, Option<Brief>>,
    /// Batches in the same way; none for those that are ended.
    batches: HashMap<BatchId, Option<BatchRow>>,
}

impl<'a> BatchWriter<'a> {
    pub(super) fn new(db: Db<'a>, held: &'a Held, now: Timestamp, tally: &'a mut Tally) -> Self {
        let (briefs, batches) = (HashMap::new(), HashMap::new());
        Self { db, writes: Writes::new(db), held, now, tally, briefs, batches }
    }

    /// Reads what a change speaks about.
    pub(super) fn prepare(&mut self, change: &OutboxChange) -> sql::Result<()> {
        let ids: Vec<BatchId> = change.steps.iter().map(BatchStep::id).collect();
        self.read_batches(&ids)?;
        let mut seqs: Vec<i64> = self
            .batches
            .values()
            .flatten()
            .flat_map(|batch| batch.documents.iter().copied())
            .chain(change.new_batches.iter().flat_map(|batch| &batch.documents).map(|document| document.seq))
            .collect();
        for step in &change.steps {
            if let BatchStep::Settle { results, .. } = step {
                seqs.extend(results.iter().map(|result| result.seq));
            }
        }
        self.read_briefs(&seqs)
    }

    /// Ends the work: everything is written.
    pub(super) fn finish(mut self) -> sql::Result<()> {
        self.writes.flush()
    }

    fn read_batches(&mut self, ids: &[BatchId]) -> sql::Result<()> {
        let found = self.db.prepare(BATCH)?.query_many(ids.iter().map(|id| [id.bytes()]), batch_row)?;
        self.batches.extend(ids.iter().copied().zip(found));
        Ok(())
    }

    fn read_briefs(&mut self, seqs: &[i64]) -> sql::Result<()> {
        let mut missing: Vec<i64> =
            seqs.iter().copied().filter(|seq| !self.briefs.contains_key(seq)).collect();
        missing.sort_unstable();
        missing.dedup();
        let found = self.db.prepare(BRIEF)?.query_many(missing.iter().map(|seq| [*seq]), brief_row)?;
        self.briefs.extend(missing.into_iter().zip(found));
        Ok(())
    }

    /// Of a position that was read.
    fn brief(&self, seq: i64) -> Option<Brief> {
        self.briefs.get(&seq).copied().flatten()
    }

    fn batch(&self, id: BatchId) -> Option<BatchRow> {
        self.batches.get(&id).cloned().flatten()
    }

    fn moved(&mut self, seq: i64, row: Brief, to: OutboxState) {
        self.tally.moved(row.state, to);
        self.briefs.insert(seq, Some(Brief { state: to, ..row }));
    }

    /// What became of a batch.
    pub(super) fn step(&mut self, step: &BatchStep, report: &mut CommitReport) -> sql::Result<()> {
        let id = step.id();
        let batch = self.batch(id);
        match step {
            BatchStep::Settle { results, .. } => self.settle(id, batch.as_ref(), results, report),
            BatchStep::Retry { next_at, error, .. } => match batch {
                Some(batch) if self.is_whole(&batch) => {
                    self.writes.push(
                        "UPDATE outbox_batches SET attempts = attempts + 1, next_at = ?2, last_error = ?3 \
                         WHERE batch_id = ?1",
                        params![id.bytes(), next_at.as_microsecond(), error],
                    )?;
                    let attempts = batch.attempts.saturating_add(1);
                    self.batches.insert(id, Some(BatchRow { attempts, ..batch }));
                    Ok(())
                }
                batch => {
                    report.dissolved.push(id);
                    self.give_back(id, batch.as_ref(), Some(*next_at), error, report)
                }
            },
            BatchStep::Dissolve { next_at, error, .. } => {
                self.give_back(id, batch.as_ref(), *next_at, error, report)
            }
        }
    }

    fn settle(
        &mut self,
        id: BatchId,
        batch: Option<&BatchRow>,
        results: &[DocumentResult],
        report: &mut CommitReport,
    ) -> sql::Result<()> {
        let requests = batch.map_or(0, |batch| batch.attempts).saturating_add(1);
        let stale = report.stale.len();
        for result in results {
            self.settle_document(id, result, requests, report)?;
        }
        let Some(batch) = batch else { return Ok(()) };
        let named: HashSet<i64> = results.iter().map(|result| result.seq).collect();
        for seq in batch.documents.iter().filter(|seq| !named.contains(seq)) {
            let again =
                DocumentOutcome::Again { next_at: None, error: "the answer does not name it".to_owned() };
            self.settle_document(id, &DocumentResult { seq: *seq, outcome: again }, requests, report)?;
        }
        // What is not ours may still be in flight in it.
        if report.stale.len() == stale { self.end(batch) } else { self.end_unless_in_flight(batch) }
    }

    fn settle_document(
        &mut self,
        id: BatchId,
        result: &DocumentResult,
        requests: u32,
        report: &mut CommitReport,
    ) -> sql::Result<()> {
        let seq = result.seq;
        let Some(row) = self.brief(seq) else { return Ok(()) };
        if !self.held.has(row.slot) {
            report.stale.push(seq);
            return Ok(());
        }
        let is_ours = row.state.is_open() && row.batch_id == Some(id);
        match &result.outcome {
            DocumentOutcome::Delivered { ticket_id, refresh_at } if is_ours => {
                self.writes.push_about(
                    seq,
                    "UPDATE outbox SET state = 2, ticket_id = coalesce(?2, ticket_id), delivered_at = ?3, \
                     next_at = ?4, attempts = attempts + ?5, last_error = NULL WHERE seq = ?1",
                    params![
                        seq,
                        ticket_id,
                        self.now.as_microsecond(),
                        refresh_at.map(Timestamp::as_microsecond),
                        requests,
                    ],
                )?;
                self.moved(seq, row, OutboxState::Delivered);
                report.delivered = report.delivered.saturating_add(1);
            }
            // An event was faster than the answer, or another batch has it.
            DocumentOutcome::Delivered { ticket_id, .. } => {
                self.count_requests(id, seq, row, requests)?;
                self.writes.push_about(
                    seq,
                    "UPDATE outbox SET ticket_id = coalesce(ticket_id, ?2), \
                     delivered_at = coalesce(delivered_at, ?3) WHERE seq = ?1 AND state NOT IN (0, 1, 6, 7)",
                    params![seq, ticket_id, self.now.as_microsecond()],
                )?;
                report.delivered = report.delivered.saturating_add(1);
            }
            DocumentOutcome::Again { next_at, error } if is_ours => {
                self.put_back(seq, row, *next_at, error, requests)?;
                report.returned = report.returned.saturating_add(1);
            }
            DocumentOutcome::Dead { code, error, request, answer } if is_ours => {
                self.writes.push_about(
                    seq,
                    "UPDATE outbox SET state = 6, next_at = NULL, attempts = attempts + ?2, last_error = ?3 \
                     WHERE seq = ?1",
                    params![seq, requests, format!("{code}: {error}")],
                )?;
                dead::keep(&mut self.writes, seq, self.now, code, request, answer)?;
                self.moved(seq, row, OutboxState::Dead);
                report.dead = report.dead.saturating_add(1);
            }
            DocumentOutcome::Again { .. } | DocumentOutcome::Dead { .. } => {
                self.count_requests(id, seq, row, requests)?;
            }
        }
        Ok(())
    }

    /// Requests with a document that an event settled while they were under way.
    fn count_requests(&mut self, id: BatchId, seq: i64, row: Brief, requests: u32) -> sql::Result<()> {
        if row.batch_id == Some(id) && !row.state.is_open() {
            self.writes.push_about(
                seq,
                "UPDATE outbox SET attempts = attempts + ?2 WHERE seq = ?1",
                params![seq, requests],
            )?;
        }
        Ok(())
    }

    /// Makes the documents new again, those that are the holder's.
    fn give_back(
        &mut self,
        id: BatchId,
        batch: Option<&BatchRow>,
        next_at: Option<Timestamp>,
        error: &str,
        report: &mut CommitReport,
    ) -> sql::Result<()> {
        let Some(batch) = batch else { return Ok(()) };
        let requests = batch.attempts.saturating_add(1);
        for seq in &batch.documents {
            let Some(row) = self.brief(*seq) else { continue };
            if row.state != OutboxState::InFlight || row.batch_id != Some(id) {
                if self.held.has(row.slot) {
                    self.count_requests(id, *seq, row, requests)?;
                }
                continue;
            }
            if self.held.has(row.slot) {
                self.put_back(*seq, row, next_at, error, requests)?;
                report.returned = report.returned.saturating_add(1);
            } else {
                report.stale.push(*seq);
            }
        }
        self.end_unless_in_flight(batch)
    }

    fn put_back(
        &mut self,
        seq: i64,
        row: Brief,
        next_at: Option<Timestamp>,
        error: &str,
        requests: u32,
    ) -> sql::Result<()> {
        self.writes.push_about(
            seq,
            "UPDATE outbox SET state = 0, next_at = ?2, last_error = ?3, attempts = attempts + ?4 WHERE seq = ?1",
            params![seq, next_at.map(Timestamp::as_microsecond), error, requests],
        )?;
        self.moved(seq, row, OutboxState::New);
        Ok(())
    }

    /// A batch before its first request. Not made at all when one of its documents cannot be in it.
    pub(super) fn begin(&mut self, batch: &NewBatch, report: &mut CommitReport) -> sql::Result<()> {
        let mut refused = batch.documents.is_empty();
        let mut seen = HashSet::new();
        for document in &batch.documents {
            match self.brief(document.seq) {
                Some(row) if !self.held.has(row.slot) => report.stale.push(document.seq),
                Some(row) if row.state == OutboxState::New && seen.insert(document.seq) => continue,
                _ => report.gone.push(document.seq),
            }
            refused = true;
        }
        if refused {
            report.refused.push(batch.id);
            return Ok(());
        }
        let positions: Vec<String> =
            batch.documents.iter().map(|document| document.seq.to_string()).collect();
        self.writes.push(
            "INSERT INTO outbox_batches (batch_id, created_at, map_ver, attempts, documents) \
             VALUES (?1, ?2, ?3, 0, ?4)",
            params![batch.id.bytes(), batch.created_at.as_microsecond(), batch.map_ver, positions.join(",")],
        )?;
        for document in &batch.documents {
            self.writes.push_about(
                document.seq,
                "UPDATE outbox SET state = 1, batch_id = ?2, next_at = NULL, \
                 raw_sha256 = coalesce(?3, raw_sha256) WHERE seq = ?1",
                params![document.seq, batch.id.bytes(), document.raw_sha256],
            )?;
            if let Some(row) = self.brief(document.seq) {
                let row = Brief { batch_id: Some(batch.id), ..row };
                self.moved(document.seq, row, OutboxState::InFlight);
            }
        }
        Ok(())
    }

    /// Whether all of its documents are in flight in it, in slots that are held.
    fn is_whole(&self, batch: &BatchRow) -> bool {
        batch.documents.iter().all(|seq| {
            self.brief(*seq).is_some_and(|row| {
                row.state == OutboxState::InFlight
                    && row.batch_id == Some(batch.id)
                    && self.held.has(row.slot)
            })
        })
    }

    fn end_unless_in_flight(&mut self, batch: &BatchRow) -> sql::Result<()> {
        let is_in_flight = batch.documents.iter().any(|seq| {
            self.brief(*seq)
                .is_some_and(|row| row.state == OutboxState::InFlight && row.batch_id == Some(batch.id))
        });
        if is_in_flight { Ok(()) } else { self.end(batch) }
    }

    fn end(&mut self, batch: &BatchRow) -> sql::Result<()> {
        self.batches.insert(batch.id, None);
        self.writes.push(
            "UPDATE outbox_batches SET ended_at = ?2 WHERE batch_id = ?1",
            params![batch.id.bytes(), self.now.as_microsecond()],
        )
    }
}

/// Takes over what is in flight in the gained slots: whole batches as they are, the rest becomes new.
pub(crate) fn adopt(
    db: Db<'_>,
    holder: &HolderId,
    leases: &[Lease],
    gained: &[Slot],
    now: Timestamp,
) -> sql::Result<Adoption> {
    let held = leases::held(db, holder, leases)?;
    let mut tally = Tally::default();
    let mut adoption = Adoption::default();
    let gained: HashSet<Slot> = gained.iter().copied().filter(|slot| held.has(*slot)).collect();
    let in_flight = in_flight(db, &gained)?;
    let mut writer = BatchWriter::new(db, &held, now, &mut tally);
    let ids: Vec<BatchId> = in_flight.keys().copied().flatten().collect();
    writer.read_batches(&ids)?;
    let batches = writer.batches.values().flatten().flat_map(|batch| &batch.documents);
    let seqs: Vec<i64> = batches.chain(in_flight.values().flatten()).copied().collect();
    writer.read_briefs(&seqs)?;
    for (id, seqs) in in_flight {
        match id.and_then(|id| writer.batch(id)) {
            Some(batch) if writer.is_whole(&batch) => adoption.batches.push(batch),
            batch => {
                let requests = batch.as_ref().map_or(0, |batch| batch.attempts).saturating_add(1);
                for seq in seqs {
                    let Some(row) = writer.brief(seq) else { continue };
                    writer.put_back(seq, row, None, ABANDONED, requests)?;
                    adoption.returned = adoption.returned.saturating_add(1);
                }
                if let Some(batch) = batch {
                    writer.end_unless_in_flight(&batch)?;
                }
            }
        }
    }
    writer.finish()?;
    tally.write(db)?;
    Ok(adoption)
}

/// What is in flight in slots, by batch.
fn in_flight(db: Db<'_>, slots: &HashSet<Slot>) -> sql::Result<BTreeMap<Option<BatchId>, Vec<i64>>> {
    let mut found: BTreeMap<Option<BatchId>, Vec<i64>> = BTreeMap::new();
    let mut statement = db.prepare(IN_FLIGHT)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let is_meant = slots.contains(&row.get::<SlotColumn>(2)?.0);
        if is_meant && row.get::<StateColumn>(3)?.0 == OutboxState::InFlight {
            found.entry(batch_column(&row, 1)?).or_default().push(row.get(0)?);
        }
    }
    Ok(found)
}

/// A batch that is not ended.
pub(crate) fn find(db: Db<'_>, id: BatchId) -> sql::Result<Option<BatchRow>> {
    db.query_row(BATCH, [id.bytes()], batch_row).optional()
}

fn batch_row(row: &Row<'_>) -> sql::Result<BatchRow> {
    let documents: String = row.get(6)?;
    Ok(BatchRow {
        id: BatchId::from_bytes(row.get(0)?),
        created_at: row.get::<Moment>(1)?.0,
        map_ver: row.get(2)?,
        attempts: row.get(3)?,
        next_at: row.get::<Option<Moment>>(4)?.map(|moment| moment.0),
        last_error: row.get(5)?,
        documents: positions(&documents)
            .ok_or_else(|| unreadable(6, "outbox_batches.documents", &documents))?,
    })
}

fn positions(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(|position| position.parse().ok()).collect()
}
