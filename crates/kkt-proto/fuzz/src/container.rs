//! The container: what reads is written back byte for byte, and no damage passes the checksum.

use kkt_proto::container::{self, CONTAINER_HEADER_LEN, Container, ContainerHeader, MIN_CONTAINER_LEN};
use kkt_proto::crc;
use kkt_proto::header::{CrcMode, Header, PVersion};

use super::dice::Dice;

/// Checks one input, as it is and with its length and checksum put right.
pub fn check(input: &[u8]) {
    round_trip(input);
    let Some(mended) = mended(input) else { return };
    if round_trip(&mended) {
        damage(&mended, &mut Dice::of(input));
    }
}

/// The input with the length and the checksum that it should have: a fuzzer seldom guesses them.
fn mended(input: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(input.len()).ok()?;
    let mut bytes = input.to_vec();
    bytes.get_mut(..2)?.copy_from_slice(&length.to_le_bytes());
    let checksum = crc::ccitt_false(&[&bytes[..2], bytes.get(4..)?]);
    bytes.get_mut(2..4)?.copy_from_slice(&checksum.to_le_bytes());
    Some(bytes)
}

/// Whether it reads; if so, everything that is said of it agrees.
fn round_trip(bytes: &[u8]) -> bool {
    let container = match Container::decode(bytes) {
        Ok(container) => container,
        Err(malformed) => {
            assert!(!malformed.to_string().is_empty() && malformed.offset <= bytes.len());
            return false;
        }
    };
    assert_eq!(container.bytes(), bytes);
    assert_eq!(container.data.len() + MIN_CONTAINER_LEN, bytes.len());
    assert_eq!(container.message_sign().to_be_bytes(), container.sign);
    let header = container.header;
    let head: &[u8; CONTAINER_HEADER_LEN] = bytes.first_chunk().expect("no container is shorter");
    assert_eq!(ContainerHeader::decode(head), Ok(header));
    assert_eq!(header.encode()[4..], head[4..]);
    assert_eq!(container.is_open(), header.opens(container.data));
    if container.tail == [0, 0] {
        assert_eq!(container::encode(&header, container.data, container.sign).as_deref(), Ok(bytes));
    }
    carried(&container);
    answered(&header, container.data);
    true
}

/// A message of the same ФН may carry it, one of another may not.
fn carried(container: &Container<'_>) {
    for mode in [CrcMode::None, CrcMode::Header, CrcMode::HeaderAndBody] {
        let fn_number = container.header.fn_number;
        let header = Header::for_message(fn_number, PVersion::FFD_1_2, mode, container.bytes()).unwrap();
        assert_eq!(Header::decode(&header.encode()), Ok(header));
        assert_eq!(header.check_crc(container.bytes()), Ok(()));
        assert_eq!(container.check_carrier(&header), Ok(()));
    }
}

/// The operator's container for it reads, goes the other way and names the same document.
fn answered(header: &ContainerHeader, data: &[u8]) {
    let open_len = u16::try_from(data.len()).unwrap();
    let reply = header.reply([7; 8], open_len);
    let bytes = container::encode(&reply, data, [1; 8]).expect("as long as the request");
    let read = Container::decode(&bytes).expect("what we write reads");
    assert_eq!((read.header, read.data, read.sign, read.tail), (reply, data, [1; 8], [0, 0]));
    assert_eq!((reply.fn_number, reply.fd_number), (header.fn_number, header.fd_number));
    assert_eq!(read.check_kind(container::ContainerKind::FROM_OFD), Ok(()));
}

/// One flipped bit, a missing or an additional byte: never taken for whole.
fn damage(whole: &[u8], dice: &mut Dice) {
    let mut bytes = whole.to_vec();
    let place = dice.below(bytes.len());
    bytes[place] ^= 1 << dice.below(8);
    assert!(Container::decode(&bytes).is_err(), "bit flipped in byte {place}");
    assert!(Container::decode(&whole[..dice.below(whole.len())]).is_err());
    assert!(Container::decode(&[whole, &[0]].concat()).is_err());
}
