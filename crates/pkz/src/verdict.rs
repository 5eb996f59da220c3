//! What the device says about a message sign, and the small types the statement is made of.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::derive::SignKind;

/// Number of a set of master keys, 0..=15: the low nibble of a sign's first byte in `soft-gost-1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generation(u8);

impl Generation {
    /// Largest generation: it has to fit a nibble.
    pub const MAX: u8 = 15;

    /// A generation, or `None` past [`Generation::MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The number, 0..=15.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The generation a message sign names, whether the sign is right or not; `None` for a sign of another
    /// scheme or kind. An acknowledgement for a document with a wrong sign is sealed with this one, because
    /// a register holds the keys of one generation only.
    #[must_use]
    pub fn of_message_sign(sign: &[u8; 8]) -> Option<Self> {
        let [kind, ..] = *sign;
        (kind & 0xF0 == SignKind::Message.code()).then_some(Self(kind & 0x0F))
    }

    pub(crate) const fn from_low_nibble(byte: u8) -> Self {
        Self(byte & 0x0F)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a sign is made. One scheme now; a certified module adds its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Scheme {
    /// The software stand-in.
    SoftGost1,
}

impl Scheme {
    /// Name as stored beside a document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoftGost1 => "soft-gost-1",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known about a message sign (ФПС) after [`crate::FiscalSignVerifier::open`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The sign is right.
    Valid {
        /// The scheme that made it.
        scheme: Scheme,
        /// The keys that made it.
        generation: Generation,
    },
    /// A cryptographic or structural no.
    Invalid(InvalidReason),
    /// Nothing can be said.
    Unverifiable(UnverifiableReason),
    /// The module is down, slow or full. Not a statement on the document; never stored as a bad sign.
    Unavailable {
        /// When asking again makes sense.
        retry_after: Duration,
    },
}

/// Why a sign is wrong. Peers never learn which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidReason {
    /// The MAC differs, or a decrypted body does not fit its container.
    Mismatch,
    /// The sign's length byte or the document's own length is wrong.
    Malformed,
    /// A sign of our scheme, but of another kind (document, acknowledgement or operator sign).
    WrongKind,
}

/// Why nothing can be said about a sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnverifiableReason {
    /// The type byte is not of our scheme: a certified fiscal storage talks to the stand-in.
    ForeignScheme,
    /// No usable key of this generation: never had, expired or revoked.
    UnknownGeneration,
    /// Checking is off.
    Disabled,
    /// The body is encrypted and the module cannot open it.
    CannotDecrypt,
}

impl Verdict {
    /// Short name for the store and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Valid { .. } => "valid",
            Self::Invalid(InvalidReason::Mismatch) => "mismatch",
            Self::Invalid(InvalidReason::Malformed) => "malformed",
            Self::Invalid(InvalidReason::WrongKind) => "wrong_kind",
            Self::Unverifiable(UnverifiableReason::ForeignScheme) => "foreign_scheme",
            Self::Unverifiable(UnverifiableReason::UnknownGeneration) => "unknown_generation",
            Self::Unverifiable(UnverifiableReason::Disabled) => "disabled",
            Self::Unverifiable(UnverifiableReason::CannotDecrypt) => "cannot_decrypt",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// Whether the sign was checked and is right.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// Scheme of a right sign.
    #[must_use]
    pub const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Valid { scheme, .. } => Some(*scheme),
            _ => None,
        }
    }

    /// Generation of a right sign.
    #[must_use]
    pub const fn generation(&self) -> Option<Generation> {
        match self {
            Self::Valid { generation, .. } => Some(*generation),
            _ => None,
        }
    }
}

/// How strictly message signs are treated; setting `signs.mode`. What is answered in each mode is decided
/// by the reception, not here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignMode {
    /// Only documents with a right sign are acknowledged.
    #[default]
    Required,
    /// Signs are checked and recorded, a wrong one does not stop a document that could be opened.
    LogOnly,
    /// Signs are not checked.
    Off,
}

impl SignMode {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::LogOnly => "log-only",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for SignMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_fit_a_nibble() {
        assert_eq!(Generation::new(15).map(Generation::get), Some(15));
        assert_eq!(Generation::new(16), None);
    }

    #[test]
    fn message_sign_names_its_generation() {
        let check = |first, expected| {
            assert_eq!(Generation::of_message_sign(&[first, 6, 0, 0, 0, 0, 0, 0]), expected)
        };
        check(0xD1, Generation::new(1));
        check(0xDF, Generation::new(15));
        check(0xE1, None);
        check(0x81, None);
    }

    #[test]
    fn modes_are_spelled_as_in_the_configuration() {
        for mode in [SignMode::Required, SignMode::LogOnly, SignMode::Off] {
            let word = serde_json::to_string(&mode).unwrap();
            assert_eq!(word, format!("\"{mode}\""));
            assert_eq!(serde_json::from_str::<SignMode>(&word).unwrap(), mode);
        }
    }
}
