//! Structure: what the tables of the dictionary say about a form, held against the tree (checks 1 and 2 of the
//! operator).
//!
//! The walk looks at every record once. What a form declares was laid out beforehand ([`plan`]); a group the form does
//! not declare is one finding and is not entered. A record that does not read gives one finding and nothing follows
//! from it.
//!
//! What sources disagree about or do not give at all is never more than a warning: the length of a group beside that of
//! its members (no finding at all), types that were inferred, fields that only one source demands.

mod conditional;
mod plan;
mod value;

use super::report::{Path, Place, Report};
use crate::check::case::{Case, is_blank};
use crate::dict::FfdVersion;
use crate::document::{Content, Node, Nodes};
use crate::tags;
use crate::text::bytes_ru;
use plan::{FormPlan, ParentPlan};

/// Tags that the tables make mandatory and genuine documents lack: never demanded (measured on genuine receipts).
pub(super) const NEVER_DEMANDED: [u16; 9] = [1021, 1060, 1125, 1163, 1223, 1224, 1234, 2106, 2115];

/// Tags whose type no source gives, so that it was inferred (tables of tags): a value that does not fit warns, as one
/// that is not in its list does.
pub(super) const TYPE_NOT_KNOWN: [u16; 2] = [tags::TIME_ZONE, tags::RECEIPT_FD];

/// Tags that may be there without a value: a blank one is as good as none.
pub(super) const MAY_BE_BLANK: [u16; 2] = [tags::SUPPLIER_INN, tags::TRANSFER_OPERATOR_INN];

/// Tags that changed with the version of the format, whose place is a rule of its own (`version.tags`): the tag and
/// whether it belongs to 1.0 and 1.05 (else to 1.1 and later).
pub(super) const OF_VERSIONS: [(u16, bool); 4] = [
    (tags::REASON_CODE, true),
    (tags::MESSAGE_FOR_FN, true),
    (tags::REASON_MASK, false),
    (tags::OPERATOR_MESSAGE, false),
];

/// Checks the whole document.
pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    if let Some(node) = case.node(tags::FFD_VERSION).filter(|_| !case.doc.version_known()) {
        unknown_version(node, report);
        return;
    }
    let Some(plan) = FormPlan::of(case.doc.form(), case.version) else {
        report.add("structure.undeclared", Place::DOCUMENT, || {
            format!("форма документа {} неизвестна: её реквизиты не проверены", case.doc.form())
        });
        return;
    };
    size(case, plan, report);
    if let Some(top) = plan.parent(plan.form.0) {
        let mut walk = Walk { case, plan, report };
        walk.group(&case.doc.nodes(), top, Place::DOCUMENT);
    }
}

/// Nothing can be demanded of a version that is not known; what is read of it is read as the newest.
fn unknown_version(node: Node<'_>, report: &mut Report<'_>) {
    let place = Place { offset: node.offset, path: Path::top(node.tag) };
    if let Content::Broken(error) = node.content() {
        report.add("structure.type", place, || value::unreadable(node, &error));
    } else {
        report.add("structure.version", place, || {
            format!(
                "версия ФФД (тег 1209) {} неизвестна: состав реквизитов не проверен",
                node.unsigned().unwrap_or_default()
            )
        });
    }
    report.only_warn();
}

/// The longest value of the document as a whole.
fn size(case: &Case<'_, '_>, plan: &FormPlan, report: &mut Report<'_>) {
    let len = case.doc.bytes().len().saturating_sub(crate::tlv::HEADER_LEN);
    if let Some(limit) = plan.max_len.filter(|&limit| len > limit) {
        report.add("structure.size", Place::DOCUMENT, || {
            let (len, limit) = (bytes_ru(len), bytes_ru(limit));
            format!("размер документа {len} больше допустимого для формы: {limit}")
        });
    }
}

struct Walk<'w, 'c, 'd, 's> {
    case: &'w Case<'c, 'd>,
    plan: &'static FormPlan,
    report: &'w mut Report<'s>,
}

