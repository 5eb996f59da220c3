//! Lines of a receipt: price, quantity, cost, VAT, marking, before they become tags.
//!
//! Everything is integer kopecks; a weighed item costs `price * quantity` rounded half up to a kopeck, so that
//! the rule "1043 = 1079 x 1023 within a kopeck" holds.

use ffd::Decimal;

use super::shop::Shop;
use super::vat::{VatRate, rounded_share};
use crate::rng::Rng;
use crate::trade::{Good, MarkClass, Measure, VatClass};

/// Way of payment of an item, tag 1214.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Method {
    /// Предоплата 100 %.
    Prepaid = 1,
    /// Аванс.
    Advance = 3,
    /// Полный расчёт.
    Full = 4,
    /// Частичный расчёт и кредит.
    PartCredit = 5,
    /// Передача в кредит.
    Credit = 6,
    /// Оплата кредита.
    CreditPaid = 7,
}

impl Method {
    /// Value of tag 1214.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// A marked piece or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Product number GTIN, 14 digits.
    gtin: u64,
    /// Serial number, 13 characters.
    serial: String,
    /// Sold part of the pack, numerator and denominator.
    pub(crate) part: Option<(u64, u64)>,
}

impl Mark {
    fn invent(rng: &mut Rng, class: MarkClass) -> Option<Self> {
        const LETTERS: [char; 12] = ['A', 'b', 'C', 'd', 'E', 'x', 'Q', '7', '3', '9', '0', '5'];
        let part = match class {
            MarkClass::None => return None,
            MarkClass::Whole => None,
            MarkClass::InParts(parts) => rng.percent(50).then(|| (rng.range(1, parts - 1), parts)),
        };
        let serial = (0..13).filter_map(|_| rng.pick(&LETTERS)).collect();
        Some(Self { gtin: 4_600_000_000_000 + rng.below(100_000_000_000), serial, part })
    }

    /// The code as it is kept in the receipt: product number and serial.
    pub(crate) fn identifier(&self) -> String {
        format!("01{:014}21{}", self.gtin, self.serial)
    }

    /// The whole code as it is scanned, with a check part.
    pub(crate) fn scanned(&self) -> String {
        format!("{}\u{1d}93dGVz", self.identifier())
    }

    /// Value of tag 1162 of FFD 1.05 and 1.1: prefix `44 4D`, GTIN in 6 bytes (big-endian), serial.
    pub(crate) fn product_code(&self) -> Vec<u8> {
        let mut bytes = vec![0x44, 0x4D];
        bytes.extend(self.gtin.to_be_bytes().into_iter().skip(2));
        bytes.extend(self.serial.as_bytes());
        bytes
    }
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Tag 1030.
    pub(crate) name: String,
    /// Tag 1079, kopecks.
    pub(crate) price: u64,
    /// Tag 1023.
    pub(crate) quantity: Decimal,
    /// Tag 1043, kopecks.
    pub(crate) cost: u64,
    /// Tag 1199.
    pub(crate) vat: VatRate,
    /// Tag 1214.
    pub(crate) method: Method,
    /// Tag 1212 where the version has no kinds for marked goods: 1 goods, 2 excisable goods, 4 service...
    pub(crate) kind: u8,
    /// Tags 2108 and 1197.
    pub(crate) measure: Measure,
    /// Excise, tag 1229, kopecks.
    pub(crate) excise: Option<u64>,
    /// Tags 1230 and 1231.
    pub(crate) imported: Option<(&'static str, &'static str)>,
    /// The marking code.
    pub(crate) mark: Option<Mark>,
    /// Sold for a supplier.
    pub(crate) as_agent: bool,
}

