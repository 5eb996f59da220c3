//! Code page 866 (IBM866), the alphabet of all strings of a fiscal document. Each of its 256 bytes is a character and
//! survives a round trip.

use std::borrow::Cow;

use encoding_rs::IBM866;

pub use crate::error::EncodeError;

/// Reads cp866; cannot fail. ASCII text is borrowed.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    // No byte is undefined, so there is no error to look at.
    let (text, _) = IBM866.decode_without_bom_handling(bytes);
    text
}

/// Without the white space at either end, as [`str::trim`] of the same text.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    /// Tab to carriage return, space, and the space that does not break.
    fn is_space(byte: u8) -> bool {
        matches!(byte, 0x09..=0x0D | 0x20 | 0xFF)
    }
    let mut bytes = bytes;
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Writes cp866.
///
/// # Errors
/// [`EncodeError`] with the first character that does not exist there; nothing is replaced silently.
pub fn encode(text: &str) -> Result<Vec<u8>, EncodeError> {
    let is_foreign = |text: &str| IBM866.encode(text).2;
    let (bytes, _, replaced) = IBM866.encode(text);
    if replaced
        && let Some(character) = text.chars().find(|character| is_foreign(character.encode_utf8(&mut [0; 4])))
    {
        return Err(EncodeError { character });
    }
    Ok(bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn russian_text_takes_one_byte_a_letter() {
        let bytes = hex::decode("8FE0A8A2A5E2").unwrap();
        assert_eq!(decode(&bytes), "Привет");
        assert_eq!(encode("Привет").unwrap(), bytes);
    }

    #[test]
    fn every_byte_survives_both_ways() {
        for byte in 0..=u8::MAX {
            let text = decode(&[byte]).into_owned();
            assert_eq!(text.chars().count(), 1);
            assert_eq!(encode(&text).unwrap(), [byte]);
        }
    }

    #[test]
    fn ascii_is_not_copied() {
        assert!(matches!(decode(b"www.nalog.gov.ru"), Cow::Borrowed(_)));
    }

    #[test]
    fn white_space_is_that_of_the_text() {
        for byte in 0..=u8::MAX {
            for bytes in [vec![byte], vec![byte, b'a', byte, b'b', byte, byte], vec![b'a', byte, b'b']] {
                assert_eq!(decode(trim(&bytes)), decode(&bytes).trim(), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn a_foreign_character_is_refused_and_named() {
        assert_eq!(encode("цена 5 €"), Err(EncodeError { character: '€' }));
        assert_eq!(encode("€ и ₽"), Err(EncodeError { character: '€' }));
        assert_eq!(encode("\u{FFFD}"), Err(EncodeError { character: '\u{FFFD}' }));
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(encode(&decode(&bytes)).unwrap(), bytes);
        }
    }
}
