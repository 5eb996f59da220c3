//! A simulated register (ККТ): makes the documents of its day, with counters that add up.
//!
//! FFD 1.05 and 1.2, forms 1, 2, 3, 31 and 5 with every mandatory tag. The same settings make the same bytes.
//! Its fiscal storage numbers and signs them; sending is [`crate::link`]'s work. What it leaves out: agents,
//! marked goods, printing.

mod counters;
mod documents;
mod fields;
mod goods;
mod pace;
mod shop;

use ffd::{FfdVersion, FnNumber, FormCode, Inn};
use kkt_proto::header::PVersion;

pub(crate) use counters::{Settlement, Sums, Totals};
pub(crate) use fields::{FieldError, Fields};
pub(crate) use goods::{Basket, VatRate};
pub(crate) use pace::Pace;
pub(crate) use shop::Shop;

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
pub(crate) struct KktSettings {
    /// Number of its storage.
    pub(crate) fn_number: FnNumber,
    /// FFD 1.05 or 1.2.
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

/// A document that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KktError {
    /// A field cannot be written.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The storage refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Only FFD 1.05 and 1.2 are made.
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
    pub(crate) fn new(settings: &KktSettings, keys: &SimKeys) -> Result<Self, KktError> {
        if !matches!(settings.ffd, FfdVersion::V1_05 | FfdVersion::V1_2) {
            return Err(KktError::Version(settings.ffd));
        }
        let mut rng = Rng::new(settings.seed);
        let ordinal = ordinal_of(settings.fn_number);
        let shop = Shop::invent(&mut rng, ordinal).ok_or(KktError::Ordinal(ordinal))?;
        let storage = StorageSettings {
            number: settings.fn_number,
            encrypted: settings.encrypted,
            reread: settings.reread,
            seed: rng.next_u64(),
        };
        Ok(Self {
            ffd: settings.ffd,
            pace: settings.pace,
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
    #[cfg(test)]
    pub(crate) fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Totals of the whole ФН.
    #[must_use]
    pub(crate) fn totals(&self) -> &Totals {
        &self.fn_totals
    }

    /// Makes the registration report (form 1).
    ///
    /// # Errors
    /// [`KktError`]; only the first document of a storage can be one.
    pub(crate) fn register(&mut self) -> Result<&Outgoing, KktError> {
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
    pub(crate) fn open_shift(&mut self) -> Result<&Outgoing, KktError> {
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
    pub(crate) fn sell(&mut self, most_items: u64) -> Result<&Outgoing, KktError> {
        let general = self.general_rate();
        let basket = Basket::invent(&mut self.rng, self.shop.trade, general, most_items);
        self.last_sale = Some(basket.clone());
        self.receipt(Settlement::Sale, &basket)
    }

    /// Takes back the last sale (form 3, sale refund); sells when there was none.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn refund(&mut self) -> Result<&Outgoing, KktError> {
        match self.last_sale.take() {
            Some(basket) => self.receipt(Settlement::SaleRefund, &basket),
            None => self.sell(2),
        }
    }

    /// Corrects a settlement made without the register the day before (form 31).
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn correct(&mut self) -> Result<&Outgoing, KktError> {
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
    pub(crate) fn close_shift(&mut self) -> Result<&Outgoing, KktError> {
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
        if let Some(most) = self.pace.step_after(self.storage.next_fd()) {
            let pause = self.rng.range(1, u64::from(most));
            self.clock = self.clock.saturating_add(u32::try_from(pause).unwrap_or(1));
        }
        Ok(self.storage.make(form.0, fields)?)
    }

    fn general_rate(&self) -> VatRate {
        if self.clock >= RATE_22_SINCE { VatRate::TwentyTwo } else { VatRate::Twenty }
    }
}

/// Ordinal of the registration number, 1 to 10 digits: the last digits of the ФН number, so that registers of
/// different runs differ in it.
fn ordinal_of(fn_number: FnNumber) -> u64 {
    const ORDINALS: u64 = 10_000_000_000;
    fn_number.as_str().parse::<u64>().map_or(0, |number| number % ORDINALS)
}

fn sums_of(basket: &Basket) -> Sums {
    Sums { cash: basket.cash, cashless: basket.cashless, vat: basket.vat() }
}

#[cfg(test)]
mod tests;
