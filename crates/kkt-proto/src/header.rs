//! The 30-byte session header (S-protocol 1.1) and its flags; the same layout in both directions.
//!
//! | offset | length | field | order |
//! | --- | --- | --- | --- |
//! | 0 | 4 | signature | bytes |
//! | 4 | 2 | S-protocol version | bytes |
//! | 6 | 2 | P-protocol version | bytes |
//! | 8 | 16 | ФН number, digits padded with spaces | ASCII |
//! | 24 | 2 | body size | little-endian |
//! | 26 | 2 | flags | little-endian |
//! | 28 | 2 | check code | little-endian |
//!
//! A [`Header`] that exists is allowed by the protocol, except its check code, which may cover the
//! body: [`Header::check_crc`] once the body is there.

mod flags;
mod versions;

use ffd::ids::FnNumber;
use nom::bytes::complete::take;
use nom::number::complete::le_u16;
use nom::{IResult, Parser};

use crate::crc;
use crate::error::{Flaw, Malformed, TooLong};
pub use flags::{CrcMode, Flags};
pub use versions::{PVersion, SVersion, Service, Signature};

/// Length of the session header in bytes.
pub const HEADER_LEN: usize = 30;
/// The part of the header that the check code covers.
const CRC_COVERED: usize = 28;
/// Largest body that the size field can announce.
pub const MAX_BODY_LEN: usize = 0xFFFF;

const AT_SIGNATURE: usize = 0;
const AT_S_VERSION: usize = 4;
const AT_P_VERSION: usize = 6;
pub(crate) const AT_FN_NUMBER: usize = 8;
pub(crate) const AT_BODY_LEN: usize = 24;
const AT_FLAGS: usize = 26;
const AT_CRC: usize = 28;

/// A session header that the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Service.
    pub signature: Signature,
    /// Session protocol.
    pub s_version: SVersion,
    /// Document protocol; repeated in the reply.
    pub p_version: PVersion,
    /// Number of the fiscal storage: who speaks.
    pub fn_number: FnNumber,
    /// Bytes after the header; little-endian on the wire.
    pub body_len: u16,
    /// Flags; little-endian on the wire.
    pub flags: Flags,
    /// Check code as received or computed; little-endian on the wire.
    pub crc: u16,
}

/// The fields as they lie, before any judgement.
struct RawHeader {
    signature: [u8; 4],
    s_version: [u8; 2],
    p_version: [u8; 2],
    fn_number: [u8; 16],
    body_len: u16,
    flags: u16,
    crc: u16,
}

/// `N` bytes as an array.
pub(crate) fn array<const N: usize>(input: &[u8]) -> IResult<&[u8], [u8; N]> {
    take(N).map_opt(|bytes: &[u8]| bytes.try_into().ok()).parse_complete(input)
}

fn raw_header(input: &[u8]) -> IResult<&[u8], RawHeader> {
    (array, array, array, array, le_u16, le_u16, le_u16)
        .map(|(signature, s_version, p_version, fn_number, body_len, flags, crc)| RawHeader {
            signature,
            s_version,
            p_version,
            fn_number,
            body_len,
            flags,
            crc,
        })
        .parse_complete(input)
}

impl Header {
    /// Refuses the beginning of a header that cannot become one, so that a stranger who speaks another
    /// protocol is not waited for. Errors: four bytes that are no signature this service reads.
    pub(crate) fn check_beginning(service: Service, bytes: &[u8]) -> Result<(), Malformed> {
        match bytes.first_chunk::<4>() {
            Some(signature) if !service.reads(Signature(*signature)) => {
                Err(Malformed::bytes(Flaw::Signature, AT_SIGNATURE, signature))
            }
            _ => Ok(()),
        }
    }

    /// Reads a header as the port for documents does: [`Self::decode_for`] with [`Service::Documents`].
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, Malformed> {
        Self::decode_for(Service::Documents, bytes)
    }

