//! The feed of events (B5.3).

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::card::CardJson;
use super::key::DocKey;

/// One page of the feed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventsPage {
    /// In the order of the cursor.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Opaque; what to ask after next time.
    pub cursor: String,
    /// There is more at once.
    #[serde(default)]
    pub more: bool,
}

/// One event. May come more than once.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Number at the tax service; empty if it gave none.
    pub id: String,
    /// When it happened; of an event without a readable time, none.
    pub at: Option<Timestamp>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A document was judged.
    Ticket(TicketEvent),
    /// A registration card was made.
    RegistrationCard(Box<CardEvent>),
    /// A register was struck off; the card may be missing.
    DeregistrationCard(Box<CardEvent>),
    /// A report of registration was refused.
    RegistrationRefused {
        /// The report.
        doc_key: DocKey,
        /// Why.
        codes: Vec<CodeJson>,
    },
    /// An application was accepted.
    ApplicationAccepted {
        /// Its number.
        application_id: String,
        /// The number of the register.
        rnm: String,
    },
    /// An application was refused.
    ApplicationRefused {
        /// Its number.
        application_id: String,
        /// Why.
        codes: Vec<CodeJson>,
    },
    /// A type that this program does not know: skipped, said in the log.
    Unknown {
        /// The type.
        kind: String,
    },
    /// A known type without what it needs: skipped, a task for a person.
    Malformed {
        /// The type.
        kind: String,
        /// What is wrong.
        reason: String,
        /// The event as it came, cut to a sane length.
        text: String,
    },
}

/// A verdict about one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketEvent {
    /// The document.
    pub doc_key: DocKey,
    /// The number it got at the door.
    #[serde(default)]
    pub ticket_id: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    #[serde(default)]
    pub codes: Vec<CodeJson>,
}

/// Outcome of the control at the tax service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Taken.
    Accepted,
    /// Soft quarantine: left when the flaw is removed.
    Soft,
    /// Hard quarantine: final.
    Hard,
}

/// Code and text of a flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeJson {
    /// Number of the flaw.
    pub code: u32,
    /// Sentence of the tax service.
    #[serde(default)]
    pub text: String,
    /// Place in the document.
    #[serde(default)]
    pub path: Option<String>,
}

/// A card that came as an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardEvent {
    /// РНМ.
    pub rnm: String,
    /// Which document it is based on.
    #[serde(default)]
    pub basis: Option<Basis>,
    /// The card; always there beside `registrationCard`.
    #[serde(default)]
    pub card: Option<CardJson>,
    /// Signed XML of the card, base64.
    #[serde(default)]
    pub xml_base64: Option<String>,
    /// Its signature, base64.
    #[serde(default)]
    pub signature_base64: Option<String>,
}

/// What a card is based on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The report; none for a card that was made from typed values alone.
    #[serde(default)]
    pub doc_key: Option<String>,
}

/// Longest text of an event that is kept for a person.
const MAX_KEPT_CHARS: usize = 2_000;

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        Ok(Self::read(raw.get()))
    }
}

impl Event {
    /// Reads one event; what cannot be read becomes [`EventKind::Malformed`].
    pub(super) fn read(text: &str) -> Self {
        let head: Head = match serde_json::from_str(text) {
            Ok(head) => head,
            Err(error) => return Self { id: String::new(), at: None, kind: malformed("", &error, text) },
        };
        let kind = match head.kind.as_str() {
            "ticket" => read(text).map(EventKind::Ticket),
            "registrationCard" => read::<CardEvent>(text).and_then(|event| match event.card {
                Some(_) => Ok(EventKind::RegistrationCard(Box::new(event))),
                None => Err(serde::de::Error::missing_field("card")),
            }),
            "deregistrationCard" => read(text).map(|event| EventKind::DeregistrationCard(Box::new(event))),
            "registrationRefused" => {
                read(text).map(|Refused { doc_key, codes }| EventKind::RegistrationRefused { doc_key, codes })
            }
            "applicationAccepted" => read(text).map(|Assigned { application_id, rnm }| {
                EventKind::ApplicationAccepted { application_id, rnm }
            }),
            "applicationRefused" => read(text).map(|Denied { application_id, codes }| {
                EventKind::ApplicationRefused { application_id, codes }
            }),
            _ => Ok(EventKind::Unknown { kind: head.kind.clone() }),
        };
        let kind = kind.unwrap_or_else(|error| malformed(&head.kind, &error, text));
        Self { id: head.id, at: head.at.and_then(|at| at.parse().ok()), kind }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

fn malformed(kind: &str, error: &serde_json::Error, text: &str) -> EventKind {
    EventKind::Malformed {
        kind: kind.to_owned(),
        reason: error.to_string(),
        text: text.chars().take(MAX_KEPT_CHARS).collect(),
    }
}

/// What every event has.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    doc_key: DocKey,
    #[serde(default)]
    codes: Vec<CodeJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assigned {
    application_id: String,
    rnm: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Denied {
    application_id: String,
    #[serde(default)]
    codes: Vec<CodeJson>,
}
