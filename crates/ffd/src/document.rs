//! The document as a lossless tree over its borrowed bytes.
//!
//! A document is `form u16 LE, length u16 LE, records`; a record of a group is again a list of records (container
//! layout, "Document data"). Reading keeps everything: an unknown tag, a known tag whose value is not of its type, the
//! order of records, superfluous zero bytes. So [`Document::encode`] gives the very bytes that were read, and only a
//! top level that cannot be cut into records is an error. Whether the content obeys the rules is
//! [`crate::check`]'s question.

use std::borrow::Cow;

use crate::dict::{Dictionary, FfdVersion, Fixed, FormCode, TagDef, ValueKind, dictionary};
pub use crate::error::DecodeError;
use crate::error::{TlvError, ValueError};
use crate::tags;
use crate::tlv::{self, HEADER_LEN, MAX_DEPTH, Records};
use crate::value::{Decimal, LocalTime, Value, decode_value};

/// Requisites that FFD 1.0 lets have any format (FFD order, tables of FFD 1.0): bytes of theirs that are no list of
/// records are no damage there.
const ANY_FORMAT_IN_1_0: [u16; 10] = [1045, 1067, 1069, 1071, 1080, 1082, 1083, 1084, 1112, 1119];

/// A fiscal document, borrowed from its bytes.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    bytes: &'a [u8],
    form: FormCode,
    version: FfdVersion,
    version_known: bool,
    nodes: Vec<Node<'a>>,
}

/// One record of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// Its tag.
    pub tag: u16,
    /// Where its header begins, from the start of the document.
    pub offset: usize,
    /// Its value as it stands on the wire.
    pub raw: &'a [u8],
    /// The meaning of the tag here; `None` for an unknown tag.
    pub def: Option<&'static TagDef>,
    /// What the value says.
    pub content: Content<'a>,
}

/// What the value of a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// A single value of the type of its tag.
    Value(Value<'a>),
    /// A group (STLV): records in their order.
    Group(Vec<Node<'a>>),
    /// The tag is known and the value is not of its type: see [`Node::raw`].
    Broken(ValueError),
    /// The tag is unknown: see [`Node::raw`].
    Unknown,
}

impl<'a> Document<'a> {
    /// Reads a whole document: its four-byte header and exactly the records it declares, nothing after them
    /// (what is stored or sent beside a document, its message sign, has to be cut off before).
    ///
    /// # Errors
    /// [`DecodeError`] when the length does not match or the top level cannot be cut into records.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[f0, f1, l0, l1], body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::TooShort { len: bytes.len() });
        };
        let form = u16::from_le_bytes([f0, f1]);
        let declared = u16::from_le_bytes([l0, l1]);
        if usize::from(declared) != body.len() {
            return Err(DecodeError::LengthMismatch { form, declared, actual: body.len() });
        }
        let top_level = |source| DecodeError::TopLevel { form, source };
        let (count, declared_version) = survey(body).map_err(top_level)?;
        let version = declared_version.unwrap_or(FfdVersion::V1_2);
        let reader = Reader { dictionary: dictionary(), version };
        let nodes = reader.counted(body, count, HEADER_LEN, form, 0).map_err(top_level)?;
        Ok(Self { bytes, form: FormCode(form), version, version_known: declared_version.is_some(), nodes })
    }

    /// Writes the tree: the same bytes that were read.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        tlv::write_group(&mut out, self.form.0, |out| write_nodes(out, &self.nodes))
            .expect("every length of the tree was read from 16 bits");
        out
    }

    /// Form code of the document.
    pub fn form(&self) -> FormCode {
        self.form
    }

    /// Version of the format, by tag 1209. A version this program does not know is read as 1.2, the newest.
    pub fn version(&self) -> FfdVersion {
        self.version
    }

    /// Whether tag 1209 is absent (1.0) or holds a known version.
    pub fn version_known(&self) -> bool {
        self.version_known
    }

    /// The bytes the document was read from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records of the top level in their order.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// The first record of the top level with this tag.
    pub fn node(&self, tag: u16) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.tag == tag)
    }

    /// All records of the top level with this tag.
    pub fn nodes_of(&self, tag: u16) -> impl Iterator<Item = &Node<'a>> {
        self.nodes.iter().filter(move |node| node.tag == tag)
    }

    /// Text of the first record with this tag, see [`Node::text`].
    pub fn text(&self, tag: u16) -> Option<Cow<'_, str>> {
        self.node(tag)?.text().map(Cow::Borrowed)
    }

    /// Number of the first record with this tag, see [`Value::unsigned`].
    pub fn unsigned(&self, tag: u16) -> Option<u64> {
        self.node(tag)?.unsigned()
    }

    /// Time of the first record with this tag.
    pub fn time(&self, tag: u16) -> Option<LocalTime> {
        self.node(tag)?.time()
    }

    /// Raw value of the first record with this tag.
    pub fn raw(&self, tag: u16) -> Option<&'a [u8]> {
        self.node(tag).map(|node| node.raw)
    }

    /// The first group (STLV), at any level and in the order of the bytes, whose content cannot be read as records: one
    /// breaks off, or the group lies deeper than [`MAX_DEPTH`]. Such a document cannot be parsed as a whole, which
    /// reception answers with code 11.
    ///
    /// The content of what FFD 1.0 gives any format does not count in its documents; nor do single values that are not
    /// of their type, anywhere.
    pub fn unreadable_group(&self) -> Option<&Node<'a>> {
        first_unreadable(&self.nodes, self.version)
    }

    /// The fiscal sign as it is printed (ФП, ФПД): the last four of the six bytes of tag 1077, big-endian. The first
    /// two bytes are type and length of the sign.
    pub fn fiscal_sign(&self) -> Option<u32> {
        match *self.raw(tags::FISCAL_SIGN)? {
            [_, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }
}

impl<'a> Node<'a> {
    /// The value, unless this is a group, broken or unknown.
    pub fn value(&self) -> Option<&Value<'a>> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Group(_) | Content::Broken(_) | Content::Unknown => None,
        }
    }

    /// The records inside; empty unless this is a group.
    pub fn children(&self) -> &[Node<'a>] {
        match &self.content {
            Content::Group(nodes) => nodes,
            Content::Value(_) | Content::Broken(_) | Content::Unknown => &[],
        }
    }

    /// The first record inside with this tag.
    pub fn child(&self, tag: u16) -> Option<&Node<'a>> {
        self.children().iter().find(|node| node.tag == tag)
    }

    /// The text, without the padding of strings of fixed length (their trailing spaces); other strings keep theirs.
    pub fn text(&self) -> Option<&str> {
        let Some(Value::Text(text)) = self.value() else { return None };
        // The number of the ФН is declared as exactly 16 bytes, yet one of 15 digits is padded with a space.
        let is_padded =
            self.tag == tags::FN_NUMBER || self.def.is_some_and(|def| matches!(def.fixed, Fixed::Padded(_)));
        Some(if is_padded { text.trim_end_matches(' ') } else { text })
    }

    /// The number of a byte, u16, u32, bit mask or VLN.
    pub fn unsigned(&self) -> Option<u64> {
        self.value()?.unsigned()
    }

    /// The decimal number.
    pub fn decimal(&self) -> Option<Decimal> {
        match self.value()? {
            Value::Fvln(decimal) => Some(*decimal),
            _ => None,
        }
    }

    /// The time.
    pub fn time(&self) -> Option<LocalTime> {
        match self.value()? {
            Value::Time(time) => Some(*time),
            _ => None,
        }
    }
}

