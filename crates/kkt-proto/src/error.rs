//! What can be wrong with received bytes. All of it is the sender's fault and has one consequence:
//! the connection is closed without an answer, and the register repeats.

use std::fmt;

/// Received bytes that are damaged or against the protocol.
///
/// `offset` counts from the first byte of the structure the flaw belongs to: the session message, the
/// container, or document 7 (see [`Flaw`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub flaw: Flaw,
    /// Where the offending field begins, in bytes.
    pub offset: usize,
    /// What was found there.
    pub value: Seen,
    /// What should have been there, or the limit that was passed, where one number says it.
    pub expected: Option<u64>,
}

/// The offending value: a number, or bytes as they lay on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A number, byte order already resolved.
    Number(u64),
    /// A byte string.
    Bytes(Vec<u8>),
}

/// Kinds of flaws; [`Flaw::reason`] is the label of each in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// Session header: signature of no service.
    Signature,
    /// Session header: S-protocol version that does not go with the signature.
    SVersion,
    /// Session header: P-protocol version outside the table.
    PVersion,
    /// Session header: ФН number is not digits padded with spaces.
    FnNumber,
    /// Session header: CRC mode 11.
    CrcMode,
    /// Session header: client capability 10 or 11.
    Capability,
    /// Session header: body above the limit.
    BodySize,
    /// Session header: container announced, size 0.
    EmptyContainer,
    /// Session header: a body that is no container.
    BodyWithoutContainer,
    /// Session header: data for the marking service at the port for documents.
    MarkingService,
    /// Session header: data under the S-version that only tests the operator's own part of the marking service.
    MarkingTest,
    /// Session message: check code of mode 01 differs.
    HeaderCrc,
    /// Session message: check code of mode 10 differs.
    MessageCrc,
    /// Register's end: reply for another ФН.
    ForeignReply,
    /// Register's end: reply that nobody asked for.
    UnexpectedReply,
    /// Container: shorter than its fixed parts, or its length field differs from its size.
    ContainerLength,
    /// Container: checksum differs.
    ContainerCrc,
    /// Container: type neither `A5` nor `5A`, or not the one of this direction.
    ContainerKind,
    /// Container: format version with another header than the 32-byte one.
    ContainerVersion,
    /// Container: ФН number is not packed decimal.
    ContainerFn,
    /// Container: number of the document is 0.
    ContainerFd,
    /// Container: its ФН is not the one of the session header.
    ForeignContainer,
    /// Document 7: length fields do not fit the bytes.
    AckLength,
    /// Document 7: another form code.
    AckForm,
    /// Document 7: a field of a wrong length or content, or twice.
    AckField,
    /// Document 7: a required field is absent.
    AckMissing,
}

impl Malformed {
    pub(crate) fn number(flaw: Flaw, offset: usize, value: impl Into<u64>) -> Self {
        Self { flaw, offset, value: Seen::Number(value.into()), expected: None }
    }

    pub(crate) fn bytes(flaw: Flaw, offset: usize, value: &[u8]) -> Self {
        Self { flaw, offset, value: Seen::Bytes(value.to_vec()), expected: None }
    }

    pub(crate) fn size(flaw: Flaw, offset: usize, value: usize) -> Self {
        Self::number(flaw, offset, u64::try_from(value).unwrap_or(u64::MAX))
    }

    pub(crate) fn expected(mut self, expected: impl Into<u64>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn expected_size(self, expected: usize) -> Self {
        self.expected(u64::try_from(expected).unwrap_or(u64::MAX))
    }

    /// Short label for metrics and logs, one of a closed set: `signature`, `s_version`, ...
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.flaw.reason()
    }
}

impl Flaw {
    /// See [`Malformed::reason`].
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.label_and_text().0
    }

    fn label_and_text(self) -> (&'static str, &'static str) {
        match self {
            Self::Signature => ("signature", "unknown signature"),
            Self::SVersion => ("s_version", "unknown S-protocol version"),
            Self::PVersion => ("p_version", "unknown P-protocol version"),
            Self::FnNumber => ("fn_number", "ФН number is not digits padded with spaces"),
            Self::CrcMode => ("crc_mode", "forbidden CRC mode in the flags"),
            Self::Capability => ("capability", "forbidden client capability in the flags"),
            Self::BodySize => ("body_size", "body above the limit"),
            Self::EmptyContainer => ("empty_container", "container announced, but the body is empty"),
            Self::BodyWithoutContainer => ("body_without_container", "body that is no container"),
            Self::MarkingService => ("marking_service", "document for the marking service"),
            Self::MarkingTest => ("marking_test", "data under the test version of the marking service"),
            Self::HeaderCrc => ("header_crc", "wrong check code over the header"),
            Self::MessageCrc => ("message_crc", "wrong check code over the message"),
            Self::ForeignReply => ("foreign_reply", "reply for another ФН"),
            Self::UnexpectedReply => ("unexpected_reply", "reply to no request"),
            Self::ContainerLength => ("container_length", "length of the container does not fit"),
            Self::ContainerCrc => ("container_crc", "wrong checksum of the container"),
            Self::ContainerKind => ("container_kind", "wrong container type"),
            Self::ContainerVersion => ("container_version", "unknown container format version"),
            Self::ContainerFn => ("container_fn", "ФН number is not packed decimal"),
            Self::ContainerFd => ("container_fd", "document number out of range"),
            Self::ForeignContainer => ("container_foreign_fn", "container of another ФН than its message"),
            Self::AckLength => ("ack_length", "length of document 7 does not fit"),
            Self::AckForm => ("ack_form", "not a document 7"),
            Self::AckField => ("ack_field", "wrong field of document 7"),
            Self::AckMissing => ("ack_missing", "field of document 7 is absent"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: {}", self.flaw.label_and_text().1, self.offset, self.value)?;
        match self.expected {
            Some(expected) => write!(f, ", expected or at most {expected}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Something of ours that does not fit its 16-bit length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} bytes, but the length field holds at most {limit}")]
pub struct TooLong {
    /// Length in bytes.
    pub value: usize,
    /// Largest length that can be written.
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Malformed};

    #[test]
    fn says_what_where_and_how_much() {
        let sized = Malformed::size(Flaw::BodySize, 24, 40_000).expected_size(33_792);
        assert_eq!(sized.to_string(), "body above the limit at offset 24: 40000, expected or at most 33792");
        assert_eq!(sized.reason(), "body_size");
        let bytes = Malformed::bytes(Flaw::Signature, 0, b"GET ");
        assert_eq!(bytes.to_string(), "unknown signature at offset 0: 47455420");
    }
}
