//! JSON whose numbers stay as they are written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Members of an object, each name once. Their order does not matter here.
pub(crate) fn members(text: &str) -> BTreeMap<String, Box<RawValue>> {
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("no object: {error}: {text}"));
    // A name that stood twice would make the object longer than its members: the daemon writes no spaces.
    let written = members
        .iter()
        .map(|(name, value)| serde_json::to_string(name).unwrap().len() + value.get().len() + ":,".len());
    let length: usize = written.sum::<usize>() + usize::from(members.is_empty()) + 1;
    assert_eq!(length, text.len(), "a name twice, or spaces: {text}");
    members
}

/// Elements of an array.
pub(crate) fn elements(text: &str) -> Vec<Box<RawValue>> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no array: {error}: {text}"))
}

/// A text without its escapes.
pub(crate) fn string(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no text: {error}: {text}"))
}

/// A whole number without sign, point, exponent or leading zeros.
pub(crate) fn integer(text: &str) -> u64 {
    let number: u64 = text.parse().unwrap_or_else(|error| panic!("no whole number: {error}: {text}"));
    assert_eq!(number.to_string(), text);
    number
}

/// A decimal as mantissa and scale, without zeros at the end of the fraction.
pub(crate) fn decimal(text: &str) -> (u64, usize) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(!text.ends_with('.') && !whole.is_empty(), "{text}");
    shortened(format!("{whole}{fraction}").parse().unwrap(), fraction.len())
}

/// The same without zeros at the end of the fraction.
pub(crate) fn shortened(mut mantissa: u64, mut scale: usize) -> (u64, usize) {
    while scale > 0 && mantissa.is_multiple_of(10) {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    (mantissa, scale)
}
