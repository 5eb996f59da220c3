//! A simulated register (ККТ): makes the documents of its day, with counters that add up.
//!
//! FFD 1.05 and 1.2, forms 1, 2, 3, 31 and 5 with every mandatory tag. The same settings make the same bytes.
//! Its fiscal storage numbers and signs them; sending is [`crate::link`]'s work. What it leaves out: agents,
//! marked goods, printing.

mod counters;
mod documents;
mod fields;
mod goods;
mod shop;

use std::fmt;

use ffd::{FfdVersion, FnNumber, FormCode, Inn};
use kkt_proto::header::PVersion;

pub use counters::{Block, Settlement, Sums, Totals};
pub use fields::{FieldError, Fields};
pub use goods::{Basket, Item, VatRate, VatTotals};
pub use shop::{Shop, Trade};

use crate::keys::SimKeys;
use crate::rng::Rng;
use crate::storage::{FiscalStorage, Outgoing, Reread, StorageError, StorageSettings};

/// Till time of 2026-01-01 00:00, when the general rate of VAT became 22 %.
const RATE_22_SINCE: u32 = 1_767_225_600;

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
pub struct KktSettings {
    /// Number of its storage.
    pub fn_number: FnNumber,
    /// FFD 1.05 or 1.2.
    pub ffd: FfdVersion,
    /// Bodies are encrypted.
    pub encrypted: bool,
    /// Behaviour of the storage on a second reading.
    pub reread: Reread,
    /// Seed of shop, goods and vectors.
    pub seed: u64,
    /// Ordinal of the registration number (tag 1037), at most 10 digits.
    pub ordinal: u64,
    /// Till time of the first document.
    pub clock: u32,
    /// Till seconds between two documents, at most.
    pub step_s: u32,
    /// The operator it is connected to.
    pub operator: OperatorCard,
}

/// A document that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KktError {
    /// A field cannot be written.
    Field(FieldError),
    /// The storage refuses.
    Storage(StorageError),
    /// Only FFD 1.05 and 1.2 are made.
    Version(FfdVersion),
    /// No registration number has this ordinal.
    Ordinal(u64),
    /// Against the order of a day: a receipt needs an open shift, and so on.
    OutOfOrder(&'static str),
}

impl fmt::Display for KktError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(error) => write!(out, "{error}"),
            Self::Storage(error) => write!(out, "{error}"),
            Self::Version(version) => write!(out, "registers of FFD {version:?} are not simulated"),
            Self::Ordinal(ordinal) => write!(out, "{ordinal} is no ordinal of a registration number"),
            Self::OutOfOrder(what) => out.write_str(what),
        }
    }
}

impl std::error::Error for KktError {}

impl From<FieldError> for KktError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<StorageError> for KktError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// The register.
#[derive(Debug)]
pub struct Kkt {
    ffd: FfdVersion,
    step_s: u32,
    operator: OperatorCard,
    storage: FiscalStorage,
    shop: Shop,
    rng: Rng,
    clock: u32,
    registered: bool,
    shift_open: bool,
    shift: u32,
    receipt_in_shift: u32,
    documents_in_shift: u32,
    shift_totals: Totals,
    fn_totals: Totals,
    last_sale: Option<Basket>,
}

impl Kkt {
    /// A register that has made no document yet.
    ///
    /// # Errors
    /// [`KktError::Version`], [`KktError::Ordinal`] or the storage's error.
    pub fn new(settings: &KktSettings, keys: &SimKeys) -> Result<Self, KktError> {
        if !matches!(settings.ffd, FfdVersion::V1_05 | FfdVersion::V1_2) {
            return Err(KktError::Version(settings.ffd));
        }
        let mut rng = Rng::new(settings.seed);
        let shop = Shop::invent(&mut rng, settings.ordinal).ok_or(KktError::Ordinal(settings.ordinal))?;
        let storage = StorageSettings {
            number: settings.fn_number,
            encrypted: settings.encrypted,
            reread: settings.reread,
            seed: rng.next_u64(),
        };
        Ok(Self {
            ffd: settings.ffd,
            step_s: settings.step_s.max(1),
            operator: settings.operator.clone(),
            storage: FiscalStorage::new(storage, keys)?,
            shop,
            rng,
            clock: settings.clock,
            registered: false,
            shift_open: false,
            shift: 0,
            receipt_in_shift: 0,
            documents_in_shift: 0,
            shift_totals: Totals::default(),
            fn_totals: Totals::default(),
            last_sale: None,
        })
    }

    /// Its storage.
    #[must_use]
    pub fn storage(&self) -> &FiscalStorage {
        &self.storage
    }

    /// Its storage, to take acknowledgements.
    pub fn storage_mut(&mut self) -> &mut FiscalStorage {
        &mut self.storage
    }

