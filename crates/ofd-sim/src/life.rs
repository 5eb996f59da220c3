//! The script of a register's life: what it does on which day, and when its documents go out.
//!
//! Everything is drawn once, from the seed, when the life begins; afterwards it is only played. Two play it: the
//! registers of [`crate::live`] over sockets, and tests in memory. What one document holds is [`crate::kkt`]'s.

mod plan;

use std::collections::VecDeque;
use std::sync::Arc;

use ffd::{FfdVersion, FnNumber};

use crate::fleet::{OutOfRange, debug_fn, genuine_fn};
use crate::keys::SimKeys;
use crate::kkt::{Cause, Character, FnLife, Kkt, KktError, KktSettings, OperatorCard, Pace, Tamper, Variety};
use crate::rng::Rng;
use crate::storage::Reread;
use crate::trade::Trade;

pub(crate) use plan::Plan;

const DAY_S: u32 = 86_400;
/// Hours ahead of UTC of the time in which a run's beginning is given: Moscow.
const MOSCOW_H: u8 = 3;
/// Most lines of an ordinary receipt.
const MOST_ITEMS: u64 = 5;
/// Most till seconds between two documents.
const MOST_STEP_S: u32 = 150;
/// Most documents of a day besides its receipts: opening, correction, two state reports, closing, closing of
/// the ФН, new ФН, change report, registration.
const MOST_BESIDES: u32 = 9;
/// Longest silence of an operator that a register lives through; a real ФН stops after 30 days.
pub(crate) const MOST_OFFLINE_DAYS: u32 = 29;

/// What a register does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Form 1.
    Register,
    /// Form 11.
    Change(Cause),
    /// Form 2.
    OpenShift,
    /// A sale.
    Sell,
    /// The last sale is taken back.
    Refund,
    /// A payout.
    PayOut,
    /// The last payout comes back.
    RefundPayout,
    /// A correction.
    Correct,
    /// Form 21.
    ReportState,
    /// Form 5.
    CloseShift,
    /// Form 6.
    CloseFn,
    /// Form 11 of a new storage.
    ReplaceFn,
}

/// One document and what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    /// What is done.
    pub(crate) act: Act,
    /// The queue goes out after it; otherwise the operator cannot be reached and the document waits.
    pub(crate) online: bool,
}

/// Whose life it is.
#[derive(Clone, Debug)]
pub(crate) struct LifeSettings {
    /// 9999 and this number on 12 digits is its first ФН.
    pub(crate) number: u64,
    /// Its storages have numbers 9280..., which are not for tests, instead.
    pub(crate) genuine: bool,
    /// What the next ФН of the same register adds to that number: the registers of the run.
    pub(crate) stride: u64,
    /// Version of the format at the beginning.
    pub(crate) ffd: FfdVersion,
    /// Its trade.
    pub(crate) trade: Trade,
    /// Hours of its place ahead of UTC.
    pub(crate) zone_h: u8,
    /// Days of its life, at least one.
    pub(crate) days: u32,
    /// Receipts of a day.
    pub(crate) receipts: u32,
    /// Days in one piece without the operator.
    pub(crate) offline_days: u32,
    /// Seconds by which the till's clock is wrong.
    pub(crate) clock_error_s: i32,
    /// When it begins, on a right clock in Moscow.
    pub(crate) begins: u32,
    /// Bodies are encrypted.
    pub(crate) encrypted: bool,
    /// Behaviour of its storages on a second reading.
    pub(crate) reread: Reread,
    /// Seed of everything.
    pub(crate) seed: u64,
    /// Its operator.
    pub(crate) operator: OperatorCard,
    /// Spoils its documents.
    pub(crate) tamper: Option<Arc<dyn Tamper>>,
}

impl LifeSettings {
    /// The storage with this number.
    pub(crate) fn fn_number(&self, number: u64) -> Result<FnNumber, OutOfRange> {
        if self.genuine { genuine_fn(number) } else { debug_fn(number) }
    }
}

