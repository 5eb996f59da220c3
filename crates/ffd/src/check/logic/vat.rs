//! VAT totals of a receipt against its items (checks 15 and 16). Not judged for ФФД 1.0, where VAT stands in the items.
//!
//! Rates 1 to 4 have totals of their own (1102, 1103, 1106, 1107: sums of tax), 5 and 6 have turnovers (1104, 1105), 7
//! to 12 stand in block 1115. VAT may be rounded item by item or on the total, so a total may be off by one kopeck per
//! item of its rate; and turnovers follow the rounding of the receipt as a whole. When an item does not say its rate,
//! nobody knows which total it belongs to, and totals are not judged.

use super::items::{Items, MAX_RATE, WITHOUT_VAT};
use crate::check::case::Case;
use crate::check::report::{Path, Place, Report};
use crate::dict::FfdVersion;
use crate::document::Node;
use crate::tags;
use crate::value::Kopecks;

/// A total of the top level.
struct Total {
    tag: u16,
    rate: usize,
    is_turnover: bool,
}

const TOTALS: [Total; 6] = [
    Total { tag: tags::VAT_20, rate: 1, is_turnover: false },
    Total { tag: tags::VAT_10, rate: 2, is_turnover: false },
    Total { tag: tags::TURNOVER_0, rate: 5, is_turnover: true },
    Total { tag: tags::TURNOVER_WITHOUT_VAT, rate: WITHOUT_VAT, is_turnover: true },
    Total { tag: tags::VAT_20_120, rate: 3, is_turnover: false },
    Total { tag: tags::VAT_10_110, rate: 4, is_turnover: false },
];

/// The first rate whose sums stand in block 1115.
const FIRST_OF_BLOCK: usize = 7;

/// Names of the rates, for people.
const RATES_RU: [&str; MAX_RATE + 1] =
    ["", "20%", "10%", "20/120", "10/110", "0%", "без НДС", "5%", "7%", "5/105", "7/107", "22%", "22/122"];

pub(super) fn check(case: &Case<'_, '_>, items: &Items, report: &mut Report<'_>) {
    if case.version == FfdVersion::V1_0 || items.count == 0 {
        return;
    }
    let Some(block) = Block::read(case) else { return };
    if absent(case, items, &block, report) || items.unknown_rate {
        return;
    }
    let misplaced = rates(case, items, &block, report);
    for total in &TOTALS {
        total_of_rate(case, items, total, misplaced, report);
    }
    for &(rate, sum, place) in &block.sums {
        let of_rate = items.of_rate(rate);
        if let (Some(expected), FIRST_OF_BLOCK..=MAX_RATE) = (of_rate.vat(), rate) {
            compare(rate, Sum { found: sum, expected, tolerance: of_rate.count.into() }, place, report);
        }
    }
}

/// The members of block 1115: rate, sum, place of the sum. One per rate: of several the sums are added.
struct Block {
    is_there: bool,
    sums: Vec<(usize, u128, Place)>,
}

impl Block {
    /// `None` when something in it does not read.
    fn read(case: &Case<'_, '_>) -> Option<Self> {
        let Some(node) = case.node(tags::VAT_AMOUNTS) else {
            return Some(Self { is_there: false, sums: Vec::new() });
        };
        if !node.is_group() {
            return None;
        }
        let mut sums: Vec<(usize, u128, Place)> = Vec::new();
        for member in node.children().filter(|member| member.tag == tags::VAT_AMOUNT) {
            let sum = member.child(tags::VAT_SUM)?;
            let rate = usize::try_from(member.child(tags::VAT_RATE).and_then(Node::unsigned)?).ok()?;
            let kopecks = u128::from(sum.unsigned()?);
            match sums.iter_mut().find(|(of, ..)| *of == rate) {
                Some((_, total, _)) => *total += kopecks,
                // An unknown rate is a finding of its list.
                None if rate > MAX_RATE => {}
                None => {
                    let path = Path::top(node.tag).with(member.tag).with(sum.tag);
                    sums.push((rate, kopecks, Place { offset: sum.offset, path }));
                }
            }
        }
        Some(Self { is_there: true, sums })
    }

    fn holds(&self, rate: usize) -> bool {
        self.sums.iter().any(|&(of, ..)| of == rate)
    }
}

