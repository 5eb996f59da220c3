//! Reading the input: a file or stdin, in any spelling.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ofd_sim::spelling::{self, Spelling};

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

/// The bytes behind their written form, and which form it was.
pub(super) fn decode(input: Vec<u8>, encoding: InputEncoding) -> Result<(Vec<u8>, Spelling)> {
    let spelling = match encoding {
        InputEncoding::Auto => {
            let (spelling, bytes) = spelling::recognise(input);
            return Ok((bytes, spelling));
        }
        InputEncoding::Binary => Spelling::Binary,
        InputEncoding::Hex => Spelling::Hex,
        InputEncoding::Base64 => Spelling::Base64,
    };
    match (spelling::read(spelling, input), spelling) {
        (Some(bytes), _) => Ok((bytes, spelling)),
        (None, Spelling::Hex) => {
            bail!("the input is not hex: an even number of hexadecimal digits and separators")
        }
        (None, _) => bail!("the input is not {spelling}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_form_is_not_guessed() {
        let check = |encoding, expected: (&[u8], Spelling)| {
            let (bytes, spelling) = decode(b"2a08".to_vec(), encoding).unwrap();
            assert_eq!((bytes.as_slice(), spelling), expected);
        };
        check(InputEncoding::Auto, (&[0x2a, 0x08], Spelling::Hex));
        check(InputEncoding::Hex, (&[0x2a, 0x08], Spelling::Hex));
        check(InputEncoding::Binary, (b"2a08", Spelling::Binary));
        check(InputEncoding::Base64, (&[0xd9, 0xad, 0x3c], Spelling::Base64));
    }

    #[test]
    fn what_is_not_of_the_named_form_is_refused() {
        let refused = |input: &[u8], encoding| decode(input.to_vec(), encoding).unwrap_err().to_string();
        assert!(refused(b"zz", InputEncoding::Hex).contains("not hex"));
        assert!(refused(b"\x00", InputEncoding::Base64).contains("not base64"));
    }
}
