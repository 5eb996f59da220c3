//! Kinds of values: how the bytes of a record look in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ffd::value::cp866;

use crate::{json, records};

/// Checks one value by the kind that the table gives it; `inside` is the rest of the kind, a width.
pub(crate) fn check(place: &str, kind: &str, inside: &str, text: &str, value: &[u8]) {
    let same = Same(place);
    match kind {
        "kopecks" | "number" | "mask" => same.number(text, value),
        "flag" => {
            assert!(matches!(text, "0" | "1"), "{place}: a flag is 0 or 1: {text}");
            same.number(text, value);
        }
        "time" => {
            assert_eq!(value.len(), 4, "{place}");
            same.number(text, value);
        }
        "decimal" => {
            let (scale, mantissa) = value.split_first().unwrap();
            let expected = json::shortened(records::number(mantissa), usize::from(*scale));
            assert_eq!(json::decimal(text), expected, "{place}");
        }
        // The four last of its six bytes, which is what is printed.
        "sign" => {
            let printed = u32::from_be_bytes(value[2..].try_into().unwrap());
            assert_eq!(json::integer(text), u64::from(printed), "{place}");
        }
        "text" | "texts" => {
            same.text(text, value);
            if !inside.is_empty() {
                assert_eq!(json::string(text).chars().count().to_string(), inside, "{place}: {text}");
            }
        }
        "base64" => assert_eq!(STANDARD.decode(json::string(text)).unwrap(), value, "{place}"),
        "goods-code" => {
            let members = json::members(text);
            assert!(members.keys().eq(["rawProductCode"]), "{place}: {text}");
            same.text(members["rawProductCode"].get(), value);
        }
        other => panic!("{place}: {other} is no kind"),
    }
}

/// Comparisons that name the place where they fail.
pub(crate) struct Same<'a>(pub(crate) &'a str);

impl Same<'_> {
    fn number(&self, text: &str, value: &[u8]) {
        assert_eq!(json::integer(text), records::number(value), "{}", self.0);
    }

    /// A text as it stands, padding and line ends included.
    pub(crate) fn text(&self, text: &str, value: &[u8]) {
        assert_eq!(json::string(text), cp866::decode(value), "{}", self.0);
    }
}
