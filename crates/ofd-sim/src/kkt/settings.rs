//! How a register is made.

use std::sync::Arc;

use ffd::{FfdVersion, FnNumber, Inn};

use super::{Pace, Tamper, Variety};
use crate::storage::Reread;
use crate::trade::Trade;

/// The operator as a register knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorCard {
    /// Tag 1017.
    pub inn: Inn,
    /// Tag 1046.
    pub name: String,
}

impl Default for OperatorCard {
    /// An invented operator with a valid INN.
    fn default() -> Self {
        let inn = Inn::from_padded(b"7700000009").expect("ten digits are an INN");
        Self { inn, name: "ОФД Пример".to_owned() }
    }
}

/// How a register is made.
#[derive(Clone, Debug)]
pub(crate) struct KktSettings {
    /// Number of its storage.
    pub(crate) fn_number: FnNumber,
    /// FFD 1.05, 1.1 or 1.2.
    pub(crate) ffd: FfdVersion,
    /// Bodies are encrypted.
    pub(crate) encrypted: bool,
    /// Behaviour of the storage on a second reading.
    pub(crate) reread: Reread,
    /// Seed of shop, goods and vectors.
    pub(crate) seed: u64,
    /// Till time of the first document.
    pub(crate) clock: u32,
    /// Till time between documents.
    pub(crate) pace: Pace,
    /// The operator it is connected to.
    pub(crate) operator: OperatorCard,
}

/// What sets a register apart from a plain one.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    /// Its trade; drawn among the simple ones when not given.
    pub(crate) trade: Option<Trade>,
    /// Hours of its place ahead of UTC, 2 to 12.
    pub(crate) zone_h: u8,
    /// How varied its receipts are.
    pub(crate) variety: Variety,
    /// The life of its storages.
    pub(crate) fn_life: FnLife,
    /// Spoils documents on purpose.
    pub(crate) tamper: Option<Arc<dyn Tamper>>,
    /// Marking messages are kept.
    pub(crate) keeps_marking: bool,
}

impl Default for Character {
    /// Moscow, plain receipts, a storage that is far from its end, no faults.
    fn default() -> Self {
        Self {
            trade: None,
            zone_h: 3,
            variety: Variety::Plain,
            fn_life: FnLife::default(),
            tamper: None,
            keeps_marking: false,
        }
    }
}

/// The resources of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FnLife {
    /// Days from activation until its keys expire (1213 counts them down).
    pub(crate) days: u16,
    /// Documents it can hold.
    pub(crate) capacity: u32,
}

impl Default for FnLife {
    /// A storage of 15 months that holds any number of documents.
    fn default() -> Self {
        Self { days: 410, capacity: u32::MAX }
    }
}
