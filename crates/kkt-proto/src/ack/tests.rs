use ffd::dict::FfdVersion;
use ffd::ids::{FdNumber, FnNumber, Inn};
use proptest::prelude::*;

use super::{
    AckFields, AckFormat, Acknowledgement, Item, MAX_ACK_LEN, OperatorCode, OperatorNotice, document, record,
};
use crate::container::Container;
use crate::testing::{ACK_TAXCOM, any_fd_number, any_fn_number, crypto_messages, hex_field};

const ACCEPTED: OperatorCode = OperatorCode::ACCEPTED;
const UNRECOGNISED: OperatorCode = OperatorCode::UNRECOGNISED;
const FORMAT_LOGIC: OperatorCode = OperatorCode::FORMAT_LOGIC;

fn taxcom() -> &'static [u8] {
    Container::decode(ACK_TAXCOM).unwrap().data
}

fn taxcom_fields() -> AckFields {
    AckFields {
        ofd_inn: Inn::from_padded(b"7704211201").unwrap(),
        fn_number: FnNumber::from_padded(b"9999078902013267").unwrap(),
        fd_number: FdNumber::new(1).unwrap(),
        datetime: 1_726_400_816, // 2024-09-15 11:46:56 UTC
        code: FORMAT_LOGIC,
        format: AckFormat::Message1068,
    }
}

#[test]
fn a_real_acknowledgement_is_read_and_comes_back_unchanged() {
    let fields = taxcom_fields();
    let ack = Acknowledgement::decode(taxcom()).unwrap();
    assert_eq!(ack.ofd_inn.as_str(), "7704211201");
    assert_eq!((ack.fn_number, ack.fd_number), (fields.fn_number, fields.fd_number));
    assert_eq!(ack.datetime, fields.datetime);
    assert_eq!((ack.code, ack.format, ack.notice), (FORMAT_LOGIC, AckFormat::Message1068, None));
    assert_eq!(ack.fpo, [0x88, 0x06, 0x86, 0xCE, 0x88, 0x30, 0x00, 0x03]);
    assert_eq!(ack.encode().unwrap(), taxcom());

    // and made anew from its fields, down to the container
    let made = fields.items().document(Some(&ack.fpo)).unwrap();
    assert_eq!(made, taxcom());
    let container = Container::decode(ACK_TAXCOM).unwrap();
    let sealed = crate::container::encode(&container.header, &made, container.sign).unwrap();
    assert_eq!(sealed, ACK_TAXCOM);
}

#[test]
fn vectors_of_the_stand_in_signs() {
    for message in crypto_messages() {
        let ack = &message["ack"];
        let body = hex_field(ack, "body");
        let read = Acknowledgement::decode(&body).unwrap();
        assert_eq!(read.ofd_inn.as_str(), ack["ofd_inn"].as_str().unwrap());
        assert_eq!(u64::from(read.datetime), ack["datetime"].as_u64().unwrap());
        assert_eq!(read.fpo, hex_field(ack, "fpo"));
        assert_eq!(read.code, ACCEPTED);
        assert_eq!(read.encode().unwrap(), body);
    }
}

#[test]
fn without_a_sign_it_is_twelve_bytes_shorter() {
    let items = taxcom_fields().items();
    assert_eq!(items.fpo_offset, 16);
    let unsigned = items.document(None).unwrap();
    assert_eq!(unsigned.len() + 12, taxcom().len());
    let read = Acknowledgement::decode(&unsigned).unwrap();
    assert!(read.fpo.is_empty());
    assert_eq!(read.encode().unwrap(), unsigned);
}

#[test]
fn format_follows_the_document() {
    let check = |version, code, expected| assert_eq!(AckFormat::for_document(version, code), expected);
    for code in [ACCEPTED, UNRECOGNISED, FORMAT_LOGIC] {
        check(None, code, AckFormat::Message1068);
        for version in [FfdVersion::V1_0, FfdVersion::V1_05, FfdVersion::V1_2] {
            check(Some(version), code, AckFormat::Message1068);
        }
    }
    check(Some(FfdVersion::V1_1), ACCEPTED, AckFormat::Register1206);
    check(Some(FfdVersion::V1_1), FORMAT_LOGIC, AckFormat::Register1206);
    check(Some(FfdVersion::V1_1), UNRECOGNISED, AckFormat::Message1068);
}

