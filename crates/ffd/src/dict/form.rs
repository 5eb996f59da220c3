//! Forms of documents and their fields (`documents.csv`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::dictionary;
use super::version::FfdVersion;

/// Code of a document form: the tag of the whole document. A wire number; unknown ones survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FormCode(pub u16);

impl FormCode {
    /// Отчёт о регистрации.
    pub const REGISTRATION: Self = Self(1);
    /// Отчёт об изменении параметров регистрации.
    pub const REGISTRATION_CHANGE: Self = Self(11);
    /// Отчёт об открытии смены.
    pub const SHIFT_OPEN: Self = Self(2);
    /// Отчёт о текущем состоянии расчётов.
    pub const STATE_REPORT: Self = Self(21);
    /// Кассовый чек.
    pub const RECEIPT: Self = Self(3);
    /// Кассовый чек коррекции.
    pub const RECEIPT_CORRECTION: Self = Self(31);
    /// Бланк строгой отчётности.
    pub const BSO: Self = Self(4);
    /// Бланк строгой отчётности коррекции.
    pub const BSO_CORRECTION: Self = Self(41);
    /// Отчёт о закрытии смены.
    pub const SHIFT_CLOSE: Self = Self(5);
    /// Отчёт о закрытии фискального накопителя.
    pub const FN_CLOSE: Self = Self(6);
    /// Подтверждение оператора.
    pub const OPERATOR_ACK: Self = Self(7);

    /// The forms a register sends to the operator.
    pub const OF_KKT: [Self; 10] = [
        Self::REGISTRATION,
        Self::REGISTRATION_CHANGE,
        Self::SHIFT_OPEN,
        Self::STATE_REPORT,
        Self::RECEIPT,
        Self::RECEIPT_CORRECTION,
        Self::BSO,
        Self::BSO_CORRECTION,
        Self::SHIFT_CLOSE,
        Self::FN_CLOSE,
    ];

    /// Whether the format has such a form.
    pub fn is_known(self) -> bool {
        self.is_kkt_document() || matches!(self.0, 7 | 81..=84)
    }

    /// Whether a register sends this form to the operator.
    pub fn is_kkt_document(self) -> bool {
        Self::OF_KKT.contains(&self)
    }

    /// Whether this is a report on registration or on its change: it says who the register is.
    pub fn is_registration(self) -> bool {
        matches!(self, Self::REGISTRATION | Self::REGISTRATION_CHANGE)
    }

    /// Whether this is a settlement: receipt or БСО, plain or correction.
    pub fn is_receipt_like(self) -> bool {
        matches!(self, Self::RECEIPT | Self::RECEIPT_CORRECTION | Self::BSO | Self::BSO_CORRECTION)
    }

    /// Official Russian name.
    pub fn name_ru(self) -> &'static str {
        if !self.is_known() {
            return "Неизвестный документ";
        }
        dictionary().tag(self.0, 0, FfdVersion::V1_2).map_or("Неизвестный документ", |def| def.name_ru)
    }

    /// Name of the root member in the JSON of the tax service, where the form has one.
    pub fn json_name(self) -> Option<&'static str> {
        if !self.is_known() {
            return None;
        }
        dictionary().tag(self.0, 0, FfdVersion::V1_2)?.json_name
    }
}

impl fmt::Display for FormCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FormCode {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A form in one version of the format.
#[derive(Debug)]
pub struct FormDef {
    /// The form.
    pub form: FormCode,
    /// The version.
    pub version: FfdVersion,
    /// All fields, sorted by parent, then tag.
    pub fields: Vec<FieldDef>,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDef {
    /// What it stands in directly: the form code at the top level, else the tag of a group.
    pub parent: u16,
    /// Its tag.
    pub tag: u16,
    /// Whether it must be there.
    pub requirement: Requirement,
    /// Where it belongs.
    pub medium: Medium,
    /// When it must be there, or a note, in words; may be empty.
    pub condition: &'static str,
    /// Whether it may stand several times in its parent.
    pub repeatable: bool,
}

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// Always.
    Mandatory,
    /// When the condition in words holds, which tables cannot decide.
    Conditional,
    /// It may be absent.
    Optional,
}

/// The form of a document a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Printed and electronic (`form=PE`), or not said.
    Both,
    /// Electronic only (`form=E`).
    Electronic,
    /// Printed only (`form=P`): never demanded in the electronic document, tolerated there.
    Printed,
}

impl FormDef {
    /// The fields that may stand directly in `parent` (the form code, or the tag of a group), sorted by tag.
    pub fn children(&self, parent: u16) -> &[FieldDef] {
        let start = self.fields.partition_point(|field| field.parent < parent);
        let end = self.fields.partition_point(|field| field.parent <= parent);
        self.fields.get(start..end).unwrap_or_default()
    }

    /// The field `tag` directly in `parent`; `None` when it is not declared there.
    pub fn field(&self, parent: u16, tag: u16) -> Option<&FieldDef> {
        let place =
            self.fields.binary_search_by_key(&(parent, tag), |field| (field.parent, field.tag)).ok()?;
        self.fields.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_know_what_they_are() {
        let check = |code, [known, kkt, registration, receipt]: [bool; 4]| {
            let form = FormCode(code);
            let found =
                [form.is_known(), form.is_kkt_document(), form.is_registration(), form.is_receipt_like()];
            assert_eq!(found, [known, kkt, registration, receipt], "form {code}");
        };
        for registration in [1, 11] {
            check(registration, [true, true, true, false]);
        }
        for report in [2, 21, 5, 6] {
            check(report, [true, true, false, false]);
        }
        for settlement in [3, 31, 4, 41] {
            check(settlement, [true, true, false, true]);
        }
        for other in [7, 81, 82, 83, 84] {
            check(other, [true, false, false, false]);
        }
        for unknown in [0, 8, 12, 80, 85, 1059, 65001, u16::MAX] {
            check(unknown, [false, false, false, false]);
        }
    }

    #[test]
    fn forms_have_their_names() {
        let check = |form: FormCode, name, json| assert_eq!((form.name_ru(), form.json_name()), (name, json));
        check(FormCode::RECEIPT, "Кассовый чек", Some("receipt"));
        check(FormCode::REGISTRATION, "Отчет о регистрации", Some("fiscalReport"));
        check(FormCode(81), "Запрос о коде маркировки", None);
        check(FormCode(1059), "Неизвестный документ", None);
        check(FormCode(85), "Неизвестный документ", None);
    }

    #[test]
    fn fields_are_found_by_place() {
        let receipt = dictionary().form(FormCode::RECEIPT, FfdVersion::V1_05).unwrap();
        assert_eq!(receipt.field(3, 1020).unwrap().requirement, Requirement::Mandatory);
        assert_eq!(receipt.field(1059, 1023).unwrap().parent, 1059);
        assert_eq!(receipt.field(3, 1023), None, "a quantity belongs to an item");
        assert!(receipt.children(1059).iter().all(|field| field.parent == 1059));
        assert!(receipt.children(1059).iter().any(|field| field.tag == 1043));
        assert!(receipt.children(9999).is_empty());
        assert_eq!(dictionary().form(FormCode(81), FfdVersion::V1_05).map(|form| form.form), None);
        assert!(dictionary().form(FormCode(1059), FfdVersion::V1_2).is_none());
        assert!(dictionary().form(FormCode(12), FfdVersion::V1_2).is_none());
    }
}
