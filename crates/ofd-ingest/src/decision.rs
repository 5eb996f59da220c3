//! What becomes of a message whose container is whole: `ARCHITECTURE.md`, the table of what is answered, as one pure
//! function. It knows neither time nor store; whether the document is new, a repeat or a conflict is said later by the
//! journal, and damage is refused earlier, before there is anything to decide.
//!
//! What it knows of registers and contracts are facts in memory ([`ofd_store::Facts`]); nothing is read for a document.
//!
//! * An ФН is *known* by its registration report, an operator's word, a release, or an active contract; the grace period
//!   after a contract was stopped is still service. A contract that is only drafted makes nobody known.
//! * It is *suspended* when its contract was stopped longer ago than the grace period. That wins over every policy for
//!   unknown ФН, and over whatever made the ФН known before.
//! * A registration report of a register whose contract names another ФН (the ФН was changed) is let in under every policy
//!   and marked; so is a document newer than the deregistration of its register: the tax service decides about both.
//!
//! What was acknowledged once stays acknowledged: a message that is only held back, since its ФН is suspended or not
//! known, is a repeat if the journal has its content, and gets the stored acknowledgement
//! ([`Refusal::of_known_content`]). Its sign was found good by then; a forger learns nothing.

use ffd::LocalTime;
use ffd::dict::FormCode;
use kkt_proto::ack::OperatorCode;
use ofd_store::{Announced, Forward, KnownContent, Standing, TaskKind};
use pkz::{SignMode, UnverifiableReason, Verdict};

use crate::config::{Policy, UnknownFn};

/// All that the decision may depend on, apart from the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFacts {
    /// What the crypto module said about the sign.
    pub verdict: Verdict,
    /// Whether the body came encrypted.
    pub transport: Transport,
    /// What could be read.
    pub content: Content,
    /// Whether the operator knows and serves the ФН.
    pub standing: Standing,
    /// The till's time at which the register of the ФН was deregistered, if it was.
    pub deregistered_at: Option<LocalTime>,
}

/// How the body travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In the open.
    Open,
    /// Encrypted; its acknowledgement is encrypted too.
    Encrypted,
}

/// What a message holds, as far as it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The body stayed closed.
    Unopened,
    /// The body is open, but its TLV cannot be read.
    Unreadable,
    /// The form is not one that registers send.
    UnknownForm,
    /// A document.
    Document(DocumentFacts),
}

/// What the decision needs to know of a readable document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentFacts {
    /// Its form by the session container.
    pub form: FormCode,
    /// Whether the register that a form 1 or 11 names (tags 1013 and 1018) was announced by the operator or by a
    /// contract; [`Announced::No`] of every other form.
    pub kkt: Announced,
    /// The till's time (tag 1012), if the document states it.
    pub local_time: Option<LocalTime>,
    /// The format and logic control (ФЛК), identity included: are there hard findings? Decides the code and the marks
    /// of what enters the journal, never whether it does.
    pub checks: Checks,
}

/// Outcome of the format and logic control of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// No hard finding.
    Passed,
    /// At least one hard finding: code 14.
    Failed,
    /// Hard findings of identity: it is not the document its container announces. Code 14, and nothing it says of its
    /// register is believed.
    NotItself,
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Keep nothing, answer nothing, go on with the connection.
    Silence(Refusal),
    /// Keep a copy in quarantine, answer nothing.
    Quarantine(Refusal, Afterwards),
    /// Acknowledge and journal.
    Journal(Admission),
}

impl Decision {
    /// Whether the message is kept out because its ФН is not known.
    pub(crate) fn is_of_a_stranger(&self) -> bool {
        matches!(
            self,
            Self::Silence(Refusal::UnknownFnRejected) | Self::Quarantine(Refusal::UnknownFnHeld, _)
        )
    }
}

/// What becomes of a connection after a message that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It goes on.
    Continue,
    /// It is closed once the earlier answers have left.
    Close,
}

/// How a document enters the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Code of the acknowledgement (tag 1022).
    pub code: OperatorCode,
    /// Whether and when it goes to the tax service.
    pub forward: Forward,
    /// Forwarded with the mark "failed format and logic control".
    pub flk_mark: bool,
    /// Forwarded with the mark "sign not confirmed".
    pub sign_mark: bool,
    /// Forwarded with the mark "a contract names this register under another ФН".
    pub fn_changed_mark: bool,
    /// Forwarded with the mark "newer than the deregistration of its register".
    pub after_deregistration_mark: bool,
    /// What a person has to look at.
    pub task: Option<TaskKind>,
    /// What the report tells the table of registers.
    pub registers: RegisterFeed,
    /// The report makes an ФН known that was not.
    pub makes_known: bool,
}

