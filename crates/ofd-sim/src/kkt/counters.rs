//! Totals of a shift (1194) and of the whole ФН (1157), FFD 1.2.
//!
//! The counters know the rates 20, 10, 20/120, 10/110, 0 % and "without VAT"; no public text gives counters
//! for newer rates, so the tax of 22 % enters the sums of receipts but no VAT counter.

use super::fields::Fields;
use super::goods::VatTotals;

/// Kind of settlement, tag 1054.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// 1, приход.
    Sale,
    /// 2, возврат прихода.
    SaleRefund,
}

impl Settlement {
    /// Value of tag 1054.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Sale => 1,
            Self::SaleRefund => 2,
        }
    }
}

/// The sums of one receipt that counters take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Tag 1031.
    pub(crate) cash: u64,
    /// Tag 1081.
    pub(crate) cashless: u64,
    /// VAT totals.
    pub(crate) vat: VatTotals,
}

/// Sums of one kind of settlement: the members of 1129..1132, 1145, 1232.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Tag 1135.
    pub(crate) count: u32,
    /// Tag 1136.
    pub(crate) cash: u64,
    /// Tag 1138.
    pub(crate) cashless: u64,
    /// Tag 1139.
    pub(crate) vat_twenty: u64,
    /// Tag 1140.
    pub(crate) vat_ten: u64,
    /// Tag 1183.
    pub(crate) without_vat: u64,
}

impl Block {
    fn add(&mut self, sums: &Sums) {
        self.count += 1;
        self.cash += sums.cash;
        self.cashless += sums.cashless;
        self.vat_twenty += sums.vat.twenty.unwrap_or(0);
        self.vat_ten += sums.vat.ten.unwrap_or(0);
        self.without_vat += sums.vat.without.unwrap_or(0);
    }

    /// Tag 1201.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.cash + self.cashless
    }

    /// A block without settlements is its count alone, as the order allows.
    fn write(&self, with_vat: bool, into: &mut Fields) {
        into.u32(1135, self.count);
        if self.count == 0 {
            return;
        }
        into.vln(1136, self.cash).vln(1138, self.cashless).vln(1218, 0).vln(1219, 0).vln(1220, 0);
        into.vln(1201, self.total());
        if with_vat {
            into.vln(1139, self.vat_twenty).vln(1140, self.vat_ten).vln(1141, 0).vln(1142, 0);
            into.vln(1143, 0).vln(1183, self.without_vat);
        }
    }
}

/// Totals of a shift or of an ФН.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Sale receipts, 1129.
    pub(crate) sales: Block,
    /// Sale refunds, 1130.
    pub(crate) refunds: Block,
    /// Corrections of sales, 1145 in 1133.
    pub(crate) correction_sales: Block,
    /// Corrections of sale refunds, 1232 in 1133.
    pub(crate) correction_refunds: Block,
}

impl Totals {
    /// Takes in a receipt.
    pub(crate) fn add_receipt(&mut self, settlement: Settlement, sums: &Sums) {
        match settlement {
            Settlement::Sale => self.sales.add(sums),
            Settlement::SaleRefund => self.refunds.add(sums),
        }
    }

    /// Takes in a correction.
    pub(crate) fn add_correction(&mut self, settlement: Settlement, sums: &Sums) {
        match settlement {
            Settlement::Sale => self.correction_sales.add(sums),
            Settlement::SaleRefund => self.correction_refunds.add(sums),
        }
    }

    /// Number of corrections, tag 1144.
    #[must_use]
    pub(crate) fn corrections(&self) -> u32 {
        self.correction_sales.count + self.correction_refunds.count
    }

    /// Number of receipts and corrections, tags 1134 and 1118.
    #[must_use]
    pub(crate) fn receipts(&self) -> u32 {
        self.sales.count + self.refunds.count + self.corrections()
    }

    /// Writes the members of 1157 or 1194.
    pub(crate) fn write(&self, into: &mut Fields) {
        into.u32(1134, self.receipts());
        into.group(1129, |block| self.sales.write(true, block));
        into.group(1130, |block| self.refunds.write(true, block));
        into.group(1131, |block| Block::default().write(true, block));
        into.group(1132, |block| Block::default().write(true, block));
        into.group(1133, |corrections| {
            corrections.u32(1144, self.corrections());
            if self.corrections() > 0 {
                corrections.group(1145, |block| self.correction_sales.write(false, block));
                corrections.group(1146, |block| Block::default().write(false, block));
                corrections.group(1232, |block| self.correction_refunds.write(false, block));
                corrections.group(1233, |block| Block::default().write(false, block));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_follow_receipts() {
        let sums = |cash, cashless| Sums {
            cash,
            cashless,
            vat: VatTotals { ten: Some(cash / 11), ..VatTotals::default() },
        };
        let mut totals = Totals::default();
        totals.add_receipt(Settlement::Sale, &sums(110, 0));
        totals.add_receipt(Settlement::Sale, &sums(0, 90));
        totals.add_receipt(Settlement::SaleRefund, &sums(10, 0));
        totals.add_correction(Settlement::Sale, &sums(0, 5));
        assert_eq!(totals.receipts(), 4);
        assert_eq!(totals.corrections(), 1);
        assert_eq!(totals.sales.total(), 200);
        assert_eq!(totals.sales.vat_ten, 10);
        assert_eq!(totals.refunds.total(), 10);
        assert_eq!(totals.correction_sales.total(), 5);
    }
}