/// A life that cannot be lived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LifeError {
    /// The register's own failure.
    #[error(transparent)]
    Kkt(#[from] KktError),
    /// The range of ФН numbers leaves 12 digits.
    #[error(transparent)]
    Range(#[from] OutOfRange),
}

/// A register with its script.
#[derive(Debug)]
pub(crate) struct Life {
    settings: LifeSettings,
    plan: Plan,
    kkt: Kkt,
    /// Day that is being played.
    day: u32,
    scenes: VecDeque<Scene>,
    /// Storages so far.
    storages: u64,
    /// Documents that went to another operator before this one.
    sent_elsewhere: u32,
}

impl Life {
    /// A life that has not begun.
    ///
    /// # Errors
    /// [`LifeError`].
    pub(crate) fn new(settings: LifeSettings, keys: &SimKeys) -> Result<Self, LifeError> {
        let plan = Plan::invent(&settings);
        let own_clock = i64::from(settings.begins)
            + (i64::from(settings.zone_h) - i64::from(MOSCOW_H)) * 3600
            + i64::from(settings.clock_error_s);
        let kkt_settings = KktSettings {
            fn_number: settings.fn_number(settings.number)?,
            ffd: settings.ffd,
            encrypted: settings.encrypted,
            reread: settings.reread,
            seed: settings.seed,
            clock: u32::try_from(own_clock.max(0)).unwrap_or(u32::MAX),
            pace: pace(settings.receipts, settings.days),
            operator: settings.operator.clone(),
        };
        let character = Character {
            trade: Some(settings.trade),
            zone_h: settings.zone_h,
            variety: Variety::Whole,
            fn_life: plan.first_storage,
            tamper: None,
            keeps_marking: false,
        };
        let kkt = Kkt::with_character(&kkt_settings, character, keys)?;
        let scenes = plan.scenes(0);
        let mut life = Self { settings, plan, kkt, day: 0, scenes, storages: 1, sent_elsewhere: 0 };
        if life.plan.comes_from_another_operator() {
            life.live_elsewhere()?;
        }
        // What another operator got is nobody's business here.
        if let Some(tamper) = life.settings.tamper.clone() {
            life.kkt.be_spoiled(tamper);
        }
        Ok(life)
    }

    /// The next scene; nothing when the life is over.
    pub(crate) fn next_scene(&mut self) -> Option<Scene> {
        while self.scenes.is_empty() {
            self.day += 1;
            if self.day >= self.settings.days {
                return None;
            }
            self.scenes = self.plan.scenes(self.day);
        }
        let morning = self.kkt_day_start();
        self.kkt.wait_until(morning);
        self.scenes.pop_front()
    }

    /// Makes the document of an act.
    ///
    /// # Errors
    /// [`LifeError`]; an act out of its place in the script among them.
    pub(crate) fn perform(&mut self, act: Act, keys: &SimKeys) -> Result<(), LifeError> {
        let kkt = &mut self.kkt;
        match act {
            Act::Register => kkt.register(),
            Act::Change(cause) => kkt.change(cause),
            Act::OpenShift => kkt.open_shift(),
            Act::Sell => kkt.sell(MOST_ITEMS),
            Act::Refund => kkt.refund(),
            Act::PayOut => kkt.pay_out(),
            Act::RefundPayout => kkt.refund_payout(),
            Act::Correct => kkt.correct(),
            Act::ReportState => kkt.report_state(),
            Act::CloseShift => kkt.close_shift(),
            Act::CloseFn => kkt.close_fn(),
            Act::ReplaceFn => {
                let number = self.next_number()?;
                self.storages += 1;
                self.sent_elsewhere = 0;
                let ffd = self.plan.next_ffd;
                self.kkt.replace_fn(number, ffd, FnLife::default(), keys)
            }
        }?;
        Ok(())
    }

    /// The register.
    pub(crate) fn kkt(&self) -> &Kkt {
        &self.kkt
    }

    /// The register, to take acknowledgements.
    pub(crate) fn kkt_mut(&mut self) -> &mut Kkt {
        &mut self.kkt
    }

    /// Documents of the present storage that were or are for this operator.
    pub(crate) fn documents(&self) -> u32 {
        self.kkt.storage().next_fd() - 1 - self.sent_elsewhere
    }

    /// What a right clock shows in UTC while the till shows what it does.
    #[cfg(test)]
    pub(crate) fn utc(&self) -> u32 {
        let till = i64::from(self.kkt.clock());
        let utc = till - i64::from(self.settings.zone_h) * 3600 - i64::from(self.settings.clock_error_s);
        u32::try_from(utc).unwrap_or(0)
    }

    fn next_number(&self) -> Result<FnNumber, OutOfRange> {
        self.settings.fn_number(
            self.settings.number.saturating_add(self.storages.saturating_mul(self.settings.stride)),
        )
    }

    /// When the present day begins on the till's clock.
    fn kkt_day_start(&self) -> u32 {
        self.kkt
            .started()
            .saturating_add(self.day.saturating_mul(DAY_S))
            .saturating_add(self.plan.morning(self.day))
    }

    /// Registration and a shift for the operator before; nobody here sees those documents.
    fn live_elsewhere(&mut self) -> Result<(), LifeError> {
        let kkt = &mut self.kkt;
        kkt.register()?;
        kkt.open_shift()?;
        kkt.sell(MOST_ITEMS)?;
        kkt.close_shift()?;
        while kkt.storage_mut().take_front().is_some() {
            self.sent_elsewhere += 1;
        }
        Ok(())
    }
}

/// The pace of a day: some minutes between two documents, but the shift stays within a day.
pub(crate) fn pace(receipts: u32, days: u32) -> Pace {
    Pace::new(documents_of_day(receipts, days), MOST_STEP_S)
}

/// Most documents of one day: the classic four besides the receipts in a life of one day, more in longer ones.
fn documents_of_day(receipts: u32, days: u32) -> u64 {
    u64::from(receipts) + if days > 1 { u64::from(MOST_BESIDES) } else { 4 }
}

/// Till seconds from the first document of a life to the latest moment of its last one.
pub(crate) fn length_s(receipts: u32, days: u32) -> u32 {
    let day = pace(receipts, days).length_s(documents_of_day(receipts, days));
    days.saturating_sub(1).saturating_mul(DAY_S).saturating_add(day)
}

/// A generator for what is drawn about a life, apart from the register's own.
fn rng_of(settings: &LifeSettings) -> Rng {
    const LIFE_SALT: u64 = 0x11FE;
    Rng::split(settings.seed, LIFE_SALT)
}

#[cfg(test)]
mod tests;
