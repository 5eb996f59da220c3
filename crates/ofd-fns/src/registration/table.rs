//! The table of the state machine (tax-service notes B2): which trigger leads from which state to which. Guards are already
//! decided here, see [`super::machine`]; this is the part that can be read beside the notes line by line.
//!
//! Rows that the notes do not have, and why they are here:
//! * A report that was acknowledged is a fact. It moves every state before [`State::Deregistered`], also a draft's and a
//!   refused application's (policy `accept`, a released ФН), and a newer report takes the place of one that was waited on.
//! * A card that fits is the last word of the registry: it links from every state that has agreed fields to compare with.
//!   So a card that overtakes its ticket, or the follower of the journal, is not lost.
//! * A refusal of a report of changed parameters is shown like that of a first report.
//! * A registration refused after its card came ([`State::Linked`]) is refused: the refusal is the newer word. A hard ticket
//!   about the report is not: the card stands, and a person is told. So is one told in [`State::FnClosed`], whose ФН cannot
//!   report again anyway.
//! * A registration number that nothing has confirmed yet may be typed again, and is lost to the register whose report or
//!   card brings it.

use ofd_store::RegistrationState as State;

use Next::{Goes, Stays};

/// What happened, with its guards decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// A register was added under a contract that is neither signed nor paid.
    AddedInDraft,
    /// A register was added under a contract in force, or by an operator's word.
    Added,
    /// Its contract was paid or signed.
    ContractSigned,
    /// A complete application for its registration was handed in.
    Applied,
    /// The tax service assigned the registration number.
    ApplicationAccepted,
    /// The tax service refused the application.
    ApplicationRefused,
    /// Somebody typed the registration number.
    RnmTyped,
    /// The report of registration (form 1) was acknowledged with 0.
    Report,
    /// The report of changed parameters (form 11) was acknowledged with 0.
    ChangeReport,
    /// The report of the closing of the ФН in use (form 6) was acknowledged with 0.
    FnClosing,
    /// Verdict `accepted` or `soft` about the newest report.
    ReportTaken,
    /// Verdict `hard` about the newest report.
    ReportHard,
    /// The tax service refused the registration by the newest report.
    RegistrationRefused,
    /// A card of registration, equal to ours in every key field.
    CardFits,
    /// The timer of the state ran out: [`State::RnmAssigned`], [`State::ReportForwarded`], [`State::ReregForwarded`].
    TimeOut,
    /// A card or an event of deregistration with our registration number.
    Deregistered,
    /// The registration number, not confirmed here, was confirmed for another register.
    RnmTaken,
}

/// What a trigger does to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// It leads to this state (perhaps the same, whose timer then begins anew).
    Goes(State),
    /// It is in order and leaves the state as it is: a repeat, a reminder, news that came late.
    Stays,
}

impl Trigger {
    /// All triggers.
    pub const ALL: [Self; 17] = [
        Self::AddedInDraft,
        Self::Added,
        Self::ContractSigned,
        Self::Applied,
        Self::ApplicationAccepted,
        Self::ApplicationRefused,
        Self::RnmTyped,
        Self::Report,
        Self::ChangeReport,
        Self::FnClosing,
        Self::ReportTaken,
        Self::ReportHard,
        Self::RegistrationRefused,
        Self::CardFits,
        Self::TimeOut,
        Self::Deregistered,
        Self::RnmTaken,
    ];

    /// In words, for log lines and errors.
    pub fn words(self) -> &'static str {
        match self {
            Self::AddedInDraft | Self::Added => "register added",
            Self::ContractSigned => "contract signed or paid",
            Self::Applied => "application handed in",
            Self::ApplicationAccepted => "application accepted",
            Self::ApplicationRefused => "application refused",
            Self::RnmTyped => "registration number typed in",
            Self::Report => "report of registration acknowledged",
            Self::ChangeReport => "report of changed parameters acknowledged",
            Self::FnClosing => "report of the closing of the ФН acknowledged",
            Self::ReportTaken => "report taken by the tax service",
            Self::ReportHard => "report refused by the control of the tax service",
            Self::RegistrationRefused => "registration refused by the tax service",
            Self::CardFits => "registration card",
            Self::TimeOut => "time ran out",
            Self::Deregistered => "deregistration",
            Self::RnmTaken => "registration number confirmed for another register",
        }
    }
}