    /// Reads a header at the port of a service.
    ///
    /// Errors, in this order: signature, S-version, P-version, ФН number, forbidden flags, container
    /// without a body, body without a container, data where the service takes none (a marking message at
    /// the port for documents, data under the test version 82 FB). The check code is not looked at, the
    /// size only against zero.
    pub fn decode_for(service: Service, bytes: &[u8; HEADER_LEN]) -> Result<Self, Malformed> {
        let Ok((_, raw)) = raw_header(bytes) else {
            return Err(Malformed::bytes(Flaw::Signature, AT_SIGNATURE, bytes)); // 30 bytes always suffice
        };
        let signature = Signature(raw.signature);
        if !service.reads(signature) {
            return Err(Malformed::bytes(Flaw::Signature, AT_SIGNATURE, &raw.signature));
        }
        let s_version = SVersion(raw.s_version);
        if !s_version.is_known(signature) {
            return Err(Malformed::bytes(Flaw::SVersion, AT_S_VERSION, &raw.s_version));
        }
        let p_version = PVersion(raw.p_version);
        if !p_version.is_known() {
            return Err(Malformed::bytes(Flaw::PVersion, AT_P_VERSION, &raw.p_version));
        }
        let fn_number = FnNumber::from_padded(&raw.fn_number)
            .map_err(|_| Malformed::bytes(Flaw::FnNumber, AT_FN_NUMBER, &raw.fn_number))?;
        let flags = Flags::new(raw.flags)?;
        match (flags.has_container(), raw.body_len) {
            (true, 0) => return Err(Malformed::number(Flaw::EmptyContainer, AT_BODY_LEN, 0_u8)),
            (false, 1..) => {
                return Err(Malformed::number(Flaw::BodyWithoutContainer, AT_BODY_LEN, raw.body_len));
            }
            (true, 1..) => {
                if let Some(flaw) = service.refuses_data(signature, s_version) {
                    return Err(Malformed::number(flaw, AT_BODY_LEN, raw.body_len));
                }
            }
            (false, 0) => {}
        }
        Ok(Self { signature, s_version, p_version, fn_number, body_len: raw.body_len, flags, crc: raw.crc })
    }

