//! What an operator should know at the moment, in a sentence each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remark {
    Link,
    Certificates,
    Store,
    Window,
    Registration,
}

/// The remarks that hold now.
#[derive(Debug, Default)]
pub(crate) struct Remarks(Mutex<BTreeMap<Remark, String>>);

impl Remarks {
    /// Says something about a matter, or that nothing is to be said any more.
    pub(crate) fn set(&self, about: Remark, words: Option<String>) {
        let mut remarks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match words {
            Some(words) => {
                remarks.insert(about, words);
            }
            None => {
                remarks.remove(&about);
            }
        }
    }

    /// All of them, in one line.
    pub(crate) fn line(&self) -> Option<String> {
        let remarks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<&str> = remarks.values().map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}
