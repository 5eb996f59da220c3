//! A simulated register (ККТ): makes the documents of its life, with counters that add up.
//!
//! FFD 1.05, 1.1 and 1.2, all forms of the operator's port with every mandatory tag, and the marking documents
//! as data. The same settings make the same bytes. Its fiscal storage numbers and signs them; sending is
//! [`crate::link`]'s work, and what happens on which day is `life`'s. What it leaves out: printing,
//! the autonomous mode (such a register sends nothing).

mod acts;
mod agents;
mod basket;
mod buyer;
mod closing;
mod correction;
mod counters;
mod fields;
mod goods;
mod item;
mod marking;
mod pace;
mod receipt;
mod registration;
mod settings;
mod shift;
mod shop;
mod state_report;
mod tamper;
mod vat;

use std::sync::Arc;

use ffd::{FfdVersion, FnNumber, FormCode};
use kkt_proto::header::PVersion;

use basket::{Basket, Counter};
use counters::{Settlement, Totals};

pub(crate) use basket::Variety;
pub(crate) use fields::{FieldError, Fields};
pub use marking::{MarkingMessage, marking_messages};
pub(crate) use pace::Pace;
pub(crate) use registration::Cause;
pub use settings::OperatorCard;
pub(crate) use settings::{Character, FnLife, KktSettings};
pub(crate) use shop::Shop;
use tamper::Spoiling;
pub(crate) use tamper::{Draft, Place, Tamper};

use crate::keys::SimKeys;
use crate::rng::Rng;
use crate::storage::{FiscalStorage, Outgoing, StorageError, StorageSettings};
use crate::trade::Trade;

/// Tag 1060.
const TAX_SITE: &str = "www.nalog.gov.ru";
const DAY_S: u32 = 86_400;
/// Sets the draws of [`Tamper`] apart from the other draws of a seed.
const TAMPER_SALT: u64 = 0x0FA1;

/// A document that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KktError {
    /// A field cannot be written.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The storage refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// FFD 1.0 is not made.
    #[error("registers of FFD {} are not simulated", .0.as_str())]
    Version(FfdVersion),
    /// No registration number can be computed.
    #[error("no registration number for the ordinal {0}")]
    Ordinal(u64),
    /// Against the order of a day: a receipt needs an open shift, and so on.
    #[error("{0}")]
    OutOfOrder(&'static str),
}

/// The register.
#[derive(Debug)]
pub(crate) struct Kkt {
    ffd: FfdVersion,
    pace: Pace,
    operator: OperatorCard,
    storage: FiscalStorage,
    shop: Shop,
    counter: Counter,
    rng: Rng,
    zone_h: u8,
    spoiling: Option<Spoiling>,
    /// Seed of the draws of [`Tamper`].
    tamper_seed: u64,
    marking: marking::Desk,
    clock: u32,
    fn_life: FnLife,
    started: u32,
    /// Till time of the storage's first document.
    activated: u32,
    registered: bool,
    closed: bool,
    shift_open: bool,
    shift: u32,
    receipt_in_shift: u32,
    documents_in_shift: u32,
    shift_totals: Totals,
    fn_totals: Totals,
    last_sale: Option<Basket>,
    last_payout: Option<Basket>,
    turnover: i64,
}

impl Kkt {
    /// A plain register that has made no document yet.
    ///
    /// # Errors
    /// [`KktError::Version`], [`KktError::Ordinal`] or the storage's error.
    pub(crate) fn new(settings: &KktSettings, keys: &SimKeys) -> Result<Self, KktError> {
        Self::with_character(settings, Character::default(), keys)
    }

