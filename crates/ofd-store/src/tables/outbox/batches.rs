//! Batches: before their first request, their outcomes, and what becomes of them when their sender is gone.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::leases::{self, Held};
use super::{Brief, StateColumn, Tally, batch_column, brief, dead};
use crate::outbox::{
    Adoption, BatchId, BatchRow, BatchStep, CommitReport, DocumentOutcome, DocumentResult, HolderId, Lease,
    NewBatch, OutboxState, Slot,
};
use crate::tables::columns::{Moment, unreadable};

/// In-flight documents of a slot. The index has only what is open.
pub(super) const IN_FLIGHT: &str = "SELECT seq, batch_id, state FROM outbox INDEXED BY outbox_open \
     WHERE state <= 1 AND slot = ?1";

/// What is said of documents whose sender was gone before the outcome was known.
const ABANDONED: &str = "its sender did not tell the outcome";

/// Writes what concerns batches. Borrows the open transaction.
pub(super) struct BatchWriter<'a> {
    pub(super) connection: &'a Connection,
    pub(super) held: &'a Held,
    pub(super) now: Timestamp,
    pub(super) tally: &'a mut Tally,
}

impl BatchWriter<'_> {
    /// What became of a batch.
    pub(super) fn step(&mut self, step: &BatchStep, report: &mut CommitReport) -> rusqlite::Result<()> {
        let id = step.id();
        let batch = find(self.connection, id)?;
        match step {
            BatchStep::Settle { results, .. } => self.settle(id, batch.as_ref(), results, report),
            BatchStep::Retry { next_at, error, .. } => match batch {
                Some(batch) if self.is_whole(&batch)? => {
                    self.connection
                        .prepare_cached(
                            "UPDATE outbox_batches SET attempts = attempts + 1, next_at = ?2, last_error = ?3 \
                             WHERE batch_id = ?1",
                        )?
                        .execute(params![id.bytes(), next_at.as_microsecond(), error])?;
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
    ) -> rusqlite::Result<()> {
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
    ) -> rusqlite::Result<()> {
        let seq = result.seq;
        let Some(row) = brief(self.connection, seq)? else { return Ok(()) };
        if !self.held.has(row.slot) {
            report.stale.push(seq);
            return Ok(());
        }
        let is_ours = row.state.is_open() && row.batch_id == Some(id);
        match &result.outcome {
            DocumentOutcome::Delivered { ticket_id, refresh_at } if is_ours => {
                self.connection
                    .prepare_cached(
                        "UPDATE outbox SET state = 2, ticket_id = coalesce(?2, ticket_id), delivered_at = ?3, \
                         next_at = ?4, attempts = attempts + ?5, last_error = NULL WHERE seq = ?1",
                    )?
                    .execute(params![
                        seq,
                        ticket_id,
                        self.now.as_microsecond(),
                        refresh_at.map(Timestamp::as_microsecond),
                        requests,
                    ])?;
                self.tally.moved(row.state, OutboxState::Delivered);
                report.delivered = report.delivered.saturating_add(1);
            }
            // An event was faster than the answer, or another batch has it.
            DocumentOutcome::Delivered { ticket_id, .. } => {
                self.count_requests(id, seq, &row, requests)?;
                self.connection
                    .prepare_cached(
                        "UPDATE outbox SET ticket_id = coalesce(ticket_id, ?2), \
                         delivered_at = coalesce(delivered_at, ?3) WHERE seq = ?1 AND state NOT IN (0, 1, 6, 7)",
                    )?
                    .execute(params![seq, ticket_id, self.now.as_microsecond()])?;
                report.delivered = report.delivered.saturating_add(1);
            }
            DocumentOutcome::Again { next_at, error } if is_ours => {
                self.put_back(seq, &row, *next_at, error, requests)?;
                report.returned = report.returned.saturating_add(1);
            }
            DocumentOutcome::Dead { code, error, request, answer } if is_ours => {
                self.connection
                    .prepare_cached(
                        "UPDATE outbox SET state = 6, next_at = NULL, attempts = attempts + ?2, last_error = ?3 \
                         WHERE seq = ?1",
                    )?
                    .execute(params![seq, requests, format!("{code}: {error}")])?;
                dead::keep(self.connection, seq, self.now, code, request, answer)?;
                self.tally.moved(row.state, OutboxState::Dead);
                report.dead = report.dead.saturating_add(1);
            }
            DocumentOutcome::Again { .. } | DocumentOutcome::Dead { .. } => {
                self.count_requests(id, seq, &row, requests)?;
            }
        }
        Ok(())
    }

    /// Requests with a document that an event settled while they were under way.
    fn count_requests(&self, id: BatchId, seq: i64, row: &Brief, requests: u32) -> rusqlite::Result<()> {
        if row.batch_id == Some(id) && !row.state.is_open() {
            self.connection
                .prepare_cached("UPDATE outbox SET attempts = attempts + ?2 WHERE seq = ?1")?
                .execute(params![seq, requests])?;
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
    ) -> rusqlite::Result<()> {
        let Some(batch) = batch else { return Ok(()) };
        let requests = batch.attempts.saturating_add(1);
        for seq in &batch.documents {
            let Some(row) = brief(self.connection, *seq)? else { continue };
            if row.state != OutboxState::InFlight || row.batch_id != Some(id) {
                if self.held.has(row.slot) {
                    self.count_requests(id, *seq, &row, requests)?;
                }
                continue;
            }
            if self.held.has(row.slot) {
                self.put_back(*seq, &row, next_at, error, requests)?;
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
        row: &Brief,
        next_at: Option<Timestamp>,
        error: &str,
        requests: u32,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE outbox SET state = 0, next_at = ?2, last_error = ?3, attempts = attempts + ?4 WHERE seq = ?1",
            )?
            .execute(params![seq, next_at.map(Timestamp::as_microsecond), error, requests])?;
        self.tally.moved(row.state, OutboxState::New);
        Ok(())
    }

    /// A batch before its first request. Not made at all when one of its documents cannot be in it.
    pub(super) fn begin(&mut self, batch: &NewBatch, report: &mut CommitReport) -> rusqlite::Result<()> {
        let mut refused = batch.documents.is_empty();
        let mut seen = HashSet::new();
        for document in &batch.documents {
            match brief(self.connection, document.seq)? {
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
        self.connection
            .prepare_cached(
                "INSERT INTO outbox_batches (batch_id, created_at, map_ver, attempts, documents) \
                 VALUES (?1, ?2, ?3, 0, ?4)",
            )?
            .execute(params![
                batch.id.bytes(),
                batch.created_at.as_microsecond(),
                batch.map_ver,
                positions.join(",")
            ])?;
        for document in &batch.documents {
            self.connection
                .prepare_cached(
                    "UPDATE outbox SET state = 1, batch_id = ?2, next_at = NULL, \
                     raw_sha256 = coalesce(?3, raw_sha256) WHERE seq = ?1",
                )?
                .execute(params![document.seq, batch.id.bytes(), document.raw_sha256])?;
            self.tally.moved(OutboxState::New, OutboxState::InFlight);
        }
        Ok(())
    }

    /// Whether all of its documents are in flight in it, in slots that are held.
    fn is_whole(&self, batch: &BatchRow) -> rusqlite::Result<bool> {
        for seq in &batch.documents {
            let in_it = brief(self.connection, *seq)?.is_some_and(|row| {
                row.state == OutboxState::InFlight
                    && row.batch_id == Some(batch.id)
                    && self.held.has(row.slot)
            });
            if !in_it {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end_unless_in_flight(&self, batch: &BatchRow) -> rusqlite::Result<()> {
        for seq in &batch.documents {
            let row = brief(self.connection, *seq)?;
            if row.is_some_and(|row| row.state == OutboxState::InFlight && row.batch_id == Some(batch.id)) {
                return Ok(());
            }
        }
        self.end(batch)
    }

    fn end(&self, batch: &BatchRow) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE outbox_batches SET ended_at = ?2 WHERE batch_id = ?1")?
            .execute(params![batch.id.bytes(), self.now.as_microsecond()])?;
        Ok(())
    }
}

/// Takes over what is in flight in the gained slots: whole batches as they are, the rest becomes new.
pub(crate) fn adopt(
    connection: &Connection,
    holder: &HolderId,
    leases: &[Lease],
    gained: &[Slot],
    now: Timestamp,
) -> rusqlite::Result<Adoption> {
    let held = leases::held(connection, holder, leases)?;
    let mut tally = Tally::default();
    let mut adoption = Adoption::default();
    let mut writer = BatchWriter { connection, held: &held, now, tally: &mut tally };
    for (id, seqs) in in_flight(connection, gained.iter().copied().filter(|slot| held.has(*slot)))? {
        let batch = match id {
            Some(id) => find(connection, id)?,
            None => None,
        };
        match batch {
            Some(batch) if writer.is_whole(&batch)? => adoption.batches.push(batch),
            batch => {
                let requests = batch.as_ref().map_or(0, |batch| batch.attempts).saturating_add(1);
                for seq in seqs {
                    let Some(row) = brief(connection, seq)? else { continue };
                    writer.put_back(seq, &row, None, ABANDONED, requests)?;
                    adoption.returned = adoption.returned.saturating_add(1);
                }
                if let Some(batch) = batch {
                    writer.end_unless_in_flight(&batch)?;
                }
            }
        }
    }
    tally.write(connection)?;
    Ok(adoption)
}

/// What is in flight in slots, by batch.
fn in_flight(
    connection: &Connection,
    slots: impl Iterator<Item = Slot>,
) -> rusqlite::Result<BTreeMap<Option<BatchId>, Vec<i64>>> {
    let mut found: BTreeMap<Option<BatchId>, Vec<i64>> = BTreeMap::new();
    let mut statement = connection.prepare_cached(IN_FLIGHT)?;
    for slot in slots {
        let mut rows = statement.query([slot.get()])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, StateColumn>(2)?.0 == OutboxState::InFlight {
                found.entry(batch_column(row, 1)?).or_default().push(row.get(0)?);
            }
        }
    }
    Ok(found)
}

/// A batch that is not ended.
pub(crate) fn find(connection: &Connection, id: BatchId) -> rusqlite::Result<Option<BatchRow>> {
    connection
        .prepare_cached(
            "SELECT created_at, map_ver, attempts, next_at, last_error, documents FROM outbox_batches \
             WHERE batch_id = ?1 AND ended_at IS NULL",
        )?
        .query_row([id.bytes()], |row| {
            let documents: String = row.get(5)?;
            Ok(BatchRow {
                id,
                created_at: row.get::<_, Moment>(0)?.0,
                map_ver: row.get(1)?,
                attempts: row.get(2)?,
                next_at: row.get::<_, Option<Moment>>(3)?.map(|moment| moment.0),
                last_error: row.get(4)?,
                documents: positions(&documents)
                    .ok_or_else(|| unreadable(5, "outbox_batches.documents", &documents))?,
            })
        })
        .optional()
}

fn positions(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(|position| position.parse().ok()).collect()
}
