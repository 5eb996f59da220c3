use std::path::{Path, PathBuf};

use super::*;
use model::Weight;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures")
}

fn capture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(format!("{name}.bin"))).unwrap()
}

/// What the command prints, at a moment that stays the same.
fn judged_tree(bytes: &[u8]) -> String {
    let mut decoded = layers::explain(bytes);
    control::judge(&mut decoded, "2026-11-22T00:00:00Z".parse().unwrap());
    render::tree(&decoded, bytes.len()).unwrap()
}

/// Every byte of the input lies in exactly one field or document, in order.
fn assert_complete(bytes: &[u8], decoded: &Decoded<'_>) {
    let mut at = 0;
    for part in &decoded.parts {
        assert_eq!(part.offset, at, "{}", part.title);
        match &part.content {
            Content::Fields(fields) => {
                for field in fields {
                    assert_eq!(field.offset, at, "{}", field.name);
                    assert_eq!(field.bytes, &bytes[at..at + field.bytes.len()], "{}", field.name);
                    at += field.bytes.len();
                }
            }
            Content::Cut(cut) => {
                assert_eq!(cut.head.iter().map(|field| field.bytes.len()).sum::<usize>(), 4);
                assert_eq!(&cut.whole[4..], &bytes[at + 4..at + cut.whole.len()]);
                at += cut.whole.len();
                if let Some(field) = &cut.end {
                    assert_eq!((field.offset, field.bytes), (at, &bytes[at..at + field.bytes.len()]));
                    at += field.bytes.len();
                }
            }
            Content::Document(document) => {
                assert_eq!(document.bytes(), &bytes[at..at + document.bytes().len()]);
                at += document.bytes().len();
            }
        }
    }
    assert_eq!(at, bytes.len(), "bytes are left over");
}

#[test]
fn every_capture_is_explained() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let decoded = layers::explain(&bytes);
        assert_complete(&bytes, &decoded);
        assert!(!decoded.is_damaged(), "{}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, judged_tree(&bytes));
        });
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} captures were found");
}

#[test]
fn json_holds_every_byte_too() {
    let bytes = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let json = serde_json::to_value(layers::explain(&bytes)).unwrap();
    assert_eq!(json["layer"], "сообщение");
    assert_eq!(json["damaged"], false);
    let parts = json["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[0]["fields"][3]["hex"], "39393939303738393032303133323637");
    assert_eq!(parts[0]["fields"][3]["value"], "9999078902013267");
    assert!(parts[2]["document"].is_object());
}

#[test]
fn layers_are_recognised() {
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let ack = capture("container_ack7_taxcom_flk14_9999078902013267_fd1");
    let signed = capture("raw_receipt3_9999078900011918_fd132");
    let document_len = 4 + usize::from(u16::from_le_bytes([signed[2], signed[3]]));
    let check = |bytes: &[u8], expected: &str| {
        let decoded = layers::explain(bytes);
        assert_complete(bytes, &decoded);
        assert_eq!(decoded.layer, expected);
    };
    check(&message, "сообщение");
    check(&message[..30], "заголовок сообщения");
    check(&message[30..], "контейнер");
    check(&ack, "контейнер");
    check(&[&message[30..], &ack, &ack].concat(), "несколько контейнеров подряд");
    check(&[message.clone(), message.clone()].concat(), "несколько сообщений подряд");
    check(&signed, "документ, ФПС и завершающие нули");
    check(&signed[..document_len + 8], "документ и ФПС (rawData)");
    check(&signed[..document_len], "документ");
    check(&capture("raw_receipt3_hdr_8710000101557641_fd39752"), "rawData с заголовком контейнера");
    check(b"hello, register", "не распознано");
}

/// What is damaged is said, and still every byte is placed.
fn check_damage(bytes: &[u8], expected: &str) {
    let decoded = layers::explain(bytes);
    assert_complete(bytes, &decoded);
    let remarks: Vec<&str> = decoded
        .parts
        .iter()
        .flat_map(|part| &part.remarks)
        .filter(|remark| remark.weight == Weight::Damage)
        .map(|remark| remark.text.as_str())
        .collect();
    assert!(remarks.iter().any(|text| text.contains(expected)), "{remarks:?} lack {expected:?}");
}

#[test]
fn damage_is_named() {
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let with = |at: usize, byte: u8| {
        let mut bytes = message.clone();
        bytes[at] = byte;
        bytes
    };
    check_damage(&message[..message.len() - 1], "тело оборвано");
    check_damage(&message[..20], "заголовок оборван");
    check_damage(&with(6, 0x77), "версия P-протокола");
    check_damage(&with(100, 0xEE), "контрольная сумма");
    check_damage(&with(8, b'1'), "номер ФН не тот");
    check_damage(&[message.as_slice(), b"xyz"].concat(), "нет начала следующего");
    check_damage(b"GET / HTTP/1.1\r\n\r\n", "ни сообщение");
    let mut document = capture("raw_receipt3_9280440300332772_fd10756");
    document.extend_from_slice(&[1, 2, 3]);
    check_damage(&document, "после документа 3 байта");
}

#[test]
fn any_cut_and_any_bytes_are_placed_without_a_panic() {
    for name in [
        "msg_reg11_ffd105_9999078900005488_fd1",
        "raw_receipt3_hdr_8710000101557641_fd39752",
        "container_reg1_ffd10_9999078912345678_fd1",
    ] {
        let bytes = capture(name);
        for cut in 0..=bytes.len() {
            let decoded = layers::explain(&bytes[..cut]);
            assert_complete(&bytes[..cut], &decoded);
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xA5;
            assert_complete(&changed, &layers::explain(&changed));
        }
    }
}

#[test]
fn an_encrypted_body_is_said_to_be_encrypted() {
    let text = std::fs::read_to_string(fixtures().join("../vectors/crypto-vectors.json")).unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    walk(&vectors, &mut |key, hex| {
        let Ok(bytes) = ::hex::decode(hex) else { return };
        if !key.contains("container") || !key.contains("enc") || bytes.len() < 42 {
            return;
        }
        let decoded = layers::explain(&bytes);
        assert_complete(&bytes, &decoded);
        assert!(!decoded.is_damaged(), "{key}");
        assert!(decoded.parts.iter().any(|part| part.kind == PartKind::Ciphertext), "{key}");
        // Cut within the ciphertext, nobody can tell any more, and no sign is made of its last bytes.
        let cut = layers::explain(&bytes[..bytes.len() - 15]);
        assert_complete(&bytes[..bytes.len() - 15], &cut);
        assert_eq!(cut.parts.last().unwrap().title, "Содержимое контейнера", "{key}");
        seen += 1;
    });
    assert!(seen > 0, "no encrypted container among the vectors");
}

/// Calls `visit` with the path and the text of every string of a JSON value.
fn walk(value: &serde_json::Value, visit: &mut impl FnMut(&str, &str)) {
    fn inner(path: &str, value: &serde_json::Value, visit: &mut impl FnMut(&str, &str)) {
        match value {
            serde_json::Value::String(text) => visit(path, text),
            serde_json::Value::Array(values) => values.iter().for_each(|value| inner(path, value, visit)),
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(key, value)| inner(&format!("{path}.{key}"), value, visit));
            }
            _ => {}
        }
    }
    inner("", value, visit);
}

