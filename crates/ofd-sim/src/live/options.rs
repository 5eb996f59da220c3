//! What a live run is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::keys::SimKeys;
use crate::kkt::OperatorCard;
use crate::link::LinkTiming;

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
        let length = step_s(receipts).saturating_mul(documents_of_day(receipts));
        Self::new(to, registers, receipts, fresh_fn_base(), moscow_clock().saturating_sub(length))
    }
}

/// Documents of one register's day: registration, opening, receipts, correction, close.
#[must_use]
pub fn documents_of_day(receipts: u32) -> u32 {
    receipts.saturating_add(4)
}

/// Till seconds between two documents, at most: some minutes, but the shift stays within 20 hours.
pub(super) fn step_s(receipts: u32) -> u32 {
    (20 * 3600 / documents_of_day(receipts)).clamp(1, 150)
}

/// A number for [`LiveOptions::fn_base`] and its like that differs from run to run: tenths of milliseconds
/// of the clock, on 12 digits (it comes round after three years).
#[must_use]
pub fn fresh_fn_base() -> u64 {
    let millis = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    // Room for a million registers above the number.
    millis.wrapping_mul(10) % 999_999_000_000
}

/// Wall clock of a till in Moscow, as tag 1012 has it.
#[must_use]
pub fn moscow_clock() -> u32 {
    const MOSCOW_OFFSET_S: i64 = 3 * 3600;
    u32::try_from(jiff::Timestamp::now().as_second().saturating_add(MOSCOW_OFFSET_S)).unwrap_or(u32::MAX)
}
