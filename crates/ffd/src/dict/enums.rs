//! Lists of values (`enums.csv`).

use super::version::{FfdVersion, VersionSet};

/// One list of values.
#[derive(Debug)]
pub struct EnumDef {
    /// Its name in the tables.
    pub name: &'static str,
    /// Its values in the order of the table. A value that was given away twice stands twice, with other versions.
    pub values: Vec<EnumValue>,
}

/// One value of a list.
#[derive(Debug)]
pub struct EnumValue {
    /// The value.
    pub code: EnumCode,
    /// The value as the table spells it; of [`EnumCode::Number`] the form a text tag holds it in (`001`).
    pub spelling: &'static str,
    /// What it means, in Russian.
    pub meaning_ru: &'static str,
    /// The versions that have it.
    pub versions: VersionSet,
}

/// A value of a list, whatever its spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnumCode {
    /// A number: `1`, `001`.
    Number(u64),
    /// One bit of a mask: `0x01`, `bit 1 (0x02)`. Holds the mask with this bit alone.
    Bit(u32),
    /// A word: `ERROR`.
    Word,
}

impl EnumDef {
    /// What a number, or a mask with one bit, means in a version.
    pub fn meaning(&self, value: u64, version: FfdVersion) -> Option<&'static str> {
        let is_value = |code| match code {
            EnumCode::Number(number) => number == value,
            EnumCode::Bit(bit) => u64::from(bit) == value,
            EnumCode::Word => false,
        };
        self.find(version, |entry| is_value(entry.code))
    }

    /// What the text of a tag means in a version, for lists whose tags are strings (`001`).
    pub fn meaning_of_text(&self, text: &str, version: FfdVersion) -> Option<&'static str> {
        self.find(version, |entry| entry.spelling == text)
    }

    fn find(&self, version: FfdVersion, is_it: impl Fn(&EnumValue) -> bool) -> Option<&'static str> {
        let entry = self.values.iter().find(|entry| entry.versions.contains(version) && is_it(entry))?;
        Some(entry.meaning_ru)
    }
}

impl EnumCode {
    /// Reads the spellings of the table; `None` for one that contradicts itself (`bit 1 (0x04)`) or is no value.
    pub(super) fn parse(spelling: &str) -> Option<Self> {
        let one_bit =
            |digits: &str| u32::from_str_radix(digits, 16).ok().filter(|mask| mask.is_power_of_two());
        if let Some(digits) = spelling.strip_prefix("0x") {
            return one_bit(digits).map(Self::Bit);
        }
        if let Some(rest) = spelling.strip_prefix("bit ") {
            let (position, digits) = rest.strip_suffix(')')?.split_once(" (0x")?;
            let mask = one_bit(digits)?;
            return (position.parse() == Ok(mask.trailing_zeros())).then_some(Self::Bit(mask));
        }
        if spelling.bytes().all(|byte| byte.is_ascii_digit()) {
            return spelling.parse().ok().map(Self::Number);
        }
        spelling.bytes().all(|byte| byte.is_ascii_uppercase()).then_some(Self::Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_of_three_things() {
        let check = |spelling, expected| assert_eq!(EnumCode::parse(spelling), expected, "{spelling}");
        check("0", Some(EnumCode::Number(0)));
        check("255", Some(EnumCode::Number(255)));
        check("001", Some(EnumCode::Number(1)));
        check("0x40", Some(EnumCode::Bit(0x40)));
        check("bit 0 (0x01)", Some(EnumCode::Bit(1)));
        check("bit 31 (0x80000000)", Some(EnumCode::Bit(0x8000_0000)));
        check("ERROR", Some(EnumCode::Word));
        check("", None);
        check("0x03", None);
        check("0x", None);
        check("bit 1 (0x04)", None);
        check("bit 1", None);
        check("7..12", None);
        check("-1", None);
    }
}