/// Whether the receipt or one of its items is sold by an agent, who settles for somebody else's tax.
fn is_agent(case: &Case<'_, '_>, items: &Items) -> bool {
    items.agent != 0 || case.number(tags::AGENT).is_some_and(|mask| mask != 0)
}

/// Check 15, first half: taxed items and not a single total.
fn absent(case: &Case<'_, '_>, items: &Items, block: &Block, report: &mut Report<'_>) -> bool {
    let is_taxed = |rate: usize| {
        let of_rate = items.of_rate(rate);
        of_rate.count > 0 && (rate == 5 || of_rate.vat() != Some(0))
    };
    let mut totals = TOTALS.iter().filter(|total| total.rate != WITHOUT_VAT);
    let has_total = block.is_there || totals.any(|total| case.node(total.tag).is_some());
    let is_absent = !has_total && (1..=MAX_RATE).any(|rate| rate != WITHOUT_VAT && is_taxed(rate));
    if is_absent && !is_agent(case, items) {
        let place = Place { offset: 0, path: Path::top(tags::VAT_20) };
        report.add("vat.absent", place, || {
            "предметы расчёта облагаются НДС, а в чеке нет ни одного его итога (теги 1102, 1103, 1104, 1106, 1107, 1115)"
                .to_owned()
        });
    }
    is_absent
}

/// Check 16: rates of the block that stand elsewhere or nowhere. Says whether there are any.
fn rates(case: &Case<'_, '_>, items: &Items, block: &Block, report: &mut Report<'_>) -> bool {
    let mut misplaced = false;
    for rate in FIRST_OF_BLOCK..=MAX_RATE {
        let of_rate = items.of_rate(rate);
        let is_nothing = of_rate.vat().is_some_and(|vat| vat <= of_rate.count.into());
        if of_rate.count > 0 && !is_nothing && !block.holds(rate) {
            misplaced = true;
            report.add("vat.rates", case.at(tags::VAT_AMOUNTS), || {
                let name = RATES_RU.get(rate).copied().unwrap_or_default();
                format!(
                    "в чеке есть предметы расчёта по ставке НДС {name}, а её суммы нет в реквизите «Суммы НДС чека» \
                     (тег 1115)"
                )
            });
        }
    }
    misplaced
}

/// Check 15, second half: one total of the top level.
fn total_of_rate(
    case: &Case<'_, '_>,
    items: &Items,
    total: &Total,
    misplaced: bool,
    report: &mut Report<'_>,
) {
    let of_rate = items.of_rate(total.rate);
    let expected = if total.is_turnover { of_rate.turnover() } else { of_rate.vat() };
    let Some(expected) = expected else { return };
    let rounded = if total.is_turnover { rounding(case, items) } else { 0 };
    let tolerance = u128::from(of_rate.count) + rounded;
    let found = match case.node(total.tag) {
        Some(node) => {
            let Some(found) = node.unsigned() else { return };
            u128::from(found)
        }
        // Genuine receipts leave the turnover without VAT out.
        None if total.rate == WITHOUT_VAT => return,
        None if is_agent(case, items) => return,
        None => 0,
    };
    // The tax of a rate of the block stands here, which has been said.
    if misplaced && of_rate.count == 0 {
        return;
    }
    compare(total.rate, Sum { found, expected, tolerance }, case.at(total.tag), report);
}

/// How far the receipt was rounded as a whole: less than a rouble.
fn rounding(case: &Case<'_, '_>, items: &Items) -> u128 {
    let total = case.number(tags::TOTAL_SUM).map(u128::from);
    let rounding = total.zip(items.cost()).map(|(total, cost)| total.abs_diff(cost));
    rounding.filter(|&rounding| rounding < 100).unwrap_or_default()
}

/// A sum of VAT as it stands and as the items make it, kopecks.
struct Sum {
    found: u128,
    expected: u128,
    tolerance: u128,
}

fn compare(rate: usize, sum: Sum, place: Place, report: &mut Report<'_>) {
    if sum.found.abs_diff(sum.expected) <= sum.tolerance {
        return;
    }
    report.add("vat.totals", place, || {
        let shown = |sum: u128| Kopecks::new(u64::try_from(sum).unwrap_or(u64::MAX));
        format!(
            "итог чека по ставке НДС «{}» {} не сходится с предметами расчёта: {}",
            RATES_RU.get(rate).copied().unwrap_or_default(),
            shown(sum.found),
            shown(sum.expected)
        )
    });
}