/// How many records the top level has and which version they declare; none for one that is unknown or unreadable.
fn survey(body: &[u8]) -> Result<(usize, Option<FfdVersion>), TlvError> {
    let mut count = 0;
    let mut declared = None;
    for record in Records::new(body, HEADER_LEN) {
        let record = record?;
        count += 1;
        if record.tag == tags::FFD_VERSION && declared.is_none() {
            declared = Some(record.value);
        }
    }
    let version = match declared {
        None => FfdVersion::from_tag_1209(None),
        Some([]) => FfdVersion::from_tag_1209(Some(0)),
        Some(&[value]) => FfdVersion::from_tag_1209(Some(value)),
        Some(_) => None,
    };
    Ok((count, version))
}

/// What all records of one document share.
struct Reader {
    dictionary: &'static Dictionary,
    version: FfdVersion,
}

impl Reader {
    /// Reads the records of `body`, which lie directly in `parent` under `depth` groups.
    fn nodes<'a>(
        &self,
        body: &'a [u8],
        offset: usize,
        parent: u16,
        depth: usize,
    ) -> Result<Vec<Node<'a>>, TlvError> {
        // Counting first costs a walk over the headers and saves the growth of the list; it also finds damage before
        // anything is decoded.
        let count = Records::new(body, offset).try_fold(0, |count, record| record.map(|_| count + 1))?;
        self.counted(body, count, offset, parent, depth)
    }

    /// The same when it is known how many they are.
    fn counted<'a>(
        &self,
        body: &'a [u8],
        count: usize,
        offset: usize,
        parent: u16,
        depth: usize,
    ) -> Result<Vec<Node<'a>>, TlvError> {
        let mut nodes = Vec::with_capacity(count);
        for record in Records::new(body, offset) {
            let tlv::Tlv { tag, offset, value } = record?;
            let def = self.dictionary.tag(tag, parent, self.version);
            let content = def.map_or(Content::Unknown, |def| self.content(def, value, offset, depth));
            nodes.push(Node { tag, offset, raw: value, def, content });
        }
        Ok(nodes)
    }

    fn content<'a>(&self, def: &'static TagDef, raw: &'a [u8], offset: usize, depth: usize) -> Content<'a> {
        if def.kind != ValueKind::Group {
            return decode_value(def, raw).map_or_else(Content::Broken, Content::Value);
        }
        if depth == MAX_DEPTH {
            return Content::Broken(ValueError::TooDeep { tag: def.tag, limit: MAX_DEPTH });
        }
        match self.nodes(raw, offset + HEADER_LEN, def.tag, depth + 1) {
            Ok(nodes) => Content::Group(nodes),
            Err(source) => Content::Broken(ValueError::Group { tag: def.tag, source }),
        }
    }
}

fn first_unreadable<'n, 'a>(nodes: &'n [Node<'a>], version: FfdVersion) -> Option<&'n Node<'a>> {
    nodes
        .iter()
        .filter(|node| version != FfdVersion::V1_0 || !ANY_FORMAT_IN_1_0.contains(&node.tag))
        .find_map(|node| match &node.content {
            Content::Broken(ValueError::Group { .. } | ValueError::TooDeep { .. }) => Some(node),
            Content::Group(inner) => first_unreadable(inner, version),
            Content::Value(_) | Content::Broken(_) | Content::Unknown => None,
        })
}

fn write_nodes(out: &mut Vec<u8>, nodes: &[Node<'_>]) -> Result<(), TlvError> {
    for node in nodes {
        match &node.content {
            Content::Group(children) => tlv::write_group(out, node.tag, |out| write_nodes(out, children))?,
            Content::Value(_) | Content::Broken(_) | Content::Unknown => {
                tlv::write_record(out, node.tag, node.raw)?
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
