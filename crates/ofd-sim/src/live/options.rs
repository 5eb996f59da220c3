//! What a live run is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::{fresh_fn_base, till_clock_now};
use crate::keys::SimKeys;
use crate::kkt::{OperatorCard, Pace};
use crate::link::LinkTiming;

/// Most till seconds between two documents.
const MOST_STEP_S: u32 = 150;

/// Which FFD versions the registers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FfdMix {
    /// All registers of FFD 1.05.
    #[value(name = "1.05")]
    V1_05,
    /// All registers of FFD 1.2.
    #[value(name = "1.2")]
    V1_2,
    /// Two of three registers of FFD 1.2, the others of 1.05.
    #[value(name = "mixed")]
    Mixed,
}

/// How long a TCP connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Connections {
    /// One connection for as long as it holds.
    Persistent,
    /// A new connection for each document, as most real registers do.
    PerDocument,
}

/// A live run. [`LiveOptions::starting_now`] gives settings that suit a demonstration on loopback.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The operator's address.
    pub to: SocketAddr,
    /// How many registers.
    pub registers: u32,
    /// Receipts of each register in its shift (the other documents of the day come on top).
    pub receipts: u32,
    /// The same seed (with the same `fn_base` and `day_start`) makes the same documents.
    pub seed: u64,
    /// Keys of the simulated storages.
    pub keys: Arc<SimKeys>,
    /// The ФН numbers are 9999 followed by this number and those after it, on 12 digits.
    pub fn_base: u64,
    /// Till time of the first document, seconds of the wall clock (tag 1012).
    pub day_start: u32,
    /// Share of registers with encryption (tag 1056 = 1), percent.
    pub encrypted_percent: u8,
    /// FFD versions of the registers.
    pub ffd: FfdMix,
    /// Life of connections.
    pub connections: Connections,
    /// Pause of a register between two documents.
    pub pause: Duration,
    /// Time-outs and tries of one exchange.
    pub timing: LinkTiming,
    /// The operator named in registration reports (1017, 1046).
    pub operator: OperatorCard,
}

impl LiveOptions {
    /// Settings for a demonstration: published test keys, mixed FFD versions, a third of the registers
    /// encrypted, persistent connections, no pause, seed 1.
    #[must_use]
    pub fn new(to: SocketAddr, registers: u32, receipts: u32, fn_base: u64, day_start: u32) -> Self {
        Self {
            to,
            registers,
            receipts,
            seed: 1,
            keys: Arc::new(SimKeys::published()),
            fn_base,
            day_start,
            encrypted_percent: 33,
            ffd: FfdMix::Mixed,
            connections: Connections::Persistent,
            pause: Duration::ZERO,
            timing: LinkTiming::default(),
            operator: OperatorCard::default(),
        }
    }

    /// As [`Self::new`], with a fresh range of ФН numbers and a day that ends about now (Moscow time), both
    /// from the clock of this machine.
    #[must_use]
    pub fn starting_now(to: SocketAddr, registers: u32, receipts: u32) -> Self {
        let length_s = pace(receipts).length_s(documents_of_day(receipts).into());
        Self::new(to, registers, receipts, fresh_fn_base(), till_clock_now().saturating_sub(length_s))
    }
}

/// Documents of one register's day: registration, opening, receipts, correction, close.
pub(crate) fn documents_of_day(receipts: u32) -> u32 {
    receipts.saturating_add(4)
}

/// The pace of a day: some minutes between two documents, but the shift stays within a day.
pub(super) fn pace(receipts: u32) -> Pace {
    Pace::new(documents_of_day(receipts).into(), MOST_STEP_S)
}
