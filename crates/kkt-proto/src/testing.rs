//! Shared by the tests of this crate: captured bytes and made-up messages.

use std::time::Instant;

use ffd::ids::{FdNumber, FnNumber};
use proptest::prelude::*;

use crate::container::{self, ContainerHeader, ContainerKind, FORMAT_VERSION, SERVICE_1, SERVICE_2};
use crate::header::{CrcMode, Header, PVersion};

macro_rules! capture {
    ($name:ident, $file:literal) => {
        pub(crate) const $name: &[u8] =
            include_bytes!(concat!("../../../proto-fixtures/captures/", $file, ".bin"));
    };
}

capture!(ACK_TAXCOM, "container_ack7_taxcom_flk14_9999078902013267_fd1");
capture!(CONTAINER_REG1_FFD10, "container_reg1_ffd10_9999078912345678_fd1");
capture!(MSG_REG11_FFD105, "msg_reg11_ffd105_9999078900005488_fd1");
capture!(MSG_REG11_FFD12, "msg_reg11_ffd12_9999078902013267_fd1");
capture!(SESSION_HEADER_FFD10, "session_header_ffd10_9999078950");

/// Vectors of the stand-in signs, for their containers and acknowledgements.
const CRYPTO_VECTORS: &str = include_str!("../../../proto-fixtures/vectors/crypto-vectors.json");

/// Some moment for made-up clocks to begin at; an `Instant` can be had from nowhere else.
#[expect(clippy::disallowed_methods, reason = "the clock is not read again: tests add to this moment")]
pub(crate) fn beginning() -> Instant {
    Instant::now()
}

pub(crate) fn fn_number() -> FnNumber {
    FnNumber::from_padded(b"9999078900000017").unwrap()
}

/// A message with `body` as it lies on the wire.
pub(crate) fn message(fn_number: FnNumber, mode: CrcMode, body: &[u8]) -> Vec<u8> {
    let header = Header::for_message(fn_number, PVersion::FFD_1_2, mode, body).unwrap();
    [header.encode().as_slice(), body].concat()
}

/// A container with a small open document.
pub(crate) fn small_container(fd_number: u32, form: u8) -> Vec<u8> {
    let data = [form, 0, 1, 0, 0xAA];
    let header = ContainerHeader {
        kind: ContainerKind::FROM_FN,
        form,
        version: FORMAT_VERSION,
        service1: SERVICE_1,
        fn_number: fn_number(),
        fd_number: FdNumber::new(fd_number).unwrap(),
        iv: [1, 2, 3, 4, 5, 0, 0, 1],
        service2: SERVICE_2,
        open_len: 5,
    };
    container::encode(&header, &data, *b"\x81\x06abcdef").unwrap()
}

pub(crate) fn any_fn_number() -> impl Strategy<Value = FnNumber> {
    "[0-9]{1,16}".prop_map(|digits| FnNumber::from_padded(digits.as_bytes()).unwrap())
}

pub(crate) fn any_fd_number() -> impl Strategy<Value = FdNumber> {
    (1_u32..=0xFF_FFFF).prop_map(|number| FdNumber::new(number).unwrap())
}

/// The signed messages of the vectors file.
pub(crate) fn crypto_messages() -> Vec<serde_json::Value> {
    let vectors: serde_json::Value = serde_json::from_str(CRYPTO_VECTORS).unwrap();
    vectors["messages"].as_array().unwrap().clone()
}

pub(crate) fn hex_field(object: &serde_json::Value, name: &str) -> Vec<u8> {
    hex::decode(object[name].as_str().unwrap()).unwrap()
}
