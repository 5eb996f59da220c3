//! What a storage says about an acknowledgement and about a document it is to make.

use std::fmt;

/// An acknowledgement the storage took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The operator's code, tag 1022: 0, 11 or 14 by the tables, others are passed on as they came.
    pub code: u8,
    /// Bits of the operator's message, tag 1206 of FFD 1.1.
    pub notices: u8,
}

/// Why a storage refuses an acknowledgement: the reason byte of ФН error 20h. The document stays in the
/// queue and is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// 1: ФПП or ФПО is not what the keys make of this document.
    Sign,
    /// 2: not an acknowledgement: layout, length, CRC, container type, form, missing fields.
    Format,
    /// 3: for another document.
    FdNumber,
    /// 4: for another storage.
    FnNumber,
}

impl RefusalReason {
    /// The reason byte, 1 to 4.
    #[must_use]
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Sign => 1,
            Self::Format => 2,
            Self::FdNumber => 3,
            Self::FnNumber => 4,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Sign => "wrong fiscal sign",
            Self::Format => "wrong format",
            Self::FdNumber => "wrong document number",
            Self::FnNumber => "wrong storage number",
        };
        write!(out, "{} ({text})", self.number())
    }
}

/// A document that the storage cannot make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageError {
    /// The counter of documents is past 2^24 - 1.
    #[error("the storage has no document numbers left")]
    Exhausted,
    /// The document is longer than its length fields can say.
    #[error("the document is too long for a container")]
    TooLong,
    /// The given fields are not TLV records.
    #[error("the fields of the document are not TLV records")]
    NotTlv,
    /// The keys do not fit together.
    #[error("keys: {0}")]
    Keys(String),
}
