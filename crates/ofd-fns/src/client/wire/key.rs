//! The name of a document between us and the tax service.

use std::fmt;
use std::str::FromStr;

use ffd::ids::{FdNumber, FnNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `docKey`: `<ФН>-<ФД>`, both without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocKey {
    /// The storage.
    pub fn_number: FnNumber,
    /// The number of the document in it.
    pub fd_number: FdNumber,
}

impl fmt::Display for DocKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.fn_number.as_str(), self.fd_number.get())
    }
}

/// The text is no `<ФН>-<ФД>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key of a document (<ФН>-<ФД>)")]
pub struct BadDocKey(
    /// What was read instead, cut to a sane length.
    pub String,
);

impl FromStr for DocKey {
    type Err = BadDocKey;

    fn from_str(text: &str) -> Result<Self, BadDocKey> {
        let bad = || BadDocKey(text.chars().take(64).collect());
        let (fn_number, fd_number) = text.split_once('-').ok_or_else(bad)?;
        let plain = !fd_number.is_empty() && fd_number.bytes().all(|byte| byte.is_ascii_digit());
        let fd_number = fd_number.parse().ok().filter(|_| plain).ok_or_else(bad)?;
        Ok(Self {
            fn_number: FnNumber::from_padded(fn_number.as_bytes()).map_err(|_| bad())?,
            fd_number: FdNumber::new(fd_number).map_err(|_| bad())?,
        })
    }
}

impl Serialize for DocKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DocKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
