//! The tax-service JSON of a document (ФНС): the object `{ "<kind>": { ... } }` that the operator forwards.
//!
//! A streaming [`Serialize`] over the lossless tree: no copy of the document is built. Rules (tax-service protocol,
//! mapping of TLV to JSON):
//! - members stand in the order of the document, `code` first, `messageFiscalSign` and `rawData` last;
//! - money is integer kopecks, flags are 0 and 1, masks stay integers, times stay the register's local seconds,
//!   64-bit numbers are exact, quantities are exact decimals with the digits of the wire (`1.500` stays `1.500`);
//! - texts keep their padding and line ends; `userInn` and `ofdInn` have 12 characters, `kktRegId` 20, filled with
//!   spaces on the right also when the till left them out (tax-service notes A2; nobody proves it of other INNs);
//! - byte strings are base64; `fiscalSign` is the printed 32-bit number;
//! - a repeated tag becomes an array in place of its first appearance; goods, reasons, VAT amounts and details of an
//!   industry are arrays even when they stand once;
//! - the code of goods of ФФД 1.2 (1163) is an object of typed codes, each `{"rawProductCode": "<text>"}`, the shape
//!   of the tax service's own output; the older one (1162) is base64;
//! - tag 1000 (the title) is dropped; a tag that is unknown, unreadable, or without a JSON name is left out and
//!   counted ([`FnsJson::omitted`]): nothing is lost, since `rawData` holds the document as received.
//!
//! It leaves out any envelope around the object and any decision whether a document is to be sent.

mod names;

use std::fmt;
use std::iter;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::dict::{TagDef, ValueKind};
use crate::document::{Content, Document, Node, Nodes};
use crate::tags;
use crate::value::{Decimal, Value};

pub use names::Names;

/// A document as the tax service reads it; serialise it with `serde_json`.
#[derive(Debug, Clone, Copy)]
pub struct FnsJson<'d, 'a> {
    document: &'d Document<'a>,
    message_sign: Option<[u8; 8]>,
    names: Names,
}

/// How many records of a document its JSON leaves out, groups counted with all they hold as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Tags that the dictionary does not have.
    pub unknown: usize,
    /// Known tags whose value does not read.
    pub broken: usize,
    /// Known tags that have no name in the JSON (tag 1000 is dropped by rule and not counted).
    pub unnamed: usize,
    /// Tags whose name another tag of the same object took first: a JSON object has each name once.
    pub clashing: usize,
}

impl<'d, 'a> FnsJson<'d, 'a> {
    /// `message_sign` is the ФПС, the first eight bytes after the document in its container. Without it the JSON has
    /// no `messageFiscalSign` and `rawData` is the document alone.
    pub fn new(document: &'d Document<'a>, message_sign: Option<[u8; 8]>, names: Names) -> Self {
        Self { document, message_sign, names }
    }

    /// What the JSON leaves out.
    pub fn omitted(&self) -> Omitted {
        let mut omitted = Omitted::default();
        self.top().count_omitted(&mut omitted);
        omitted
    }

    fn top(&self) -> Object<'d> {
        Object { nodes: self.document.nodes(), parent: self.document.form().0, names: self.names }
    }
}

impl Serialize for FnsJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = self.document.form();
        let mut root = serializer.serialize_map(Some(1))?;
        match form.json_name() {
            Some(name) => root.serialize_entry(name, &Body(self))?,
            // The operator's acknowledgement (7) and the notifications about marked goods (81-84) never go to the tax
            // service; this is only for looking at them.
            None => root.serialize_entry(&format!("form{}", form.0), &Body(self))?,
        }
        root.end()
    }
}

/// The object under the document's name.
struct Body<'f, 'd, 'a>(&'f FnsJson<'d, 'a>);

impl Serialize for Body<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let FnsJson { document, message_sign, names } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(names.code(document.form()), &document.form().0)?;
        self.0.top().members(&mut map)?;
        if let Some(sign) = message_sign {
            map.serialize_entry("messageFiscalSign", &u64::from_be_bytes(*sign))?;
            map.serialize_entry("rawData", &Base64(&[document.bytes(), sign].concat()))?;
        } else {
            map.serialize_entry("rawData", &Base64(document.bytes()))?;
        }
        map.end()
    }
}

/// Members that an object has at most, as a rule; a list that turns out longer grows.
const USUAL_MEMBERS: usize = 32;

