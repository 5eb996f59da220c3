//! What is written: documents, quarantined copies, operator's register facts, and what came of them.

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;

/// Most findings kept beside one document; the rest can be found anew from the document itself.
pub const MAX_STORED_FINDINGS: usize = 100;

/// A document that was opened, decided and answered: everything the journal keeps in its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    /// ФН of the session and container.
    pub fn_number: FnNumber,
    /// ФД number of the container.
    pub fd_number: FdNumber,
    /// Form code of the document (the two bytes before its length).
    pub form: u16,
    /// When the message was complete, our clock.
    pub received_at: Timestamp,
    /// Address of the register, for people.
    pub peer: Option<String>,
    /// The container exactly as received.
    pub container: Vec<u8>,
    /// The opened document; only beside an encrypted container, else it is the container's data.
    pub opened: Option<Vec<u8>>,
    /// SHA-256 of the opened document (form, length, TLV; without sign, header, IV).
    pub identity: [u8; 32],
    /// The sealed acknowledgement container.
    pub acknowledgement: Vec<u8>,
    /// Code of the acknowledgement: 0, 11 or 14.
    pub code: u8,
    /// What the sign check said.
    pub sign: SignRecord,
    /// Whether the tax service is to get it.
    pub forward: Forward,
    /// Forwarded with the mark "did not pass the format and logic control".
    pub flk_mark: bool,
    /// Forwarded with the mark "fiscal sign not confirmed".
    pub sign_mark: bool,
    /// Forwarded with the mark "a report names a register that a contract has under another ФН".
    pub fn_changed_mark: bool,
    /// Forwarded with the mark "newer than the deregistration of its register".
    pub after_deregistration_mark: bool,
    /// Findings of the checks; the first [`MAX_STORED_FINDINGS`] are kept.
    pub findings: Vec<StoredFinding>,
    /// Something a person has to look at. A conflict gets its own task without being asked.
    pub task: Option<TaskKind>,
    /// Forms 1 and 11 that the policy let in: feeds the registers in the same transaction.
    pub register: Option<RegisterReport>,
    /// Columns taken out of the document, rebuildable.
    pub derived: Derived,
}

/// Result of the sign check in the words of the key module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRecord {
    /// Name of the verdict: `valid`, `mismatch`, `foreign_scheme`, ...
    pub verdict: &'static str,
    /// Scheme by which the sign was checked.
    pub scheme: Option<&'static str>,
    /// Key generation by which it was checked.
    pub generation: Option<u8>,
}

/// Whether a document goes to the tax service; fixed when it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Never.
    No,
    /// Yes.
    Yes,
    /// As soon as its ФН is known.
    WhenKnown,
}

/// A finding of the checks as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFinding {
    /// Tags from the top of the document down to the place.
    pub path: Vec<u16>,
    /// Name of the rule, such as `identity.fn`.
    pub rule: String,
    /// Whether it decided the code.
    pub severity: FindingSeverity,
    /// The sentence for people, Russian.
    pub text: String,
}

/// Weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingSeverity {
    /// The document was answered with 14.
    Hard,
    /// Only said.
    Soft,
}

/// Why a person has to look at a document or a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// The opened document is no readable TLV.
    Unreadable,
    /// The form code is not known.
    UnknownForm,
    /// Another content came under a known (ФН, ФД).
    Conflict,
    /// A report of registration differs from what was agreed.
    Mismatch,
    /// A report came from another ФН than the contract names.
    FnChanged,
    /// A report of registration was answered with 14: it moves nothing.
    ReportRejected,
    /// The tax service refused a report of registration.
    ReportRefused,
    /// A document was refused by the tax service: a correction receipt is needed.
    DocumentRefused,
    /// A card differs from the register in a key field.
    CardMismatch,
    /// A card fits no register.
    CardUnknown,
    /// The tax service refused an application.
    ApplicationRefused,
    /// The registration number is known, the report of registration did not come in time.
    ReportOverdue,
    /// No card came in time: the three values are to be typed in.
    ManualCompletion,
    /// No card came in time after a report of changed parameters.
    ReregReminder,
    /// The tax service no longer had the events that came next: some may have been missed.
    EventsLost,
}

/// What a report of registration (form 1) or of its change (form 11) says about the register.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisterReport {
    /// Tag 1037.
    pub rnm: Option<String>,
    /// Tag 1013.
    pub kkt_serial: Option<String>,
    /// Tag 1018.
    pub inn: Option<String>,
}

/// Columns taken out of the document; all can be rebuilt from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    /// Tag 1209.
    pub ffd_version: Option<u8>,
    /// Tag 1012: the till's wall clock, seconds since 1970 without a zone.
    pub local_time: Option<u32>,
    /// Tag 1037.
    pub rnm: Option<String>,
    /// Tag 1018.
    pub user_inn: Option<String>,
    /// Tag 1013.
    pub kkt_serial: Option<String>,
    /// Tag 1038.
    pub shift: Option<u32>,
    /// Tag 1042.
    pub receipt_number: Option<u32>,
    /// Tag 1054.
    pub operation: Option<u8>,
    /// Tag 1020. A sum past 2^63-1 kopecks gets no column (it stays in the document).
    pub total_kopecks: Option<u64>,
    /// Last four bytes of tag 1077.
    pub fiscal_sign: Option<u32>,
}

