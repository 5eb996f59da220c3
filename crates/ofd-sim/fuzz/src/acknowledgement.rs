//! The acknowledgement: document 7 as it reads, and as a fiscal storage checks it.
//!
//! What reads is written back byte for byte. A storage takes what the operator sealed for it, and nothing else: no
//! damage passes, with the checksum put right or not, and the right sign over a wrong document helps nobody.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use ffd::{FdNumber, FfdVersion, FnNumber, Inn};
use kkt_proto::ack::{AckFields, AckFormat, Acknowledgement, MAX_ACK_LEN, OperatorCode};
use kkt_proto::client::{ClientDialogue, ClientLimits};
use kkt_proto::container::{
    self, CONTAINER_HEADER_LEN, Container, ContainerHeader, ContainerKind, FORMAT_VERSION, SERVICE_1,
    SERVICE_2, TRAILER_LEN,
};
use kkt_proto::crc;
use kkt_proto::header::{CrcMode, Header, PVersion};
use ofd_sim::keys::SimKeys;
use ofd_sim::{AckChecker, RefusalReason};
use pkz::derive::{FnKeys, Purpose};
use pkz::{AckRequest, AckSigner, Generation, Keystore, SoftPkz, test_keys};

use super::dice::Dice;

/// 2026-11-22, when the published keys are in use.
const NOW_UNIX: i64 = 1_795_305_600;

/// One storage, its operator, and everything both know.
struct Parties {
    number: FnNumber,
    checker: AckChecker,
    checker_of_1_2: AckChecker,
    operator: SoftPkz,
    keys: FnKeys,
}

static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let number = FnNumber::from_padded(b"9999078900000017").unwrap();
    let master = |text: &str, purpose| {
        let generation = Generation::new(1).unwrap();
        Arc::clone(Keystore::parse(text, purpose).unwrap().record(generation).unwrap().key())
    };
    let message = master(test_keys::message_keystore(), Purpose::Message);
    let operator = master(test_keys::operator_keystore(), Purpose::Operator);
    let checker = |ffd| AckChecker::of_storage(number, ffd, &SimKeys::published()).unwrap();
    Parties {
        number,
        checker: checker(None),
        checker_of_1_2: checker(Some(FfdVersion::V1_2)),
        operator: test_keys::soft_pkz(NOW_UNIX),
        keys: FnKeys::derive(&number, &message, Some(&operator)).unwrap(),
    }
});

/// Checks one input: as a document 7, as a container that arrives, as a document that was signed, and as the words of
/// an operator.
pub fn check(input: &[u8]) {
    document(input);
    let document_7 = mended(input);
    document(&document_7);
    arrives(input);
    signed(&document_7);
    sealed(input);
}

/// The input as a document of form 7 with the right length.
fn mended(input: &[u8]) -> Vec<u8> {
    let records = input.get(4..).unwrap_or_default();
    let records = &records[..records.len().min(4096)];
    let length = u16::try_from(records.len()).unwrap();
    [&[7, 0], length.to_le_bytes().as_slice(), records].concat()
}

