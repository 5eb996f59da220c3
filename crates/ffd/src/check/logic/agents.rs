//! What the registration allows to a receipt, and items that exclude each other (check 21c).

use super::items::Items;
use crate::check::case::{Case, is_blank};
use crate::check::report::{Path, Place, Report};
use crate::dict::FfdVersion;
use crate::document::Node;
use crate::tags;
use crate::text::plural;

/// Most items with a product code or a supplier in a receipt of a register without an operator.
const MAX_CODED_OFFLINE: u64 = 10;

/// What a receipt says of an agent or of those he settles for, beside the sign (1057): address, ИНН and name of the
/// operator of the transfer, operation, phones of agent, of operators and of the supplier.
const AGENT_TAGS: [u16; 8] = [1005, tags::TRANSFER_OPERATOR_INN, 1026, 1044, 1073, 1074, 1075, 1171];

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
            let sign = if case.version == FfdVersion::V1_2 { "бит 6 тега 1290" } else { "тег 1207" };
            format!(
                "в чеке подакцизный товар (тег 1212), а торговля подакцизными товарами не зарегистрирована ({sign})"
            )
        });
    }
    if registration.offline == Some(true) && items.coded > MAX_CODED_OFFLINE {
        let place = Place { offset: 0, path: Path::top(tags::ITEM) };
        report.add("receipt.offline-items", place, || {
            let count = usize::try_from(items.coded).unwrap_or(usize::MAX);
            format!(
                "в чеке автономной кассы {count} {} расчёта с кодом товара (тег 1162) или ИНН поставщика (тег 1226), \
                 допустимо не более {MAX_CODED_OFFLINE}",
                plural(count, ["предмет", "предмета", "предметов"])
            )
        });
    }
}

/// Bits of agents that the registration report does not have; and when it has none at all, what only an agent says.
fn agent(case: &Case<'_, '_>, items: &Items, registered: u64, report: &mut Report<'_>) {
    let receipt = case.number(tags::AGENT).unwrap_or_default();
    let unregistered = (receipt | items.agent) & !registered;
    if unregistered == 0 {
        if registered == 0 {
            without_sign(case, items, report);
        }
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

/// What only an agent says, without the sign of one.
fn without_sign(case: &Case<'_, '_>, items: &Items, report: &mut Report<'_>) {
    let said = AGENT_TAGS.into_iter().filter(|_| has_no_sign(case.node(tags::AGENT)));
    let said = said.filter_map(|tag| case.node(tag)).find(|node| !is_blank(*node));
    let of_receipt = said.map(|node| (node.tag, case.at(node.tag)));
    let of_item = items.agent_data.map(|place| (tags::AGENT_DATA, place));
    if let Some((tag, place)) = of_receipt.or(of_item) {
        report.add("receipt.agent", place, || {
            format!(
                "в чеке реквизит агента (тег {tag}), а признак агента при регистрации не указан (тег 1057)"
            )
        });
    }
}

/// Whether a sign of an agent (1057, 1222) is missing or says that there is none. One that does not read says nothing.
pub(super) fn has_no_sign(sign: Option<Node<'_>>) -> bool {
    sign.is_none_or(|sign| sign.unsigned() == Some(0))
}
