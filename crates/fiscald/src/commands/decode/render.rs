//! The explained bytes on paper: rows with offset and hex for people, JSON for programs.

use std::fmt::{self, Write};

use ffd::document::Document;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::model::{Content, CutDocument, Decoded, Field, Part, Remark, Weight};
use super::words::byte_count;

/// Bytes in one row, as in the tree of a document.
const ROW_BYTES: usize = 16;

/// Every byte at its offset, in hex, with its meaning; remarks below the piece they belong to.
pub(super) fn tree(decoded: &Decoded<'_>, length: usize) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}, {}", decoded.layer, byte_count(length))?;
    for part in &decoded.parts {
        writeln!(out, "\n-- {}", part.title)?;
        match &part.content {
            Content::Fields(fields) => fields.iter().try_for_each(|field| rows(&mut out, field))?,
            Content::Document(document) => ffd::text::write_tree(document, &mut out, part.offset)?,
            Content::Cut(cut) => cut_tree(&mut out, cut, part.offset)?,
        }
        part.remarks.iter().try_for_each(|remark| writeln!(out, "   {}", remark_line(remark)))?;
    }
    if decoded.parts.iter().all(|part| part.remarks.is_empty()) {
        writeln!(out, "\nЗамечаний нет.")?;
    }
    Ok(out)
}

fn cut_tree(out: &mut String, cut: &CutDocument<'_>, offset: usize) -> fmt::Result {
    cut.head.iter().try_for_each(|field| rows(out, field))?;
    let mut records = String::new();
    let document = Document::decode(&cut.whole).map_err(|_| fmt::Error)?;
    ffd::text::write_tree(&document, &mut records, offset)?;
    // The first row is the head, which was shown as it stands in the input.
    out.push_str(records.split_once('\n').map_or("", |(_, records)| records));
    cut.end.iter().try_for_each(|field| rows(out, field))
}

fn rows(out: &mut String, field: &Field<'_>) -> fmt::Result {
    for (index, row) in field.bytes.chunks(ROW_BYTES).enumerate() {
        let mut hex = String::with_capacity(3 * ROW_BYTES);
        row.iter().try_for_each(|byte| write!(hex, "{byte:02x} "))?;
        let meaning = match (index, field.value.as_str()) {
            (0, "") => field.name.to_owned(),
            (0, value) => format!("{}: {value}", field.name),
            _ => String::new(),
        };
        let at = field.offset + index * ROW_BYTES;
        writeln!(out, "{}", format!("{at:06x}  {hex:<48} {meaning}").trim_end())?;
    }
    Ok(())
}

fn remark_line(remark: &Remark) -> String {
    let sign = match remark.weight {
        Weight::Damage => "!! ПОВРЕЖДЕНО",
        Weight::Hard => "!! ошибка ФЛК",
        Weight::Soft => "! замечание ФЛК",
        Weight::Note => "*",
    };
    let rule = if remark.rule.is_empty() { String::new() } else { format!(" [{}]", remark.rule) };
    let path: Vec<String> = remark.path.iter().map(ToString::to_string).collect();
    let path = if path.is_empty() { String::new() } else { format!(" {}:", path.join("/")) };
    format!("{sign}{rule}{path} {}", remark.text)
}

impl Serialize for Decoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("layer", self.layer)?;
        map.serialize_entry("damaged", &self.is_damaged())?;
        map.serialize_entry("parts", &self.parts)?;
        map.end()
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("title", &self.title)?;
        map.serialize_entry("offset", &self.offset)?;
        match &self.content {
            Content::Fields(fields) => map.serialize_entry("fields", fields)?,
            Content::Document(document) => {
                map.serialize_entry("document", &ffd::text::json_tree(document))?
            }
            Content::Cut(cut) => {
                map.serialize_entry("fields", &cut.head.iter().chain(&cut.end).collect::<Vec<_>>())?;
                let document = Document::decode(&cut.whole).map_err(S::Error::custom)?;
                map.serialize_entry("document", &ffd::text::json_tree(&document))?;
            }
        }
        if !self.remarks.is_empty() {
            map.serialize_entry("remarks", &self.remarks)?;
        }
        map.end()
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("hex", &hex::encode(self.bytes))?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("value", &self.value)?;
        map.end()
    }
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "weight",
            match self.weight {
                Weight::Damage => "damage",
                Weight::Hard => "hard",
                Weight::Soft => "soft",
                Weight::Note => "note",
            },
        )?;
        if !self.rule.is_empty() {
            map.serialize_entry("rule", self.rule)?;
        }
        if !self.path.is_empty() {
            map.serialize_entry("path", &self.path)?;
        }
        map.serialize_entry("text", &self.text)?;
        map.end()
    }
}
