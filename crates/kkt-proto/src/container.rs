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
mod tests {
    use ffd::ids::{FdNumber, FnNumber};
    use proptest::prelude::*;

    use super::{
        CONTAINER_HEADER_LEN, Container, ContainerHeader, ContainerKind, MAX_CONTAINER_LEN,
        MIN_CONTAINER_LEN, SERVICE_1, SERVICE_2, container_crc, encode,
    };
    use crate::header::{HEADER_LEN, Header};
    use crate::testing::{
        ACK_TAXCOM, CONTAINER_REG1_FFD10, MSG_REG11_FFD12, MSG_REG11_FFD105, any_fd_number, any_fn_number,
        crypto_messages, hex_field, small_container,
    };

    #[test]
    fn worked_example() {
        let container = Container::decode(&MSG_REG11_FFD12[HEADER_LEN..]).unwrap();
        let expected = ContainerHeader {
            kind: ContainerKind::FROM_FN,
            form: 11,
            version: 1,
            service1: SERVICE_1,
            fn_number: FnNumber::from_padded(b"9999078902013267").unwrap(),
            fd_number: FdNumber::new(1).unwrap(),
            iv: [0x6E, 0xB2, 0x66, 0xD1, 0xB9, 0, 0, 1],
            service2: SERVICE_2,
            open_len: 253,
        };
        assert_eq!(container.header, expected);
        assert!(container.is_open());
        assert_eq!(container.data.len(), 253);
        assert_eq!(container.data[..4], [0x0B, 0, 0xF9, 0]);
        assert_eq!(container.sign, [0x81, 0x06, 0x33, 0xDE, 0xD3, 0x11, 0xF3, 0x15]);
        assert_eq!(container.tail, [0, 0]);
        assert_eq!(container.bytes().len(), 295);
        assert_eq!(container.bytes()[2..4], 0x809A_u16.to_le_bytes());
    }

    /// Bytes, length, checksum, type, form, ФН, service data 2.
    type Known = (&'static [u8], usize, u16, u8, u8, &'static str, [u8; 2]);

    #[test]
    fn captures_check_and_come_back_unchanged() {
        let cases: &[Known] = &[
            (&MSG_REG11_FFD105[HEADER_LEN..], 436, 0x7825, 0xA5, 11, "9999078900005488", [0, 4]),
            (CONTAINER_REG1_FFD10, 305, 0xEC03, 0xA5, 1, "999907891234567", [0, 2]),
            (&MSG_REG11_FFD12[HEADER_LEN..], 295, 0x809A, 0xA5, 11, "9999078902013267", [0, 2]),
            (ACK_TAXCOM, 119, 0xEF45, 0x5A, 7, "9999078902013267", [0, 2]),
        ];
        for (bytes, length, crc, kind, form, fn_number, service2) in cases {
            let container = Container::decode(bytes).unwrap();
            let header = container.header;
            assert_eq!((bytes.len(), container_crc(bytes)), (*length, *crc), "{fn_number}");
            assert_eq!((header.kind.0, header.form, header.service2), (*kind, *form, *service2));
            assert_eq!(header.fn_number.as_str(), *fn_number);
            assert_eq!(header.fd_number.get(), 1);
            assert!(container.is_open(), "{fn_number}");
            assert_eq!(encode(&header, container.data, container.sign).unwrap(), *bytes);
        }
    }

    /// The field zeroed instead of left out would give another checksum.
    #[test]
    fn the_checksum_leaves_its_own_field_out() {
        let mut zeroed = ACK_TAXCOM.to_vec();
        zeroed[2..4].fill(0);
        assert_ne!(crate::crc::ccitt_false(&[&zeroed]), 0xEF45);
        assert_eq!(container_crc(&zeroed), 0xEF45);
    }

    #[test]
    fn packed_numbers_end_in_f() {
        let container = Container::decode(CONTAINER_REG1_FFD10).unwrap();
        assert_eq!(CONTAINER_REG1_FFD10[9..17], [0x99, 0x99, 0x07, 0x89, 0x12, 0x34, 0x56, 0x7F]);
        assert_eq!(container.header.encode()[9..17], CONTAINER_REG1_FFD10[9..17]);
        let numbers = |bytes: &[u8]| Header::decode(bytes.first_chunk().unwrap()).unwrap();
        let foreign = container.check_carrier(&numbers(MSG_REG11_FFD12)).unwrap_err();
        assert_eq!((foreign.reason(), foreign.offset), ("container_foreign_fn", 9));
        let own = Container::decode(&MSG_REG11_FFD12[HEADER_LEN..]).unwrap();
        assert_eq!(own.check_carrier(&numbers(MSG_REG11_FFD12)), Ok(()));
    }

