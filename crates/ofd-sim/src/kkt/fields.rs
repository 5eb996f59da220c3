//! A writer of document fields: values of the FFD types into TLV records, one after another.
//!
//! The first failure (a text that cp866 lacks, a value past its length field) is kept and comes out of
//! [`Fields::finish`], so that the builders of documents read as plain lists of tags.

use ffd::tlv;
use ffd::value::{self, Decimal, cp866};

/// A field that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tag {tag}: {problem}")]
pub(crate) struct FieldError {
    /// The tag that failed.
    pub(crate) tag: u16,
    /// What is wrong with it.
    pub(crate) problem: String,
}

/// TLV records under construction; the order of the calls is the order on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    error: Option<FieldError>,
}

impl Fields {
    /// No fields yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The records written so far.
    ///
    /// # Errors
    /// The first field that could not be written.
    pub(crate) fn finish(self) -> Result<Vec<u8>, FieldError> {
        match self.error {
            None => Ok(self.bytes),
            Some(error) => Err(error),
        }
    }

    /// One byte.
    pub(crate) fn byte(&mut self, tag: u16, value: u8) -> &mut Self {
        self.raw(tag, &[value])
    }

    /// Two bytes, little-endian.
    pub(crate) fn u16(&mut self, tag: u16, value: u16) -> &mut Self {
        self.raw(tag, &value.to_le_bytes())
    }

    /// Four bytes, little-endian: a number, a 4-byte mask or a till time.
    pub(crate) fn u32(&mut self, tag: u16, value: u32) -> &mut Self {
        self.raw(tag, &value.to_le_bytes())
    }

    /// An integer of as many bytes as it needs (VLN): sums in kopecks.
    pub(crate) fn vln(&mut self, tag: u16, value: u64) -> &mut Self {
        self.raw(tag, &value::vln_bytes(value))
    }

    /// A decimal (FVLN): quantities.
    pub(crate) fn fvln(&mut self, tag: u16, value: Decimal) -> &mut Self {
        self.raw(tag, &value::fvln_bytes(value))
    }

    /// A string in cp866.
    pub(crate) fn text(&mut self, tag: u16, text: &str) -> &mut Self {
        self.padded(tag, text, 0)
    }

    /// A string in cp866, filled with spaces on the right up to `width` bytes.
    pub(crate) fn padded(&mut self, tag: u16, text: &str, width: usize) -> &mut Self {
        match cp866::encode(text) {
            Ok(mut bytes) => {
                if bytes.len() < width {
                    bytes.resize(width, b' ');
                }
                self.raw(tag, &bytes)
            }
            Err(error) => self.fail(tag, error.to_string()),
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, tag: u16, value: &[u8]) -> &mut Self {
        if let Err(error) = tlv::write_record(&mut self.bytes, tag, value) {
            self.fail(tag, error.to_string());
        }
        self
    }

    /// A structure (STLV) filled by `fill`.
    pub(crate) fn group(&mut self, tag: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        fill(&mut inner);
        match inner.finish() {
            Ok(bytes) => self.raw(tag, &bytes),
            Err(error) => self.fail(error.tag, error.problem),
        }
    }

    fn fail(&mut self, tag: u16, problem: String) -> &mut Self {
        self.error.get_or_insert(FieldError { tag, problem });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fill: impl FnOnce(&mut Fields), expected: &str) {
        let mut fields = Fields::new();
        fill(&mut fields);
        assert_eq!(hex::encode(fields.finish().unwrap()), expected);
    }

    #[test]
    fn worked_bytes_of_the_format_text() {
        check(|f| _ = f.vln(1020, 1_234_567), "fc03030087d612");
        check(|f| _ = f.fvln(1023, Decimal { mantissa: 1500, scale: 3 }), "ff03030003dc05");
        check(|f| _ = f.text(1048, "Привет"), "180406008fe0a8a2a5e2");
        check(|f| _ = f.padded(1018, "7702203276", 12), "fa030c00373730323230333237362020");
        check(|f| _ = f.group(1068, |g| _ = g.byte(1022, 14)), "2c040500fe0301000e");
    }

    #[test]
    fn the_first_failure_is_reported_from_any_depth() {
        let mut fields = Fields::new();
        fields.group(1059, |g| {
            g.text(1030, "日本").raw(1077, &[0; 70_000]);
        });
        assert_eq!(fields.finish().unwrap_err().tag, 1030);
        let mut long = Fields::new();
        long.raw(1077, &[0; 65_536]);
        assert_eq!(long.finish().unwrap_err().tag, 1077);
    }
}