    /// The storage alone, when the register has done its work.
    #[must_use]
    pub fn into_storage(self) -> FiscalStorage {
        self.storage
    }

    /// P-version of its session headers.
    #[must_use]
    pub fn p_version(&self) -> PVersion {
        PVersion::for_ffd(self.ffd)
    }

    /// The invented user.
    #[must_use]
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Totals of the whole ФН.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.fn_totals
    }

    /// Makes the registration report (form 1).
    ///
    /// # Errors
    /// [`KktError`]; only the first document of a storage can be one.
    pub fn register(&mut self) -> Result<&Outgoing, KktError> {
        if self.registered {
            return Err(KktError::OutOfOrder("the register is registered already"));
        }
        let fields = documents::registration(self)?;
        self.registered = true;
        self.store(FormCode::REGISTRATION, &fields)
    }

    /// Opens a shift (form 2).
    ///
    /// # Errors
    /// [`KktError`]; the register must be registered and the shift closed.
    pub fn open_shift(&mut self) -> Result<&Outgoing, KktError> {
        if !self.registered || self.shift_open {
            return Err(KktError::OutOfOrder("a shift opens after the registration, once"));
        }
        self.shift += 1;
        self.shift_open = true;
        self.receipt_in_shift = 0;
        self.documents_in_shift = 1;
        self.shift_totals = Totals::default();
        let fields = documents::shift_open(self)?;
        self.store(FormCode::SHIFT_OPEN, &fields)
    }

    /// Sells something (form 3), at most `most_items` lines.
    ///
    /// # Errors
    /// [`KktError`]; the shift must be open.
    pub fn sell(&mut self, most_items: u64) -> Result<&Outgoing, KktError> {
        let general = self.general_rate();
        let basket = Basket::invent(&mut self.rng, self.shop.trade, general, most_items);
        self.last_sale = Some(basket.clone());
        self.receipt(Settlement::Sale, &basket)
    }

    /// Takes back the last sale (form 3, sale refund); sells when there was none.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub fn refund(&mut self) -> Result<&Outgoing, KktError> {
        match self.last_sale.take() {
            Some(basket) => self.receipt(Settlement::SaleRefund, &basket),
            None => self.sell(2),
        }
    }

    /// Corrects a settlement made without the register the day before (form 31).
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub fn correct(&mut self) -> Result<&Outgoing, KktError> {
        let general = self.general_rate();
        let basket = Basket::invent(&mut self.rng, self.shop.trade, general, 1);
        self.next_receipt()?;
        let sums = sums_of(&basket);
        self.shift_totals.add_correction(Settlement::Sale, &sums);
        self.fn_totals.add_correction(Settlement::Sale, &sums);
        let fields = documents::correction(self, &basket)?;
        self.store(FormCode::RECEIPT_CORRECTION, &fields)
    }

    /// Closes the shift (form 5).
    ///
    /// # Errors
    /// [`KktError`]; the shift must be open.
    pub fn close_shift(&mut self) -> Result<&Outgoing, KktError> {
        if !self.shift_open {
            return Err(KktError::OutOfOrder("no shift is open"));
        }
        self.documents_in_shift += 1;
        let fields = documents::shift_close(self)?;
        self.shift_open = false;
        self.store(FormCode::SHIFT_CLOSE, &fields)
    }

    fn receipt(&mut self, settlement: Settlement, basket: &Basket) -> Result<&Outgoing, KktError> {
        self.next_receipt()?;
        let sums = sums_of(basket);
        self.shift_totals.add_receipt(settlement, &sums);
        self.fn_totals.add_receipt(settlement, &sums);
        let fields = documents::receipt(self, settlement, basket)?;
        self.store(FormCode::RECEIPT, &fields)
    }

    fn next_receipt(&mut self) -> Result<(), KktError> {
        if !self.shift_open {
            return Err(KktError::OutOfOrder("a receipt needs an open shift"));
        }
        self.receipt_in_shift += 1;
        self.documents_in_shift += 1;
        Ok(())
    }

    /// Hands the fields to the storage and lets some till time pass.
    fn store(&mut self, form: FormCode, fields: &[u8]) -> Result<&Outgoing, KktError> {
        let pause = self.rng.range(1, u64::from(self.step_s));
        self.clock = self.clock.saturating_add(u32::try_from(pause).unwrap_or(1));
        Ok(self.storage.make(form.0, fields)?)
    }

    fn general_rate(&self) -> VatRate {
        if self.clock >= RATE_22_SINCE { VatRate::TwentyTwo } else { VatRate::Twenty }
    }
}

fn sums_of(basket: &Basket) -> Sums {
    Sums { cash: basket.cash, cashless: basket.cashless, vat: basket.vat() }
}

#[cfg(test)]
mod tests;