/// Format and code, the last records, and what a register makes of them.
#[test]
fn answers() {
    let cases: &[(AckFormat, OperatorCode, &[u8], Option<OperatorNotice>)] = &[
        (AckFormat::Message1068, ACCEPTED, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 0], None),
        (AckFormat::Message1068, UNRECOGNISED, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 11], None),
        (AckFormat::Message1068, FORMAT_LOGIC, &[0x2C, 4, 5, 0, 0xFE, 3, 1, 0, 14], None),
        (AckFormat::Register1206, ACCEPTED, &[], None),
        (AckFormat::Register1206, FORMAT_LOGIC, &[0xB6, 4, 1, 0, 2], Some(OperatorNotice::FORMAT_LOGIC)),
    ];
    for (format, code, tail, notice) in cases {
        let items = AckFields { format: *format, code: *code, ..taxcom_fields() }.items();
        assert_eq!(items.bytes[52..], **tail);
        let read = Acknowledgement::decode(&items.document(Some(&[1; 8])).unwrap()).unwrap();
        assert_eq!((read.format, read.code, read.notice), (*format, *code, *notice));
    }
}

fn records(change: impl FnOnce(&mut Vec<(u16, Vec<u8>)>)) -> Vec<u8> {
    let mut list = vec![
        (1017, b"7704211201  ".to_vec()),
        (1041, b"9999078902013267".to_vec()),
        (1040, vec![1, 0, 0, 0]),
        (1012, vec![1, 2, 3, 4]),
        (1068, vec![0xFE, 3, 1, 0, 0]),
    ];
    change(&mut list);
    let mut items = Vec::new();
    for (tag, value) in &list {
        record(&mut items, *tag, value);
    }
    document(&items, 0, None).unwrap()
}

#[test]
fn wrong_documents() {
    let check = |bytes: &[u8], expected: Result<(), &str>| {
        let seen = Acknowledgement::decode(bytes);
        if let Ok(ack) = &seen {
            assert_eq!(ack.encode().unwrap(), bytes);
        }
        assert_eq!(seen.map(|_| ()).map_err(|malformed| malformed.reason()), expected, "{bytes:02x?}");
    };
    check(&records(|_| {}), Ok(()));
    check(&records(|list| list.reverse()), Ok(()));
    check(&records(|list| list.push((4000, vec![1]))), Ok(()));
    check(&records(|list| list.push((1206, vec![0x42]))), Ok(()));
    for (position, tag) in [1017, 1041, 1040, 1012].into_iter().enumerate() {
        let absent = records(|list| drop(list.remove(position)));
        let missing = Acknowledgement::decode(&absent).unwrap_err();
        assert_eq!(
            (missing.reason(), missing.value),
            ("ack_missing", super::super::error::Seen::Number(tag))
        );
        check(&records(|list| list.push(list[position].clone())), Err("ack_field"));
        check(&records(|list| list[position].1.truncate(3)), Err("ack_field"));
        check(&records(|list| list[position].1.push(b' ')), Err("ack_field"));
    }
    check(&records(|list| list[0].1[3] = b'x'), Err("ack_field"));
    check(&records(|list| list[2].1 = b"0001".to_vec()), Err("ack_field")); // a number in letters: too large
    check(&records(|list| list[2].1 = vec![0; 4]), Err("ack_field"));
    check(&records(|list| list[4].1[0] = 0xFD), Err("ack_field")); // not 1022
    check(&records(|list| list[4].1 = vec![]), Err("ack_field"));
    check(&records(|list| list[4].1.extend([0xFE, 3, 1, 0, 0])), Err("ack_field"));
    check(&records(|list| list.push((1206, vec![]))), Err("ack_field"));

    check(&[], Err("ack_length"));
    check(&[7, 0, 0], Err("ack_length"));
    check(&[8, 0, 0, 0], Err("ack_form"));
    check(&[7, 0, 0, 0], Err("ack_missing"));
    check(&[7, 0, 1, 0], Err("ack_length"));
    check(&[7, 0, 3, 0, 1, 2, 3], Err("ack_length"));
}

