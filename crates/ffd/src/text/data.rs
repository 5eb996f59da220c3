//! The tree as data for programs: the records of [`super::write_tree`] with exact values beside their hex.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::meaning::{self, Meaning};
use super::{hex, stated_version};
use crate::dict::{FfdVersion, FormCode, ValueKind};
use crate::document::{Content, Document, Node, Nodes};
use crate::error::ValueError;
use crate::value::Value;

/// The tree of a document for `serde_json`: an object with the facts of the document and its `records`, each with
/// `offset` (of its header, from the start of the document), `tag`, `name`, `type`, `length`, and
/// - for a value: `hex`, `value` (exact: integer, decimal, text with its padding, time as `2017-03-03 11:38:00`, bytes
///   as hex) and `meaning` (roubles, meaning of a code or of each bit set);
/// - for a group: its `records`;
/// - for an unknown or unreadable record: `hex` and `problem`: `unknown-tag`, `wrong-length`, `too-many-digits`,
///   `broken-group` or `too-deep`.
pub fn json_tree<'d>(doc: &'d Document<'_>) -> impl Serialize + 'd {
    JsonDocument {
        form: doc.form().0,
        name: doc.form().name_ru(),
        ffd: stated_version(doc).map(FfdVersion::as_str),
        length: doc.bytes().len(),
        fiscal_sign: doc.fiscal_sign(),
        records: Records { nodes: doc.nodes(), form: doc.form(), version: doc.version() },
    }
}

#[derive(Serialize)]
struct JsonDocument<'d> {
    form: u16,
    name: &'static str,
    /// Absent when the document does not state a version that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    ffd: Option<&'static str>,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fiscal_sign: Option<u32>,
    records: Records<'d>,
}

#[derive(Clone)]
struct Records<'d> {
    nodes: Nodes<'d>,
    form: FormCode,
    version: FfdVersion,
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.nodes.clone().map(|node| JsonRecord::of(node, self)))
    }
}

#[derive(Serialize)]
struct JsonRecord<'d> {
    offset: usize,
    tag: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<JsonValue<'d>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    meaning: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Records<'d>>,
}

impl<'d> JsonRecord<'d> {
    fn of(node: Node<'d>, level: &Records<'_>) -> Self {
        let mut record = Self {
            offset: node.offset,
            tag: node.tag,
            name: node.def.map(|def| def.name_ru),
            kind: node.def.map(|def| kind_name(def.kind)),
            length: node.raw.len(),
            hex: None,
            value: None,
            meaning: Vec::new(),
            problem: None,
            records: None,
        };
        match node.content() {
            Content::Value(value) => {
                record.meaning = meaning_of(node, &value, level);
                record.value = Some(JsonValue(value));
            }
            Content::Group(nodes) => {
                record.records = Some(Records { nodes, ..*level });
                return record;
            }
            Content::Broken(error) => record.problem = Some(problem_code(&error)),
            Content::Unknown => record.problem = Some("unknown-tag"),
        }
        record.hex = Some(hex(node.raw));
        record
    }
}

fn meaning_of(node: Node<'_>, value: &Value<'_>, level: &Records<'_>) -> Vec<String> {
    let Meaning { value: text, mut notes } = meaning::of(node, value, level.form, level.version);
    if matches!(value, Value::Vln(_)) && meaning::is_money(node.def) {
        notes.insert(0, text);
    }
    notes
}

/// Stable words for programs; the tree for people says more, in Russian.
fn problem_code(error: &ValueError) -> &'static str {
    match error {
        ValueError::Length { .. } => "wrong-length",
        ValueError::Scale { .. } => "too-many-digits",
        ValueError::Group { .. } | ValueError::IsGroup { .. } => "broken-group",
        ValueError::TooDeep { .. } => "too-deep",
    }
}

/// A value without loss.
struct JsonValue<'d>(Value<'d>);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Byte(value) => serializer.serialize_u8(*value),
            Value::U16(value) => serializer.serialize_u16(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            Value::Bits { mask, .. } => serializer.serialize_u32(*mask),
            Value::Vln(value) => serializer.serialize_u64(*value),
            Value::Fvln(value) => {
                let digits = RawValue::from_string(value.to_string()).map_err(serde::ser::Error::custom)?;
                digits.serialize(serializer)
            }
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&hex(bytes)),
            Value::Time(time) => serializer.collect_str(time),
        }
    }
}

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Byte => "byte",
        ValueKind::U16 => "u16",
        ValueKind::U32 => "u32",
        ValueKind::Bits => "bits",
        ValueKind::Vln => "vln",
        ValueKind::Fvln => "fvln",
        ValueKind::Text => "text",
        ValueKind::Bytes => "bytes",
        ValueKind::Time => "time",
        ValueKind::Group => "group",
    }
}
