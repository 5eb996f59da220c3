//! A value of the file has the type of its key: `"yes"` is no boolean and `5` is no text.
//!
//! The reader underneath converts kindly, because a value of the environment is always a text. For the file that would
//! hide mistakes (`max_connections = true` is one connection), so its values are tried strictly first, each alone.

use config::{Map, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Takes the values of the file that have a wrong type out of a section and reports them.
///
/// The file is read from its text, so its values have no origin; those of the environment name it. Sections have a
/// default for every key, so each key can be read as if it stood alone.
pub(super) fn take_mistyped<T: DeserializeOwned>(
    section: &str,
    table: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    table.retain(|key, value| {
        if value.origin().is_some() {
            return true;
        }
        let alone = serde_json::Map::from_iter([(key.clone(), as_json(value))]);
        match serde_json::from_value::<T>(alone.into()).map_err(|error| error.to_string()) {
            Ok(_) => true,
            Err(said) => match said.strip_prefix("invalid type: ") {
                Some(said) => {
                    problems.push(explain(&format!("{section}.{key}"), said));
                    false
                }
                // Unknown keys and values out of range are found by the reading of the whole section.
                None => true,
            },
        }
    });
}

/// `said`: `FOUND, expected WANTED`, as serde says it.
fn explain(path: &str, said: &str) -> Problem {
    let (found, wanted) = said.split_once(", expected ").unwrap_or((said, ""));
    let fix = super::advice(path).unwrap_or_else(|| match wanted {
        "a boolean" => "write true or false, without quotes".to_owned(),
        "a string" | "path string" => "write it in quotes".to_owned(),
        _ if wanted.starts_with(['u', 'i']) => "write a whole number, without quotes".to_owned(),
        _ => format!("write {wanted}"),
    });
    Problem::new(path, format!("{} does not fit here", found.replace('`', "")), fix)
}

fn as_json(value: &Value) -> serde_json::Value {
    match &value.kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(value) => (*value).into(),
        ValueKind::U64(value) => (*value).into(),
        // TOML has no integers this long; as texts they fit nowhere a number is wanted.
        ValueKind::I128(value) => value.to_string().into(),
        ValueKind::U128(value) => value.to_string().into(),
        ValueKind::Float(value) if value.is_finite() => (*value).into(),
        // JSON has no `nan` and no `inf` and would take them for "not given"; a list fits nowhere, as they do.
        ValueKind::Float(_) => serde_json::Value::Array(Vec::new()),
        ValueKind::String(value) => value.as_str().into(),
        ValueKind::Array(values) => values.iter().map(as_json).collect(),
        ValueKind::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), as_json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
