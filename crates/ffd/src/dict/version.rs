//! Versions of the format.

use std::fmt;

use serde::{Serialize, Serializer};

/// A version of the format of fiscal documents (ФФД).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FfdVersion {
    /// 1.0, ended 2019-01-01; documents carry no tag 1209.
    V1_0,
    /// 1.05.
    V1_05,
    /// 1.1.
    V1_1,
    /// 1.2, marked goods.
    V1_2,
}

impl FfdVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; Self::COUNT] = [Self::V1_0, Self::V1_05, Self::V1_1, Self::V1_2];
    pub(super) const COUNT: usize = 4;

    /// The version that a value of tag 1209 means; an absent tag, 0 (beta) and 1 mean 1.0. `None` for a value that no
    /// source lists.
    pub fn from_tag_1209(value: Option<u8>) -> Option<Self> {
        match value {
            None | Some(0 | 1) => Some(Self::V1_0),
            Some(2) => Some(Self::V1_05),
            Some(3) => Some(Self::V1_1),
            Some(4) => Some(Self::V1_2),
            Some(_) => None,
        }
    }

    /// The usual spelling: 1.0, 1.05, 1.1, 1.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_05 => "1.05",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The value of tag 1209 (1.0 gives 1, although its documents do not carry the tag).
    pub fn code(self) -> u8 {
        match self {
            Self::V1_0 => 1,
            Self::V1_05 => 2,
            Self::V1_1 => 3,
            Self::V1_2 => 4,
        }
    }

    /// Place among all versions, oldest first, from zero.
    pub(super) fn index(self) -> usize {
        usize::from(self.code() - 1)
    }
}

impl fmt::Display for FfdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for FfdVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Some of the versions of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionSet(u8);

impl VersionSet {
    /// All versions.
    pub const ALL: Self = Self(0b1111);

    /// Whether the version is among them.
    pub fn contains(self, version: FfdVersion) -> bool {
        self.0 & 1 << version.index() != 0
    }

    /// Reads the spelling of the tables, `1.05;1.1;1.2`; nothing at all means that the versions are not known, which
    /// is read as all of them. `None` for a version that does not exist.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::ALL);
        }
        text.split(';').try_fold(Self(0), |set, name| {
            let version = FfdVersion::ALL.into_iter().find(|version| version.as_str() == name)?;
            Some(Self(set.0 | 1 << version.index()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_tag_1209_has_its_version() {
        let check = |value, expected| assert_eq!(FfdVersion::from_tag_1209(value), expected, "{value:?}");
        check(None, Some(FfdVersion::V1_0));
        check(Some(0), Some(FfdVersion::V1_0));
        check(Some(1), Some(FfdVersion::V1_0));
        check(Some(2), Some(FfdVersion::V1_05));
        check(Some(3), Some(FfdVersion::V1_1));
        check(Some(4), Some(FfdVersion::V1_2));
        for unknown in 5..=u8::MAX {
            check(Some(unknown), None);
        }
        for version in FfdVersion::ALL {
            check(Some(version.code()), Some(version));
        }
    }

    #[test]
    fn a_set_holds_what_was_written() {
        let set = VersionSet::parse("1.05;1.2").unwrap();
        let held = FfdVersion::ALL.map(|version| set.contains(version));
        assert_eq!(held, [false, true, false, true]);
        assert_eq!(VersionSet::parse(""), Some(VersionSet::ALL));
        assert_eq!(VersionSet::parse("1.05;1.3"), None);
        assert_eq!(VersionSet::parse("1.05;"), None);
    }
}
