//! Registration number of the register (check 8): its checksum over owner and serial number.
//!
//! Judged in registration reports alone: only they carry the serial number (1013) the checksum was made of, and every
//! later document is held against the report by `registration.user`. Not judged for storages of tests.

use crate::check::case::Case;
use crate::check::report::Report;
use crate::ids::{Rnm, RnmCheck};
use crate::tags;

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    if !case.form().is_registration() || case.is_debug_fn() || report.is_judged(tags::RNM) {
        return;
    }
    let (Some(node), Some(inn), Some(serial)) =
        (case.node(tags::RNM), case.text(tags::USER_INN), case.text(tags::KKT_SERIAL))
    else {
        return;
    };
    let place = case.at(tags::RNM);
    let Ok(rnm) = Rnm::from_padded(node.raw) else {
        report.add("rnm.checksum", place, || {
            let text = node.text().unwrap_or_default();
            format!("регистрационный номер ККТ (тег 1037) «{text}»: нужно 16 цифр")
        });
        return;
    };
    if let RnmCheck::Mismatch { expected } = rnm.verify(&inn, &serial) {
        report.add("rnm.checksum", place, || {
            format!(
                "контрольное число регистрационного номера ККТ (тег 1037) {rnm} не сходится с ИНН {inn} и заводским \
                 номером {serial}: нужно {expected:06}"
            )
        });
    }
}
