//! The table, row by row, and that there is no other.

use std::collections::BTreeMap;

use super::*;
use State::{
    ApplicationSent, AwaitingManualCompletion, ContractDraft, Contracted, FnClosed, Linked, ReportForwarded,
    ReportReceived, ReportRefused, ReregForwarded, ReregReportReceived, RnmAssigned,
};
use Trigger::{
    Added, AddedInDraft, ApplicationAccepted, Applied, CardFits, ChangeReport, ContractSigned, FnClosing,
    RegistrationRefused, Report, ReportHard, ReportTaken, RnmTaken, RnmTyped, TimeOut,
};

/// Rows of the tables and of the diagram of the notes (B2): from, trigger, to.
const NOTES: &[(Option<State>, Trigger, State)] = &[
    (None, AddedInDraft, ContractDraft),
    (Some(ContractDraft), ContractSigned, Contracted),
    (Some(Contracted), Applied, ApplicationSent),
    (Some(ApplicationSent), ApplicationAccepted, RnmAssigned),
    (Some(ApplicationSent), Trigger::ApplicationRefused, State::ApplicationRefused),
    (Some(State::ApplicationRefused), Applied, ApplicationSent),
    (Some(Contracted), RnmTyped, RnmAssigned),
    (Some(ApplicationSent), RnmTyped, RnmAssigned),
    (Some(Contracted), Report, ReportReceived),
    (Some(ApplicationSent), Report, ReportReceived),
    (Some(RnmAssigned), Report, ReportReceived),
    (Some(ReportRefused), Report, ReportReceived),
    (Some(ReportReceived), ReportTaken, ReportForwarded),
    (Some(ReportReceived), ReportHard, ReportRefused),
    (Some(ReportForwarded), CardFits, Linked),
    (Some(ReportForwarded), TimeOut, AwaitingManualCompletion),
    (Some(AwaitingManualCompletion), CardFits, Linked),
    (Some(AwaitingManualCompletion), RegistrationRefused, ReportRefused),
    (Some(Linked), ChangeReport, ReregReportReceived),
    (Some(ReregReportReceived), ReportTaken, ReregForwarded),
    (Some(ReregForwarded), CardFits, Linked),
    (Some(Linked), FnClosing, FnClosed),
    (Some(FnClosed), ChangeReport, ReregReportReceived),
    (Some(Linked), Trigger::Deregistered, State::Deregistered),
    (Some(FnClosed), Trigger::Deregistered, State::Deregistered),
    // Of C5: a report of changed parameters of a register known only by contract is like a first one.
    (Some(Contracted), ChangeReport, ReportReceived),
];

/// Rows of our own: what the notes leave open.
const OURS: &[(Option<State>, Trigger, State)] = &[
    (None, Added, Contracted),
    (None, Report, ReportReceived),
    (None, ChangeReport, ReportReceived),
    (Some(ContractDraft), Report, ReportReceived),
    (Some(ContractDraft), ChangeReport, ReportReceived),
    (Some(State::ApplicationRefused), Report, ReportReceived),
    (Some(State::ApplicationRefused), RnmTyped, RnmAssigned),
    (Some(RnmAssigned), RnmTyped, RnmAssigned),
    (Some(ApplicationSent), ChangeReport, ReportReceived),
    (Some(State::ApplicationRefused), ChangeReport, ReportReceived),
    (Some(RnmAssigned), ChangeReport, ReportReceived),
    // A newer report takes the place of the one waited on.
    (Some(ReportReceived), Report, ReportReceived),
    (Some(ReportReceived), ChangeReport, ReportReceived),
    (Some(ReportForwarded), Report, ReportReceived),
    (Some(ReportForwarded), ChangeReport, ReportReceived),
    (Some(AwaitingManualCompletion), Report, ReportReceived),
    (Some(AwaitingManualCompletion), ChangeReport, ReportReceived),
    (Some(ReportRefused), ChangeReport, ReportReceived),
    (Some(Linked), Report, ReportReceived),
    (Some(ReregReportReceived), Report, ReportReceived),
    (Some(ReregForwarded), Report, ReportReceived),
    (Some(FnClosed), Report, ReportReceived),
    (Some(ReregReportReceived), ChangeReport, ReregReportReceived),
    (Some(ReregForwarded), ChangeReport, ReregReportReceived),
    // A card that overtakes its ticket, or its report, or comes against a refusal.
    (Some(Contracted), CardFits, Linked),
    (Some(ApplicationSent), CardFits, Linked),
    (Some(State::ApplicationRefused), CardFits, Linked),
    (Some(RnmAssigned), CardFits, Linked),
    (Some(ReportReceived), CardFits, Linked),
    (Some(ReportRefused), CardFits, Linked),
    (Some(ReregReportReceived), CardFits, Linked),
    // Refusals, also late ones.
    (Some(ReportReceived), RegistrationRefused, ReportRefused),
    (Some(ReportForwarded), RegistrationRefused, ReportRefused),
    (Some(ReportForwarded), ReportHard, ReportRefused),
    (Some(AwaitingManualCompletion), ReportHard, ReportRefused),
    (Some(ReregReportReceived), ReportHard, ReportRefused),
    (Some(ReregReportReceived), RegistrationRefused, ReportRefused),
    (Some(ReregForwarded), ReportHard, ReportRefused),
    (Some(ReregForwarded), RegistrationRefused, ReportRefused),
    (Some(Linked), RegistrationRefused, ReportRefused),
    // A number that was only typed, or assigned, and that a document brought for another register.
    (Some(RnmAssigned), RnmTaken, Contracted),
    (Some(ReportReceived), Trigger::Deregistered, State::Deregistered),
    (Some(ReportForwarded), Trigger::Deregistered, State::Deregistered),
    (Some(AwaitingManualCompletion), Trigger::Deregistered, State::Deregistered),
    (Some(ReportRefused), Trigger::Deregistered, State::Deregistered),
    (Some(ReregReportReceived), Trigger::Deregistered, State::Deregistered),
    (Some(ReregForwarded), Trigger::Deregistered, State::Deregistered),
];

