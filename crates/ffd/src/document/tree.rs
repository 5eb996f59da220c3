//! The records of a document in one list, each before those inside it, and what looks at them.

use std::borrow::Cow;
use std::iter::FusedIterator;
use std::ops::Deref;

use super::index::TopLevel;
use crate::dict::{Dictionary, FfdVersion, Fixed, TagDef, ValueKind, dictionary};
use crate::error::{TlvError, ValueError};
use crate::tags;
use crate::tlv::{self, HEADER_LEN, MAX_DEPTH, Records};
use crate::value::{Decimal, LocalTime, Value, cp866, decode_value, is_readable, le_number};

/// Bytes that a record takes on average at least, as a rule, its header included; a list that turns out longer grows.
const USUAL_RECORD_LEN: usize = 6;

/// One record as it lies in its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// Its tag.
    pub tag: u16,
    /// Where its header begins, from the start of the document.
    pub offset: usize,
    /// Its value as it stands on the wire.
    pub raw: &'a [u8],
    /// The meaning of the tag here; `None` for an unknown tag.
    pub def: Option<&'static TagDef>,
    state: State,
    /// How many of the records behind it are inside it, at any depth: fewer than the four-byte headers that 65,535 bytes
    /// hold.
    below: u16,
}

/// What reading a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The tag is unknown.
    Unknown,
    /// A single value of the type of its tag.
    Value,
    /// A single value that is not.
    BrokenValue,
    /// A group that reads.
    Group,
    /// A group whose records break off.
    BrokenGroup,
    /// A group deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// One record of the tree with what is inside it: a look at the document, free to copy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node<'n> {
    record: &'n Record<'n>,
    below: &'n [Record<'n>],
}

/// What the value of a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'n> {
    /// A single value of the type of its tag.
    Value(Value<'n>),
    /// A group (STLV): records in their order.
    Group(Nodes<'n>),
    /// The tag is known and the value is not of its type: see [`Record::raw`].
    Broken(ValueError),
    /// The tag is unknown: see [`Record::raw`].
    Unknown,
}

impl<'n> Deref for Node<'n> {
    type Target = Record<'n>;

    fn deref(&self) -> &Self::Target {
        self.record
    }
}

impl<'n> Node<'n> {
    /// What the record says.
    pub fn content(self) -> Content<'n> {
        let Some(def) = self.def else { return Content::Unknown };
        match self.state {
            State::Unknown => Content::Unknown,
            State::Value | State::BrokenValue => {
                decode_value(def, self.raw).map_or_else(Content::Broken, Content::Value)
            }
            State::Group => Content::Group(self.children()),
            State::BrokenGroup => {
                match Records::new(self.raw, self.offset + HEADER_LEN).find_map(Result::err) {
                    Some(source) => Content::Broken(ValueError::Group { tag: def.tag, source }),
                    None => Content::Group(self.children()),
                }
            }
            State::TooDeep => Content::Broken(ValueError::TooDeep { tag: def.tag, limit: MAX_DEPTH }),
        }
    }

    /// Whether the value is of the type of its tag, or a group of records.
    pub fn is_readable(self) -> bool {
        matches!(self.state, State::Value | State::Group)
    }

    /// Whether the tag is known and the value is not of its type.
    pub fn is_broken(self) -> bool {
        matches!(self.state, State::BrokenValue | State::BrokenGroup | State::TooDeep)
    }

    /// Whether this is a single value that reads.
    pub(crate) fn is_value(self) -> bool {
        self.state == State::Value
    }

    /// Whether this is a group that reads.
    pub fn is_group(self) -> bool {
        self.state == State::Group
    }

    /// Whether this is a group that does not.
    pub(super) fn is_unreadable_group(self) -> bool {
        matches!(self.state, State::BrokenGroup | State::TooDeep)
    }

    /// The value, unless this is a group, broken or unknown.
    pub fn value(self) -> Option<Value<'n>> {
        decode_value(self.value_def()?, self.raw).ok()
    }

    /// The records inside; none unless this is a group.
    pub fn children(self) -> Nodes<'n> {
        Nodes::new(self.below)
    }

    /// How many records are inside, at any depth.
    pub(super) fn inside(self) -> usize {
        self.below.len()
    }

    /// The first record inside with this tag.
    pub fn child(self, tag: u16) -> Option<Node<'n>> {
        self.children().find(|node| node.tag == tag)
    }

    /// The text, without the padding of strings of fixed length (their trailing spaces); other strings keep theirs.
    pub fn text(self) -> Option<Cow<'n, str>> {
        let def = self.value_def().filter(|def| def.kind == ValueKind::Text)?;
        // The number of the ФН is declared as exactly 16 bytes, yet one of 15 digits is padded with a space.
        let is_padded = self.tag == tags::FN_NUMBER || matches!(def.fixed, Fixed::Padded(_));
        let mut bytes = self.raw;
        while let ([rest @ .., b' '], true) = (bytes, is_padded) {
            bytes = rest;
        }
        Some(cp866::decode(bytes))
    }

    /// Whether there is a text.
    pub(crate) fn is_text(self) -> bool {
        self.value_def().is_some_and(|def| def.kind == ValueKind::Text)
    }

    /// The number of a byte, u16, u32, bit mask or VLN.
    pub fn unsigned(self) -> Option<u64> {
        match self.value_def()?.kind {
            // All of them are little-endian, and that the length is right was seen when the record was read.
            ValueKind::Byte | ValueKind::U16 | ValueKind::U32 | ValueKind::Bits | ValueKind::Vln => {
                le_number(self.raw)
            }
            ValueKind::Fvln | ValueKind::Text | ValueKind::Bytes | ValueKind::Time | ValueKind::Group => None,
        }
    }

    /// The decimal number.
    pub fn decimal(self) -> Option<Decimal> {
        match self.value()? {
            Value::Fvln(decimal) => Some(decimal),
            _ => None,
        }
    }

    /// The time.
    pub fn time(self) -> Option<LocalTime> {
        let def = self.value_def().filter(|def| def.kind == ValueKind::Time)?;
        match decode_value(def, self.raw) {
            Ok(Value::Time(time)) => Some(time),
            _ => None,
        }
    }

    /// The meaning of a tag whose value reads.
    fn value_def(self) -> Option<&'static TagDef> {
        if self.state == State::Value { self.def } else { None }
    }
}

