use ffd::ids::{FdNumber, FnNumber};
use proptest::prelude::*;

use super::{
    CONTAINER_HEADER_LEN, Container, ContainerHeader, ContainerKind, MAX_CONTAINER_LEN, MIN_CONTAINER_LEN,
    SERVICE_1, SERVICE_2, container_crc, encode,
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
            (hex_field(&message, "container_encrypted"), hex_field(&message, "body_encrypted"), "fps", false),
            (hex_field(&message["ack"], "container_plain"), hex_field(&message["ack"], "body"), "fpp", true),
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