/// The table. None: the trigger is out of place in this state and must change nothing.
pub fn next(from: Option<State>, trigger: Trigger) -> Option<Next> {
    use Trigger as T;
    let Some(from) = from else {
        return match trigger {
            T::AddedInDraft => Some(Goes(State::ContractDraft)),
            T::Added => Some(Goes(State::Contracted)),
            T::Report | T::ChangeReport => Some(Goes(State::ReportReceived)),
            _ => None,
        };
    };
    match from {
        State::ContractDraft
        | State::Contracted
        | State::ApplicationSent
        | State::ApplicationRefused
        | State::RnmAssigned => before_report(from, trigger),
        State::ReportReceived
        | State::ReportForwarded
        | State::AwaitingManualCompletion
        | State::ReportRefused => first_report(from, trigger),
        State::Linked | State::ReregReportReceived | State::ReregForwarded | State::FnClosed => {
            registered(from, trigger)
        }
        // Terminal for its registration number: only what says so once more is in order.
        State::Deregistered => match trigger {
            T::Deregistered | T::ReportTaken | T::ReportHard => Some(Stays),
            _ => None,
        },
    }
}

/// Rows of the states in which no report has come yet.
fn before_report(from: State, trigger: Trigger) -> Option<Next> {
    use Trigger as T;
    match (from, trigger) {
        (State::ContractDraft, T::ContractSigned) => Some(Goes(State::Contracted)),
        (State::Contracted | State::ApplicationRefused, T::Applied) => Some(Goes(State::ApplicationSent)),
        (State::ApplicationSent, T::ApplicationAccepted) => Some(Goes(State::RnmAssigned)),
        (State::ApplicationSent, T::ApplicationRefused) => Some(Goes(State::ApplicationRefused)),
        (State::ApplicationRefused, T::ApplicationRefused) => Some(Stays),
        // The number was typed in before the tax service answered, or its answer came twice.
        (State::RnmAssigned, T::ApplicationAccepted | T::ApplicationRefused) => Some(Stays),
        (
            State::Contracted | State::ApplicationSent | State::ApplicationRefused | State::RnmAssigned,
            T::RnmTyped,
        ) => Some(Goes(State::RnmAssigned)),
        (State::RnmAssigned, T::TimeOut) => Some(Stays),
        (State::RnmAssigned, T::RnmTaken) => Some(Goes(State::Contracted)),
        (_, T::RnmTaken) => Some(Stays),
        (_, T::Report | T::ChangeReport) => Some(Goes(State::ReportReceived)),
        // The closing of a ФН that never was registered with us: shown by the condition of the ФН.
        (_, T::FnClosing) => Some(Stays),
        (
            State::Contracted | State::ApplicationSent | State::ApplicationRefused | State::RnmAssigned,
            T::CardFits,
        ) => Some(Goes(State::Linked)),
        _ => None,
    }
}

/// Rows of the states between a first report and its card.
fn first_report(from: State, trigger: Trigger) -> Option<Next> {
    use Trigger as T;
    match (from, trigger) {
        (_, T::Report | T::ChangeReport) => Some(Goes(State::ReportReceived)),
        (State::ReportReceived, T::ReportTaken) => Some(Goes(State::ReportForwarded)),
        (_, T::ReportTaken) => Some(Stays),
        (State::ReportRefused, T::ReportHard | T::RegistrationRefused) => Some(Stays),
        (_, T::ReportHard | T::RegistrationRefused) => Some(Goes(State::ReportRefused)),
        (State::ReportForwarded, T::TimeOut) => Some(Goes(State::AwaitingManualCompletion)),
        (_, T::CardFits) => Some(Goes(State::Linked)),
        (_, T::Deregistered) => Some(Goes(State::Deregistered)),
        (_, T::RnmTyped | T::RnmTaken | T::ApplicationAccepted | T::ApplicationRefused | T::FnClosing) => {
            Some(Stays)
        }
        _ => None,
    }
}

/// Rows of the states of a register that is in the registry.
fn registered(from: State, trigger: Trigger) -> Option<Next> {
    use Trigger as T;
    match (from, trigger) {
        (_, T::ChangeReport) => Some(Goes(State::ReregReportReceived)),
        // Form 1 of a register in the registry: a registration that begins anew, with a new ФН or a new chain.
        (_, T::Report) => Some(Goes(State::ReportReceived)),
        (State::Linked, T::FnClosing) => Some(Goes(State::FnClosed)),
        (_, T::FnClosing) => Some(Stays),
        (State::ReregReportReceived, T::ReportTaken) => Some(Goes(State::ReregForwarded)),
        (State::ReregReportReceived | State::ReregForwarded, T::ReportHard | T::RegistrationRefused)
        | (State::Linked, T::RegistrationRefused) => Some(Goes(State::ReportRefused)),
        (_, T::ReportTaken | T::ReportHard | T::RegistrationRefused) => Some(Stays),
        (State::ReregReportReceived | State::ReregForwarded, T::CardFits) => Some(Goes(State::Linked)),
        (_, T::CardFits) => Some(Stays),
        (State::ReregForwarded, T::TimeOut) => Some(Stays),
        (_, T::Deregistered) => Some(Goes(State::Deregistered)),
        (_, T::RnmTyped | T::RnmTaken | T::ApplicationAccepted | T::ApplicationRefused) => Some(Stays),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
