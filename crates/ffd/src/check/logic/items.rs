//! Items of a receipt (checks 13, 14, 18, and of 21c what concerns one item), and what they come to together.
//!
//! One pass over all items: what later checks need of them is added up on the way, so that a receipt of thousands of
//! items costs no more per item than one of five.

use super::{agents, inn};
use crate::check::case::{Case, is_blank};
use crate::check::report::{Path, Place, Report};
use crate::dict::FfdVersion;
use crate::document::Node;
use crate::tags;
use crate::value::{Decimal, Kopecks};

/// Rates of VAT in tag 1199 run from 1 to this.
pub(super) const MAX_RATE: usize = 12;

/// The rate «без НДС».
pub(super) const WITHOUT_VAT: usize = 6;

/// Items of one rate.
#[derive(Clone, Copy, Default)]
pub(super) struct OfRate {
    pub(super) count: u64,
    /// VAT (1200) of them, kopecks; none when one of them does not say it.
    vat: u128,
    unknown_vat: bool,
    /// Cost (1043) of them, kopecks.
    turnover: u128,
    unknown_turnover: bool,
}

impl OfRate {
    pub(super) fn vat(&self) -> Option<u128> {
        (!self.unknown_vat).then_some(self.vat)
    }

    pub(super) fn turnover(&self) -> Option<u128> {
        (!self.unknown_turnover).then_some(self.turnover)
    }
}

/// What the items of a receipt come to.
#[derive(Default)]
pub(super) struct Items {
    pub(super) count: u64,
    cost: u128,
    unknown_cost: bool,
    /// Whether an item does not say its rate of VAT.
    pub(super) unknown_rate: bool,
    /// By the rate's number.
    of_rate: [OfRate; MAX_RATE + 1],
    /// All bits of 1222.
    pub(super) agent: u64,
    /// First item that says so.
    pub(super) agent_place: Option<Place>,
    /// First item with data of an agent (1223) and no sign of one (1222).
    pub(super) agent_data: Option<Place>,
    /// First excisable item.
    pub(super) excise: Option<Place>,
    /// First item with which a credit is paid.
    pub(super) credit: Option<Place>,
    /// Items with 1162 or 1226.
    pub(super) coded: u64,
}

impl Items {
    /// Cost (1043) of all of them, kopecks; none when one does not say it.
    pub(super) fn cost(&self) -> Option<u128> {
        (!self.unknown_cost).then_some(self.cost)
    }

    /// The items of each rate of VAT, with the rate's number.
    pub(super) fn of_rate(&self, rate: usize) -> OfRate {
        self.of_rate.get(rate).copied().unwrap_or_default()
    }
}

/// What one item says.
#[derive(Default)]
struct Item<'n> {
    price: Option<u64>,
    quantity: Option<Decimal>,
    cost: Option<Node<'n>>,
    rate: Option<u64>,
    vat: Option<Node<'n>>,
    kind: Option<u64>,
    method: Option<u64>,
    agent: Option<Node<'n>>,
    has_agent_data: bool,
    has_measure: bool,
    is_coded: bool,
    is_discounted: bool,
}

/// Checks every item and adds them up.
pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) -> Items {
    let mut items = Items::default();
    for node in case.doc.nodes_of(tags::ITEM) {
        items.count += 1;
        let place = Place { offset: node.offset, path: Path::top(tags::ITEM) };
        let item = read(case, node, place, report);
        if node.children().is_empty() {
            (items.unknown_cost, items.unknown_rate) = (true, true);
            continue;
        }
        let judged = Judged { case, item: &item, number: items.count, place };
        judged.cost(report);
        judged.vat(report);
        judged.measure(report);
        items.add(&item, place);
    }
    items
}

fn read<'n>(case: &Case<'_, '_>, node: Node<'n>, place: Place, report: &mut Report<'_>) -> Item<'n> {
    let mut item = Item::default();
    for child in node.children() {
        match child.tag {
            tags::PRICE => item.price = child.unsigned(),
            tags::QUANTITY => item.quantity = child.decimal(),
            tags::ITEM_COST => item.cost = Some(child),
            tags::VAT_RATE => item.rate = child.unsigned(),
            tags::ITEM_VAT => item.vat = Some(child),
            tags::ITEM_TYPE => item.kind = child.unsigned(),
            tags::PAYMENT_METHOD => item.method = child.unsigned(),
            tags::ITEM_AGENT => item.agent = Some(child),
            tags::MEASURE => item.has_measure = true,
            tags::DISCOUNT => item.is_discounted = true,
            tags::PRODUCT_CODE => item.is_coded = true,
            tags::SUPPLIER_INN | tags::AGENT_DATA => {
                let is_said = !is_blank(child);
                item.is_coded |= is_said && child.tag == tags::SUPPLIER_INN;
                item.has_agent_data |= is_said && child.tag == tags::AGENT_DATA;
                let here = Place { offset: child.offset, path: place.path.with(child.tag) };
                inn::check_item(case, child, here, report);
            }
            _ => {}
        }
    }
    item
}

