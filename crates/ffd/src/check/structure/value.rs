//! One value: whether it reads, is as long as it may be, and stands in its list.

use crate::dict::{EnumCode, EnumDef, EnumValue, Fixed, TagDef, ValueKind, dictionary};
use crate::document::{Content, Node};
use crate::error::ValueError;
use crate::tags;
use crate::text::bytes_ru;
use crate::value::Value;

use super::plan::FieldPlan;

/// Tags whose lists are rules of their own: `value.operation`, `value.taxation`, `correction.type`, `structure.version`.
const OWN_RULES: [u16; 4] =
    [tags::OPERATION_TYPE, tags::APPLIED_TAXATION, tags::CORRECTION_TYPE, tags::FFD_VERSION];

/// How long a value may be, in bytes, beyond what its type already fixes. Numbers have no limit here: genuine registers
/// pad them with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    None,
    AtMost(usize),
    Exactly(usize),
}

impl Limit {
    /// The limit of a tag. A string padded to a fixed length may come without its padding. A group has none: its
    /// members have limits of their own, and the tables' limits of groups are smaller than what their members may
    /// lawfully take (FFD order, section on counters; 1174 with 1177, 1223 with several phones). The cashier's number
    /// has none either: all its faults are one of `inn.person`.
    pub(super) fn of(def: &TagDef) -> Self {
        if def.tag == tags::CASHIER_INN {
            return Self::None;
        }
        let len = |len: u32| usize::try_from(len).unwrap_or(usize::MAX);
        match (def.kind, def.fixed) {
            (ValueKind::Text | ValueKind::Bytes | ValueKind::Bits, Fixed::Exact(exact)) => {
                Self::Exactly(len(exact))
            }
            (ValueKind::Text, Fixed::Padded(most)) => Self::AtMost(len(most)),
            (ValueKind::Text | ValueKind::Bytes, _) => {
                def.max_len.map_or(Self::None, |most| Self::AtMost(len(most)))
            }
            _ => Self::None,
        }
    }

    fn admits(self, len: usize) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(most) => len <= most,
            Self::Exactly(exact) => len == exact,
        }
    }
}

/// The list of a tag's values, whatever version brought them: a value that a later version added is no fault.
pub(super) struct Values {
    list: &'static EnumDef,
    /// The known numbers below 64, or the known bits of a mask.
    known: u64,
}

impl Values {
    /// The list of a tag; `None` when it has none or a rule of its own.
    pub(super) fn of(def: &TagDef) -> Option<Self> {
        if OWN_RULES.contains(&def.tag) {
            return None;
        }
        let list = dictionary().enumeration(def.enum_name?)?;
        let known = list.values.iter().fold(0, |known, entry| match entry.code {
            EnumCode::Number(number) if number < 64 => known | 1 << number,
            EnumCode::Bit(bit) => known | u64::from(bit),
            EnumCode::Number(_) | EnumCode::Word => known,
        });
        Some(Self { list, known })
    }

    /// Whether the value of a record is in the list. Of what is no number, mask or text there is no list.
    fn holds(&self, node: Node<'_>) -> bool {
        let holds = |is_it: &dyn Fn(&EnumValue) -> bool| self.list.values.iter().any(is_it);
        let is_mask = node.def.is_some_and(|def| def.kind == ValueKind::Bits);
        match node.unsigned() {
            Some(mask) if is_mask => mask & !self.known == 0,
            Some(number @ 0..64) => self.known >> number & 1 == 1,
            Some(number) => holds(&|entry| entry.code == EnumCode::Number(number)),
            None => match node.value() {
                Some(Value::Text(text)) => {
                    let text = text.trim_end_matches(' ');
                    holds(&|entry| entry.spelling == text)
                }
                _ => true,
            },
        }
    }
}

/// What is wrong with a value; of several things the first.
pub(super) enum Fault<'n> {
    Type(ValueError),
    Length(Limit),
    NotInList(Value<'n>),
}

/// Checks one record of a declared tag.
#[inline]
pub(super) fn fault<'n>(node: Node<'n>, field: &FieldPlan) -> Option<Fault<'n>> {
    if node.is_broken()
        && let Content::Broken(error) = node.content()
    {
        return Some(Fault::Type(error));
    }
    if !field.limit.admits(node.raw.len()) {
        return Some(Fault::Length(field.limit));
    }
    let list = field.values.as_ref()?;
    if list.holds(node) { None } else { node.value().map(Fault::NotInList) }
}

impl Fault<'_> {
    /// The rule it breaks.
    pub(super) fn rule(&self, field: &FieldPlan) -> &'static str {
        match self {
            Self::Type(_) | Self::Length(_) if !field.is_type_known => "value.unknown",
            Self::Type(_) => "structure.type",
            Self::Length(_) => "structure.length",
            Self::NotInList(_) => "value.unknown",
        }
    }

    /// What is wrong with the record, for people.
    pub(super) fn text_ru(&self, node: Node<'_>) -> String {
        let expected = match self {
            Self::Type(error) => return unreadable(node, error),
            Self::NotInList(value) => {
                return format!(
                    "значение {} реквизита {} не входит в список допустимых",
                    shown(value),
                    requisite(node)
                );
            }
            Self::Length(Limit::Exactly(exact)) => format!("должно быть ровно {exact}"),
            Self::Length(Limit::AtMost(most)) => format!("допустимо не более {most}"),
            Self::Length(Limit::None) => String::new(),
        };
        format!("длина реквизита {} — {}, {expected}", requisite(node), bytes_ru(node.raw.len()))
    }
}

/// Says that a value is not of its type.
pub(super) fn unreadable(node: Node<'_>, error: &ValueError) -> String {
    format!("значение реквизита {} не читается: {}", requisite(node), error.text_ru(0))
}

/// Name and number of the requisite.
pub(super) fn requisite(node: Node<'_>) -> String {
    match node.def {
        Some(def) => format!("«{}» (тег {})", def.name_ru, node.tag),
        None => format!("(тег {})", node.tag),
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Bits { mask, .. } => format!("{mask:#x}"),
        Value::Text(text) => format!("«{}»", text.trim_end_matches(' ')),
        number => number.unsigned().unwrap_or_default().to_string(),
    }
}
