//! Payments (check 12): the five kinds of payment make up the total, exactly.

use crate::check::case::Case;
use crate::check::report::Report;
use crate::dict::FfdVersion;
use crate::tags;
use crate::value::Kopecks;

const PAYMENTS: [u16; 5] = [tags::CASH, tags::CASHLESS, tags::PREPAID, tags::CREDIT, tags::PROVISION];

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    operation(case, report);
    let Some(total) = case.number(tags::TOTAL_SUM) else { return };
    let mut paid = 0_u128;
    let mut named = 0;
    for tag in PAYMENTS {
        match case.node(tag) {
            Some(node) => {
                let Some(sum) = node.unsigned() else { return };
                paid += u128::from(sum);
                named += 1;
            }
            // Since 1.05 each is mandatory, so its absence is a finding of structure.
            None if case.version != FfdVersion::V1_0 => return,
            None => {}
        }
    }
    if named > 0 && paid != u128::from(total) {
        report.add("sum.payments", case.at(tags::TOTAL_SUM), || {
            let paid = u64::try_from(paid).unwrap_or(u64::MAX);
            format!(
                "сумма расчёта (тег 1020) {} не равна сумме видов оплаты (теги 1031, 1081, 1215, 1216, 1217): {}",
                Kopecks::new(total),
                Kopecks::new(paid)
            )
        });
    }
}

/// Check 10: the kind of settlement.
fn operation(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let Some(code) = case.number(tags::OPERATION_TYPE).filter(|code| !(1..=4).contains(code)) else { return };
    report.add("value.operation", case.at(tags::OPERATION_TYPE), || {
        format!("признак расчёта (тег 1054) {code}: допустимы 1, 2, 3 и 4")
    });
}
