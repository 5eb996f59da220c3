//! The forwarder's way to the store: deriving what is to be sent, leases, results.
//!
//! A connection of its own, blocking, for one thread. Writes are few and large: one transaction holds results,
//! new batches and what was derived. Beside a journal of the same process it takes turns with its writer (see
//! `turnstile`), and what it commits is as durable as what the journal commits.

use std::path::Path;

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::outbox::{
    Adoption, BatchId, BatchRow, Claim, ClaimOrder, CommitReport, DeadLetter, DocumentBody, FnsSummary,
    HolderId, Holding, Lease, OutboxChange, OutboxDecision, OutboxDepths, OutboxFilter, OutboxPage,
    OutboxRow, RefreshRow, Slot,
};
use crate::second::{Family, SecondWriter};
use crate::sql::store_error;
use crate::sqlite::second::Beside;
use crate::tables::outbox::derive::Deriver;
use crate::tables::outbox::leases::LeaseClock;
use crate::tables::outbox::{self, batches, dead, leases, listing, reading, recall, verdicts};
use crate::{MAX_PAGE_ROWS, Operator, Reader, StoreError};

/// Most documents marked in one transaction: the journal waits for it to end.
const MAX_MARKED: usize = 500;

/// The forwarder's connection.
#[derive(Debug)]
pub struct Forwarding {
    writer: SecondWriter,
    deriver: Deriver,
    lease_clock: LeaseClock,
}

