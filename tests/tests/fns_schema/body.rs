//! The objects of a document: which fields they have, and that these are the records of `rawData`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::run::Outcome;
use crate::table::{Field, Names, Table};
use crate::values::{self, Same};
use crate::{json, records};

/// Title of a document, for paper only.
const TITLE: u16 = 1000;
/// Reasons of a change: numbers of 1.05, bits of later versions.
const REASON: u16 = 1101;
const REASON_MASK: u16 = 1205;

/// What the checks of one document share.
pub(crate) struct Body<'a> {
    pub(crate) table: &'a Table,
    pub(crate) names: Names,
    pub(crate) version: &'a str,
    pub(crate) form: u16,
    /// ФПС.
    pub(crate) sign: &'a [u8],
    pub(crate) outcome: &'a mut Outcome,
}

impl Body<'_> {
    /// Checks an object and all inside it.
    pub(crate) fn object(
        &mut self,
        object: &str,
        members: &BTreeMap<String, Box<RawValue>>,
        records: &[(u16, &[u8])],
    ) {
        let (table, names) = (self.table, self.names);
        let fields = table.object(object);
        for (name, value) in members {
            match fields.iter().find(|field| field.called(names) == name) {
                Some(field) => {
                    self.outcome.fields.insert(format!("{object}.{}", field.name));
                    self.field(object, field, value.get(), records);
                }
                None => self.fault(object, name, "is not in the table"),
            }
        }
        for field in fields.iter().filter(|field| !members.contains_key(field.called(names))) {
            if field.is_demanded_in(self.version) {
                self.fault(object, &field.name, "is missing");
            } else if records.iter().any(|(tag, _)| *tag == field.tag) {
                self.fault(object, &field.name, "is in rawData alone");
            }
        }
        for (tag, _) in records.iter().filter(|(tag, _)| *tag != TITLE) {
            if fields.iter().all(|field| field.tag != *tag) {
                self.outcome.unnamed.insert(format!("{object}.{tag}"));
            }
        }
    }

    fn fault(&mut self, object: &str, name: &str, what: &str) {
        self.outcome.faults.insert(format!("{object}.{name} of ФФД {} {what}", self.version));
    }

    fn field(&mut self, object: &str, field: &Field, text: &str, records: &[(u16, &[u8])]) {
        let of_tag = |tag| records.iter().filter(move |(other, _)| *other == tag).map(|(_, value)| *value);
        let values: Vec<&[u8]> = of_tag(field.tag).collect();
        let place = format!("{object}.{}", field.name);
        let (kind, inside) = field.kind.split_once(':').unwrap_or((&field.kind, ""));
        match (kind, &values[..]) {
            ("form", []) => assert_eq!(json::integer(text), u64::from(self.form), "{place}"),
            ("message-sign", []) => {
                assert_eq!(json::integer(text), u64::from_be_bytes(self.sign.try_into().unwrap()), "{place}");
            }
            // Its bytes are where the records come from.
            ("raw-data", []) => {}
            ("reasons", numbers) => {
                let bits = of_tag(REASON_MASK).next().map(records::number);
                self.reasons(&place, text, numbers, bits);
            }
            ("mask", [mask]) if field.tag == REASON_MASK && self.names == Names::Legacy => {
                self.reasons(&place, text, &[], Some(records::number(mask)));
            }
            ("array", values) => self.objects(&place, inside, text, values),
            ("object", [value]) if inside == "properties" && self.names == Names::Legacy => {
                self.objects(&place, inside, text, &[value]);
            }
            ("object", [value]) => self.object(inside, &json::members(text), &records::of(value)),
            ("texts", values) if values.len() > 1 => {
                let texts = json::elements(text);
                assert_eq!(texts.len(), values.len(), "{place}");
                texts.iter().zip(values).for_each(|(text, value)| Same(&place).text(text.get(), value));
            }
            (kind, [value]) => values::check(&place, kind, inside, text, value),
            (kind, values) => panic!("{place} ({kind}): {} records, JSON {text}", values.len()),
        }
    }

    fn objects(&mut self, place: &str, object: &str, text: &str, values: &[&[u8]]) {
        let elements = json::elements(text);
        assert_eq!(elements.len(), values.len(), "{place}");
        for (element, value) in elements.iter().zip(values) {
            self.object(object, &json::members(element.get()), &records::of(value));
        }
    }

    /// Reasons of a change as an array of numbers: those of the records 1101, or the bits of the mask 1205 from 1 on.
    fn reasons(&self, place: &str, text: &str, numbers: &[&[u8]], bits: Option<u64>) {
        let said: Vec<u64> =
            json::elements(text).iter().map(|element| json::integer(element.get())).collect();
        let numbers: Vec<u64> = numbers.iter().map(|value| records::number(value)).collect();
        let of_mask = bits.map(|mask| (1..=32).filter(|bit| mask >> (bit - 1) & 1 == 1).collect());
        let expected = if numbers.is_empty() { of_mask.unwrap_or_default() } else { numbers };
        assert_eq!(said, expected, "{place} of ФФД {}, tags {REASON} and {REASON_MASK}", self.version);
    }
}
