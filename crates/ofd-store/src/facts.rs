//! What the hot path asks about registers, in memory.
//!
//! The watcher of the store adds, changes and takes away what other connections committed: an operator's command, the
//! follower of registrations, another daemon on the same file.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use ffd::ids::FnNumber;
use jiff::Timestamp;

use crate::ContractState;
use crate::looks::Looks;

/// Until [`Facts::set_grace`] says otherwise: three days.
const DEFAULT_GRACE: Duration = Duration::from_secs(259_200);
/// Stands for a moment that is not there; the first second of 1970 is none of ours.
const NEVER: u32 = 0;
/// Stands for a contract that is not there; rows are numbered from 1.
const NO_CONTRACT: i64 = 0;

/// Whether a ФН is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// By a contract in force or in its grace period, a report let in, an operator's command, or a release from
    /// quarantine.
    Known,
    /// Not known: the policy for unknown ФН decides.
    Unknown,
    /// Its contract was stopped longer ago than the grace period.
    Suspended,
}

/// What reception has to know of a ФН.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FnStanding {
    /// Whether it is served.
    pub standing: Standing,
    /// Till time (tag 1012, seconds without a zone) from which on its register is deregistered.
    pub deregistered_at: Option<u32>,
}

/// Whether a report of a ФН not known yet is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Announced {
    /// No: it is like any other unknown ФН.
    No,
    /// An operator stated the serial number of its ККТ, or a contract names the ККТ and no other ФН.
    Yes,
    /// A contract names the ККТ with another ФН: the ФН was changed.
    WithOtherFn,
}

/// Shared register facts. [`Facts::default`] knows nobody.
#[derive(Debug)]
pub struct Facts {
    tables: RwLock<Tables>,
    grace_us: AtomicI64,
    looks: Looks,
}

/// Every row of these is there once for each register: they are kept small.
#[derive(Debug, Default)]
struct Tables {
    fns: HashMap<FnNumber, FnFact>,
    /// Serial numbers of ККТ that an operator stated, with the ИНН if one was stated too.
    stated: HashMap<Box<str>, Option<Box<str>>>,
    /// Contract lines that are not closed, by the serial number of the ККТ.
    lines: HashMap<Box<str>, LineFact>,
    contracts: HashMap<i64, ContractFact>,
}

/// Of one ФН.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FnFact {
    /// Reception knows it whatever the contracts say.
    known: bool,
    /// From which on its register is deregistered, till time, or [`NEVER`].
    deregistered_at: u32,
    /// When its register left the contract, seconds UTC, or [`NEVER`].
    line_closed_at: u32,
    /// The contract of its register, or [`NO_CONTRACT`].
    contract: i64,
}

/// Of one contract line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineFact {
    id: i64,
    contract: i64,
    fn_number: Option<FnNumber>,
}

/// Of one contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContractFact {
    pub(crate) inn: Box<str>,
    pub(crate) state: ContractState,
    pub(crate) stopped_at: Option<Timestamp>,
}

/// Rows that changed, as the store has them now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FactChanges {
    /// ФН that are known by themselves.
    pub(crate) known: Vec<FnNumber>,
    /// Serial numbers an operator stated, with the ИНН.
    pub(crate) stated: Vec<(String, Option<String>)>,
    /// What the registers say about their ФН.
    pub(crate) fns: Vec<FnChange>,
    pub(crate) lines: Vec<LineChange>,
    pub(crate) contracts: Vec<(i64, ContractFact)>,
}

/// What its register says about a ФН.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FnChange {
    pub(crate) fn_number: FnNumber,
    pub(crate) contract: Option<i64>,
    pub(crate) line_closed_at: Option<Timestamp>,
    pub(crate) deregistered_at: Option<u32>,
}

/// A contract line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineChange {
    pub(crate) id: i64,
    pub(crate) contract: i64,
    pub(crate) kkt_serial: String,
    pub(crate) fn_number: Option<FnNumber>,
    pub(crate) closed: bool,
}

impl Default for Facts {
    fn default() -> Self {
        let grace_us = AtomicI64::new(microseconds(DEFAULT_GRACE));
        Self { tables: RwLock::default(), grace_us, looks: Looks::default() }
    }
}

