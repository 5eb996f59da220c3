//! Names of holders, slots and batches.

use std::fmt;

use ffd::ids::FnNumber;
use sha2::{Digest, Sha256};

use crate::StoreError;

/// Slots over which the lanes are spread.
pub const LANE_SLOTS: u16 = 256;

/// Longest name of a holder in bytes.
pub const MAX_HOLDER_LEN: usize = 100;

/// A part of the lanes, or the registrar's work: what one holder does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

/// Who holds leases: one running service. A name that was used before a restart must not come again, else the
/// old process could not be told from the new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(String);

/// Number of a batch, 16 bytes (UUID): the idempotency key under which it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId([u8; 16]);

impl Slot {
    /// Work that is not sending: following the journal, the events feed, timers, applications, status refresh.
    pub const REGISTRAR: Self = Self(LANE_SLOTS);

    /// A slot by its number, 0 to 256.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number <= LANE_SLOTS).then_some(Self(number))
    }

    /// The slot of a lane: first byte of SHA-256 of the 16 digits. Stable for ever, for it is stored.
    #[must_use]
    pub fn of_fn(fn_number: &FnNumber) -> Self {
        let [first, ..]: [u8; 32] = Sha256::digest(fn_number.as_str().as_bytes()).into();
        Self(u16::from(first))
    }

    /// The number, 0 to 256.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether lanes are in it.
    #[must_use]
    pub fn has_lanes(self) -> bool {
        self.0 < LANE_SLOTS
    }
}

impl HolderId {
    /// A name.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it is empty or longer than [`MAX_HOLDER_LEN`].
    pub fn new(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_HOLDER_LEN {
            return Err(StoreError::refused(format!(
                "the name of a holder has {} bytes: 1 to {MAX_HOLDER_LEN}",
                name.len()
            )));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BatchId {
    /// Of these bytes, as a UUID has them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as a UUID has them.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BatchId {
    /// Lower-case, with hyphens: as a UUID is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if [4, 6, 8, 10].contains(&index) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_lane_never_changes() {
        let check = |fn_number: &str, expected: u16| {
            let number: FnNumber = fn_number.parse().unwrap();
            assert_eq!(Slot::of_fn(&number).get(), expected, "{fn_number}");
            assert!(Slot::of_fn(&number).has_lanes());
        };
        check("8710000100000001", 0xcf);
        check("9999078900005488", 0xd4);
        check("9999078900000001", 0x3d);
        check("0000000000000000", 0xfc);
        check("9280440300000000", 0x32);
    }

    #[test]
    fn limits_of_names_and_numbers() {
        assert_eq!(Slot::new(256), Some(Slot::REGISTRAR));
        assert_eq!(Slot::new(257), None);
        assert!(!Slot::REGISTRAR.has_lanes());
        assert!(HolderId::new("").is_err());
        assert!(HolderId::new("x".repeat(MAX_HOLDER_LEN)).is_ok());
        assert!(HolderId::new("x".repeat(MAX_HOLDER_LEN + 1)).is_err());
    }

    #[test]
    fn a_batch_is_written_as_a_uuid() {
        let id = BatchId::from_bytes([
            0x01, 0x93, 0x1f, 0x0e, 0x6a, 0x3c, 0x7c, 0x21, 0x9d, 0x10, 0x0c, 0x5f, 0x3f, 0x6f, 0x1a, 0x77,
        ]);
        assert_eq!(id.to_string(), "01931f0e-6a3c-7c21-9d10-0c5f3f6f1a77");
        assert_eq!(BatchId::from_bytes(id.bytes()), id);
    }
}