    #[test]
    fn vectors_of_the_stand_in_signs() {
        for message in crypto_messages() {
            let number = hex_field(&message, "fn8");
            for (container, body, sign, open) in [
                (hex_field(&message, "container_plain"), hex_field(&message, "body"), "fps", true),
                (
                    hex_field(&message, "container_encrypted"),
                    hex_field(&message, "body_encrypted"),
                    "fps",
                    false,
                ),
                (
                    hex_field(&message["ack"], "container_plain"),
                    hex_field(&message["ack"], "body"),
                    "fpp",
                    true,
                ),
            ] {
                let decoded = Container::decode(&container).unwrap();
                assert_eq!(decoded.data, body);
                assert_eq!(decoded.is_open(), open);
                assert_eq!(decoded.header.fn_number.to_bcd().as_slice(), number);
                let holder = if sign == "fpp" { &message["ack"] } else { &message };
                assert_eq!(decoded.sign.as_slice(), hex_field(holder, sign));
                assert_eq!(encode(&decoded.header, decoded.data, decoded.sign).unwrap(), container);
            }
            let bytes = hex_field(&message, "container_plain");
            let printed = message["fps_json"].as_u64().unwrap();
            assert_eq!(Container::decode(&bytes).unwrap().message_sign(), printed);
        }
    }

    #[test]
    fn reply_header() {
        let request = Container::decode(&MSG_REG11_FFD105[HEADER_LEN..]).unwrap().header;
        let reply = request.reply([9; 8], 77);
        assert_eq!((reply.kind, reply.form, reply.version), (ContainerKind::FROM_OFD, 7, 1));
        assert_eq!((reply.service1, reply.service2), (SERVICE_1, SERVICE_2));
        assert_eq!((reply.fn_number, reply.fd_number), (request.fn_number, request.fd_number));
        assert_eq!((reply.iv, reply.open_len), ([9; 8], 77));
    }

    /// Damage with its checksum made right again, and the reason it is refused for.
    #[test]
    fn structural_errors() {
        let cases: &[(usize, &[u8], Result<(), &str>)] = &[
            (0, &[0x2E, 0], Err("container_length")),
            (4, &[0xA4], Err("container_kind")),
            (4, &[0x5A], Ok(())),
            (5, &[0xEE], Ok(())),
            (6, &[0x0F], Ok(())),
            (6, &[0x11], Err("container_version")),
            (9, &[0x99, 0x99, 0xA0], Err("container_fn")),
            (9, &[0x99, 0xF9], Err("container_fn")),
            (9, &[0xFF; 8], Err("container_fn")),
            (16, &[0xFF], Ok(())),
            (16, &[0xF7], Err("container_fn")),
            (17, &[0, 0, 0], Err("container_fd")),
            (17, &[0xFF, 0xFF, 0xFF], Ok(())),
            (30, &[0xFF, 0xFF], Ok(())),
        ];
        for (offset, change, expected) in cases {
            let mut bytes = small_container(3, 3);
            bytes[*offset..offset + change.len()].copy_from_slice(change);
            let crc = container_crc(&bytes);
            bytes[2..4].copy_from_slice(&crc.to_le_bytes());
            let seen = Container::decode(&bytes).map(|_| ()).map_err(|malformed| malformed.reason());
            assert_eq!(seen, *expected, "{change:02x?} at {offset}");
        }
    }

