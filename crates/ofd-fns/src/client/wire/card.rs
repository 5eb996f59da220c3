//! The registration card, JSON reading of КНД 1110066 (B5.5), and the objects it shares with applications.

use serde::{Deserialize, Serialize};

/// A card. Members that a service leaves out are empty, so that a card is judged by the state machine, not by its reader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CardJson {
    /// Form: 1110066, of a deregistration 1110067.
    pub knd: String,
    /// РНМ, 16 digits.
    pub rnm: String,
    /// Day of the registration, `yyyy-mm-dd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<String>,
    /// Owner of the register.
    pub user: UserJson,
    /// The register.
    pub kkt: DeviceJson,
    /// Its storage (ФН).
    #[serde(rename = "fn")]
    pub fn_storage: DeviceJson,
    /// Where it stands.
    pub place: PlaceJson,
    /// The operator in the card.
    pub ofd: OfdJson,
    /// How it works.
    pub modes: Modes,
    /// Code of the tax office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_office: Option<String>,
    /// Day from which the card holds, `yyyy-mm-dd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// Number of the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_number: Option<String>,
}

/// An owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserJson {
    /// INN, 10 or 12 digits.
    pub inn: String,
    /// КПП of a company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kpp: Option<String>,
    /// Name.
    pub name: String,
}

/// A register or a storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceJson {
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
}

/// A place of settlements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlaceJson {
    /// Address by the state register of addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_fias: Option<String>,
    /// Address in words.
    pub address: String,
    /// Name of the place.
    pub name: String,
}

/// An operator of fiscal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OfdJson {
    /// INN.
    pub inn: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Modes of a register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Modes {
    /// Without an operator.
    pub offline: bool,
    /// In a machine.
    pub automat: bool,
    /// Number of the machine.
    pub automat_number: Option<String>,
    /// Settlements in the internet only.
    pub internet: bool,
    /// Forms of strict accounting.
    pub bso: bool,
    /// Services.
    pub service: bool,
    /// Excisable goods.
    pub excise: bool,
    /// Gambling.
    pub gambling: bool,
    /// Lottery.
    pub lottery: bool,
    /// Paying agent.
    pub payment_agent: bool,
    /// Bank paying agent.
    pub bank_payment_agent: bool,
    /// Trade from a vehicle or on foot.
    pub mobile_trade: bool,
}
