//! The views of a document and the judgement of it: every JSON is JSON, with each name once in an object; the tree for
//! people shows every byte once; findings name rules that exist.

use std::collections::HashSet;
use std::fmt;

use ffd::check::{Claimed, Finding, RegisterState, Severities, Surroundings};
use ffd::document::{Document, Nodes};
use ffd::json::{FnsJson, Names};
use ffd::tlv::MAX_DEPTH;
use ffd::{FdNumber, FnNumber, Inn, check, text};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::mend::mended;

/// Bytes of text that one record may make in a view beside its own bytes: its name, the meaning of each of 32 bits.
const TEXT_PER_RECORD: usize = 8 * 1024;
/// Bytes of text that one byte of a value may make: a row of the tree has 16 of them.
const TEXT_PER_BYTE: usize = 24;
/// A moment at which the documents arrive: 2026-11-22 00:00:00 UTC.
const RECEIVED_AT: u32 = 1_795_305_600;

/// Checks the views of the last document of the input, and its judgement after those before it.
pub fn check(input: &[u8]) {
    let (before, last) = documents(input);
    let Some(bytes) = mended(last) else { return };
    let Ok(document) = Document::decode(&bytes) else { return };
    let records = count(document.nodes());
    let bound = TEXT_PER_RECORD * (records + 1) + TEXT_PER_BYTE * bytes.len();
    for view in views(&document, records) {
        assert!(view.len() <= bound, "{} bytes of text for {records} records", view.len());
    }
    tree(&document, bound);
    let history: Vec<Document<'_>> =
        before.into_iter().filter_map(|bytes| Document::decode(bytes).ok()).collect();
    judge(&document, &history);
}

/// Cuts the input into documents by the lengths in their heads; the last one is what is left, whatever its head says.
fn documents(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut before, mut rest) = (Vec::new(), input);
    while let Some(&[_, _, low, high]) = rest.first_chunk() {
        let len = 4 + usize::from(u16::from_le_bytes([low, high]));
        match rest.split_at_checked(len) {
            Some((document, after)) if after.len() >= 4 => {
                before.push(document);
                rest = after;
            }
            _ => break,
        }
    }
    (before, rest)
}

fn count(nodes: Nodes<'_>) -> usize {
    nodes.map(|node| 1 + count(node.children())).sum()
}

/// The JSON texts, each of them read back.
fn views(document: &Document<'_>, records: usize) -> Vec<String> {
    let mut texts = vec![serde_json::to_string(&text::json_tree(document)).expect("the tree is JSON")];
    for (names, sign) in [(Names::Modern, None), (Names::Legacy, Some(*b"\x81\x06\xFF\xFFcdef"))] {
        let json = FnsJson::new(document, sign, names);
        let omitted = json.omitted();
        assert!(omitted.unknown + omitted.broken + omitted.unnamed + omitted.clashing <= records);
        let text = serde_json::to_string(&json).expect("the document is JSON");
        assert!(text.contains("\"rawData\":"));
        assert_eq!(text.contains("\"messageFiscalSign\":"), sign.is_some());
        texts.push(text);
    }
    for text in &texts {
        let Unique(depth) = serde_json::from_str(text).expect("each name once");
        assert!(depth <= 2 * MAX_DEPTH + 8, "{depth} levels of JSON");
    }
    texts
}

/// The hexadecimal digits of all rows are the document.
fn tree(document: &Document<'_>, bound: usize) {
    let mut text = String::new();
    text::write_tree(document, &mut text, 0).expect("a String takes all");
    assert!(text.len() <= bound, "{} bytes of text", text.len());
    let mut shown = Vec::with_capacity(document.bytes().len());
    for line in text.lines() {
        let (offset, rest) = line.split_once("  ").expect("offset and bytes");
        assert_eq!(usize::from_str_radix(offset, 16), Ok(shown.len()), "{line}");
        let digits = rest.get(..48).unwrap_or(rest);
        let bytes = digits.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16));
        shown.extend(bytes.collect::<Result<Vec<_>, _>>().expect("only digits"));
    }
    assert_eq!(shown, document.bytes());
}

/// Findings of the document alone, after its history, and as a repeat of itself.
fn judge(document: &Document<'_>, history: &[Document<'_>]) {
    let fn_number = FnNumber::from_padded(b"9999078902013267").unwrap();
    let claimed = Claimed { form: document.form(), fn_number, fd_number: FdNumber::FIRST };
    let inn = Inn::from_padded(b"7704358518").unwrap();
    let severities = Severities::default();
    let alone = Surroundings { claimed: None, received_at: RECEIVED_AT, operator_inn: None, register: None };
    findings(document, &alone, &severities);
    let mut register = RegisterState::default();
    for before in history {
        register.apply(before);
    }
    for is_cut in [false, true] {
        if is_cut {
            register.cut();
        }
        let around = Surroundings {
            claimed: Some(claimed),
            received_at: RECEIVED_AT,
            operator_inn: Some(inn),
            register: Some(&register),
        };
        findings(document, &around, &severities);
        register.apply(document);
        let known = register.clone();
        register.apply(document);
        assert_eq!(register, known, "a repeat changes nothing");
    }
}

fn findings(document: &Document<'_>, around: &Surroundings<'_>, severities: &Severities) -> Vec<Finding> {
    let found = check::check(document, around, severities);
    assert_eq!(found, check::check(document, around, severities));
    for finding in &found {
        let rule = check::rule(finding.rule).unwrap_or_else(|| panic!("no rule {}", finding.rule));
        assert!(!finding.text_ru.is_empty() && !rule.about_ru.is_empty());
        assert!(finding.text_ru.len() <= 4 * 1024, "{}: {} bytes of text", rule.name, finding.text_ru.len());
        assert!(finding.path.len() <= MAX_DEPTH + 2, "{}: {:?}", rule.name, finding.path);
    }
    let limit = 64 * (count(document.nodes()) + 16);
    assert!(found.len() <= limit, "{} findings", found.len());
    found
}

/// Any JSON whose objects have each name once; how deep it goes.
struct Unique(usize);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let (mut names, mut deepest) = (HashSet::new(), 0);
        while let Some((name, Unique(depth))) = map.next_entry::<String, Unique>()? {
            deepest = deepest.max(depth);
            if names.contains(&name) {
                return Err(A::Error::custom(format!("{name} stands twice")));
            }
            names.insert(name);
        }
        Ok(Unique(deepest + 1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unique, A::Error> {
        let mut deepest = 0;
        while let Some(Unique(depth)) = list.next_element()? {
            deepest = deepest.max(depth);
        }
        Ok(Unique(deepest + 1))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique(0))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique(0))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique(0))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique(0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique(0))
    }

    fn visit_unit<E: Error>(self) -> Result<Unique, E> {
        Ok(Unique(0))
    }
}
