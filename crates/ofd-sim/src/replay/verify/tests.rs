use std::time::Duration;

use kkt_proto::container;
use kkt_proto::header::{CrcMode, PVersion};

use super::*;
use crate::replay::{Exchange, read_capture};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../proto-fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn captured(bytes: Vec<u8>) -> CapturedMessage {
    let header = Header::decode(bytes.first_chunk().unwrap()).unwrap();
    CapturedMessage { at: Duration::ZERO, header, bytes }
}

fn message() -> CapturedMessage {
    captured(fixture("captures/msg_reg11_ffd12_9999078902013267_fd1.bin"))
}

fn framed(body: &[u8]) -> Vec<u8> {
    [message().header.reply_header(body).unwrap().encode().as_slice(), body].concat()
}

/// A real operator's answer: code 14.
fn answer() -> Vec<u8> {
    framed(&fixture("captures/container_ack7_taxcom_flk14_9999078902013267_fd1.bin"))
}

/// The real answer with changes to its parts, lengths and check codes right.
fn changed(change: impl FnOnce(&mut container::ContainerHeader, &mut [u8], &mut [u8; 8])) -> Vec<u8> {
    let answer = answer();
    let inner = Container::decode(&answer[HEADER_LEN..]).unwrap();
    let (mut header, mut data, mut sign) = (inner.header, inner.data.to_vec(), inner.sign);
    change(&mut header, &mut data, &mut sign);
    framed(&container::encode(&header, &data, sign).unwrap())
}

/// Offset of the value of a record in the answer's document.
fn value(data: &[u8], tag: u16) -> usize {
    let records = tlv::records(&data[4..], 4).unwrap();
    records.iter().find(|record| record.tag == tag).unwrap().offset + 4
}

#[test]
fn a_real_answer_is_right_and_compared_without_time_and_signs() {
    let was = answer();
    let check = |bytes: &[u8], compared: Compared, code: u8| {
        let found = verify(&message(), Some(&was), bytes, None);
        assert_eq!(found, Ok(Right { code: Some(code), compared }));
    };
    check(&was, Compared::Same, 14);
    let other = changed(|header, data, sign| {
        header.iv = [9; 8];
        *sign = [0x82, 6, 1, 2, 3, 4, 5, 6];
        let (time, fpo) = (value(data, tags::DATE_TIME), value(data, tags::OPERATOR_SIGN));
        data[time] ^= 1;
        data[fpo + 7] ^= 1;
    });
    check(&other, Compared::Same, 14);
    let code = changed(|_, data, _| *data.last_mut().unwrap() = 0);
    check(&code, Compared::OtherCode(14), 0);
    let inn = changed(|_, data, _| {
        let inn = value(data, tags::OFD_INN);
        data[inn] = b'9';
    });
    check(&inn, Compared::OtherBytes, 14);
    let found = verify(&message(), None, &was, None);
    assert_eq!(found, Ok(Right { code: Some(14), compared: Compared::NotCaptured }));
    // A captured answer that cannot be read is no standard.
    assert_eq!(verify(&message(), Some(&was[..50]), &was, None).unwrap().compared, Compared::Unknown);
}

#[test]
fn wrong_answers_are_told_apart() {
    let check = |bytes: &[u8], part: &str| {
        let error = verify(&message(), None, bytes, None).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    check(&answer()[..20], "shorter");
    check(&message().bytes, "not an operator's acknowledgement");
    let mut other = answer();
    other[23] = b'8';
    check(&other, "for another storage");
    let mut other = answer();
    other[60] ^= 1;
    check(&other, "container");
    check(&changed(|header, _, _| header.fd_number = ffd::FdNumber::new(2).unwrap()), "ФД 2");
    check(
        &changed(|_, data, _| {
            let fd = value(data, tags::FD_NUMBER);
            data[fd] = 2;
        }),
        "document 7 about",
    );
    check(&changed(|_, data, _| data[4] ^= 1), "document 7");
    let reply = message().header.probe_reply().encode();
    check(&reply, "container");
}

#[test]
fn a_probe_is_answered_with_its_own_header() {
    let number = message().header.fn_number;
    let probe = captured(Header::probe(number, PVersion::FFD_1_2, CrcMode::None).encode().to_vec());
    let reply = probe.header.probe_reply().encode();
    let right = |compared| Ok(Right { code: None, compared });
    assert_eq!(verify(&probe, None, &reply, None), right(Compared::NotCaptured));
    assert_eq!(verify(&probe, Some(&reply), &reply, None), right(Compared::Same));
    assert!(verify(&probe, None, &probe.bytes, None).is_err());
    assert!(verify(&probe, None, &answer(), None).is_err());
}

#[test]
fn with_keys_answers_are_checked_as_a_storage_does() {
    let keys = SimKeys::published();
    let mut checked = 0;
    let mut encrypted = 0;
    for flow in read_capture(fixture("streams/live.pcapng").as_slice()).unwrap().flows {
        for Exchange { message, answer } in &flow.exchanges {
            let Some(answer) = answer.as_ref().filter(|_| !message.header.is_probe()) else { continue };
            let checker = checker(message.header.fn_number, &keys).unwrap();
            let found = verify(message, Some(&answer.bytes), &answer.bytes, Some(&checker)).unwrap();
            assert_eq!((found.code, found.compared), (Some(0), Compared::Same));
            let without = verify(message, Some(&answer.bytes), &answer.bytes, None).unwrap();
            if without.code.is_none() {
                encrypted += 1;
                assert_eq!(without.compared, Compared::Unknown);
            }
            let inner = Container::decode(answer.body()).unwrap();
            let mut sign = inner.sign;
            sign[7] ^= 1;
            let body = container::encode(&inner.header, inner.data, sign).unwrap();
            let forged = [answer.bytes[..HEADER_LEN].to_vec(), body].concat();
            let refused = verify(message, None, &forged, Some(&checker)).unwrap_err();
            assert!(refused.contains("wrong fiscal sign"), "{refused}");
            assert!(verify(message, None, &forged, None).is_ok());
            checked += 1;
        }
    }
    assert!(checked > 100 && encrypted > 10, "{checked} checked, {encrypted} encrypted");
}
