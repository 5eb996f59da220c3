//! Records: tag u16 LE, length u16 LE, value (FFD order, TLV encoding). Reader over borrowed bytes and writer.
//!
//! This layer knows nothing of what a tag means; a group (STLV) is a value that is itself a list of records, and
//! [`crate::document`] decides which values are groups.

use nom::Parser as _;
use nom::bytes::complete::take;

pub use crate::error::TlvError;

/// Bytes of a record's header: tag and length.
pub const HEADER_LEN: usize = 4;

/// The longest value of a record, in bytes: its length field has 16 bits.
pub const MAX_VALUE_LEN: usize = 0xFFFF;

/// Groups inside groups that are decoded; the deepest that the format has is three (1194 > 1133 > 1145 of a shift's end).
///
/// A group one past it is kept raw as broken. The limit keeps the recursion of the reader and of all views short.
pub const MAX_DEPTH: usize = 8;

/// One record, its value borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag.
    pub tag: u16,
    /// Where the record's header begins, from wherever the reader's base offset counts.
    pub offset: usize,
    /// The value without the header.
    pub value: &'a [u8],
}

/// Lazy reader of a list of records. After an error it ends.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Records<'a> {
    /// Reads `input`; the first record gets the offset `base_offset`.
    pub fn new(input: &'a [u8], base_offset: usize) -> Self {
        Self { rest: input, offset: base_offset }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = record(self.rest, self.offset);
        match &parsed {
            Ok((rest, tlv)) => {
                self.rest = rest;
                self.offset += HEADER_LEN + tlv.value.len();
            }
            Err(_) => self.rest = &[],
        }
        Some(parsed.map(|(_, tlv)| tlv))
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// Reads all records of `input`; the first one gets the offset `base_offset`.
///
/// # Errors
/// [`TlvError`] when a header or a value is cut short; nothing is returned of the records before it.
pub fn records(input: &[u8], base_offset: usize) -> Result<Vec<Tlv<'_>>, TlvError> {
    Records::new(input, base_offset).collect()
}

/// One record and what follows it. The header is taken as four bytes: this is done some two hundred times a document, and
/// two numbers parsed one after another took twice as many instructions. The `nom` error carries nothing: position, tag
/// and length are known here.
#[inline]
fn record(input: &[u8], offset: usize) -> Result<(&[u8], Tlv<'_>), TlvError> {
    let Some((&[t0, t1, l0, l1], body)) = input.split_first_chunk::<HEADER_LEN>() else {
        return Err(TlvError::TruncatedHeader { offset, available: input.len() });
    };
    let (tag, declared) = (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([l0, l1]));
    match take(declared).parse_complete(body) {
        Ok((rest, value)) => Ok((rest, Tlv { tag, offset, value })),
        Err(nom::Err::<()>::Incomplete(_) | nom::Err::Error(()) | nom::Err::Failure(())) => {
            Err(TlvError::Overrun { offset, tag, declared, available: body.len() })
        }
    }
}