impl Items {
    fn add(&mut self, item: &Item<'_>, place: Place) {
        /// Kinds (1212) of excisable goods: plain, and marked without and with their code.
        const EXCISABLE: [u64; 3] = [2, 30, 31];
        /// Method (1214) «оплата кредита».
        const CREDIT_PAID: u64 = 7;

        let cost = item.cost.and_then(Node::unsigned);
        self.cost += u128::from(cost.unwrap_or_default());
        self.unknown_cost |= cost.is_none();
        self.unknown_rate |= item.rate.is_none();
        let rate = item.rate.and_then(|rate| usize::try_from(rate).ok()).unwrap_or_default();
        if let Some(of_rate) = self.of_rate.get_mut(rate) {
            let vat = item.vat.and_then(Node::unsigned);
            of_rate.count += 1;
            of_rate.vat += u128::from(vat.unwrap_or_default());
            of_rate.unknown_vat |= vat.is_none();
            of_rate.turnover += u128::from(cost.unwrap_or_default());
            of_rate.unknown_turnover |= cost.is_none();
        }
        if item.has_agent_data && agents::has_no_sign(item.agent) {
            self.agent_data.get_or_insert(Place { path: place.path.with(tags::AGENT_DATA), ..place });
        }
        if let Some(agent) = item.agent.and_then(Node::unsigned).filter(|&agent| agent != 0) {
            self.agent |= agent;
            self.agent_place.get_or_insert(Place { path: place.path.with(tags::ITEM_AGENT), ..place });
        }
        if item.kind.is_some_and(|kind| EXCISABLE.contains(&kind)) {
            self.excise.get_or_insert(Place { path: place.path.with(tags::ITEM_TYPE), ..place });
        }
        if item.method == Some(CREDIT_PAID) {
            self.credit.get_or_insert(Place { path: place.path.with(tags::PAYMENT_METHOD), ..place });
        }
        self.coded += u64::from(item.is_coded);
    }
}

/// One item under judgement; its number is for the merchant, who counts from one.
struct Judged<'j, 'c, 'd, 'n> {
    case: &'j Case<'c, 'd>,
    item: &'j Item<'n>,
    number: u64,
    place: Place,
}

impl Judged<'_, '_, '_, '_> {
    fn at(&self, tag: u16, offset: usize) -> Place {
        Place { offset, path: self.place.path.with(tag) }
    }

    /// Check 13. A discount of ФФД 1.0 stands beside the price, so the product says nothing there.
    fn cost(&self, report: &mut Report<'_>) {
        let (Some(price), Some(quantity), Some(node)) = (self.item.price, self.item.quantity, self.item.cost)
        else {
            return;
        };
        let Some(cost) = node.unsigned().filter(|_| !self.item.is_discounted) else { return };
        if !is_product(cost, price, quantity) {
            report.add("item.cost", self.at(tags::ITEM_COST, node.offset), || {
                format!(
                    "предмет расчёта № {}: стоимость (тег 1043) {} не равна цене (тег 1079) {}, умноженной на количество \
                     (тег 1023) {quantity}",
                    self.number,
                    Kopecks::new(cost),
                    Kopecks::new(price)
                )
            });
        }
    }

    /// Check 14.
    fn vat(&self, report: &mut Report<'_>) {
        let is_without = self.item.rate.is_some_and(|rate| usize::try_from(rate) == Ok(WITHOUT_VAT));
        let (Some(node), true) = (self.item.vat, is_without && self.case.version != FfdVersion::V1_0) else {
            return;
        };
        let Some(vat) = node.unsigned().filter(|&vat| vat != 0) else { return };
        if self.item.cost.and_then(Node::unsigned).is_some_and(|cost| cost != vat) {
            report.add("item.vat", self.at(tags::ITEM_VAT, node.offset), || {
                format!(
                    "предмет расчёта № {}: ставка «без НДС» (тег 1199 = 6), а сумма НДС (тег 1200) {}",
                    self.number,
                    Kopecks::new(vat)
                )
            });
        }
    }

    /// Check 18.
    fn measure(&self, report: &mut Report<'_>) {
        if self.case.version == FfdVersion::V1_2 && !self.item.has_measure {
            report.add("item.measure", self.at(tags::MEASURE, self.place.offset), || {
                format!("предмет расчёта № {}: не указана мера количества (тег 2108)", self.number)
            });
        }
    }
}

/// Whether `cost` is `price` times `quantity`, give or take one kopeck. Exact: both sides are multiplied by the power of
/// ten that makes the quantity whole. Of a quantity with more digits than are read from the wire
/// nothing is said.
fn is_product(cost: u64, price: u64, quantity: Decimal) -> bool {
    let Some(unit) = 10_u64.checked_pow(quantity.scale.into()) else { return true };
    // Two numbers of 64 bits have a product of 128.
    let cost = u128::from(cost) * u128::from(unit);
    let product = u128::from(price) * u128::from(quantity.mantissa);
    cost.abs_diff(product) <= u128::from(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_may_be_off_by_one_kopeck() {
        let check = |cost, price, mantissa, scale, expected| {
            let quantity = Decimal { mantissa, scale };
            assert_eq!(is_product(cost, price, quantity), expected, "{cost} = {price} x {quantity}");
        };
        check(150, 100, 1500, 3, true);
        check(151, 100, 1500, 3, true);
        check(149, 100, 1500, 3, true);
        check(152, 100, 1500, 3, false);
        check(33, 100, 333, 3, true);
        check(34, 100, 333, 3, true);
        // 33.3 and 35: more than one kopeck apart.
        check(35, 100, 333, 3, false);
        check(0, 0, 0, 0, true);
        check(u64::MAX, u64::MAX, 1, 0, true);
        check(u64::MAX, u64::MAX, 10_000_000_000_000_000_000, 19, true);
        check(u64::MAX, u64::MAX, u64::MAX, 19, false);
        check(0, u64::MAX, u64::MAX, 0, false);
        check(1, 1, 1, 255, true);
    }
}
