//! A [`Forwarding`] that names documents by their places. Its methods are those of the forwarding.

use std::rc::Rc;

use super::places::Places;
use crate::{BatchStep, Claim, ClaimOrder, CommitReport, Forwarding, OutboxChange, StoreError};

pub(crate) struct Way {
    forwarding: Forwarding,
    places: Rc<Places>,
}

impl Way {
    pub(super) fn new(forwarding: Forwarding, places: Rc<Places>) -> Self {
        Self { forwarding, places }
    }

    pub(crate) fn claim(&mut self, order: &ClaimOrder) -> Result<Claim, StoreError> {
        self.forwarding.claim(order)
    }

    pub(crate) fn commit(&mut self, change: &OutboxChange) -> Result<CommitReport, StoreError> {
        self.forwarding.commit(&self.located(change))
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
        change
    }
}
