//! Messages that are refused by their bytes: the connection closes, nothing is said, nothing is kept.

use ffd::FormCode;
use kkt_proto::header::{CrcMode, PVersion};

use crate::testing::{Body, Daemon, FN, Setup, Till};

/// Sends bytes and expects the end of the connection with nothing said and the reason counted.
async fn check(daemon: &Daemon, name: &str, message: &[u8], reason: &str) {
    let metric = format!(r#"fiscald_rejects_total{{reason="{reason}"}}"#);
    let before = daemon.running.metric(&metric);
    let mut client = daemon.connect().await;
    client.send(message).await;
    client.expect_silent_close().await;
    assert_eq!(daemon.running.metric(&metric) - before, 1.0, "{name}: not counted as {reason}");
}

fn changed(bytes: &[u8], offset: usize, value: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    assert_ne!(bytes[offset], value);
    bytes[offset] = value;
    bytes
}

#[tokio::test]
async fn damage_is_answered_with_silence_and_close() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let good = till.receipt(1);
    let container = &good[30..];
    let signed = till.message_in(CrcMode::HeaderAndBody, container);
    let header_signed = till.message_in(CrcMode::Header, container);
    let other_way = changed(container, 4, 0x5A);
    let rows: [(&str, Vec<u8>, &str); 12] = [
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "signature"),
        ("S-version", changed(&good, 5, 0xA3), "s_version"),
        ("P-version", changed(&good, 7, 0x77), "p_version"),
        ("ФН with a letter", changed(&good, 8, b'x'), "fn_number"),
        ("CRC mode 11", changed(&good, 26, 0x17), "crc_mode"),
        ("capability 10", changed(&good, 26, 0x24), "capability"),
        ("no container flag", changed(&good, 26, 0x10), "body_without_container"),
        ("body flipped under its CRC", changed(&signed, 60, signed[60] ^ 1), "message_crc"),
        ("header flipped under its CRC", changed(&header_signed, 8, b'8'), "header_crc"),
        ("container flipped", changed(&good, 80, good[80] ^ 1), "container_crc"),
        ("container of the other direction", till.message(&recount(other_way)), "container_kind"),
        ("container of another ФН", Till::new("9999078900000025").message(container), "container_foreign_fn"),
    ];
    for (name, message, reason) in rows {
        check(&daemon, name, &message, reason).await;
    }
    assert_eq!((daemon.documents().len(), daemon.quarantine().len()), (0, 0));
    let reply = daemon.connect().await.exchange(&good).await;
    assert_eq!(till.code(1, &reply), 0, "the daemon goes on");
    daemon.stop().await;
}

/// A container with its checksum made right again.
fn recount(mut container: Vec<u8>) -> Vec<u8> {
    let crc = kkt_proto::crc::ccitt_false(&[&container[..2], &container[4..]]);
    container[2..4].copy_from_slice(&crc.to_le_bytes());
    container
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_by_its_header() {
    let mut setup = Setup::new();
    setup.config.max_body_bytes = 1024;
    let daemon = setup.start().await;
    let till = Till::new(FN);
    let of_size = |size: usize| {
        let empty = till.container(1, &till.document(FormCode::RECEIPT, 1), Body::Open).len();
        // A second name of the cashier: against the rules, but not against those of the wire. It costs four bytes more
        // than its value.
        let document = till.document_with(FormCode::RECEIPT, 1, |records| {
            records.push((1021, vec![b'x'; size - empty - 4]));
        });
        till.message(&till.container(1, &document, Body::Open))
    };
    assert_eq!(of_size(1024).len(), 30 + 1024);
    let reply = daemon.connect().await.exchange(&of_size(1024)).await;
    assert_eq!(till.code(1, &reply), 14);
    check(&daemon, "one byte past the limit", &of_size(1025), "body_size").await;
    check(&daemon, "only the header", &of_size(1025)[..30], "body_size").await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_came_before_the_damage_is_answered() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut client = daemon.connect().await;
    client
        .send(&[till.receipt(1), till.receipt(2), b"garbage that is longer than a header".to_vec()].concat())
        .await;
    for number in [1, 2] {
        let (header, body) = client.reply().await;
        assert_eq!(till.code(number, &body), 0);
        assert_eq!(header.p_version, PVersion::FFD_1_05);
    }
    client.expect_silent_close().await;
    drop(client);
    daemon.stop().await;
}

#[tokio::test]
async fn reserved_bits_of_the_flags_are_ignored() {
    let daemon = Setup::new().start().await;
    let till = Till::new(FN);
    let mut message = till.receipt(1);
    message[26] |= 0x08;
    message[27] = 0x80;
    let reply = daemon.connect().await.exchange(&message).await;
    assert_eq!(till.code(1, &reply), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_register_that_leaves_in_the_middle_of_a_message_is_counted() {
    let daemon = Setup::new().start().await;
    let mut client = daemon.connect().await;
    client.send(&Till::new(FN).receipt(1)[..40]).await;
    drop(client);
    daemon.running.until_metric(r#"fiscald_rejects_total{reason="cut_off"}"#, 1.0).await;
    daemon.running.until_metric("fiscald_connections_open", 0.0).await;
    daemon.stop().await;
}
