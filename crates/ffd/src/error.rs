//! Errors of this crate, one type per layer, so that a caller knows from the type how much of a document is lost:
//! [`IdError`] a number, [`ValueError`] one record (kept raw in the tree), [`DecodeError`] the whole document.
//!
//! All of them speak of the bytes, none of the rules: a document that reads well and breaks a rule gives findings.
//! `Display` is for logs; what people are shown in Russian is `text_ru` of each, see [`crate::text`].

use std::fmt;

use thiserror::Error;

/// How long something may be: bytes of a value, digits of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lengths {
    /// This long.
    Exactly(usize),
    /// One of two, the smaller first.
    Either(usize, usize),
    /// From the first to the second, both included.
    Between(usize, usize),
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(len) => write!(f, "{len}"),
            Self::Either(one, other) => write!(f, "{one} or {other}"),
            Self::Between(min, max) => write!(f, "{min} to {max}"),
        }
    }
}

/// The numbers of [`crate::ids`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// Номер ФН.
    FnNumber,
    /// Номер ФД.
    FdNumber,
    /// Регистрационный номер ККТ.
    Rnm,
    /// ИНН.
    Inn,
}

impl IdKind {
    /// How many digits the number has.
    pub fn digits(self) -> Lengths {
        match self {
            Self::FnNumber => Lengths::Between(1, 16),
            Self::FdNumber => Lengths::Between(1, 8),
            Self::Rnm => Lengths::Exactly(16),
            Self::Inn => Lengths::Either(10, 12),
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FnNumber => "FN number",
            Self::FdNumber => "FD number",
            Self::Rnm => "KKT registration number",
            Self::Inn => "INN",
        })
    }
}

/// A number of a fiscal thing that is not written as such a number must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum IdError {
    /// The text has a length that the number cannot have.
    #[error("{kind}: {len} characters, expected {} digits", .kind.digits())]
    Length {
        /// What was being read.
        kind: IdKind,
        /// Characters (bytes) found, padding included.
        len: usize,
    },
    /// A byte that is neither a digit nor padding at the end.
    #[error("{kind}: byte {byte:#04x} at position {position} is not a digit")]
    NotDigit {
        /// What was being read.
        kind: IdKind,
        /// Position of the byte (of the nibble in packed BCD) from zero.
        position: usize,
        /// The byte (the nibble in packed BCD).
        byte: u8,
    },
    /// A number outside its range.
    #[error("{kind}: {value} is outside {min}..={max}")]
    Range {
        /// What was being read.
        kind: IdKind,
        /// The number found.
        value: u64,
        /// The smallest number allowed.
        min: u64,
        /// The largest number allowed.
        max: u64,
    },
}

/// A record that cannot be cut out of its parent, or cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum TlvError {
    /// Bytes are left over, but fewer than the four of a record's header.
    #[error("offset {offset}: {available} bytes left, a record header needs 4")]
    TruncatedHeader {
        /// Where the header begins, from the start of the document.
        offset: usize,
        /// Bytes left there.
        available: usize,
    },
    /// The record says it is longer than what holds it.
    #[error("offset {offset}: tag {tag} declares {declared} bytes, {available} left")]
    Overrun {
        /// Where the record's header begins, from the start of the document.
        offset: usize,
        /// Tag of the record.
        tag: u16,
        /// Length the record declares, in bytes.
        declared: u16,
        /// Bytes left for its value.
        available: usize,
    },
    /// A value to be written does not fit the 16-bit length field.
    #[error("tag {tag}: value of {len} bytes, limit {limit}")]
    TooLong {
        /// Tag of the record.
        tag: u16,
        /// Length of the value, in bytes.
        len: usize,
        /// The longest value that can be written, in bytes.
        limit: usize,
    },
}

/// A record of a known tag whose value is not of the type the dictionary gives it. The record stays in the tree raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ValueError {
    /// The value has a length its type cannot have.
    #[error("tag {tag}: value of {len} bytes, expected {expected}")]
    Length {
        /// Tag of the record.
        tag: u16,
        /// Length found, in bytes.
        len: usize,
        /// The lengths allowed, in bytes.
        expected: Lengths,
    },
    /// A decimal with more digits after the point than a 64-bit number has.
    #[error("tag {tag}: {scale} digits after the point, limit {limit}")]
    Scale {
        /// Tag of the record.
        tag: u16,
        /// Digits after the point found.
        scale: u8,
        /// The most that is read.
        limit: u8,
    },
    /// The records inside a group (STLV) cannot be cut out.
    #[error("tag {tag}: group does not read: {source}")]
    Group {
        /// Tag of the group.
        tag: u16,
        /// What is wrong inside.
        source: TlvError,
    },
    /// A group nested deeper than is read.
    #[error("tag {tag}: nested deeper than {limit} groups")]
    TooDeep {
        /// Tag of the group.
        tag: u16,
        /// The depth read, see [`crate::tlv::MAX_DEPTH`].
        limit: usize,
    },
    /// The tag names a group, a list of records, and was read as a single value.
    #[error("tag {tag}: a group is not a single value")]
    IsGroup {
        /// Tag of the group.
        tag: u16,
    },
}

/// Bytes that are not a fiscal document: nothing of it can be said but its raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum DecodeError {
    /// Fewer bytes than the four of the document's own header.
    #[error("document of {len} bytes, its header alone needs 4")]
    TooShort {
        /// Bytes given.
        len: usize,
    },
    /// The document's header declares another length than was given.
    #[error("document of form {form} declares {declared} bytes after its header, {actual} given")]
    LengthMismatch {
        /// Form code in the header.
        form: u16,
        /// Length the header declares, in bytes.
        declared: u16,
        /// Bytes given after the header.
        actual: usize,
    },
    /// The records of the top level cannot be cut out.
    #[error("document of form {form}: {source}")]
    TopLevel {
        /// Form code in the header.
        form: u16,
        /// What is wrong.
        source: TlvError,
    },
}

/// A text that code page 866 cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("character {character:?} does not exist in code page 866")]
pub struct EncodeError {
    /// The first character that cannot be written.
    pub character: char,
}
