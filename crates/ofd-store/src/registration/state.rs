//! Names of states.

/// Where the registration of a register stands. The names are those of the tax service specification, section
/// "Registration state machine".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationState {
    /// A line of a contract that is neither signed nor paid.
    ContractDraft,
    /// Under contract, or stated by an operator; nothing was applied for.
    Contracted,
    /// An application (form 1110061) was submitted.
    ApplicationSent,
    /// The tax service refused the application.
    ApplicationRefused,
    /// The registration number is known, the report of registration not.
    RnmAssigned,
    /// The report of registration (form 1) was acknowledged.
    ReportReceived,
    /// The tax service has the report.
    ReportForwarded,
    /// No card came in time: the three values are to be typed in by hand.
    AwaitingManualCompletion,
    /// The tax service refused the report.
    ReportRefused,
    /// The card is there: registered.
    Linked,
    /// A report of changed parameters (form 11) was acknowledged.
    ReregReportReceived,
    /// The tax service has the report of changed parameters.
    ReregForwarded,
    /// The ФН was closed (form 6).
    FnClosed,
    /// Deregistered; final for this registration number.
    Deregistered,
}

impl RegistrationState {
    /// All states, in the order of the specification.
    pub const ALL: [Self; 14] = [
        Self::ContractDraft,
        Self::Contracted,
        Self::ApplicationSent,
        Self::ApplicationRefused,
        Self::RnmAssigned,
        Self::ReportReceived,
        Self::ReportForwarded,
        Self::AwaitingManualCompletion,
        Self::ReportRefused,
        Self::Linked,
        Self::ReregReportReceived,
        Self::ReregForwarded,
        Self::FnClosed,
        Self::Deregistered,
    ];

    /// The name as stored and shown, such as `REPORT_RECEIVED`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContractDraft => "CONTRACT_DRAFT",
            Self::Contracted => "CONTRACTED",
            Self::ApplicationSent => "APPLICATION_SENT",
            Self::ApplicationRefused => "APPLICATION_REFUSED",
            Self::RnmAssigned => "RNM_ASSIGNED",
            Self::ReportReceived => "REPORT_RECEIVED",
            Self::ReportForwarded => "REPORT_FORWARDED",
            Self::AwaitingManualCompletion => "AWAITING_MANUAL_COMPLETION",
            Self::ReportRefused => "REPORT_REFUSED",
            Self::Linked => "LINKED",
            Self::ReregReportReceived => "REREG_REPORT_RECEIVED",
            Self::ReregForwarded => "REREG_FORWARDED",
            Self::FnClosed => "FN_CLOSED",
            Self::Deregistered => "DEREGISTERED",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Where a contract stands. The grace period after a stop is no state of its own: it follows from
/// [`Contract::stopped_at`](crate::Contract::stopped_at).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContractState {
    /// Neither signed nor paid: its registers are not known to reception by it.
    Draft,
    /// In force.
    Active,
    /// The service was stopped.
    Stopped,
}

impl ContractState {
    const ALL: [Self; 3] = [Self::Draft, Self::Active, Self::Stopped];

    /// The name as stored and shown: `draft`, `active`, `stopped`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Stopped => "stopped",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for state in RegistrationState::ALL {
            assert_eq!(RegistrationState::from_name(state.name()), Some(state));
        }
        for state in ContractState::ALL {
            assert_eq!(ContractState::from_name(state.name()), Some(state));
        }
        assert_eq!(RegistrationState::from_name("linked"), None);
        assert_eq!(ContractState::from_name("grace"), None);
    }
}
