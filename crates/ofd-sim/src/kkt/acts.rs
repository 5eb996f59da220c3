//! What a register can be asked to do: one document each.

use std::ops::RangeInclusive;

use ffd::{FfdVersion, FnNumber, FormCode};

use super::basket::{Basket, Counter};
use super::correction::{self, Demand};
use super::counters::{Settlement, Totals};
use super::registration::{self, Cause};
use super::{FnLife, Kkt, KktError, closing, marking, receipt, shift, state_report};
use crate::keys::SimKeys;
use crate::storage::Outgoing;

impl Kkt {
    /// Makes the registration report (form 1).
    ///
    /// # Errors
    /// [`KktError`]; only the first document of a storage can be one.
    pub(crate) fn register(&mut self) -> Result<&Outgoing, KktError> {
        if self.registered {
            return Err(KktError::OutOfOrder("the register is registered already"));
        }
        let fields = registration::report(self, None)?;
        self.registered = true;
        self.activated = self.clock;
        self.store(FormCode::REGISTRATION, fields)
    }

    /// Changes what `cause` says and reports it (form 11). A new ФН has [`Self::replace_fn`].
    ///
    /// # Errors
    /// [`KktError`]; the register must be registered and the shift closed.
    pub(crate) fn change(&mut self, cause: Cause) -> Result<&Outgoing, KktError> {
        if !self.registered || self.shift_open || self.closed {
            return Err(KktError::OutOfOrder("a change is reported between shifts"));
        }
        match cause {
            Cause::UserName => {
                self.shop.user_name.push_str(" (филиал)");
            }
            Cause::Address => self.shop.move_away(&mut self.rng, self.zone_h),
            Cause::Model => self.shop.model_version = self.shop.model_version.saturating_add(1),
            // A patent beside the system the shop has.
            Cause::Taxation => self.shop.taxation |= 0x20,
            Cause::Automat => self.shop.automat = self.shop.automat.map(|number| number + 1),
            Cause::Operator | Cause::Other => {}
            Cause::NewFn | Cause::NewFnAndVersion => {
                return Err(KktError::OutOfOrder("a new ФН has a way of its own"));
            }
        }
        let fields = registration::report(self, Some(cause))?;
        self.store(FormCode::REGISTRATION_CHANGE, fields)
    }

    /// Opens a shift (form 2).
    ///
    /// # Errors
    /// [`KktError`]; the register must be registered and the shift closed.
    pub(crate) fn open_shift(&mut self) -> Result<&Outgoing, KktError> {
        if !self.registered || self.shift_open || self.closed {
            return Err(KktError::OutOfOrder("a shift opens after the registration, once"));
        }
        self.shift += 1;
        self.shift_open = true;
        self.receipt_in_shift = 0;
        self.documents_in_shift = 1;
        self.shift_totals = Totals::default();
        let fields = shift::open(self)?;
        self.storage.forget_notices();
        self.store(FormCode::SHIFT_OPEN, fields)
    }

    /// Sells something (form 3 or 4), at most `most_items` lines unless the receipt is a long one.
    ///
    /// # Errors
    /// [`KktError`]; the shift must be open.
    pub(crate) fn sell(&mut self, most_items: u64) -> Result<&Outgoing, KktError> {
        self.sell_lines(1..=most_items)
    }

