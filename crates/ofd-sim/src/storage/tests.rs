use ffd::{Document, FormCode};
use kkt_proto::ack::{AckFields, AckFormat, OperatorCode};
use kkt_proto::container::Container;
use pkz::{FiscalSignVerifier, RawContainer};

use super::*;
use crate::kkt::Fields;

const NUMBER: &[u8] = b"9999078900000017";

fn storage(encrypted: bool, reread: Reread) -> FiscalStorage {
    storage_with(encrypted, reread, &SimKeys::published())
}

fn storage_with(encrypted: bool, reread: Reread, keys: &SimKeys) -> FiscalStorage {
    let number = FnNumber::from_padded(NUMBER).unwrap();
    FiscalStorage::new(
        StorageSettings { number, ffd: Some(FfdVersion::V1_2), encrypted, reread, seed: 1 },
        keys,
    )
    .unwrap()
}

fn fields() -> Vec<u8> {
    let mut fields = Fields::new();
    fields.byte(1209, 4).u32(1012, 1_790_000_000).u32(1038, 1);
    fields.finish().unwrap()
}

/// An open acknowledgement made by hand; the closures change the document and the container header.
fn acknowledgement(
    fd: u32,
    document: impl FnOnce(&mut Vec<u8>),
    header: impl FnOnce(&mut ContainerHeader),
    format: AckFormat,
) -> Vec<u8> {
    let number = FnNumber::from_padded(NUMBER).unwrap();
    let fd_number = FdNumber::new(fd).unwrap();
    let keys = SimKeys::published();
    let keys = FnKeys::derive(&number, keys.message(), keys.operator()).unwrap();
    let ofd_inn = ffd::Inn::from_padded(b"7700000009").unwrap();
    let code = OperatorCode::ACCEPTED;
    let fields = AckFields { ofd_inn, fn_number: number, fd_number, datetime: 1_790_000_100, code, format };
    let fpo = keys.fpo(&ofd_inn, fd_number, 1_790_000_100).unwrap();
    let mut bytes = fields.items().document(Some(&fpo)).unwrap();
    document(&mut bytes);
    let mut container_header = ContainerHeader {
        kind: ContainerKind::FROM_OFD,
        form: 7,
        version: 1,
        service1: container::SERVICE_1,
        fn_number: number,
        fd_number,
        iv: [7; 8],
        service2: container::SERVICE_2,
        open_len: u16::try_from(bytes.len()).unwrap(),
    };
    header(&mut container_header);
    container::encode(&container_header, &bytes, keys.fpp(&bytes)).unwrap()
}

fn plain(fd: u32) -> Vec<u8> {
    acknowledgement(fd, |_| {}, |_| {}, AckFormat::Message1068)
}

#[test]
fn documents_are_numbered_signed_and_open_to_the_operator() {
    let device = pkz::test_keys::soft_pkz(1_800_000_000);
    for encrypted in [false, true] {
        let mut storage = storage(encrypted, Reread::SameBytes);
        for fd in 1..=3 {
            let made = storage.make(2, &fields()).unwrap().clone();
            assert_eq!(made.fd_number.get(), fd);
            let container = Container::decode(&made.container).unwrap();
            assert_eq!(container.is_open(), !encrypted);
            assert_eq!(container.header.iv[5..], made.fd_number.to_be_bytes());
            let outcome = device.open(&RawContainer { fn_number: storage.number(), container });
            assert!(outcome.verdict.is_valid());
            assert_eq!(outcome.was_encrypted, encrypted);
            assert_eq!(outcome.document.unwrap().as_ref(), made.document);
            let document = Document::decode(&made.document).unwrap();
            assert_eq!(document.form(), FormCode::SHIFT_OPEN);
            assert_eq!(document.unsigned(1040), Some(u64::from(fd)));
            assert_eq!(document.text(1041).unwrap().as_bytes(), NUMBER);
            assert_eq!(document.raw(1077).unwrap()[..2], [0xC1, 4]);
        }
        assert_eq!(storage.waiting(), 3);
    }
}

#[test]
fn the_document_sign_is_the_one_of_the_published_vector() {
    // The worked vector of the sign profile: form 2, ФД 2 of ФН 9999078900000017, its ФПД and ФПС.
    let document = hex::decode(concat!(
        "02007b0011041000393939393037383930303030303031370d0414003030303030303030303130303332303720202020",
        "fa030c003737303730383338393320201004040002000000f40304004c04756735040600c10498992aa10e0404000100",
        "0000fd030d0088a2a0adaea2a020802e20802ea4040300312e30b904010002"
    ))
    .unwrap();
    let storage = storage(false, Reread::SameBytes);
    assert_eq!(hex::encode(storage.document_keys.fpd(&document).unwrap()), "c10498992aa1");
    assert_eq!(hex::encode(storage.checker.keys().fps(&document)), "d10650d0008bb736");
}

#[test]
fn a_right_acknowledgement_frees_the_queue_in_order() {
    let mut storage = storage(false, Reread::SameBytes);
    assert_eq!(storage.acknowledge(&plain(1)), Err(RefusalReason::FdNumber), "nothing waits");
    storage.make(2, &fields()).unwrap();
    storage.make(5, &fields()).unwrap();
    assert_eq!(storage.acknowledge(&plain(2)), Err(RefusalReason::FdNumber));
    assert_eq!(storage.check_acknowledgement(&plain(1)), Ok(Accepted { code: 0, notices: 0 }));
    assert_eq!(storage.waiting(), 2);
    assert_eq!(storage.acknowledge(&plain(1)), Ok(Accepted { code: 0, notices: 0 }));
    assert_eq!(storage.acknowledge(&plain(2)), Ok(Accepted { code: 0, notices: 0 }));
    assert_eq!(storage.waiting(), 0);
}

