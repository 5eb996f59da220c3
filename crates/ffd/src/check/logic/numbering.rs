//! Numbering (checks 19 and 21e): documents, shifts and receipts counted against what is remembered of the ФН.
//!
//! A document that is not younger than everything known is not counted. Shifts and receipts are only counted from the
//! document directly before: after a gap nobody knows which shift came to an end in it.

use crate::check::case::Case;
use crate::check::register::RegisterState;
use crate::check::report::Report;
use crate::dict::FormCode;
use crate::tags;

/// The longest shift, seconds: a day.
const LONGEST_SHIFT_S: u32 = 24 * 60 * 60;

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    documents(case, report);
    if let Some(register) = case.directly_before() {
        shift(case, register, report);
        receipt(case, register, report);
        shift_length(case, register, report);
    }
}

fn documents(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let (Some((register, last)), Some(fd)) = (case.before(), case.fd) else { return };
    let gap = u64::from(fd - last - 1);
    if case.form() == FormCode::FN_CLOSE {
        let missing = gap + register.missing();
        if missing > 0 {
            report.add("closing.unacknowledged", case.at(tags::FD_NUMBER), || {
                format!("отчёт о закрытии ФН пришёл, хотя не хватает документов: {missing}")
            });
        }
    } else if gap > 0 {
        report.add("numbering.document", case.at(tags::FD_NUMBER), || {
            format!("номер ФД (тег 1040) {fd} идёт после {last}: пропущено документов: {gap}")
        });
    }
}

/// Whether a form belongs into a shift.
fn is_of_shift(form: FormCode) -> bool {
    form.is_receipt_like() || form == FormCode::SHIFT_CLOSE
}

fn shift(case: &Case<'_, '_>, register: &RegisterState, report: &mut Report<'_>) {
    let shift = &register.shift;
    let place = case.at(tags::SHIFT_NUMBER);
    let is_opening = case.form() == FormCode::SHIFT_OPEN;
    if !is_opening && !is_of_shift(case.form()) {
        return;
    }
    let Some(is_open) = shift.is_open else { return };
    if is_open == is_opening {
        report.add("numbering.shift-closed", place, || match (is_opening, shift.number) {
            (true, _) => "смена открыта, хотя предыдущая не закрыта".to_owned(),
            (false, Some(closed @ 1..)) => format!("документ пробит вне смены: смена {closed} закрыта"),
            (false, _) => "документ пробит до открытия смены".to_owned(),
        });
        return;
    }
    let (Some(last), Some(number)) = (shift.number, case.number(tags::SHIFT_NUMBER)) else { return };
    let expected = if is_opening { last.saturating_add(1) } else { last };
    if number != expected {
        report.add("numbering.shift", place, || {
            format!("номер смены (тег 1038) {number}, по предыдущему документу должен быть {expected}")
        });
    }
}

fn receipt(case: &Case<'_, '_>, register: &RegisterState, report: &mut Report<'_>) {
    let shift = &register.shift;
    if !case.form().is_receipt_like() || shift.is_open != Some(true) {
        return;
    }
    let (Some(last), Some(number)) = (shift.last_receipt, case.number(tags::RECEIPT_NUMBER)) else { return };
    let expected = last.saturating_add(1);
    if number != expected {
        report.add("numbering.receipt", case.at(tags::RECEIPT_NUMBER), || {
            format!(
                "номер чека за смену (тег 1042) {number}, по предыдущему документу должен быть {expected}"
            )
        });
    }
}

/// Receipts alone: an overlong shift can still be closed.
fn shift_length(case: &Case<'_, '_>, register: &RegisterState, report: &mut Report<'_>) {
    let (Some(opened), Some(time)) = (register.shift.opened_at, case.time()) else { return };
    let is_open = register.shift.is_open == Some(true);
    if is_open && case.form().is_receipt_like() && time > opened.saturating_add(LONGEST_SHIFT_S) {
        report.add("numbering.shift-length", case.at(tags::DATE_TIME), || {
            let passed = time - opened;
            let (hours, minutes, seconds) = (passed / 3600, passed / 60 % 60, passed % 60);
            format!(
                "чек пробит через {hours} ч {minutes} мин {seconds} с после открытия смены, смена длится не более 24 ч"
            )
        });
    }
}
