//! Values of records: numbers, money, decimals, local time, bit masks, cp866 text (FFD order, TLV encoding).
//!
//! Reading is as tolerant as genuine registers demand (a zero in three spellings, padded numbers) and never guesses: a
//! value that does not have the type of its tag is a [`ValueError`] and stays raw in the tree. Lengths beyond what the
//! type itself needs are a matter of [`crate::check`].

use std::borrow::Cow;
use std::fmt;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::dict::{TagDef, ValueKind};
pub use crate::error::{EncodeError, Lengths, ValueError};
use crate::tags;

pub mod cp866;

/// The longest VLN, in bytes (the old limit of the order; the present one is 6).
pub const MAX_VLN_LEN: usize = 8;

/// The longest FVLN, in bytes: the byte of the decimal point and 7 bytes of mantissa.
pub const MAX_FVLN_LEN: usize = 8;

/// Most digits after the point of a [`Decimal`]: a 64-bit mantissa has no more than 20 digits at all.
pub const MAX_DECIMAL_SCALE: u8 = 19;

/// A value that is not a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// One byte; no byte at all means 0.
    Byte(u8),
    /// Two bytes, little-endian.
    U16(u16),
    /// Four bytes, little-endian.
    U32(u32),
    /// A bit mask; bit 0 is 0x01 of the first byte.
    Bits {
        /// The mask.
        mask: u32,
        /// Bytes on the wire: 1 or 4.
        width: u8,
    },
    /// Little-endian number without its high zero bytes; money is in kopecks.
    Vln(u64),
    /// Exact decimal number.
    Fvln(Decimal),
    /// cp866 text as it stands: padding, inner and trailing spaces and line ends included.
    Text(Cow<'a, str>),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// The register's local wall clock; in document 7 true UTC.
    Time(LocalTime),
}

impl Value<'_> {
    /// The number of a byte, u16, u32, bit mask or VLN.
    pub fn unsigned(&self) -> Option<u64> {
        match *self {
            Value::Byte(number) => Some(number.into()),
            Value::U16(number) => Some(number.into()),
            Value::U32(number) => Some(number.into()),
            Value::Bits { mask, .. } => Some(mask.into()),
            Value::Vln(number) => Some(number),
            Value::Fvln(_) | Value::Text(_) | Value::Bytes(_) | Value::Time(_) => None,
        }
    }
}

/// Reads the value of a record whose meaning is `def`.
///
/// # Errors
/// [`ValueError`] when the bytes are not of the type, or the type is a group.
pub fn decode_value<'a>(def: &TagDef, bytes: &'a [u8]) -> Result<Value<'a>, ValueError> {
    let wrong_length = |expected| ValueError::Length { tag: def.tag, len: bytes.len(), expected };
    match def.kind {
        ValueKind::Byte => match *bytes {
            [] => Ok(Value::Byte(0)),
            [byte] => Ok(Value::Byte(byte)),
            _ => Err(wrong_length(Lengths::Either(0, 1))),
        },
        ValueKind::U16 => match *bytes {
            [low, high] => Ok(Value::U16(u16::from_le_bytes([low, high]))),
            // It was a u32 in the order of 2017; both lengths are genuine.
            [a, b, c, d] if def.tag == tags::KEY_RESOURCE => Ok(Value::U32(u32::from_le_bytes([a, b, c, d]))),
            _ => Err(wrong_length(Lengths::Exactly(2))),
        },
        ValueKind::U32 => match <[u8; 4]>::try_from(bytes) {
            Ok(word) => Ok(Value::U32(u32::from_le_bytes(word))),
            Err(_) => Err(wrong_length(Lengths::Exactly(4))),
        },
        ValueKind::Bits => match *bytes {
            [byte] => Ok(Value::Bits { mask: byte.into(), width: 1 }),
            [a, b, c, d] => Ok(Value::Bits { mask: u32::from_le_bytes([a, b, c, d]), width: 4 }),
            _ => Err(wrong_length(Lengths::Either(1, 4))),
        },
        ValueKind::Vln => {
            le_number(bytes).map(Value::Vln).ok_or_else(|| wrong_length(Lengths::Between(0, MAX_VLN_LEN)))
        }
        ValueKind::Fvln => decode_fvln(def.tag, bytes).map(Value::Fvln),
        ValueKind::Text => Ok(Value::Text(cp866::decode(bytes))),
        ValueKind::Bytes => Ok(Value::Bytes(bytes)),
        ValueKind::Time => match <[u8; 4]>::try_from(bytes) {
            Ok(word) => Ok(Value::Time(LocalTime::new(u32::from_le_bytes(word)))),
            Err(_) => Err(wrong_length(Lengths::Exactly(4))),
        },
        ValueKind::Group => Err(ValueError::IsGroup { tag: def.tag }),
    }
}