impl Walk<'_, '_, '_, '_> {
    /// The records of one group, or of the top level.
    fn group(&mut self, nodes: &Nodes<'_>, parent: &'static ParentPlan, place: Place) {
        // A blank record is there, so it must not be repeated, but it is not what a condition demands.
        let (mut seen, mut blank) = (0_u128, 0_u128);
        let is_top = place.path == Path::DOCUMENT;
        for node in nodes.clone() {
            // A path is only laid out when there is something to say about it.
            let here = || Place { offset: node.offset, path: place.path.with(node.tag) };
            let Some(field) = parent.field(node.tag) else {
                self.undeclared(node, parent, here());
                continue;
            };
            if seen & field.bit() != 0 && !field.repeatable {
                self.report.add("structure.repeat", here(), || {
                    format!("{} встречается в {} повторно", value::requisite(node), parent.name_ru())
                });
            }
            seen |= field.bit();
            if field.is_plain && node.is_value() {
                continue;
            }
            if field.is_special && field.may_be_blank && is_blank(node) {
                blank |= field.bit();
                continue;
            }
            if is_top && self.report.is_judged(node.tag) {
                continue;
            }
            let is_free = field.is_special && field.is_free_in_1_0 && self.case.version == FfdVersion::V1_0;
            if !is_free && let Some(fault) = value::fault(node, field) {
                self.report.add(fault.rule(field), here(), || fault.text_ru(node));
            }
            if field.is_special && field.is_of_versions {
                self.version(node, here());
            }
            if node.is_group()
                && !is_free
                && let Some(inner) = self.plan.inside(field)
            {
                self.group(&node.children(), inner, here());
            }
        }
        self.missing(parent, seen, place);
        self.conditional(nodes, parent, (seen, seen & !blank), place);
    }

    fn undeclared(&mut self, node: Node<'_>, parent: &ParentPlan, here: Place) {
        if OF_VERSIONS.iter().any(|&(tag, _)| tag == node.tag) {
            return self.version(node, here);
        }
        self.report.add("structure.undeclared", here, || match node.def {
            Some(_) => format!(
                "{} не предусмотрен в {} (ФФД {})",
                value::requisite(node),
                parent.name_ru(),
                self.case.version
            ),
            None => format!("тег {} неизвестен", node.tag),
        });
    }

    /// Check 21d: tags that came or went with ФФД 1.1.
    fn version(&mut self, node: Node<'_>, here: Place) {
        let Some(&(_, is_old)) = OF_VERSIONS.iter().find(|&&(tag, _)| tag == node.tag) else { return };
        if is_old != (self.case.version <= FfdVersion::V1_05) {
            self.report.add("version.tags", here, || {
                format!("{} не применяется в ФФД {}", value::requisite(node), self.case.version)
            });
        }
    }

    /// Fields that are not there, and must be.
    fn missing(&mut self, parent: &'static ParentPlan, seen: u128, place: Place) {
        let mut missing = parent.mandatory & !seen;
        while missing != 0 {
            let number = missing.trailing_zeros();
            missing &= missing - 1;
            let Some(field) = parent.at(number) else { continue };
            if place.path == Path::DOCUMENT && self.report.is_judged(field.tag) {
                continue;
            }
            let here = Place { offset: place.offset, path: place.path.with(field.tag) };
            self.report.add("structure.mandatory", here, || {
                format!("нет обязательного реквизита {} в {}", field.name_ru(), parent.name_ru())
            });
        }
    }

    /// Fields that are not there, and must be under a condition that holds.
    /// `seen` are those that are there, and of them those that are not blank.
    fn conditional(
        &mut self,
        nodes: &Nodes<'_>,
        parent: &'static ParentPlan,
        (seen, said): (u128, u128),
        place: Place,
    ) {
        for plan in &parent.conditions {
            let condition = plan.condition;
            let may_hold = plan.rests_on == 0 || seen & plan.rests_on != 0;
            if said & plan.demanded == 0 && may_hold && condition.holds(self.case, nodes) {
                let here = Place { offset: place.offset, path: place.path.with(condition.demanded) };
                self.report.add("structure.conditional", here, || {
                    let name = parent.field(condition.demanded).map(|field| field.name_ru());
                    format!(
                        "нет реквизита {} в {}: он обязателен, {}",
                        name.unwrap_or_default(),
                        parent.name_ru(),
                        condition.because_ru
                    )
                });
            }
        }
    }
}
