use proptest::prelude::*;

use super::*;
use crate::dict::{FfdVersion, dictionary};

fn def(tag: u16) -> &'static TagDef {
    dictionary().tag(tag, 3, FfdVersion::V1_2).unwrap()
}

fn check(tag: u16, bytes: &[u8], expected: Result<Value<'_>, ValueError>) {
    assert_eq!(decode_value(def(tag), bytes), expected, "tag {tag}: {bytes:x?}");
}

fn wrong_length(tag: u16, len: usize, expected: Lengths) -> Result<Value<'static>, ValueError> {
    Err(ValueError::Length { tag, len, expected })
}

#[test]
fn bytes_and_words() {
    check(1054, &[], Ok(Value::Byte(0)));
    check(1054, &[4], Ok(Value::Byte(4)));
    check(1054, &[4, 0], wrong_length(1054, 2, Lengths::Either(0, 1)));
    check(1213, &[0x9A, 1], Ok(Value::U16(410)));
    check(1213, &[0x9A, 1, 0, 0], Ok(Value::U32(410)));
    check(1213, &[0x9A, 1, 0], wrong_length(1213, 3, Lengths::Exactly(2)));
    check(1213, &[], wrong_length(1213, 0, Lengths::Exactly(2)));
    check(1040, &[1, 0, 0, 0], Ok(Value::U32(1)));
    check(1040, &[1, 2, 3, 4], Ok(Value::U32(0x0403_0201)));
    check(1040, &[1, 0, 0], wrong_length(1040, 3, Lengths::Exactly(4)));
    check(1040, &[1, 0, 0, 0, 0], wrong_length(1040, 5, Lengths::Exactly(4)));
}

#[test]
fn bits_are_one_or_four_bytes() {
    check(1055, &[0x20], Ok(Value::Bits { mask: 0x20, width: 1 }));
    check(1290, &[0x40, 1, 0, 0x80], Ok(Value::Bits { mask: 0x8000_0140, width: 4 }));
    check(1290, &[0x40], Ok(Value::Bits { mask: 0x40, width: 1 }));
    for len in [0, 2, 3, 5] {
        check(1055, &[0; 5][..len], wrong_length(1055, len, Lengths::Either(1, 4)));
    }
}

#[test]
fn a_vln_has_up_to_eight_bytes_and_zero_has_many_spellings() {
    check(1020, &[0x87, 0xD6, 0x12], Ok(Value::Vln(1_234_567)));
    for len in 0..=8 {
        check(1020, &[0; 8][..len], Ok(Value::Vln(0)));
    }
    check(1020, &[1, 0, 0, 0, 0, 0, 0, 0], Ok(Value::Vln(1)));
    check(1020, &[0xFF; 8], Ok(Value::Vln(u64::MAX)));
    check(1020, &[0; 9], wrong_length(1020, 9, Lengths::Between(0, 8)));
}

#[test]
fn an_fvln_keeps_its_digits() {
    check(1023, &[3, 0xDC, 5], Ok(Value::Fvln(Decimal { mantissa: 1500, scale: 3 })));
    check(1023, &[0, 2], Ok(Value::Fvln(Decimal { mantissa: 2, scale: 0 })));
    check(1023, &[6], Ok(Value::Fvln(Decimal { mantissa: 0, scale: 6 })));
    check(
        1023,
        &[6, 0x40, 0x42, 0x0F, 0, 0, 0, 0],
        Ok(Value::Fvln(Decimal { mantissa: 1_000_000, scale: 6 })),
    );
    check(1023, &[], wrong_length(1023, 0, Lengths::Between(1, 8)));
    check(1023, &[0; 9], wrong_length(1023, 9, Lengths::Between(1, 8)));
    check(1023, &[19, 1], Ok(Value::Fvln(Decimal { mantissa: 1, scale: 19 })));
    check(1023, &[20, 1], Err(ValueError::Scale { tag: 1023, scale: 20, limit: MAX_DECIMAL_SCALE }));
}

#[test]
fn text_is_code_page_866_with_its_spaces() {
    let privet = hex::decode("8FE0A8A2A5E220").unwrap();
    check(1030, &privet, Ok(Value::Text("Привет ".into())));
    check(1030, b"a\r\nb  ", Ok(Value::Text("a\r\nb  ".into())));
    check(1018, b"7702203276  ", Ok(Value::Text("7702203276  ".into())));
    check(1030, &[], Ok(Value::Text("".into())));
    check(1077, &[1, 2], Ok(Value::Bytes(&[1, 2])));
}

#[test]
fn a_group_is_no_value() {
    check(1059, &[], Err(ValueError::IsGroup { tag: 1059 }));
}

