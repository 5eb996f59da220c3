//! Bytes as people hand them over: binary, hexadecimal in any of its usual spellings, base64.
//!
//! The one place that tells them apart; what the bytes mean is not asked here.

use std::fmt;

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How bytes are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spelling {
    /// The bytes themselves.
    Binary,
    /// Hexadecimal digits.
    Hex,
    /// Base64, standard or URL-safe.
    Base64,
}

impl Spelling {
    /// Short name: `binary`, `hex`, `base64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

impl fmt::Display for Spelling {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The bytes behind `input`, and how they were written.
///
/// Nothing that travels is printable text, so a text that can be read as hexadecimal digits or base64 is
/// that; digits come first, since every text of them is base64 too. Everything else, the empty input
/// included, is binary.
#[must_use]
pub fn recognise(input: Vec<u8>) -> (Spelling, Vec<u8>) {
    if let Some(bytes) = hex(&input) {
        return (Spelling::Hex, bytes);
    }
    match base64(&input) {
        Some(bytes) => (Spelling::Base64, bytes),
        None => (Spelling::Binary, input),
    }
}

/// Reads `input` in the given spelling; nothing when it is not written so, or stands for no byte at all
/// (binary is always itself).
#[must_use]
pub fn read(spelling: Spelling, input: Vec<u8>) -> Option<Vec<u8>> {
    match spelling {
        Spelling::Binary => Some(input),
        Spelling::Hex => hex(&input),
        Spelling::Base64 => base64(&input),
    }
}

/// Digits of both cases; white space, `:`, `-` and `,` are skipped anywhere, `0x` before any group of digits.
fn hex(input: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let mut digits = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ':' | '-' | ',')) {
        let word = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        digits.push_str(word);
    }
    ::hex::decode(digits).ok().filter(|bytes| !bytes.is_empty())
}

/// Standard or URL-safe letters, with or without the padding, over any number of lines.
fn base64(input: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decode = |alphabet: &Alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(&text).ok();
    decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE)).filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &[u8], spelling: Spelling) {
        let found = recognise(input.to_vec());
        assert_eq!(found, (spelling, expected.to_vec()), "{:?}", String::from_utf8_lossy(input));
        assert_eq!(read(spelling, input.to_vec()), Some(expected.to_vec()));
    }

    #[test]
    fn every_spelling_is_told_by_its_content() {
        let head = [0x2a, 0x08, 0x41, 0x0a];
        check(b"2a08410a", &head, Spelling::Hex);
        check(b"2A08410A\n", &head, Spelling::Hex);
        check(b"0x2a08410a\r\n", &head, Spelling::Hex);
        check(b"0x2a 0X08 0x41 0x0a", &head, Spelling::Hex);
        check(b"2a:08-41,0a", &head, Spelling::Hex);
        check(b"2A 08\n41 0A\n", &head, Spelling::Hex);
        check(b"KghBCg==\n", &head, Spelling::Base64);
        check(b"KghB\nCg", &head, Spelling::Base64);
        check(b"//8AHA==", &[0xff, 0xff, 0x00, 0x1c], Spelling::Base64);
        check(b"__8AHA==", &[0xff, 0xff, 0x00, 0x1c], Spelling::Base64);
        check(&head, &head, Spelling::Binary);
        check(b"", b"", Spelling::Binary);
        check(b" \n", b" \n", Spelling::Binary);
        check(b"0x", b"0x", Spelling::Binary);
        check(b"hello, no spelling of bytes", b"hello, no spelling of bytes", Spelling::Binary);
        // An odd number of digits is no hexadecimal; as base64 it makes sense.
        check(b"2a0", &[0xd9, 0xad], Spelling::Base64);
    }

    #[test]
    fn a_named_spelling_is_not_guessed() {
        let check = |spelling, input: &[u8], expected: Option<&[u8]>| {
            assert_eq!(read(spelling, input.to_vec()).as_deref(), expected, "{spelling}");
        };
        check(Spelling::Hex, b"2a08", Some(&[0x2a, 0x08]));
        check(Spelling::Base64, b"2a08", Some(&[0xd9, 0xad, 0x3c]));
        check(Spelling::Binary, b"2a08", Some(b"2a08"));
        check(Spelling::Hex, b"zz", None);
        check(Spelling::Hex, b"", None);
        check(Spelling::Base64, b"\x00", None);
        check(Spelling::Base64, b"", None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_spelled_is_read_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..100)) {
            assert_eq!(recognise(::hex::encode(&bytes).into_bytes()), (Spelling::Hex, bytes.clone()));
            for engine in [base64::engine::general_purpose::STANDARD, base64::engine::general_purpose::URL_SAFE_NO_PAD] {
                let text = engine.encode(&bytes).into_bytes();
                assert_eq!(read(Spelling::Base64, text), Some(bytes.clone()));
            }
        }

        #[test]
        fn no_input_can_panic(input in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = recognise(input);
        }
    }
}