/// The records of one level in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Nodes<'n> {
    rest: &'n [Record<'n>],
}

impl<'n> Nodes<'n> {
    pub(super) fn new(records: &'n [Record<'n>]) -> Self {
        Self { rest: records }
    }

    /// Whether there is none (left).
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'n> Iterator for Nodes<'n> {
    type Item = Node<'n>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (record, rest) = self.rest.split_first()?;
        let (below, rest) = rest.split_at_checked(record.below.into())?;
        self.rest = rest;
        Some(Node { record, below })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!self.rest.is_empty()), Some(self.rest.len()))
    }
}

impl FusedIterator for Nodes<'_> {}

/// Reads records into the list.
pub(super) struct Reader<'a> {
    dictionary: &'static Dictionary,
    version: FfdVersion,
    pub(super) records: Vec<Record<'a>>,
    pub(super) top_level: TopLevel,
    /// Whether a group did not read.
    pub(super) has_unreadable_group: bool,
}

impl<'a> Reader<'a> {
    /// For a document of this version whose records take so many bytes.
    pub(super) fn new(version: FfdVersion, body_len: usize) -> Self {
        Self {
            dictionary: dictionary(),
            version,
            records: Vec::with_capacity(body_len / USUAL_RECORD_LEN + 1),
            top_level: TopLevel::default(),
            has_unreadable_group: false,
        }
    }

    /// Reads the whole document.
    pub(super) fn top_level(&mut self, body: &'a [u8], form: u16) -> Result<(), TlvError> {
        for record in Records::new(body, HEADER_LEN) {
            let record = record?;
            self.top_level.add(record.tag, self.records.len());
            self.record(record, form, 0);
        }
        Ok(())
    }

    /// Reads one record, which lies directly in `parent` under `depth` groups.
    fn record(&mut self, tlv::Tlv { tag, offset, value }: tlv::Tlv<'a>, parent: u16, depth: usize) {
        let def = self.dictionary.tag(tag, parent, self.version);
        let state = match def {
            None => State::Unknown,
            Some(def) if def.kind == ValueKind::Group => State::Group,
            Some(def) if is_readable(def, value) => State::Value,
            Some(_) => State::BrokenValue,
        };
        self.records.push(Record { tag, offset, raw: value, def, state, below: 0 });
        if state == State::Group {
            self.group(value, offset + HEADER_LEN, def.map_or(tag, |def| def.tag), depth);
        }
    }

    /// Reads the records inside the group that was put into the list last.
    fn group(&mut self, body: &'a [u8], offset: usize, tag: u16, depth: usize) {
        let first = self.records.len();
        let state = if depth == MAX_DEPTH {
            State::TooDeep
        } else if self.inside(body, offset, tag, depth + 1).is_ok() {
            State::Group
        } else {
            // What was read of it before the damage is dropped: each byte is read once all the same.
            self.records.truncate(first);
            State::BrokenGroup
        };
        self.has_unreadable_group |= state != State::Group;
        let below =
            u16::try_from(self.records.len() - first).expect("each of them took four of 65,535 bytes");
        if let Some(group) = first.checked_sub(1).and_then(|place| self.records.get_mut(place)) {
            (group.state, group.below) = (state, below);
        }
    }

    fn inside(&mut self, body: &'a [u8], offset: usize, parent: u16, depth: usize) -> Result<(), TlvError> {
        for record in Records::new(body, offset) {
            self.record(record?, parent, depth);
        }
        Ok(())
    }
}