#[test]
fn time_is_what_the_clock_showed() {
    let time = LocalTime::new(u32::from_le_bytes([0x98, 0x55, 0xB9, 0x58]));
    check(1012, &[0x98, 0x55, 0xB9, 0x58], Ok(Value::Time(time)));
    check(1012, &[0x98, 0x55, 0xB9], wrong_length(1012, 3, Lengths::Exactly(4)));

    let shown = |seconds, expected: &str| {
        assert_eq!(LocalTime::new(seconds).to_string(), expected);
    };
    shown(time.get(), "2017-03-03 11:38:00");
    shown(0, "1970-01-01 00:00:00");
    shown(951_782_400, "2000-02-29 00:00:00");
    shown(u32::MAX, "2106-02-07 06:28:15");
}

#[test]
fn numbers_are_printed_exactly() {
    let decimal = |mantissa, scale, expected: &str| {
        assert_eq!(Decimal { mantissa, scale }.to_string(), expected);
    };
    decimal(1500, 3, "1.500");
    decimal(5, 3, "0.005");
    decimal(0, 0, "0");
    decimal(0, 2, "0.00");
    decimal(12, 0, "12");
    decimal(u64::MAX, 19, "1.8446744073709551615");
    decimal(1, 19, "0.0000000000000000001");

    let money = |kopecks, expected: &str| assert_eq!(Kopecks::new(kopecks).to_string(), expected);
    money(1_234_567, "12345.67");
    money(0, "0.00");
    money(5, "0.05");
    money(100, "1.00");
    money(u64::MAX, "184467440737095516.15");
    assert_eq!(Kopecks::new(3999).whole_roubles(), 39);
}

#[test]
fn written_numbers_are_the_worked_ones() {
    let mut record = Vec::new();
    crate::tlv::write_record(&mut record, 1020, &vln_bytes(1_234_567)).unwrap();
    assert_eq!(hex::encode_upper(&record), "FC03030087D612");
    record.clear();
    crate::tlv::write_record(&mut record, 1023, &fvln_bytes(Decimal { mantissa: 1500, scale: 3 })).unwrap();
    assert_eq!(hex::encode_upper(&record), "FF03030003DC05");
    assert_eq!(vln_bytes(0), [0]);
    assert_eq!(vln_bytes(0x0100), [0, 1]);
    assert_eq!(vln_bytes(u64::MAX), [0xFF; 8]);
    assert_eq!(fvln_bytes(Decimal { mantissa: 0, scale: 0 }), [0, 0]);
}

proptest! {
    #[test]
    fn a_written_number_reads_back(number in any::<u64>(), mantissa in 0..1_u64 << 56, scale in 0..=MAX_DECIMAL_SCALE) {
        let vln = vln_bytes(number);
        prop_assert_eq!(decode_value(def(1020), &vln), Ok(Value::Vln(number)));
        let decimal = Decimal { mantissa, scale };
        let fvln = fvln_bytes(decimal);
        prop_assert_eq!(decode_value(def(1023), &fvln), Ok(Value::Fvln(decimal)));
    }

    #[test]
    fn any_bytes_are_a_value_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        for tag in [1054, 1213, 1040, 1055, 1020, 1023, 1030, 1077, 1012] {
            let read = decode_value(def(tag), &bytes);
            match &read {
                Ok(Value::Vln(number)) => {
                    let shortest = vln_bytes(*number);
                    prop_assert_eq!(decode_value(def(tag), &shortest), read);
                }
                Ok(Value::Fvln(decimal)) => {
                    let shortest = fvln_bytes(*decimal);
                    prop_assert_eq!(decode_value(def(tag), &shortest), read);
                }
                Ok(Value::Text(text)) => prop_assert_eq!(cp866::encode(text), Ok(bytes.clone())),
                Ok(Value::Time(time)) => prop_assert_eq!(time.get().to_le_bytes().to_vec(), bytes.clone()),
                Ok(Value::Bytes(whole)) => prop_assert_eq!(*whole, bytes.as_slice()),
                Ok(Value::Byte(_) | Value::U16(_) | Value::U32(_) | Value::Bits { .. }) => {
                    let number = read.unwrap().unsigned().unwrap().to_le_bytes();
                    prop_assert_eq!(&number[..bytes.len()], bytes.as_slice());
                    prop_assert!(number[bytes.len()..].iter().all(|&byte| byte == 0));
                }
                Err(ValueError::Length { len, .. }) => prop_assert_eq!(*len, bytes.len()),
                Err(ValueError::Scale { scale, .. }) => prop_assert!(*scale > MAX_DECIMAL_SCALE && bytes[0] == *scale),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}

#[test]
fn what_is_readable_is_what_decodes() {
    let mut seen = 0;
    for tag in 0..=u16::MAX {
        for def in dictionary().meanings(tag) {
            for len in 0..=12 {
                for first in [0, MAX_DECIMAL_SCALE, MAX_DECIMAL_SCALE + 1, 0xFF] {
                    let bytes = vec![first; len];
                    assert_eq!(
                        is_readable(def, &bytes),
                        decode_value(def, &bytes).is_ok(),
                        "{tag} {bytes:?}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 5_000);
}
