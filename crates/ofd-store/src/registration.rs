//! Clients, contracts, registers and their papers as they are stored: the data of the registration, none of its rules.
//!
//! Which event leads from which state to which is decided by `ofd-fns`; here are the rows, the filters that choose
//! them, and the change that writes them ([`RegistryChange`]). Sections "Keys" and "Registration state machine" of the
//! tax service specification.

mod change;
mod papers;
mod query;
mod state;

use ffd::ids::FnNumber;
use jiff::Timestamp;

pub use self::change::{Commit, CommitIds, NewTask, RegistryChange, TaskClose, row};
pub use self::papers::{Application, ApplicationState, Card, CardKind, CardSource, Task};
pub use self::query::{
    ApplicationFilter, Cursors, FnDocuments, KktFilter, KktKey, LineKey, ReportRow, TaskFilter,
};
pub use self::state::{ContractState, RegistrationState};

/// Who pays for the service: a taxpayer with registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// ИНН without padding; the key.
    pub inn: String,
    /// Name for people.
    pub name: String,
    /// Since when.
    pub created_at: Timestamp,
}

/// A contract with a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Raised with every write: the one that the row had when it was read.
    pub version: i64,
    /// Number of the contract as people write it; unique.
    pub number: String,
    /// ИНН of the client; never changes.
    pub inn: String,
    /// Where it stands.
    pub state: ContractState,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it was first signed or paid.
    pub active_at: Option<Timestamp>,
    /// When the service was stopped; the grace period counts from here. Absent in other states.
    pub stopped_at: Option<Timestamp>,
}

/// A register that a contract names, with the ФН it names. Its РНМ is picked up from the report of registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractLine {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Raised with every write: the one that the row had when it was read.
    pub version: i64,
    /// The contract; never changes.
    pub contract_id: i64,
    /// ИНН of the contract's client, kept here for look-ups; never changes.
    pub inn: String,
    /// Serial number of the ККТ without padding, unique among lines that are not closed; never changes.
    pub kkt_serial: String,
    /// Model of the ККТ.
    pub kkt_model: Option<String>,
    /// The ФН, unique among lines that are not closed.
    pub fn_number: Option<FnNumber>,
    /// Model of the ФН.
    pub fn_model: Option<String>,
    /// Registration number, once known.
    pub rnm: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When the register left the contract. Counts like a stop of the contract.
    pub closed_at: Option<Timestamp>,
}

/// A register (ККТ). It outlives its ФН.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kkt {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// Raised with every write: the one that the row had when it was read.
    pub version: i64,
    /// Where its registration stands.
    pub state: RegistrationState,
    /// Since when.
    pub state_since: Timestamp,
    /// Serial number (tag 1013) without padding.
    pub serial: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Registration number (tag 1037) without padding.
    pub rnm: Option<String>,
    /// A received document confirmed the registration number; else somebody typed it or the tax service assigned it.
    pub rnm_confirmed: bool,
    /// ИНН of the user (tag 1018) without padding.
    pub inn: Option<String>,
    /// The ФН in it. Another one ends the row of this one in the history and begins a new one.
    pub fn_number: Option<FnNumber>,
    /// Model of that ФН.
    pub fn_model: Option<String>,
    /// The contract line it belongs to.
    pub line_id: Option<i64>,
    /// Names of the fields in which its newest report differs from what was agreed; empty when none does.
    pub mismatch: Vec<String>,
    /// Position of the newest report (form 1 or 11) that moved the state: source of the three values.
    pub report_seq: Option<i64>,
    /// When the state's timer runs out.
    pub due_at: Option<Timestamp>,
    /// The card by which it is linked, or deregistered.
    pub card_id: Option<i64>,
    /// Till time from which on it is deregistered, seconds since 1970 without a zone.
    pub deregistered_at: Option<u32>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Kkt {
    /// A register of which nothing is known yet but its state; not stored.
    #[must_use]
    pub fn new(state: RegistrationState, now: Timestamp) -> Self {
        Self {
            id: 0,
            version: 0,
            state,
            state_since: now,
            serial: None,
            model: None,
            rnm: None,
            rnm_confirmed: false,
            inn: None,
            fn_number: None,
            fn_model: None,
            line_id: None,
            mismatch: Vec::new(),
            report_seq: None,
            due_at: None,
            card_id: None,
            deregistered_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A ФН in a register, from when to when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KktFn {
    /// Number of the row.
    pub id: i64,
    /// The register.
    pub kkt_id: i64,
    /// The ФН.
    pub fn_number: FnNumber,
    /// Its model.
    pub model: Option<String>,
    /// Since when we know it there.
    pub from_at: Timestamp,
    /// When another one took its place; absent for the one in use.
    pub to_at: Option<Timestamp>,
    /// It was never there: a typing error that was put right. The contract says nothing about it.
    pub withdrawn: bool,
}
