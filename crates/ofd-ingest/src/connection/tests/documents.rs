//! Documents that are taken: answers, repeats, conflicts, gaps, codes, CRC modes.

use ffd::FormCode;
use kkt_proto::ack::AckFormat;
use kkt_proto::header::CrcMode;
use ofd_store::{FindingSeverity, Forward, Reader, TaskKind};
use pkz::SignMode;

use crate::UnknownFn;
use crate::testing::{Body, Daemon, FN, KKT_SERIAL, Setup, Till, fd, set};

#[tokio::test]
async fn an_open_document_is_stored_and_acknowledged() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let container = till.container(1, &till.document(FormCode::REGISTRATION, 1), Body::Open);
    let reply = daemon.connect().await.exchange(&till.message(&container)).await;

    let (acknowledgement, body) = till.acknowledged(1, &reply);
    assert_eq!((acknowledgement.code.0, acknowledgement.format), (0, AckFormat::Message1068));
    assert_eq!(body, Body::Open);
    assert_eq!(acknowledgement.fpo.len(), 8);
    let [row] = daemon.documents().try_into().unwrap();
    assert_eq!(row.container, container);
    assert_eq!(row.opened, None);
    assert_eq!(row.acknowledgement, reply);
    assert_eq!((row.form, row.code, row.verdict.as_str()), (1, 0, "valid"));
    assert_eq!((row.sign_scheme.as_deref(), row.sign_generation), (Some("soft-gost-1"), Some(1)));
    assert_eq!((row.forward, row.flk_mark, row.sign_mark), (Forward::Yes, false, false));
    assert_eq!(row.received_at.as_second(), i64::from(acknowledgement.datetime));
    assert_eq!(row.derived.rnm.as_deref(), Some("0000000000024136"));
    assert_eq!(row.derived.kkt_serial.as_deref(), Some(KKT_SERIAL));
    assert_eq!(row.derived.local_time, Some(1_488_541_080));
    assert_eq!(row.derived.fiscal_sign, Some(0x0102_0304));
    let register = Reader::open(&daemon.url).unwrap().register(&till.fn_number).unwrap().unwrap();
    assert_eq!(register.kkt_serial.as_deref(), Some(KKT_SERIAL));
    assert_eq!(register.inn.as_deref(), Some("7802781104"));
    let counted = daemon.running.metric(r#"fiscald_documents_total{form="1",code="0",verdict="valid"}"#);
    assert_eq!(counted.to_string(), "1");
    daemon.stop().await;
}

#[tokio::test]
async fn an_encrypted_document_gets_an_encrypted_answer() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let document = till.document(FormCode::RECEIPT, 5);
    let container = till.container(5, &document, Body::Encrypted);
    let reply = daemon.connect().await.exchange(&till.message(&container)).await;

    let (acknowledgement, body) = till.acknowledged(5, &reply);
    assert_eq!((acknowledgement.code.0, body), (0, Body::Encrypted));
    let [row] = daemon.documents().try_into().unwrap();
    assert_eq!(row.container, container);
    assert_eq!(row.opened.as_deref(), Some(document.as_slice()));
    assert_eq!(row.derived.total_kopecks, Some(12_345));
    assert_eq!(
        (row.derived.shift, row.derived.receipt_number, row.derived.operation),
        (Some(7), Some(5), Some(1))
    );
    assert_eq!(row.forward, Forward::WhenKnown, "nobody announced this ФН");
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeat_gets_the_stored_bytes_on_any_connection() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let first = client.exchange(&till.receipt(3)).await;
    assert_eq!(client.exchange(&till.receipt(3)).await, first);
    assert_eq!(daemon.connect().await.exchange(&till.receipt(3)).await, first);
    // The ФН read its document anew and encrypted it this time: still the same document.
    let encrypted = till.container(3, &till.document(FormCode::RECEIPT, 3), Body::Encrypted);
    assert_eq!(client.exchange(&till.message(&encrypted)).await, first);
    assert_eq!(daemon.documents().len(), 1);
    assert_eq!(daemon.running.metric("fiscald_repeats_total").to_string(), "3");
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_conflict_is_kept_beside_and_has_an_answer_of_its_own() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let other = till.document_with(FormCode::RECEIPT, 3, |records| set(records, 1021, b"Petrova"));
    let other = till.message(&till.container(3, &other, Body::Open));
    let first = client.exchange(&till.receipt(3)).await;
    let second = client.exchange(&other).await;
    assert_ne!(first, second);
    assert_eq!((till.code(3, &first), till.code(3, &second)), (0, 0));
    assert_eq!(client.exchange(&other).await, second);
    assert_eq!(client.exchange(&till.receipt(3)).await, first);
    let rows = daemon.documents();
    assert_eq!(rows.iter().map(|row| row.conflict_no).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(rows[1].forward, Forward::No);
    assert_eq!(daemon.running.metric("fiscald_conflicts_total").to_string(), "1");
    let tasks = Reader::open(&daemon.url).unwrap().tasks(10).unwrap();
    assert_eq!(tasks.iter().map(|task| task.kind).collect::<Vec<_>>(), [TaskKind::Conflict]);
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn a_gap_is_accepted_and_can_be_seen() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    for number in [1, 2, 5] {
        let reply = client.exchange(&till.receipt(number)).await;
        assert_eq!(till.code(number, &reply), 0);
    }
    let [gap] = Reader::open(&daemon.url).unwrap().gaps(Some(&till.fn_number)).unwrap().try_into().unwrap();
    assert_eq!((gap.from, gap.to), (3, 4));
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn the_reply_uses_the_crc_mode_of_the_request() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    for (number, mode) in [(1, CrcMode::None), (2, CrcMode::Header), (3, CrcMode::HeaderAndBody)] {
        let container = till.container(number, &till.document(FormCode::RECEIPT, number), Body::Open);
        client.send(&till.message_in(mode, &container)).await;
        let (header, body) = client.reply().await;
        assert_eq!(header.flags.crc_mode(), mode);
        assert_eq!(till.code(number, &body), 0);
    }
    drop(client);
    daemon.stop().await;
}

