//! One visit to the store's thread: everything that has gathered, in one go.

use jiff::Timestamp;
use ofd_store::{
    Adoption, Claim, ClaimOrder, CommitReport, DocumentBody, Forwarding, HolderId, Holding, OutboxChange,
    OutboxDepths, OutboxRow, Slot, StoreError,
};

use super::holder;

/// What is to be done; in the order of the fields.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) holder: HolderId,
    /// To be written.
    pub(super) change: Option<OutboxChange>,
    /// To be given back.
    pub(super) release: Vec<Slot>,
    /// Leases to be renewed and taken.
    pub(super) claim: Option<ClaimOrder>,
    /// Slots whose new documents are wanted, and since which serial.
    pub(super) rows: Option<(Vec<Slot>, i64)>,
    /// Documents to be read, by worker.
    pub(super) bodies: Vec<(usize, Vec<i64>)>,
    /// Whether the depths are wanted.
    pub(super) look: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct RoundReport {
    pub(super) commit: Option<CommitReport>,
    pub(super) claim: Option<Claim>,
    /// Who has the lanes, when it was to have some and has none.
    pub(super) others: Vec<Holding>,
    /// Holders that had ended and were put out.
    pub(super) dismissed: Vec<HolderId>,
    pub(super) adoption: Adoption,
    /// Open documents of slots that were gained.
    pub(super) gained: Vec<OutboxRow>,
    /// Documents that came to be sent, and the serial up to which they were read.
    pub(super) rows: Vec<OutboxRow>,
    pub(super) serial: Option<i64>,
    pub(super) bodies: Vec<(usize, Bodies)>,
    pub(super) look: Option<Look>,
}

/// The documents that could be read, and why the one behind them could not.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) documents: Vec<DocumentBody>,
    pub(super) error: Option<String>,
}

/// How much is on its way.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) depths: OutboxDepths,
    pub(super) oldest: Option<Timestamp>,
}

impl Round {
    /// Does it.
    ///
    /// # Errors
    /// The first call to the store that failed; those before it had their effect.
    pub(super) fn run(self, store: &mut Forwarding) -> Result<RoundReport, StoreError> {
        let mut report = RoundReport::default();
        if let Some(change) = &self.change {
            report.commit = Some(store.commit(change)?);
        }
        if !self.release.is_empty() {
            store.release(&self.holder, &self.release)?;
        }
        // Before any rows: what comes to be sent in between is read again with the next visit.
        if self.rows.is_some() {
            report.serial = Some(store.newest_serial()?);
        }
        if let Some(order) = &self.claim {
            report.dismissed = store.dismiss(&holder::is_gone)?;
            let claim = store.claim(order)?;
            if order.lanes && !claim.leases.iter().any(|lease| lease.slot.has_lanes()) {
                report.others = store.holdings()?;
            }
            if claim.gained.iter().any(|slot| slot.has_lanes()) {
                let gained: Vec<Slot> =
                    claim.gained.iter().copied().filter(|slot| slot.has_lanes()).collect();
                report.adoption = store.adopt(&self.holder, &claim.leases, &gained)?;
                report.gained = store.open_rows(&gained, 0)?;
            }
            report.claim = Some(claim);
        }
        if let Some((slots, after)) = &self.rows
            && report.serial.is_some_and(|serial| serial > *after)
            && !slots.is_empty()
        {
            report.rows = store.open_rows(slots, *after)?;
        }
        for (worker, seqs) in self.bodies {
            report.bodies.push((worker, bodies(store, &seqs)?));
        }
        if self.look {
            let look = Look { depths: store.depths()?, oldest: store.oldest_undelivered()? };
            report.look = Some(look);
        }
        Ok(report)
    }
}

/// A document that the disk has damaged costs only itself.
fn bodies(store: &mut Forwarding, seqs: &[i64]) -> Result<Bodies, StoreError> {
    match store.bodies(seqs) {
        Ok(documents) => return Ok(Bodies { documents, error: None }),
        Err(error) if error.is_unavailable() => return Err(error),
        Err(_) => {}
    }
    let mut documents = Vec::new();
    for seq in seqs {
        match store.bodies(&[*seq]) {
            Ok(one) => documents.extend(one),
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => return Ok(Bodies { documents, error: Some(error.to_string()) }),
        }
    }
    Ok(Bodies { documents, error: None })
}