impl Forwarding {
    /// Opens the store behind `url` for a forwarder that runs without a journal in its process; it must exist and have
    /// this program's schema. Beside a journal use [`crate::Store::forwarding`].
    ///
    /// # Errors
    /// [`StoreError`]: no such store, not ours, newer or older than this program, cannot be opened, busy.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self::with(SecondWriter::open(url, Family::Outbox)?))
    }

    /// Inside the daemon.
    pub(crate) fn beside(path: &Path, beside: Beside) -> Result<Self, StoreError> {
        Ok(Self::with(SecondWriter::beside(path, beside)?))
    }

    fn with(writer: SecondWriter) -> Self {
        // Clocks of several hosts differ; those of one do not.
        let lease_clock = if writer.is_shared() { LeaseClock::Server } else { LeaseClock::Caller };
        Self { writer, deriver: Deriver::default(), lease_clock }
    }

    /// As with a file: tests show the moments they mean.
    #[cfg(test)]
    pub(crate) fn count_by_the_callers_clock(&mut self) {
        self.lease_clock = LeaseClock::Caller;
    }

    /// Renews the leases of a holder and takes free and expired slots up to its fair share: one holder all 256, two
    /// 128 each, and so on. Never takes a slot from a holder whose lease has not expired.
    ///
    /// What was open in [`Claim::gained`] slots is then taken over by [`Forwarding::adopt`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is held, cannot be written, or is lost; nothing was changed.
    pub fn claim(&mut self, order: &ClaimOrder) -> Result<Claim, StoreError> {
        let clock = self.lease_clock;
        self.writer.write(|db| leases::claim(db, order, clock))
    }

    /// Takes over what the holder before left in flight in slots that were gained. A batch of which every document is
    /// in flight in a slot of these `leases` is adopted whole, to be sent again under its key; documents of other
    /// batches become new again. `gained` are the slots meant, `leases` all that the holder has.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn adopt(
        &mut self,
        holder: &HolderId,
        leases: &[Lease],
        gained: &[Slot],
    ) -> Result<Adoption, StoreError> {
        let now = Timestamp::now();
        self.writer.write(|db| batches::adopt(db, holder, leases, gained, now))
    }

    /// Gives slots back at once; others may take them. Those that are not the holder's are passed over.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn release(&mut self, holder: &HolderId, slots: &[Slot]) -> Result<(), StoreError> {
        self.writer.write(|db| leases::release(db, holder, slots))
    }

    /// Frees at once what holders have that are gone, as the caller knows (their process has ended). Returns who they
    /// were. `is_gone` is asked outside any transaction, so it may look around; what is gone must stay gone.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn dismiss(&mut self, is_gone: &dyn Fn(&HolderId) -> bool) -> Result<Vec<HolderId>, StoreError> {
        let names = leases::holders(self.writer.db()).map_err(store_error)?;
        let gone: Vec<HolderId> = names
            .into_iter()
            .filter_map(|name| HolderId::new(name).ok())
            .filter(|holder| is_gone(holder))
            .collect();
        if !gone.is_empty() {
            self.writer.write(|db| gone.iter().try_for_each(|holder| leases::leave(db, holder)))?;
        }
        Ok(gone)
    }

    /// Who holds the slots at present.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn holdings(&mut self) -> Result<Vec<Holding>, StoreError> {
        leases::holdings(self.writer.db()).map_err(store_error)
    }

    /// Gives everything back and leaves the circle of holders, at a clean stop.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn leave(&mut self, holder: &HolderId) -> Result<(), StoreError> {
        self.writer.write(|db| leases::leave(db, holder))
    }

    /// Writes a change: all of it or nothing. Results of slots that were lost meanwhile are left out and reported.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn commit(&mut self, change: &OutboxChange) -> Result<CommitReport, StoreError> {
        // Before the transaction: what is final by then is in what the transaction sees.
        let horizon = if change.derive.is_some() { self.writer.horizon()? } else { 0 };
        if let Some(report) = self.nothing_to_do(change, horizon)? {
            return Ok(report);
        }
        let deriver = &mut self.deriver;
        let mut is_again = false;
        let result = self.writer.write(|db| {
            if std::mem::replace(&mut is_again, true) {
                // It may remember what was not written.
                *deriver = Deriver::default();
            }
            outbox::commit(db, change, deriver, horizon)
        });
        match result {
            Ok(mut report) => {
                if let Some(derived) = &mut report.derived {
                    // What is written is written: without this look holes are not counted.
                    self.deriver.judge(self.writer.db(), derived).unwrap_or_else(|error| {
                        tracing::warn!(%error, "holes in the numbers of documents cannot be looked for");
                    });
                }
                Ok(report)
            }
            Err(error) => {
                self.deriver = Deriver::default();
                Err(error)
            }
        }
    }

    /// What comes of a change that only derives when there is nothing to be derived: no transaction, for the store's lock
    /// may be somebody else's.
    fn nothing_to_do(
        &mut self,
        change: &OutboxChange,
        horizon: i64,
    ) -> Result<Option<CommitReport>, StoreError> {
        let derives_only =
            OutboxChange { derive: change.derive, ..OutboxChange::new(change.holder.clone(), change.now) };
        if change.derive.is_none() || *change != derives_only {
            return Ok(None);
        }
        let idle = self.deriver.idle(self.writer.db(), horizon).map_err(store_error)?;
        Ok(idle.map(|derived| CommitReport { derived: Some(derived), ..CommitReport::default() }))
    }

    /// Documents of the slots that have still to be sent and of which [`OutboxRow::serial`] is larger than
    /// `after_serial`, by slot and serial; 0 for slots just gained (after [`Forwarding::adopt`]).
    ///
    /// What a holder's own commits changed in rows it has (batches, results) does not raise their serial.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn open_rows(&mut self, slots: &[Slot], after_serial: i64) -> Result<Vec<OutboxRow>, StoreError> {
        reading::open_rows(self.writer.db(), slots, after_serial).map_err(store_error)
    }

    /// The largest serial given out: while it does not change, [`Forwarding::open_rows`] has nothing new. To be asked
    /// before the rows.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn newest_serial(&mut self) -> Result<i64, StoreError> {
        reading::newest_serial(self.writer.db()).map_err(store_error)
    }

    /// What the bodies of documents are built from, in the order asked for. Some KiB each: for the documents of a few
    /// batches at a time.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read or a position is not in the journal.
    pub fn bodies(&mut self, seqs: &[i64]) -> Result<Vec<DocumentBody>, StoreError> {
        let mut bodies = Vec::with_capacity(seqs.len());
        let found = reading::bodies(self.writer.db(), seqs).map_err(store_error)?;
        for (seq, body) in seqs.iter().zip(found) {
            bodies.push(body.ok_or_else(|| {
                StoreError::corrupt(format!("document {seq} is to be sent and not in the journal"))
            })?);
        }
        Ok(bodies)
    }

    /// Documents whose status is to be asked by now, the longest due first.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn refresh_due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<RefreshRow>, StoreError> {
        verdicts::due(self.writer.db(), now, limit.min(MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// Marks the next documents, at most `limit` and at most 500, so that [`Forwarding::refresh_due`] gives
    /// them: the softly quarantined ones of ФН of which it is wanted ([`crate::RegistryChange::refresh`]); after events
    /// were lost ([`crate::RegistryChange::recall`]) all that have no final verdict. Whether there are more to be marked.
    ///
    /// # Errors
    /// As [`Forwarding::claim`].
    pub fn recall_statuses(&mut self, limit: usize) -> Result<bool, StoreError> {
        let refreshes = verdicts::is_refresh_pending(self.writer.db()).map_err(store_error)?;
        if !refreshes && !recall::is_pending(self.writer.db()).map_err(store_error)? {
            return Ok(false);
        }
        self.writer.write(|db| {
            let room = verdicts::refresh_some(db, limit.clamp(1, MAX_MARKED))?;
            Ok(room == 0 || recall::mark(db, room)?)
        })
    }

    /// How many documents are in which state, wait, or are still to be derived.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn depths(&mut self) -> Result<OutboxDepths, StoreError> {
        reading::depths(self.writer.db()).map_err(store_error)
    }

    /// Since when the service is owed the oldest document that it did not take yet (derived or not; one that waits for
    /// its ФН to become known is not owed).
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn oldest_undelivered(&mut self) -> Result<Option<Timestamp>, StoreError> {
        reading::oldest_undelivered(self.writer.db()).map_err(store_error)
    }

    /// How the service stands to a ФН.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn fns_summary(&mut self, fn_number: &FnNumber) -> Result<FnsSummary, StoreError> {
        outbox::summary(self.writer.db(), fn_number).map_err(store_error)
    }

    /// The rows of (ФН, ФД): one for each chain in which it is forwarded.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn find(&mut self, fn_number: &FnNumber, fd_number: FdNumber) -> Result<Vec<OutboxRow>, StoreError> {
        reading::find(self.writer.db(), fn_number, fd_number).map_err(store_error)
    }
}

