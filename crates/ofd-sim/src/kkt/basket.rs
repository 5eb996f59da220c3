//! Receipts as sums: what was settled, how it was paid, who bought, and what is still owed afterwards.
//!
//! Payments add up to the total exactly; the total is the sum of the lines, or that rounded down to whole
//! roubles when a cash receipt is rounded as a whole.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::agents::{Agency, phone};
use super::buyer::Buyer;
use super::goods::{Item, Method};
use super::shop::Shop;
use super::vat::{VatRate, VatTotals};
use crate::rng::Rng;
use crate::trade::{Trade, VatClass};

/// Most open debts of a shop; the oldest is settled first.
const MOST_DEBTS: usize = 3;

/// How varied the receipts of a register are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Variety {
    /// Goods paid at once, in cash or by card: for load, where every receipt should cost about the same.
    #[default]
    Plain,
    /// Everything the format knows: advances, credit, counter-provision, rounding, buyers, long receipts.
    Whole,
}

/// How a total was paid, kopecks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payments {
    /// Tag 1031.
    pub(crate) cash: u64,
    /// Tag 1081.
    pub(crate) cashless: u64,
    /// Tag 1215: an advance that is set off.
    pub(crate) prepaid: u64,
    /// Tag 1216.
    pub(crate) credit: u64,
    /// Tag 1217: встречное предоставление.
    pub(crate) counter: u64,
}

impl Payments {
    /// Tag 1020.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.cash + self.cashless + self.prepaid + self.credit + self.counter
    }

    /// The part that is paid now, drawn between cash and card.
    fn add_money(&mut self, rng: &mut Rng, sum: u64, in_internet: bool) {
        let cash = match rng.below(10) {
            _ if in_internet => 0,
            0..=2 => sum,
            3 => sum / 2,
            _ => 0,
        };
        self.cash += cash;
        self.cashless += sum - cash;
    }
}

/// One settlement as sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Basket {
    /// The lines.
    pub(crate) items: Vec<Item>,
    /// How it was paid; their sum is the total.
    pub(crate) payments: Payments,
    /// Tag 1055.
    pub(crate) taxation: u8,
    /// Tag 1008.
    pub(crate) contact: Option<String>,
    /// Whom the agent settles for in it.
    pub(crate) agency: Option<Agency>,
    /// Buyer's data.
    pub(crate) buyer: Option<Buyer>,
    /// Reference of the card payment for 1237, where the details (1234) are given.
    pub(crate) card_reference: Option<u64>,
}

/// What a shop and a buyer still owe each other.
#[derive(Clone, Debug)]
enum Debt {
    /// Goods that are paid in full.
    Goods(Vec<Item>),
    /// An advance to be set off.
    Advance(u64),
    /// A credit to be paid.
    Credit(u64),
}

/// Makes baskets for one shop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    variety: Variety,
    debts: VecDeque<Debt>,
}

impl Counter {
    /// A shop that owes nobody.
    pub(super) fn new(variety: Variety) -> Self {
        Self { variety, debts: VecDeque::new() }
    }

    /// A sale at `clock` of so many lines. The second value says whether goods and money have both
    /// changed hands, so that the sale can simply be taken back.
    pub(super) fn sale(
        &mut self,
        rng: &mut Rng,
        shop: &Shop,
        clock: u32,
        lines: RangeInclusive<u64>,
    ) -> (Basket, bool) {
        let taxation = shop.applied_taxation(rng);
        let (least, most) = lines.into_inner();
        let most = if self.is_whole() && rng.percent(2) { 60 } else { most.max(1) };
        let count = rng.range(least.clamp(1, most), most);
        let mut items: Vec<Item> =
            (0..count).filter_map(|_| Item::invent(rng, shop, taxation, clock)).collect();
        let agency = rng.pick(&shop.agencies).cloned();
        let mut basket = Basket { taxation, agency, ..Basket::default() };
        let mut simple = true;
        let in_internet = shop.trade.in_internet();
        if self.is_whole() {
            if shop.trade == Trade::Agent && rng.percent(50) {
                items.push(fee(rng, shop, taxation, clock));
            }
            simple = self.arrange(rng, shop, &mut items, &mut basket, clock);
            basket.meet_buyer(rng, shop);
        }
        basket.items = items;
        let sum = basket.cost().saturating_sub(basket.payments.total());
        basket.payments.add_money(rng, sum, in_internet);
        let only_cash = basket.payments.cash == basket.payments.total();
        if self.is_whole() && only_cash && rng.percent(25) {
            basket.payments.cash -= basket.payments.cash % 100;
        }
        if in_internet && rng.percent(50) {
            basket.card_reference = Some(rng.range(100_000_000_000, 999_999_999_999));
        }
        (basket, simple)
    }

    /// Money paid out for something (расход), in cash.
    pub(super) fn payout(rng: &mut Rng, shop: &Shop) -> Basket {
        let cost = rng.range(50, 3_000) * 100;
        let item = Item::single("Закупка тары у населения", 1, cost, VatRate::None, Method::Full);
        Basket {
            items: vec![item],
            payments: Payments { cash: cost, ..Payments::default() },
            taxation: shop.applied_taxation(rng),
            ..Basket::default()
        }
    }

    fn is_whole(&self) -> bool {
        self.variety == Variety::Whole
    }

