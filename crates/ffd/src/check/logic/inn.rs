//! Taxpayer numbers (checks 6 and 7): how they are written, and their check digits.
//!
//! Twelve zeros mean «нет ИНН» and are right for a cashier, a buyer, a supplier without a Russian number (letter of the
//! tax service of 2020-11-25 АБ-4-20/19338@), and for the operator of a register that works without one. Genuine
//! documents of tests carry wrong check digits, so those only warn. A blank number of a supplier or of an operator of a
//! transfer is no number at all.

use crate::check::case::{Case, is_blank};
use crate::check::report::{Path, Place, Report};
use crate::document::Node;
use crate::ids::Inn;
use crate::tags;
use crate::text::bytes_ru;

/// The longest number, bytes.
const MAX_LEN: usize = 12;

/// A requisite that holds an ИНН.
struct Requisite {
    tag: u16,
    /// Whose number, in the genitive.
    whose: &'static str,
    format: &'static str,
    zeros: Zeros,
    has_digits_rule: bool,
    /// Whether one that is too long is said here, else by structure.
    has_length_rule: bool,
    may_be_blank: bool,
}

/// Where twelve zeros are right.
#[derive(Clone, Copy, PartialEq)]
enum Zeros {
    Never,
    Always,
    Offline,
}

const OPERATOR: Requisite = Requisite {
    tag: tags::OFD_INN,
    whose: "ОФД",
    format: "inn.format",
    zeros: Zeros::Offline,
    has_digits_rule: true,
    has_length_rule: false,
    may_be_blank: false,
};
const USER: Requisite = Requisite {
    tag: tags::USER_INN,
    whose: "пользователя",
    format: "inn.format",
    zeros: Zeros::Never,
    has_digits_rule: true,
    has_length_rule: false,
    may_be_blank: false,
};
const CASHIER: Requisite = Requisite {
    tag: tags::CASHIER_INN,
    whose: "кассира",
    format: "inn.person",
    zeros: Zeros::Always,
    has_digits_rule: true,
    has_length_rule: true,
    may_be_blank: false,
};
const BUYER: Requisite = Requisite {
    tag: tags::BUYER_INN,
    whose: "покупателя",
    format: "inn.person",
    zeros: Zeros::Always,
    has_digits_rule: true,
    has_length_rule: false,
    may_be_blank: false,
};
const SUPPLIER: Requisite = Requisite {
    tag: tags::SUPPLIER_INN,
    whose: "поставщика",
    format: "inn.format",
    zeros: Zeros::Always,
    has_digits_rule: true,
    has_length_rule: false,
    may_be_blank: true,
};
const TRANSFER: Requisite = Requisite {
    tag: tags::TRANSFER_OPERATOR_INN,
    whose: "оператора перевода",
    format: "inn.format",
    zeros: Zeros::Always,
    has_digits_rule: false,
    has_length_rule: false,
    may_be_blank: true,
};

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    for requisite in [&OPERATOR, &USER, &CASHIER, &BUYER] {
        if let Some(node) = case.node(requisite.tag)
            && !report.is_judged(node.tag)
        {
            requisite.check(case, node, case.at(requisite.tag), report);
        }
    }
    // Several banks may take part in one transfer.
    for node in case.doc.nodes_of(TRANSFER.tag) {
        TRANSFER.check(case, node, Place { offset: node.offset, path: Path::top(node.tag) }, report);
    }
    if let Some(buyer) = case.node(tags::BUYER) {
        BUYER.check_inside(case, buyer, case.at(buyer.tag), report);
    }
    for goods in case.doc.nodes_of(tags::MARKED_GOODS) {
        let place = Path::top(goods.tag);
        for child in goods.children() {
            check_item(case, child, Place { offset: child.offset, path: place.with(child.tag) }, report);
        }
    }
}

/// The numbers inside an item, or inside a line of a notification.
pub(super) fn check_item(case: &Case<'_, '_>, child: Node<'_>, here: Place, report: &mut Report<'_>) {
    match child.tag {
        tags::SUPPLIER_INN => SUPPLIER.check(case, child, here, report),
        tags::AGENT_DATA => TRANSFER.check_inside(case, child, here, report),
        _ => {}
    }
}

impl Requisite {
    fn check_inside(&self, case: &Case<'_, '_>, group: Node<'_>, place: Place, report: &mut Report<'_>) {
        for node in group.children().filter(|node| node.tag == self.tag) {
            let here = Place { offset: node.offset, path: place.path.with(node.tag) };
            self.check(case, node, here, report);
        }
    }

    fn check(&self, case: &Case<'_, '_>, node: Node<'_>, here: Place, report: &mut Report<'_>) {
        if !node.is_text() {
            return;
        }
        let is_long = node.raw.len() > MAX_LEN;
        if is_long && !self.has_length_rule || self.may_be_blank && is_blank(node) {
            return;
        }
        let inn = Inn::from_padded(node.raw).ok().filter(|_| !is_long);
        if inn.is_some_and(|inn| inn.is_absent()) && self.admits_zeros(case) {
            return;
        }
        let Some(inn) = inn.filter(|inn| !inn.as_str().starts_with("00")) else {
            report.add(self.format, here, || {
                // A text may be as long as the document; nobody reads that.
                let shown = if is_long {
                    format!("длиной {}", bytes_ru(node.raw.len()))
                } else {
                    format!("«{}»", node.text().unwrap_or_default())
                };
                format!(
                    "ИНН {} (тег {}) {shown}: нужно 10 или 12 цифр, первые две — не 00",
                    self.whose, self.tag
                )
            });
            return;
        };
        if self.has_digits_rule && !inn.check_digits_ok() {
            report.add("inn.digits", here, || {
                format!("ИНН {} (тег {}) {inn}: контрольные цифры не сходятся", self.whose, self.tag)
            });
        }
    }

    fn admits_zeros(&self, case: &Case<'_, '_>) -> bool {
        match self.zeros {
            Zeros::Never => false,
            Zeros::Always => true,
            Zeros::Offline => case.number(tags::OFFLINE_MODE) == Some(1),
        }
    }
}
