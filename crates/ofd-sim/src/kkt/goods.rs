//! Goods, receipts as sums, VAT and payments: the arithmetic of a receipt, before it becomes tags.
//!
//! Everything is integer kopecks; a weighed item costs `price * quantity` rounded half up to a kopeck, so that
//! the rule "1043 = 1079 x 1023 within a kopeck" holds, and payments add up to the total exactly.

use super::shop::Trade;
use crate::rng::Rng;

/// Values of tag 1199 used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VatRate {
    /// 20 %, before 2026.
    Twenty,
    /// 10 %: food, children's goods.
    Ten,
    /// Without VAT.
    None,
    /// 22 %, since 2026.
    TwentyTwo,
}

impl VatRate {
    /// Value of tag 1199.
    #[must_use]
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Twenty => 1,
            Self::Ten => 2,
            Self::None => 6,
            Self::TwentyTwo => 11,
        }
    }

    /// The tax contained in `cost`, rounded half up to a kopeck.
    #[must_use]
    pub(crate) fn tax_in(self, cost: u64) -> u64 {
        let percent = match self {
            Self::Twenty => 20,
            Self::Ten => 10,
            Self::None => 0,
            Self::TwentyTwo => 22,
        };
        rounded_share(cost, percent, 100 + percent)
    }
}

/// Which VAT rate a good falls under, before the year decides between 20 and 22 %.
#[derive(Clone, Copy)]
enum VatClass {
    General,
    Reduced,
}

struct Good {
    name: &'static str,
    low_roubles: u64,
    high_roubles: u64,
    vat: VatClass,
    weighed: bool,
    service: bool,
}

const fn piece(name: &'static str, low_roubles: u64, high_roubles: u64, vat: VatClass) -> Good {
    Good { name, low_roubles, high_roubles, vat, weighed: false, service: false }
}

const fn weighed(name: &'static str, low_roubles: u64, high_roubles: u64) -> Good {
    Good { name, low_roubles, high_roubles, vat: Reduced, weighed: true, service: false }
}

const fn service(name: &'static str, low_roubles: u64, high_roubles: u64) -> Good {
    Good { name, low_roubles, high_roubles, vat: General, weighed: false, service: true }
}

use VatClass::{General, Reduced};

const GROCERY: [Good; 14] = [
    piece("Хлеб ржаной нарезной 400 г", 45, 80, Reduced),
    piece("Батон подмосковный 350 г", 42, 70, Reduced),
    piece("Яйцо куриное С1, 10 шт", 99, 150, Reduced),
    piece("Крупа гречневая 800 г", 79, 130, Reduced),
    piece("Сахар-песок 1 кг", 69, 100, Reduced),
    piece("Чай чёрный листовой 100 г", 119, 249, General),
    piece("Кофе молотый 250 г", 299, 549, General),
    piece("Шоколад горький 90 г", 89, 159, General),
    piece("Пакет-майка", 5, 10, General),
    piece("Макароны перья 450 г", 49, 100, Reduced),
    weighed("Картофель мытый, весовой", 40, 70),
    weighed("Яблоки Гала, весовые", 120, 190),
    weighed("Бананы, весовые", 110, 170),
    weighed("Томаты на ветке, весовые", 190, 330),
];
const HARDWARE: [Good; 10] = [
    piece("Лампа светодиодная E27 10 Вт", 89, 219, General),
    piece("Изолента ПВХ 19 мм x 20 м", 59, 129, General),
    piece("Набор отвёрток, 6 предметов", 390, 990, General),
    piece("Краска акриловая белая 2,5 л", 690, 1490, General),
    piece("Перчатки хлопковые", 29, 79, General),
    piece("Саморезы 3,5x35, 200 шт", 119, 249, General),
    piece("Батарейки АА, 4 шт", 149, 329, General),
    piece("Удлинитель 3 м, 4 розетки", 390, 790, General),
    piece("Скотч упаковочный 50 м", 69, 139, General),
    piece("Смеситель для кухни", 1990, 5490, General),
];
const COFFEE: [Good; 8] = [
    piece("Капучино 0,3 л", 190, 290, General),
    piece("Латте 0,4 л", 210, 320, General),
    piece("Эспрессо", 110, 180, General),
    piece("Чай облепиховый", 180, 260, General),
    piece("Круассан с миндалём", 150, 260, General),
    piece("Сырники со сметаной", 290, 420, General),
    piece("Сэндвич с индейкой", 260, 390, General),
    piece("Лимонад домашний", 190, 290, General),
];
const REPAIRS: [Good; 6] = [
    service("Замена молнии", 400, 900),
    service("Ремонт обуви: набойки", 300, 700),
    service("Изготовление ключа", 150, 450),
    service("Заточка ножей", 100, 300),
    service("Диагностика бытовой техники", 500, 1200),
    service("Замена батарейки в часах", 200, 450),
];

impl Trade {
    fn goods(self) -> &'static [Good] {
        match self {
            Self::Grocery => &GROCERY,
            Self::Hardware => &HARDWARE,
            Self::Coffee => &COFFEE,
            Self::Repairs => &REPAIRS,
        }
    }

    fn without_vat(self) -> bool {
        matches!(self, Self::Coffee | Self::Repairs)
    }
}

/// One line of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Tag 1030.
    pub(crate) name: &'static str,
    /// Tag 1079, kopecks.
    pub(crate) price: u64,
    /// Tag 1023, mantissa.
    pub(crate) quantity: u64,
    /// Digits of `quantity` after the point.
    pub(crate) quantity_scale: u8,
    /// Tag 1043, kopecks.
    pub(crate) cost: u64,
    /// Tag 1199.
    pub(crate) vat: VatRate,
    /// Tag 1212: 1 goods, 4 service.
    pub(crate) item_type: u8,
    /// Tag 2108: 0 pieces, 11 kilograms.
    pub(crate) unit: u8,
}

