//! What is in a captured file, and the session message made of it.

use std::fmt;

use ffd::{Document, FdNumber, FfdVersion, FnNumber, FormCode, tags};
use kkt_proto::container::{self, Container, ContainerHeader, ContainerKind};
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, PVersion, Signature};
use pkz::derive::message_iv;

use crate::spelling;

/// Container header as kept by the tax service: without length and CRC.
const KEPT_HEADER_LEN: usize = 28;
/// A sign of the right shape and no value, for documents that came without one.
const ZERO_SIGN: [u8; 8] = [0x81, 0x06, 0, 0, 0, 0, 0, 0];

/// The layer a file was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Recognised {
    /// A whole session message; sent as it is.
    Message,
    /// A session header of a probe; sent as it is.
    Probe,
    /// A container; gets a session header.
    Container,
    /// `rawData` of the tax service: `FF FF`, length, container header, document, sign; gets the rest.
    RawData,
    /// A document, with or without its sign; gets a container and a session header.
    Document,
}

impl fmt::Display for Recognised {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Message => "session message",
            Self::Probe => "probe",
            Self::Container => "container",
            Self::RawData => "rawData",
            Self::Document => "document",
        })
    }
}

/// Why a file cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsendable(String);

/// A message ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    recognised: Recognised,
    header: Header,
    form: Option<u8>,
    fd_number: Option<FdNumber>,
    zero_sign: bool,
    bytes: Vec<u8>,
}

