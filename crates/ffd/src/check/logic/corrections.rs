//! Corrections (check 21): type and base. Not judged for ФФД 1.0, whose tables leave both to the user.
//!
//! A base (1174) that is missing altogether is a finding of structure; here is judged what it says.

use crate::check::case::Case;
use crate::check::report::{Path, Place, Report};
use crate::dict::{FfdVersion, FormCode};
use crate::document::Node;
use crate::tags;

/// Type of a correction by order of the tax service.
const BY_ORDER: u64 = 1;

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let is_correction = matches!(case.form(), FormCode::RECEIPT_CORRECTION | FormCode::BSO_CORRECTION);
    if !is_correction || case.version == FfdVersion::V1_0 {
        return;
    }
    let place = case.at(tags::CORRECTION_TYPE);
    let kind = case.node(tags::CORRECTION_TYPE);
    match kind.map(|node| node.unsigned()) {
        None => {
            report.add("correction.type", place, || {
                "в чеке коррекции нет типа коррекции (тег 1173)".to_owned()
            });
        }
        Some(Some(kind @ 2..)) => {
            report.add("correction.type", place, || {
                format!("тип коррекции (тег 1173) {kind}: допустимы 0 (самостоятельно) и 1 (по предписанию)")
            });
        }
        Some(_) => {}
    }
    if let Some(base) = case.node(tags::CORRECTION_BASE) {
        let is_by_order = kind.and_then(|node| node.unsigned()) == Some(BY_ORDER);
        inside(base, is_by_order, report);
    }
}

/// What the base says.
fn inside(base: Node<'_>, is_by_order: bool, report: &mut Report<'_>) {
    if !base.is_group() {
        return;
    }
    let has = |tag| base.child(tag).is_some();
    let place = |tag| Place { offset: base.offset, path: Path::top(base.tag).with(tag) };
    if !has(tags::CORRECTION_DATE) {
        report.add("correction.base", place(tags::CORRECTION_DATE), || {
            "в основании для коррекции (тег 1174) нет даты корректируемого расчёта (тег 1178)".to_owned()
        });
    }
    if is_by_order && !has(tags::ORDER_NUMBER) {
        report.add("correction.order", place(tags::ORDER_NUMBER), || {
            "коррекция по предписанию (тег 1173 = 1) без номера предписания (тег 1179)".to_owned()
        });
    }
}
