//! What travels between us and the tax service, as types (tax-service notes B5.1 to B5.6). The envelope is our own design, the
//! document inside it is the tax service's and is written by [`crate::forwarder`], never through these types.
//!
//! Reading is forgiving where that costs nothing: unknown members are ignored, an event that is not understood does not
//! hide those behind it ([`EventKind::Unknown`], [`EventKind::Malformed`]).

mod application;
mod card;
mod event;
mod key;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use application::{
    ApplicationAccepted, ApplicationJson, ApplicationKind, ApplicationRefusal, ApplicationStage,
    ApplicationState, ClosingReport, Signer,
};
pub use card::{CardJson, DeviceJson, Modes, OfdJson, PlaceJson, UserJson};
pub use event::{Basis, CardEvent, CodeJson, Event, EventKind, EventsPage, TicketEvent, Verdict};
pub use key::{BadDocKey, DocKey};

/// Version of the envelope of a batch.
pub const FORMAT_VERSION: u32 = 13;

/// Answer to a batch (B5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// The key of the batch, as we gave it.
    #[serde(default)]
    pub batch_id: String,
    /// One per document, in the order of the request; one that is missing counts as `BUSY`.
    #[serde(default)]
    pub results: Vec<ItemResult>,
}

/// What became of one document at the door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemResult {
    /// `<ФН>-<ФД>` as we sent it; empty when the item could not be read.
    pub doc_key: String,
    /// `received` or `refused`; anything else counts as `BUSY`.
    pub result: String,
    /// Number of the ticket, beside `received`.
    pub ticket_id: Option<String>,
    /// The service had it already.
    pub duplicate: bool,
    /// Why, beside `refused`.
    pub code: Option<String>,
    /// Sentence for people.
    pub detail: Option<String>,
    /// The item as it came.
    pub text: String,
}

/// An item that cannot be read costs only itself.
impl<'de> Deserialize<'de> for ItemResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Fields {
            doc_key: String,
            result: String,
            ticket_id: Option<String>,
            duplicate: bool,
            code: Option<String>,
            detail: Option<String>,
        }
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let fields: Fields = serde_json::from_str(raw.get()).unwrap_or_default();
        Ok(Self {
            doc_key: fields.doc_key,
            result: fields.result,
            ticket_id: fields.ticket_id,
            duplicate: fields.duplicate,
            code: fields.code,
            detail: fields.detail,
            text: raw.get().to_owned(),
        })
    }
}

/// Status of one document (endpoint 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentStatus {
    /// `<ФН>-<ФД>`.
    pub doc_key: String,
    /// Number of the ticket.
    #[serde(default)]
    pub ticket_id: Option<String>,
    /// The verdict, once there is one.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Codes of the verdict.
    #[serde(default)]
    pub codes: Vec<CodeJson>,
    /// When it was pronounced, RFC 3339.
    #[serde(default)]
    pub at: Option<jiff::Timestamp>,
}

/// Registry entry of a register (endpoint 7); what we do not use is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KktEntry {
    /// РНМ.
    pub rnm: String,
    /// State of the registration at the tax service, its own word.
    #[serde(default)]
    pub state: Option<String>,
}

/// Answer of endpoint 9.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    /// Time of the tax service.
    #[serde(default)]
    pub time: Option<jiff::Timestamp>,
    /// Version of the tax service.
    #[serde(default)]
    pub version: Option<String>,
}

/// `application/problem+json` (B5, general).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    /// Kind of the problem, a URI.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Short sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Long sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Code such as `BATCH_KEY_REUSED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Number of the request at the tax service, for talks with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Details of an invalid application.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<serde_json::Value>,
}

#[cfg(test)]
mod tests;
