//! Cuts a stream of bytes into session messages. The one place that decides how many bytes to wait for,
//! and from the 30-byte header alone.

use ffd::ids::FnNumber;

use crate::error::{Flaw, Malformed};
use crate::header::{AT_BODY_LEN, CrcMode, HEADER_LEN, Header, Service};

/// Room made for a body before its bytes are there: most documents fit, and an idle peer that only sent
/// a header costs no more than this.
const FIRST_ALLOCATION_BYTES: usize = 2048;

/// Reassembles messages from pieces of any size.
#[derive(Debug)]
pub(crate) struct FrameReader {
    service: Service,
    max_body_bytes: usize,
    stage: Stage,
    /// ФН of the last header that could be read.
    fn_number: Option<FnNumber>,
}

#[derive(Debug)]
enum Stage {
    Header { bytes: [u8; HEADER_LEN], filled: usize },
    Body { header: Header, body: Vec<u8> },
}

/// A whole message with the right check code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
}

impl FrameReader {
    pub(crate) fn new(service: Service, max_body_bytes: usize) -> Self {
        Self { service, max_body_bytes, stage: Stage::start(), fn_number: None }
    }

    /// Takes bytes off the front of `input` until a message is complete (`Some`) or `input` is empty
    /// (`None`). After an error the reader must not be fed any more.
    pub(crate) fn push(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Malformed> {
        if let Stage::Header { bytes, filled } = &mut self.stage {
            *filled += take_into(bytes.get_mut(*filled..).unwrap_or_default(), input);
            if *filled < HEADER_LEN {
                Header::check_beginning(self.service, bytes.get(..*filled).unwrap_or_default())?;
                return Ok(None);
            }
            let header = Header::decode_for(self.service, bytes)?;
            self.fn_number = Some(header.fn_number);
            if header.flags.crc_mode() == CrcMode::Header {
                // This code is known now: nobody waits for the body of a damaged header.
                header.check_crc(&[])?;
            }
            let body_len = usize::from(header.body_len);
            if body_len > self.max_body_bytes {
                return Err(
                    Malformed::size(Flaw::BodySize, AT_BODY_LEN, body_len).expected_size(self.max_body_bytes)
                );
            }
            let room = body_len.min(input.len().max(FIRST_ALLOCATION_BYTES));
            self.stage = Stage::Body { header, body: Vec::with_capacity(room) };
        }
        let Stage::Body { header, body } = &mut self.stage else { return Ok(None) };
        let body_len = usize::from(header.body_len);
        let missing = body_len.saturating_sub(body.len());
        let (piece, rest) = input.split_at(missing.min(input.len()));
        grow(body, piece.len(), body_len);
        body.extend_from_slice(piece);
        *input = rest;
        if body.len() < body_len {
            return Ok(None);
        }
        let frame = Frame { header: *header, body: std::mem::take(body) };
        self.stage = Stage::start();
        frame.header.check_crc(&frame.body)?;
        Ok(Some(frame))
    }

    /// The ФН that the last readable header named, whatever came of its message.
    pub(crate) fn fn_number(&self) -> Option<FnNumber> {
        self.fn_number
    }

    /// Whether a message has begun and is not complete.
    pub(crate) fn is_mid_message(&self) -> bool {
        !matches!(self.stage, Stage::Header { filled: 0, .. })
    }

    /// Forgets an unfinished message.
    pub(crate) fn reset(&mut self) {
        self.stage = Stage::start();
    }
}

impl Stage {
    fn start() -> Self {
        Self::Header { bytes: [0; HEADER_LEN], filled: 0 }
    }
}

/// Makes room for `more` bytes: doubling, but never past the announced length.
fn grow(body: &mut Vec<u8>, more: usize, body_len: usize) {
    let needed = body.len() + more;
    if needed > body.capacity() {
        let target = needed.max(body.capacity() * 2).min(body_len);
        body.reserve_exact(target - body.len());
    }
}

/// Moves bytes from the front of `input` into `place`, as many as fit; says how many.
fn take_into(place: &mut [u8], input: &mut &[u8]) -> usize {
    let count = place.len().min(input.len());
    let (piece, rest) = input.split_at(count);
    place.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
    *input = rest;
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Frame, FrameReader};
    use crate::error::Flaw;
    use crate::header::{CrcMode, HEADER_LEN, Header, PVersion, Service};
    use crate::testing::{any_fn_number, fn_number, message};

