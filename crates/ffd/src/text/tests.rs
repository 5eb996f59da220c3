use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::fixtures;

fn tree(bytes: &[u8], base_offset: usize) -> String {
    let mut text = String::new();
    write_tree(&Document::decode(bytes).unwrap(), &mut text, base_offset).unwrap();
    text
}

/// Reads the rows back: each must begin where the one before ended. Returns the bytes.
fn read_rows(text: &str, base_offset: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let (offset, rest) = line.split_once("  ").unwrap();
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), base_offset + bytes.len(), "{line}");
        let hex: String = rest.chars().take(HEX_COLUMNS).filter(|c| *c != ' ').collect();
        bytes.extend(hex::decode(&hex).unwrap());
    }
    bytes
}

/// The line of the first record of a document of this form, without offset and hex.
fn check(form: u16, tag: u16, value: &[u8], expected: &str) {
    check_version(form, 4, tag, value, expected);
}

fn check_version(form: u16, version: u8, tag: u16, value: &[u8], expected: &str) {
    let text = tree(&fixtures::document(form, &[(tag, value), (1209, &[version])]), 0);
    let line = text.lines().nth(1).unwrap();
    let meaning: String = line.chars().skip(8 + HEX_COLUMNS).collect();
    assert_eq!(meaning.trim(), expected);
}

#[test]
fn every_capture_has_its_tree() {
    for capture in fixtures::documents() {
        let (document, base_offset) = (capture.document(), capture.expected.offset);
        let text = tree(document, base_offset);
        assert_eq!(read_rows(&text, base_offset), document, "{}", capture.name);
        assert!(!text.contains("??") && !text.contains("!!"), "{}: {text}", capture.name);
        insta::assert_snapshot!(capture.name.as_str(), text);
    }
}

#[test]
fn tree_of_the_acknowledgement_as_data() {
    let capture = fixtures::find("container_ack7_taxcom_flk14");
    let document = Document::decode(capture.document()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_tree(&document)).unwrap());
}

#[test]
fn values_in_words() {
    check(3, 1020, &[0x87, 0xD6, 0x12], "1020 Сумма расчета, указанного в чеке (БСО): 12345.67 руб.");
    check(3, 1054, &[1], "1054 Признак расчета: 1 (приход)");
    check(3, 1054, &[9], "1054 Признак расчета: 9 (неизвестный код)");
    check(
        3,
        1055,
        &[6],
        "1055 Применяемая система налогообложения: 6 = 0x06 (УСН доход; УСН доход минус расход)",
    );
    check(
        3,
        1055,
        &[0x82],
        "1055 Применяемая система налогообложения: 130 = 0x82 (УСН доход; неизвестный бит 7)",
    );
    check(3, 1055, &[0], "1055 Применяемая система налогообложения: 0 = 0x00");
    check(1, 1002, &[0], "1002 Признак автономного режима: 0 (нет)");
    check(1, 1002, &[1], "1002 Признак автономного режима: 1 (да)");
    check(1, 1002, &[2], "1002 Признак автономного режима: 2");
    check(3, 1038, &[7, 0, 0, 0], "1038 Номер смены: 7");
    check(3, 1012, &[0x98, 0x55, 0xB9, 0x58], "1012 Дата, время: 2017-03-03 11:38:00 (местное время)");
    check(7, 1012, &[0x98, 0x55, 0xB9, 0x58], "1012 Дата, время: 2017-03-03 11:38:00 (всемирное время)");
    check(3, 1021, b"a\r\nb ", "1021 Кассир: «a\\r\\nb »");
    check(3, 1077, &[0x31, 4, 0, 0, 1, 2], "1077 ФПД: 310400000102 (печатается как 0000000258)");
    check(
        11,
        1205,
        &[1, 0, 0, 0x80],
        "1205 Коды причин изменения сведений о ККТ: 2147483649 = 0x80000001 (замена ФН; иные причины)",
    );
}