/// In order, and changes no state: repeats, reminders, news that came late.
const STAYS: &[(State, &[Trigger])] = &[
    (ContractDraft, &[FnClosing, RnmTaken]),
    (Contracted, &[FnClosing, RnmTaken]),
    (ApplicationSent, &[FnClosing, RnmTaken]),
    (State::ApplicationRefused, &[FnClosing, RnmTaken, Trigger::ApplicationRefused]),
    (RnmAssigned, &[FnClosing, ApplicationAccepted, Trigger::ApplicationRefused, TimeOut]),
    (ReportReceived, &[RnmTyped, RnmTaken, ApplicationAccepted, Trigger::ApplicationRefused, FnClosing]),
    (
        ReportForwarded,
        &[ReportTaken, RnmTyped, RnmTaken, ApplicationAccepted, Trigger::ApplicationRefused, FnClosing],
    ),
    (
        AwaitingManualCompletion,
        &[ReportTaken, RnmTyped, RnmTaken, ApplicationAccepted, Trigger::ApplicationRefused, FnClosing],
    ),
    (
        ReportRefused,
        &[
            ReportTaken,
            ReportHard,
            RegistrationRefused,
            RnmTyped,
            RnmTaken,
            ApplicationAccepted,
            Trigger::ApplicationRefused,
            FnClosing,
        ],
    ),
    (
        Linked,
        &[
            ReportTaken,
            ReportHard,
            CardFits,
            RnmTyped,
            RnmTaken,
            ApplicationAccepted,
            Trigger::ApplicationRefused,
        ],
    ),
    (ReregReportReceived, &[FnClosing, RnmTyped, RnmTaken, ApplicationAccepted, Trigger::ApplicationRefused]),
    (
        ReregForwarded,
        &[
            FnClosing,
            ReportTaken,
            TimeOut,
            RnmTyped,
            RnmTaken,
            ApplicationAccepted,
            Trigger::ApplicationRefused,
        ],
    ),
    (
        FnClosed,
        &[
            FnClosing,
            ReportTaken,
            ReportHard,
            RegistrationRefused,
            CardFits,
            RnmTyped,
            RnmTaken,
            ApplicationAccepted,
            Trigger::ApplicationRefused,
        ],
    ),
    (State::Deregistered, &[Trigger::Deregistered, ReportTaken, ReportHard]),
];

#[test]
fn every_pair_of_state_and_trigger_is_as_written_down() {
    let mut expected: BTreeMap<(Option<State>, Trigger), Next> = BTreeMap::new();
    for (from, trigger, to) in NOTES.iter().chain(OURS) {
        assert!(expected.insert((*from, *trigger), Goes(*to)).is_none(), "twice: {from:?} {trigger:?}");
    }
    for (from, triggers) in STAYS {
        for trigger in *triggers {
            assert!(expected.insert((Some(*from), *trigger), Stays).is_none(), "twice: {from:?} {trigger:?}");
        }
    }
    let states = std::iter::once(None).chain(State::ALL.map(Some));
    for from in states {
        for trigger in Trigger::ALL {
            assert_eq!(next(from, trigger), expected.get(&(from, trigger)).copied(), "{from:?} {trigger:?}");
        }
    }
}

#[test]
fn deregistered_is_the_end() {
    for trigger in Trigger::ALL {
        assert!(!matches!(next(Some(State::Deregistered), trigger), Some(Goes(_))), "{trigger:?}");
    }
}

#[test]
fn every_state_can_be_reached() {
    let mut reached = vec![None];
    let mut index = 0;
    while let Some(&from) = reached.get(index) {
        for trigger in Trigger::ALL {
            if let Some(Goes(to)) = next(from, trigger)
                && !reached.contains(&Some(to))
            {
                reached.push(Some(to));
            }
        }
        index += 1;
    }
    for state in State::ALL {
        assert!(reached.contains(&Some(state)), "{state:?}");
    }
}

#[test]
fn every_trigger_has_words() {
    for trigger in Trigger::ALL {
        assert!(!trigger.words().is_empty());
    }
}
