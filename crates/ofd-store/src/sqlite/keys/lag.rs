//! How far the tables are behind, for people.

use std::fmt;

use metrics::{Gauge, gauge};

use super::Keys;

/// The gauges. Handles created once.
pub(in crate::sqlite) struct Lag {
    documents: Gauge,
    seconds: Gauge,
}

impl Default for Lag {
    fn default() -> Self {
        Self {
            documents: gauge!("fiscald_store_unindexed_documents"),
            seconds: gauge!("fiscald_store_unindexed_seconds"),
        }
    }
}

impl fmt::Debug for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lag").finish_non_exhaustive()
    }
}

impl Lag {
    pub(in crate::sqlite) fn show(&self, keys: &Keys) {
        self.documents.set(u32::try_from(keys.unindexed()).unwrap_or(u32::MAX));
        self.seconds.set(keys.lag().as_secs_f64());
    }
}