    /// Sells a number of lines within these bounds.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn sell_lines(&mut self, lines: RangeInclusive<u64>) -> Result<&Outgoing, KktError> {
        let (basket, simple) = self.counter.sale(&mut self.rng, &self.shop, self.clock, lines);
        self.last_sale = simple.then(|| basket.clone());
        self.receipt(Settlement::Sale, &basket)
    }

    /// Takes back the last sale (sale refund); sells when there is none to take back.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn refund(&mut self) -> Result<&Outgoing, KktError> {
        match self.last_sale.take() {
            Some(basket) => self.receipt(Settlement::SaleRefund, &basket),
            None => self.sell(2),
        }
    }

    /// Pays for something (payout).
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn pay_out(&mut self) -> Result<&Outgoing, KktError> {
        let basket = Counter::payout(&mut self.rng, &self.shop);
        self.last_payout = Some(basket.clone());
        self.receipt(Settlement::Payout, &basket)
    }

    /// Gets the last payout back (payout refund); pays out when there was none.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn refund_payout(&mut self) -> Result<&Outgoing, KktError> {
        match self.last_payout.take() {
            Some(basket) => self.receipt(Settlement::PayoutRefund, &basket),
            None => self.pay_out(),
        }
    }

    /// Corrects a settlement made without the register the day before (form 31 or 41), one time of three by
    /// an order of the tax authority.
    ///
    /// # Errors
    /// As [`Self::sell`].
    pub(crate) fn correct(&mut self) -> Result<&Outgoing, KktError> {
        let kinds = correction::settlements(self.ffd);
        let settlement = self.rng.pick(kinds).copied().unwrap_or(Settlement::Sale);
        let number = u32::try_from(self.rng.range(1, 9_999)).unwrap_or(1);
        let demand = if number.is_multiple_of(3) { Demand::Order(number) } else { Demand::Own };
        let basket = match settlement {
            Settlement::Sale | Settlement::SaleRefund => {
                Counter::default().sale(&mut self.rng, &self.shop, self.clock, 1..=1).0
            }
            Settlement::Payout | Settlement::PayoutRefund => Counter::payout(&mut self.rng, &self.shop),
        };
        self.next_receipt()?;
        self.shift_totals.add_correction(settlement, &basket);
        self.fn_totals.add_correction(settlement, &basket);
        let fields = correction::correction(self, settlement, demand, &basket)?;
        let form = match self.form_of_receipt() {
            FormCode::BSO => FormCode::BSO_CORRECTION,
            _ => FormCode::RECEIPT_CORRECTION,
        };
        self.store(form, fields)
    }

    /// Reports the state of settlements (form 21), in a shift or between two.
    ///
    /// # Errors
    /// [`KktError`]; the register must be registered.
    pub(crate) fn report_state(&mut self) -> Result<&Outgoing, KktError> {
        if !self.registered || self.closed {
            return Err(KktError::OutOfOrder("only a registered register has a state"));
        }
        self.documents_in_shift += u32::from(self.shift_open);
        let fields = state_report::report(self)?;
        self.store(FormCode::STATE_REPORT, fields)
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
        let fields = shift::close(self)?;
        self.storage.forget_notices();
        self.shift_open = false;
        self.store(FormCode::SHIFT_CLOSE, fields)
    }

    /// Closes the storage for ever (form 6).
    ///
    /// # Errors
    /// [`KktError`]; between shifts, and only when every document is acknowledged.
    pub(crate) fn close_fn(&mut self) -> Result<&Outgoing, KktError> {
        if !self.registered || self.shift_open || self.closed {
            return Err(KktError::OutOfOrder("a ФН is closed between shifts, once"));
        }
        if self.storage.waiting() > 0 {
            return Err(KktError::OutOfOrder("a ФН is closed when everything is acknowledged"));
        }
        let fields = closing::report(self)?;
        self.closed = true;
        self.store(FormCode::FN_CLOSE, fields)
    }

    /// Puts a new storage into the register and reports it (form 11), with a change to the version `ffd` if
    /// that is another one. The register keeps its registration number.
    ///
    /// # Errors
    /// [`KktError`]; the old storage must be closed and everything acknowledged.
    pub(crate) fn replace_fn(
        &mut self,
        number: FnNumber,
        ffd: FfdVersion,
        life: FnLife,
        keys: &SimKeys,
    ) -> Result<&Outgoing, KktError> {
        if !self.closed || self.storage.waiting() > 0 {
            return Err(KktError::OutOfOrder("a ФН is replaced when it is closed"));
        }
        let cause = if ffd == self.ffd { Cause::NewFn } else { Cause::NewFnAndVersion };
        self.storage = self.storage.successor(number, ffd, self.rng.next_u64(), keys)?;
        (self.ffd, self.fn_life, self.activated, self.closed) = (ffd, life, self.clock, false);
        (self.shift, self.fn_totals) = (0, Totals::default());
        let fields = registration::report(self, Some(cause))?;
        self.store(FormCode::REGISTRATION_CHANGE, fields)
    }

    fn receipt(&mut self, settlement: Settlement, basket: &Basket) -> Result<&Outgoing, KktError> {
        self.next_receipt()?;
        self.shift_totals.add_receipt(settlement, basket);
        self.fn_totals.add_receipt(settlement, basket);
        let form = self.form_of_receipt();
        if form == FormCode::RECEIPT {
            let total = i64::try_from(basket.total()).unwrap_or(i64::MAX);
            self.turnover += match settlement {
                Settlement::Sale => total,
                Settlement::SaleRefund => -total,
                Settlement::Payout | Settlement::PayoutRefund => 0,
            };
        }
        let fields = receipt::receipt(self, settlement, basket)?;
        marking::around(self, settlement, basket, self.storage.next_fd())?;
        self.store(form, fields)
    }

    fn next_receipt(&mut self) -> Result<(), KktError> {
        if !self.shift_open {
            return Err(KktError::OutOfOrder("a receipt needs an open shift"));
        }
        self.receipt_in_shift += 1;
        self.documents_in_shift += 1;
        Ok(())
    }
}
