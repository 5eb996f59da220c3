//! The dictionary: what a tag, a form and a number inside a tag mean.
//!
//! The knowledge lives in three tables, `dict/tags.csv`, `dict/documents.csv`, `dict/enums.csv`; they are part of the
//! program, read once, and laid out for look-up by number. No type per document per version: a new tag of the tax
//! service is a new row. What a document must satisfy beyond being declared is in [`crate::check`].
//!
//! Several tag numbers were given away twice. Which meaning holds depends on the version of the format and on what
//! contains the tag, so both are arguments of every look-up ([`Dictionary::tag`]).

mod enums;
mod form;
mod tables;
mod version;

use std::sync::LazyLock;

pub use enums::{EnumCode, EnumDef, EnumValue};
pub use form::{FieldDef, FormCode, FormDef, Medium, Requirement};
pub use tables::TableError;
pub use version::{FfdVersion, VersionSet};

/// The tables of this program.
pub fn dictionary() -> &'static Dictionary {
    static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
        let [tags, documents, enums] = TABLES;
        Dictionary::parse(tags, documents, enums)
            .expect("the tables are compiled in, and the tests read every row")
    });
    &DICTIONARY
}

/// `tags.csv`, `documents.csv`, `enums.csv`.
const TABLES: [&str; 3] = [
    include_str!("../dict/tags.csv"),
    include_str!("../dict/documents.csv"),
    include_str!("../dict/enums.csv"),
];

/// The type of a tag's value (FFD order, TLV encoding). Byte order is little-endian throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// One byte.
    Byte,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Bit mask of one or four bytes.
    Bits,
    /// Unsigned number of up to eight bytes, high zero bytes dropped.
    Vln,
    /// Decimal number: digits after the point, then a VLN mantissa.
    Fvln,
    /// String in code page 866.
    Text,
    /// Raw bytes.
    Bytes,
    /// Seconds of a local clock.
    Time,
    /// STLV: a list of records.
    Group,
}

/// How long a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fixed {
    /// Any length up to the limit.
    Variable,
    /// A string always this many bytes long, padded on the right with spaces (0x20).
    Padded(u32),
    /// Always this many bytes.
    Exact(u32),
}

/// One meaning of a tag number: one row of `tags.csv`.
#[derive(Debug, PartialEq)]
pub struct TagDef {
    /// The tag number.
    pub tag: u16,
    /// Official Russian name.
    pub name_ru: &'static str,
    /// Name in the JSON of the tax service, where it is known.
    pub json_name: Option<&'static str>,
    /// Type of the value.
    pub kind: ValueKind,
    /// Longest value in bytes, where it is known. Of the counter groups (1129-1133, 1145, 1146, 1157, 1158, 1194,
    /// 1232, 1233) the official limits are smaller than their contents: do not enforce those.
    pub max_len: Option<u32>,
    /// Whether the length is prescribed.
    pub fixed: Fixed,
    /// Whether the tag may stand several times in one parent.
    pub repeatable: bool,
    /// The form codes and groups the tag stands in, ascending; empty where it is not known.
    pub parents: Vec<u16>,
    /// The versions of the format that have the tag; all of them where it is not known.
    pub versions: VersionSet,
    /// Name of the list of its values in `enums.csv`.
    pub enum_name: Option<&'static str>,
}

/// The three tables, laid out for look-up.
#[derive(Debug)]
pub struct Dictionary {
    /// Sorted by tag; meanings of one tag in the order of the table.
    tags: Vec<TagDef>,
    /// For each tag below [`DENSE_TAGS`] where its meanings lie in `tags`.
    tag_index: Vec<Slot>,
    forms: Vec<FormDef>,
    /// Place in `forms` by form code and version.
    form_index: Vec<[Option<u8>; FfdVersion::COUNT]>,
    /// Sorted by name.
    enums: Vec<EnumDef>,
}

/// Tags below this number are found by index; the few above it (containers of an archive dump) by binary search.
const DENSE_TAGS: u16 = 4096;

/// A run of meanings in `Dictionary::tags`.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    start: u16,
    len: u16,
}

