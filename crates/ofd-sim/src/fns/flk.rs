//! Checks of the format-logic control (ФЛК) that need nothing but the document.
//!
//! Few and honest: what the tax service's known codes say (spec, "How ФНС answers"), by tables of this module and not by
//! [`ffd::check`], which is the operator's control. What needs the registry of registers is in [`super::world`].

use ffd::{Document, FfdVersion, FormCode, tags};

use super::codes::Codes;

/// 2016-09-01 00:00:00, when the first registers of the reform began to send.
const EARLIEST: u32 = 1_472_688_000;
/// How far ahead of our clock a document may be, seconds.
const FUTURE_S: i64 = 24 * 60 * 60;

/// Tags of every form: time, РНМ, numbers of document and ФН, sign.
const COMMON: [u16; 5] = [tags::DATE_TIME, tags::RNM, tags::FD_NUMBER, tags::FN_NUMBER, tags::FISCAL_SIGN];
/// The kinds of payment whose sum is the total.
const PAYMENTS: [u16; 5] = [tags::CASH, tags::CASHLESS, tags::PREPAID, tags::CREDIT, tags::PROVISION];

/// What both generations of the tax service's schema demand of a form (spec, "Fields by document": Mm).
fn mandatory(form: FormCode) -> &'static [u16] {
    match form {
        FormCode::REGISTRATION | FormCode::REGISTRATION_CHANGE => &[tags::KKT_SERIAL, 1189],
        FormCode::SHIFT_OPEN => &[tags::SHIFT_NUMBER],
        FormCode::SHIFT_CLOSE => &[tags::SHIFT_NUMBER, tags::SHIFT_RECEIPTS, tags::SHIFT_DOCUMENTS],
        form if form.is_receipt_like() => {
            &[tags::SHIFT_NUMBER, tags::RECEIPT_NUMBER, tags::OPERATION_TYPE, tags::TOTAL_SUM]
        }
        _ => &[],
    }
}

/// The codes of a document; one from the future is found when our clock, seconds of UTC, is given.
pub(super) fn codes(document: &Document<'_>, now_s: Option<i64>) -> Codes {
    let mut codes = Codes::NONE;
    let form = document.form();
    let of_form = if document.version() == FfdVersion::V1_0 { &[] } else { mandatory(form) };
    if COMMON.iter().chain(of_form).any(|&tag| document.node(tag).is_none()) {
        codes.add(420);
    }
    if let Some(time) = document.time(tags::DATE_TIME).map(ffd::LocalTime::get) {
        if now_s.is_some_and(|now_s| i64::from(time) > now_s.saturating_add(FUTURE_S)) {
            codes.add(502);
        }
        if time < EARLIEST {
            codes.add(503);
        }
    }
    if form.is_receipt_like() && !payments_add_up(document) {
        codes.add(507);
    }
    codes
}

/// A settlement that names no total or no kind of payment says nothing wrong about their sum.
fn payments_add_up(document: &Document<'_>) -> bool {
    let Some(total) = document.unsigned(tags::TOTAL_SUM) else { return true };
    let mut named = PAYMENTS.iter().filter_map(|&tag| document.unsigned(tag)).peekable();
    named.peek().is_none() || named.map(u128::from).sum::<u128>() == u128::from(total)
}