/// A sale (or its refund) as sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basket {
    /// The lines.
    pub(crate) items: Vec<Item>,
    /// Part paid in cash, tag 1031.
    pub(crate) cash: u64,
    /// Part paid by card, tag 1081.
    pub(crate) cashless: u64,
}

/// VAT totals of a basket; a rate without items is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VatTotals {
    /// Tag 1102.
    pub(crate) twenty: Option<u64>,
    /// Tag 1103.
    pub(crate) ten: Option<u64>,
    /// Tag 1105: turnover without VAT.
    pub(crate) without: Option<u64>,
    /// In 1115, rate 11.
    pub(crate) twenty_two: Option<u64>,
}

impl Basket {
    /// Goods of `trade` at random: 1 to `most_items` lines; `general` is the general rate of the year.
    pub(crate) fn invent(rng: &mut Rng, trade: Trade, general: VatRate, most_items: u64) -> Self {
        let count = rng.range(1, most_items.max(1));
        let items: Vec<Item> = (0..count).filter_map(|_| Item::invent(rng, trade, general)).collect();
        let total: u64 = items.iter().map(|item| item.cost).sum();
        let cash = match rng.below(10) {
            0..=2 => total,
            3 => total / 2,
            _ => 0,
        };
        Self { items, cash, cashless: total - cash }
    }

    /// Tag 1020.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.items.iter().map(|item| item.cost).sum()
    }

    /// VAT totals: the tax of the lines added up, item by item.
    #[must_use]
    pub(crate) fn vat(&self) -> VatTotals {
        let mut totals = VatTotals::default();
        for item in &self.items {
            let (slot, amount) = match item.vat {
                VatRate::Twenty => (&mut totals.twenty, item.tax()),
                VatRate::Ten => (&mut totals.ten, item.tax()),
                VatRate::None => (&mut totals.without, item.cost),
                VatRate::TwentyTwo => (&mut totals.twenty_two, item.tax()),
            };
            *slot = Some(slot.unwrap_or(0) + amount);
        }
        totals
    }
}

impl Item {
    fn invent(rng: &mut Rng, trade: Trade, general: VatRate) -> Option<Self> {
        let good = rng.pick(trade.goods())?;
        // Prices end in round ten kopecks, as price tags do.
        let price = rng.range(good.low_roubles * 10, good.high_roubles * 10) * 10;
        let (quantity, quantity_scale) =
            if good.weighed { (rng.range(120, 2500), 3) } else { (rng.range(1, 3), 0) };
        let cost = rounded_share(price, quantity, 10_u64.pow(u32::from(quantity_scale)));
        let vat = match (trade.without_vat(), good.vat) {
            (true, _) => VatRate::None,
            (false, Reduced) => VatRate::Ten,
            (false, General) => general,
        };
        Some(Self {
            name: good.name,
            price,
            quantity,
            quantity_scale,
            cost,
            vat,
            item_type: if good.service { 4 } else { 1 },
            unit: if good.weighed { 11 } else { 0 },
        })
    }

    /// Tag 1200: the tax of this line.
    #[must_use]
    pub(crate) fn tax(&self) -> u64 {
        self.vat.tax_in(self.cost)
    }
}

/// `amount * numerator / denominator`, rounded half up.
fn rounded_share(amount: u64, numerator: u64, denominator: u64) -> u64 {
    let wide = u128::from(amount) * u128::from(numerator) * 2 + u128::from(denominator);
    u64::try_from(wide / (u128::from(denominator.max(1)) * 2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_is_the_contained_share() {
        let check =
            |rate: VatRate, cost, expected| assert_eq!(rate.tax_in(cost), expected, "{rate:?} of {cost}");
        check(VatRate::Twenty, 12_000, 2_000);
        check(VatRate::Ten, 11_000, 1_000);
        check(VatRate::TwentyTwo, 12_200, 2_200);
        check(VatRate::TwentyTwo, 1, 0);
        check(VatRate::Ten, 99, 9);
        check(VatRate::None, 50_000, 0);
    }

    #[test]
    fn rounding_is_half_up() {
        assert_eq!(rounded_share(100, 5, 1000), 1);
        assert_eq!(rounded_share(100, 4, 1000), 0);
        assert_eq!(rounded_share(3_990, 1_255, 1000), 5_007);
    }

    #[test]
    fn baskets_add_up() {
        let mut rng = Rng::new(11);
        for round in 0..2000 {
            let trade = [Trade::Grocery, Trade::Hardware, Trade::Coffee, Trade::Repairs][round % 4];
            let basket = Basket::invent(&mut rng, trade, VatRate::TwentyTwo, 5);
            assert!(!basket.items.is_empty() && basket.items.len() <= 5);
            assert_eq!(basket.cash + basket.cashless, basket.total());
            assert!(basket.total() > 0);
            for item in &basket.items {
                let exact = item.price * item.quantity;
                let scale = 10_u64.pow(u32::from(item.quantity_scale));
                assert!((item.cost * scale).abs_diff(exact) <= scale, "{item:?}");
                assert_eq!(item.vat == VatRate::None, trade.without_vat());
            }
            let vat = basket.vat();
            assert_eq!(vat.without.is_some(), trade.without_vat());
            assert_eq!(vat.twenty, None);
        }
    }
}
