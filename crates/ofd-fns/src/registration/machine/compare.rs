//! The guards that compare: a report with its register, a card with its register. Text is compared exactly after its padding
//! is cut away; leading zeros of serial numbers count.

use ffd::ids::{FnNumber, Rnm, RnmCheck};
use ofd_store::Kkt;

use super::Circumstances;
use crate::registration::card::CardFacts;
use crate::registration::report::{ReportFacts, ReportForm};

/// Names of the compared fields, as the JSON of a register has them.
pub(super) const FN: &str = "fn";
pub(super) const KKT_SERIAL: &str = "kkt_serial";
pub(super) const INN: &str = "inn";
pub(super) const RNM: &str = "rnm";
/// The reasons of a change do not name the replacement of the ФН, which there was.
pub(super) const REASON: &str = "reason";

/// A field in which two sides differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Its name.
    pub(super) field: &'static str,
    /// What we have.
    pub(super) ours: Option<String>,
    /// What the other side says.
    pub(super) theirs: Option<String>,
}

/// What a report brought.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Fields in which it differs from what was agreed.
    pub(super) differing: Vec<Difference>,
    /// The ФН that was there until now, when it brought another.
    pub(super) fn_changed: Option<FnNumber>,
}

/// Compares a report with its register and takes over what the register lacks: a registration number above all, and another
/// ФН, unless this belongs elsewhere.
pub(super) fn take_report(kkt: &mut Kkt, facts: &ReportFacts, circumstances: Circumstances) -> Taken {
    let mut taken = Taken::default();
    let mut differs = |field: &'static str, ours: Option<String>, theirs: Option<String>| {
        taken.differing.push(Difference { field, ours, theirs });
    };
    match kkt.fn_number {
        Some(ours) if ours == facts.fn_number => {}
        _ if circumstances.fn_elsewhere => {
            differs(FN, kkt.fn_number.map(|ours| ours.to_string()), Some(facts.fn_number.to_string()));
        }
        before => {
            kkt.fn_number = Some(facts.fn_number);
            kkt.fn_model = None;
            taken.fn_changed = before;
            if before.is_some() && facts.form == ReportForm::Change && facts.replaces_fn == Some(false) {
                differs(REASON, None, None);
            }
        }
    }
    for (field, ours, theirs) in
        [(KKT_SERIAL, &mut kkt.serial, &facts.kkt_serial), (INN, &mut kkt.inn, &facts.inn)]
    {
        match (ours.as_deref(), theirs) {
            (None, _) => ours.clone_from(theirs),
            (Some(one), Some(other)) if one == other => {}
            (Some(_), _) => differs(field, ours.clone(), theirs.clone()),
        }
    }
    match (kkt.rnm.as_deref(), facts.rnm.as_deref()) {
        (Some(ours), Some(theirs)) if ours == theirs => kkt.rnm_confirmed = true,
        (None, Some(_)) if circumstances.rnm_elsewhere => differs(RNM, None, facts.rnm.clone()),
        (None, Some(theirs)) => {
            kkt.rnm = Some(theirs.to_owned());
            kkt.rnm_confirmed = true;
        }
        _ => differs(RNM, kkt.rnm.clone(), facts.rnm.clone()),
    }
    taken
}

/// In what a card differs from a register. What the register lacks cannot differ, what the card lacks does.
pub(super) fn card(kkt: &Kkt, facts: &CardFacts) -> Vec<Difference> {
    let fn_text = |number: Option<FnNumber>| number.map(|number| number.to_string());
    [
        (RNM, kkt.rnm.clone(), Some(facts.rnm.clone())),
        (KKT_SERIAL, kkt.serial.clone(), facts.kkt_serial.clone()),
        (FN, fn_text(kkt.fn_number), fn_text(facts.fn_number)),
        (INN, kkt.inn.clone(), facts.inn.clone()),
    ]
    .into_iter()
    .filter(|(_, ours, theirs)| theirs.is_none() || ours.is_some() && ours != theirs)
    .map(|(field, ours, theirs)| Difference { field, ours, theirs })
    .collect()
}

/// In what a card of deregistration differs from a register. The registration number must be the same; of the rest only
/// what both sides have is compared, for the bare event of a deregistration names the number alone.
pub(super) fn deregistration(kkt: &Kkt, facts: &CardFacts) -> Vec<Difference> {
    let fn_text = |number: Option<FnNumber>| number.map(|number| number.to_string());
    [
        (RNM, kkt.rnm.clone(), Some(facts.rnm.clone())),
        (KKT_SERIAL, kkt.serial.clone(), facts.kkt_serial.clone()),
        (FN, fn_text(kkt.fn_number), fn_text(facts.fn_number)),
        (INN, kkt.inn.clone(), facts.inn.clone()),
    ]
    .into_iter()
    .filter(|(field, ours, theirs)| ours != theirs && (*field == RNM || ours.is_some() && theirs.is_some()))
    .map(|(field, ours, theirs)| Difference { field, ours, theirs })
    .collect()
}

/// Takes over what only the card knows. A document of the tax service confirms the registration number.
pub(super) fn take_card(kkt: &mut Kkt, facts: &CardFacts) {
    kkt.rnm = Some(facts.rnm.clone());
    kkt.rnm_confirmed = true;
    kkt.serial = kkt.serial.take().or_else(|| facts.kkt_serial.clone());
    kkt.inn = kkt.inn.take().or_else(|| facts.inn.clone());
    kkt.fn_number = kkt.fn_number.or(facts.fn_number);
}

/// The check value of a registration number against the register's INN and serial number.
pub(super) fn rnm_check(rnm: &Rnm, kkt: &Kkt) -> RnmCheck {
    match (&kkt.inn, &kkt.serial) {
        (Some(inn), Some(serial)) => rnm.verify(inn, serial),
        _ => RnmCheck::NotCheckable,
    }
}
