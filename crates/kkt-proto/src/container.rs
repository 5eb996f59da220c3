//! The container, body of a session message: 32-byte header, document, 10-byte trailer.
//!
//! | offset | length | field | order |
//! | --- | --- | --- | --- |
//! | 0 | 2 | length of the whole container | little-endian |
//! | 2 | 2 | checksum over bytes 0..2 and 4.. | little-endian |
//! | 4 | 1 | type: `A5` from the ФН, `5A` from the operator | |
//! | 5 | 1 | form code of the document | |
//! | 6 | 1 | format version | |
//! | 7 | 2 | service data 1 | bytes |
//! | 9 | 8 | ФН number, packed decimal, filled with nibbles `F` | high digit first |
//! | 17 | 3 | ФД number | **big-endian** |
//! | 20 | 8 | initialisation vector | bytes |
//! | 28 | 2 | service data 2 | bytes |
//! | 30 | 2 | length of the open document | **big-endian** |
//! | 32 | | document, open or encrypted | |
//! | end - 10 | 8 | sign: ФПС from the ФН, ФПП from the operator | bytes |
//! | end - 2 | 2 | zeros of unknown purpose | bytes |
//!
//! Signs and ciphers are `pkz`'s business; here they are bytes.

use ffd::ids::{FdNumber, FnNumber};
use nom::bytes::complete::take;
use nom::number::complete::{be_u16, be_u24, le_u16, u8 as byte};
use nom::{IResult, Parser};

use crate::crc;
use crate::error::{Flaw, Malformed, TooLong};
use crate::header::{Header, array, put};

/// Length of the container header in bytes.
pub const CONTAINER_HEADER_LEN: usize = 32;
/// Length of sign and final zeros in bytes.
pub const TRAILER_LEN: usize = 10;
/// The smallest container: header, no data, trailer.
pub const MIN_CONTAINER_LEN: usize = CONTAINER_HEADER_LEN + TRAILER_LEN;
/// The largest container that its own 16-bit length field can announce.
pub const MAX_CONTAINER_LEN: usize = 0xFFFF;
/// Format version that every known container carries.
pub const FORMAT_VERSION: u8 = 1;
/// Service data 1 of every known container; the meaning is not public.
pub const SERVICE_1: [u8; 2] = [0x10, 0x09];
/// Service data 2 of nearly every known container, the operator's included; the meaning is not public.
pub const SERVICE_2: [u8; 2] = [0x00, 0x02];

const AT_LENGTH: usize = 0;
const AT_CRC: usize = 2;
const AT_KIND: usize = 4;
const AT_FORM: usize = 5;
const AT_VERSION: usize = 6;
const AT_SERVICE_1: usize = 7;
const AT_FN_NUMBER: usize = 9;
const AT_FD_NUMBER: usize = 17;
const AT_IV: usize = 20;
const AT_SERVICE_2: usize = 28;
const AT_OPEN_LEN: usize = 30;

/// Direction of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContainerKind(pub u8);

impl ContainerKind {
    /// Made by a fiscal storage (ФН) for the operator.
    pub const FROM_FN: Self = Self(0xA5);
    /// Made by the operator's device (ПКЗ) for a fiscal storage.
    pub const FROM_OFD: Self = Self(0x5A);
}

/// The readable part of a container, except its length and checksum, which follow from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerHeader {
    /// Direction.
    pub kind: ContainerKind,
    /// Form code of the document inside, as a byte; unknown codes are kept.
    pub form: u8,
    /// Format version; any value with high nibble 0 means this header.
    pub version: u8,
    /// Service data 1, meaning unknown.
    pub service1: [u8; 2],
    /// Number of the fiscal storage.
    pub fn_number: FnNumber,
    /// Number of the document; in a reply, of the document acknowledged.
    pub fd_number: FdNumber,
    /// Initialisation vector of the cipher; filled also in open containers.
    pub iv: [u8; 8],
    /// Service data 2, meaning unknown.
    pub service2: [u8; 2],
    /// Length of the open document (4 + its STLV length), in bytes.
    pub open_len: u16,
}

struct RawContainerHeader {
    length: u16,
    crc: u16,
    kind: u8,
    form: u8,
    version: u8,
    service1: [u8; 2],
    fn_number: [u8; 8],
    fd_number: u32,
    iv: [u8; 8],
    service2: [u8; 2],
    open_len: u16,
}

