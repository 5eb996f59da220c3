//! What a state means, what is waited for, and what a person can do.

use ofd_fns::registration::ContractStanding;
use ofd_store::{Kkt, RegistrationState as State};

/// One register's situation in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explanation {
    /// What has happened.
    pub(super) meaning: &'static str,
    /// What the register, the client or the tax service has to do; empty when nothing is outstanding.
    pub(super) waits_for: &'static str,
    /// What a person can do about it, one thing a line.
    pub(super) next: Vec<String>,
}

/// Explains a register under a contract of this number and standing.
pub(super) fn explain(kkt: &Kkt, contract: Option<&str>, standing: ContractStanding) -> Explanation {
    let (mut meaning, waits_for) = situation(kkt.state);
    if kkt.state == State::Contracted && standing == ContractStanding::None {
        meaning = "an operator announced it without a contract; nothing was applied for here";
    }
    let mut next = Vec::new();
    let number = contract.unwrap_or("NUMBER");
    match standing {
        ContractStanding::Draft => {
            next.push(format!("when the contract is paid or signed: fiscald contracts sign {number}"));
        }
        ContractStanding::Grace => {
            next.push(format!("the contract was stopped; to go on: fiscald contracts resume {number}"));
        }
        ContractStanding::Stopped => next.push(format!(
            "its documents are kept aside without an answer; to go on: fiscald contracts resume {number}"
        )),
        ContractStanding::None | ContractStanding::Active => {}
    }
    next.extend(steps(kkt));
    Explanation { meaning, waits_for, next }
}

fn situation(state: State) -> (&'static str, &'static str) {
    match state {
        State::ContractDraft => ("it is named in a contract that is neither paid nor signed", "the contract"),
        State::Contracted => (
            "its contract is in force; nothing was applied for here",
            "an application, a registration number (РНМ), or the registration report of the register",
        ),
        State::ApplicationSent => ("an application was handed in for it", "the decision of the tax service"),
        State::ApplicationRefused => ("the tax service refused the application", "a new application"),
        State::RnmAssigned => (
            "the tax service gave it a registration number (РНМ)",
            "the registration report: the client writes the РНМ into the register not later than the next business day",
        ),
        State::ReportReceived => {
            ("its registration report came and was acknowledged", "the tax service taking the report")
        }
        State::ReportForwarded => ("the tax service took its registration report", "the registration card"),
        State::AwaitingManualCompletion => (
            "the tax service took its registration report, and no card came in time",
            "the client: registration is completed in the taxpayer's cabinet («Завершить регистрацию»)",
        ),
        State::ReportRefused => (
            "the tax service refused its registration report",
            "a new registration report: the register must be registered again with its ФН",
        ),
        State::Linked => ("the tax service registered it", ""),
        State::ReregReportReceived => {
            ("a report of changed parameters came and was acknowledged", "the tax service taking the report")
        }
        State::ReregForwarded => ("the tax service took its report of changed parameters", "a new card"),
        State::FnClosed => {
            ("its ФН was closed", "a report of changed parameters with a new ФН, or the deregistration")
        }
        State::Deregistered => ("it was deregistered", ""),
    }
}

fn steps(kkt: &Kkt) -> Vec<String> {
    let serial = kkt.serial.as_deref().unwrap_or("SERIAL");
    match kkt.state {
        State::Contracted | State::ApplicationRefused => vec![
            format!("hand in an application: fiscald registers apply {serial} ..."),
            format!("or write down the number the client was given: fiscald registers rnm {serial} RNM"),
        ],
        State::ApplicationSent => vec!["see `fiscald registers applications`".to_owned()],
        State::ReportReceived | State::ReregReportReceived => {
            vec!["should it take long: fiscald outbox summary".to_owned()]
        }
        State::AwaitingManualCompletion => vec![
            "the client types the three values below into the taxpayer's cabinet and sends the card"
                .to_owned(),
            "then: fiscald cards upload FILE".to_owned(),
        ],
        State::ReportForwarded | State::ReregForwarded => {
            vec!["a card that the client already has: fiscald cards upload FILE".to_owned()]
        }
        State::ReportRefused => {
            vec!["tell the client the codes of the refusal; see `fiscald tasks list`".to_owned()]
        }
        State::ContractDraft | State::RnmAssigned | State::Linked | State::FnClosed | State::Deregistered => {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_explained() {
        let mut text = String::new();
        for state in State::ALL {
            let kkt =
                Kkt { serial: Some("0128003270".to_owned()), ..Kkt::new(state, jiff::Timestamp::UNIX_EPOCH) };
            let standing = match state {
                State::ContractDraft => ContractStanding::Draft,
                State::FnClosed => ContractStanding::Grace,
                State::Deregistered => ContractStanding::Stopped,
                _ => ContractStanding::Active,
            };
            let Explanation { meaning, waits_for, next } = explain(&kkt, Some("17-КЗ"), standing);
            text += &format!("{}: {meaning}\n", state.name());
            if !waits_for.is_empty() {
                text += &format!("  waits for: {waits_for}\n");
            }
            for step in next {
                text += &format!("  - {step}\n");
            }
        }
        insta::assert_snapshot!(text);
    }
}