fn document(bytes: &[u8]) {
    match Acknowledgement::decode(bytes) {
        Ok(ack) => {
            assert!(bytes.len() <= MAX_ACK_LEN);
            assert_eq!(ack.encode().as_deref(), Ok(bytes));
        }
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
}

/// Any container in a reply: the storage gives a reason, or takes what the keys have signed.
fn arrives(input: &[u8]) {
    let parties = &*PARTIES;
    let now = Instant::now();
    let mut client =
        ClientDialogue::new(parties.number, ClientLimits { max_body_bytes: 8192, ..Default::default() });
    let _ = client.probe(CrcMode::None, PVersion::FFD_1_2, now);
    let Ok(header) = Header::for_message(parties.number, PVersion::FFD_1_2, CrcMode::HeaderAndBody, input)
    else {
        return;
    };
    let message = [header.encode().as_slice(), input].concat();
    let outcome = client.receive(&message);
    if !input.is_empty() && input.len() <= 8192 {
        assert_eq!(outcome.map(|reply| reply.map(|reply| reply.body)), Ok(Some(input.to_vec())));
    }
    let expected = Container::decode(input).map_or(FdNumber::FIRST, |container| container.header.fd_number);
    for bytes in [input.to_vec(), checksummed(input)] {
        if parties.checker.check(expected, &bytes).is_ok() {
            let container = Container::decode(&bytes).expect("an accepted container reads");
            let mut body = container.data.to_vec();
            if !container.is_open() {
                parties.keys.crypt_down(&container.header.iv, &mut body);
            }
            assert!(parties.keys.check_fpp(&body, &container.sign));
        }
    }
}

/// The bytes with length and checksum of a container put right.
fn checksummed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Ok(length) = u16::try_from(bytes.len())
        && bytes.len() >= 4
    {
        bytes[..2].copy_from_slice(&length.to_le_bytes());
        let checksum = crc::ccitt_false(&[&bytes[..2], &bytes[4..]]);
        bytes[2..4].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

fn header(fd_number: FdNumber, kind: ContainerKind, form: u8, open_len: usize) -> ContainerHeader {
    ContainerHeader {
        kind,
        form,
        version: FORMAT_VERSION,
        service1: SERVICE_1,
        fn_number: PARTIES.number,
        fd_number,
        iv: [9; 8],
        service2: SERVICE_2,
        open_len: u16::try_from(open_len).unwrap(),
    }
}

/// A document of anybody's making under the right ФПП: taken only when it is an acknowledgement of this document with
/// the right ФПО.
fn signed(document_7: &[u8]) {
    let parties = &*PARTIES;
    let ack = Acknowledgement::decode(document_7);
    let fd_number = ack.as_ref().map_or(FdNumber::FIRST, |ack| ack.fd_number);
    let sign = parties.keys.fpp(document_7);
    let head = header(fd_number, ContainerKind::FROM_OFD, 7, document_7.len());
    let bytes = container::encode(&head, document_7, sign).unwrap();
    let outcome = parties.checker.check(fd_number, &bytes);
    let Ok(ack) = ack else {
        assert_eq!(outcome, Err(RefusalReason::Format));
        return;
    };
    let fpo = parties.keys.fpo(&ack.ofd_inn, fd_number, ack.datetime).unwrap();
    match outcome {
        _ if ack.fn_number != parties.number => assert_eq!(outcome, Err(RefusalReason::FnNumber)),
        _ if ack.fpo != fpo => assert_eq!(outcome, Err(RefusalReason::Sign)),
        Ok(accepted) => assert_eq!(accepted.code, ack.code.0),
        Err(reason) => panic!("a right acknowledgement is refused: {reason}"),
    }
    if let Ok(other) = FdNumber::new(fd_number.get() ^ 1) {
        assert_eq!(parties.checker.check(other, &bytes), Err(RefusalReason::FdNumber));
    }
}

/// The operator's own acknowledgement, its words chosen by the input.
fn sealed(input: &[u8]) {
    let parties = &*PARTIES;
    let mut dice = Dice::of(input);
    let byte = |at: usize| input.get(at).copied().unwrap_or_default();
    let fd_number = FdNumber::from_be_bytes([byte(0), byte(1), byte(2)]).unwrap_or(FdNumber::MAX);
    let format = if byte(8) & 1 == 0 { AckFormat::Message1068 } else { AckFormat::Register1206 };
    let fields = AckFields {
        ofd_inn: Inn::from_padded(b"7700000009").unwrap(),
        fn_number: parties.number,
        fd_number,
        datetime: u32::from_le_bytes([byte(3), byte(4), byte(5), byte(6)]),
        code: OperatorCode(byte(7)),
        format,
    };
    let items = fields.items();
    let request = AckRequest {
        fn_number: parties.number,
        generation: Generation::new(1),
        fd_number,
        ofd_inn: fields.ofd_inn,
        datetime: fields.datetime,
        items: &items.bytes,
        fpo_offset: items.fpo_offset,
        reply_to: &header(fd_number, ContainerKind::FROM_FN, byte(9), 100),
        iv: [byte(10); 8],
        encrypt: byte(8) & 2 != 0,
    };
    let container = parties.operator.seal(&request).expect("the operator has keys for it").container;
    let said = match format {
        AckFormat::Message1068 => fields.code.0,
        AckFormat::Register1206 if fields.code == OperatorCode::FORMAT_LOGIC => fields.code.0,
        AckFormat::Register1206 => OperatorCode::ACCEPTED.0,
    };
    let outcome = parties.checker.check(fd_number, &container);
    assert_eq!(outcome.map(|accepted| accepted.code), Ok(said));
    let outcome = parties.checker_of_1_2.check(fd_number, &container);
    assert_eq!(outcome.is_ok(), format == AckFormat::Message1068);
    damaged(&container, fd_number, &mut dice);
}

/// One flipped bit is never taken; in the document or its sign not even with the right checksum.
fn damaged(container: &[u8], fd_number: FdNumber, dice: &mut Dice) {
    let checker = &PARTIES.checker;
    let mut bytes = container.to_vec();
    let place = dice.below(bytes.len());
    bytes[place] ^= 1 << dice.below(8);
    assert!(checker.check(fd_number, &bytes).is_err(), "bit flipped in byte {place}");
    let mut bytes = container.to_vec();
    let place = CONTAINER_HEADER_LEN + dice.below(bytes.len() - CONTAINER_HEADER_LEN - TRAILER_LEN + 8);
    bytes[place] ^= 1 << dice.below(8);
    assert!(checker.check(fd_number, &checksummed(&bytes)).is_err(), "bit flipped in byte {place}");
    let short = dice.below(container.len());
    assert!(checker.check(fd_number, &container[..short]).is_err());
}
