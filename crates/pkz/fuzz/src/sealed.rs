//! Containers at the crypto device: whatever comes is opened or judged, a right sign opens and no other is right, and
//! every document of a register can be answered.

use std::sync::{Arc, LazyLock};

use ffd::{FdNumber, FnNumber, Inn};
use kkt_proto::ack::{AckFields, AckFormat, Acknowledgement, OperatorCode};
use kkt_proto::container::{
    self, Container, ContainerHeader, ContainerKind, FORMAT_VERSION, SERVICE_1, SERVICE_2,
};
use kkt_proto::crc;
use pkz::derive::{FnKeys, Purpose, message_iv};
use pkz::{
    AckRequest, AckSigner, FiscalSignVerifier, Generation, Keystore, NoPkz, RawContainer, SoftPkz, Verdict,
    test_keys,
};

/// 2026-11-22, when the published keys are in use.
const NOW_UNIX: i64 = 1_795_305_600;

/// One storage and the devices of its operator.
struct Parties {
    number: FnNumber,
    keys: FnKeys,
    device: SoftPkz,
}

static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let number = FnNumber::from_padded(b"9999078900000017").unwrap();
    let generation = Generation::new(1).unwrap();
    let messages = Keystore::parse(test_keys::message_keystore(), Purpose::Message).unwrap();
    let master = Arc::clone(messages.record(generation).unwrap().key());
    Parties {
        number,
        keys: FnKeys::derive(&number, &master, None).unwrap(),
        device: test_keys::soft_pkz(NOW_UNIX),
    }
});

/// Checks one input as a container, as it is and with length and checksum put right, and as a document that a storage
/// signs and encrypts.
pub fn check(input: &[u8]) {
    opened(input);
    opened(&checksummed(input));
    signed(input);
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

/// Any container: the same outcome twice, a document of the right length, and an answer to it.
fn opened(bytes: &[u8]) {
    let Ok(container) = Container::decode(bytes) else { return };
    let raw = RawContainer { fn_number: container.header.fn_number, container };
    let device = &PARTIES.device;
    let outcome = device.open(&raw);
    assert_eq!(device.open(&raw), outcome);
    assert_eq!(outcome.sign, container.sign);
    assert_eq!(outcome.was_encrypted, !container.is_open());
    if container.is_open() {
        assert_eq!(outcome.document.as_deref(), Some(container.data));
    }
    if let Some(document) = &outcome.document {
        assert!(container.header.opens(document) && document.len() == container.data.len());
        let again = device.verify(&raw.fn_number, document, &outcome.sign);
        assert_eq!(again, outcome.verdict, "the sign judged without the container");
    }
    let bare = NoPkz.open(&raw);
    assert_eq!(bare.document.as_deref(), container.is_open().then_some(container.data));
    answered(&container.header, outcome.was_encrypted);
}

fn answered(header: &ContainerHeader, encrypt: bool) {
    let fields = AckFields {
        ofd_inn: Inn::from_padded(b"7700000009").unwrap(),
        fn_number: header.fn_number,
        fd_number: header.fd_number,
        datetime: 1_795_305_600,
        code: OperatorCode::ACCEPTED,
        format: AckFormat::Message1068,
    };
    let items = fields.items();
    let request = AckRequest {
        fn_number: header.fn_number,
        generation: None,
        fd_number: header.fd_number,
        ofd_inn: fields.ofd_inn,
        datetime: fields.datetime,
        items: &items.bytes,
        fpo_offset: items.fpo_offset,
        reply_to: header,
        iv: message_iv([1, 2, 3, 4, 5], header.fd_number),
        encrypt,
    };
    let sealed = PARTIES.device.seal(&request).expect("keys of the newest generation");
    let reply = Container::decode(&sealed.container).expect("what we seal reads");
    assert_eq!(reply.header.kind, ContainerKind::FROM_OFD);
    assert_eq!(reply.sign, sealed.fpp);
    if !encrypt {
        let ack = Acknowledgement::decode(reply.data).expect("what we seal reads");
        assert_eq!(
            (ack.fn_number, ack.fd_number, ack.code),
            (fields.fn_number, fields.fd_number, fields.code)
        );
        assert_eq!(Some(ack.fpo), sealed.fpo);
    }
}

/// The input as the records of a document, signed by a storage: opens with the right verdict, in clear and encrypted;
/// with another last byte it does not.
fn signed(input: &[u8]) {
    let Parties { number, keys, device } = &*PARTIES;
    let records = &input[..input.len().min(8192)];
    let length = u16::try_from(records.len()).unwrap();
    let mut document = [&[3, 0], length.to_le_bytes().as_slice(), records].concat();
    let sign = keys.fps(&document);
    let header = ContainerHeader {
        kind: ContainerKind::FROM_FN,
        form: 3,
        version: FORMAT_VERSION,
        service1: SERVICE_1,
        fn_number: *number,
        fd_number: FdNumber::FIRST,
        iv: message_iv([5; 5], FdNumber::FIRST),
        service2: SERVICE_2,
        open_len: length + 4,
    };
    let judged = |document: &[u8], encrypt: bool| {
        let mut body = document.to_vec();
        if encrypt {
            keys.crypt_up(&header.iv, &mut body);
        }
        let bytes = container::encode(&header, &body, sign).unwrap();
        let container = Container::decode(&bytes).unwrap();
        let outcome = device.open(&RawContainer { fn_number: *number, container });
        assert_eq!(outcome.document.as_deref(), Some(document));
        matches!(outcome.verdict, Verdict::Valid { .. })
    };
    assert!(judged(&document, false) && judged(&document, true));
    if let Some(last) = document.last_mut().filter(|_| !records.is_empty()) {
        *last ^= 1;
        assert!(!judged(&document, false) && !judged(&document, true));
    }
}
