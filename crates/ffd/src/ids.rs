//! Numbers that name things: the fiscal storage (ФН), the fiscal document (ФД), the register's registration (РНМ), the
//! taxpayer (ИНН).
//!
//! A value of these types is well formed; whether such a thing exists is nobody's business here. Sources: FFD order
//! (tags 1041, 1040, 1037, 1018), sections "INN check digits" and "Registration number of the KKT".

use std::fmt;
use std::str::FromStr;

use crc::{CRC_16_IBM_3740, Crc, Table};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::error::{IdError, IdKind};

/// Number of a fiscal storage (номер ФН, tag 1041): 1 to 16 decimal digits.
///
/// On the wire it is a 16-byte string padded with spaces on the right, in the session and container headers packed
/// BCD. A number of 15 digits is genuine (early storages have one).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FnNumber([u8; 16]);

impl FnNumber {
    /// Reads up to 16 digits followed by nothing but spaces.
    ///
    /// # Errors
    /// [`IdError`] for more than 16 bytes, no digit at all, or anything else than digits and trailing spaces.
    pub fn from_padded(text: &[u8]) -> Result<Self, IdError> {
        let digits = without_padding(text);
        check_digits(IdKind::FnNumber, digits)?;
        match padded_to(text) {
            Some(padded) if !digits.is_empty() => Ok(Self(padded)),
            _ => Err(IdError::Length { kind: IdKind::FnNumber, len: text.len() }),
        }
    }

    /// Reads packed BCD, high digit first; a number shorter than 16 digits ends in `F` nibbles.
    ///
    /// # Errors
    /// [`IdError`] for a nibble that is no digit (save trailing `F`), or no digit at all.
    pub fn from_bcd(packed: &[u8; 8]) -> Result<Self, IdError> {
        let nibbles = packed.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let mut padded = [b' '; 16];
        let mut digits = 0;
        for (position, (place, nibble)) in padded.iter_mut().zip(nibbles).enumerate() {
            match nibble {
                0xF => {}
                0..=9 if position == digits => {
                    *place = b'0' + nibble;
                    digits += 1;
                }
                _ => return Err(IdError::NotDigit { kind: IdKind::FnNumber, position, byte: nibble }),
            }
        }
        if digits == 0 {
            return Err(IdError::Length { kind: IdKind::FnNumber, len: 0 });
        }
        Ok(Self(padded))
    }

    /// Packed BCD, high digit first, `F` nibbles after the last digit.
    pub fn to_bcd(&self) -> [u8; 8] {
        let (pairs, _) = self.0.as_chunks::<2>();
        let nibble = |byte: u8| if byte == b' ' { 0x0F } else { byte - b'0' };
        let mut packed = [0; 8];
        for (byte, &[high, low]) in packed.iter_mut().zip(pairs) {
            *byte = nibble(high) << 4 | nibble(low);
        }
        packed
    }

    /// The 16 bytes of the wire: digits, then spaces.
    pub fn padded(&self) -> [u8; 16] {
        self.0
    }

    /// The digits without padding.
    pub fn as_str(&self) -> &str {
        digits_as_str(&self.0)
    }

    /// Whether this is a test storage (отладочный ФН, МГМ): its number begins with 9999, it is refilled with documents
    /// from 1 again and again, and its registration number need not carry a right checksum.
    pub fn is_debug(&self) -> bool {
        self.0.starts_with(b"9999")
    }
}

/// Number of a fiscal document (номер ФД, tag 1040) inside its fiscal storage, 1..=16 777 215: the container carries
/// 24 bits of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FdNumber(u32);

impl FdNumber {
    /// The first document of a storage, its registration report.
    pub const FIRST: Self = Self(1);
    /// The largest number that fits the 24 bits of the container.
    pub const MAX: Self = Self(0xFF_FFFF);

    /// Checks the range.
    ///
    /// # Errors
    /// [`IdError::Range`] for zero and for anything past 24 bits.
    pub fn new(number: u32) -> Result<Self, IdError> {
        let (min, max) = (Self::FIRST.0, Self::MAX.0);
        if (min..=max).contains(&number) {
            return Ok(Self(number));
        }
        Err(IdError::Range { kind: IdKind::FdNumber, value: number.into(), min: min.into(), max: max.into() })
    }

