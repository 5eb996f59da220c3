use proptest::prelude::*;

use super::*;

#[test]
fn an_fn_number_is_up_to_sixteen_digits_and_spaces() {
    let check = |text: &str, expected: Option<&str>| {
        let found = FnNumber::from_padded(text.as_bytes());
        assert_eq!(found.ok().as_ref().map(FnNumber::as_str), expected, "{text:?}");
    };
    check("9999078902013267", Some("9999078902013267"));
    check("999907891234567 ", Some("999907891234567"));
    check("999907891234567", Some("999907891234567"));
    check("1               ", Some("1"));
    check("", None);
    check("                ", None);
    check(" 999907891234567", None);
    check("99990789 1234567", None);
    check("999907891234567\n", None);
    check("999907891234567\0", None);
    check("99990789020132677", None);
    check("9999078902013267 ", None);
    check("999907890201326A", None);
}

#[test]
fn packed_fn_numbers_end_in_f() {
    let check = |packed: &str, expected: Option<&str>| {
        let bytes = <[u8; 8]>::try_from(hex::decode(packed).unwrap()).unwrap();
        let number = FnNumber::from_bcd(&bytes).ok();
        assert_eq!(number.as_ref().map(FnNumber::as_str), expected, "{packed}");
        if let Some(number) = number {
            assert_eq!(hex::encode(number.to_bcd()), packed);
        }
    };
    check("9999078902013267", Some("9999078902013267"));
    check("999907891234567f", Some("999907891234567"));
    check("1fffffffffffffff", Some("1"));
    check("ffffffffffffffff", None);
    check("99990789123456f7", None);
    check("f999078912345677", None);
    check("999907891234567a", None);
}

#[test]
fn test_storages_begin_with_four_nines() {
    let check =
        |text: &str, expected| assert_eq!(text.parse::<FnNumber>().unwrap().is_debug(), expected, "{text}");
    check("9999078902013267", true);
    check("9999", true);
    check("999", false);
    check("9280440300332772", false);
    check("8999907890201326", false);
}

#[test]
fn an_fd_number_fits_24_bits_and_is_not_zero() {
    let check = |number, expected| assert_eq!(FdNumber::new(number).is_ok(), expected, "{number}");
    check(0, false);
    check(1, true);
    check(0xFF_FFFF, true);
    check(0x100_0000, false);
    check(u32::MAX, false);
    assert_eq!(FdNumber::from_be_bytes([0, 0x9B, 0x48]).unwrap().get(), 39_752);
    assert_eq!(FdNumber::MAX.to_be_bytes(), [0xFF; 3]);
    assert!(FdNumber::from_be_bytes([0; 3]).is_err());
    assert_eq!("132".parse::<FdNumber>().unwrap().get(), 132);
    for wrong in ["", "0", "+1", "-1", "16777216", "99999999999999999999"] {
        assert!(wrong.parse::<FdNumber>().is_err(), "{wrong}");
    }
}

/// Ordinal, INN and serial number beside the right checksum: the table of the FFD text.
const REGISTERED: [(u64, &str, &str, u16); 3] = [
    (5, "7702203276", "000000000002", 8_570),
    (0, "7825392986", "0128018259", 20_085),
    (1_234_567_890, "500100732259", "00106900000019", 49_824),
];

#[test]
fn registration_numbers_are_computed_and_verified() {
    for (ordinal, inn, serial, checksum) in REGISTERED {
        let rnm = Rnm::compute(ordinal, inn, serial).unwrap();
        assert_eq!(rnm.as_str(), format!("{ordinal:010}{checksum:06}"));
        assert_eq!(rnm.verify(inn, serial), RnmCheck::Ok);
        assert_eq!(
            rnm.verify(&format!("{inn:12}"), &format!("{serial}  ")),
            RnmCheck::Ok,
            "padding is no part"
        );
        let wrong: Rnm = format!("{ordinal:010}{:06}", checksum + 1).parse().unwrap();
        assert_eq!(wrong.verify(inn, serial), RnmCheck::Mismatch { expected: checksum });
    }
}

#[test]
fn another_register_or_owner_has_another_registration_number() {
    let rnm: Rnm = "0000000005008570".parse().unwrap();
    assert_eq!(rnm.verify("7702203276", "000000000003"), RnmCheck::Mismatch { expected: 12_635 });
    assert_eq!(rnm.verify("7704358518", "000000000002"), RnmCheck::Mismatch { expected: 1_239 });
    assert_eq!(Rnm::compute(5, "7702203276", "000000000003").unwrap().as_str(), "0000000005012635");
    assert_eq!(Rnm::compute(5, "7704358518", "000000000002").unwrap().as_str(), "0000000005001239");
    assert_eq!(rnm.verify("7702203276", "2"), RnmCheck::Ok, "left zeros of a serial number do not count");
}

#[test]
fn a_serial_with_letters_cannot_be_checked() {
    let rnm: Rnm = "0000000005008570".parse().unwrap();
    let check = |inn, serial| {
        assert_eq!(rnm.verify(inn, serial), RnmCheck::NotCheckable, "{inn} {serial}");
        assert_eq!(Rnm::compute(5, inn, serial), None);
    };
    check("7702203276", "АТ0001");
    check("7702203276", "SN-12");
    check("7702203276", "");
    check("", "2");
    check("77022O3276", "2");
    check("7702203276", "000000000000000000002");
    check("7702203276123", "2");
    assert_eq!(Rnm::compute(10_000_000_000, "7702203276", "2"), None, "eleven digits");
    assert!(Rnm::compute(9_999_999_999, "7702203276", "2").is_some());
}

