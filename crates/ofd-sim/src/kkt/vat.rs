//! VAT of items and receipts: rates (tag 1199), their dates, totals by rate.
//!
//! Rates 1 to 6 have tags of their own (1102 to 1107); those of 2025 and 2026 (7 to 12) share the block 1115.

use super::fields::Fields;

/// Till time of 2025-01-01 00:00: payers of the simplified system begin with 5 and 7 %.
pub(crate) const SIMPLIFIED_RATES_SINCE: u32 = 1_735_689_600;
/// Till time of 2026-01-01 00:00: the general rate becomes 22 %.
pub(crate) const RATE_22_SINCE: u32 = 1_767_225_600;

/// Values of tag 1199.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum VatRate {
    /// 20 %, until 2026.
    Twenty = 1,
    /// 10 %: food, children's goods, medicines.
    Ten = 2,
    /// 20/120, of a prepayment.
    OfTwenty = 3,
    /// 10/110.
    OfTen = 4,
    /// 0 %: suburban trains.
    Zero = 5,
    /// Without VAT.
    None = 6,
    /// 5 %, since 2025.
    Five = 7,
    /// 7 %, since 2025.
    Seven = 8,
    /// 5/105.
    OfFive = 9,
    /// 7/107.
    OfSeven = 10,
    /// 22 %, since 2026.
    TwentyTwo = 11,
    /// 22/122.
    OfTwentyTwo = 12,
}

impl VatRate {
    /// All rates, by their code.
    pub(crate) const ALL: [Self; 12] = [
        Self::Twenty,
        Self::Ten,
        Self::OfTwenty,
        Self::OfTen,
        Self::Zero,
        Self::None,
        Self::Five,
        Self::Seven,
        Self::OfFive,
        Self::OfSeven,
        Self::TwentyTwo,
        Self::OfTwentyTwo,
    ];

    /// Value of tag 1199.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The rate of a prepayment for goods of this rate.
    #[must_use]
    pub(crate) fn of_prepayment(self) -> Self {
        match self {
            Self::Twenty => Self::OfTwenty,
            Self::Ten => Self::OfTen,
            Self::Five => Self::OfFive,
            Self::Seven => Self::OfSeven,
            Self::TwentyTwo => Self::OfTwentyTwo,
            other => other,
        }
    }

    /// The general rate at a moment of till time.
    #[must_use]
    pub(crate) fn general_at(clock: u32) -> Self {
        if clock >= RATE_22_SINCE { Self::TwentyTwo } else { Self::Twenty }
    }

    fn percent(self) -> u64 {
        match self {
            Self::Twenty | Self::OfTwenty => 20,
            Self::Ten | Self::OfTen => 10,
            Self::Zero | Self::None => 0,
            Self::Five | Self::OfFive => 5,
            Self::Seven | Self::OfSeven => 7,
            Self::TwentyTwo | Self::OfTwentyTwo => 22,
        }
    }

    /// The tax contained in `cost` kopecks, rounded half up to a kopeck.
    #[must_use]
    pub(crate) fn tax_in(self, cost: u64) -> u64 {
        rounded_share(cost, self.percent(), 100 + self.percent())
    }

    /// What the receipt adds up under this rate for an item of `cost`: the tax, or the turnover of a rate
    /// without tax.
    #[must_use]
    pub(crate) fn amount_of(self, cost: u64) -> u64 {
        if self.percent() == 0 { cost } else { self.tax_in(cost) }
    }

    /// The tag of the receipt's total; `None` for the rates of the block 1115.
    fn tag(self) -> Option<u16> {
        match self {
            Self::Twenty => Some(1102),
            Self::Ten => Some(1103),
            Self::Zero => Some(1104),
            Self::None => Some(1105),
            Self::OfTwenty => Some(1106),
            Self::OfTen => Some(1107),
            _ => None,
        }
    }
}

/// Totals of a receipt by rate; a rate without items is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VatTotals {
    /// By code of the rate, from 1.
    amounts: [Option<u64>; 12],
}

impl VatTotals {
    /// Adds an item of `cost` kopecks.
    pub(crate) fn add(&mut self, rate: VatRate, cost: u64) {
        if let Some(slot) = self.amounts.get_mut(usize::from(rate.code()) - 1) {
            *slot = Some(slot.unwrap_or(0) + rate.amount_of(cost));
        }
    }

    /// The total of a rate, 0 without items.
    #[must_use]
    pub(crate) fn amount(&self, rate: VatRate) -> u64 {
        self.amounts.get(usize::from(rate.code()) - 1).copied().flatten().unwrap_or(0)
    }

    /// Writes 1102 to 1107 and 1115.
    pub(crate) fn write(&self, into: &mut Fields) {
        let present = || {
            let all = VatRate::ALL.into_iter().zip(self.amounts);
            all.filter_map(|(rate, amount)| Some((rate, amount?)))
        };
        for (rate, amount) in present() {
            if let Some(tag) = rate.tag() {
                into.vln(tag, amount);
            }
        }
        if !present().any(|(rate, _)| rate.tag().is_none()) {
            return;
        }
        into.group(1115, |block| {
            for (rate, amount) in present().filter(|(rate, _)| rate.tag().is_none()) {
                block.group(1119, |one| {
                    one.byte(1199, rate.code()).vln(1120, amount);
                });
            }
        });
    }
}

/// `amount * numerator / denominator`, rounded half up.
pub(crate) fn rounded_share(amount: u64, numerator: u64, denominator: u64) -> u64 {
    let wide = u128::from(amount) * u128::from(numerator) * 2 + u128::from(denominator);
    u64::try_from(wide / (u128::from(denominator.max(1)) * 2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_table() {
        for (rate, code) in VatRate::ALL.into_iter().zip(1..) {
            assert_eq!(rate.code(), code);
            assert_eq!(rate.of_prepayment().percent(), rate.percent());
        }
    }

    #[test]
    fn tax_is_the_contained_share() {
        let check =
            |rate: VatRate, cost, expected| assert_eq!(rate.amount_of(cost), expected, "{rate:?} of {cost}");
        check(VatRate::Twenty, 12_000, 2_000);
        check(VatRate::OfTwenty, 12_000, 2_000);
        check(VatRate::Ten, 11_000, 1_000);
        check(VatRate::Five, 10_500, 500);
        check(VatRate::OfSeven, 10_700, 700);
        check(VatRate::TwentyTwo, 12_200, 2_200);
        check(VatRate::TwentyTwo, 1, 0);
        check(VatRate::Ten, 99, 9);
        check(VatRate::None, 50_000, 50_000);
        check(VatRate::Zero, 50_000, 50_000);
        assert_eq!(VatRate::None.tax_in(50_000), 0);
    }

    #[test]
    fn rounding_is_half_up() {
        assert_eq!(rounded_share(100, 5, 1000), 1);
        assert_eq!(rounded_share(100, 4, 1000), 0);
        assert_eq!(rounded_share(3_990, 1_255, 1000), 5_007);
    }

    #[test]
    fn new_rates_stand_in_the_block() {
        let mut totals = VatTotals::default();
        totals.add(VatRate::Ten, 1_100);
        totals.add(VatRate::Five, 1_050);
        totals.add(VatRate::Five, 1_050);
        let mut fields = Fields::new();
        totals.write(&mut fields);
        assert_eq!(
            hex::encode(fields.finish().unwrap()),
            "4f04010064".to_owned() + "5b040e005f040a00af04010007600401" + "0064"
        );
        assert_eq!(totals.amount(VatRate::Five), 100);
    }
}