fn raw_container_header(input: &[u8]) -> IResult<&[u8], RawContainerHeader> {
    (le_u16, le_u16, byte, byte, byte, array, array, be_u24, array, array, be_u16)
        .map(|(length, crc, kind, form, version, service1, fn_number, fd_number, iv, service2, open_len)| {
            RawContainerHeader {
                length,
                crc,
                kind,
                form,
                version,
                service1,
                fn_number,
                fd_number,
                iv,
                service2,
                open_len,
            }
        })
        .parse_complete(input)
}

impl RawContainerHeader {
    fn check(self) -> Result<ContainerHeader, Malformed> {
        let kind = ContainerKind(self.kind);
        if kind != ContainerKind::FROM_FN && kind != ContainerKind::FROM_OFD {
            return Err(Malformed::number(Flaw::ContainerKind, AT_KIND, self.kind));
        }
        if self.version & 0xF0 != 0 {
            return Err(
                Malformed::number(Flaw::ContainerVersion, AT_VERSION, self.version).expected(FORMAT_VERSION)
            );
        }
        let fn_number = FnNumber::from_bcd(&self.fn_number)
            .map_err(|_| Malformed::bytes(Flaw::ContainerFn, AT_FN_NUMBER, &self.fn_number))?;
        let fd_number = FdNumber::new(self.fd_number)
            .map_err(|_| Malformed::number(Flaw::ContainerFd, AT_FD_NUMBER, self.fd_number))?;
        Ok(ContainerHeader {
            kind,
            form: self.form,
            version: self.version,
            service1: self.service1,
            fn_number,
            fd_number,
            iv: self.iv,
            service2: self.service2,
            open_len: self.open_len,
        })
    }
}

impl ContainerHeader {
    /// Reads the 32 bytes; length and checksum are not looked at (see [`Container::decode`]).
    ///
    /// Errors: type neither `A5` nor `5A`, version with a high nibble, ФН number not packed decimal, ФД
    /// number 0.
    pub fn decode(bytes: &[u8; CONTAINER_HEADER_LEN]) -> Result<Self, Malformed> {
        let Ok((_, raw)) = raw_container_header(bytes) else {
            return Err(Malformed::size(Flaw::ContainerLength, AT_LENGTH, bytes.len())); // 32 bytes suffice
        };
        raw.check()
    }

    /// The 32 bytes with length and checksum zero; [`encode`] fills them in.
    #[must_use]
    pub fn encode(&self) -> [u8; CONTAINER_HEADER_LEN] {
        let mut bytes = [0; CONTAINER_HEADER_LEN];

        put(&mut bytes, AT_KIND, [self.kind.0]);
        put(&mut bytes, AT_FORM, [self.form]);
        put(&mut bytes, AT_VERSION, [self.version]);
        put(&mut bytes, AT_SERVICE_1, self.service1);
        put(&mut bytes, AT_FN_NUMBER, self.fn_number.to_bcd());
        put(&mut bytes, AT_FD_NUMBER, self.fd_number.to_be_bytes());
        put(&mut bytes, AT_IV, self.iv);
        put(&mut bytes, AT_SERVICE_2, self.service2);
        put(&mut bytes, AT_OPEN_LEN, self.open_len.to_be_bytes());
        bytes
    }

    /// Header of the operator's reply to a container with this header: document 7 of `open_len` bytes
    /// about the same ФН and ФД; service data 1 and the version are repeated, service data 2 is
    /// `00 02`, as real operators do.
    #[must_use]
    pub fn reply(&self, iv: [u8; 8], open_len: u16) -> Self {
        Self {
            kind: ContainerKind::FROM_OFD,
            form: 7,
            version: FORMAT_VERSION,
            iv,
            service2: SERVICE_2,
            open_len,
            ..*self
        }
    }

    /// Whether `data` begins like the open document of this container: with its form code (u16 LE) and a
    /// length (u16 LE) that gives its open length. No flag says that a body is encrypted, so this is the
    /// test; a ciphertext passes it once in 2^32. Data longer or shorter than it says of itself passes:
    /// it is in clear, and malformed.
    #[must_use]
    pub fn opens(&self, data: &[u8]) -> bool {
        let Some([form_low, form_high, length_low, length_high]) = data.first_chunk::<4>() else {
            return false;
        };
        u16::from_le_bytes([*form_low, *form_high]) == u16::from(self.form)
            && u16::from_le_bytes([*length_low, *length_high]).checked_add(4) == Some(self.open_len)
    }
}

