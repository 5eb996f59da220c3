//! What one value means to a person: its text, and notes beside it (meaning of a code, of each bit, units).

use super::hex;
use crate::dict::{FfdVersion, FormCode, TagDef, ValueKind, dictionary};
use crate::document::Node;
use crate::tags;
use crate::value::{Kopecks, Value};

/// Numbers of variable length that are no money: a document's number, two codes of directories, and the two sides of
/// a fraction. Every other is kopecks.
const NOT_MONEY: [u16; 5] = [1096, 1121, 1123, 1293, 1294];

/// A value in words.
pub(super) struct Meaning {
    /// The value itself: number, quoted text, roubles, time, hex.
    pub(super) value: String,
    /// What it stands for.
    pub(super) notes: Vec<String>,
}

impl Meaning {
    fn plain(value: impl ToString) -> Self {
        Self { value: value.to_string(), notes: Vec::new() }
    }

    fn noted(value: impl ToString, note: impl Into<String>) -> Self {
        Self { value: value.to_string(), notes: vec![note.into()] }
    }
}

/// Explains a value of a tag inside a document of this form and version.
pub(super) fn of(node: Node<'_>, value: &Value<'_>, form: FormCode, version: FfdVersion) -> Meaning {
    let def = node.def;
    match value {
        Value::Byte(value) => number(def, u64::from(*value), version),
        Value::U16(value) => number(def, u64::from(*value), version),
        Value::U32(value) => number(def, u64::from(*value), version),
        Value::Vln(value) if is_money(def) => Meaning::plain(format!("{} руб.", Kopecks::new(*value))),
        Value::Vln(value) => number(def, *value, version),
        Value::Fvln(value) => Meaning::plain(value),
        Value::Bits { mask, width } => bits(def, *mask, *width, version),
        Value::Text(text) => quoted(def, text, version),
        Value::Bytes(bytes) => bytes_meaning(node.tag, bytes),
        // The register's wall clock, but universal time in the operator's acknowledgement.
        Value::Time(time) if node.tag == tags::DATE_TIME && form == FormCode::OPERATOR_ACK => {
            Meaning::noted(time, "всемирное время")
        }
        Value::Time(time) => Meaning::noted(time, "местное время"),
    }
}

pub(super) fn is_money(def: Option<&TagDef>) -> bool {
    // The number of the sum of VAT was the code of a directory in ФФД 1.0, which has no name in the JSON.
    let is_code = |def: &TagDef| def.tag == tags::VAT_SUM && def.json_name.is_none();
    def.is_some_and(|def| !NOT_MONEY.contains(&def.tag) && !is_code(def))
}

fn number(def: Option<&TagDef>, value: u64, version: FfdVersion) -> Meaning {
    let Some(def) = def else { return Meaning::plain(value) };
    if let Some(name) = def.enum_name {
        let known = dictionary().enum_meaning(name, value, version);
        return Meaning::noted(value, known.unwrap_or("неизвестный код"));
    }
    match (is_flag(def), value) {
        (true, 0) => Meaning::noted(value, "нет"),
        (true, 1) => Meaning::noted(value, "да"),
        _ => Meaning::plain(value),
    }
}

/// A byte named "признак ..." without a list of values is a flag.
fn is_flag(def: &TagDef) -> bool {
    def.kind == ValueKind::Byte && def.name_ru.to_lowercase().starts_with("признак")
}

/// A mask with the meaning of each bit that is set.
fn bits(def: Option<&TagDef>, mask: u32, width: u8, version: FfdVersion) -> Meaning {
    let value = format!("{mask} = 0x{mask:0digits$x}", digits = usize::from(width) * 2);
    let list = def.and_then(|def| def.enum_name).unwrap_or_default();
    let notes = dictionary().enum_bits(list, mask, version).map(|(bit, meaning)| {
        meaning.map_or_else(|| format!("неизвестный бит {}", bit.trailing_zeros()), str::to_owned)
    });
    Meaning { value, notes: notes.collect() }
}

/// A text in quotes, so that its padding is seen; control characters as escapes.
fn quoted(def: Option<&TagDef>, text: &str, version: FfdVersion) -> Meaning {
    let mut value = String::with_capacity(text.len() + 4);
    value.push('«');
    for character in text.chars() {
        if character.is_control() {
            value.extend(character.escape_default());
        } else {
            value.push(character);
        }
    }
    value.push('»');
    let list = def.and_then(|def| def.enum_name).and_then(|name| dictionary().enumeration(name));
    let known = list.and_then(|list| list.meaning_of_text(text.trim_end(), version));
    Meaning { value, notes: known.map(str::to_owned).into_iter().collect() }
}

fn bytes_meaning(tag: u16, bytes: &[u8]) -> Meaning {
    let value = hex(bytes);
    match *bytes {
        [_, _, a, b, c, d] if tag == tags::FISCAL_SIGN => {
            Meaning::noted(value, format!("печатается как {:010}", u32::from_be_bytes([a, b, c, d])))
        }
        _ => Meaning { value, notes: Vec::new() },
    }
}
