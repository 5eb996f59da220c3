//! Registration: what a registration report must say (checks 21a, 21b), and whether other documents say the same
//! (checks 10, 17, 20); the time zone of a notification (check 22).

use crate::check::case::Case;
use crate::check::register::Registration;
use crate::check::report::{Place, Report};
use crate::dict::{FfdVersion, FormCode};
use crate::ids::Inn;
use crate::tags;
use crate::value::cp866;

/// Reason «замена ФН»: tag 1101.
const FN_REPLACED_CODE: u64 = 1;
/// The same: bit of tag 1205.
const FN_REPLACED_BIT: u64 = 1;

/// When notifications got their time zone and receipt number: 2025-09-01 00:00 of the till's clock.
const ZONE_SINCE: u32 = 1_756_684_800;

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    taxation(case, report);
    if case.form().is_registration() {
        operator(case, report);
        modes(case, report);
        first(case, report);
        return;
    }
    if let Some(registration) = case.registration().filter(|_| case.form() != FormCode::OPERATOR_ACK) {
        same(case, registration, report);
    }
    notification(case, report);
}

/// Check 10: one system of taxation, known and registered.
fn taxation(case: &Case<'_, '_>, report: &mut Report<'_>) {
    /// All systems there are: bits 0 to 5, and 6 for «АУСН».
    const KNOWN: u64 = 0x7F;
    let Some(mask) = case.number(tags::APPLIED_TAXATION) else { return };
    let place = case.at(tags::APPLIED_TAXATION);
    if mask.count_ones() != 1 || mask & KNOWN != mask {
        report.add("value.taxation", place, || {
            format!(
                "применяемая система налогообложения (тег 1055) {mask:#04x}: нужна ровно одна из известных"
            )
        });
        return;
    }
    let registered = case.registration().and_then(|registration| registration.taxation);
    if let Some(registered) = registered.filter(|registered| registered & mask == 0) {
        report.add("value.taxation-registered", place, || {
            format!(
                "применяемая система налогообложения (тег 1055) {mask:#04x} не входит в зарегистрированные \
                 (тег 1062): {registered:#04x}"
            )
        });
    }
}

/// Check 20: the operator that a report names is us.
fn operator(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let Some(ours) = case.operator_inn else { return };
    let named = case.node(tags::OFD_INN).and_then(|node| Inn::from_padded(node.raw).ok());
    if let Some(named) = named.filter(|named| !named.is_absent() && *named != ours) {
        report.add("registration.operator", case.at(tags::OFD_INN), || {
            format!("ИНН ОФД (тег 1017) {named} — не наш: {ours}")
        });
    }
}

/// Check 21a: what the modes of a register demand.
fn modes(case: &Case<'_, '_>, report: &mut Report<'_>) {
    if case.number(tags::AUTO_MODE) == Some(1) && case.node(tags::AUTOMAT_NUMBER).is_none() {
        report.add("report.automat", case.at(tags::AUTOMAT_NUMBER), || {
            "касса стоит в автомате (тег 1001), а номер автомата (тег 1036) не указан".to_owned()
        });
    }
    let operator = case.node(tags::OFD_INN);
    let has_operator =
        operator.and_then(|node| node.text()).map(|text| !text.trim_matches(['0', ' ']).is_empty());
    match case.number(tags::OFFLINE_MODE) {
        Some(0) => {
            // Twelve zeros are no format of an operator's number here, which `inn.format` says.
            if operator.is_none() {
                report.add("report.online", case.at(tags::OFD_INN), || {
                    "касса передаёт данные (тег 1002 = 0), а ИНН ОФД (тег 1017) не указан".to_owned()
                });
            }
            if case.version != FfdVersion::V1_0 && case.node(tags::OFD_NAME).is_none() {
                report.add("report.online", case.at(tags::OFD_NAME), || {
                    "касса передаёт данные (тег 1002 = 0), а наименование ОФД (тег 1046) не указано"
                        .to_owned()
                });
            }
        }
        Some(1) => {
            if case.number(tags::ENCRYPTION_SIGN).is_some_and(|sign| sign != 0) {
                report.add("report.offline", case.at(tags::ENCRYPTION_SIGN), || {
                    "касса автономна (тег 1002 = 1), а признак шифрования (тег 1056) не равен 0".to_owned()
                });
            }
            if has_operator == Some(true) {
                report.add("report.offline", case.at(tags::OFD_INN), || {
                    "касса автономна (тег 1002 = 1), а ИНН ОФД (тег 1017) указан".to_owned()
                });
            }
        }
        _ => {}
    }
}

/// Check 21b: which reports are the first documents of their storage.
fn first(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let is_new_fn = case.form() == FormCode::REGISTRATION
        || case.number(tags::REASON_MASK).is_some_and(|mask| mask & FN_REPLACED_BIT != 0)
        || case.doc.nodes_of(tags::REASON_CODE).any(|node| node.unsigned() == Some(FN_REPLACED_CODE));
    if let Some(fd) = case.fd.filter(|&fd| is_new_fn && fd != 1) {
        report.add("report.first", case.at(tags::FD_NUMBER), || {
            format!("отчёт о регистрации на новом ФН имеет номер ФД (тег 1040) {fd}, должен быть 1")
        });
    }
}

/// Checks 17 and 20: who and where, as the last report says. What a document leaves out is not compared.
fn same(case: &Case<'_, '_>, registration: &Registration, report: &mut Report<'_>) {
    let compared = [
        ("registration.user", tags::USER_INN, "ИНН пользователя", &registration.user_inn),
        ("registration.user", tags::RNM, "регистрационный номер ККТ", &registration.rnm),
        ("registration.place", tags::ADDRESS, "адрес расчётов", &registration.address),
        ("registration.place", tags::PLACE, "место расчётов", &registration.place),
    ];
    for (rule, tag, name, registered) in compared {
        // A settlement over the internet names the site as its place.
        if tag == tags::PLACE && case.number(tags::INTERNET_PAYMENT) == Some(1) {
            continue;
        }
        let (Some(text), Some(registered)) = (case.raw_text(tag), registered) else { continue };
        if text != &**registered && !report.is_judged(tag) {
            report.add(rule, case.at(tag), || {
                let (text, registered) = (cp866::decode(text), cp866::decode(registered));
                format!(
                    "{name} (тег {tag}) не совпадает с отчётом о регистрации: «{text}», а в отчёте «{registered}»"
                )
            });
        }
    }
}

/// Check 22: a notification about marked goods says its time zone and its receipt.
fn notification(case: &Case<'_, '_>, report: &mut Report<'_>) {
    const NOTIFICATION: FormCode = FormCode(82);
    if case.form() != NOTIFICATION || case.time().is_none_or(|time| time < ZONE_SINCE) {
        return;
    }
    for (tag, name) in [(tags::TIME_ZONE, "часовая зона"), (tags::RECEIPT_FD, "номер ФД кассового чека")]
    {
        if case.node(tag).is_none() {
            let place = Place { offset: 0, ..case.at(tag) };
            report.add("notification.zone", place, || {
                format!("в уведомлении о реализации не указан реквизит «{name}» (тег {tag})")
            });
        }
    }
}
