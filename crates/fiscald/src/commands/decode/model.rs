//! An explained input: pieces in the order of the bytes, each byte in exactly one field or document.

use ffd::check::{Finding, Severity};
use ffd::document::Document;

use super::words::of_bytes;

/// The input, explained.
pub(super) struct Decoded<'a> {
    /// Name of the outermost layer.
    pub(super) layer: &'static str,
    /// Its pieces in the order of the bytes, without gaps.
    pub(super) parts: Vec<Part<'a>>,
}

/// One piece: a header, a document, a sign.
pub(super) struct Part<'a> {
    pub(super) kind: PartKind,
    pub(super) title: String,
    pub(super) offset: usize,
    pub(super) content: Content<'a>,
    pub(super) remarks: Vec<Remark>,
}

/// What other code needs to know a piece by; its title is for people only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    /// The whole ФПС, which belongs to the document before it.
    MessageSign([u8; 8]),
    /// A document nobody can read without a key.
    Ciphertext,
    /// Everything else.
    Other,
}

/// What a piece consists of.
pub(super) enum Content<'a> {
    Fields(Vec<Field<'a>>),
    Document(Box<Document<'a>>),
    Cut(CutDocument<'a>),
}

/// A document that lacks its end: the records that are here whole are explained as far as they go.
pub(super) struct CutDocument<'a> {
    /// Form code and length, as they stand in the input.
    pub(super) head: Vec<Field<'a>>,
    /// The whole records as a document of their own: only its length differs from what stands in the input.
    pub(super) whole: Vec<u8>,
    /// The beginning of the record that is cut.
    pub(super) end: Option<Field<'a>>,
}

/// Bytes with one meaning.
pub(super) struct Field<'a> {
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Something to say about a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) weight: Weight,
    /// Rule of a finding; empty for what is no rule of the format control.
    pub(super) rule: &'static str,
    /// Tags from the document down to the one meant.
    pub(super) path: Vec<u16>,
    pub(super) text: String,
}

/// How much a remark weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// The bytes are not what was sent, or not all of it.
    Damage,
    /// The operator answers with code 14.
    Hard,
    /// Kept with the document.
    Soft,
    /// Good to know.
    Note,
}

impl Decoded<'_> {
    /// Whether any byte is damaged or could not be recognised.
    pub(super) fn is_damaged(&self) -> bool {
        self.parts.iter().flat_map(|part| &part.remarks).any(|remark| remark.weight == Weight::Damage)
    }
}

impl Remark {
    pub(super) fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self { weight, rule: "", path: Vec::new(), text: text.into() }
    }

    pub(super) fn damage(text: impl Into<String>) -> Self {
        Self::new(Weight::Damage, text)
    }

    pub(super) fn note(text: impl Into<String>) -> Self {
        Self::new(Weight::Note, text)
    }
}

impl From<Finding> for Remark {
    fn from(finding: Finding) -> Self {
        let weight = match finding.severity {
            Severity::Hard => Weight::Hard,
            Severity::Soft => Weight::Soft,
        };
        Self { weight, rule: finding.rule, path: finding.path, text: finding.text_ru }
    }
}

/// Bytes and where they lie in the input.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: usize,
}

impl<'a> Span<'a> {
    /// Splits off at most `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let (head, tail) = self.bytes.split_at(count.min(self.bytes.len()));
        let taken = Span { bytes: head, offset: self.offset };
        *self = Span { bytes: tail, offset: self.offset + head.len() };
        taken
    }

    /// Splits off a field of a fixed size. A field cut short by the end of the input says so.
    pub(super) fn field<const N: usize>(
        &mut self,
        name: &'static str,
        value: impl FnOnce([u8; N]) -> String,
    ) -> Field<'a> {
        let taken = self.take(N);
        let value = match taken.bytes.first_chunk::<N>() {
            Some(bytes) => value(*bytes),
            None => format!("обрыв: здесь {}", of_bytes(taken.bytes.len(), N)),
        };
        Field { offset: taken.offset, bytes: taken.bytes, name, value }
    }
}

pub(super) fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|pair| u16::from_le_bytes(*pair))
}

pub(super) fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|pair| u16::from_be_bytes(*pair))
}

/// Bytes that nobody can cut further.
pub(super) fn unread<'a>(title: &str, span: Span<'a>, remark: Remark) -> Part<'a> {
    let field = Field {
        offset: span.offset,
        bytes: span.bytes,
        name: "байты",
        value: format!("{}", span.bytes.len()),
    };
    Part {
        kind: PartKind::Other,
        title: title.to_owned(),
        offset: span.offset,
        content: Content::Fields(vec![field]),
        remarks: vec![remark],
    }
}
