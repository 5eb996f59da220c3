//! What the registration allows to a receipt, and items that exclude each other (check 21c).

use super::items::Items;
use crate::check::case::Case;
use crate::check::report::{Path, Place, Report};
use crate::tags;

/// Most items with a product code or a supplier in a receipt of a register without an operator.
const MAX_CODED_OFFLINE: u64 = 10;

pub(super) fn check(case: &Case<'_, '_>, items: &Items, report: &mut Report<'_>) {
    if let Some(place) = items.credit.filter(|_| items.count > 1) {
        report.add("receipt.credit", place, || {
            format!(
                "оплата кредита (тег 1214 = 7) должна быть единственным предметом расчёта, а их {}",
                items.count
            )
        });
    }
    let Some(registration) = case.registration() else { return };
    if let Some(registered) = registration.agent {
        agent(case, items, registered, report);
    }
    if let (Some(place), Some(false)) = (items.excise, registration.excise) {
        report.add("receipt.excise", place, || {
            "в чеке подакцизный товар (тег 1212), а торговля подакцизными товарами не зарегистрирована (тег 1207)"
                .to_owned()
        });
    }
    if registration.offline == Some(true) && items.coded > MAX_CODED_OFFLINE {
        let place = Place { offset: 0, path: Path::top(tags::ITEM) };
        report.add("receipt.offline-items", place, || {
            format!(
                "в чеке автономной кассы {} предметов расчёта с кодом товара (тег 1162) или ИНН поставщика (тег 1226), \
                 допустимо {MAX_CODED_OFFLINE}",
                items.coded
            )
        });
    }
}

/// Bits of agents that the registration report does not have.
fn agent(case: &Case<'_, '_>, items: &Items, registered: u64, report: &mut Report<'_>) {
    let receipt = case.number(tags::AGENT).unwrap_or_default();
    let unregistered = (receipt | items.agent) & !registered;
    if unregistered == 0 {
        return;
    }
    let of_receipt = (receipt & !registered != 0).then(|| case.at(tags::AGENT));
    let place = of_receipt.or(items.agent_place).unwrap_or(case.at(tags::AGENT));
    report.add("receipt.agent", place, || {
        format!(
            "признак агента {unregistered:#04x} (теги 1057, 1222) не указан при регистрации (тег 1057): {registered:#04x}"
        )
    });
}