impl Message {
    /// Recognises the content of a file (in any spelling of [`crate::spelling`]) and completes it to a
    /// session message.
    ///
    /// # Errors
    /// [`Unsendable`] with a sentence for people.
    pub(crate) fn from_file(content: Vec<u8>) -> Result<Self, Unsendable> {
        Self::from_bytes(&spelling::recognise(content).1)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Unsendable> {
        if bytes.starts_with(&Signature::OFD.0) || bytes.starts_with(&Signature::OISM.0) {
            return Self::from_message(bytes);
        }
        if bytes.starts_with(&[0xFF, 0xFF]) {
            return Self::from_raw_data(bytes.get(2..).unwrap_or_default());
        }
        if let Some((length, rest)) = bytes.split_first_chunk::<2>()
            && usize::from(u16::from_le_bytes(*length)) == bytes.len()
            && matches!(rest.get(2), Some(0xA5 | 0x5A))
        {
            return Self::from_container(bytes, Recognised::Container);
        }
        Self::from_document(bytes)
    }

    /// The layer it was made from.
    #[must_use]
    pub(crate) fn recognised(&self) -> Recognised {
        self.recognised
    }

    /// Its session header.
    #[must_use]
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Form code of the document; absent in a probe and when the container cannot be read.
    #[must_use]
    pub(crate) fn form(&self) -> Option<u8> {
        self.form
    }

    /// Document number; absent as [`Self::form`].
    #[must_use]
    pub(crate) fn fd_number(&self) -> Option<FdNumber> {
        self.fd_number
    }

    /// Whether the sign was missing and zeros stand in its place.
    #[must_use]
    pub(crate) fn has_zero_sign(&self) -> bool {
        self.zero_sign
    }

    /// The bytes for the wire.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn from_message(bytes: &[u8]) -> Result<Self, Unsendable> {
        let Some((head, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return refuse(format!("a session header has {HEADER_LEN} bytes, here are only {}", bytes.len()));
        };
        let header = Header::decode(head).or_else(|error| refuse(format!("session header: {error}")))?;
        let announced = usize::from(header.body_len);
        if body.is_empty() && announced > 0 {
            return refuse(format!(
                "a session header alone: it announces a body of {announced} bytes that the file does not have, \
                 and an operator would wait for them"
            ));
        }
        if body.len() != announced {
            return refuse(format!("the session header announces {announced} bytes, {} follow", body.len()));
        }
        if header.is_probe() {
            let bytes = bytes.to_vec();
            return Ok(Self {
                recognised: Recognised::Probe,
                header,
                form: None,
                fd_number: None,
                zero_sign: false,
                bytes,
            });
        }
        // A damaged container is sent all the same: what the operator does with it is worth knowing.
        let inner = Container::decode(body).ok();
        if let Some(inner) = &inner {
            refuse_acknowledgement(&inner.header)?;
        }
        Ok(Self {
            recognised: Recognised::Message,
            header,
            form: inner.as_ref().map(|inner| inner.header.form),
            fd_number: inner.as_ref().map(|inner| inner.header.fd_number),
            zero_sign: false,
            bytes: bytes.to_vec(),
        })
    }

    fn from_container(bytes: &[u8], recognised: Recognised) -> Result<Self, Unsendable> {
        let inner = Container::decode(bytes).or_else(|error| refuse(format!("container: {error}")))?;
        refuse_acknowledgement(&inner.header)?;
        let version = if inner.is_open() { Document::decode(inner.data).ok() } else { None };
        // The P-version of an encrypted document cannot be known; every operator accepts the newest.
        let version = version.map_or(FfdVersion::V1_2, |document| document.version());
        let p_version = PVersion::for_ffd(version);
        let header = Header::for_message(inner.header.fn_number, p_version, CrcMode::None, bytes)
            .or_else(|error| refuse(error.to_string()))?;
        Ok(Self {
            recognised,
            header,
            form: Some(inner.header.form),
            fd_number: Some(inner.header.fd_number),
            zero_sign: inner.sign == ZERO_SIGN,
            bytes: [header.encode().as_slice(), bytes].concat(),
        })
    }

    /// After `FF FF`: length u16 big-endian, container header without length and CRC, document, sign.
    fn from_raw_data(bytes: &[u8]) -> Result<Self, Unsendable> {
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
            return refuse("rawData of two bytes");
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((kept, rest)) = rest.split_at_checked(length) else {
            return refuse(format!(
                "rawData: a header of {length} bytes is announced, {} follow",
                rest.len()
            ));
        };
        let Ok(kept) = <&[u8; KEPT_HEADER_LEN]>::try_from(kept) else {
            return refuse(format!("rawData: a header of {length} bytes, only {KEPT_HEADER_LEN} are known"));
        };
        let mut whole = [0; container::CONTAINER_HEADER_LEN];
        if let Some(place) = whole.get_mut(4..) {
            place.copy_from_slice(kept);
        }
        let header = ContainerHeader::decode(&whole).or_else(|error| refuse(format!("rawData: {error}")))?;
        refuse_acknowledgement(&header)?;
        let (document, sign) = split_sign(rest, usize::from(header.open_len))?;
        Self::pack(&header, document, sign, Recognised::RawData)
    }

    fn from_document(bytes: &[u8]) -> Result<Self, Unsendable> {
        let unknown = "neither a session message, a container, rawData nor a document";
        let Some(&[form_low, form_high, len_low, len_high]) = bytes.first_chunk::<4>() else {
            return refuse(unknown);
        };
        let form = FormCode(u16::from_le_bytes([form_low, form_high]));
        if form == FormCode::OPERATOR_ACK {
            return refuse(
                "an operator's acknowledgement (form 7): it travels to the register, not to the operator",
            );
        }
        if !form.is_kkt_document() {
            return refuse(unknown);
        }
        let length = 4 + usize::from(u16::from_le_bytes([len_low, len_high]));
        let (document, sign) = split_sign(bytes, length)?;
        let read = Document::decode(document).or_else(|error| refuse(format!("document: {error}")))?;
        let fn_number = read.raw(tags::FN_NUMBER).and_then(|raw| FnNumber::from_padded(raw).ok());
        let fd_number = read.unsigned(tags::FD_NUMBER).and_then(|number| u32::try_from(number).ok());
        let fd_number = fd_number.and_then(|number| FdNumber::new(number).ok());
        let (Some(fn_number), Some(fd_number)) = (fn_number, fd_number) else {
            return refuse(
                "the document lacks the ФН number (1041) or its own number (1040) for a container",
            );
        };
        let too_long = || Unsendable("the document is too long for a container".to_owned());
        let header = ContainerHeader {
            kind: ContainerKind::FROM_FN,
            form: u8::try_from(form.0).map_err(|_| too_long())?,
            version: container::FORMAT_VERSION,
            service1: container::SERVICE_1,
            fn_number,
            fd_number,
            // Nothing is encrypted, so the vector protects nothing; a fixed one makes the bytes repeatable.
            iv: message_iv([0; 5], fd_number),
            service2: container::SERVICE_2,
            open_len: u16::try_from(document.len()).map_err(|_| too_long())?,
        };
        Self::pack(&header, document, sign, Recognised::Document)
    }

    fn pack(
        header: &ContainerHeader,
        document: &[u8],
        sign: Option<[u8; 8]>,
        recognised: Recognised,
    ) -> Result<Self, Unsendable> {
        let bytes = container::encode(header, document, sign.unwrap_or(ZERO_SIGN))
            .or_else(|error| refuse(error.to_string()))?;
        Ok(Self { zero_sign: sign.is_none(), ..Self::from_container(&bytes, recognised)? })
    }
}

/// The document of `length` bytes and the sign after it: nothing, 8 bytes, or 8 bytes and two zeros.
fn split_sign(bytes: &[u8], length: usize) -> Result<(&[u8], Option<[u8; 8]>), Unsendable> {
    let Some((document, rest)) = bytes.split_at_checked(length) else {
        return refuse(format!("the document announces {length} bytes, only {} are there", bytes.len()));
    };
    match (rest.first_chunk::<8>(), rest.get(8..)) {
        _ if rest.is_empty() => Ok((document, None)),
        (Some(sign), Some([] | [0, 0])) => Ok((document, Some(*sign))),
        _ => refuse(format!("{} bytes follow the document: neither nothing nor a message sign", rest.len())),
    }
}

fn refuse_acknowledgement(header: &ContainerHeader) -> Result<(), Unsendable> {
    if header.kind == ContainerKind::FROM_FN {
        return Ok(());
    }
    refuse(
        "a container of type 5A, an operator's acknowledgement: it travels to the register, not to the operator",
    )
}

fn refuse<T>(problem: impl Into<String>) -> Result<T, Unsendable> {
    Err(Unsendable(problem.into()))
}
