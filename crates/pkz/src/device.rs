//! The trait pair: what the reception asks of a crypto device, and plain data in and out.

use std::{borrow::Cow, time::Duration};

use ffd::{FdNumber, FnNumber, Inn};
use kkt_proto::container::{Container, ContainerHeader};

use crate::verdict::{Generation, Verdict};

/// A container as it came, header, length and CRC already checked.
#[derive(Clone, Debug)]
pub struct RawContainer<'a> {
    /// The fiscal storage whose keys are meant: the number of the session header, equal to the container's.
    pub fn_number: FnNumber,
    /// The container.
    pub container: Container<'a>,
}

/// What came out of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOutcome<'a> {
    /// The open document: form code u16 LE, length u16 LE, TLV. `None` when it is encrypted and could not be
    /// opened. Present with a wrong sign too, if it was readable.
    pub document: Option<Cow<'a, [u8]>>,
    /// The message sign (ФПС) as received.
    pub sign: [u8; 8],
    /// Whether the container's data was not a readable document as it stood.
    pub was_encrypted: bool,
    /// What is known about the sign.
    pub verdict: Verdict,
}

/// Opens containers and checks their message sign.
pub trait FiscalSignVerifier: Send + Sync {
    /// Opens one container. Never fails: a failure of the device is [`Verdict::Unavailable`].
    fn open<'a>(&self, container: &RawContainer<'a>) -> OpenOutcome<'a>;

    /// Opens several; a networked module overrides this with one round trip.
    fn open_many<'a>(&self, containers: &[RawContainer<'a>]) -> Vec<OpenOutcome<'a>> {
        containers.iter().map(|container| self.open(container)).collect()
    }

    /// Name of the implementation, for health output and logs.
    fn kind(&self) -> &'static str;
}

/// Everything an acknowledgement (document 7) is made of but its signs.
#[derive(Clone, Debug)]
pub struct AckRequest<'a> {
    /// The fiscal storage that will check it.
    pub fn_number: FnNumber,
    /// Generation of the request's sign; `None` takes the newest.
    pub generation: Option<Generation>,
    /// The document acknowledged.
    pub fd_number: FdNumber,
    /// INN of the operator, tag 1017.
    pub ofd_inn: Inn,
    /// Moment of receipt, seconds UTC, tag 1012.
    pub datetime: u32,
    /// TLV records of document 7 in their order, without 1078.
    pub items: &'a [u8],
    /// Where 1078 goes, a record boundary inside `items`.
    pub fpo_offset: usize,
    /// Header of the container answered; its service bytes are echoed.
    pub reply_to: &'a ContainerHeader,
    /// Initialisation vector, filled in also without encryption. Fresh for every seal: make it with
    /// [`crate::derive::message_iv`].
    pub iv: [u8; 8],
    /// Whether the body is encrypted (the request's was).
    pub encrypt: bool,
}

/// A finished acknowledgement. Store it and resend it byte for byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedAck {
    /// The container, ready for a session message.
    pub container: Vec<u8>,
    /// Operator sign (ФПО), value of tag 1078; `None` when unsigned.
    pub fpo: Option<Vec<u8>>,
    /// Sign of the acknowledgement (ФПП), zeros when unsigned.
    pub fpp: [u8; 8],
}

/// Why there is no acknowledgement. Both mean silence to the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    /// The device is down, slow or full.
    #[error("crypto device is unavailable, retry in {} ms", retry_after.as_millis())]
    Unavailable {
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// The request cannot be sealed, now or later.
    #[error("acknowledgement refused: {0}")]
    Refused(RefusedReason),
}

/// Why a request cannot be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedReason {
    /// No usable keys of the generation asked for, or none at all.
    #[error("no usable keys of this generation")]
    UnknownGeneration,
    /// ФН or ФД number of the request differ from the header answered.
    #[error("ФН or ФД number differ from the container answered")]
    OtherDocument,
    /// `fpo_offset` lies outside `items`.
    #[error("place of tag 1078 lies outside the items")]
    FpoOffset,
    /// The document would not fit its length fields.
    #[error("document 7 is too long")]
    TooLong,
    /// Encryption was asked of a device without keys.
    #[error("this device cannot encrypt")]
    CannotEncrypt,
}

/// Seals acknowledgements.
pub trait AckSigner: Send + Sync {
    /// Makes document 7 with both signs and puts it in a container.
    ///
    /// # Errors
    /// [`SealError`]; the register then gets no answer.
    fn seal(&self, request: &AckRequest<'_>) -> Result<SealedAck, SealError>;

    /// Seals several; a networked module overrides this with one round trip.
    fn seal_many(&self, requests: &[AckRequest<'_>]) -> Vec<Result<SealedAck, SealError>> {
        requests.iter().map(|request| self.seal(request)).collect()
    }
}
