//! Requests and answers of the tax service's endpoints, as the simulator reads and writes them.
//!
//! These are the simulator's own types; the operator's side has others for the same contract. Members that are not
//! known are ignored, as a tax service of tomorrow would do with an operator of today.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::codes::{CodeJson, Verdict};

/// The only version of the format of a batch.
pub(super) const FORMAT_VERSION: u64 = 13;

/// A batch of documents, its documents not looked at yet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Batch<'a> {
    #[serde(borrow)]
    pub(super) batch_id: Cow<'a, str>,
    pub(super) format_version: u64,
    #[serde(borrow)]
    pub(super) ofd_inn: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) created_at: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) documents: Vec<&'a RawValue>,
}

/// The part of a document's envelope that every answer repeats.
#[derive(Debug, Deserialize)]
pub(super) struct ItemKey<'a> {
    #[serde(borrow, rename = "docKey")]
    pub(super) doc_key: Cow<'a, str>,
}

/// A document in its envelope.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) doc_key: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) doc_sha256: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) subtype: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) receive_date: Cow<'a, str>,
    pub(super) ack: Ack,
    /// Remarks of the operator (`flk`, `sign`, ...); an extension that the tax service only reads.
    #[serde(default)]
    pub(super) marks: Vec<String>,
    #[serde(borrow)]
    pub(super) document: &'a RawValue,
}

/// What the register was told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ack {
    /// Tag 1012 of the acknowledgement, seconds of UTC.
    pub(super) date_time: u32,
    /// Tag 1022.
    pub(super) ofd_response_code: u8,
}

/// Answer to a batch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchAnswer<'a> {
    pub(super) batch_id: &'a str,
    pub(super) results: Vec<ItemResult>,
}

/// What became of one document at the door.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemResult {
    pub(super) doc_key: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// The two ways.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub(super) enum Outcome {
    /// In the queue of the control.
    #[serde(rename_all = "camelCase")]
    Received {
        /// Number of its ticket.
        ticket_id: String,
        /// It was here before.
        duplicate: bool,
    },
    /// Not taken.
    Refused {
        /// See [`super::door::DoorCode`].
        code: &'static str,
        /// What exactly.
        detail: String,
    },
}

/// Status of one document, and the body of a ticket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentStatus {
    pub(super) doc_key: String,
    pub(super) doc_sha256: String,
    pub(super) ticket_id: String,
    pub(super) received_at: String,
    /// Absent while the control has not spoken.
    pub(super) verdict: Option<Verdict>,
    pub(super) codes: Vec<CodeJson>,
    /// When the control spoke last.
    pub(super) at: Option<String>,
}

/// An application (1110061, 1110062).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Application {
    #[serde(default)]
    pub(super) knd: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) user: Party,
    #[serde(default)]
    pub(super) kkt: Device,
    #[serde(default, rename = "fn")]
    pub(super) fn_storage: Device,
    #[serde(default)]
    pub(super) place: Place,
    #[serde(default)]
    pub(super) ofd: Party,
    #[serde(default)]
    pub(super) modes: Modes,
    #[serde(default)]
    pub(super) tax_office: String,
    #[serde(default)]
    pub(super) rnm: Option<String>,
}

/// A taxpayer or an operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Party {
    pub(super) inn: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) name: String,
}

/// A register or a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    #[serde(deserialize_with = "or_empty")]
    pub(super) model: String,
    pub(super) serial: String,
}

/// A place of settlements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    #[serde(deserialize_with = "or_empty")]
    pub(super) address: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) name: String,
}

/// Modes of a register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the members of the tax service's object")]
pub(super) struct Modes {
    pub(super) offline: bool,
    pub(super) automat: bool,
    pub(super) automat_number: Option<String>,
    pub(super) internet: bool,
    pub(super) bso: bool,
    pub(super) service: bool,
    pub(super) excise: bool,
    pub(super) gambling: bool,
    pub(super) lottery: bool,
    pub(super) payment_agent: bool,
    pub(super) bank_payment_agent: bool,
    pub(super) mobile_trade: bool,
}

/// The values of a registration report that a taxpayer types (endpoint 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypedReport {
    pub(super) user_inn: String,
    pub(super) report_kind: u16,
    /// `yyyy-mm-ddThh:mm`, the register's clock.
    pub(super) date_time: String,
    pub(super) fd_number: u32,
    /// Ten digits, leading zeros optional.
    pub(super) fiscal_sign: String,
}

/// A missing text may be `null`.
fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A moment as answers have it: RFC 3339 with `Z`.
pub(super) fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Whether a text is a moment of UTC as the contract demands: RFC 3339 with `Z`.
pub(super) fn is_moment(text: &str) -> bool {
    text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

/// The number of a ticket.
pub(super) fn ticket(number: u64) -> String {
    format!("T-{number:016}")
}
