//! Totals of a shift (1194), of the whole ФН (1157) and of what waits for the operator (1158): FFD 1.1 and 1.2.
//!
//! The counters know the rates 20, 10, 20/120, 10/110, 0 % and "without VAT"; no public text gives counters
//! for newer rates, so taxes of 5, 7 and 22 % enter the sums of receipts but no VAT counter.

use super::basket::{Basket, Payments};
use super::fields::Fields;
use super::vat::{VatRate, VatTotals};

/// Kind of settlement, tag 1054.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Settlement {
    /// Приход.
    Sale = 1,
    /// Возврат прихода.
    SaleRefund = 2,
    /// Расход.
    Payout = 3,
    /// Возврат расхода.
    PayoutRefund = 4,
}

impl Settlement {
    /// All of them, by their code.
    pub(crate) const ALL: [Self; 4] = [Self::Sale, Self::SaleRefund, Self::Payout, Self::PayoutRefund];

    /// Value of tag 1054.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    fn place(self) -> usize {
        usize::from(self.code()) - 1
    }
}

/// Sums of one kind of settlement: the members of 1129 to 1132, 1145, 1146, 1232, 1233.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Tag 1135.
    pub(crate) count: u32,
    /// Tags 1136, 1138, 1218, 1219, 1220, together 1201.
    pub(crate) payments: Payments,
    /// Tags 1139 to 1143 and 1183.
    vat: [u64; 6],
}

/// Tags and rates of [`Block::vat`].
const VAT_COUNTERS: [(u16, VatRate); 6] = [
    (1139, VatRate::Twenty),
    (1140, VatRate::Ten),
    (1141, VatRate::OfTwenty),
    (1142, VatRate::OfTen),
    (1143, VatRate::Zero),
    (1183, VatRate::None),
];

impl Block {
    fn add(&mut self, payments: &Payments, vat: &VatTotals) {
        self.count += 1;
        let sum = &mut self.payments;
        sum.cash += payments.cash;
        sum.cashless += payments.cashless;
        sum.prepaid += payments.prepaid;
        sum.credit += payments.credit;
        sum.counter += payments.counter;
        for (total, (_, rate)) in self.vat.iter_mut().zip(VAT_COUNTERS) {
            *total += vat.amount(rate);
        }
    }

    /// A block without settlements is its count alone, as the order allows.
    fn write(&self, with_vat: bool, into: &mut Fields) {
        into.u32(1135, self.count);
        if self.count == 0 {
            return;
        }
        let Payments { cash, cashless, prepaid, credit, counter } = self.payments;
        into.vln(1136, cash).vln(1138, cashless).vln(1218, prepaid).vln(1219, credit).vln(1220, counter);
        into.vln(1201, self.payments.total());
        if with_vat {
            for (total, (tag, _)) in self.vat.into_iter().zip(VAT_COUNTERS) {
                into.vln(tag, total);
            }
        }
    }
}

/// One block for each kind of settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks([Block; 4]);

impl Blocks {
    /// Takes in one settlement.
    pub(crate) fn add(&mut self, settlement: Settlement, payments: &Payments, vat: &VatTotals) {
        if let Some(block) = self.0.get_mut(settlement.place()) {
            block.add(payments, vat);
        }
    }

    /// The block of a kind of settlement.
    #[must_use]
    pub(crate) fn of(&self, settlement: Settlement) -> Block {
        self.0.get(settlement.place()).copied().unwrap_or_default()
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|block| block.count).sum()
    }

    /// Writes the members of 1133 or 1158.
    pub(crate) fn write(&self, into: &mut Fields) {
        into.u32(1144, self.count());
        if self.count() == 0 {
            return;
        }
        for (tag, settlement) in [1145, 1232, 1146, 1233].into_iter().zip(Settlement::ALL) {
            into.group(tag, |block| self.of(settlement).write(false, block));
        }
    }
}

/// Totals of a shift or of an ФН.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Receipts, 1129 to 1132.
    pub(crate) receipts: Blocks,
    /// Corrections, in 1133.
    pub(crate) corrections: Blocks,
}

impl Totals {
    /// Takes in a receipt.
    pub(crate) fn add_receipt(&mut self, settlement: Settlement, basket: &Basket) {
        self.receipts.add(settlement, &basket.payments, &basket.vat());
    }

    /// Takes in a correction.
    pub(crate) fn add_correction(&mut self, settlement: Settlement, basket: &Basket) {
        self.corrections.add(settlement, &basket.payments, &basket.vat());
    }

    /// Number of receipts and corrections, tags 1134 and 1118.
    #[must_use]
    pub(crate) fn count(&self) -> u32 {
        self.receipts.count() + self.corrections.count()
    }

    /// Writes the members of 1157 or 1194.
    pub(crate) fn write(&self, into: &mut Fields) {
        into.u32(1134, self.count());
        for (tag, settlement) in (1129..).zip(Settlement::ALL) {
            into.group(tag, |block| self.receipts.of(settlement).write(true, block));
        }
        into.group(1133, |corrections| self.corrections.write(corrections));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kkt::goods::{Item, Method};

    fn basket(cash: u64, cashless: u64) -> Basket {
        Basket {
            items: vec![Item::single("Товар", 1, cash + cashless, VatRate::Ten, Method::Full)],
            payments: Payments { cash, cashless, ..Payments::default() },
            ..Basket::default()
        }
    }

    #[test]
    fn totals_follow_receipts() {
        let mut totals = Totals::default();
        totals.add_receipt(Settlement::Sale, &basket(110, 0));
        totals.add_receipt(Settlement::Sale, &basket(0, 110));
        totals.add_receipt(Settlement::SaleRefund, &basket(11, 0));
        totals.add_correction(Settlement::PayoutRefund, &basket(0, 5));
        assert_eq!((totals.count(), totals.corrections.count()), (4, 1));
        let sales = totals.receipts.of(Settlement::Sale);
        assert_eq!((sales.count, sales.payments.total(), sales.vat), (2, 220, [0, 20, 0, 0, 0, 0]));
        assert_eq!(totals.receipts.of(Settlement::SaleRefund).payments.total(), 11);
        assert_eq!(totals.corrections.of(Settlement::PayoutRefund).payments.total(), 5);
        assert_eq!(totals.receipts.of(Settlement::Payout), Block::default());
    }
}