/// The records of one level.
#[derive(Clone)]
struct Object<'d> {
    nodes: Nodes<'d>,
    parent: u16,
    names: Names,
}

/// One member of an object: a tag under its JSON name.
struct Member<'d> {
    name: &'static str,
    def: &'static TagDef,
    /// The first record of the tag.
    node: Node<'d>,
    /// The records behind it, where its repetitions are.
    behind: Nodes<'d>,
    repeated: bool,
}

impl<'d> Object<'d> {
    /// Groups the records by tag, in order of first appearance. A level has at most as many members as the dictionary
    /// has names, so the inner search stays short however many records there are.
    fn collect(&self) -> Vec<Member<'d>> {
        let mut nodes = self.nodes.clone();
        let (_, most) = nodes.size_hint();
        let mut members: Vec<Member<'d>> = Vec::with_capacity(most.unwrap_or_default().min(USUAL_MEMBERS));
        while let Some(node) = nodes.next() {
            let Some((name, def)) = self.readable(node) else { continue };
            match members.iter_mut().find(|member| member.node.tag == node.tag || member.name == name) {
                Some(member) => member.repeated |= member.node.tag == node.tag,
                None => members.push(Member { name, def, node, behind: nodes.clone(), repeated: false }),
            }
        }
        members
    }

    /// Name and definition of a record that belongs into the JSON.
    fn readable(&self, node: Node<'_>) -> Option<(&'static str, &'static TagDef)> {
        let def = node.def.filter(|def| def.tag != tags::TITLE)?;
        let name = self.names.tag(def, self.parent)?;
        let readable = node.is_readable() && sign_is_whole(node);
        readable.then_some((name, def))
    }

    fn members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let members = self.collect();
        for member in &members {
            if member.def.tag == tags::REASON_MASK {
                self.reason_mask(
                    map,
                    member,
                    members.iter().any(|other| other.def.tag == tags::REASON_CODE),
                )?;
            } else if member.repeated || is_array(member.def, self.names) {
                map.serialize_entry(member.name, &Repeated { object: self, member })?;
            } else {
                map.serialize_entry(member.name, &self.member_value(member.node))?;
            }
        }
        Ok(())
    }

    /// The mask 1205. Modern: the mask itself, and its bits numbered from 1 in `correctionReasonCode`, unless records
    /// 1101 already fill that name. Legacy: only the bits, under the mask's own name.
    fn reason_mask<M: SerializeMap>(
        &self,
        map: &mut M,
        member: &Member<'d>,
        has_codes: bool,
    ) -> Result<(), M::Error> {
        let mask = self.occurrences(member).fold(0, |mask, node| mask | bits_of(node));
        let numbers: Vec<u32> =
            (0..u32::BITS).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit + 1).collect();
        if self.names == Names::Legacy {
            return map.serialize_entry(member.name, &numbers);
        }
        map.serialize_entry(member.name, &mask)?;
        if !has_codes && !numbers.is_empty() {
            map.serialize_entry("correctionReasonCode", &numbers)?;
        }
        Ok(())
    }

    /// All readable records of a member's tag, the first included.
    fn occurrences<'s>(&'s self, member: &Member<'d>) -> impl Iterator<Item = Node<'d>> + use<'s, 'd> {
        let tag = member.node.tag;
        let again =
            member.behind.clone().filter(move |&node| node.tag == tag && self.readable(node).is_some());
        iter::once(member.node).chain(again)
    }

    fn member_value(&self, node: Node<'d>) -> MemberValue<'d> {
        MemberValue { node, parent: self.parent, names: self.names }
    }

    fn count_omitted(&self, omitted: &mut Omitted) {
        let members = self.collect();
        for node in self.nodes.clone().filter(|node| node.tag != tags::TITLE) {
            match node.def.map(|def| self.names.tag(def, self.parent)) {
                None => omitted.unknown += 1,
                Some(None) => omitted.unnamed += 1,
                Some(_) if !node.is_readable() || !sign_is_whole(node) => omitted.broken += 1,
                Some(Some(name)) => {
                    let taken = members.iter().any(|other| other.name == name && other.def.tag != node.tag);
                    if taken {
                        omitted.clashing += 1;
                    } else if node.is_group() {
                        let inside = Object { nodes: node.children(), parent: node.tag, names: self.names };
                        inside.count_omitted(omitted);
                    }
                }
            }
        }
    }
}

