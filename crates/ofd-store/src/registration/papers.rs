//! What goes to and comes from the tax service beside documents: applications and cards. And what people have to do.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

use crate::TaskKind;

/// An application to the tax service (form 1110061 or 1110062) about one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Raised with every write: the one that the row had when it was read.
    pub version: i64,
    /// Ours: a UUID, unique, made before the first send.
    pub case_id: String,
    /// The register; never changes.
    pub kkt_id: i64,
    /// `registration`, `reregistration` or `deregistration`.
    pub kind: String,
    /// Where it stands.
    pub state: ApplicationState,
    /// The tax service's identifier, unique, once it has one.
    pub application_id: Option<String>,
    /// The application as it is sent, JSON; never changes.
    pub request: String,
    /// The registration number that was assigned.
    pub rnm: Option<String>,
    /// Reasons of a refusal, as the tax service gave them, JSON or text.
    pub refusal: Option<String>,
    /// Sends and polls that came to nothing, since the last one that did not.
    pub attempts: u32,
    /// When it is to be sent or asked for next; absent when nothing is left to do.
    pub next_at: Option<Timestamp>,
    /// What the last attempt met.
    pub last_error: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where an application stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplicationState {
    /// Written down, not sent.
    New,
    /// The tax service has it and has not decided.
    Sent,
    /// It was granted.
    Accepted,
    /// It was refused, at the door or later.
    Refused,
}

impl ApplicationState {
    const ALL: [Self; 4] = [Self::New, Self::Sent, Self::Accepted, Self::Refused];

    /// The name as stored and shown: `new`, `sent`, `accepted`, `refused`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A card of registration (form 1110066) or of deregistration (1110067). Kept whether or not it fits a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Registration or deregistration.
    pub kind: CardKind,
    /// Registration number without padding.
    pub rnm: String,
    /// What tells it from other cards of the same registration number and kind: its own number, or the SHA-256 of its
    /// XML in hexadecimal. Unique together with those two.
    pub key: String,
    /// The register it was found to belong to.
    pub kkt_id: Option<i64>,
    /// Serial number of the ККТ in it.
    pub kkt_serial: Option<String>,
    /// The ФН in it.
    pub fn_number: Option<FnNumber>,
    /// ИНН of the user in it.
    pub inn: Option<String>,
    /// Day of registration or deregistration in it, `YYYY-MM-DD`.
    pub dated: Option<String>,
    /// Which way it came first.
    pub source: CardSource,
    /// Media type of `body`: `application/json`, `application/xml` or `application/pdf`.
    pub media_type: String,
    /// The card as it came.
    pub body: Vec<u8>,
    /// A detached signature that came with it.
    pub signature: Option<Vec<u8>>,
    /// When it came.
    pub received_at: Timestamp,
    /// When it moved its register; absent while it differs from it in a key field.
    pub applied_at: Option<Timestamp>,
    /// When the same card came again, by whatever way.
    pub confirmed_at: Option<Timestamp>,
}

/// What a card says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardKind {
    /// The register is registered.
    Registration,
    /// It is not any more.
    Deregistration,
}

impl CardKind {
    const ALL: [Self; 2] = [Self::Registration, Self::Deregistration];

    /// The name as stored and shown: `registration`, `deregistration`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Deregistration => "deregistration",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which way a card came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardSource {
    /// In the feed of events.
    Event,
    /// With the answer to an application, or asked for by its registration number.
    Application,
    /// Uploaded by a person.
    Manual,
}

impl CardSource {
    const ALL: [Self; 3] = [Self::Event, Self::Application, Self::Manual];

    /// The name as stored and shown: `event`, `application`, `manual`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Application => "application",
            Self::Manual => "manual",
        }
    }

    /// The source of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Number of the row.
    pub id: i64,
    /// Why.
    pub kind: TaskKind,
    /// Position of the document in the journal, if it is about one.
    pub seq: Option<i64>,
    /// The register, if it is about one.
    pub kkt_id: Option<i64>,
    /// ФН of the document, else the one in the register.
    pub fn_number: Option<FnNumber>,
    /// ФД of the document.
    pub fd_number: Option<FdNumber>,
    /// Registration number of the register.
    pub rnm: Option<String>,
    /// What is to be done, Russian; empty for tasks of reception, whose kind says it.
    pub text: String,
    /// Since when.
    pub created_at: Timestamp,
    /// When somebody closed it.
    pub closed_at: Option<Timestamp>,
    /// What was said then.
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for state in ApplicationState::ALL {
            assert_eq!(ApplicationState::from_name(state.name()), Some(state));
        }
        for kind in CardKind::ALL {
            assert_eq!(CardKind::from_name(kind.name()), Some(kind));
        }
        for source in CardSource::ALL {
            assert_eq!(CardSource::from_name(source.name()), Some(source));
        }
        assert_eq!(CardSource::from_name(""), None);
    }
}