impl Dictionary {
    /// What `tag` means directly inside `parent` (a form code, or the tag of a group) in a document of `version`.
    ///
    /// A number with a single meaning has it everywhere: that the tag does not belong there is a finding, no reason
    /// not to read it. Among several meanings the one declared for this place *and* version wins, then one of this
    /// version that names no place, then one declared for this place, then one of this version; among equals the first row of the table.
    #[inline]
    pub fn tag(&'static self, tag: u16, parent: u16, version: FfdVersion) -> Option<&'static TagDef> {
        match self.tag_index.get(usize::from(tag)) {
            Some(&Slot { start, len: 1 }) => self.tags.get(usize::from(start)),
            Some(&Slot { len: 0, .. }) => None,
            _ => self.fittest(tag, parent, version),
        }
    }

    fn fittest(&'static self, tag: u16, parent: u16, version: FfdVersion) -> Option<&'static TagDef> {
        match self.meanings(tag) {
            [] => None,
            [only] => Some(only),
            // `max_by_key` gives the last of equals: reversed, the first row.
            several => several.iter().rev().max_by_key(|meaning| meaning.fitness(parent, version)),
        }
    }

    /// All meanings of all tags, sorted by tag.
    pub(crate) fn tags(&self) -> &[TagDef] {
        &self.tags
    }

    /// All meanings of a tag number, in the order of the table; empty for an unknown one.
    pub fn meanings(&self, tag: u16) -> &[TagDef] {
        if tag < DENSE_TAGS {
            let Slot { start, len } = self.tag_index.get(usize::from(tag)).copied().unwrap_or_default();
            let start = usize::from(start);
            return self.tags.get(start..start + usize::from(len)).unwrap_or_default();
        }
        let start = self.tags.partition_point(|def| def.tag < tag);
        let end = self.tags.partition_point(|def| def.tag <= tag);
        self.tags.get(start..end).unwrap_or_default()
    }

    /// The fields of a form in a version of the format; `None` when that version does not have the form.
    pub fn form(&'static self, form: FormCode, version: FfdVersion) -> Option<&'static FormDef> {
        let place = self.form_index.get(usize::from(form.0))?.get(version.index()).copied()??;
        self.forms.get(usize::from(place))
    }

    /// A list of values by its name.
    pub fn enumeration(&'static self, name: &str) -> Option<&'static EnumDef> {
        let place = self.enums.binary_search_by(|list| list.name.cmp(name)).ok()?;
        self.enums.get(place)
    }

    /// What `value` (of a bit list: one bit) means in the list `enum_name`; `None` when the list of that version does
    /// not have it.
    pub fn enum_meaning(
        &'static self,
        enum_name: &str,
        value: u64,
        version: FfdVersion,
    ) -> Option<&'static str> {
        self.enumeration(enum_name)?.meaning(value, version)
    }

    /// What each set bit of `mask` means in the list `enum_name`, lowest first; `None` for a bit that the list of that
    /// version does not have.
    pub fn enum_bits(
        &'static self,
        enum_name: &str,
        mask: u32,
        version: FfdVersion,
    ) -> impl Iterator<Item = (u32, Option<&'static str>)> {
        let list = self.enumeration(enum_name);
        (0..u32::BITS)
            .map(|position| 1 << position)
            .filter(move |bit| mask & bit != 0)
            .map(move |bit| (bit, list.and_then(|list| list.meaning(bit.into(), version))))
    }
}

impl TagDef {
    /// How well this meaning fits a place and a version, see [`Dictionary::tag`].
    fn fitness(&self, parent: u16, version: FfdVersion) -> u8 {
        let in_place = self.parents.binary_search(&parent).is_ok();
        match (self.versions.contains(version), in_place) {
            (true, true) => 4,
            (true, false) if self.parents.is_empty() => 3,
            (false, true) => 2,
            (true, false) => 1,
            (false, false) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FfdVersion::{V1_0, V1_1, V1_2, V1_05};
    use super::*;

    /// The Russian name and type of what `tag` means in `parent` and `version`.
    fn check(tag: u16, parent: u16, version: FfdVersion, name_ru: &str, kind: ValueKind) {
        let def = dictionary().tag(tag, parent, version).unwrap();
        assert_eq!((def.name_ru, def.kind), (name_ru, kind), "tag {tag} in {parent}, {version}");
    }

    #[test]
    fn reused_1011_reward_became_time_zone() {
        check(1011, 3, V1_0, "Размер вознаграждения платежного агента (субагента)", ValueKind::Vln);
        check(1011, 3, V1_2, "Часовая зона", ValueKind::Byte);
        check(1011, 82, V1_2, "Часовая зона", ValueKind::Byte);
        check(1011, 3, V1_05, "Размер вознаграждения платежного агента (субагента)", ValueKind::Vln);
    }

    #[test]
    fn reused_1055_keeps_its_present_json_name_first() {
        for version in FfdVersion::ALL {
            let def = dictionary().tag(1055, 3, version).unwrap();
            assert_eq!(
                (def.kind, def.json_name),
                (ValueKind::Bits, Some("appliedTaxationType")),
                "{version}"
            );
        }
        let legacy: Vec<_> = dictionary().meanings(1055).iter().map(|def| def.json_name).collect();
        assert_eq!(legacy, [Some("appliedTaxationType"), Some("taxationType")]);
    }

    #[test]
    fn reused_1082_phone_became_cashless_sum() {
        check(1082, 3, V1_0, "Телефон банковского субагента", ValueKind::Text);
        check(1082, 1235, V1_05, "Сумма оплаты безналичными", ValueKind::Vln);
        check(1082, 1235, V1_2, "Сумма оплаты безналичными", ValueKind::Vln);
        check(1082, 3, V1_05, "Телефон банковского субагента", ValueKind::Text);
    }

    #[test]
    fn reused_1115_site_became_vat_sums() {
        check(1115, 3, V1_0, "Адрес сайта для проверки ФП", ValueKind::Text);
        for version in [V1_05, V1_1, V1_2] {
            check(1115, 3, version, "Суммы НДС чека", ValueKind::Group);
        }
        check(1115, 41, V1_2, "Суммы НДС чека", ValueKind::Group);
    }

    #[test]
    fn reused_1119_phone_became_vat_sum() {
        check(1119, 3, V1_0, "Телефон оператора по приему платежей", ValueKind::Text);
        check(1119, 1115, V1_05, "Сумма НДС чека", ValueKind::Group);
        check(1119, 1115, V1_2, "Сумма НДС чека", ValueKind::Group);
        check(1119, 3, V1_05, "Телефон оператора по приему платежей", ValueKind::Text);
    }

    #[test]
    fn reused_1120_class_became_vat_amount() {
        check(1120, 1059, V1_0, "Код справочника", ValueKind::Vln);
        check(1120, 1119, V1_05, "Сумма НДС", ValueKind::Vln);
        check(1120, 1119, V1_2, "Сумма НДС", ValueKind::Vln);
    }

    #[test]
    fn reused_1125_operator_name_became_internet_sign() {
        check(1125, 3, V1_0, "Наименование ОФД", ValueKind::Text);
        check(1125, 1, V1_0, "Наименование ОФД", ValueKind::Text);
        for version in [V1_05, V1_1, V1_2] {
            check(1125, 3, version, "Признак расчета в «Интернет»", ValueKind::Byte);
        }
    }

    #[test]
    fn reused_1199_is_the_rate_of_an_item_or_of_a_sum() {
        let parents = |parent, version| &dictionary().tag(1199, parent, version).unwrap().parents;
        assert_eq!(parents(1059, V1_05), &[1059, 2007]);
        assert_eq!(parents(2007, V1_2), &[1059, 2007]);
        assert_eq!(parents(1119, V1_2), &[1119]);
        assert_eq!(parents(1059, V1_0), &[1059, 2007], "items of 1.0 carry it although no row says so");
    }

    #[test]
    fn reused_1213_has_another_json_name_in_the_state_report() {
        let json = |parent, version| dictionary().tag(1213, parent, version).unwrap().json_name;
        assert_eq!(json(1, V1_05), Some("fdKeyResource"));
        assert_eq!(json(11, V1_2), Some("fdKeyResource"));
        assert_eq!(json(1, V1_0), Some("fdKeyResource"));
        assert_eq!(json(21, V1_2), Some("keyResource"));
        assert_eq!(json(21, V1_1), Some("keyResource"));
    }

    #[test]
    fn a_single_meaning_holds_everywhere() {
        check(2108, 3, V1_0, "Мера количества предмета расчета", ValueKind::Byte);
        check(1020, 0, V1_2, "Сумма расчета, указанного в чеке (БСО)", ValueKind::Vln);
    }

    #[test]
    fn the_edges_of_the_index_are_found() {
        check(1, 0, V1_0, "Отчет о регистрации", ValueKind::Group);
        check(65012, 0, V1_2, "ФДн и подтверждение (1.1)", ValueKind::Group);
        for unknown in [0, 85, 999, 1137, 4095, 4096, 65000, 65013, u16::MAX] {
            assert_eq!(dictionary().tag(unknown, 3, V1_2), None, "tag {unknown}");
        }
    }

    #[test]
    fn a_value_means_what_its_version_says() {
        let check = |list, value, version, expected| {
            assert_eq!(dictionary().enum_meaning(list, value, version), expected, "{list} {value} {version}");
        };
        check("operation_type", 1, V1_05, Some("приход"));
        check("operation_type", 5, V1_05, None);
        check("taxation", 0x10, V1_0, Some("ЕСХН"));
        check("taxation", 0x30, V1_0, None);
        check("taxation", 0x40, V1_0, None);
        check("operator_message", 0x40, V1_1, Some("изменить параметры связи с ОФД"));
        check("operator_message", 0x40, V1_2, Some("ОФД прекращает деятельность"));
        check("kkt_info_change_reason", 0x8000_0000, V1_2, Some("иные причины"));
        check("foiv", 1, V1_2, dictionary().enumeration("foiv").unwrap().meaning_of_text("001", V1_2));
        check("no such list", 1, V1_2, None);
        assert_eq!(dictionary().enumeration("fns_flk_status").unwrap().meaning(0, V1_2), None);
    }

    #[test]
    fn bits_are_named_one_by_one() {
        let named = |list, mask| dictionary().enum_bits(list, mask, V1_2).collect::<Vec<_>>();
        assert_eq!(
            named("kkt_usage", 0x140),
            [(0x40, Some("подакцизные товары")), (0x100, Some("маркированные товары (ТМТ)"))]
        );
        assert_eq!(named("kkt_usage", 0x8000_0001), [(1, None), (0x8000_0000, None)]);
        assert_eq!(named("kkt_usage", 0), []);
    }
}
