//! A [`Forwarding`] that names documents by their places. Its methods are those of the forwarding.

use std::rc::Rc;

use ffd::ids::FnNumber;
use jiff::Timestamp;

use super::places::Places;
use crate::{
    Adoption, BatchStep, Claim, ClaimOrder, CommitReport, DocumentBody, FnsSummary, Forwarding, HolderId,
    Holding, Lease, OutboxChange, OutboxDepths, OutboxRow, RefreshRow, Slot, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) struct Way {
    forwarding: Forwarding,
    places: Rc<Places>,
}

impl Way {
    pub(super) fn new(forwarding: Forwarding, places: Rc<Places>) -> Self {
        Self { forwarding, places }
    }

    pub(crate) fn claim(&mut self, order: &ClaimOrder) -> Result<Claim> {
        self.forwarding.claim(order)
    }

    pub(crate) fn adopt(&mut self, holder: &HolderId, leases: &[Lease], gained: &[Slot]) -> Result<Adoption> {
        let mut adoption = self.forwarding.adopt(holder, leases, gained)?;
        for batch in &mut adoption.batches {
            batch.documents.iter_mut().for_each(|seq| self.places.name(seq));
        }
        Ok(adoption)
    }

    pub(crate) fn release(&mut self, holder: &HolderId, slots: &[Slot]) -> Result<()> {
        self.forwarding.release(holder, slots)
    }

    pub(crate) fn dismiss(&mut self, is_gone: &dyn Fn(&HolderId) -> bool) -> Result<Vec<HolderId>> {
        self.forwarding.dismiss(is_gone)
    }

    pub(crate) fn holdings(&mut self) -> Result<Vec<Holding>> {
        self.forwarding.holdings()
    }

    pub(crate) fn leave(&mut self, holder: &HolderId) -> Result<()> {
        self.forwarding.leave(holder)
    }

    pub(crate) fn commit(&mut self, change: &OutboxChange) -> Result<CommitReport> {
        let report = self.forwarding.commit(&self.located(change))?;
        Ok(self.named(report))
    }

    pub(crate) fn open_rows(&mut self, slots: &[Slot], after_serial: i64) -> Result<Vec<OutboxRow>> {
        let mut rows = self.forwarding.open_rows(slots, after_serial)?;
        rows.iter_mut().for_each(|row| self.places.name(&mut row.seq));
        Ok(rows)
    }

    pub(crate) fn newest_serial(&mut self) -> Result<i64> {
        self.forwarding.newest_serial()
    }

    pub(crate) fn bodies(&mut self, places: &[i64]) -> Result<Vec<DocumentBody>> {
        let seqs: Vec<i64> = places.iter().map(|place| self.places.at(*place)).collect();
        let mut bodies = self.forwarding.bodies(&seqs)?;
        bodies.iter_mut().for_each(|body| self.places.name(&mut body.seq));
        Ok(bodies)
    }

    pub(crate) fn refresh_due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<RefreshRow>> {
        let mut rows = self.forwarding.refresh_due(now, limit)?;
        rows.iter_mut().for_each(|row| self.places.name(&mut row.seq));
        Ok(rows)
    }

    pub(crate) fn recall_statuses(&mut self, limit: usize) -> Result<bool> {
        self.forwarding.recall_statuses(limit)
    }

    pub(crate) fn depths(&mut self) -> Result<OutboxDepths> {
        self.forwarding.depths()
    }

    pub(crate) fn oldest_undelivered(&mut self) -> Result<Option<Timestamp>> {
        self.forwarding.oldest_undelivered()
    }

    pub(crate) fn fns_summary(&mut self, fn_number: &FnNumber) -> Result<FnsSummary> {
        self.forwarding.fns_summary(fn_number)
    }

    /// With positions instead of places.
    fn located(&self, change: &OutboxChange) -> OutboxChange {
        let mut change = change.clone();
        let locate = |place: &mut i64| *place = self.places.at(*place);
        for step in &mut change.steps {
            if let BatchStep::Settle { results, .. } = step {
                results.iter_mut().for_each(|result| locate(&mut result.seq));
            }
        }
        for batch in &mut change.new_batches {
            batch.documents.iter_mut().for_each(|document| locate(&mut document.seq));
        }
        change.refresh_later.iter_mut().for_each(|(place, _)| locate(place));
        change.resend.iter_mut().for_each(locate);
        change
    }

    /// With places instead of positions.
    fn named(&self, mut report: CommitReport) -> CommitReport {
        report.stale.iter_mut().for_each(|seq| self.places.name(seq));
        report.gone.iter_mut().for_each(|seq| self.places.name(seq));
        report.verdicts.applied.iter_mut().for_each(|applied| self.places.name(&mut applied.seq));
        if let Some(derived) = &mut report.derived {
            derived.cursor = self.places.up_to(derived.cursor);
        }
        report
    }
}