    #[test]
    fn too_short_and_too_long() {
        let whole = small_container(1, 2);
        for cut in 0..whole.len() {
            assert_eq!(Container::decode(&whole[..cut]).unwrap_err().reason(), "container_length", "{cut}");
        }
        assert_eq!(Container::decode(&[whole.as_slice(), &[0]].concat()).unwrap_err().expected, Some(48));

        let header = Container::decode(&whole).unwrap().header;
        let empty = encode(&header, &[], [0; 8]).unwrap();
        assert_eq!(empty.len(), MIN_CONTAINER_LEN);
        assert!(!Container::decode(&empty).unwrap().is_open());
        let data = vec![0; MAX_CONTAINER_LEN - MIN_CONTAINER_LEN + 1];
        assert_eq!(encode(&header, &data[1..], [0; 8]).unwrap().len(), MAX_CONTAINER_LEN);
        assert_eq!(encode(&header, &data, [0; 8]).unwrap_err().value, MAX_CONTAINER_LEN + 1);
    }

    #[test]
    fn open_or_encrypted() {
        let whole = small_container(1, 3);
        let check = |data: &[u8], open_len: u16, expected: bool| {
            let header = ContainerHeader { open_len, ..Container::decode(&whole).unwrap().header };
            let bytes = encode(&header, data, [0; 8]).unwrap();
            assert_eq!(Container::decode(&bytes).unwrap().is_open(), expected, "{data:?} {open_len}");
        };
        check(&[3, 0, 1, 0, 9], 5, true);
        check(&[3, 0, 0, 0], 4, true);
        check(&[4, 0, 1, 0, 9], 5, false); // another form
        check(&[3, 1, 1, 0, 9], 5, false);
        check(&[3, 0, 2, 0, 9], 5, false); // another length
        check(&[3, 0, 2, 0, 9], 6, true); // in clear, and shorter than it says of itself
        check(&[3, 0, 1], 5, false);
        check(&[3, 0, 0xFF, 0xFF], 3, false); // 4 + length does not wrap round
    }

    #[test]
    fn direction() {
        let ack = Container::decode(ACK_TAXCOM).unwrap();
        assert_eq!(ack.check_kind(ContainerKind::FROM_OFD), Ok(()));
        let wrong = ack.check_kind(ContainerKind::FROM_FN).unwrap_err();
        assert_eq!((wrong.reason(), wrong.expected), ("container_kind", Some(0xA5)));
    }

    prop_compose! {
        fn any_container_header()(
            from_fn in any::<bool>(),
            form in any::<u8>(),
            version in 0_u8..16,
            (service1, service2, iv) in any::<([u8; 2], [u8; 2], [u8; 8])>(),
            fn_number in any_fn_number(),
            fd_number in any_fd_number(),
            open_len in any::<u16>(),
        ) -> ContainerHeader {
            let kind = if from_fn { ContainerKind::FROM_FN } else { ContainerKind::FROM_OFD };
            ContainerHeader { kind, form, version, service1, fn_number, fd_number, iv, service2, open_len }
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(
            header in any_container_header(),
            data in prop::collection::vec(any::<u8>(), 0..300),
            sign in any::<[u8; 8]>(),
        ) {
            let bytes = encode(&header, &data, sign).unwrap();
            let container = Container::decode(&bytes).unwrap();
            prop_assert_eq!(container.header, header);
            prop_assert_eq!((container.data, container.sign, container.tail), (data.as_slice(), sign, [0, 0]));
            prop_assert_eq!(container.bytes(), bytes.as_slice());
            let head: &[u8; CONTAINER_HEADER_LEN] = bytes.first_chunk().unwrap();
            prop_assert_eq!(ContainerHeader::decode(head), Ok(header));
        }

        #[test]
        fn any_flipped_bit_is_found(
            header in any_container_header(),
            data in prop::collection::vec(any::<u8>(), 0..300),
            bit in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(&header, &data, [7; 8]).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 16 { "container_length" } else { "container_crc" };
            prop_assert_eq!(Container::decode(&bytes).unwrap_err().reason(), expected);
        }

        #[test]
        fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..120), mend in any::<bool>()) {
            if mend && bytes.len() >= 4 {
                let length = u16::try_from(bytes.len()).unwrap();
                bytes[..2].copy_from_slice(&length.to_le_bytes());
                let crc = container_crc(&bytes);
                bytes[2..4].copy_from_slice(&crc.to_le_bytes());
            }
            if let Ok(container) = Container::decode(&bytes) {
                prop_assert!(!container.is_open() || container.data.len() >= 4);
                prop_assert_eq!(container.bytes(), bytes.as_slice());
            }
        }
    }
}
