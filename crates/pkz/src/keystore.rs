//! Keystore files: JSON lines, one master key each, one file for each purpose.
//!
//! ```text
//! {"purpose":"msg","generation":1,"not_before":"2026-01-01T00:00:00Z","not_after":"2031-01-01T00:00:00Z","key_hex":"..64 digits.."}
//! ```
//!
//! `revoked_at` may be added by hand when a generation is compromised. Times are RFC 3339 or unix seconds.
//! Reading is strict, and no error repeats anything of the line it complains about: a key may stand in the
//! wrong field.
//!
//! Left out: reading the file and judging its permissions (the daemon's work).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

pub use crate::derive::{Kcv, Purpose};
use crate::{
    derive::MasterKey,
    gost::{KEY_LEN, KeyBytes, empty_key},
    verdict::Generation,
};

/// How long after `not_after` documents are still accepted: the 30 days an ФН may keep a document unsent.
pub const VERIFY_GRACE_S: i64 = 30 * 24 * 60 * 60;

/// More than the longest line [`generate_line`] makes, in bytes.
const LINE_CAPACITY: usize = 320;

/// All master keys of one purpose, in the order of their generations, none twice.
#[derive(Debug)]
pub struct Keystore {
    purpose: Purpose,
    records: Vec<KeyRecord>,
}

/// A master key and the time it is used.
#[derive(Debug)]
pub struct KeyRecord {
    key: Arc<MasterKey>,
    not_before_s: i64,
    not_after_s: i64,
    revoked_at_s: Option<i64>,
}

/// Why a keystore is not taken. Lines count from 1.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Not a JSON object on one line.
    #[error("line {line}, column {column}: not a JSON object on one line")]
    NotJson {
        /// Line in the file.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
    },
    /// A JSON object, but not of the fields a key needs.
    #[error(
        "line {line}, column {column}: {problem}; expected purpose, generation, not_before, not_after, key_hex \
         and optionally revoked_at"
    )]
    Fields {
        /// Line in the file.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
        /// What is wrong, without any value of the line.
        problem: String,
    },
    /// The document master has no place in an operator's hands.
    #[error("line {line}: this is a document master (doc), which an operator must not hold; remove it")]
    DocumentMaster {
        /// Line in the file.
        line: usize,
    },
    /// A key of another purpose.
    #[error("line {line}: purpose is {found}, but this file is for {expected} keys")]
    WrongPurpose {
        /// Line in the file.
        line: usize,
        /// What the file is for.
        expected: Purpose,
        /// What the line says.
        found: Purpose,
    },
    /// Two keys of one generation.
    #[error("line {line}: generation {generation} is there already, on line {first_line}")]
    DuplicateGeneration {
        /// Line in the file.
        line: usize,
        /// The generation.
        generation: Generation,
        /// Where it stood first.
        first_line: usize,
    },
    /// `not_after` is not later than `not_before`.
    #[error("line {line}: not_after is not later than not_before")]
    EmptyPeriod {
        /// Line in the file.
        line: usize,
    },
    /// All key bytes are equal: a placeholder, not a key.
    #[error("line {line}: key_hex is a placeholder (all bytes equal), not a key")]
    WeakKey {
        /// Line in the file.
        line: usize,
    },
    /// No key at all.
    #[error("there is no key in this file")]
    Empty,
}

impl Keystore {
    /// Reads a keystore of one purpose. Empty lines are skipped. The text holds keys: the caller wipes it.
    ///
    /// # Errors
    /// [`KeystoreError`] at the first line that is not right. A document master is refused with an error of
    /// its own, unless `purpose` is [`Purpose::Document`] (the emulator's case, never the daemon's).
    pub fn parse(text: &str, purpose: Purpose) -> Result<Self, KeystoreError> {
        let mut records: Vec<(usize, KeyRecord)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let record = read_line(line, text, purpose)?;
            let generation = record.generation();
            if let Some((first_line, _)) = records.iter().find(|(_, known)| known.generation() == generation)
            {
                return Err(KeystoreError::DuplicateGeneration { line, generation, first_line: *first_line });
            }
            records.push((line, record));
        }
        if records.is_empty() {
            return Err(KeystoreError::Empty);
        }
        records.sort_by_key(|(_, record)| record.generation());
        Ok(Self { purpose, records: records.into_iter().map(|(_, record)| record).collect() })
    }

    /// What the keys are for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The keys, oldest generation number first.
    #[must_use]
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// The key of a generation.
    #[must_use]
    pub fn record(&self, generation: Generation) -> Option<&KeyRecord> {
        self.records.iter().find(|record| record.generation() == generation)
    }

    /// Generations whose signs are accepted at this moment (unix seconds): not revoked, and not expired for
    /// longer than [`VERIFY_GRACE_S`].
    #[must_use]
    pub fn generations_at(&self, now_unix: i64) -> Vec<Generation> {
        let usable = self.records.iter().filter(|record| record.verifies_at(now_unix));
        usable.map(KeyRecord::generation).collect()
    }

    /// The key that new storages are issued with: of those in their period and not revoked, the one whose
    /// period began last.
    #[must_use]
    pub fn newest_at(&self, now_unix: i64) -> Option<&KeyRecord> {
        let current = self.records.iter().filter(|record| record.issues_at(now_unix));
        current.max_by_key(|record| (record.not_before_s, record.generation()))
    }

    /// Whether any key is one everybody knows.
    #[must_use]
    pub fn has_published_test_key(&self) -> bool {
        self.records.iter().any(KeyRecord::is_published_test_key)
    }

    pub(crate) fn into_records(self) -> Vec<KeyRecord> {
        self.records
    }
}

