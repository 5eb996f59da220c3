//! Bytes as people hand them over: binary, hex in any of its usual spellings, base64.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cli::InputEncoding;

/// Longest input that is read, bytes: a stream of some hundred messages, twice as long in hex.
const MAX_INPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Reads FILE, or stdin for `-`.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let name = file.display();
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_INPUT_BYTES + 1)
            .read_to_end(&mut bytes)
            .context("cannot read stdin")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {name}"))?;
        opened
            .take(MAX_INPUT_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {name}"))?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_INPUT_BYTES {
        bail!(
            "the input is longer than {MAX_INPUT_BYTES} bytes; decode handles messages, not whole archives"
        );
    }
    if bytes.is_empty() {
        bail!("the input is empty");
    }
    Ok(bytes)
}

/// The bytes behind their written form, and the name of that form.
pub(super) fn decode(input: Vec<u8>, encoding: InputEncoding) -> Result<(Vec<u8>, &'static str)> {
    match encoding {
        InputEncoding::Binary => Ok((input, "binary")),
        InputEncoding::Hex => match hex(&input) {
            Some(bytes) => Ok((bytes, "hex")),
            None => bail!("the input is not hex: an even number of hexadecimal digits and separators"),
        },
        InputEncoding::Base64 => match base64(&input) {
            Some(bytes) => Ok((bytes, "base64")),
            None => bail!("the input is not base64"),
        },
        // Nothing that travels is printable text, so a text is always a written form. Hex before base64: its digits
        // are base64 letters too.
        InputEncoding::Auto => match (hex(&input), base64(&input)) {
            (Some(bytes), _) => Ok((bytes, "hex")),
            (None, Some(bytes)) => Ok((bytes, "base64")),
            (None, None) => Ok((input, "binary")),
        },
    }
}

/// Digits in pairs; `0x` before a pair and white space, `:`, `-` or `,` between pairs are skipped.
fn hex(input: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let mut digits = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ':' | '-' | ',')) {
        let word = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        digits.push_str(word);
    }
    if digits.is_empty() { None } else { ::hex::decode(digits).ok() }
}

/// Standard or URL-safe letters, with or without the padding, over any number of lines.
fn base64(input: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(&text).ok())
        .filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &[u8], form: &str) {
        let (bytes, found) = decode(input.to_vec(), InputEncoding::Auto).unwrap();
        assert_eq!((bytes.as_slice(), found), (expected, form), "{:?}", String::from_utf8_lossy(input));
    }

    #[test]
    fn the_form_is_recognised() {
        check(b"2a08410a", &[0x2a, 0x08, 0x41, 0x0a], "hex");
        check(b"2A 08 41 0A\n81 a2\n", &[0x2a, 0x08, 0x41, 0x0a, 0x81, 0xa2], "hex");
        check(b"2a:08-41,0a", &[0x2a, 0x08, 0x41, 0x0a], "hex");
        check(b"0x2a 0x08", &[0x2a, 0x08], "hex");
        check(b"KghBCg==\n", &[0x2a, 0x08, 0x41, 0x0a], "base64");
        check(b"KghBCg", &[0x2a, 0x08, 0x41, 0x0a], "base64");
        check(b"__8AHA==", &[0xff, 0xff, 0x00, 0x1c], "base64");
        check(&[0x2a, 0x08, 0x41, 0x0a, 0x81], &[0x2a, 0x08, 0x41, 0x0a, 0x81], "binary");
        // An odd number of digits is no hex; as base64 it makes sense.
        check(b"2a0", &[0xd9, 0xad], "base64");
    }

    #[test]
    fn a_named_form_is_not_guessed() {
        let forced = |encoding| decode(b"2a08".to_vec(), encoding).unwrap().0;
        assert_eq!(forced(InputEncoding::Hex), [0x2a, 0x08]);
        assert_eq!(forced(InputEncoding::Binary), b"2a08");
        assert_eq!(forced(InputEncoding::Base64), [0xd9, 0xad, 0x3c]);
        assert!(decode(b"zz".to_vec(), InputEncoding::Hex).is_err());
        assert!(decode(b"\x00".to_vec(), InputEncoding::Base64).is_err());
    }
}
