//! Reading the three tables.
//!
//! Texts of the tables are leaked on purpose: they are read once per process and live as long as it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::enums::{EnumCode, EnumDef, EnumValue};
use super::form::{FieldDef, FormCode, FormDef, Medium, Requirement};
use super::version::{FfdVersion, VersionSet};
use super::{DENSE_TAGS, Dictionary, Fixed, Slot, TagDef, ValueKind};

/// A row of a table that makes no sense.
#[derive(Debug, Error)]
pub enum TableError {
    /// Not a table, or a column is missing or not of its type.
    #[error("{table}: {source}")]
    Csv {
        /// The table.
        table: &'static str,
        /// What is wrong.
        source: csv::Error,
    },
    /// A cell that is not understood.
    #[error("{table}, line {line}: column {column} holds {value:?}")]
    Cell {
        /// The table.
        table: &'static str,
        /// Line of the row, the header being 1.
        line: usize,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// More rows than the index can count.
    #[error("{table}: too many rows")]
    TooLarge {
        /// The table.
        table: &'static str,
    },
}

const TAGS: &str = "tags.csv";
const DOCUMENTS: &str = "documents.csv";
const ENUMS: &str = "enums.csv";

#[derive(Deserialize)]
struct TagRow {
    tag: u16,
    name_ru: String,
    json_name: String,
    #[serde(rename = "type")]
    kind: String,
    max_len: Option<u32>,
    fixed: String,
    repeatable: String,
    parents: String,
    ffd_versions: String,
    #[serde(rename = "enum")]
    enum_name: String,
}

#[derive(Deserialize)]
struct FieldRow {
    document_code: u16,
    ffd_version: String,
    tag: u16,
    parent_tag: Option<u16>,
    requirement: String,
    condition: String,
    repeatable: String,
}

#[derive(Deserialize)]
struct EnumRow {
    #[serde(rename = "enum")]
    name: String,
    value: String,
    meaning_ru: String,
    ffd_versions: String,
}

impl Dictionary {
    /// Reads `tags.csv`, `documents.csv` and `enums.csv`.
    pub(super) fn parse(tags: &str, documents: &str, enums: &str) -> Result<Self, TableError> {
        let enums = read_enums(enums)?;
        let tags = read_tags(tags, &enums)?;
        let forms = read_forms(documents)?;
        Ok(Self { tag_index: index_tags(&tags)?, form_index: index_forms(&forms)?, tags, forms, enums })
    }
}

/// Rows with a number and no type are numbers that no source assigns: they are left out, so the tag is an unknown one.
fn read_tags(text: &str, enums: &[EnumDef]) -> Result<Vec<TagDef>, TableError> {
    let mut tags = Vec::new();
    for (row, at) in rows::<TagRow>(TAGS, text)? {
        if row.kind.is_empty() {
            continue;
        }
        let enum_name = match row.enum_name.as_str() {
            "" => None,
            name => {
                Some(enums.iter().find(|list| list.name == name).ok_or_else(|| at.cell("enum", name))?.name)
            }
        };
        let mut parents = parse_parents(&row.parents).ok_or_else(|| at.cell("parents", &row.parents))?;
        parents.sort_unstable();
        tags.push(TagDef {
            tag: row.tag,
            kind: parse_kind(&row.kind).ok_or_else(|| at.cell("type", &row.kind))?,
            fixed: parse_fixed(&row.fixed).ok_or_else(|| at.cell("fixed", &row.fixed))?,
            repeatable: parse_yes(&row.repeatable).ok_or_else(|| at.cell("repeatable", &row.repeatable))?,
            versions: VersionSet::parse(&row.ffd_versions)
                .ok_or_else(|| at.cell("ffd_versions", &row.ffd_versions))?,
            max_len: row.max_len,
            parents,
            enum_name,
            json_name: if row.json_name.is_empty() { None } else { Some(row.json_name.leak()) },
            name_ru: row.name_ru.leak(),
        });
    }
    tags.sort_by_key(|def| def.tag);
    Ok(tags)
}

fn read_forms(text: &str) -> Result<Vec<FormDef>, TableError> {
    let mut forms: BTreeMap<(u16, FfdVersion), Vec<FieldDef>> = BTreeMap::new();
    for (row, at) in rows::<FieldRow>(DOCUMENTS, text)? {
        let version = FfdVersion::ALL.into_iter().find(|version| version.as_str() == row.ffd_version);
        let version = version.ok_or_else(|| at.cell("ffd_version", &row.ffd_version))?;
        forms.entry((row.document_code, version)).or_default().push(FieldDef {
            parent: row.parent_tag.unwrap_or(row.document_code),
            tag: row.tag,
            requirement: parse_requirement(&row.requirement)
                .ok_or_else(|| at.cell("requirement", &row.requirement))?,
            medium: parse_medium(&row.condition).ok_or_else(|| at.cell("condition", &row.condition))?,
            repeatable: parse_yes(&row.repeatable).ok_or_else(|| at.cell("repeatable", &row.repeatable))?,
            condition: row.condition.leak(),
        });
    }
    let define = |((form, version), mut fields): ((u16, FfdVersion), Vec<FieldDef>)| {
        fields.sort_by_key(|field| (field.parent, field.tag));
        FormDef { form: FormCode(form), version, fields }
    };
    Ok(forms.into_iter().map(define).collect())
}

fn read_enums(text: &str) -> Result<Vec<EnumDef>, TableError> {
    let mut lists: BTreeMap<String, Vec<EnumValue>> = BTreeMap::new();
    for (row, at) in rows::<EnumRow>(ENUMS, text)? {
        let value = EnumValue {
            code: EnumCode::parse(&row.value).ok_or_else(|| at.cell("value", &row.value))?,
            versions: VersionSet::parse(&row.ffd_versions)
                .ok_or_else(|| at.cell("ffd_versions", &row.ffd_versions))?,
            spelling: row.value.leak(),
            meaning_ru: row.meaning_ru.leak(),
        };
        lists.entry(row.name).or_default().push(value);
    }
    Ok(lists.into_iter().map(|(name, values)| EnumDef { name: name.leak(), values }).collect())
}

fn index_tags(tags: &[TagDef]) -> Result<Vec<Slot>, TableError> {
    let mut index = vec![Slot::default(); usize::from(DENSE_TAGS)];
    for (place, def) in tags.iter().enumerate() {
        let Some(slot) = index.get_mut(usize::from(def.tag)) else { continue };
        if slot.len == 0 {
            slot.start = u16::try_from(place).map_err(|_| TableError::TooLarge { table: TAGS })?;
        }
        slot.len += 1;
    }
    Ok(index)
}

fn index_forms(forms: &[FormDef]) -> Result<Vec<[Option<u8>; FfdVersion::COUNT]>, TableError> {
    let len = forms.iter().map(|form| usize::from(form.form.0) + 1).max().unwrap_or_default();
    let mut index = vec![[None; FfdVersion::COUNT]; len];
    for (place, form) in forms.iter().enumerate() {
        let place = u8::try_from(place).map_err(|_| TableError::TooLarge { table: DOCUMENTS })?;
        let versions = index.get_mut(usize::from(form.form.0));
        if let Some(slot) = versions.and_then(|versions| versions.get_mut(form.version.index())) {
            *slot = Some(place);
        }
    }
    Ok(index)
}

/// Where a row stands, for the error.
struct Place {
    table: &'static str,
    line: usize,
}

impl Place {
    fn cell(&self, column: &'static str, value: &str) -> TableError {
        TableError::Cell { table: self.table, line: self.line, column, value: value.to_owned() }
    }
}

fn rows<Row: DeserializeOwned>(table: &'static str, text: &str) -> Result<Vec<(Row, Place)>, TableError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let numbered = reader.deserialize::<Row>().zip(2..);
    numbered
        .map(|(row, line)| match row {
            Ok(row) => Ok((row, Place { table, line })),
            Err(source) => Err(TableError::Csv { table, source }),
        })
        .collect()
}

fn parse_kind(text: &str) -> Option<ValueKind> {
    Some(match text {
        "byte" => ValueKind::Byte,
        "u16" => ValueKind::U16,
        "u32" => ValueKind::U32,
        "bits" => ValueKind::Bits,
        "vln" => ValueKind::Vln,
        "fvln" => ValueKind::Fvln,
        "string(cp866)" => ValueKind::Text,
        "bytes" => ValueKind::Bytes,
        "unixtime" => ValueKind::Time,
        "stlv" => ValueKind::Group,
        _ => return None,
    })
}

/// `false`, `true (right-pad with 0x20 to N)`, `true (exactly N bytes)`, `true (exactly N byte(s), little-endian)`, or
/// nothing where it is not known.
fn parse_fixed(text: &str) -> Option<Fixed> {
    if matches!(text, "" | "false") {
        return Some(Fixed::Variable);
    }
    let prescription = text.strip_prefix("true (")?.strip_suffix(')')?;
    if let Some(len) = prescription.strip_prefix("right-pad with 0x20 to ") {
        return len.parse().ok().map(Fixed::Padded);
    }
    let (len, unit) = prescription.strip_prefix("exactly ")?.split_once(' ')?;
    let is_bytes = matches!(unit, "bytes" | "byte(s), little-endian");
    len.parse().ok().filter(|_| is_bytes).map(Fixed::Exact)
}

fn parse_yes(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn parse_parents(text: &str) -> Option<Vec<u16>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(';').map(|parent| parent.parse().ok()).collect()
}

fn parse_requirement(text: &str) -> Option<Requirement> {
    match text {
        "mandatory" => Some(Requirement::Mandatory),
        "conditional" => Some(Requirement::Conditional),
        "optional" => Some(Requirement::Optional),
        _ => None,
    }
}

/// A condition may begin with `form=...;`; without it nothing is said.
fn parse_medium(condition: &str) -> Option<Medium> {
    let Some(rest) = condition.strip_prefix("form=") else { return Some(Medium::Both) };
    match rest.split(';').next()? {
        "PE" => Some(Medium::Both),
        "E" => Some(Medium::Electronic),
        "P" => Some(Medium::Printed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
