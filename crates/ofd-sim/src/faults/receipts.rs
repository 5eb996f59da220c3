//! Faults of what a receipt says about itself: sums, items, VAT, agents, corrections.

use ffd::{FfdVersion, tags};

use super::body::{Body, padded};
use super::fault::{After, Fault, Work};
use super::structure::free_copy;

/// Rate «без НДС» and the rate of 0 %, tag 1199.
const WITHOUT_VAT: u64 = 6;
const ZERO_VAT: u64 = 5;
/// Totals of rates that have tags of their own, except the turnover without VAT.
const TAXED_TOTALS: [u16; 5] =
    [tags::VAT_20, tags::VAT_10, tags::TURNOVER_0, tags::VAT_20_120, tags::VAT_10_110];
/// Agent «банковский платёжный субагент», which no simulated shop is.
const SUBAGENT: u64 = 0x02;
/// Items with a supplier of which a register without an operator may have ten.
const TOO_MANY_CODED: usize = 11;
const TEN_ROUBLES: u64 = 1_000;
const HUNDRED_ROUBLES: u64 = 10_000;

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("correction.base", "a correction whose base (1174) has no date (1178)", |work| {
        let body = work.correction()?;
        body.remove(&[tags::CORRECTION_BASE, tags::CORRECTION_DATE])?;
        if body.has(&[tags::CORRECTION_BASE, tags::ORDER_NUMBER]) {
            return Some(());
        }
        body.put(&[tags::CORRECTION_BASE, tags::ORDER_NUMBER], b"1")
    }),
    Fault::new("correction.order", "a correction by order (1173) without the order's number (1179); FFD 1.1, 1.2", |work| {
        if !work.is_newer() {
            return None;
        }
        let body = work.correction()?;
        body.put(&[tags::CORRECTION_TYPE], &[1])?;
        // One of the user's own accord has no number anyway.
        let _ = body.remove(&[tags::CORRECTION_BASE, tags::ORDER_NUMBER]);
        Some(())
    }),
    Fault::new("correction.type", "a correction of the unknown type 2 (1173)", |work| {
        work.correction()?.put(&[tags::CORRECTION_TYPE], &[2])
    }),
    Fault::new("item.cost", "an item whose price (1079) is 100 roubles higher than its cost says", |work| {
        work.settlement()?.change_item(|_| true, |item| item.add_vln(&[tags::PRICE], HUNDRED_ROUBLES))
    }),
    Fault::new("item.measure", "an item without its measure (2108); FFD 1.2", |work| {
        if work.ffd != FfdVersion::V1_2 {
            return None;
        }
        work.settlement()?.change_item(|_| true, |item| item.remove(&[tags::MEASURE]))
    }),
    Fault::new("item.vat", "an item without VAT (1199) that has three kopecks of it (1200)", |work| {
        let is_free = |item: &Body| item.number(&[tags::VAT_RATE]) == Some(WITHOUT_VAT);
        let costs = |item: &Body| item.number(&[tags::ITEM_COST]).is_some_and(|cost| cost > 3);
        work.settlement()?
            .change_item(|item| is_free(item) && costs(item), |item| item.put(&[tags::ITEM_VAT], &[3]))
    }),
    Fault::new("receipt.agent", "a receipt of an agent (1057) of an unregistered kind; FFD 1.05, 1.1", |work| {
        if work.ffd == FfdVersion::V1_2 {
            return None;
        }
        let body = work.receipt()?;
        let mask = body.number(&[tags::AGENT]).unwrap_or(0) | SUBAGENT;
        body.put(&[tags::AGENT], &[u8::try_from(mask).ok()?])
    }),
    Fault::new("receipt.credit", "a receipt of several items, one of them the payment of a credit (1214)", |work| {
        let body = work.settlement()?;
        if body.items().len() < 2 {
            return None;
        }
        body.change_item(|_| true, |item| item.put(&[tags::PAYMENT_METHOD], &[7]))
    }),
    Fault::new("receipt.excise", "an excisable item (1212) of a register without excisable goods", |work| {
        work.memory.chain().excise.filter(|registered| !registered)?;
        work.settlement()?.change_item(|_| true, |item| item.put(&[tags::ITEM_TYPE], &[2]))
    }),
    Fault::new("receipt.offline-items", "eleven items with a supplier (1226) in a receipt of a register without an operator, which the report before says honestly", |work| {
        if !work.memory.chain().offline {
            return None;
        }
        let body = work.settlement()?;
        let mut item = Body::read(&free_copy(body)?)?;
        item.put(&[tags::SUPPLIER_INN], &padded("7825392986", 12))?;
        let item = item.bytes()?;
        (0..TOO_MANY_CODED).for_each(|_| body.append(tags::ITEM, &item));
        Some(())
    })
    .prepared(work_without_operator),
    Fault::new("sum.items", "an item ten roubles dearer than the total (1020) has it", |work| {
        let body = work.settlement()?;
        let is_one = |item: &Body| item.number(&[tags::PRICE]) == item.number(&[tags::ITEM_COST]);
        let rate = body.items().iter().find(|item| is_one(item))?.number(&[tags::VAT_RATE]);
        body.change_item(is_one, |item| {
            item.add_vln(&[tags::PRICE], TEN_ROUBLES)?;
            item.add_vln(&[tags::ITEM_COST], TEN_ROUBLES)
        })?;
        match rate {
            Some(ZERO_VAT) => body.add_vln(&[tags::TURNOVER_0], TEN_ROUBLES),
            Some(WITHOUT_VAT) => body.add_vln(&[tags::TURNOVER_WITHOUT_VAT], TEN_ROUBLES),
            _ => Some(()),
        }
    }),
    Fault::new("sum.payments", "a receipt paid with a rouble more in cash (1031) than its total", |work| {
        if !work.memory.chain().is_whole {
            return None;
        }
        work.settlement()?.add_vln(&[tags::CASH], 100)
    })
    .then(After::Closing("counters.shift")),
    Fault::new("vat.absent", "taxed items and not one total of VAT (1102 to 1107, 1115)", |work| {
        let body = work.settlement()?;
        let items = body.items();
        let is_taxed = |item: &Body| {
            let rate = item.number(&[tags::VAT_RATE]);
            rate != Some(WITHOUT_VAT) && item.number(&[tags::ITEM_VAT]).is_some_and(|vat| vat > 0)
        };
        if !items.iter().any(is_taxed) || is_agent(body, &items) {
            return None;
        }
        // Whichever of them the receipt has.
        for tag in TAXED_TOTALS.into_iter().chain([tags::VAT_AMOUNTS]) {
            let _ = body.remove(&[tag]);
        }
        Some(())
    }),
    Fault::new("vat.rates", "VAT of a rate of 2025 or 2026 at the place of the old ones (1102) instead of block 1115", misplaced_vat),
    Fault::new("vat.totals", "a total of VAT (1102 to 1107, 1115) a hundred roubles too high", |work| {
        let body = work.settlement()?;
        if body.items().is_empty() {
            return None;
        }
        let totals = TAXED_TOTALS.into_iter().chain([tags::TURNOVER_WITHOUT_VAT]);
        match totals.into_iter().find(|tag| body.has(&[*tag])) {
            Some(tag) => body.add_vln(&[tag], HUNDRED_ROUBLES),
            None => body.add_vln(&[tags::VAT_AMOUNTS, tags::VAT_AMOUNT, tags::VAT_SUM], HUNDRED_ROUBLES),
        }
    }),
];