#[test]
fn size_limit() {
    let empty = records(|_| {}).len() + 4;
    check_size(MAX_ACK_LEN - empty, true);
    check_size(MAX_ACK_LEN - empty + 1, false);

    fn check_size(filler: usize, expected: bool) {
        let mut items = records(|_| {}).split_off(4);
        record(&mut items, 4000, &vec![0; filler]);
        assert_eq!(document(&items, 0, None).is_ok(), expected, "{filler}");
        let length = u16::try_from(items.len()).unwrap();
        let bytes = [&[7, 0], length.to_le_bytes().as_slice(), &items].concat();
        assert_eq!(Acknowledgement::decode(&bytes).is_ok(), expected, "{filler}");
    }
    let mut ack = Acknowledgement::decode(taxcom()).unwrap();
    ack.fpo = vec![0; 70_000];
    assert!(ack.encode().is_err());
}

prop_compose! {
    fn any_ack()(
        ofd_inn in "[0-9]{10}([0-9]{2})?",
        fn_number in any_fn_number(),
        fd_number in any_fd_number(),
        datetime in any::<u32>(),
        message in prop::option::of(any::<u8>()),
        notice in prop::option::of(any::<u8>()),
        fpo in prop::option::of(prop::collection::vec(any::<u8>(), 0..19)),
        other in prop::option::of((2000_u16.., prop::collection::vec(any::<u8>(), 0..30))),
    )(
        order in {
            let mut order = vec![Item::OfdInn, Item::FnNumber, Item::FdNumber, Item::DateTime];
            order.extend(message.map(|_| Item::Message));
            order.extend(notice.map(|_| Item::Notice));
            order.extend(fpo.as_ref().map(|_| Item::Fpo));
            order.extend(other.map(|(tag, value)| Item::Other { tag, value }));
            Just(order).prop_shuffle()
        },
        (ofd_inn, fn_number, fd_number, datetime, message, notice, fpo) in
            Just((ofd_inn, fn_number, fd_number, datetime, message, notice, fpo)),
    ) -> Acknowledgement {
        let derived = match notice {
            Some(bits) if bits & 2 != 0 => FORMAT_LOGIC,
            _ => ACCEPTED,
        };
        Acknowledgement {
            ofd_inn: Inn::from_padded(ofd_inn.as_bytes()).unwrap(),
            fn_number,
            fd_number,
            datetime,
            code: message.map_or(derived, OperatorCode),
            format: if message.is_some() { AckFormat::Message1068 } else { AckFormat::Register1206 },
            notice: notice.map(OperatorNotice),
            fpo: fpo.unwrap_or_default(),
            order,
        }
    }
}

proptest! {
    #[test]
    fn decode_undoes_encode(ack in any_ack()) {
        let bytes = ack.encode().unwrap();
        prop_assert_eq!(Acknowledgement::decode(&bytes), Ok(ack));
    }

    #[test]
    fn encode_undoes_decode(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = taxcom().to_vec();
        *position.get_mut(&mut bytes) = byte;
        if let Ok(ack) = Acknowledgement::decode(&bytes) {
            prop_assert_eq!(ack.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn garbage_never_panics(records in prop::collection::vec(any::<u8>(), 0..100)) {
        let length = u16::try_from(records.len()).unwrap();
        let bytes = [&[7, 0], length.to_le_bytes().as_slice(), &records].concat();
        prop_assert!(Acknowledgement::decode(&bytes).is_err());
        prop_assert!(Acknowledgement::decode(&records).is_err());
    }
}