/// A container whose length, checksum and header fields are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// The readable header.
    pub header: ContainerHeader,
    /// The document, open or encrypted: everything between header and trailer.
    pub data: &'a [u8],
    /// ФПС or ФПП: type, length, value. Also the big-endian `messageFiscalSign` of the tax service.
    pub sign: [u8; 8],
    /// The last two bytes, zeros in all known containers.
    pub tail: [u8; 2],
    bytes: &'a [u8],
}

impl<'a> Container<'a> {
    /// Reads a whole container and nothing after it.
    ///
    /// Errors: shorter than header and trailer, length field unlike `bytes.len()`, checksum, then those of
    /// [`ContainerHeader::decode`]. Form code, signs and the length of the open document are not judged.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let too_short = || {
            Malformed::size(Flaw::ContainerLength, AT_LENGTH, bytes.len()).expected_size(MIN_CONTAINER_LEN)
        };
        let data_len = bytes.len().checked_sub(MIN_CONTAINER_LEN).ok_or_else(too_short)?;
        let (raw, data, sign, tail) =
            (raw_container_header, take::<_, _, nom::error::Error<_>>(data_len), array, array)
                .parse_complete(bytes)
                .map(|(_, parts)| parts)
                .map_err(|_| too_short())?;
        if usize::from(raw.length) != bytes.len() {
            return Err(
                Malformed::number(Flaw::ContainerLength, AT_LENGTH, raw.length).expected_size(bytes.len())
            );
        }
        let computed = container_crc(bytes);
        if raw.crc != computed {
            return Err(Malformed::number(Flaw::ContainerCrc, AT_CRC, raw.crc).expected(computed));
        }
        Ok(Self { header: raw.check()?, data, sign, tail, bytes })
    }

    /// The container as it came.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the document can be read without a key ([`ContainerHeader::opens`]).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.header.opens(self.data)
    }

    /// The sign as the tax service prints it: eight bytes, big-endian.
    #[must_use]
    pub fn message_sign(&self) -> u64 {
        u64::from_be_bytes(self.sign)
    }

    /// Whether this container may travel in a message with `header`: both name the same ФН. Errors:
    /// [`Flaw::ForeignContainer`].
    pub fn check_carrier(&self, header: &Header) -> Result<(), Malformed> {
        if self.header.fn_number == header.fn_number {
            return Ok(());
        }
        Err(Malformed::bytes(Flaw::ForeignContainer, AT_FN_NUMBER, &self.header.fn_number.to_bcd()))
    }

    /// Whether the container goes in the direction the reader expects. Errors: [`Flaw::ContainerKind`].
    pub fn check_kind(&self, kind: ContainerKind) -> Result<(), Malformed> {
        if self.header.kind == kind {
            return Ok(());
        }
        Err(Malformed::number(Flaw::ContainerKind, AT_KIND, self.header.kind.0).expected(kind.0))
    }
}

/// A container of `header`, `data` (open or encrypted document), `sign` and two zeros, length and
/// checksum filled in. Errors: more than the 16-bit length field can say.
pub fn encode(header: &ContainerHeader, data: &[u8], sign: [u8; 8]) -> Result<Vec<u8>, TooLong> {
    let whole = MIN_CONTAINER_LEN + data.len();
    let length = u16::try_from(whole).map_err(|_| TooLong { value: whole, limit: MAX_CONTAINER_LEN })?;
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&sign);
    bytes.extend_from_slice(&[0, 0]);
    put(&mut bytes, AT_LENGTH, length.to_le_bytes());
    let crc = container_crc(&bytes);
    put(&mut bytes, AT_CRC, crc.to_le_bytes());
    Ok(bytes)
}

/// Checksum of a container: its own field is left out.
fn container_crc(bytes: &[u8]) -> u16 {
    let (length, rest) = bytes.split_at(AT_CRC.min(bytes.len()));
    crc::ccitt_false(&[length, rest.get(AT_KIND - AT_CRC..).unwrap_or_default()])
}

#[cfg(test)]
mod tests;
