//! The one transaction in which registrations are changed.

use std::cell::Cell;

use jiff::Timestamp;

use super::{contracts, kkts, papers};
use crate::registration::{Card, Commit, CommitIds, ContractLine, Kkt, RegistryChange};
use crate::second::SecondWriter;
use crate::sql::{self, Constraint, Db};
use crate::tables::{outbox, registers, tasks};
use crate::{Application, Contract, NewTask, StoreError};

const DANGLING: &str = "a row of the change refers to one that is not there";
/// What people can do wrong: the last column of a unique index, as SQLite names it, and the index, as PostgreSQL does; and
/// the words.
const TAKEN: [([&str; 2], &str); 3] = [
    (["contracts.number", "contracts_number"], "the number of the contract is taken"),
    (
        ["contract_lines.kkt_serial", "contract_lines_serial"],
        "the serial number of the ККТ is in another contract line that is not closed",
    ),
    (["contract_lines.fn", "contract_lines_fn"], "the ФН is in another contract line that is not closed"),
];

/// Why nothing was written.
enum Fault {
    /// A row, a cursor or the lease is not what it was when it was read.
    Stale,
    /// A row refers to one that is not there.
    Dangling,
    Engine(sql::Error),
}

/// What the rows written so far got for numbers, and the version of the facts.
struct Writer<'c> {
    db: Db<'c>,
    ids: CommitIds,
    facts_version: Cell<Option<i64>>,
}

/// Writes all of the change or nothing.
pub(crate) fn commit(
    writer: &mut SecondWriter,
    change: &RegistryChange,
    now: Timestamp,
) -> Result<Commit, StoreError> {
    let mut judged = None;
    let written = writer.write(|db| {
        judged = None;
        let mut writer = Writer { db, ids: CommitIds::default(), facts_version: Cell::new(None) };
        match writer.write(change, now) {
            Ok(()) => Ok(writer.ids),
            Err(fault) => Err(abort(fault, &mut judged)),
        }
    });
    judged.unwrap_or_else(|| written.map(Commit::Done))
}

/// The error by which the transaction is given up, and what it means where that is not the engine's trouble.
fn abort(fault: Fault, judged: &mut Option<Result<Commit, StoreError>>) -> sql::Error {
    let (meaning, error) = match fault {
        Fault::Stale => (Ok(Commit::Stale), sql::Error::no_rows()),
        Fault::Dangling => (Err(StoreError::refused(DANGLING)), sql::Error::no_rows()),
        Fault::Engine(error) => match of_constraint(&error) {
            Some(meaning) => (meaning, error),
            None => return error,
        },
    };
    *judged = Some(meaning);
    error
}

