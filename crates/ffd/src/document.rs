//! The document as a lossless tree over its borrowed bytes.
//!
//! A document is `form u16 LE, length u16 LE, records`; a record of a group is again a list of records (container
//! layout, "Document data"). Reading keeps everything: an unknown tag, a known tag whose value is not of its type, the
//! order of records, superfluous zero bytes. So [`Document::encode`] gives the very bytes that were read, and only a
//! top level that cannot be cut into records is an error. Whether the content obeys the rules is
//! [`crate::check`]'s question.
//!
//! All records of a document lie in one list; a [`Node`] looks at one of them and at those below it. Values are read when
//! somebody asks for them: of most records nobody wants to know more than that they are there and readable.

mod index;
mod tree;

use std::borrow::Cow;

use crate::dict::{FfdVersion, FormCode};
pub use crate::error::DecodeError;
use crate::error::TlvError;
use crate::tags;
use crate::tlv::{self, HEADER_LEN, Records};
use crate::value::LocalTime;

use index::TopLevel;
use tree::Reader;
pub use tree::{Content, Node, Nodes, Record};

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
    /// Whether there is a group that does not read.
    has_unreadable_group: bool,
    /// Each record before those inside it.
    records: Vec<Record<'a>>,
    top_level: TopLevel,
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
        let declared_version = declared_version(body).map_err(top_level)?;
        let version = declared_version.unwrap_or(FfdVersion::V1_2);
        let mut reader = Reader::new(version, body.len());
        reader.top_level(body, form).map_err(top_level)?;
        let Reader { records, top_level, has_unreadable_group, .. } = reader;
        let (form, version_known) = (FormCode(form), declared_version.is_some());
        Ok(Self { bytes, form, version, version_known, has_unreadable_group, records, top_level })
    }

    /// Writes the tree: the same bytes that were read.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        tlv::write_group(&mut out, self.form.0, |out| write_nodes(out, self.nodes()))
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
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes::new(&self.records)
    }

    /// The first record of the top level with this tag.
    pub fn node(&self, tag: u16) -> Option<Node<'_>> {
        Nodes::new(self.records_from(tag)?).next()
    }

    /// All records of the top level with this tag.
    pub fn nodes_of(&self, tag: u16) -> impl Iterator<Item = Node<'_>> {
        let most = if self.top_level.is_repeated(tag) { usize::MAX } else { 1 };
        let from_first = Nodes::new(self.records_from(tag).unwrap_or_default());
        from_first.filter(move |node| node.tag == tag).take(most)
    }

    /// Text of the first record with this tag, see [`Node::text`].
    pub fn text(&self, tag: u16) -> Option<Cow<'_, str>> {
        self.node(tag)?.text()
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
        self.records_from(tag)?.first().map(|record| record.raw)
    }

    /// The first group (STLV), at any level and in the order of the bytes, whose content cannot be read as records: one
    /// breaks off, or the group lies deeper than [`MAX_DEPTH`]. Such a document cannot be parsed as a whole, which
    /// reception answers with code 11.
    ///
    /// The content of what FFD 1.0 gives any format does not count in its documents; nor do single values that are not
    /// of their type, anywhere.
    pub fn unreadable_group(&self) -> Option<Node<'_>> {
        if self.has_unreadable_group { first_unreadable(self.nodes(), self.version) } else { None }
    }

    /// The fiscal sign as it is printed (ФП, ФПД): the last four of the six bytes of tag 1077, big-endian. The first
    /// two bytes are type and length of the sign.
    pub fn fiscal_sign(&self) -> Option<u32> {
        match *self.raw(tags::FISCAL_SIGN)? {
            [_, _, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// The records from the first one of the top level with this tag on.
    fn records_from(&self, tag: u16) -> Option<&[Record<'a>]> {
        self.records.get(self.top_level.first(tag, &self.records)?..)
    }
}

/// The version that the top level declares; none for one that is unknown or unreadable. Looks no further than the first
/// record that declares one: what is damaged behind it is found when the records are read.
fn declared_version(body: &[u8]) -> Result<Option<FfdVersion>, TlvError> {
    for record in Records::new(body, HEADER_LEN) {
        let record = record?;
        if record.tag == tags::FFD_VERSION {
            return Ok(match *record.value {
                [] => FfdVersion::from_tag_1209(Some(0)),
                [value] => FfdVersion::from_tag_1209(Some(value)),
                _ => None,
            });
        }
    }
    Ok(FfdVersion::from_tag_1209(None))
}

fn first_unreadable(mut nodes: Nodes<'_>, version: FfdVersion) -> Option<Node<'_>> {
    nodes.find_map(|node| {
        if version == FfdVersion::V1_0 && ANY_FORMAT_IN_1_0.contains(&node.tag) {
            return None;
        }
        if node.is_unreadable_group() { Some(node) } else { first_unreadable(node.children(), version) }
    })
}

fn write_nodes(out: &mut Vec<u8>, nodes: Nodes<'_>) -> Result<(), TlvError> {
    for node in nodes {
        if node.is_group() {
            tlv::write_group(out, node.tag, |out| write_nodes(out, node.children()))?;
        } else {
            tlv::write_record(out, node.tag, node.raw)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