#[test]
fn the_tax_services_json_takes_the_sign_with_it() {
    let sign_of = |bytes: &[u8]| {
        let decoded = layers::explain(bytes);
        let json = serde_json::to_value(forwarded(&decoded)).unwrap();
        assert_eq!(json.as_array().unwrap().len(), 1);
        assert!(refused_forms(&decoded).is_empty());
        json.pointer("/0/receipt/messageFiscalSign").and_then(serde_json::Value::as_u64)
    };
    let bytes = capture("raw_receipt3_9999078900011918_fd132");
    let document_len = 4 + usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
    let sign: [u8; 8] = bytes[document_len..][..8].try_into().unwrap();
    assert_eq!(sign_of(&bytes), Some(u64::from_be_bytes(sign)));
    assert_eq!(sign_of(&bytes[..document_len + 8]), Some(u64::from_be_bytes(sign)));
    assert_eq!(sign_of(&bytes[..document_len]), None);
}

#[test]
fn only_what_a_register_makes_goes_to_the_tax_service() {
    let check = |bytes: &[u8], goes: usize, stays: &[u16]| {
        let decoded = layers::explain(bytes);
        assert_eq!(forwarded(&decoded).len(), goes);
        let forms: Vec<u16> = refused_forms(&decoded).iter().map(|form| form.0).collect();
        assert_eq!(forms, stays);
    };
    let ack = capture("container_ack7_taxcom_flk14_9999078902013267_fd1");
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    check(&ack, 0, &[7]);
    check(&[&message[30..], &ack, &message[30..]].concat(), 2, &[7]);
    // A notification about marked goods, empty.
    check(&[81, 0, 0, 0], 0, &[81]);
    check(&[84, 0, 0, 0], 0, &[84]);
    assert!(refusal(FormCode::OPERATOR_ACK).contains("form 7"));
}

/// The message cut after `length` bytes: what the parts are, and what is said to be missing.
fn check_cut(length: usize, titles: &[&str], missing: &str) {
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let cut = &message[..length];
    check_damage(cut, missing);
    let decoded = layers::explain(cut);
    let found: Vec<&str> =
        decoded.parts.iter().map(|part| part.title.split(&[',', ' ']).next().unwrap()).collect();
    assert_eq!(found, titles, "{length}");
    assert!(decoded.parts.iter().all(|part| !matches!(part.kind, PartKind::MessageSign(_))), "{length}");
}