#[test]
fn a_registration_number_has_sixteen_digits() {
    let check =
        |text: &str, expected| assert_eq!(Rnm::from_padded(text.as_bytes()).is_ok(), expected, "{text:?}");
    check("0000000000024136    ", true);
    check("0000000000024136", true);
    check("000000000024", false);
    check("00000000000241360", false);
    check("000000000002413X", false);
    check("", false);
    assert_eq!("0000000000024136".parse::<Rnm>().unwrap().padded(), *b"0000000000024136    ");
}

#[test]
fn check_digits_of_an_inn() {
    let check =
        |text: &str, expected| assert_eq!(text.parse::<Inn>().unwrap().check_digits_ok(), expected, "{text}");
    for right in ["7702203276", "7704358518", "7825392986", "500100732259", "112233445573"] {
        check(right, true);
    }
    for wrong in ["771234567890", "0234523423", "7702203277", "500100732258", "500100732269"] {
        check(wrong, false);
    }
}

#[test]
fn an_inn_has_ten_or_twelve_digits() {
    let check =
        |text: &str, expected| assert_eq!(Inn::from_padded(text.as_bytes()).is_ok(), expected, "{text:?}");
    check("7702203276  ", true);
    check("7702203276", true);
    check("500100732259", true);
    check("77022032761 ", false);
    check("770220327", false);
    check("7702203276   ", false);
    check("  7702203276", false);
    check("77022032 76 ", false);
    check("770220327A", false);
    check("", false);
    assert_eq!("7702203276".parse::<Inn>().unwrap().padded(), *b"7702203276  ");
    assert!("000000000000".parse::<Inn>().unwrap().is_absent());
    assert!(!"0000000000".parse::<Inn>().unwrap().as_str().is_empty());
    assert!(!"7702203276".parse::<Inn>().unwrap().is_absent());
}

#[test]
fn numbers_travel_as_text_and_are_checked_on_the_way_in() {
    let number: FnNumber = "999907891234567".parse().unwrap();
    assert_eq!(serde_json::to_string(&number).unwrap(), "\"999907891234567\"");
    assert_eq!(serde_json::from_str::<FnNumber>("\"999907891234567\"").unwrap(), number);
    assert!(serde_json::from_str::<FnNumber>("\"\"").is_err());
    assert!(serde_json::from_str::<Inn>("\"77\"").is_err());
    assert!(serde_json::from_str::<Rnm>("\"77\"").is_err());
    assert_eq!(serde_json::to_string(&FdNumber::FIRST).unwrap(), "1");
    assert!(serde_json::from_str::<FdNumber>("0").is_err());
    assert_eq!(
        format!("{number} {number:?} {}", FdNumber::MAX),
        "999907891234567 FnNumber(999907891234567) 16777215"
    );
}

proptest! {
    #[test]
    fn an_fn_number_survives_both_forms(text in "[0-9]{1,16}") {
        let number: FnNumber = text.parse().unwrap();
        prop_assert_eq!(number.as_str(), text);
        prop_assert_eq!(FnNumber::from_padded(&number.padded()), Ok(number));
        prop_assert_eq!(FnNumber::from_bcd(&number.to_bcd()), Ok(number));
    }

    #[test]
    fn any_packed_number_is_refused_or_survives(packed in any::<[u8; 8]>()) {
        if let Ok(number) = FnNumber::from_bcd(&packed) {
            prop_assert_eq!(number.to_bcd(), packed);
        }
    }

    #[test]
    fn an_fd_number_survives(number in 1..=0xFF_FFFF_u32) {
        let number = FdNumber::new(number).unwrap();
        prop_assert_eq!(FdNumber::from_be_bytes(number.to_be_bytes()), Ok(number));
        prop_assert_eq!(number.to_string().parse(), Ok(number));
    }

    #[test]
    fn a_computed_registration_number_verifies(ordinal in 0..10_000_000_000_u64, inn in "[0-9]{10}|[0-9]{12}", serial in "[0-9]{1,20}") {
        let rnm = Rnm::compute(ordinal, &inn, &serial).unwrap();
        prop_assert_eq!(rnm.verify(&inn, &serial), RnmCheck::Ok);
        prop_assert_eq!(Rnm::from_padded(&rnm.padded()), Ok(rnm));
    }

    #[test]
    fn one_wrong_digit_breaks_an_organisations_inn(digits in "[0-9]{9}", place in 0..10_usize, change in 1..10_u8) {
        let right = (0..10).map(|last| format!("{digits}{last}")).find(|text| text.parse::<Inn>().unwrap().check_digits_ok());
        let mut text = right.unwrap().into_bytes();
        text[place] = b'0' + (text[place] - b'0' + change) % 10;
        // A weighted sum of 10 (mod 11) and of 0 share the check digit 0, so a wrong digit may hide behind a zero only.
        let wrong = Inn::from_padded(&text).unwrap();
        prop_assert!(!wrong.check_digits_ok() || text[9] == b'0');
    }
}