fn is_agent(body: &Body, items: &[Body]) -> bool {
    body.has(&[tags::AGENT]) || items.iter().any(|item| item.has(&[tags::ITEM_AGENT]))
}

/// The report says that the register works without an operator, in every respect.
fn work_without_operator(work: &mut Work<'_>) -> Option<()> {
    let body = work.registration()?;
    body.put(&[tags::OFFLINE_MODE], &[1])?;
    body.put(&[tags::ENCRYPTION_SIGN], &[0])?;
    body.remove(&[tags::OFD_INN])?;
    body.remove(&[tags::OFD_NAME])
}

fn misplaced_vat(work: &mut Work<'_>) -> Option<()> {
    let body = work.settlement()?;
    let items = body.items();
    let block = Body::read(&body.raw(&[tags::VAT_AMOUNTS])?)?;
    let [amount] = <[Body; 1]>::try_from(block.groups(tags::VAT_AMOUNT)).ok()?;
    let sum = amount.number(&[tags::VAT_SUM])?;
    // A few kopecks might be rounding; and an agent settles for somebody else's tax.
    let enough = u64::try_from(items.len()).ok()?;
    if items.is_empty() || sum <= enough || is_agent(body, &items) {
        return None;
    }
    body.remove(&[tags::VAT_AMOUNTS])?;
    if TAXED_TOTALS.iter().any(|tag| body.has(&[*tag])) {
        return Some(());
    }
    body.put(&[tags::VAT_20], &ffd::value::vln_bytes(sum))
}
