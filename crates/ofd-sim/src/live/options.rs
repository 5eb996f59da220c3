//! What a live run is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::mix::{FfdMix, TradeMix, ZoneMix};
use crate::faults::Faults;
use crate::fleet::{encrypts, fresh_fn_base, till_clock_now};
use crate::keys::SimKeys;
use crate::kkt::{OperatorCard, Tamper};
use crate::life::{self, LifeSettings, Plan};
use crate::link::LinkTiming;
use crate::rng::Rng;
use crate::storage::Reread;

/// Sets the draw of wrong clocks apart from the other draws of a seed.
const CLOCK_SALT: u64 = 0x1012;

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
    /// Receipts of each register in each shift (the other documents of the day come on top).
    pub receipts: u32,
    /// Days that each register lives, one shift a day; one at least. One day has nothing but what every day
    /// has: changes, replacements and state reports come in longer lives.
    pub days: u32,
    /// Days in one piece during which the operator cannot be reached; afterwards everything is sent at once.
    /// As many as `days` or more: until the last document. 29 at most, after 30 a real ФН stops.
    pub offline_days: u32,
    /// Trades of the registers.
    pub trades: TradeMix,
    /// Time zones of the registers.
    pub zones: ZoneMix,
    /// Most seconds by which the clock of a till is wrong, ahead or behind.
    pub clock_error_s: u32,
    /// The same seed (with the same `fn_base` and `day_start`) makes the same documents.
    pub seed: u64,
    /// Keys of the simulated storages.
    pub keys: Arc<SimKeys>,
    /// The ФН numbers are 9999 followed by this number and those after it, on 12 digits.
    pub fn_base: u64,
    /// What a till in Moscow shows at the first document, seconds of the wall clock (tag 1012).
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
    /// Faults to be made on purpose; registers are honest without. Storages get genuine numbers (9280...) instead of
    /// those for tests where a fault needs it.
    pub faults: Option<Arc<Faults>>,
}

impl LiveOptions {
    /// Settings for a demonstration: one day, published test keys, mixed versions and trades, a third of the
    /// registers encrypted, all in Moscow with right clocks, persistent connections, no pause, seed 1.
    #[must_use]
    pub fn new(to: SocketAddr, registers: u32, receipts: u32, fn_base: u64, day_start: u32) -> Self {
        Self {
            to,
            registers,
            receipts,
            days: 1,
            offline_days: 0,
            trades: TradeMix::default(),
            zones: ZoneMix::default(),
            clock_error_s: 0,
            seed: 1,
            keys: Arc::new(SimKeys::published()),
            fn_base,
            day_start,
            encrypted_percent: 33,
            ffd: FfdMix::default(),
            connections: Connections::Persistent,
            pause: Duration::ZERO,
            timing: LinkTiming::default(),
            operator: OperatorCard::default(),
            faults: None,
        }
    }

    /// As [`Self::new`], with a fresh range of ФН numbers and a day that ends about now, both from the clock
    /// of this machine. Other `days` afterwards need [`Self::end_now`].
    #[must_use]
    pub fn starting_now(to: SocketAddr, registers: u32, receipts: u32) -> Self {
        let mut options = Self::new(to, registers, receipts, fresh_fn_base(), 0);
        options.end_now();
        options
    }

    /// Begins the lives so early that they end about now.
    pub fn end_now(&mut self) {
        let length_s = life::length_s(self.receipts, self.days.max(1));
        self.day_start = till_clock_now().saturating_sub(length_s);
    }

    /// Documents that the operator gets from all registers.
    #[must_use]
    pub fn documents(&self) -> u64 {
        if self.days <= 1 {
            return u64::from(self.registers) * (u64::from(self.receipts) + 4);
        }
        (0..self.registers).map(|index| Plan::invent(&self.life(index)).documents()).sum()
    }

    /// The life of the `index`-th register.
    pub(crate) fn life(&self, index: u32) -> LifeSettings {
        let number = self.fn_base.saturating_add(u64::from(index));
        let most = i64::from(self.clock_error_s);
        let drawn =
            Rng::split(self.seed ^ CLOCK_SALT, u64::from(index)).below(u64::from(self.clock_error_s) * 2 + 1);
        let clock_error_s = i64::try_from(drawn).unwrap_or(0) - most;
        LifeSettings {
            number,
            genuine: self.faults.as_ref().is_some_and(|faults| faults.need_genuine_storages()),
            stride: u64::from(self.registers),
            ffd: self.ffd.of(index),
            trade: self.trades.of(index),
            zone_h: self.zones.of(index),
            days: self.days.max(1),
            receipts: self.receipts,
            offline_days: self.offline_days.min(life::MOST_OFFLINE_DAYS),
            clock_error_s: i32::try_from(clock_error_s).unwrap_or(0),
            begins: self.day_start,
            encrypted: encrypts(self.seed, index, self.encrypted_percent),
            reread: Reread::EncryptAnew,
            seed: Rng::split(self.seed, number).next_u64(),
            operator: self.operator.clone(),
            tamper: self.faults.clone().map(|faults| faults as Arc<dyn Tamper>),
        }
    }
}
