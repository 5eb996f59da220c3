//! Sums (check 11): the items make up the total in whole roubles.
//!
//! Kopecks are dropped on both sides before comparing: a receipt may be rounded as a whole, and genuine ones are.

use super::items::Items;
use crate::check::case::Case;
use crate::check::report::Report;
use crate::dict::FfdVersion;
use crate::tags;
use crate::value::Kopecks;

pub(super) fn check(case: &Case<'_, '_>, items: &Items, report: &mut Report<'_>) {
    // Discounts and reversed items of ФФД 1.0 stand beside the items.
    let has_others = case.version == FfdVersion::V1_0
        && (case.node(tags::DISCOUNT).is_some() || case.node(tags::REVERSED_ITEM).is_some());
    if items.count == 0 || has_others {
        return;
    }
    let (Some(cost), Some(total)) = (items.cost(), case.number(tags::TOTAL_SUM)) else { return };
    if cost / 100 != u128::from(Kopecks::new(total).whole_roubles()) {
        report.add("sum.items", case.at(tags::TOTAL_SUM), || {
            let cost = u64::try_from(cost).unwrap_or(u64::MAX);
            format!(
                "сумма расчёта (тег 1020) {} не равна сумме предметов расчёта (теги 1043) в целых рублях: {}",
                Kopecks::new(total),
                Kopecks::new(cost)
            )
        });
    }
}