/// The values of a tag that is an array.
struct Repeated<'m, 'd> {
    object: &'m Object<'d>,
    member: &'m Member<'d>,
}

impl Serialize for Repeated<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(None)?;
        for node in self.object.occurrences(self.member) {
            array.serialize_element(&self.object.member_value(node))?;
        }
        array.end()
    }
}

/// One value.
struct MemberValue<'d> {
    node: Node<'d>,
    parent: u16,
    names: Names,
}

impl Serialize for MemberValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most are numbers, and a number reads the same whatever its width.
        if let Some(number) = self.node.unsigned() {
            return serializer.serialize_u64(number);
        }
        match self.node.content() {
            // The tax service wraps each code of goods and adds what it finds inside (gtin, serial number); the code
            // itself is plain text in its output.
            Content::Value(Value::Text(text)) if self.parent == tags::PRODUCT_CODE_GROUP => {
                let mut code = serializer.serialize_map(Some(1))?;
                code.serialize_entry("rawProductCode", &text)?;
                code.end()
            }
            Content::Value(value) => serialize_value(self.node, &value, serializer),
            Content::Group(nodes) => {
                let object = Object { nodes, parent: self.node.tag, names: self.names };
                let mut map = serializer.serialize_map(None)?;
                object.members(&mut map)?;
                map.end()
            }
            Content::Broken(_) | Content::Unknown => serializer.serialize_unit(),
        }
    }
}

fn serialize_value<S: Serializer>(
    node: Node<'_>,
    value: &Value<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Value::Byte(_) | Value::U16(_) | Value::U32(_) | Value::Bits { .. } | Value::Vln(_) => {
            serializer.serialize_u64(value.unsigned().unwrap_or_default())
        }
        Value::Fvln(value) => serialize_decimal(value, serializer),
        Value::Text(text) => match fixed_width(node.tag) {
            Some(width) if text.chars().count() < width => {
                serializer.collect_str(&format_args!("{text:<width$}"))
            }
            _ => serializer.serialize_str(text),
        },
        Value::Time(time) => serializer.serialize_u32(time.get()),
        Value::Bytes(bytes) => match printed_sign(node.tag, bytes) {
            Some(sign) => serializer.serialize_u32(sign),
            None => Base64(bytes).serialize(serializer),
        },
    }
}

/// Characters of a text that the tax service takes in one width only, filled with spaces on the right.
fn fixed_width(tag: u16) -> Option<usize> {
    match tag {
        tags::USER_INN | tags::OFD_INN => Some(12),
        tags::RNM => Some(20),
        _ => None,
    }
}

/// A decimal keeps the digits of the wire; passing it through a float would lose some.
fn serialize_decimal<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(value.to_string()).map_err(S::Error::custom)?.serialize(serializer)
}

/// The mask of a bit register; the registration's mask is the only one that needs taking apart.
fn bits_of(node: Node<'_>) -> u32 {
    match node.value() {
        Some(Value::Bits { mask, .. }) => mask,
        _ => 0,
    }
}

/// The printed number of the document's sign: the last four of its six bytes, high byte first.
fn printed_sign(tag: u16, bytes: &[u8]) -> Option<u32> {
    match *bytes {
        [_, _, a, b, c, d] if tag == tags::FISCAL_SIGN => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

/// False for a document's sign of another length: it has no printed number.
fn sign_is_whole(node: Node<'_>) -> bool {
    node.tag != tags::FISCAL_SIGN || printed_sign(node.tag, node.raw).is_some()
}

/// Whether a tag is an array even when it stands once; cashless payments by analogy.
fn is_array(def: &TagDef, names: Names) -> bool {
    match def.tag {
        tags::ITEM
        | tags::REVERSED_ITEM
        | tags::REASON_CODE
        | tags::DISCOUNT
        | tags::CASHLESS_PAYMENT
        | tags::ITEM_INDUSTRY_DETAILS
        | tags::RECEIPT_INDUSTRY_DETAILS => true,
        tags::VAT_AMOUNT => def.kind == ValueKind::Group,
        tags::USER_DETAILS => names == Names::Legacy,
        _ => false,
    }
}

/// Bytes as standard base64 with padding.
struct Base64<'b>(&'b [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(self.0, &STANDARD).fmt(f)
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