impl Writer<'_> {
    fn write(&mut self, change: &RegistryChange, now: Timestamp) -> Result<(), Fault> {
        self.check_lease_and_cursors(change, now)?;
        for client in &change.clients {
            contracts::put_client(self.db, client)?;
        }
        self.ids.contracts = each(&change.contracts, |_| true, |contract| self.contract(contract))?;
        // First those that give up a ККТ or a ФН: the same change may add it to another contract.
        let gives_up = |line: &ContractLine| line.closed_at.is_some() || line.fn_number.is_none();
        self.ids.lines = each(&change.lines, gives_up, |line| self.line(line))?;
        for kkt in &change.kkts {
            kkts::give_up(self.db, kkt)?;
        }
        self.ids.kkts = each(&change.kkts, |_| true, |kkt| self.kkt(kkt))?;
        for (kkt_id, fn_number) in &change.withdrawn_fns {
            kkts::withdraw(self.db, *kkt_id, fn_number, self.facts_version()?)?;
        }
        self.ids.cards = each(&change.cards, |_| true, |card| self.card(card))?;
        self.name_new_cards(change)?;
        self.ids.applications =
            each(&change.applications, |_| true, |application| self.application(application))?;
        self.ids.tasks = each(&change.tasks, |_| true, |task| self.task(task))?;
        for which in &change.close_tasks {
            self.ids.closed_tasks += tasks::close(self.db, which)?;
        }
        self.ids.verdicts = outbox::apply(self.db, &change.verdicts)?;
        for fn_number in &change.refresh {
            outbox::refresh(self.db, fn_number, now)?;
        }
        if let Some(at) = change.recall {
            outbox::recall::begin(self.db, at)?;
        }
        Ok(())
    }

    fn check_lease_and_cursors(&self, change: &RegistryChange, now: Timestamp) -> Result<(), Fault> {
        let is_held = match &change.lease {
            Some(proof) => outbox::holds(self.db, proof)?,
            None => true,
        };
        let reports = match change.reports_cursor {
            Some((from, to)) => papers::move_reports(self.db, from, to)?,
            None => true,
        };
        let events = match &change.events_cursor {
            Some((from, to)) => papers::move_events(self.db, from.as_deref(), to.as_deref(), now)?,
            None => true,
        };
        let cards = match change.recalled_cards {
            Some((from, to)) => outbox::recall::move_cards(self.db, from, to)?,
            None => true,
        };
        if is_held && reports && events && cards { Ok(()) } else { Err(Fault::Stale) }
    }

    fn contract(&self, contract: &Contract) -> Result<i64, Fault> {
        contracts::put_contract(self.db, contract, self.facts_version()?)?.ok_or(Fault::Stale)
    }

    fn line(&self, line: &ContractLine) -> Result<i64, Fault> {
        let contract_id = known(line.contract_id, &self.ids.contracts)?;
        let line = ContractLine { contract_id, ..line.clone() };
        contracts::put_line(self.db, &line, self.facts_version()?)?.ok_or(Fault::Stale)
    }

    fn kkt(&self, kkt: &Kkt) -> Result<i64, Fault> {
        let line_id = kkt.line_id.map(|id| known(id, &self.ids.lines)).transpose()?;
        // A card of this change names its register, so it is written after it.
        let card_id = kkt.card_id.filter(|id| *id > 0);
        let kkt = Kkt { line_id, card_id, ..kkt.clone() };
        kkts::put(self.db, &kkt, || self.facts_version())?.ok_or(Fault::Stale)
    }

    fn name_new_cards(&self, change: &RegistryChange) -> Result<(), Fault> {
        for (kkt, id) in change.kkts.iter().zip(&self.ids.kkts) {
            if let Some(card_id) = kkt.card_id.filter(|id| *id <= 0) {
                self.db
                    .prepare("UPDATE kkts SET card_id = ?2 WHERE id = ?1")?
                    .execute([*id, known(card_id, &self.ids.cards)?])?;
            }
        }
        Ok(())
    }

    fn card(&self, card: &Card) -> Result<i64, Fault> {
        let kkt_id = card.kkt_id.map(|id| known(id, &self.ids.kkts)).transpose()?;
        papers::put_card(self.db, &Card { kkt_id, ..card.clone() })?.ok_or(Fault::Stale)
    }

    fn application(&self, application: &Application) -> Result<i64, Fault> {
        let kkt_id = known(application.kkt_id, &self.ids.kkts)?;
        let application = Application { kkt_id, ..application.clone() };
        papers::put_application(self.db, &application)?.ok_or(Fault::Stale)
    }

    fn task(&self, task: &NewTask) -> Result<i64, Fault> {
        let kkt_id = task.kkt_id.map(|id| known(id, &self.ids.kkts)).transpose()?;
        Ok(tasks::put(self.db, &NewTask { kkt_id, ..task.clone() })?)
    }

    /// Raised at the first change that reception has to know.
    fn facts_version(&self) -> sql::Result<i64> {
        if let Some(version) = self.facts_version.get() {
            return Ok(version);
        }
        let version = registers::raise_version(self.db)?;
        self.facts_version.set(Some(version));
        Ok(version)
    }
}

/// Writes the rows, those of which `is_first` says so before the others; their numbers in their own order.
fn each<T>(
    rows: &[T],
    is_first: impl Fn(&T) -> bool,
    write: impl Fn(&T) -> Result<i64, Fault>,
) -> Result<Vec<i64>, Fault> {
    let mut ids = vec![0; rows.len()];
    for first in [true, false] {
        for (row, id) in rows.iter().zip(&mut ids).filter(|(row, _)| is_first(row) == first) {
            *id = write(row)?;
        }
    }
    Ok(ids)
}

/// The number behind [`crate::row`], or the number itself.
fn known(id: i64, ids: &[i64]) -> Result<i64, Fault> {
    if id > 0 {
        return Ok(id);
    }
    let index = usize::try_from(id.saturating_neg().saturating_sub(1)).ok();
    index.and_then(|index| ids.get(index)).copied().filter(|id| *id > 0).ok_or(Fault::Dangling)
}

/// What a broken constraint means: contracts and lines are added by people, who have to be told; all else was added by
/// somebody else at the same time. None for other errors.
fn of_constraint(error: &sql::Error) -> Option<Result<Commit, StoreError>> {
    Some(match error.constraint()? {
        Constraint::Unique { what } => {
            let is_meant = |names: &[&str; 2]| what.ends_with(names[0]) || what == names[1];
            let taken = TAKEN.iter().find(|(names, _)| is_meant(names));
            taken.map_or(Ok(Commit::Stale), |(_, reason)| Err(StoreError::refused(*reason)))
        }
        Constraint::Reference => Err(StoreError::refused(DANGLING)),
        Constraint::Other { words } => Err(StoreError::refused(words)),
    })
}

impl From<sql::Error> for Fault {
    fn from(error: sql::Error) -> Self {
        Self::Engine(error)
    }
}