impl Facts {
    /// How long after the stop of its contract a register is served on. Three days until somebody says otherwise.
    pub fn set_grace(&self, grace: Duration) {
        self.grace_us.store(microseconds(grace), Ordering::Relaxed);
    }

    /// Whether [`Self::renewed`] can make a difference: others take documents into the same store.
    #[must_use]
    pub fn can_be_renewed(&self) -> bool {
        self.looks.can_be_asked_for()
    }

    /// Waits until the facts were read anew, or that failed. For a ФН that is not known: another node may have let it in
    /// a moment ago. All who wait at a time share one look, and looks leave a pause between them, so that a crowd of
    /// strangers costs the database little.
    ///
    /// Cancellation-safe. The caller limits the time: a server that is not there is waited for.
    pub async fn renewed(&self) {
        self.looks.another().await;
    }

    /// What is known of the ФН now. A contract has the last word: what it stopped is [`Standing::Suspended`] however else
    /// it is known, and only one in force or in its grace period makes a ФН known by itself.
    #[must_use]
    pub fn standing(&self, fn_number: &FnNumber, now: Timestamp) -> FnStanding {
        let tables = self.read();
        let Some(fact) = tables.fns.get(fn_number) else {
            return FnStanding { standing: Standing::Unknown, deregistered_at: None };
        };
        let deregistered_at = (fact.deregistered_at != NEVER).then_some(fact.deregistered_at);
        FnStanding { standing: self.standing_of(&tables, fact, now), deregistered_at }
    }

    /// Whether a report with this serial number of the ККТ (tag 1013) and this ИНН of the user (tag 1018) is expected,
    /// its ФН being unknown. Padding does not matter.
    ///
    /// A serial number that an operator stated is enough, unless he stated another ИНН too; a contract line must have
    /// both, and its contract must be in force or in its grace period. Serial numbers that only a report told about do
    /// not count: they would let in any other ФН that claims them.
    #[must_use]
    pub fn announced(
        &self,
        fn_number: &FnNumber,
        kkt_serial: &str,
        inn: Option<&str>,
        now: Timestamp,
    ) -> Announced {
        let (serial, inn) = (kkt_serial.trim(), inn.map(str::trim));
        let tables = self.read();
        if let Some(line) = tables.lines.get(serial)
            && let Some(contract) = tables.contracts.get(&line.contract)
            && inn == Some(&*contract.inn)
            && self.is_served(contract, now)
        {
            return match line.fn_number {
                Some(other) if other != *fn_number => Announced::WithOtherFn,
                _ => Announced::Yes,
            };
        }
        match tables.stated.get(serial) {
            Some(None) => Announced::Yes,
            Some(Some(stated)) if inn == Some(&**stated) => Announced::Yes,
            _ => Announced::No,
        }
    }

    /// Makes a ФН known at once: its report was let in and is on its way to the journal.
    ///
    /// Should that commit fail, the ФН stays known until the next start. This is harmless: the policy let it in,
    /// and the register repeats the report before it sends anything else.
    pub fn know(&self, fn_number: FnNumber) {
        self.write().fns.entry(fn_number).or_default().known = true;
    }

    /// Makes a serial number known at once, with any ИНН.
    pub fn know_serial(&self, kkt_serial: &str) {
        self.write().stated.insert(kkt_serial.trim().into(), None);
    }