    /// The header as it lies on the wire, check code included.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, AT_SIGNATURE, self.signature.0);
        put(&mut bytes, AT_S_VERSION, self.s_version.0);
        put(&mut bytes, AT_P_VERSION, self.p_version.0);
        put(&mut bytes, AT_FN_NUMBER, self.fn_number.padded());
        put(&mut bytes, AT_BODY_LEN, self.body_len.to_le_bytes());
        put(&mut bytes, AT_FLAGS, self.flags.bits().to_le_bytes());
        put(&mut bytes, AT_CRC, self.crc.to_le_bytes());
        bytes
    }

    /// Compares the check code with the one of this header and `body`; in mode 00 the field is ignored.
    pub fn check_crc(&self, body: &[u8]) -> Result<(), Malformed> {
        let flaw = match self.flags.crc_mode() {
            CrcMode::None => return Ok(()),
            CrcMode::Header => Flaw::HeaderCrc,
            CrcMode::HeaderAndBody => Flaw::MessageCrc,
        };
        let computed = self.compute_crc(body);
        if computed == self.crc {
            return Ok(());
        }
        Err(Malformed::number(flaw, AT_CRC, self.crc).expected(computed))
    }

    /// Whether this is a message without a body: the sender asks whether anybody listens.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.body_len == 0 && !self.flags.has_container()
    }

    /// Header of a message from a register with `body`, a container; flags 0x0014 and the mode, check
    /// code filled in. Errors: a body longer than the size field can say.
    pub fn for_message(
        fn_number: FnNumber,
        p_version: PVersion,
        mode: CrcMode,
        body: &[u8],
    ) -> Result<Self, TooLong> {
        let frame = Self {
            p_version,
            ..Self::without_body(Signature::OFD, SVersion::V1_1, fn_number, Flags::default())
        };
        frame.around(mode, body)
    }

    /// Header of a probe: flags 0x0010 and the mode, no body, check code filled in.
    #[must_use]
    pub fn probe(fn_number: FnNumber, p_version: PVersion, mode: CrcMode) -> Self {
        let flags = Flags::probe(mode);
        let mut header =
            Self { p_version, ..Self::without_body(Signature::OFD, SVersion::V1_1, fn_number, flags) };
        header.crc = header.compute_crc(&[]);
        header
    }

    /// Header of the reply to this message: its signature, versions and ФН, the size of `body`, flags
    /// 0x0014 and the CRC mode of the request. Errors: a body longer than the size field can say.
    pub fn reply_header(&self, body: &[u8]) -> Result<Self, TooLong> {
        self.around(self.flags.crc_mode(), body)
    }

    /// The answer to this probe: the same header with flags, size and check code zero.
    #[must_use]
    pub fn probe_reply(&self) -> Self {
        Self { body_len: 0, flags: Flags::default(), crc: 0, ..*self }
    }

    fn without_body(signature: Signature, s_version: SVersion, fn_number: FnNumber, flags: Flags) -> Self {
        Self { signature, s_version, p_version: PVersion::FFD_1_0, fn_number, body_len: 0, flags, crc: 0 }
    }

    fn around(&self, mode: CrcMode, body: &[u8]) -> Result<Self, TooLong> {
        let body_len =
            u16::try_from(body.len()).map_err(|_| TooLong { value: body.len(), limit: MAX_BODY_LEN })?;
        let mut header = Self { body_len, flags: Flags::with_container(mode), crc: 0, ..*self };
        header.crc = header.compute_crc(body);
        Ok(header)
    }

    /// The right check code for the mode of the flags.
    fn compute_crc(&self, body: &[u8]) -> u16 {
        let bytes = self.encode();
        let (covered, _) = bytes.split_at(CRC_COVERED);
        match self.flags.crc_mode() {
            CrcMode::None => 0,
            CrcMode::Header => crc::ccitt_false(&[covered]),
            CrcMode::HeaderAndBody => crc::ccitt_false(&[covered, body]),
        }
    }
}