/// What a document tells the table of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterFeed {
    /// Nothing: it is no registration report.
    Nothing,
    /// That the ФН exists. What a report says besides is not believed if it is not the document its container announces:
    /// it would overwrite the facts of an honest register.
    Existence,
    /// Everything a registration report says.
    Facts,
}

/// Why a message is not answered. The names are labels of metrics and reasons in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The crypto module is out of work for the moment.
    ModuleUnavailable,
    /// Encrypted, and there is no key for it (or its plain text makes no sense).
    CannotOpen,
    /// The sign is wrong.
    SignInvalid,
    /// The sign is of a scheme that the module does not know.
    ForeignScheme,
    /// The sign names a generation of keys that is not loaded.
    UnknownGeneration,
    /// The sign could not be checked although the mode demands it.
    SignUnchecked,
    /// The ФН is unknown and held.
    UnknownFnHeld,
    /// The ФН is unknown and rejected.
    UnknownFnRejected,
    /// The contract of the register was stopped longer ago than the grace period.
    ContractStopped,
}

impl Refusal {
    /// Every reason, for metrics that exist from the start.
    pub const ALL: [Self; 9] = [
        Self::ModuleUnavailable,
        Self::CannotOpen,
        Self::SignInvalid,
        Self::ForeignScheme,
        Self::UnknownGeneration,
        Self::SignUnchecked,
        Self::UnknownFnHeld,
        Self::UnknownFnRejected,
        Self::ContractStopped,
    ];

    /// Label for metrics, logs and the quarantine.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ModuleUnavailable => "module_unavailable",
            Self::CannotOpen => "cannot_open",
            Self::SignInvalid => "sign_invalid",
            Self::ForeignScheme => "foreign_scheme",
            Self::UnknownGeneration => "unknown_generation",
            Self::SignUnchecked => "sign_unchecked",
            Self::UnknownFnHeld => "unknown_fn_held",
            Self::UnknownFnRejected => "unknown_fn_rejected",
            Self::ContractStopped => "contract_stopped",
        }
    }

    /// The reason in words, for the log.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::ModuleUnavailable => "the crypto module is out of work",
            Self::CannotOpen => "it cannot be opened: there is no key for it",
            Self::SignInvalid => "its sign is wrong",
            Self::ForeignScheme => "its sign is of a scheme that the crypto module does not know",
            Self::UnknownGeneration => "its sign names a generation of keys that is not in use",
            Self::SignUnchecked => "its sign cannot be checked",
            Self::UnknownFnHeld => {
                "the ФН is not known: held until a contract, `registers add` or a release makes it known"
            }
            Self::UnknownFnRejected => "the ФН is not known, and unknown ones are rejected",
            Self::ContractStopped => "the contract of its register is stopped, and the grace period is over",
        }
    }

    /// What becomes of a message quarantined for this reason if the journal has its content. Held back is only what is
    /// new; where the sign was not confirmed, nobody is told what the journal has.
    pub const fn of_known_content(self) -> KnownContent {
        match self {
            Self::UnknownFnHeld | Self::ContractStopped => KnownContent::Acknowledged,
            Self::ModuleUnavailable
            | Self::CannotOpen
            | Self::SignInvalid
            | Self::ForeignScheme
            | Self::UnknownGeneration
            | Self::SignUnchecked
            | Self::UnknownFnRejected => KnownContent::Quarantined,
        }
    }
}

/// Decides. The order of the steps is part of the rule: the module first, then what stays closed, the sign, the
/// standing of the ФН, the content.
pub fn decide(facts: &MessageFacts, policy: &Policy) -> Decision {
    shut_out(facts, policy).unwrap_or_else(|| Decision::Journal(admit(facts, policy)))
}

/// What keeps a message out of the journal, whatever its document says; such a document need not be judged. Does not
/// look at [`DocumentFacts::checks`].
pub(crate) fn shut_out(facts: &MessageFacts, policy: &Policy) -> Option<Decision> {
    if matches!(facts.verdict, Verdict::Unavailable { .. }) {
        return Some(Decision::Silence(Refusal::ModuleUnavailable));
    }
    if let Some(refusal) = sign_refusal(facts, policy.sign_mode) {
        return Some(Decision::Quarantine(refusal, Afterwards::Close));
    }
    if facts.content == Content::Unopened || closed_by_mode(facts, policy.sign_mode) {
        return Some(Decision::Quarantine(Refusal::CannotOpen, Afterwards::Continue));
    }
    match facts.standing {
        Standing::Suspended => Some(Decision::Quarantine(Refusal::ContractStopped, Afterwards::Continue)),
        Standing::Unknown => unknown_fn_refusal(&facts.content, policy.unknown_fn),
        Standing::Known => None,
    }
}