/// Appends one record.
///
/// # Errors
/// [`TlvError::TooLong`] past [`MAX_VALUE_LEN`]; `out` is as it was.
pub fn write_record(out: &mut Vec<u8>, tag: u16, value: &[u8]) -> Result<(), TlvError> {
    let len = value_len(tag, value.len())?;
    out.reserve(HEADER_LEN + value.len());
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Appends one group (or a whole document: its form code is the tag), whose records `write_records` appends.
///
/// # Errors
/// [`TlvError`] of `write_records`, or [`TlvError::TooLong`] for the group itself; `out` is as it was.
pub fn write_group<F>(out: &mut Vec<u8>, tag: u16, write_records: F) -> Result<(), TlvError>
where
    F: FnOnce(&mut Vec<u8>) -> Result<(), TlvError>,
{
    let start = out.len();
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    let written =
        write_records(out).and_then(|()| value_len(tag, out.len().saturating_sub(start + HEADER_LEN)));
    match written {
        Ok(len) => {
            if let Some(place) = out.get_mut(start + 2..start + HEADER_LEN) {
                place.copy_from_slice(&len.to_le_bytes());
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

fn value_len(tag: u16, len: usize) -> Result<u16, TlvError> {
    u16::try_from(len).map_err(|_| TlvError::TooLong { tag, len, limit: MAX_VALUE_LEN })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(hex_input: &str, expected: Result<&[Tlv<'_>], TlvError>) {
        let input = hex::decode(hex_input.replace(' ', "")).unwrap();
        let found = records(&input, 100);
        assert_eq!(found.as_deref().map_err(|&error| error), expected, "{hex_input}");
    }

    fn tlv(tag: u16, offset: usize, value: &[u8]) -> Tlv<'_> {
        Tlv { tag, offset, value }
    }

    #[test]
    fn records_are_cut_at_their_lengths() {
        check("", Ok(&[]));
        check("FC 03 03 00 87 D6 12", Ok(&[tlv(1020, 100, &[0x87, 0xD6, 0x12])]));
        check("FC 03 00 00 FF 03 01 00 09", Ok(&[tlv(1020, 100, &[]), tlv(1023, 104, &[9])]));
    }

    #[test]
    fn damage_names_its_place() {
        check("FC 03 03", Err(TlvError::TruncatedHeader { offset: 100, available: 3 }));
        check("FC 03 00 00 01", Err(TlvError::TruncatedHeader { offset: 104, available: 1 }));
        check(
            "FC 03 01 00 05 FF 03 04 00 01 02 03",
            Err(TlvError::Overrun { offset: 105, tag: 1023, declared: 4, available: 3 }),
        );
    }

    #[test]
    fn the_reader_ends_after_an_error() {
        let mut reader = Records::new(&[1, 0, 9, 0, 1, 0, 0, 0], 0);
        assert!(reader.next().unwrap().is_err());
        assert_eq!(reader.next(), None);
    }

    #[test]
    fn a_value_is_written_up_to_the_limit_and_not_past_it() {
        let mut out = vec![7];
        let longest = vec![0x55; MAX_VALUE_LEN];
        write_record(&mut out, 1059, &longest).unwrap();
        assert_eq!(records(&out[1..], 0).unwrap(), [Tlv { tag: 1059, offset: 0, value: &longest }]);

        let mut out = vec![7];
        let too_long = TlvError::TooLong { tag: 1059, len: MAX_VALUE_LEN + 1, limit: MAX_VALUE_LEN };
        assert_eq!(write_record(&mut out, 1059, &vec![0; MAX_VALUE_LEN + 1]), Err(too_long));
        let group = write_group(&mut out, 1059, |inner| {
            inner.extend_from_slice(&vec![0; MAX_VALUE_LEN + 1]);
            Ok(())
        });
        assert_eq!(group, Err(too_long));
        assert_eq!(out, [7], "a failed write leaves nothing behind");
    }

    #[test]
    fn a_group_counts_its_records_with_their_headers() {
        let mut out = Vec::new();
        write_group(&mut out, 3, |receipt| {
            write_record(receipt, 1020, &[1])?;
            write_group(receipt, 1059, |item| write_record(item, 1079, &[2]))
        })
        .unwrap();
        assert_eq!(out, hex::decode("03000e00fc0301000123040500370401000 2".replace(' ', "")).unwrap());
    }

    #[test]
    fn a_failed_record_undoes_its_group() {
        let mut out = Vec::new();
        let outcome = write_group(&mut out, 3, |inner| {
            write_record(inner, 1, &[1])?;
            write_record(inner, 2, &vec![0; MAX_VALUE_LEN + 1])
        });
        assert!(outcome.is_err());
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn written_records_read_back(list in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let mut out = Vec::new();
            for (tag, value) in &list {
                write_record(&mut out, *tag, value).unwrap();
            }
            let read = records(&out, 0).unwrap();
            let read: Vec<_> = read.iter().map(|tlv| (tlv.tag, tlv.value.to_vec())).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn any_bytes_read_as_records_or_fail_inside_the_input(input in prop::collection::vec(any::<u8>(), 0..200)) {
            match records(&input, 0) {
                Ok(list) => {
                    let mut out = Vec::new();
                    for tlv in list {
                        prop_assert_eq!(tlv.offset, out.len());
                        write_record(&mut out, tlv.tag, tlv.value).unwrap();
                    }
                    prop_assert_eq!(out, input);
                }
                Err(TlvError::TruncatedHeader { offset, available }) => {
                    prop_assert!(available > 0 && offset + available == input.len());
                }
                Err(TlvError::Overrun { offset, declared, available, .. }) => {
                    prop_assert!(offset + HEADER_LEN + available == input.len() && usize::from(declared) > available);
                }
                Err(TlvError::TooLong { .. }) => prop_assert!(false, "the reader never says so"),
            }
        }
    }
}