    /// Reads the three big-endian bytes of a container header.
    ///
    /// # Errors
    /// [`IdError::Range`] for zero.
    pub fn from_be_bytes([high, middle, low]: [u8; 3]) -> Result<Self, IdError> {
        Self::new(u32::from_be_bytes([0, high, middle, low]))
    }

    /// The three big-endian bytes of a container header.
    pub fn to_be_bytes(self) -> [u8; 3] {
        let [_, high, middle, low] = self.0.to_be_bytes();
        [high, middle, low]
    }

    /// The number itself.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Registration number of a cash register (РНМ, tag 1037): 10 digits given by the tax service, then a 6-digit checksum.
///
/// The type demands 16 digits only; the checksum is a question of its own ([`Rnm::verify`]), since it depends on the
/// owner and on the serial number, and test benches do not keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rnm([u8; 16]);

/// What [`Rnm::verify`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RnmCheck {
    /// The checksum is the one of this owner and this serial number.
    Ok,
    /// The checksum is another one.
    Mismatch {
        /// The right checksum.
        expected: u16,
    },
    /// There is no checksum to compare with: the serial number or the INN is not made of digits, or is too long.
    NotCheckable,
}

impl Rnm {
    const ORDINAL_DIGITS: usize = 10;

    /// Reads 16 digits followed by nothing but spaces (the tag has 20 bytes).
    ///
    /// # Errors
    /// [`IdError`] for anything else than exactly 16 digits and trailing spaces.
    pub fn from_padded(text: &[u8]) -> Result<Self, IdError> {
        let digits = without_padding(text);
        check_digits(IdKind::Rnm, digits)?;
        match <[u8; 16]>::try_from(digits) {
            Ok(digits) => Ok(Self(digits)),
            Err(_) => Err(IdError::Length { kind: IdKind::Rnm, len: digits.len() }),
        }
    }

    /// The number the tax service would give: `ordinal` and the checksum over it, the owner's `inn` and the register's
    /// `serial` (tag 1013).
    ///
    /// `None` when there is no such number: an ordinal past 10 digits, or an INN (past 12) or a serial number (past 20)
    /// that is not made of digits. Trailing spaces of both are padding.
    pub fn compute(ordinal: u64, inn: &str, serial: &str) -> Option<Self> {
        let ordinal = format!("{ordinal:010}");
        let checksum = rnm_checksum(ordinal.as_bytes(), inn, serial)?;
        Self::from_padded(format!("{ordinal}{checksum:06}").as_bytes()).ok()
    }

    /// Compares the checksum with the one of the owner's `inn` and the register's `serial` (tag 1013).
    pub fn verify(&self, inn: &str, serial: &str) -> RnmCheck {
        let (ordinal, checksum) = self.as_str().split_at(Self::ORDINAL_DIGITS);
        match rnm_checksum(ordinal.as_bytes(), inn, serial) {
            None => RnmCheck::NotCheckable,
            Some(expected) if checksum.parse() == Ok(u32::from(expected)) => RnmCheck::Ok,
            Some(expected) => RnmCheck::Mismatch { expected },
        }
    }

    /// The 20 bytes of tag 1037: digits, then spaces.
    pub fn padded(&self) -> [u8; 20] {
        let mut padded = [b' '; 20];
        for (place, &digit) in padded.iter_mut().zip(&self.0) {
            *place = digit;
        }
        padded
    }

    /// The 16 digits.
    pub fn as_str(&self) -> &str {
        digits_as_str(&self.0)
    }
}

/// CRC-16/CCITT-FALSE of `ordinal` (10 digits), INN (left-padded with zeros to 12) and serial number (to 20).
fn rnm_checksum(ordinal: &[u8], inn: &str, serial: &str) -> Option<u16> {
    const CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_3740);
    let fields =
        [(ordinal, 10), (without_padding(inn.as_bytes()), 12), (without_padding(serial.as_bytes()), 20)];
    let mut digest = CRC.digest();
    for (digits, width) in fields {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for _ in 0..usize::checked_sub(width, digits.len())? {
            digest.update(b"0");
        }
        digest.update(digits);
    }
    Some(digest.finalize())
}

