use std::time::Duration;

use ffd::{FfdVersion, FnNumber};
use kkt_proto::header::{CrcMode, HEADER_LEN, Header, PVersion};

use super::*;
use crate::keys::SimKeys;
use crate::kkt::{Kkt, KktSettings, OperatorCard, Pace};
use crate::storage::{Outgoing, Reread};
use crate::test_operator::{TestOperator, Trick};

fn capture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto-fixtures/captures");
    std::fs::read(folder.join(name)).unwrap()
}

fn registration(encrypted: bool) -> Outgoing {
    let settings = KktSettings {
        fn_number: FnNumber::from_padded(b"9999000000000555").unwrap(),
        ffd: FfdVersion::V1_05,
        encrypted,
        reread: Reread::SameBytes,
        seed: 1,
        clock: 1_790_000_000,
        pace: Pace::new(1, 60),
        operator: OperatorCard::default(),
    };
    let mut kkt = Kkt::new(&settings, &SimKeys::published()).unwrap();
    kkt.register().unwrap().clone()
}

fn message_of(document: &Outgoing) -> Vec<u8> {
    let fn_number = FnNumber::from_padded(b"9999000000000555").unwrap();
    let header =
        Header::for_message(fn_number, PVersion::FFD_1_05, CrcMode::None, &document.container).unwrap();
    [header.encode().as_slice(), &document.container].concat()
}

#[test]
fn captures_are_recognised_and_completed() {
    let check = |name: &str, recognised, p_version: [u8; 2], form, fd, zero_sign| {
        let message = Message::from_file(capture(name)).unwrap();
        assert_eq!(message.recognised(), recognised, "{name}");
        assert_eq!(message.header().p_version.0, p_version, "{name}");
        assert_eq!(message.form(), Some(form), "{name}");
        assert_eq!(message.fd_number().unwrap().get(), fd, "{name}");
        assert_eq!(message.has_zero_sign(), zero_sign, "{name}");
        assert_eq!(message.bytes().len(), HEADER_LEN + usize::from(message.header().body_len), "{name}");
    };
    check("msg_reg11_ffd105_9999078900005488_fd1.bin", Recognised::Message, [0, 1], 11, 1, false);
    check("msg_reg11_ffd12_9999078902013267_fd1.bin", Recognised::Message, [1, 0x20], 11, 1, false);
    check("container_reg1_ffd10_9999078912345678_fd1.bin", Recognised::Container, [1, 0], 1, 1, false);
    check("raw_receipt3_9999078900011918_fd132.bin", Recognised::Document, [1, 5], 3, 132, false);
    check("raw_receipt3_9280440300332772_fd10756.bin", Recognised::Document, [1, 5], 3, 10_756, true);
    check("raw_receipt3_hdr_8710000101557641_fd39752.bin", Recognised::RawData, [1, 0], 3, 39_752, false);
    check("raw_receipt3_8710000100518313_fd55817.bin", Recognised::Document, [1, 0], 3, 55_817, true);
}

#[test]
fn raw_data_keeps_its_own_header_and_sign() {
    let file = capture("raw_receipt3_hdr_8710000101557641_fd39752.bin");
    let message = Message::from_file(file.clone()).unwrap();
    let container = &message.bytes()[HEADER_LEN..];
    assert_eq!(container[4..32], file[4..32]);
    assert_eq!(container[32..container.len() - 2], file[32..]);
}