impl Reader {
    /// The next rows of the outbox that pass the filter, newest first, at most `limit` (at least 1, at most
    /// [`MAX_PAGE_ROWS`]). Where no index leads to the rows a bounded piece of positions is looked at, so a page may be
    /// short or empty and have a next one.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read, as everywhere below.
    pub fn outbox_page(&self, filter: &OutboxFilter, limit: usize) -> Result<OutboxPage, StoreError> {
        listing::page(self.db(), filter, limit.clamp(1, MAX_PAGE_ROWS)).map_err(store_error)
    }

    /// The rows of (ФН, ФД), newest chain first: one for each chain of a debug ФН, else at most one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_rows(
        &self,
        fn_number: &FnNumber,
        fd_number: FdNumber,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        reading::find(self.db(), fn_number, fd_number).map_err(store_error)
    }

    /// The row of a position of the journal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_row(&self, seq: i64) -> Result<Option<OutboxRow>, StoreError> {
        reading::at(self.db(), seq).map_err(store_error)
    }

    /// The batch in which a document is in flight; none for one that is finished.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_batch(&self, id: BatchId) -> Result<Option<BatchRow>, StoreError> {
        batches::find(self.db(), id).map_err(store_error)
    }

    /// Why a document is dead, or was: the newest refusal first, at most a hundred.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letters(&self, seq: i64) -> Result<Vec<DeadLetter>, StoreError> {
        dead::letters(self.db(), seq).map_err(store_error)
    }

    /// How many documents are in which state, wait, or are still to be derived.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_depths(&self) -> Result<OutboxDepths, StoreError> {
        reading::depths(self.db()).map_err(store_error)
    }

    /// Who holds the slots at present.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_holdings(&self) -> Result<Vec<Holding>, StoreError> {
        leases::holdings(self.db()).map_err(store_error)
    }

    /// As [`Forwarding::oldest_undelivered`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn oldest_undelivered(&self) -> Result<Option<Timestamp>, StoreError> {
        reading::oldest_undelivered(self.db()).map_err(store_error)
    }

    /// How the service stands to a ФН.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn fns_summary(&self, fn_number: &FnNumber) -> Result<FnsSummary, StoreError> {
        outbox::summary(self.db(), fn_number).map_err(store_error)
    }
}

impl Operator {
    /// Puts a document back into the queue, as if it had never been sent: one that is dead or superseded, or that the
    /// service took without a final verdict (delivered, soft; what it has already it answers as before). A running
    /// forwarder sends it with its next round.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn outbox_requeue(&mut self, seq: i64, now: Timestamp) -> Result<OutboxDecision, StoreError> {
        self.write(|db| dead::requeue(db, seq, now))
    }

    /// Gives a dead document up: nothing more is to be done about it. What was sent and answered stays.
    ///
    /// # Errors
    /// As [`Operator::open`].
    pub fn outbox_supersede(&mut self, seq: i64, now: Timestamp) -> Result<OutboxDecision, StoreError> {
        self.write(|db| dead::supersede(db, seq, now))
    }
}