#[test]
fn unknown_and_broken_are_marked() {
    check(3, 1999, &[1, 2, 3], "?? 1999 неизвестный тег, длина 3");
    let text = tree(&fixtures::document(3, &[(1012, &[1, 2])]), 0);
    assert!(
        text.contains("!! 1012 Дата, время: значение не читается (длина 2 байта, нужно 4 байта)"),
        "{text}"
    );
    assert_eq!(read_rows(&text, 0), fixtures::document(3, &[(1012, &[1, 2])]));
    let text = tree(&fixtures::document(3, &[(1059, &[0xFF, 3, 4, 0, 1])]), 0x3E);
    let reason = "группа не читается (запись с тегом 1023 по смещению 000046 объявляет 4 байта, а остался 1)";
    assert!(text.contains(&format!("!! 1059 Предмет расчета: {reason}")), "{text}");
    let text = tree(&fixtures::document(3, &[(1209, &[9])]), 0);
    assert!(text.contains("неизвестная версия ФФД 9, читается как 1.2"), "{text}");
    let text = tree(&fixtures::document(3, &[(1209, &[2, 2])]), 0);
    assert!(text.contains("версия ФФД не разобрана, читается как 1.2"), "{text}");
    let text = tree(&fixtures::document(200, &[]), 0);
    assert!(text.contains("Неизвестный документ (форма 200), длина 0, версия ФФД не указана"), "{text}");
}

#[test]
fn data_holds_exact_values() {
    let item = [0xFF, 0x03, 0x03, 0x00, 0x03, 0xDC, 0x05];
    let broken = [0xFF, 0x03, 0x02, 0x00, 20, 1];
    let bytes = fixtures::document(
        3,
        &[
            (1020, &[0x87, 0xD6, 0x12]),
            (1059, &item),
            (1055, &[0x82]),
            (1012, &[1]),
            (1999, &[1]),
            (1059, &[2]),
            (1059, &broken),
        ],
    );
    let text = serde_json::to_string(&json_tree(&Document::decode(&bytes).unwrap())).unwrap();
    for part in [
        r#""type":"vln","length":3,"hex":"87d612","value":1234567,"meaning":["12345.67 руб."]}"#,
        r#""type":"fvln","length":3,"hex":"03dc05","value":1.500}]}"#,
        r#""value":130,"meaning":["УСН доход","неизвестный бит 7"]}"#,
        r#""hex":"01","problem":"wrong-length"}"#,
        r#""hex":"01","problem":"unknown-tag"}"#,
        r#""hex":"02","problem":"broken-group"}"#,
        r#""hex":"1401","problem":"too-many-digits"}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn groups_are_indented() {
    let inner = [0xFF, 0x03, 0x03, 0x00, 0x03, 0xDC, 0x05];
    let text = tree(&fixtures::document(3, &[(1059, &inner)]), 0);
    assert!(text.contains("   1059 Предмет расчета: группа, записей 1\n"), "{text}");
    assert!(text.contains("     1023 Количество предмета расчета: 1.500\n"), "{text}");
}

#[test]
fn a_long_value_fills_many_rows() {
    let text = tree(&fixtures::document(3, &[(1009, &[b'x'; 156])]), 0);
    assert_eq!((text.lines().count(), read_rows(&text, 0).len()), (11, 164));
}

#[test]
fn words_follow_their_numbers() {
    let check = |numbers: &[usize], expected| {
        for &number in numbers {
            assert_eq!(plural(number, ["байт", "байта", "байтов"]), expected, "{number}");
        }
    };
    check(&[1, 21, 101, 1001, 65_531], "байт");
    check(&[2, 3, 4, 22, 34, 102, 1002], "байта");
    check(&[0, 5, 9, 10, 11, 12, 13, 14, 15, 19, 20, 25, 100, 111, 112, 1014, 65_535], "байтов");
}

proptest! {
    #[test]
    fn any_tree_holds_every_byte_once(bytes in fixtures::any_document(), base_offset in 0..10_000_usize) {
        let document = Document::decode(&bytes).unwrap();
        let mut text = String::new();
        write_tree(&document, &mut text, base_offset).unwrap();
        prop_assert_eq!(read_rows(&text, base_offset), bytes.clone());
        let data = serde_json::to_value(json_tree(&document)).unwrap();
        prop_assert_eq!(&data["length"], &Json::from(bytes.len()));
    }
}