#[test]
fn a_cut_message_is_no_ciphertext_and_shows_no_sign() {
    // 30 bytes of session header, 32 of container header, 253 of document, 10 of sign and zeros.
    check_cut(40, &["Заголовок", "Заголовок"], "нет конца заголовка");
    check_cut(62, &["Заголовок", "Заголовок"], "не хватает 253 байта документа и всего признака");
    check_cut(64, &["Заголовок", "Заголовок", "Начало"], "не хватает 251 байт документа");
    check_cut(100, &["Заголовок", "Заголовок", "Документ"], "документ оборван: здесь 38 из 253 байт");
    check_cut(100, &["Заголовок", "Заголовок", "Документ"], "не хватает 215 байт документа");
    check_cut(315, &["Заголовок", "Заголовок", "Документ:"], "не хватает 10 байт признака");
    check_cut(320, &["Заголовок", "Заголовок", "Документ:", "ФПС"], "не хватает 5 байт признака");
}

#[test]
fn a_cut_message_on_paper() {
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("cut_msg_reg11_ffd12", judged_tree(&message[..100]));
    });
}

#[test]
fn what_is_whole_in_a_cut_document_is_explained() {
    // Head of 4 bytes, then records of 5, 5, 20 and 24 bytes.
    let document = &capture("msg_reg11_ffd12_9999078902013267_fd1")[62..315];
    let check = |length: usize, records: usize, end: Option<usize>| {
        let decoded = layers::explain(&document[..length]);
        assert_complete(&document[..length], &decoded);
        let json = serde_json::to_value(&decoded).unwrap();
        let part = &json["parts"][0];
        assert_eq!(part["document"]["records"].as_array().unwrap().len(), records, "{length}");
        let ends =
            part["fields"].as_array().unwrap().get(2).map(|field| field["hex"].as_str().unwrap().len() / 2);
        assert_eq!(ends, end, "{length}");
        let text = render::tree(&decoded, length).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("0000"));
        let hex: String = rows.flat_map(|row| row.chars().skip(8).take(48)).filter(|c| *c != ' ').collect();
        assert_eq!(hex, hex::encode(&document[..length]));
    };
    check(4, 0, None);
    check(6, 0, Some(2));
    check(14, 2, None);
    check(15, 2, Some(1));
    check(38, 3, Some(4));
}

#[test]
fn a_damaged_frame_does_not_hide_the_document() {
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1");
    let check = |at: usize, byte: u8| {
        let mut bytes = message[30..].to_vec();
        bytes[at] = byte;
        let decoded = layers::explain(&bytes);
        assert_complete(&bytes, &decoded);
        assert!(decoded.is_damaged(), "{at}");
        assert!(decoded.parts.iter().any(|part| matches!(part.content, Content::Document(_))), "{at}");
        assert!(decoded.parts.iter().any(|part| matches!(part.kind, PartKind::MessageSign(_))), "{at}");
    };
    // Checksum; length field too long; form and open length of the header, so that the frame alone tells.
    check(2, 0);
    check(1, 0x02);
    check(5, 3);
    check(31, 0);
}

#[test]
fn bytes_behind_a_container_are_left_over() {
    let mut bytes = capture("msg_reg11_ffd12_9999078902013267_fd1")[30..].to_vec();
    bytes.extend_from_slice(b"xyz");
    check_damage(&bytes, "после контейнера ещё 3 байта");
}

#[test]
fn documents_are_judged_without_their_register() {
    let remarks = |bytes: &[u8]| {
        let mut decoded = layers::explain(bytes);
        control::judge(&mut decoded, "2026-11-22T00:00:00Z".parse().unwrap());
        decoded.parts.into_iter().flat_map(|part| part.remarks).collect::<Vec<_>>()
    };
    // A real operator answered it with code 14: the name of the user and the address are missing.
    let report = remarks(&capture("msg_reg11_ffd12_9999078902013267_fd1"));
    let hard: Vec<_> = report.iter().filter(|remark| remark.weight == Weight::Hard).collect();
    assert!(hard.iter().all(|remark| remark.rule == "structure.mandatory"), "{hard:?}");
    assert_eq!(hard.len(), 2, "{hard:?}");
    assert!(report.iter().any(|remark| remark.weight == Weight::Note && remark.text.contains("прежние")));
    // What an operator makes is not judged.
    let ack = remarks(&capture("container_ack7_taxcom_flk14_9999078902013267_fd1"));
    assert!(ack.is_empty(), "{ack:?}");
}