/// Whether [`decode_value`] gives a value: the same question without making one.
pub(crate) fn is_readable(def: &TagDef, bytes: &[u8]) -> bool {
    let len = bytes.len();
    match def.kind {
        ValueKind::Byte => len <= 1,
        ValueKind::U16 => len == 2 || len == 4 && def.tag == tags::KEY_RESOURCE,
        ValueKind::U32 | ValueKind::Time => len == 4,
        ValueKind::Bits => len == 1 || len == 4,
        ValueKind::Vln => len <= MAX_VLN_LEN,
        ValueKind::Fvln => {
            len <= MAX_FVLN_LEN && bytes.first().is_some_and(|&scale| scale <= MAX_DECIMAL_SCALE)
        }
        ValueKind::Text | ValueKind::Bytes => true,
        ValueKind::Group => false,
    }
}

fn decode_fvln(tag: u16, bytes: &[u8]) -> Result<Decimal, ValueError> {
    let wrong_length =
        || ValueError::Length { tag, len: bytes.len(), expected: Lengths::Between(1, MAX_FVLN_LEN) };
    let (&scale, mantissa) = bytes.split_first().ok_or_else(wrong_length)?;
    if bytes.len() > MAX_FVLN_LEN {
        return Err(wrong_length());
    }
    if scale > MAX_DECIMAL_SCALE {
        return Err(ValueError::Scale { tag, scale, limit: MAX_DECIMAL_SCALE });
    }
    let mantissa = le_number(mantissa).ok_or_else(wrong_length)?;
    Ok(Decimal { mantissa, scale })
}

/// A little-endian number of 0 to 8 bytes. Most have one to three.
pub(crate) fn le_number(bytes: &[u8]) -> Option<u64> {
    let fits = bytes.len() <= MAX_VLN_LEN;
    fits.then(|| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// VLN: little-endian without high zero bytes; zero is one byte `00`.
pub fn vln_bytes(number: u64) -> Vec<u8> {
    let word = number.to_le_bytes();
    let len = word.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
    word.into_iter().take(len).collect()
}

/// FVLN: the digits after the point, then the mantissa as a VLN.
///
/// A mantissa past 7 bytes is written whole, but makes more than the 8 bytes that the order allows and readers take.
pub fn fvln_bytes(decimal: Decimal) -> Vec<u8> {
    let mut bytes = vln_bytes(decimal.mantissa);
    bytes.insert(0, decimal.scale);
    bytes
}

/// An exact decimal number, `mantissa / 10^scale`, with the digits it had on the wire: 1.5 and 1.500 differ here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits without the point.
    pub mantissa: u64,
    /// Digits after the point; [`MAX_DECIMAL_SCALE`] at most when read from the wire.
    pub scale: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.mantissa, width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        f.write_str(whole)?;
        if !fraction.is_empty() {
            write!(f, ".{fraction}")?;
        }
        Ok(())
    }
}

/// A sum of money in kopecks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Kopecks(u64);

impl Kopecks {
    /// A sum of so many kopecks.
    pub fn new(kopecks: u64) -> Self {
        Self(kopecks)
    }

    /// The kopecks.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The whole roubles, kopecks dropped.
    pub fn whole_roubles(self) -> u64 {
        self.0 / 100
    }
}

impl From<u64> for Kopecks {
    fn from(kopecks: u64) -> Self {
        Self(kopecks)
    }
}

impl fmt::Display for Kopecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// What the wall clock at the till showed, as seconds since 1970-01-01 00:00:00 of that same clock.
///
/// It is never shifted by a zone: the zone is not in the document. The one exception is tag 1012 of document 7
/// (подтверждение оператора), which holds UTC in the same four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u32);

/// The clock's zero. Every `u32` of seconds after it is a date before 2107, far inside what jiff can hold.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl LocalTime {
    /// The time that many seconds after 1970-01-01 00:00:00 of the till's clock.
    pub fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01 00:00:00 of the till's clock.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Date and time on the till's clock.
    pub fn civil(self) -> DateTime {
        EPOCH.saturating_add(SignedDuration::from_secs(self.0.into()))
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        let (date, time) = (civil.date(), civil.time());
        write!(f, "{date} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
    }
}

#[cfg(test)]
mod tests;
