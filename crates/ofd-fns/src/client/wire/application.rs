//! Applications: JSON reading of КНД 1110061 and 1110062 (B5.4), and what is answered to them.

use serde::{Deserialize, Serialize};

use super::card::{DeviceJson, Modes, OfdJson, PlaceJson, UserJson};
use super::event::CodeJson;

/// An application for registration, change or end of a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationJson {
    /// Form: 1110061, for the end of a registration 1110062.
    pub knd: String,
    /// What is asked for.
    pub kind: ApplicationKind,
    /// Owner.
    pub user: UserJson,
    /// The register.
    pub kkt: DeviceJson,
    /// Its storage (ФН).
    #[serde(rename = "fn")]
    pub fn_storage: DeviceJson,
    /// Where it stands.
    #[serde(default)]
    pub place: PlaceJson,
    /// We.
    pub ofd: OfdJson,
    /// How it works.
    #[serde(default)]
    pub modes: Modes,
    /// Code of the tax office.
    #[serde(default)]
    pub tax_office: String,
    /// Who signs.
    #[serde(default)]
    pub signer: Signer,
    /// РНМ, of a register that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rnm: Option<String>,
    /// Reasons of a re-registration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<u32>,
    /// Reason of a deregistration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Values of the report of the closing of the ФН, of a deregistration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_report: Option<ClosingReport>,
    /// The signed XML, where it will travel.
    #[serde(default)]
    pub xml_base64: Option<String>,
    /// Its signature.
    #[serde(default)]
    pub signature_base64: Option<String>,
}

/// What an application asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationKind {
    /// First registration.
    Registration,
    /// Change of parameters.
    Reregistration,
    /// End.
    Deregistration,
}

/// What the report of the closing of a ФН (form 6) says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosingReport {
    /// Number of the document (tag 1040).
    pub fd_number: u32,
    /// Date and time (tag 1012) on the till's own clock, `yyyy-mm-ddThh:mm`.
    pub date_time: String,
    /// Fiscal sign, decimal, with or without leading zeros.
    pub fiscal_sign: String,
}

/// A person who signs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Signer {
    /// Name.
    pub name: String,
    /// Position.
    pub position: String,
}

/// Answer to a new application (endpoint 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationAccepted {
    /// Its number at the tax service.
    pub application_id: String,
    /// `received`.
    #[serde(default)]
    pub state: String,
}

/// State of an application (endpoint 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationState {
    /// The service's own word: `received`, `accepted`, `refused`; see [`ApplicationState::stage`].
    pub state: String,
    /// РНМ that was assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rnm: Option<String>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<ApplicationRefusal>,
}

/// Reasons of a refused application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationRefusal {
    /// Codes with texts.
    pub codes: Vec<CodeJson>,
}

/// The things that can be known of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationStage {
    /// Not decided yet.
    Pending,
    /// Accepted, with the РНМ.
    Accepted {
        /// The number that was assigned.
        rnm: String,
    },
    /// Accepted, and no РНМ is named: of a change or an end none has to be, of a first registration it has to follow.
    AcceptedWithoutRnm,
    /// Refused.
    Refused {
        /// Why.
        codes: Vec<CodeJson>,
    },
}

impl ApplicationState {
    /// The state without its spelling: an answer with РНМ is an acceptance, one with a refusal is a refusal.
    pub fn stage(&self) -> ApplicationStage {
        match (&self.rnm, &self.refusal, self.state.as_str()) {
            (_, Some(refusal), _) => ApplicationStage::Refused { codes: refusal.codes.clone() },
            (_, None, "refused") => ApplicationStage::Refused { codes: Vec::new() },
            (Some(rnm), None, _) => ApplicationStage::Accepted { rnm: rnm.clone() },
            (None, None, "accepted") => ApplicationStage::AcceptedWithoutRnm,
            _ => ApplicationStage::Pending,
        }
    }
}