/// Taxpayer number (ИНН, tags 1017, 1018, 1203, ...): 10 digits of an organisation or 12 of a person, on the wire a
/// 12-byte string padded with spaces on the right.
///
/// The check digits are a question of their own ([`Inn::check_digits_ok`]): genuine documents carry wrong ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inn([u8; 12]);

impl Inn {
    /// Reads 10 or 12 digits followed by nothing but spaces, 12 bytes at most.
    ///
    /// # Errors
    /// [`IdError`] for any other number of digits, more than 12 bytes, or anything else than digits and spaces.
    pub fn from_padded(text: &[u8]) -> Result<Self, IdError> {
        let digits = without_padding(text);
        check_digits(IdKind::Inn, digits)?;
        match padded_to(text) {
            Some(padded) if matches!(digits.len(), 10 | 12) => Ok(Self(padded)),
            _ => Err(IdError::Length { kind: IdKind::Inn, len: text.len() }),
        }
    }

    /// The 12 bytes of the wire: digits, then spaces.
    pub fn padded(&self) -> [u8; 12] {
        self.0
    }

    /// The digits without padding.
    pub fn as_str(&self) -> &str {
        digits_as_str(&self.0)
    }

    /// Whether this is `000000000000`, which stands for «нет ИНН» in tags 1203, 1228 and, offline, 1017.
    pub fn is_absent(&self) -> bool {
        self.0.iter().all(|&digit| digit == b'0')
    }

    /// Whether the check digits (one of an organisation, two of a person) are right.
    pub fn check_digits_ok(&self) -> bool {
        /// Weights of the longest sum; the shorter ones are its tails.
        const WEIGHTS: [u32; 11] = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
        let digits = self.as_str().as_bytes();
        let is_right = |position: usize| {
            let weights = WEIGHTS.iter().skip(WEIGHTS.len() - position);
            let sum: u32 =
                digits.iter().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
            digits.get(position).is_some_and(|digit| u32::from(digit - b'0') == sum % 11 % 10)
        };
        if digits.len() == 10 { is_right(9) } else { is_right(10) && is_right(11) }
    }
}

fn check_digits(kind: IdKind, digits: &[u8]) -> Result<(), IdError> {
    match digits.iter().enumerate().find(|(_, byte)| !byte.is_ascii_digit()) {
        None => Ok(()),
        Some((position, &byte)) => Err(IdError::NotDigit { kind, position, byte }),
    }
}

/// `text` with spaces up to `N` bytes; `None` when it is longer.
fn padded_to<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut padded = [b' '; N];
    padded.get_mut(..text.len())?.copy_from_slice(text);
    Some(padded)
}

/// Padding is spaces alone: a line feed or a zero byte at the end is a fault, not padding.
fn without_padding(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    text.get(..len).unwrap_or_default()
}

fn digits_as_str(padded: &[u8]) -> &str {
    str::from_utf8(without_padding(padded)).expect("every constructor admits ASCII digits and spaces only")
}

/// What the three numbers that are written as text have in common: text in, text out.
macro_rules! text_number {
    ($($name:ident)*) => { $(
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::from_padded(text.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )* };
}

text_number! { FnNumber Rnm Inn }

impl From<FdNumber> for u32 {
    fn from(number: FdNumber) -> Self {
        number.0
    }
}

impl TryFrom<u32> for FdNumber {
    type Error = IdError;

    fn try_from(number: u32) -> Result<Self, IdError> {
        Self::new(number)
    }
}

impl FromStr for FdNumber {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check_digits(IdKind::FdNumber, text.as_bytes())?;
        match text.parse() {
            Ok(number) => Self::new(number),
            Err(_) => Err(IdError::Length { kind: IdKind::FdNumber, len: text.len() }),
        }
    }
}

impl fmt::Display for FdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FdNumber({})", self.0)
    }
}

impl Serialize for FdNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for FdNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u32::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
