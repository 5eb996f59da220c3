//! What the hot path asks about registers, in memory.
//!
//! Facts only grow: there is no command that makes a ФН unknown again. The watcher of the store adds what other
//! connections committed (an operator's command, another daemon on the same file).

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use ffd::ids::FnNumber;

/// Whether a ФН is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// From a report let in, an operator's command, or a release from quarantine.
    Known,
    /// Not known: the policy for unknown ФН decides.
    Unknown,
}

/// Shared register facts. [`Facts::default`] knows nobody.
#[derive(Debug, Default)]
pub struct Facts {
    known: RwLock<KnownSets>,
}

#[derive(Debug, Default)]
struct KnownSets {
    fn_numbers: HashSet<FnNumber>,
    serials: HashSet<String>,
}

impl Facts {
    /// Whether the ФН is known.
    #[must_use]
    pub fn standing(&self, fn_number: &FnNumber) -> Standing {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.fn_numbers.contains(fn_number) { Standing::Known } else { Standing::Unknown }
    }

    /// Whether an operator stated this serial number of a ККТ (tag 1013). Padding around it does not matter.
    ///
    /// Serial numbers that only a report told about do not count: they would let in any other ФН that claims them.
    #[must_use]
    pub fn serial_known(&self, kkt_serial: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.serials.contains(kkt_serial.trim())
    }

    /// Makes a ФН known at once: its report was let in and is on its way to the journal.
    ///
    /// Should that commit fail, the ФН stays known until the next start. This is harmless: the policy let it in,
    /// and the register repeats the report before it sends anything else.
    pub fn know(&self, fn_number: FnNumber) {
        self.learn([fn_number], []);
    }

    /// Makes a serial number known at once.
    pub fn know_serial(&self, kkt_serial: &str) {
        self.learn([], [kkt_serial.to_owned()]);
    }

    /// How many ФН and serial numbers are known.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        (known.fn_numbers.len(), known.serials.len())
    }

    pub(crate) fn learn(
        &self,
        fn_numbers: impl IntoIterator<Item = FnNumber>,
        serials: impl IntoIterator<Item = String>,
    ) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.fn_numbers.extend(fn_numbers);
        known.serials.extend(serials.into_iter().map(|serial| serial.trim().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_grow() {
        let facts = Facts::default();
        let number = FnNumber::from_padded(b"8710000100000001").unwrap();
        assert_eq!(facts.standing(&number), Standing::Unknown);
        facts.know(number);
        assert_eq!(facts.standing(&number), Standing::Known);
        assert!(!facts.serial_known("0042"));
        facts.know_serial("0042  ");
        assert!(facts.serial_known("0042"));
        assert!(facts.serial_known("0042      "));
        assert_eq!(facts.sizes(), (1, 1));
    }
}