#[test]
fn every_reason_of_refusal() {
    let mut storage = storage(false, Reread::SameBytes);
    storage.make(2, &fields()).unwrap();
    let check = |what: &str, bytes: &[u8], expected| {
        assert_eq!(storage.check_acknowledgement(bytes), Err(expected), "{what}");
    };
    let with_document =
        |change: &dyn Fn(&mut Vec<u8>)| acknowledgement(1, |d| change(d), |_| {}, AckFormat::Message1068);
    let with_header = |change: &dyn Fn(&mut ContainerHeader)| {
        acknowledgement(1, |_| {}, |h| change(h), AckFormat::Message1068)
    };
    let other_fn = FnNumber::from_padded(b"9999078900000018").unwrap();
    let other_fd = FdNumber::new(9).unwrap();
    check("nothing", &[], RefusalReason::Format);
    check("cut", &plain(1)[..60], RefusalReason::Format);
    check("kind", &with_header(&|h| h.kind = ContainerKind::FROM_FN), RefusalReason::Format);
    check("form", &with_header(&|h| h.form = 2), RefusalReason::Format);
    check("ФН in the header", &with_header(&|h| h.fn_number = other_fn), RefusalReason::FnNumber);
    check("ФД in the header", &with_header(&|h| h.fd_number = other_fd), RefusalReason::FdNumber);
    check("open length", &with_header(&|h| h.open_len += 1), RefusalReason::Sign);
    check("1041 inside", &with_document(&|d| replace(d, 1041, b"9999078900000018")), RefusalReason::FnNumber);
    check("1040 inside", &with_document(&|d| replace(d, 1040, &[9, 0, 0, 0])), RefusalReason::FdNumber);
    check("1012 covered by ФПО", &with_document(&|d| replace(d, 1012, &[1, 0, 0, 0])), RefusalReason::Sign);
    check("1017 covered by ФПО", &with_document(&|d| replace(d, 1017, b"7700000010  ")), RefusalReason::Sign);
    check("no 1068", &acknowledgement(1, |_| {}, |_| {}, AckFormat::Register1206), RefusalReason::Format);
    let mut damaged = plain(1);
    *damaged.last_mut().unwrap() = 1;
    check("tail", &damaged, RefusalReason::Format);
    let good = plain(1);
    let container = Container::decode(&good).unwrap();
    for position in 0..8 {
        let mut sign = container.sign;
        sign[position] ^= 0x10;
        let bytes = container::encode(&container.header, container.data, sign).unwrap();
        check("sign", &bytes, RefusalReason::Sign);
    }
    let mut data = container.data.to_vec();
    let last = data.len() - 1;
    data[last] = 14;
    check(
        "code not covered",
        &container::encode(&container.header, &data, container.sign).unwrap(),
        RefusalReason::Sign,
    );
}

/// Writes another value of the same length over that of a top-level record.
fn replace(document: &mut [u8], tag: u16, value: &[u8]) {
    let record =
        ffd::tlv::records(&document[4..], 4).unwrap().into_iter().find(|record| record.tag == tag).unwrap();
    let start = record.offset + 4;
    assert_eq!(record.value.len(), value.len());
    document[start..start + value.len()].copy_from_slice(value);
}

#[test]
fn a_storage_without_the_operator_master_does_not_look_at_its_sign() {
    let keys = SimKeys::published().without_operator();
    let mut storage = storage_with(false, Reread::SameBytes, &keys);
    storage.make(2, &fields()).unwrap();
    let other_time = acknowledgement(1, |d| replace(d, 1012, &[1, 0, 0, 0]), |_| {}, AckFormat::Message1068);
    assert_eq!(storage.acknowledge(&other_time), Ok(Accepted { code: 0, notices: 0 }));
}

#[test]
fn a_second_reading_keeps_or_changes_the_bytes() {
    for encrypted in [false, true] {
        let mut same = storage(encrypted, Reread::SameBytes);
        let first = same.make(2, &fields()).unwrap().clone();
        same.reread_front();
        assert_eq!(same.front(), Some(&first));
        let mut anew = storage(encrypted, Reread::EncryptAnew);
        let first = anew.make(2, &fields()).unwrap().clone();
        anew.reread_front();
        let second = anew.front().unwrap();
        assert_ne!(second.container, first.container);
        assert_eq!((&second.document, second.sign), (&first.document, first.sign));
    }
}

#[test]
fn limits_of_a_document() {
    let mut storage = storage(false, Reread::SameBytes);
    assert_eq!(storage.make(2, &[1, 2, 3]), Err(StorageError::NotTlv));
    let mut long = Fields::new();
    long.raw(1048, &vec![b' '; 65_460]);
    let long = long.finish().unwrap();
    assert!(storage.make(2, &long).is_err(), "with its container it passes 65535 bytes");
    assert_eq!(storage.next_fd(), 1, "a failed document takes no number");
    storage.next_fd = 0xFF_FFFF;
    assert!(storage.make(2, &fields()).is_ok());
    assert_eq!(storage.make(2, &fields()), Err(StorageError::Exhausted));
}

proptest::proptest! {
    #[test]
    fn damaged_acknowledgements_are_refused_and_never_panic(position in 0_usize..150, flip in 1_u8..=255, cut in 0_usize..150) {
        let mut storage = storage(false, Reread::SameBytes);
        storage.make(2, &fields()).unwrap();
        let good = plain(1);
        let mut damaged = good.clone();
        let index = position % good.len();
        damaged[index] ^= flip;
        assert!(storage.check_acknowledgement(&damaged).is_err());
        assert!(storage.check_acknowledgement(&good[..cut % good.len()]).is_err());
        assert_eq!(storage.acknowledge(&good), Ok(Accepted { code: 0, notices: 0 }));
    }
}