    /// Settles an old debt or makes a new one, now and then; false when the sale was no simple one.
    fn arrange(
        &mut self,
        rng: &mut Rng,
        shop: &Shop,
        items: &mut Vec<Item>,
        basket: &mut Basket,
        clock: u32,
    ) -> bool {
        if self.debts.len() >= MOST_DEBTS || !self.debts.is_empty() && rng.percent(40) {
            if let Some(debt) = self.debts.pop_front() {
                settle(debt, items, basket);
            }
            return false;
        }
        let total: u64 = items.iter().map(|item| item.cost).sum();
        match (shop.trade, rng.below(100)) {
            (Trade::Internet, 0..35) => {
                self.debts.push_back(Debt::Goods(items.clone()));
                for item in items {
                    (item.method, item.vat) = (Method::Prepaid, item.vat.of_prepayment());
                }
            }
            (Trade::Hardware | Trade::Repairs, 0..10) => {
                let rate = shop.rate(VatClass::General, basket.taxation, clock).of_prepayment();
                *items = vec![Item::single("Аванс", 10, total, rate, Method::Advance)];
                self.debts.push_back(Debt::Advance(total));
            }
            (Trade::Hardware, 10..20) => {
                let method = if rng.percent(50) { Method::Credit } else { Method::PartCredit };
                basket.payments.credit = if method == Method::Credit { total } else { total / 2 };
                items.iter_mut().for_each(|item| item.method = method);
                self.debts.push_back(Debt::Credit(basket.payments.credit));
            }
            (Trade::Hardware | Trade::Agent, 20..25) => {
                basket.payments.counter = total / 3;
                return true;
            }
            _ => return true,
        }
        false
    }
}

fn settle(debt: Debt, items: &mut Vec<Item>, basket: &mut Basket) {
    match debt {
        Debt::Goods(goods) => {
            basket.payments.prepaid = goods.iter().map(|item| item.cost).sum();
            *items = goods;
        }
        Debt::Advance(sum) => {
            let total = items.iter().map(|item| item.cost).sum();
            basket.payments.prepaid = sum.min(total);
        }
        Debt::Credit(sum) => {
            *items = vec![Item::single("Оплата кредита", 10, sum, VatRate::None, Method::CreditPaid)];
        }
    }
}

/// The agent's own reward, settled in the same receipt.
fn fee(rng: &mut Rng, shop: &Shop, taxation: u8, clock: u32) -> Item {
    let rate = shop.rate(VatClass::General, taxation, clock);
    Item::single("Вознаграждение агента", 11, rng.range(10, 90) * 100, rate, Method::Full)
}

impl Basket {
    /// Tag 1020.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.payments.total()
    }

    /// What the lines cost together.
    fn cost(&self) -> u64 {
        self.items.iter().map(|item| item.cost).sum()
    }

    /// VAT totals: the tax of the lines added up, item by item.
    #[must_use]
    pub(crate) fn vat(&self) -> VatTotals {
        let mut totals = VatTotals::default();
        for item in &self.items {
            totals.add(item.vat, item.cost);
        }
        totals
    }

    /// Whether a line carries a marking code.
    #[must_use]
    pub(crate) fn has_marked(&self) -> bool {
        self.items.iter().any(|item| item.scanned().is_some())
    }

    fn meet_buyer(&mut self, rng: &mut Rng, shop: &Shop) {
        if shop.trade.in_internet() || rng.percent(15) {
            self.contact = Some(match rng.percent(50) {
                true => phone(rng),
                false => format!("buyer{}@example.ru", rng.below(10_000)),
            });
        }
        if rng.percent(if shop.trade == Trade::Hardware { 20 } else { 3 }) {
            self.buyer = Buyer::invent(rng);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baskets_add_up() {
        let mut rng = Rng::new(5);
        let (mut rounded, mut kinds) = (0, [0_u32; 5]);
        for trade in Trade::ALL {
            let shop = Shop::invent(&mut rng, trade, 3, 1).unwrap();
            let mut counter = Counter::new(Variety::Whole);
            for _ in 0..400 {
                let (basket, _) = counter.sale(&mut rng, &shop, 1_790_000_000, 1..=5);
                assert!(!basket.items.is_empty() && basket.total() > 0, "{basket:?}");
                assert_eq!(basket.cost() / 100, basket.total() / 100, "{basket:?}");
                rounded += u32::from(basket.cost() != basket.total());
                let paid = basket.payments;
                for (count, sum) in
                    kinds.iter_mut().zip([paid.cash, paid.cashless, paid.prepaid, paid.credit, paid.counter])
                {
                    *count += u32::from(sum > 0);
                }
                if basket.items.iter().any(|item| item.method == Method::CreditPaid) {
                    assert_eq!(basket.items.len(), 1);
                }
            }
        }
        assert!(rounded > 20 && kinds.iter().all(|count| *count > 10), "{rounded} {kinds:?}");
    }

    #[test]
    fn plain_baskets_are_goods_paid_at_once() {
        let mut rng = Rng::new(6);
        let shop = Shop::invent(&mut rng, Trade::Hardware, 3, 1).unwrap();
        let mut counter = Counter::new(Variety::Plain);
        for _ in 0..300 {
            let (basket, simple) = counter.sale(&mut rng, &shop, 1_790_000_000, 1..=1);
            assert!(simple && basket.items.len() == 1 && basket.buyer.is_none() && basket.contact.is_none());
            assert_eq!(basket.total(), basket.cost());
            assert!(basket.items.iter().all(|item| item.method == Method::Full));
        }
    }
}