impl Item {
    /// Something from the catalogue of a shop, sold under the system `applied` at `clock`.
    pub(super) fn invent(rng: &mut Rng, shop: &Shop, applied: u8, clock: u32) -> Option<Self> {
        let good = rng.pick(shop.trade.goods())?;
        let mark = Mark::invent(rng, good.mark);
        // Prices end in round ten kopecks, as price tags do; a part of a pack costs its share.
        let pack = rng.range(good.low_roubles * 10, good.high_roubles * 10) * 10;
        let part = mark.as_ref().and_then(|mark| mark.part);
        let price = part.map_or(pack, |(taken, parts)| rounded_share(pack, taken, parts));
        let quantity = quantity(rng, good, mark.is_some());
        // An agent's goods are taxed as its supplier's, who is on the general system here.
        let applied = if !shop.agencies.is_empty() && good.vat == VatClass::General { 1 } else { applied };
        Some(Self {
            name: good.name.to_owned(),
            price,
            quantity,
            cost: cost(price, quantity),
            vat: shop.rate(good.vat, applied, clock),
            method: Method::Full,
            kind: match good.measure {
                Measure::Service => 4,
                _ if good.excise > 0 => 2,
                _ => 1,
            },
            measure: good.measure,
            excise: (good.excise > 0).then(|| good.excise * quantity.mantissa),
            imported: good.imported,
            mark,
            as_agent: !shop.agencies.is_empty(),
        })
    }

    /// One piece of something that is no good of the catalogue.
    pub(super) fn single(name: &str, kind: u8, cost: u64, vat: VatRate, method: Method) -> Self {
        Self {
            name: name.to_owned(),
            price: cost,
            quantity: Decimal { mantissa: 1, scale: 0 },
            cost,
            vat,
            method,
            kind,
            measure: Measure::Piece,
            excise: None,
            imported: None,
            mark: None,
            as_agent: false,
        }
    }

    /// The marking code that goes into the receipt: prepaid goods have none yet.
    #[must_use]
    pub(crate) fn scanned(&self) -> Option<&Mark> {
        self.mark.as_ref().filter(|_| self.method != Method::Prepaid)
    }

    /// Tag 1200: the tax of this line.
    #[must_use]
    pub(crate) fn tax(&self) -> u64 {
        self.vat.tax_in(self.cost)
    }
}

/// A marking code stands for one piece, so such goods are sold one by one.
fn quantity(rng: &mut Rng, good: &Good, marked: bool) -> Decimal {
    let (mantissa, scale) = match good.measure {
        _ if marked => (1, 0),
        Measure::Kilogram => (rng.range(120, 2500), 3),
        Measure::Metre => (rng.range(10, 250), 1),
        Measure::Litre => (rng.range(5, 30), 1),
        Measure::Service => (1, 0),
        Measure::Piece => (rng.range(1, 3), 0),
    };
    Decimal { mantissa, scale }
}

fn cost(price: u64, quantity: Decimal) -> u64 {
    rounded_share(price, quantity.mantissa, 10_u64.pow(u32::from(quantity.scale)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trade::Trade;

    #[test]
    fn lines_of_every_trade_add_up() {
        let mut rng = Rng::new(11);
        for round in 0..3_000 {
            let trade = Trade::ALL[round % Trade::ALL.len()];
            let shop = Shop::invent(&mut rng, trade, 3, 1).unwrap();
            let item = Item::invent(&mut rng, &shop, 1, 1_790_000_000).unwrap();
            let scale = 10_u64.pow(u32::from(item.quantity.scale));
            let exact = item.price * item.quantity.mantissa;
            assert!((item.cost * scale).abs_diff(exact) <= scale && item.cost >= 100, "{item:?}");
            if let Some(mark) = &item.mark {
                assert_eq!(item.quantity.mantissa, 1);
                assert!(mark.identifier().len() <= 38 && mark.product_code().len() <= 32);
                assert!(mark.part.is_none_or(|(taken, parts)| taken > 0 && taken < parts));
            }
        }
    }

    #[test]
    fn a_code_of_the_older_versions_has_its_layout() {
        let mark = Mark { gtin: 4_607_165_720_001, serial: "AbC3".to_owned(), part: None };
        assert_eq!(hex::encode(mark.product_code()), "444d0430b079e5c1".to_owned() + "41624333");
        assert_eq!(mark.identifier(), "010460716572000121AbC3");
    }
}