    const MAX_BODY_BYTES: usize = 33 * 1024;

    fn frames(reader: &mut FrameReader, mut input: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        while let Some(frame) = reader.push(&mut input).unwrap() {
            found.push(frame);
        }
        assert!(input.is_empty());
        found
    }

    #[test]
    fn size_is_refused_before_the_body_arrives() {
        let body = vec![7; MAX_BODY_BYTES + 1];
        let just_right = message(fn_number(), CrcMode::HeaderAndBody, &body[1..]);
        let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
        assert_eq!(frames(&mut reader, &just_right).len(), 1);
        assert!(!reader.is_mid_message());

        let too_big = message(fn_number(), CrcMode::HeaderAndBody, &body);
        let refused = reader.push(&mut &too_big[..HEADER_LEN]).unwrap_err();
        assert_eq!((refused.flaw, refused.offset, refused.expected), (Flaw::BodySize, 24, Some(33_792)));
    }

    #[test]
    fn a_damaged_header_is_refused_before_its_body() {
        let mut damaged = message(fn_number(), CrcMode::Header, &[7; 100]);
        damaged[24] ^= 1;
        let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
        assert!(frames(&mut reader, &damaged[..HEADER_LEN - 1]).is_empty());
        let refused = reader.push(&mut &damaged[HEADER_LEN - 1..HEADER_LEN]).unwrap_err();
        assert_eq!(refused.flaw, Flaw::HeaderCrc);
        assert_eq!(reader.fn_number(), Some(fn_number()), "whose header it was can still be said");
    }

    #[test]
    fn another_protocol_is_refused_at_its_fourth_byte() {
        let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
        assert!(frames(&mut reader, b"GET").is_empty());
        assert_eq!(reader.push(&mut &b" "[..]).unwrap_err().flaw, Flaw::Signature);
    }

    #[test]
    fn a_header_alone_reserves_little() {
        let big = message(fn_number(), CrcMode::None, &[1; 30_000]);
        let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
        let mut room = Vec::new();
        for piece in big.chunks(1000) {
            if reader.push(&mut &*piece).unwrap().is_none() {
                let super::Stage::Body { body, .. } = &reader.stage else { panic!("header not read") };
                assert!(body.capacity() <= 2 * body.len().max(1024));
                room.push(body.capacity());
            }
        }
        assert_eq!(room.first(), Some(&2048));
        assert_eq!(room.last(), Some(&30_000));
        assert!(!reader.is_mid_message());
    }

    #[test]
    fn an_unfinished_message_can_be_forgotten() {
        let whole = message(fn_number(), CrcMode::None, &[1; 50]);
        let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
        for cut in 1..whole.len() {
            assert!(frames(&mut reader, &whole[..cut]).is_empty());
            assert!(reader.is_mid_message());
            reader.reset();
        }
        assert_eq!(frames(&mut reader, &whole).len(), 1);
    }

    fn any_body() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            1 => Just(Vec::new()),
            4 => prop::collection::vec(any::<u8>(), 1..600),
            1 => prop::collection::vec(any::<u8>(), 2000..5000),
        ]
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_messages(
            messages in prop::collection::vec((any_fn_number(), 0_u8..3, any_body()), 1..6),
            pieces in prop::collection::vec(1_usize..900, 1..40),
        ) {
            let mut stream = Vec::new();
            let mut sent = Vec::new();
            for (fn_number, mode, body) in messages {
                let mode = [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody][usize::from(mode)];
                let header = if body.is_empty() {
                    Header::probe(fn_number, PVersion::FFD_1_2, mode)
                } else {
                    Header::for_message(fn_number, PVersion::FFD_1_05, mode, &body).unwrap()
                };
                stream.extend_from_slice(&header.encode());
                stream.extend_from_slice(&body);
                sent.push(Frame { header, body });
            }
            let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
            let mut received = Vec::new();
            let mut rest = stream.as_slice();
            for size in pieces.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                received.extend(frames(&mut reader, piece));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(!reader.is_mid_message());
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn garbage_never_panics(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::new(Service::Documents, MAX_BODY_BYTES);
            let outcome = reader.push(&mut input.as_slice());
            prop_assert!(outcome.is_err() || input.len() < HEADER_LEN);
        }
    }
}