/// Writes `value` at `offset` of a fixed buffer; the offsets are the constants of the layouts.
pub(crate) fn put<const N: usize>(buffer: &mut [u8], offset: usize, value: [u8; N]) {
    if let Some(place) = buffer.get_mut(offset..offset + N) {
        place.copy_from_slice(&value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CrcMode, Flags, HEADER_LEN, Header, MAX_BODY_LEN, PVersion, SVersion, Signature};
    use crate::testing::{MSG_REG11_FFD12, MSG_REG11_FFD105, SESSION_HEADER_FFD10, any_fn_number, fn_number};

    fn decode(bytes: &[u8]) -> Header {
        Header::decode(bytes.first_chunk().unwrap()).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace([' ', '\n'], "")).unwrap()
    }

    /// The header of the worked example of the S-protocol notes.
    fn example() -> Header {
        decode(MSG_REG11_FFD12)
    }

    #[test]
    fn worked_example() {
        let header = example();
        assert_eq!(header.signature, Signature::OFD);
        assert_eq!(header.s_version, SVersion::V1_1);
        assert_eq!(header.p_version, PVersion::FFD_1_2);
        assert_eq!(header.fn_number.as_str(), "9999078902013267");
        assert_eq!((header.body_len, header.flags.bits(), header.crc), (295, 0x0014, 0));
        assert_eq!(header.flags.crc_mode(), CrcMode::None);
        assert!(header.flags.has_container() && header.flags.expects_answer() && !header.is_probe());
        assert_eq!(header.encode(), MSG_REG11_FFD12[..HEADER_LEN]);

        let reply = header.reply_header(&[0; 119]).unwrap();
        let expected = hex("2a 08 41 0a 81 a2 01 20 39 39 39 39 30 37 38 39
             30 32 30 31 33 32 36 37 77 00 14 00 00 00");
        assert_eq!(reply.encode().as_slice(), expected);
    }

    #[test]
    fn captures() {
        for (capture, number, p_version, body_len) in [
            (SESSION_HEADER_FFD10, "9999078950", PVersion::FFD_1_0_OLD_1, 305),
            (MSG_REG11_FFD105, "9999078900005488", PVersion::FFD_1_0_OLD_1, 436),
            (MSG_REG11_FFD12, "9999078902013267", PVersion::FFD_1_2, 295),
        ] {
            let header = decode(capture);
            assert_eq!(header.fn_number.as_str(), number);
            assert_eq!((header.p_version, header.body_len), (p_version, body_len));
            assert_eq!(header.encode(), capture[..HEADER_LEN]);
            assert_eq!(header.check_crc(&capture[HEADER_LEN..]), Ok(()));
        }
    }

    /// A change of the worked example and the reason it is refused for; `Ok` when it is not.
    #[test]
    fn forbidden_values() {
        let cases: &[(usize, &[u8], Result<(), &str>)] = &[
            (0, b"GET ", Err("signature")),
            (0, &[0x2A, 0x08, 0x41, 0x0B], Err("signature")),
            (0, &[0x0A, 0x41, 0x08, 0x2A], Err("signature")),
            (4, &[0xA2, 0x81], Err("s_version")),
            (4, &[0x82, 0xA2], Err("s_version")),
            (6, &[0x01, 0x00], Ok(())),
            (6, &[0x00, 0x02], Ok(())),
            (6, &[0x01, 0x21], Err("p_version")),
            (6, &[0x05, 0x01], Err("p_version")),
            (8, b" 999078902013267", Err("fn_number")),
            (8, b"9999 78902013267", Err("fn_number")),
            (8, b"                ", Err("fn_number")),
            (8, b"9               ", Ok(())),
            (8, b"999907890201326\0", Err("fn_number")),
            (8, b"999907890201326A", Err("fn_number")),
            (24, &[0, 0, 0x14, 0], Err("empty_container")),
            (24, &[0, 0, 0x10, 0], Ok(())),
            (24, &[0, 0, 0, 0], Ok(())),
            (24, &[1, 0, 0x10, 0], Err("body_without_container")),
            (24, &[1, 0, 0x04, 0], Ok(())),
            (24, &[0xFF, 0xFF, 0x16, 0], Ok(())),
            (26, &[0x17, 0], Err("crc_mode")),
            (26, &[0x24, 0], Err("capability")),
            (26, &[0x34, 0], Err("capability")),
            (26, &[0x1C, 0xFF], Ok(())),
            (26, &[0xD4, 0x00], Ok(())),
            (28, &[0x12, 0x34], Ok(())),
        ];
        for (offset, change, expected) in cases {
            let mut bytes = example().encode();
            bytes[*offset..offset + change.len()].copy_from_slice(change);
            let seen = Header::decode(&bytes).map(|header| assert_eq!(header.encode(), bytes));
            assert_eq!(seen.map_err(|malformed| malformed.reason()), *expected, "{change:02x?} at {offset}");
        }
    }

    #[test]
    fn probes() {
        let probe = Header::probe(fn_number(), PVersion::FFD_1_05, CrcMode::Header);
        assert!(probe.is_probe());
        assert_eq!(probe.check_crc(&[]), Ok(()));
        assert_eq!(probe.flags.bits(), 0x0011);
        let answer = probe.probe_reply();
        let mut expected = probe.encode();
        expected[26..].fill(0);
        assert_eq!(answer.encode(), expected);

        let mut marking = Header::probe(fn_number(), PVersion::FFD_1_0_OLD_1, CrcMode::None).encode();
        marking[..6].copy_from_slice(&[0xDD, 0x80, 0xCA, 0xA1, 0x82, 0xA2]);
        let header = Header::decode(&marking).unwrap();
        assert_eq!(header.probe_reply().signature, Signature::OISM);
        marking[24..28].copy_from_slice(&[1, 0, 0x14, 0]);
        assert_eq!(Header::decode(&marking).unwrap_err().reason(), "marking_service");
    }

    #[test]
    fn check_codes() {
        let body = b"body";
        let of = |mode| Header::for_message(fn_number(), PVersion::FFD_1_2, mode, body).unwrap();
        let covered = |header: &Header| header.encode()[..28].to_vec();

        let mut free = of(CrcMode::None);
        assert_eq!(free.crc, 0);
        free.crc = 0xBEEF; // some operators and registers fill the field in mode 00
        assert_eq!(free.check_crc(body), Ok(()));

        let mut header_only = of(CrcMode::Header);
        assert_eq!(header_only.crc, crate::crc::ccitt_false(&[&covered(&header_only)]));
        assert_eq!(header_only.check_crc(b"another body"), Ok(()));
        header_only.body_len += 1;
        assert_eq!(header_only.check_crc(body).unwrap_err().reason(), "header_crc");

        let whole = of(CrcMode::HeaderAndBody);
        assert_eq!(whole.crc, crate::crc::ccitt_false(&[&covered(&whole), body]));
        assert_eq!(whole.check_crc(body), Ok(()));
        assert_eq!(whole.check_crc(b"bodY").unwrap_err().reason(), "message_crc");

        for mode in [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody] {
            let reply = of(mode).reply_header(b"reply").unwrap();
            assert_eq!(reply.flags.crc_mode(), mode);
            assert_eq!(reply.flags.bits(), of(mode).flags.bits());
            assert_eq!(reply.check_crc(b"reply"), Ok(()));
        }
    }

    #[test]
    fn the_size_field_has_a_limit() {
        let body = vec![0; MAX_BODY_LEN + 1];
        let longest = Header::for_message(fn_number(), PVersion::FFD_1_2, CrcMode::None, &body[1..]);
        assert_eq!(longest.map(|header| header.body_len), Ok(0xFFFF));
        let refused = Header::for_message(fn_number(), PVersion::FFD_1_2, CrcMode::None, &body).unwrap_err();
        assert_eq!((refused.value, refused.limit), (65_536, 65_535));
        assert!(example().reply_header(&body).is_err());
    }

    prop_compose! {
        fn any_header()(
            fn_number in any_fn_number(),
            p_version in prop::sample::select(vec![[0, 1], [0, 2], [1, 0], [1, 5], [1, 0x10], [1, 0x20]]),
            flags in any::<u16>().prop_filter_map("forbidden flags", |bits| Flags::new(bits).ok()),
            body_len in 1_u16..,
            crc in any::<u16>(),
        ) -> Header {
            let body_len = if flags.has_container() { body_len } else { 0 };
            let p_version = PVersion(p_version);
            Header { signature: Signature::OFD, s_version: SVersion::V1_1, p_version, fn_number, body_len, flags, crc }
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(header in any_header()) {
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn encode_undoes_decode(mut bytes in any::<[u8; HEADER_LEN]>(), patch in 0_usize..=28) {
            let (copied, _) = MSG_REG11_FFD12.split_at(patch);
            bytes[..patch].copy_from_slice(copied);
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }

        #[test]
        fn check_code_finds_any_flipped_bit(
            body in prop::collection::vec(any::<u8>(), 1..100),
            whole in any::<bool>(),
            bit in any::<prop::sample::Index>(),
        ) {
            let mode = if whole { CrcMode::HeaderAndBody } else { CrcMode::Header };
            let header = Header::for_message(fn_number(), PVersion::FFD_1_2, mode, &body).unwrap();
            let mut bytes = [header.encode().as_slice(), &body].concat();
            let covered = if whole { bytes.len() } else { HEADER_LEN };
            let bit = bit.index(covered * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = match Header::decode(bytes.first_chunk().unwrap()) {
                Err(_) => true,
                // A flip in the mode itself may turn the check off; nothing can be done about that.
                Ok(damaged) if damaged.flags.crc_mode() != mode => true,
                Ok(damaged) => damaged.check_crc(&bytes[HEADER_LEN..]).is_err(),
            };
            prop_assert!(refused, "bit {}", bit);
        }
    }
}
