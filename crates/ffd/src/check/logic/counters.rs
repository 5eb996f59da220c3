//! Counters of reports (FFD order, section on counters): parts and wholes of each block, totals of the shift and of the
//! ФН against what came before.
//!
//! Tax in counters is not compared: no source says where the rates of 2025 and 2026 are counted.

use crate::check::case::Case;
use crate::check::register::{OPERATIONS, RegisterState, ShiftSums, Totals};
use crate::check::report::{Path, Place, Report};
use crate::dict::{FormCode, ValueKind};
use crate::document::Node;
use crate::tags;
use crate::tlv::MAX_DEPTH;
use crate::value::Kopecks;

/// The parts of a block's total (1201).
const PARTS: [u16; 5] =
    [tags::BLOCK_CASH, tags::BLOCK_CASHLESS, tags::BLOCK_PREPAID, tags::BLOCK_CREDIT, tags::BLOCK_PROVISION];

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    for tag in [tags::FN_TOTALS, tags::UNSENT_TOTALS, tags::SHIFT_TOTALS] {
        if let Some(node) = case.node(tag) {
            blocks(node, case.at(tag), 0, report);
        }
    }
    decrease(case, report);
    if case.form() == FormCode::SHIFT_CLOSE
        && let Some(register) = case.directly_before()
    {
        documents(case, register, report);
        if let Some(sums) = &register.shift.sums {
            receipts(case, sums, report);
            shift(case, sums, report);
        }
    }
}

/// Each block's total is the sum of its parts. A block that leaves a part out says nothing.
fn blocks(group: Node<'_>, place: Place, depth: usize, report: &mut Report<'_>) {
    if depth > MAX_DEPTH {
        return;
    }
    let mut parts = [None; PARTS.len()];
    let mut total = None;
    for node in group.children() {
        let here = Place { offset: node.offset, path: place.path.with(node.tag) };
        if node.def.is_some_and(|def| def.kind == ValueKind::Group) {
            blocks(node, here, depth + 1, report);
        } else if node.tag == tags::BLOCK_TOTAL {
            total = node.unsigned().map(|number| (number, here));
        } else if let Some(part) =
            PARTS.iter().position(|&tag| tag == node.tag).and_then(|at| parts.get_mut(at))
        {
            *part = node.unsigned();
        }
    }
    let sum = parts.iter().try_fold(0_u128, |sum, part| part.map(|part: u64| sum + u128::from(part)));
    let (Some((total, here)), Some(sum)) = (total, sum) else { return };
    if u128::from(total) != sum {
        report.add("counters.block", here, || {
            format!(
                "общая сумма (тег 1201) {} в реквизите {} не равна сумме видов оплаты: {}",
                Kopecks::new(total),
                group.tag,
                Kopecks::new(u64::try_from(sum).unwrap_or(u64::MAX))
            )
        });
    }
}

/// Totals of the ФН only grow.
fn decrease(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let Some(node) = case.node(tags::FN_TOTALS) else { return };
    let Some(before) = case.before().and_then(|(register, _)| register.totals.as_ref()) else { return };
    let now = Totals::read(node);
    for ((now, before), (group, tag)) in now.numbers().zip(before.numbers()).zip(Totals::PATHS) {
        let (Some(now), Some(before)) = (now, before) else { continue };
        if now < before {
            let path = group.map_or(Path::top(node.tag), |group| Path::top(node.tag).with(group)).with(tag);
            report.add("counters.decrease", Place { offset: node.offset, path }, || {
                format!("итог ФН (тег {tag} в {}) уменьшился: {now}, был {before}", group.unwrap_or(node.tag))
            });
        }
    }
}

/// Documents of the shift, opening and closing included.
fn documents(case: &Case<'_, '_>, register: &RegisterState, report: &mut Report<'_>) {
    let (Some(opened), Some(fd)) = (register.shift.opened_fd, case.fd) else { return };
    let expected = u64::from(fd.saturating_sub(opened)) + 1;
    if let Some(found) = case.number(tags::SHIFT_DOCUMENTS).filter(|&found| found != expected) {
        report.add("counters.documents", case.at(tags::SHIFT_DOCUMENTS), || {
            format!("количество ФД за смену (тег 1111) {found}, пришло документов: {expected}")
        });
    }
}

fn receipts(case: &Case<'_, '_>, sums: &ShiftSums, report: &mut Report<'_>) {
    let expected = sums.count();
    if let Some(found) = case.number(tags::SHIFT_RECEIPTS).filter(|&found| found != expected) {
        report.add("counters.receipts", case.at(tags::SHIFT_RECEIPTS), || {
            format!("количество чеков за смену (тег 1118) {found}, пришло чеков: {expected}")
        });
    }
}

/// Totals of the shift: counts and sums of each operation, plain and corrected.
fn shift(case: &Case<'_, '_>, sums: &ShiftSums, report: &mut Report<'_>) {
    let Some(totals) = case.node(tags::SHIFT_TOTALS) else { return };
    let place = Place { offset: totals.offset, path: Path::top(totals.tag) };
    compare(totals, [(tags::ALL_COUNT, sums.count())], place, report);
    for (operation, block) in OPERATIONS.iter().zip(&sums.receipts) {
        if let Some(group) = totals.child(operation.receipts) {
            let here = Place { offset: group.offset, path: place.path.with(group.tag) };
            compare(group, block.members(), here, report);
        }
    }
    let Some(corrections) = totals.child(tags::CORRECTION_COUNTERS) else { return };
    let place = Place { offset: corrections.offset, path: place.path.with(corrections.tag) };
    compare(corrections, [(tags::CORRECTION_COUNT, sums.correction_count())], place, report);
    for (operation, block) in OPERATIONS.iter().zip(&sums.corrections) {
        if let Some(group) = corrections.child(operation.corrections) {
            let here = Place { offset: group.offset, path: place.path.with(group.tag) };
            compare(group, block.members(), here, report);
        }
    }
}

/// Members of a group against what they should hold; those that are not there say nothing.
fn compare<const N: usize>(group: Node<'_>, members: [(u16, u64); N], place: Place, report: &mut Report<'_>) {
    for (tag, expected) in members {
        let Some(found) = group.child(tag).and_then(Node::unsigned).filter(|&found| found != expected) else {
            continue;
        };
        report.add("counters.shift", Place { path: place.path.with(tag), ..place }, || {
            let shown = |number| match tag {
                tags::ALL_COUNT | tags::BLOCK_COUNT | tags::CORRECTION_COUNT => u64::to_string(&number),
                _ => Kopecks::new(number).to_string(),
            };
            format!(
                "итог смены (тег {tag} в {}) {} не равен сумме чеков смены: {}",
                group.tag,
                shown(found),
                shown(expected)
            )
        });
    }
}