impl KeyRecord {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Arc<MasterKey> {
        &self.key
    }

    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.key.generation()
    }

    /// Its check value.
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        self.key.kcv()
    }

    /// Whether it is one everybody knows.
    #[must_use]
    pub fn is_published_test_key(&self) -> bool {
        self.key.is_published_test_key()
    }

    /// Begin of its period, unix seconds.
    #[must_use]
    pub const fn not_before_s(&self) -> i64 {
        self.not_before_s
    }

    /// End of its period, unix seconds.
    #[must_use]
    pub const fn not_after_s(&self) -> i64 {
        self.not_after_s
    }

    /// Moment of compromise, unix seconds.
    #[must_use]
    pub const fn revoked_at_s(&self) -> Option<i64> {
        self.revoked_at_s
    }

    /// Whether signs of this key are accepted at this moment.
    #[must_use]
    pub fn verifies_at(&self, now_unix: i64) -> bool {
        now_unix <= self.not_after_s.saturating_add(VERIFY_GRACE_S) && !self.is_revoked_at(now_unix)
    }

    /// Whether new storages are issued with this key at this moment.
    #[must_use]
    pub fn issues_at(&self, now_unix: i64) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&now_unix) && !self.is_revoked_at(now_unix)
    }

    fn is_revoked_at(&self, now_unix: i64) -> bool {
        self.revoked_at_s.is_some_and(|revoked_at| now_unix >= revoked_at)
    }
}

/// One line of a keystore file, without the line end. Times are unix seconds, written as RFC 3339 (UTC).
///
/// The result is secret: write it to a file of mode 0600 and wipe it.
#[must_use]
pub fn generate_line(
    purpose: Purpose,
    generation: Generation,
    not_before: i64,
    not_after: i64,
    key: [u8; KEY_LEN],
) -> String {
    let key = Zeroizing::new(key);
    // Room for the whole line at once: growing would leave copies of the key behind.
    let mut line = String::with_capacity(LINE_CAPACITY);
    line.push_str(&format!(
        "{{\"purpose\":\"{purpose}\",\"generation\":{generation},\"not_before\":{},\"not_after\":{},\"key_hex\":\"",
        moment_json(not_before),
        moment_json(not_after),
    ));
    for byte in key.iter() {
        line.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        line.push(char::from_digit(u32::from(byte & 0x0F), 16).unwrap_or('0'));
    }
    line.push_str("\"}");
    line
}

/// RFC 3339 in quotes; a bare number past the years a calendar knows.
fn moment_json(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |time| format!("\"{time}\""))
}

fn read_line(line: usize, text: &str, expected: Purpose) -> Result<KeyRecord, KeystoreError> {
    // A derived reader would take an array of the values in order, too.
    if !text.trim_start().starts_with('{') {
        return Err(KeystoreError::NotJson { line, column: 1 });
    }
    let raw: Line = serde_json::from_str(text).map_err(|error| describe(line, &error))?;
    let Line { purpose, generation, not_before, not_after, revoked_at, key_hex } = raw;
    match purpose.0 {
        found if found == expected => {}
        Purpose::Document => return Err(KeystoreError::DocumentMaster { line }),
        found => return Err(KeystoreError::WrongPurpose { line, expected, found }),
    }
    if not_after.0 <= not_before.0 {
        return Err(KeystoreError::EmptyPeriod { line });
    }
    if all_equal(&key_hex.0) {
        return Err(KeystoreError::WeakKey { line });
    }
    Ok(KeyRecord {
        key: Arc::new(MasterKey::new(expected, generation.0, key_hex.0)),
        not_before_s: not_before.0,
        not_after_s: not_after.0,
        revoked_at_s: revoked_at.map(|moment| moment.0),
    })
}

