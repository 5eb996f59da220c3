//! A JSON value with its numbers as they are written, and equality of two of them.
//!
//! The tax service compares a document's JSON with the TLV inside it. Numbers go up to 2^64 and decimals are exact, so
//! no value may pass a float: a number stays text and is compared digit by digit, without zeros that say nothing.
//! Members of objects are compared without regard to their order.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Objects and arrays inside one another; documents of the tax service have five.
const MAX_DEPTH: usize = 16;
/// Exponents past this are no numbers of ours.
const MAX_EXPONENT: i64 = 1000;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number<'a>),
    /// A text without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, members sorted by name; no name twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// A number as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    text: &'a str,
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.normal() == other.normal()
    }
}

impl Eq for Number<'_> {}

impl Number<'_> {
    /// Sign, digits without zeros at either end, and the power of ten of the last digit.
    fn normal(&self) -> (bool, String, i64) {
        let (negative, rest) = match self.text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.text),
        };
        let (plain, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let digits = format!("{whole}{fraction}");
        let without_tail = digits.trim_end_matches('0');
        let significant = without_tail.trim_start_matches('0');
        if significant.is_empty() {
            return (false, String::new(), 0);
        }
        let len = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let tail = len(&digits) - len(without_tail);
        let exponent = exponent.parse().unwrap_or(MAX_EXPONENT);
        (negative, significant.to_owned(), tail - len(fraction) + exponent)
    }
}

/// Reads a whole text.
///
/// `None` for anything that is not one JSON value, for a name that stands twice in an object, for more than
/// [`MAX_DEPTH`] levels and for absurd exponents.
pub(super) fn parse(text: &str) -> Option<Json<'_>> {
    let mut reader = Reader { text, position: 0 };
    let value = reader.value(0)?;
    reader.space();
    (reader.position == text.len()).then_some(value)
}