/// What became of an appended document. All variants are on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// New: answer with the acknowledgement that was handed in.
    Appended {
        /// Position in the journal.
        seq: i64,
    },
    /// Known: nothing was written, answer with the stored acknowledgement.
    Repeat {
        /// Position of the first copy.
        seq: i64,
        /// The acknowledgement container stored with it.
        acknowledgement: Vec<u8>,
    },
    /// Other content under a known (ФН, ФД): stored beside, never forwarded, a task was made; answer with the
    /// acknowledgement that was handed in.
    Conflict {
        /// Position in the journal.
        seq: i64,
    },
}

/// A message that is not answered, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuarantine {
    /// ФН of the session.
    pub fn_number: FnNumber,
    /// ФД number of the container.
    pub fd_number: FdNumber,
    /// Form byte of the container's header or the form of the document.
    pub form: u16,
    /// When the message was complete, our clock.
    pub received_at: Timestamp,
    /// Address of the register.
    pub peer: Option<String>,
    /// The container exactly as received.
    pub container: Vec<u8>,
    /// SHA-256 of the opened document, if it could be opened; else the container's hash makes the row unique.
    pub identity: Option<[u8; 32]>,
    /// Short label of the reason, such as `unknown_fn_held`.
    pub reason: &'static str,
    /// If the journal holds this very content, its acknowledgement is given and no copy is kept.
    pub known_content: KnownContent,
}

/// What becomes of a message for quarantine whose content the journal holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KnownContent {
    /// It is quarantined like any other: whoever sent it did not prove to be its register.
    Quarantined,
    /// It is a repeat: what was acknowledged once is acknowledged again, whatever has happened to the register since.
    Acknowledged,
}

/// What became of a quarantined message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QuarantineOutcome {
    /// A copy was kept.
    Kept,
    /// The same content is there already; its row counts one more arrival.
    Repeat,
    /// Past the limits: counted, not kept.
    NotKept,
    /// The journal knows this content: nothing was written, answer with the stored acknowledgement. Only where
    /// [`KnownContent::Acknowledged`] asks for it.
    Acknowledged {
        /// Position of the document in the journal.
        seq: i64,
        /// The acknowledgement container stored with it.
        acknowledgement: Vec<u8>,
    },
}

/// Facts an operator states about a register; at least a ФН or a serial number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisterAdd {
    /// ФН, when known.
    pub fn_number: Option<FnNumber>,
    /// Serial number of the ККТ (tag 1013): lets its report in under a ФН not known yet.
    pub kkt_serial: Option<String>,
    /// Registration number.
    pub rnm: Option<String>,
    /// INN of the user.
    pub inn: Option<String>,
}

/// What [`crate::Operator::register_add`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegisterChange {
    /// A row was added.
    Added,
    /// A row was there and now holds the stated facts.
    Updated,
}

/// What [`crate::Operator::quarantine_release`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineRelease {
    /// Nothing of the ФН was ever quarantined, and it is not known: nothing was changed.
    NeverHeld,
    /// The ФН is known now.
    Released {
        /// Kept copies that were marked; 0 when its messages were only counted.
        copies: u64,
    },
    /// The ФН was known and none of its copies was held: nothing was changed.
    AlreadyKnown,
}

impl Forward {
    /// The stored number: 0 no, 1 yes, 2 when known.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::WhenKnown => 2,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::No, Self::Yes, Self::WhenKnown].into_iter().find(|forward| forward.number() == number)
    }

    /// Name for people and scripts: `no`, `yes`, `when_known`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::WhenKnown => "when_known",
        }
    }
}

impl TaskKind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::Unreadable,
        Self::UnknownForm,
        Self::Conflict,
        Self::Mismatch,
        Self::FnChanged,
        Self::ReportRejected,
        Self::ReportRefused,
        Self::DocumentRefused,
        Self::CardMismatch,
        Self::CardUnknown,
        Self::ApplicationRefused,
        Self::ReportOverdue,
        Self::ManualCompletion,
        Self::ReregReminder,
        Self::EventsLost,
    ];

    /// Name as stored and shown, such as `unknown_form`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnknownForm => "unknown_form",
            Self::Conflict => "conflict",
            Self::Mismatch => "mismatch",
            Self::FnChanged => "fn_changed",
            Self::ReportRejected => "report_rejected",
            Self::ReportRefused => "report_refused",
            Self::DocumentRefused => "document_refused",
            Self::CardMismatch => "card_mismatch",
            Self::CardUnknown => "card_unknown",
            Self::ApplicationRefused => "application_refused",
            Self::ReportOverdue => "report_overdue",
            Self::ManualCompletion => "manual_completion",
            Self::ReregReminder => "rereg_reminder",
            Self::EventsLost => "events_lost",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl FindingSeverity {
    /// The stored number: 1 hard, 0 soft.
    pub(crate) fn number(self) -> i64 {
        i64::from(matches!(self, Self::Hard))
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::Soft, Self::Hard].into_iter().find(|severity| severity.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_and_names_come_back() {
        for forward in [Forward::No, Forward::Yes, Forward::WhenKnown] {
            assert_eq!(Forward::from_number(forward.number()), Some(forward));
        }
        assert_eq!(Forward::from_number(3), None);
        for kind in TaskKind::ALL {
            assert_eq!(TaskKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(TaskKind::from_name("other"), None);
        for severity in [FindingSeverity::Hard, FindingSeverity::Soft] {
            assert_eq!(FindingSeverity::from_number(severity.number()), Some(severity));
        }
        assert_eq!(FindingSeverity::from_number(2), None);
    }
}