/// Code, fate, mark of the ФЛК.
type Fate = (u8, Forward, bool);

/// Sends one document and looks at code and row.
async fn check_code(name: &str, daemon: &Daemon, number: u32, document: Vec<u8>, expected: Fate) {
    let till = Till::new(FN);
    let message = till.message(&till.container(number, &document, Body::Open));
    let reply = daemon.connect().await.exchange(&message).await;
    let row = daemon.documents().pop().unwrap();
    assert_eq!((till.code(number, &reply), row.code), (expected.0, expected.0), "{name}");
    assert_eq!((row.fd_number, row.forward, row.flk_mark), (fd(number), expected.1, expected.2), "{name}");
}

#[tokio::test]
async fn codes_by_content() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    daemon.facts.know(till.fn_number);
    let without =
        |tag: u16| move |records: &mut Vec<(u16, Vec<u8>)>| records.retain(|(present, _)| *present != tag);
    let rows: [(&str, Vec<u8>, Fate); 6] = [
        ("whole", till.document(FormCode::RECEIPT, 1), (0, Forward::Yes, false)),
        ("no 1041", till.document_with(FormCode::RECEIPT, 2, without(1041)), (14, Forward::Yes, true)),
        ("no 1077", till.document_with(FormCode::SHIFT_OPEN, 3, without(1077)), (14, Forward::Yes, true)),
        ("another ФД", till.document(FormCode::SHIFT_CLOSE, 40), (14, Forward::Yes, true)),
        ("unknown form", till.document(FormCode(99), 5), (11, Forward::No, false)),
        ("broken TLV", vec![3, 0, 5, 0, 1, 2, 3, 4, 5], (11, Forward::No, false)),
    ];
    for (number, (name, document, expected)) in (1..).zip(rows) {
        check_code(name, &daemon, number, document, expected).await;
    }
    let rows = daemon.documents();
    assert!(
        rows[1]
            .findings
            .iter()
            .any(|finding| finding.rule == "identity.fn" && finding.severity == FindingSeverity::Hard)
    );
    let tasks = Reader::open(&daemon.url).unwrap().tasks(10).unwrap();
    let mut kinds: Vec<_> = tasks.iter().map(|task| task.kind.name()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["unknown_form", "unreadable"]);
    daemon.stop().await;
}

#[tokio::test]
async fn ffd_1_1_is_answered_in_1206_and_code_11_never() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    let version_1_1 = |records: &mut Vec<(u16, Vec<u8>)>| set(records, 1209, &[3]);
    let fine = till.document_with(FormCode::RECEIPT, 1, version_1_1);
    let faulty = till.document_with(FormCode::RECEIPT, 2, |records| {
        version_1_1(records);
        records.retain(|(tag, _)| *tag != 1077);
    });
    let unknown = till.document_with(FormCode(99), 3, version_1_1);
    let rows = [
        (1, fine, 0, AckFormat::Register1206),
        (2, faulty, 14, AckFormat::Register1206),
        (3, unknown, 11, AckFormat::Message1068),
    ];
    for (number, document, code, format) in rows {
        let reply = client.exchange(&till.message(&till.container(number, &document, Body::Open))).await;
        let (acknowledgement, _) = till.acknowledged(number, &reply);
        assert_eq!((acknowledgement.code.0, acknowledgement.format), (code, format), "document {number}");
    }
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn captured_messages_get_their_genuine_verdicts_in_log_only() {
    let daemon = Setup::with_policy(UnknownFn::Accept, SignMode::LogOnly).start().await;
    let captures: [(&[u8], &str, u8); 2] = [
        (
            include_bytes!(
                "../../../../../proto-fixtures/captures/msg_reg11_ffd105_9999078900005488_fd1.bin"
            ),
            "9999078900005488",
            0,
        ),
        // It lacks 1048 and 1009; its own operator answered it with 14.
        (
            include_bytes!("../../../../../proto-fixtures/captures/msg_reg11_ffd12_9999078902013267_fd1.bin"),
            "9999078902013267",
            14,
        ),
    ];
    for (message, number, code) in captures {
        let reply = daemon.connect().await.exchange(message).await;
        // A sign of another scheme names no keys of ours: the answer is sealed with the newest ones.
        assert_eq!(Till::of_generation(number, 2).code(1, &reply), code, "{number}");
        let row = daemon.documents().pop().unwrap();
        assert_eq!(row.container, &message[30..]);
        assert_eq!(
            (row.verdict.as_str(), row.sign_mark, row.flk_mark, row.forward),
            ("foreign_scheme", true, code == 14, Forward::Yes)
        );
    }
    daemon.stop().await;
}
