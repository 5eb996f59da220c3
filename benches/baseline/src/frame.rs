//! What a bare server knows of the wire: where a message ends, and the two numbers that key it.

use bytes::{Bytes, BytesMut};

/// Length of the session header.
const SESSION_LEN: usize = 30;
/// Offset of the body's length in it, little-endian.
const AT_BODY_LEN: usize = 24;
/// Offset of the number of the fiscal storage in it: 16 digits.
const AT_FN: usize = 8;
/// Offset of the form of the document: byte 5 of the container.
const AT_FORM: usize = SESSION_LEN + 5;
/// Offset of the number of the document: three bytes from byte 17 of the container, big-endian.
const AT_FD: usize = SESSION_LEN + 17;

/// Every answer: as long as an acknowledgement with its session header, of nothing but the signature and the length.
pub(crate) const REPLY: [u8; 180] = {
    let mut reply = [0; 180];
    (reply[0], reply[1], reply[2], reply[3]) = (0x2A, 0x08, 0x41, 0x0A);
    reply[AT_BODY_LEN] = 150;
    reply
};

/// Cuts the first whole message off what was received.
pub(crate) fn cut(received: &mut BytesMut) -> Option<Bytes> {
    let length = received.get(AT_BODY_LEN..)?.first_chunk::<2>()?;
    let whole = SESSION_LEN + usize::from(u16::from_le_bytes(*length));
    (received.len() >= whole).then(|| received.split_to(whole).freeze())
}

/// The number of the fiscal storage.
pub(crate) fn fn_number(frame: &[u8]) -> i64 {
    let digits = frame.get(AT_FN..AT_BODY_LEN).unwrap_or_default();
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit.wrapping_sub(b'0') % 10))
}

/// The number of the document.
pub(crate) fn fd_number(frame: &[u8]) -> u32 {
    let bytes = frame.get(AT_FD..).and_then(|rest| rest.first_chunk::<3>());
    bytes.map_or(0, |[high, middle, low]| u32::from_be_bytes([0, *high, *middle, *low]))
}

/// The form of the document.
pub(crate) fn form(frame: &[u8]) -> u8 {
    frame.get(AT_FORM).copied().unwrap_or_default()
}
