//! What the tests of this crate read and make up: the captures of `proto-fixtures` with their expected results, and
//! random documents. A capture added there is met by itself.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dict::{ValueKind, dictionary};
use crate::tlv::write_record;

/// Captures that hold a document, when this was written: fewer mean that they were not found.
const AT_LEAST: usize = 8;

/// A document inside `captures/NAME.bin`, with what `captures/NAME.json` expects of it.
pub(crate) struct Capture {
    pub(crate) name: String,
    bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What is read of `NAME.json`, see the README there.
#[derive(Deserialize)]
struct Description {
    length: usize,
    document: Option<Expected>,
}

/// Its member `document`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) offset: usize,
    length: usize,
    pub(crate) form: u16,
    #[serde(rename = "fn")]
    pub(crate) fn_number: String,
    #[serde(rename = "fd")]
    pub(crate) fd_number: u32,
    pub(crate) ffd: String,
    pub(crate) records: usize,
    pub(crate) records_nested: usize,
    pub(crate) fiscal_sign: Option<u32>,
    message_sign: Option<String>,
    fns: Option<Box<RawValue>>,
}

impl Capture {
    /// The document: form, length, records.
    pub(crate) fn document(&self) -> &[u8] {
        &self.bytes[self.expected.offset..][..self.expected.length]
    }

    /// What follows it: a sign, a sign and two zeros, nothing.
    pub(crate) fn after_document(&self) -> &[u8] {
        &self.bytes[self.expected.offset + self.expected.length..]
    }

    /// The sign that follows it.
    pub(crate) fn message_sign(&self) -> Option<[u8; 8]> {
        let hex = self.expected.message_sign.as_ref()?;
        Some(hex::decode(hex).unwrap().try_into().unwrap())
    }

    /// The tax-service JSON as text without spaces between its parts.
    pub(crate) fn fns_text(&self) -> Option<String> {
        Some(minified(self.expected.fns.as_ref()?.get()))
    }
}

/// All captures that hold a document, by name.
pub(crate) fn documents() -> Vec<Capture> {
    let mut names: Vec<String> = fs::read_dir(root().join("captures"))
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str().unwrap().strip_suffix(".bin").map(str::to_owned)
        })
        .collect();
    names.sort();
    let captures: Vec<Capture> = names.into_iter().filter_map(load).collect();
    assert!(captures.len() >= AT_LEAST, "only {} captures hold a document", captures.len());
    captures
}

/// The one whose name begins so.
pub(crate) fn find(name: &str) -> Capture {
    documents().into_iter().find(|capture| capture.name.starts_with(name)).unwrap()
}

fn load(name: String) -> Option<Capture> {
    let bytes = fs::read(root().join(format!("captures/{name}.bin"))).unwrap();
    let description: Description = serde_json::from_str(&read(&format!("captures/{name}.json"))).unwrap();
    assert_eq!(bytes.len(), description.length, "{name}");
    Some(Capture { name, bytes, expected: description.document? })
}

/// A text file of `proto-fixtures`.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures")
}

/// JSON text without the white space between its tokens; numbers keep their digits, which a parsed value would not.
fn minified(json: &str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    for character in json.chars() {
        if in_string || !character.is_ascii_whitespace() {
            text.push(character);
        }
        match character {
            '"' if !escaped => in_string = !in_string,
            '\\' if in_string && !escaped => {
                escaped = true;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    text
}

/// A document of this form with these records at its top level.
pub(crate) fn document(form: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, value) in records {
        write_record(&mut body, *tag, value).unwrap();
    }
    let mut document = Vec::new();
    write_record(&mut document, form, &body).unwrap();
    document
}

/// A document of any form with any records: mostly tags of the dictionary, values of any length, groups in groups, now
/// and then a group that does not read.
pub(crate) fn any_document() -> impl Strategy<Value = Vec<u8>> {
    let forms = prop::sample::select(vec![1, 11, 2, 21, 3, 31, 4, 41, 5, 6, 7, 81, 82, 83, 84, 200]);
    let version = prop_oneof![4 => (1..=4_u8).prop_map(Some), 1 => any::<Option<u8>>()];
    (forms, version, vec(any_record(), 0..12)).prop_map(|(form, version, records)| {
        let version = version.map(|version| (1209, vec![version]));
        let records: Vec<_> =
            version.iter().chain(&records).map(|(tag, value)| (*tag, value.as_slice())).collect();
        document(form, &records)
    })
}

fn any_record() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let (groups, others): (Vec<u16>, Vec<u16>) = (1000..2200_u16)
        .filter_map(|tag| dictionary().meanings(tag).first())
        .map(|def| (def.kind == ValueKind::Group, def.tag))
        .fold((Vec::new(), Vec::new()), |(mut groups, mut others), (is_group, tag)| {
            if is_group {
                groups.push(tag)
            } else {
                others.push(tag)
            }
            (groups, others)
        });
    let tag = prop_oneof![9 => prop::sample::select(others), 1 => any::<u16>()];
    let value = prop_oneof![vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..40)];
    (tag, value).prop_recursive(12, 60, 6, move |record| {
        (prop::sample::select(groups.clone()), vec(record, 0..6), prop::bool::weighted(0.05)).prop_map(
            |(tag, records, is_cut)| {
                let mut value = Vec::new();
                for (tag, inner) in records {
                    write_record(&mut value, tag, &inner).unwrap();
                }
                value.truncate(value.len() - usize::from(is_cut && !value.is_empty()));
                (tag, value)
            },
        )
    })
}
