//! The tree of a document for people: every byte at its offset, in hex, with the Russian name of its tag and what the
//! value means; and the same tree for machines.
//!
//! It leaves out checks: a value is explained, not judged. Unknown tags are marked `??`, unreadable values `!!`.

mod data;
mod errors;
mod meaning;

use std::fmt::{self, Write};

use crate::dict::{FfdVersion, FormCode, ValueKind};
use crate::document::{Content, Document, Node};
use crate::tags;
use crate::tlv::HEADER_LEN;

pub use data::json_tree;

/// The word for bytes, see [`plural`].
const BYTES: [&str; 3] = ["байт", "байта", "байт"];
/// Bytes in one row of the dump.
const ROW_BYTES: usize = 16;
/// Columns of the hex part: two digits and a space for each byte of a row.
const HEX_COLUMNS: usize = ROW_BYTES * 3;

/// Draws the whole document: rows of at most 16 bytes, each with its offset; the first row of a record carries its
/// meaning. The rows hold each byte of the document exactly once.
///
/// `base_offset` is added to every offset: where the document begins inside the bytes being explained.
///
/// # Errors
/// Only those of `out`.
pub fn write_tree(doc: &Document<'_>, out: &mut impl Write, base_offset: usize) -> fmt::Result {
    let mut tree = TreeWriter { out, base_offset, form: doc.form(), version: doc.version() };
    let header = doc.bytes().first_chunk::<HEADER_LEN>().map_or(&[][..], |header| header);
    tree.rows(0, header, &[], &title(doc))?;
    doc.nodes().try_for_each(|node| tree.node(node, 1))
}

/// The word that stands after a number in Russian: `words` are those after 1, 2 and 5 (байт, байта, байт).
pub fn plural(number: usize, words: [&str; 3]) -> &str {
    let [one, few, many] = words;
    match (number % 100, number % 10) {
        (11..=14, _) => many,
        (_, 1) => one,
        (_, 2..=4) => few,
        _ => many,
    }
}

/// A number of bytes in words.
pub(crate) fn bytes_ru(len: usize) -> String {
    format!("{len} {}", plural(len, BYTES))
}

/// The line over the tree: name and code of the form, length of its value, ФФД version.
fn title(doc: &Document<'_>) -> String {
    let (form, length) = (doc.form(), doc.bytes().len().saturating_sub(HEADER_LEN));
    let read_as = doc.version().as_str();
    let version = match (stated_version(doc), doc.unsigned(tags::FFD_VERSION)) {
        (Some(version), _) => format!("ФФД {}", version.as_str()),
        (None, Some(code)) => format!("неизвестная версия ФФД {code}, читается как {read_as}"),
        (None, None) if doc.version_known() => "версия ФФД не указана".to_owned(),
        (None, None) => format!("версия ФФД не разобрана, читается как {read_as}"),
    };
    format!("{} (форма {}), длина {length}, {version}", form.name_ru(), form.0)
}

/// The version a document states: by tag 1209, or by its absence in what a register makes (1.0). Other forms do not
/// carry the tag in any version, so its absence says nothing there.
fn stated_version(doc: &Document<'_>) -> Option<FfdVersion> {
    let is_stated = doc.form().is_kkt_document() || doc.node(tags::FFD_VERSION).is_some();
    (is_stated && doc.version_known()).then(|| doc.version())
}

struct TreeWriter<'w, W> {
    out: &'w mut W,
    base_offset: usize,
    form: FormCode,
    version: FfdVersion,
}

impl<W: Write> TreeWriter<'_, W> {
    fn node(&mut self, node: Node<'_>, depth: usize) -> fmt::Result {
        let (tag, length) = (node.tag.to_le_bytes(), node.raw.len());
        // The parser cut the value by a 16-bit length, so the header is rebuilt without loss.
        let [low, high, ..] = length.to_le_bytes();
        let header = [tag[0], tag[1], low, high];
        // Decoded once; a long text is gone again before its rows are written.
        let content = node.content();
        let inside = if let Content::Group(nodes) = &content { Some(nodes.clone()) } else { None };
        let line = self.line(node, content, depth * 2);
        match inside {
            Some(mut nodes) => {
                self.rows(node.offset, &header, &[], &line)?;
                nodes.try_for_each(|inner| self.node(inner, depth + 1))
            }
            None => self.rows(node.offset, &header, node.raw, &line),
        }
    }

    /// Header and value of a record in rows, the meaning behind the first.
    fn rows(&mut self, offset: usize, header: &[u8], value: &[u8], line: &str) -> fmt::Result {
        let bytes = [header, value].concat();
        for (index, row) in bytes.chunks(ROW_BYTES).enumerate() {
            let at = self.base_offset + offset + index * ROW_BYTES;
            let mut hex = String::with_capacity(HEX_COLUMNS);
            for byte in row {
                write!(hex, "{byte:02x} ")?;
            }
            let text = if index == 0 { line } else { "" };
            writeln!(self.out, "{}", format!("{at:06x}  {hex:<HEX_COLUMNS$} {text}").trim_end())?;
        }
        Ok(())
    }

    /// Tag, name and meaning of one record on one line, behind `indent` spaces.
    fn line(&self, node: Node<'_>, content: Content<'_>, indent: usize) -> String {
        let name = node.def.map_or("", |def| def.name_ru);
        match content {
            Content::Group(nodes) => {
                format!("{:indent$}{} {name}: группа, записей {}", "", node.tag, nodes.count())
            }
            Content::Unknown => {
                format!("{:indent$}?? {} неизвестный тег, длина {}", "", node.tag, node.raw.len())
            }
            Content::Broken(error) => {
                let is_group = node.def.is_some_and(|def| def.kind == ValueKind::Group);
                let what = if is_group { "группа" } else { "значение" };
                let why = error.text_ru(self.base_offset);
                format!("{:indent$}!! {} {name}: {what} не читается ({why})", "", node.tag)
            }
            Content::Value(value) => {
                let meaning = meaning::of(node, &value, self.form, self.version);
                drop(value);
                let mut line = format!("{:indent$}{} {name}: ", "", node.tag);
                let notes = meaning.notes.join("; ");
                line.reserve_exact(meaning.value.len() + notes.len() + " ()".len());
                line.push_str(&meaning.value);
                if !notes.is_empty() {
                    line.extend([" (", &notes, ")"]);
                }
                line
            }
        }
    }
}

/// Bytes in hex, without spaces.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