    /// A register that has made no document yet.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with_character(
        settings: &KktSettings,
        character: Character,
        keys: &SimKeys,
    ) -> Result<Self, KktError> {
        const SIMPLE: [Trade; 4] = [Trade::Grocery, Trade::Hardware, Trade::Coffee, Trade::Repairs];
        if settings.ffd == FfdVersion::V1_0 {
            return Err(KktError::Version(settings.ffd));
        }
        let mut rng = Rng::new(settings.seed);
        let ordinal = ordinal_of(settings.fn_number);
        let drawn = rng.pick(&SIMPLE).copied().unwrap_or(Trade::Grocery);
        let trade = character.trade.unwrap_or(drawn);
        let shop = Shop::invent(&mut rng, trade, character.zone_h, ordinal);
        let storage = StorageSettings {
            number: settings.fn_number,
            ffd: Some(settings.ffd),
            encrypted: settings.encrypted,
            reread: settings.reread,
            seed: rng.next_u64(),
        };
        let mut kkt = Self {
            ffd: settings.ffd,
            pace: settings.pace,
            operator: settings.operator.clone(),
            storage: FiscalStorage::new(storage, keys)?,
            shop: shop.ok_or(KktError::Ordinal(ordinal))?,
            counter: Counter::new(character.variety),
            rng,
            zone_h: character.zone_h,
            spoiling: None,
            tamper_seed: settings.seed,
            marking: marking::Desk::new(character.keeps_marking),
            clock: settings.clock,
            fn_life: character.fn_life,
            started: settings.clock,
            activated: settings.clock,
            registered: false,
            closed: false,
            shift_open: false,
            shift: 0,
            receipt_in_shift: 0,
            documents_in_shift: 0,
            shift_totals: Totals::default(),
            fn_totals: Totals::default(),
            last_sale: None,
            last_payout: None,
            turnover: 0,
        };
        if let Some(tamper) = character.tamper {
            kkt.be_spoiled(tamper);
        }
        Ok(kkt)
    }

    /// Lets every document from now on be spoiled.
    pub(crate) fn be_spoiled(&mut self, by: Arc<dyn Tamper>) {
        self.spoiling = Some(Spoiling::new(by, Rng::split(self.tamper_seed, TAMPER_SALT)));
    }

    /// Its storage.
    #[must_use]
    pub(crate) fn storage(&self) -> &FiscalStorage {
        &self.storage
    }

    /// Its storage, to take acknowledgements.
    pub(crate) fn storage_mut(&mut self) -> &mut FiscalStorage {
        &mut self.storage
    }

    /// The storage alone, when the register has done its work.
    #[must_use]
    pub(crate) fn into_storage(self) -> FiscalStorage {
        self.storage
    }

    /// P-version of its session headers.
    #[must_use]
    pub(crate) fn p_version(&self) -> PVersion {
        PVersion::for_ffd(self.ffd)
    }

    /// The invented user.
    pub(crate) fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Sales less their refunds over all receipts of form 3 and all its storages, kopecks.
    #[must_use]
    pub(crate) fn turnover(&self) -> i64 {
        self.turnover
    }

    /// What the till shows.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn clock(&self) -> u32 {
        self.clock
    }

    /// What the till showed when it was made.
    #[must_use]
    pub(crate) fn started(&self) -> u32 {
        self.started
    }

    /// Lets the till's clock run to `clock`; it never runs back.
    pub(crate) fn wait_until(&mut self, clock: u32) {
        self.clock = self.clock.max(clock);
    }

    /// Whether the version has counters (1157, 1194, 1158) and flags of its own in the reports.
    fn counts(&self) -> bool {
        matches!(self.ffd, FfdVersion::V1_1 | FfdVersion::V1_2)
    }

    /// Tag 1213: days until the keys of the storage expire.
    fn key_resource_days(&self) -> u16 {
        let passed = self.clock.saturating_sub(self.activated) / DAY_S;
        self.fn_life.days.saturating_sub(u16::try_from(passed).unwrap_or(u16::MAX))
    }

    /// Tag 1188.
    fn model_version(&self) -> String {
        format!("{:03}", self.shop.model_version)
    }

    fn form_of_receipt(&self) -> FormCode {
        if self.shop.trade.strict_forms() { FormCode::BSO } else { FormCode::RECEIPT }
    }

    /// Hands the fields to the storage, past whoever spoils them, and lets some till time pass.
    fn store(&mut self, form: FormCode, fields: Vec<u8>) -> Result<&Outgoing, KktError> {
        if let Some(most) = self.pace.step_after(self.storage.next_fd()) {
            let pause = self.rng.range(1, u64::from(most));
            self.clock = self.clock.saturating_add(u32::try_from(pause).unwrap_or(1));
        }
        let draft = self.spoiled(Draft::new(form, fields));
        Ok(self.storage.make_from(&draft)?)
    }

    /// The draft after whoever spoils it.
    fn spoiled(&mut self, mut draft: Draft) -> Draft {
        let place = Place { fn_number: self.storage.number(), fd: self.storage.next_fd() };
        if let Some(spoiling) = &mut self.spoiling {
            spoiling.spoil(&mut draft, &place);
        }
        draft
    }
}

/// Ordinal of the registration number, 1 to 10 digits: the last digits of the ФН number, so that registers of
/// different runs differ in it.
fn ordinal_of(fn_number: FnNumber) -> u64 {
    const ORDINALS: u64 = 10_000_000_000;
    fn_number.as_str().parse::<u64>().map_or(0, |number| number % ORDINALS)
}

#[cfg(test)]
mod tests;