fn all_equal(key: &[u8; KEY_LEN]) -> bool {
    let [first, rest @ ..] = key;
    rest.iter().fold(0, |differences, byte| differences | (byte ^ first)) == 0
}

/// Our own words for a reader's complaint. Its text is never passed on: it quotes values of the line. Only the
/// names in "missing field" and "duplicate field" are ours, and only those are repeated.
fn describe(line: usize, error: &serde_json::Error) -> KeystoreError {
    let column = error.column();
    if !error.is_data() {
        return KeystoreError::NotJson { line, column };
    }
    let text = Zeroizing::new(error.to_string());
    let named = ["missing field", "duplicate field"].into_iter().find(|start| text.starts_with(start));
    let problem = match (named, FIELDS.into_iter().find(|name| text.contains(&format!("`{name}`")))) {
        (Some(start), Some(name)) => format!("{start} {name}"),
        _ if text.starts_with("unknown field") => "unknown field".to_owned(),
        _ => OWN_PROBLEMS
            .into_iter()
            .find(|own| text.starts_with(own))
            .map_or_else(|| "a field is of the wrong type".to_owned(), str::to_owned),
    };
    KeystoreError::Fields { line, column, problem }
}

const FIELDS: [&str; 6] = ["purpose", "generation", "not_before", "not_after", "revoked_at", "key_hex"];

const BAD_PURPOSE: &str = "purpose is not msg, opr or doc";
const BAD_GENERATION: &str = "generation is not 0..15";
const BAD_MOMENT: &str = "a time is neither RFC 3339 (2026-01-01T00:00:00Z) nor unix seconds";
const BAD_KEY: &str = "key_hex is not 64 hexadecimal digits";
const OWN_PROBLEMS: [&str; 4] = [BAD_PURPOSE, BAD_GENERATION, BAD_MOMENT, BAD_KEY];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    purpose: PurposeWord,
    generation: GenerationNumber,
    not_before: Moment,
    not_after: Moment,
    #[serde(default)]
    revoked_at: Option<Moment>,
    key_hex: HexKey,
}

struct PurposeWord(Purpose);
struct GenerationNumber(Generation);
struct Moment(i64);
struct HexKey(KeyBytes);

impl<'de> Deserialize<'de> for PurposeWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PurposeWord;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a purpose")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<PurposeWord, E> {
                let all = [Purpose::Message, Purpose::Operator, Purpose::Document];
                let found = all.into_iter().find(|purpose| purpose.as_str() == word);
                found.map(PurposeWord).ok_or_else(|| E::custom(BAD_PURPOSE))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl<'de> Deserialize<'de> for GenerationNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer).map_err(|error| in_our_words(error, BAD_GENERATION))?;
        let generation = u8::try_from(number).ok().and_then(Generation::new);
        generation.map(Self).ok_or_else(|| de::Error::custom(BAD_GENERATION))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }
            fn visit_u64<E: de::Error>(self, unix_s: u64) -> Result<Moment, E> {
                i64::try_from(unix_s).map(Moment).map_err(|_| E::custom(BAD_MOMENT))
            }
            fn visit_i64<E: de::Error>(self, unix_s: i64) -> Result<Moment, E> {
                Ok(Moment(unix_s))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                let time = text.parse::<jiff::Timestamp>().map_err(|_| E::custom(BAD_MOMENT))?;
                Ok(Moment(time.as_second()))
            }
        }
        deserializer.deserialize_any(Visitor).map_err(|error| in_our_words(error, BAD_MOMENT))
    }
}

impl<'de> Deserialize<'de> for HexKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = HexKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            // Borrowed only: a string with escapes would have passed through a buffer nobody wipes.
            fn visit_borrowed_str<E: de::Error>(self, digits: &'de str) -> Result<HexKey, E> {
                from_hex(digits).map(HexKey).ok_or_else(|| E::custom(BAD_KEY))
            }
        }
        deserializer.deserialize_str(Visitor).map_err(|error| in_our_words(error, BAD_KEY))
    }
}

/// A reader's error quotes the value it dislikes; ours does not. An absent field is still told as such.
fn in_our_words<E: de::Error>(error: E, problem: &str) -> E {
    let text = Zeroizing::new(error.to_string());
    if text.starts_with("missing field") { error } else { E::custom(problem) }
}

/// Decodes into the box the key stays in; no copy in between.
fn from_hex(digits: &str) -> Option<KeyBytes> {
    if digits.len() != 2 * KEY_LEN {
        return None;
    }
    let mut key = empty_key();
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())?;
            *byte = (*byte << 4) | value;
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests;