impl<'a> Json<'a> {
    /// The only member of an object of one.
    pub(super) fn single_member(&self) -> Option<(&str, &Json<'a>)> {
        match self {
            Self::Object(members) => match members.as_slice() {
                [(name, value)] => Some((name, value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Where two values differ first: a path like `receipt.items[0].price`. `None` when they are equal.
    pub(super) fn difference(&self, other: &Json<'_>) -> Option<String> {
        match (self, other) {
            (Self::Object(ours), Json::Object(theirs)) => difference_of_objects(ours, theirs),
            (Self::Array(ours), Json::Array(theirs)) => {
                let differing = ours.iter().zip(theirs).enumerate();
                let inside = differing
                    .filter_map(|(index, (one, two))| Some((index, one.difference(two)?)))
                    .next()
                    .map(|(index, rest)| joined(format!("[{index}]"), &rest));
                inside.or_else(|| (ours.len() != theirs.len()).then(|| "[]".to_owned()))
            }
            _ => (self != other).then(String::new),
        }
    }
}

fn difference_of_objects(
    ours: &[(Cow<'_, str>, Json<'_>)],
    theirs: &[(Cow<'_, str>, Json<'_>)],
) -> Option<String> {
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        match (ours.peek(), theirs.peek()) {
            (None, None) => return None,
            (Some((name, _)), None) | (None, Some((name, _))) => return Some(name.to_string()),
            (Some((name, value)), Some((other_name, other))) => match name.cmp(other_name) {
                Ordering::Less => return Some(name.to_string()),
                Ordering::Greater => return Some(other_name.to_string()),
                Ordering::Equal => {
                    if let Some(rest) = value.difference(other) {
                        return Some(joined(name.to_string(), &rest));
                    }
                    ours.next();
                    theirs.next();
                }
            },
        }
    }
}

fn joined(head: String, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('[') { head + rest } else { format!("{head}.{rest}") }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.position += 1)
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        let rest = self.text.get(self.position..)?;
        rest.starts_with(word).then(|| self.position += word.len())?;
        Some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::Text),
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.take(b'{')?;
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
        self.space();
        if self.take(b'}').is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(b':')?;
            let value = self.value(depth + 1)?;
            members.push((name, value));
            self.space();
            if self.take(b',').is_none() {
                self.take(b'}')?;
                break;
            }
        }
        members.sort_by(|(one, _), (two, _)| one.cmp(two));
        let unique = members.windows(2).all(|pair| matches!(pair, [(one, _), (two, _)] if one != two));
        unique.then_some(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Option<Json<'a>> {
        self.take(b'[')?;
        let mut values = Vec::new();
        self.space();
        if self.take(b']').is_some() {
            return Some(Json::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(Json::Array(values));
            }
        }
    }

    /// Finds the end of a string; one with escapes is read by `serde_json`.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.position;
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.position += 2;
                }
                0..=0x1F => return None,
                _ => self.position += 1,
            }
        }
        self.position += 1;
        let quoted = self.text.get(start..self.position)?;
        if escaped {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        quoted.get(1..quoted.len() - 1).map(Cow::Borrowed)
    }

    fn digits(&mut self) -> Option<usize> {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        let count = self.position - start;
        (count > 0).then_some(count)
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let start = self.position;
        let _ = self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return None;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            let begin = self.position;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits()?;
            let exponent: i64 = self.text.get(begin..self.position)?.parse().ok()?;
            if exponent.abs() > MAX_EXPONENT {
                return None;
            }
        }
        let text = self.text.get(start..self.position)?;
        Some(Json::Number(Number { text }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn difference(one: &str, two: &str) -> Option<String> {
        parse(one).unwrap().difference(&parse(two).unwrap())
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let check = |one: &str, two: &str, equal: bool| {
            assert_eq!(difference(one, two).is_none(), equal, "{one} and {two}");
        };
        check("1.5", "1.500", true);
        check("1", "1.0", true);
        check("0", "0.000", true);
        check("-0", "0", true);
        check("100", "1e2", true);
        check("0.001", "1E-3", true);
        check("10", "1", false);
        check("-1", "1", false);
        check("1.5", "15", false);
        // Past the 53 bits of a float, and past the 63 of a signed integer.
        check("9007199254740993", "9007199254740992", false);
        check("9297210640046662345", "9297210640046662345", true);
        check("9297210640046662345", "9297210640046662346", false);
        check("9297210640046662345", "9.297210640046662e18", false);
        check("1", "\"1\"", false);
    }

    #[test]
    fn the_first_difference_is_named() {
        let check =
            |one: &str, two: &str, path: Option<&str>| assert_eq!(difference(one, two).as_deref(), path);
        check(r#"{"a":1,"b":[1,2]}"#, r#" { "b" : [ 1 , 2.0 ] , "a" : 1 } "#, None);
        check(r#"{"a":{"b":[{"c":1}]}}"#, r#"{"a":{"b":[{"c":2}]}}"#, Some("a.b[0].c"));
        check(r#"{"a":[1]}"#, r#"{"a":[1,2]}"#, Some("a[]"));
        check(r#"{"a":1}"#, r#"{"a":1,"z":2}"#, Some("z"));
        check(r#"{"a":1,"b":2}"#, r#"{"b":2}"#, Some("a"));
        check(r#"{"a":null}"#, r#"{"a":false}"#, Some("a"));
        check(r#""Чек 😀""#, r#""Чек \ud83d\ude00""#, None);
        check(r#""a""#, r#""b""#, Some(""));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\u{1}\"",
            "1 2",
            "{\"a\":1,\"a\":1}",
            "1e1001",
            "\"\\",
            "--1",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert!(parse(&("[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH))).is_some());
        assert!(parse(&("[".repeat(MAX_DEPTH + 2) + &"]".repeat(MAX_DEPTH + 2))).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_on_what_is_json(text in "[\\[\\]{}:,\"\\\\ ntfe0-9.+-]{0,12}") {
            if parse(&text).is_some() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,64}") {
            let _ = parse(&text);
        }

        #[test]
        fn reads_back_what_serde_writes(text in "\\PC{0,32}", number: u64) {
            let written = serde_json::json!({ text.clone(): [number, text.clone(), null, true] }).to_string();
            let value = parse(&written).unwrap();
            prop_assert_eq!(value.difference(&parse(&written).unwrap()), None);
            let Json::Object(members) = value else { panic!("an object") };
            prop_assert_eq!(members[0].0.as_ref(), text.as_str());
        }
    }
}