/// In `required` only a valid sign lets a document in. A body that stayed closed for want of a key is no statement
/// about its sign: it is left to the next step, which does not close the connection.
fn sign_refusal(facts: &MessageFacts, mode: SignMode) -> Option<Refusal> {
    if mode != SignMode::Required {
        return None;
    }
    match facts.verdict {
        Verdict::Valid { .. } | Verdict::Unavailable { .. } => None,
        Verdict::Invalid(_) => Some(Refusal::SignInvalid),
        Verdict::Unverifiable(UnverifiableReason::ForeignScheme) => Some(Refusal::ForeignScheme),
        Verdict::Unverifiable(_) if facts.content == Content::Unopened => None,
        Verdict::Unverifiable(UnverifiableReason::UnknownGeneration) => Some(Refusal::UnknownGeneration),
        Verdict::Unverifiable(_) => Some(Refusal::SignUnchecked),
    }
}

/// Without signs there is nothing that says whether decryption gave the register's text, and no way to seal an
/// encrypted acknowledgement: in `off` an encrypted body counts as closed even if a module could open it.
fn closed_by_mode(facts: &MessageFacts, mode: SignMode) -> bool {
    mode == SignMode::Off && facts.transport == Transport::Encrypted
}

/// The register of a contract may change its ФН whatever is done with strangers. Who was announced without a ФН is let
/// in by `hold` only: to `reject` means that an ФН has to be named beforehand.
fn unknown_fn_refusal(content: &Content, policy: UnknownFn) -> Option<Decision> {
    match (policy, announced(content)) {
        (UnknownFn::Accept, _) | (_, Announced::WithOtherFn) | (UnknownFn::Hold, Announced::Yes) => None,
        (UnknownFn::Reject, Announced::Yes | Announced::No) => {
            Some(Decision::Silence(Refusal::UnknownFnRejected))
        }
        (UnknownFn::Hold, Announced::No) => {
            Some(Decision::Quarantine(Refusal::UnknownFnHeld, Afterwards::Continue))
        }
    }
}

/// What a registration report opens the door with; nothing else does.
fn announced(content: &Content) -> Announced {
    match content {
        Content::Document(document) if document.form.is_registration() => document.kkt,
        _ => Announced::No,
    }
}

/// How a document that nothing keeps out enters the journal.
pub(crate) fn admit(facts: &MessageFacts, policy: &Policy) -> Admission {
    let sign_mark = !facts.verdict.is_valid();
    let document = match facts.content {
        Content::Document(document) => document,
        Content::UnknownForm => return unrecognised(TaskKind::UnknownForm, sign_mark),
        Content::Unopened | Content::Unreadable => return unrecognised(TaskKind::Unreadable, sign_mark),
    };
    let registration = document.form.is_registration();
    let failed = document.checks != Checks::Passed;
    Admission {
        code: if failed { OperatorCode::FORMAT_LOGIC } else { OperatorCode::ACCEPTED },
        forward: forward(facts.standing, registration, policy),
        flk_mark: failed,
        sign_mark,
        fn_changed_mark: announced(&facts.content) == Announced::WithOtherFn
            && document.checks != Checks::NotItself,
        after_deregistration_mark: is_newer(document.local_time, facts.deregistered_at),
        task: None,
        registers: match (registration, document.checks) {
            (false, _) => RegisterFeed::Nothing,
            (true, Checks::NotItself) => RegisterFeed::Existence,
            (true, Checks::Passed | Checks::Failed) => RegisterFeed::Facts,
        },
        makes_known: registration && facts.standing == Standing::Unknown,
    }
}

fn unrecognised(task: TaskKind, sign_mark: bool) -> Admission {
    Admission {
        code: OperatorCode::UNRECOGNISED,
        forward: Forward::No,
        flk_mark: false,
        sign_mark,
        fn_changed_mark: false,
        after_deregistration_mark: false,
        task: Some(task),
        registers: RegisterFeed::Nothing,
        makes_known: false,
    }
}

/// Both are times of the till. A document that states none is not held to be newer: it is answered with 14 anyway.
fn is_newer(document: Option<LocalTime>, deregistered_at: Option<LocalTime>) -> bool {
    matches!((document, deregistered_at), (Some(document), Some(end)) if document > end)
}

/// A registration report that was let in makes its ФН known, so it never waits for itself.
fn forward(standing: Standing, registration: bool, policy: &Policy) -> Forward {
    if standing != Standing::Unknown || registration || policy.forward_unknown {
        Forward::Yes
    } else {
        Forward::WhenKnown
    }
}

#[cfg(test)]
mod tests;