#[test]
fn what_cannot_be_sent_is_refused_in_words() {
    let check = |content: &[u8], expected: &str| {
        let refused = Message::from_file(content.to_vec()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    };
    check(&capture("container_ack7_taxcom_flk14_9999078902013267_fd1.bin"), "acknowledgement");
    check(&capture("session_header_ffd10_9999078950.bin"), "announces a body of 305 bytes");
    check(b"", "neither");
    check(b"hello, this is no capture", "neither");
    let message = capture("msg_reg11_ffd12_9999078902013267_fd1.bin");
    check(&message[..200], "announces 295 bytes, 170 follow");
    check(&message[..20], "30 bytes");
    check(&message[HEADER_LEN..][..294], "neither");
    check(&message[HEADER_LEN + 32..][..100], "announces 253 bytes");
    let raw = capture("raw_receipt3_hdr_8710000101557641_fd39752.bin");
    check(&raw[..20], "rawData");
    check(&raw[..raw.len() - 3], "follow the document");
    let ack = capture("container_ack7_taxcom_flk14_9999078902013267_fd1.bin");
    check(&ack[32..ack.len() - 10], "form 7");
}

#[test]
fn the_encoding_of_a_file_does_not_matter() {
    use base64::Engine;
    let bytes = message_of(&registration(false));
    let expected = Message::from_file(bytes.clone()).unwrap();
    let lines: Vec<String> = bytes.chunks(16).map(hex::encode).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
    for text in [
        hex::encode(&bytes),
        hex::encode_upper(&bytes),
        lines.join("\r\n"),
        encoded,
        format!("0x{}\n", hex::encode(&bytes)),
    ] {
        assert_eq!(Message::from_file(text.into_bytes()).unwrap(), expected);
    }
}

#[tokio::test]
async fn answers_are_decoded() {
    let operator = TestOperator::with(|_, _| Trick::Code(14)).await;
    let document = registration(false);
    for content in [
        message_of(&document),
        document.container.clone(),
        [document.document.clone(), document.sign.to_vec()].concat(),
    ] {
        let message = Message::from_file(content).unwrap();
        let answer = send(&message, operator.address, Duration::from_secs(5)).await.unwrap();
        let ack = answer.acknowledgement.as_ref().unwrap();
        assert_eq!((ack.code, ack.fd_number, ack.carried_in), (Some(14), 1, Some(1068)));
        assert_eq!(ack.received_at.as_deref(), Some("2027-01-15T08:00:00Z"));
        assert_eq!(ack.ofd_inn.as_deref(), Some("7700000009"));
        assert!(ack.fpp.starts_with("e106") && ack.fpo.as_ref().unwrap().starts_with("f106"));
        let text = answer.to_string();
        assert!(text.contains("14 (error of format and logic control), in 1068"), "{text}");
        assert_eq!(answer.header.flags, "0x0014");
    }
}

#[tokio::test]
async fn encrypted_answers_and_probes_are_shown_as_far_as_possible() {
    let operator = TestOperator::honest().await;
    let message = Message::from_file(registration(true).container).unwrap();
    let answer = send(&message, operator.address, Duration::from_secs(5)).await.unwrap();
    let ack = answer.acknowledgement.unwrap();
    assert!(ack.encrypted && ack.code.is_none() && ack.to_string().contains("encrypted"));
    let number = FnNumber::from_padded(b"9999000000000555").unwrap();
    let probe = Header::probe(number, PVersion::FFD_1_2, CrcMode::None).encode();
    let message = Message::from_file(probe.to_vec()).unwrap();
    assert_eq!(message.recognised(), Recognised::Probe);
    let answer = send(&message, operator.address, Duration::from_secs(5)).await.unwrap();
    assert_eq!(answer.acknowledgement, None);
    assert_eq!(answer.header.flags, "0x0000");
}

#[tokio::test]
async fn no_answer_is_told_apart() {
    let message = Message::from_file(registration(false).container).unwrap();
    let closing = TestOperator::with(|_, _| Trick::Close).await;
    let closed = send(&message, closing.address, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(closed, NoAnswer::Closed), "{closed}");
    let silent = TestOperator::with(|_, _| Trick::Silent).await;
    let timeout = send(&message, silent.address, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(timeout, NoAnswer::Timeout(_)), "{timeout}");
    let damaging = TestOperator::with(|_, _| Trick::Damaged).await;
    let damaged = send(&message, damaging.address, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(damaged, NoAnswer::Malformed(_)), "{damaged}");
    let other = TestOperator::with(|_, _| Trick::WrongFnNumber).await;
    let other = send(&message, other.address, Duration::from_secs(5)).await.unwrap_err();
    assert!(other.to_string().contains("another storage"), "{other}");
}

proptest::proptest! {
    #[test]
    fn no_file_can_panic(content in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = Message::from_file(content.clone());
        // Bytes behind each of the known beginnings, so that every reader is reached.
        for start in [&[0x2A, 0x08, 0x41, 0x0A][..], &[0xFF, 0xFF, 0, 28], &[3, 0], &[0x90, 1, 0, 0, 0xA5]] {
            let _ = Message::from_file([start, &content].concat());
        }
    }

    #[test]
    fn a_container_of_any_document_travels_unchanged(fd in 1_u32..0xFF_FFFF, data in proptest::collection::vec(proptest::num::u8::ANY, 4..300)) {
        let header = kkt_proto::container::ContainerHeader {
            kind: kkt_proto::container::ContainerKind::FROM_FN,
            form: 3,
            version: 1,
            service1: kkt_proto::container::SERVICE_1,
            fn_number: FnNumber::from_padded(b"9999000000000555").unwrap(),
            fd_number: ffd::FdNumber::new(fd).unwrap(),
            iv: [1; 8],
            service2: kkt_proto::container::SERVICE_2,
            open_len: u16::try_from(data.len()).unwrap(),
        };
        let bytes = kkt_proto::container::encode(&header, &data, [0x81, 6, 1, 2, 3, 4, 5, 6]).unwrap();
        let message = Message::from_file(bytes.clone()).unwrap();
        assert_eq!(&message.bytes()[HEADER_LEN..], &bytes);
        assert_eq!(message.fd_number().unwrap().get(), fd);
    }
}
