//! Values that survive being written and read.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a value; what reads is written and reads the same again.
pub(crate) fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(input: &[u8]) -> Option<T> {
    let value = serde_json::from_slice(input).ok()?;
    same(&value);
    Some(value)
}

/// Written and read again, the value is the same.
pub(crate) fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).as_ref().ok(), Some(value), "{text}");
}