    /// How many ФН and stated serial numbers there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let tables = self.read();
        (tables.fns.len(), tables.stated.len())
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.looks
    }

    pub(crate) fn apply(&self, changes: FactChanges) {
        let mut guard = self.write();
        let tables = &mut *guard;
        tables.contracts.extend(changes.contracts);
        for fn_number in changes.known {
            tables.fns.entry(fn_number).or_default().known = true;
        }
        for (serial, inn) in changes.stated {
            let inn = inn.map(|inn| inn.trim().into());
            tables.stated.insert(serial.trim().into(), inn);
        }
        for change in changes.fns {
            let fact = tables.fns.entry(change.fn_number).or_default();
            fact.contract = change.contract.unwrap_or(NO_CONTRACT);
            fact.line_closed_at = change.line_closed_at.map_or(NEVER, seconds);
            fact.deregistered_at = change.deregistered_at.unwrap_or(NEVER);
            if *fact == FnFact::default() {
                tables.fns.remove(&change.fn_number);
            }
        }
        // A register that moved to another contract has a closed line and an open one: the closed ones first.
        let (closed, open): (Vec<_>, Vec<_>) = changes.lines.into_iter().partition(|line| line.closed);
        for line in closed {
            let serial = line.kkt_serial.trim();
            if tables.lines.get(serial).is_some_and(|known| known.id == line.id) {
                tables.lines.remove(serial);
            }
        }
        for LineChange { id, contract, kkt_serial, fn_number, .. } in open {
            tables.lines.insert(kkt_serial.trim().into(), LineFact { id, contract, fn_number });
        }
    }

    fn standing_of(&self, tables: &Tables, fact: &FnFact, now: Timestamp) -> Standing {
        let known = if fact.known { Standing::Known } else { Standing::Unknown };
        let Some(contract) = tables.contracts.get(&fact.contract) else { return known };
        if contract.state == ContractState::Draft {
            return known;
        }
        let left = Timestamp::from_second(fact.line_closed_at.into()).ok();
        let left = left.filter(|_| fact.line_closed_at != NEVER);
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| self.grace_is_over(end, now));
        if is_past(left) || is_past(contract.end()) { Standing::Suspended } else { Standing::Known }
    }

    /// By its contract: in force, or not stopped longer than the grace period.
    fn is_served(&self, contract: &ContractFact, now: Timestamp) -> bool {
        contract.state != ContractState::Draft
            && !contract.end().is_some_and(|end| self.grace_is_over(end, now))
    }

    fn grace_is_over(&self, end: Timestamp, now: Timestamp) -> bool {
        let grace = self.grace_us.load(Ordering::Relaxed);
        now.as_microsecond() >= end.as_microsecond().saturating_add(grace)
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ContractFact {
    fn end(&self) -> Option<Timestamp> {
        self.stopped_at.filter(|_| self.state == ContractState::Stopped)
    }
}

impl Default for FnFact {
    fn default() -> Self {
        Self { known: false, deregistered_at: NEVER, line_closed_at: NEVER, contract: NO_CONTRACT }
    }
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Whole seconds of our era; the first one for what lies before it.
fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.as_second()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{fn_number, moment};

    const FN: &str = "8710000100000001";
    const OTHER_FN: &str = "8710000100000002";

    fn contract(id: i64, state: ContractState, stopped_at: Option<Timestamp>) -> FactChanges {
        let inn = "7704358518".into();
        FactChanges {
            contracts: vec![(id, ContractFact { inn, state, stopped_at })],
            ..FactChanges::default()
        }
    }

    fn of_fn(contract: Option<i64>, line_closed_at: Option<Timestamp>) -> FactChanges {
        let change =
            FnChange { fn_number: fn_number(FN), contract, line_closed_at, deregistered_at: Some(77) };
        FactChanges { fns: vec![change], ..FactChanges::default() }
    }

    fn line(id: i64, contract: i64, fn_text: Option<&str>, closed: bool) -> LineChange {
        LineChange { id, contract, kkt_serial: "0042".to_owned(), fn_number: fn_text.map(fn_number), closed }
    }

    #[test]
    fn a_contract_has_the_last_word() {
        let check = |steps: Vec<FactChanges>, known: bool, expected: Standing| {
            let facts = Facts::default();
            facts.set_grace(Duration::from_micros(10));
            if known {
                facts.know(fn_number(FN));
            }
            let told = format!("{steps:?}, known {known}");
            steps.into_iter().for_each(|step| facts.apply(step));
            assert_eq!(facts.standing(&fn_number(FN), moment(20)).standing, expected, "{told}");
        };
        let (active, draft) =
            (|| contract(1, ContractState::Active, None), || contract(1, ContractState::Draft, None));
        let stopped = |at| contract(1, ContractState::Stopped, Some(moment(at)));
        check(vec![], false, Standing::Unknown);
        check(vec![], true, Standing::Known);
        check(vec![active(), of_fn(Some(1), None)], false, Standing::Known);
        check(vec![draft(), of_fn(Some(1), None)], false, Standing::Unknown);
        check(vec![draft(), of_fn(Some(1), None)], true, Standing::Known);
        check(vec![stopped(11), of_fn(Some(1), None)], false, Standing::Known);
        check(vec![stopped(10), of_fn(Some(1), None)], false, Standing::Suspended);
        check(vec![stopped(10), of_fn(Some(1), None)], true, Standing::Suspended);
        check(vec![stopped(10), of_fn(Some(1), None), active()], false, Standing::Known);
        // The register left the contract.
        let long_ago = moment(0) - Duration::from_secs(2);
        check(vec![active(), of_fn(Some(1), Some(long_ago))], true, Standing::Suspended);
        check(vec![active(), of_fn(Some(1), Some(moment(2_000_000)))], false, Standing::Known);
        // It was a typing error.
        check(vec![active(), of_fn(Some(1), None), of_fn(None, None)], false, Standing::Unknown);
    }

    #[test]
    fn facts_shrink_again() {
        let facts = Facts::default();
        facts.apply(of_fn(Some(1), None));
        assert_eq!(facts.standing(&fn_number(FN), moment(0)).deregistered_at, Some(77));
        assert_eq!(facts.sizes(), (1, 0));
        let nothing = FnChange {
            fn_number: fn_number(FN),
            contract: None,
            line_closed_at: None,
            deregistered_at: None,
        };
        facts.apply(FactChanges { fns: vec![nothing], ..FactChanges::default() });
        assert_eq!(facts.sizes(), (0, 0));
    }

    #[test]
    fn who_is_announced() {
        let facts = Facts::default();
        facts.set_grace(Duration::from_micros(10));
        let check = |serial: &str, inn: Option<&str>, expected: Announced| {
            let found = facts.announced(&fn_number(FN), serial, inn, moment(20));
            assert_eq!(found, expected, "{serial} {inn:?}");
        };
        check("0042", None, Announced::No);
        // By an operator, who may state the user too.
        facts.know_serial(" 0077 ");
        let stated = vec![("0078".to_owned(), Some("7704358518".to_owned()))];
        facts.apply(FactChanges { stated, ..FactChanges::default() });
        check("0077      ", None, Announced::Yes);
        check("0078", None, Announced::No);
        check("0078", Some("7704358519"), Announced::No);
        check("0078", Some("7704358518  "), Announced::Yes);
        // By a contract: serial number and user, while it is served.
        let lines = |line: LineChange| FactChanges { lines: vec![line], ..FactChanges::default() };
        facts.apply(lines(line(5, 1, None, false)));
        check("0042", Some("7704358518"), Announced::No);
        facts.apply(contract(1, ContractState::Draft, None));
        check("0042", Some("7704358518"), Announced::No);
        facts.apply(contract(1, ContractState::Active, None));
        check("0042", Some("7704358518"), Announced::Yes);
        check("0042", Some("7704358519"), Announced::No);
        check("0042", None, Announced::No);
        facts.apply(lines(line(5, 1, Some(FN), false)));
        check("0042", Some("7704358518"), Announced::Yes);
        facts.apply(lines(line(5, 1, Some(OTHER_FN), false)));
        check("0042", Some("7704358518"), Announced::WithOtherFn);
        facts.apply(contract(1, ContractState::Stopped, Some(moment(10))));
        check("0042", Some("7704358518"), Announced::No);
        facts.apply(contract(1, ContractState::Stopped, Some(moment(11))));
        check("0042", Some("7704358518"), Announced::WithOtherFn);
        // It moves to another contract, told in whatever order.
        facts.apply(contract(2, ContractState::Active, None));
        let moved = vec![line(6, 2, None, false), line(5, 1, Some(OTHER_FN), true)];
        facts.apply(FactChanges { lines: moved, ..FactChanges::default() });
        check("0042", Some("7704358518"), Announced::Yes);
        facts.apply(lines(line(6, 2, None, true)));
        check("0042", Some("7704358518"), Announced::No);
    }
}
