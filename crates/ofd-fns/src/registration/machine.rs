//! The state machine of a register (tax-service notes B2): pure. [`step`] takes a register and an event, decides the guards,
//! asks the [`table`](super::table) and gives the register as it is then, with what else is to be done.
//!
//! Finding the register of an event, and the rows beside it (contract line, cards, applications), is the caller's part.

mod compare;
mod words;

pub(crate) use words::{codes as codes_words, register as register_words};

use ffd::ids::{FnNumber, Rnm, RnmCheck};
use jiff::Timestamp;
use ofd_store::{FnsCode, Kkt, RegistrationState as State, TaskKind, Verdict};
use thiserror::Error;

use super::card::CardFacts;
use super::report::{ReportFacts, ReportForm};
use super::table::{Next, Trigger, next};
use super::{ManualValues, RegistrationConfig};

/// What happened to a register.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// It was added, under a contract in force or by an operator's word; `draft`: under one that is not signed yet.
    Added {
        /// Whether its contract is a draft.
        draft: bool,
    },
    /// Its contract was paid or signed.
    ContractSigned,
    /// A complete application for its registration was handed in.
    Applied,
    /// The tax service assigned this registration number.
    ApplicationAccepted {
        /// The number.
        rnm: &'a Rnm,
    },
    /// The tax service refused the application.
    ApplicationRefused {
        /// Why, for people.
        reasons: &'a str,
    },
    /// Somebody typed the registration number.
    RnmTyped {
        /// The number.
        rnm: &'a Rnm,
        /// Take it with a wrong check value.
        unchecked: bool,
        /// Tag 1037 of the newest report, if there is one.
        reported: Option<&'a str>,
    },
    /// A report (form 1 or 11) was acknowledged with 0.
    Report {
        /// What it says.
        facts: &'a ReportFacts,
        /// What it meets.
        circumstances: Circumstances,
    },
    /// The ФН in it was closed (form 6, acknowledged with 0).
    FnClosing,
    /// The tax service judged the newest report.
    Verdict {
        /// How.
        verdict: Verdict,
        /// Why.
        codes: &'a [FnsCode],
    },
    /// The tax service refused the registration by the newest report.
    RegistrationRefused {
        /// Why.
        codes: &'a [FnsCode],
    },
    /// A card of registration came.
    Card {
        /// What it says.
        facts: &'a CardFacts,
    },
    /// The timer ran out.
    TimeOut {
        /// The three values of the newest report.
        manual: Option<&'a ManualValues>,
    },
    /// It was struck off the registry.
    Deregistered {
        /// Till time from which on it is, seconds since 1970 without a zone.
        from: u32,
        /// What the card or the bare event says; what it does not name is not compared.
        facts: &'a CardFacts,
    },
    /// A report or a card of another register brought the registration number that was only typed or assigned here.
    RnmTaken {
        /// That register, in words.
        by: &'a str,
    },
}

/// What a report meets, beside its register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// It is older than what moved the register last: it came late and says nothing new.
    pub late: bool,
    /// Its ФН is in another register, or stands in another contract line.
    pub fn_elsewhere: bool,
    /// Its registration number belongs to another register.
    pub rnm_elsewhere: bool,
}

/// What an event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// State before; none of a register that was not there.
    pub from: Option<State>,
    /// What happened.
    pub trigger: Trigger,
    /// The register as it is now.
    pub kkt: Kkt,
    /// What else is to be done, in this order.
    pub actions: Vec<Action>,
}

/// Something to be done beside the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A person has to look at it.
    Task {
        /// Why.
        kind: TaskKind,
        /// What is to be done, Russian.
        text: String,
    },
    /// Open tasks of this kind about the register are done.
    CloseTasks {
        /// Which.
        kind: TaskKind,
        /// By what, Russian.
        note: &'static str,
    },
    /// Documents of the ФН in soft quarantine are to be asked about anew.
    RefreshSoft(FnNumber),
    /// The ФН never was in the register: a typing error of the contract.
    WithdrawFn(FnNumber),
    /// Worth a line in the log, no more.
    Warn(String),
}

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// The table has no such row.
    #[error("{} is out of place in state {}", trigger.words(), state.map_or("(none)", State::name))]
    OutOfPlace {
        /// The state.
        state: Option<State>,
        /// What happened.
        trigger: Trigger,
    },
    /// The card differs from the register in a key field.
    #[error("the card differs from the register in: {}", fields.join(", "))]
    CardDiffers {
        /// Names of the fields.
        fields: Vec<String>,
        /// The same for people, Russian.
        text: String,
    },
    /// A received document confirmed another registration number.
    #[error("the registration number {confirmed} is confirmed by a document or a card")]
    RnmConfirmed {
        /// That number.
        confirmed: String,
    },
    /// The check value of the typed number is wrong.
    #[error(
        "the check value of the registration number is wrong: for this INN and serial number it ends in {expected:06}"
    )]
    RnmCheck {
        /// The right one.
        expected: u16,
    },
}

impl Step {
    /// Whether the register came to another state.
    pub fn moved(&self) -> bool {
        self.from != Some(self.kkt.state)
    }
}

/// What `event` does to a register, `None` being one that is not there yet. Pure: the same input gives the same output.
///
/// # Errors
/// [`Rejected`]: the event must change nothing.
pub fn step(
    kkt: Option<&Kkt>,
    event: Event<'_>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Step, Rejected> {
    let trigger = trigger_of(event);
    let from = kkt.map(|kkt| kkt.state);
    let next = next(from, trigger).ok_or(Rejected::OutOfPlace { state: from, trigger })?;
    let kkt = kkt.cloned().unwrap_or_else(|| Kkt::new(State::Contracted, now));
    let mut step = Step { from, trigger, kkt, actions: Vec::new() };
    let next = step.guards(event, next)?;
    if let Next::Goes(to) = next {
        step.enter(to, event, periods, now);
    }
    step.kkt.updated_at = now;
    Ok(step)
}

/// In the registry, as far as we know.
fn is_registered(state: State) -> bool {
    matches!(state, State::Linked | State::ReregReportReceived | State::ReregForwarded | State::FnClosed)
}

fn trigger_of(event: Event<'_>) -> Trigger {
    match event {
        Event::Added { draft: true } => Trigger::AddedInDraft,
        Event::Added { draft: false } => Trigger::Added,
        Event::ContractSigned => Trigger::ContractSigned,
        Event::Applied => Trigger::Applied,
        Event::ApplicationAccepted { .. } => Trigger::ApplicationAccepted,
        Event::ApplicationRefused { .. } => Trigger::ApplicationRefused,
        Event::RnmTyped { .. } => Trigger::RnmTyped,
        Event::Report { facts, .. } => match facts.form {
            ReportForm::Registration => Trigger::Report,
            ReportForm::Change => Trigger::ChangeReport,
        },
        Event::FnClosing => Trigger::FnClosing,
        Event::Verdict { verdict: Verdict::Accepted | Verdict::Soft, .. } => Trigger::ReportTaken,
        Event::Verdict { verdict: Verdict::Hard, .. } => Trigger::ReportHard,
        Event::RegistrationRefused { .. } => Trigger::RegistrationRefused,
        Event::Card { .. } => Trigger::CardFits,
        Event::TimeOut { .. } => Trigger::TimeOut,
        Event::Deregistered { .. } => Trigger::Deregistered,
        Event::RnmTaken { .. } => Trigger::RnmTaken,
    }
}

impl Step {
    /// Decides the guards and takes what the event says into the register; may turn a move into a stay.
    fn guards(&mut self, event: Event<'_>, next: Next) -> Result<Next, Rejected> {
        match event {
            Event::ApplicationAccepted { rnm } => self.rnm_assigned(rnm, next),
            Event::RnmTyped { rnm, unchecked, reported } => self.rnm_typed(rnm, unchecked, reported)?,
            Event::Report { facts, circumstances } => return Ok(self.report(facts, circumstances, next)),
            Event::Card { facts } => self.card(facts)?,
            Event::TimeOut { manual } => self.time_out(next, manual),
            Event::Deregistered { from, facts } => self.deregistered(from, facts, next)?,
            Event::RnmTaken { by } => self.rnm_taken(by),
            Event::Verdict { verdict: Verdict::Hard, codes } | Event::RegistrationRefused { codes }
                if next == Next::Stays =>
            {
                self.refused_afterwards(codes);
            }
            Event::Added { .. }
            | Event::ContractSigned
            | Event::Applied
            | Event::ApplicationRefused { .. }
            | Event::FnClosing
            | Event::Verdict { .. }
            | Event::RegistrationRefused { .. } => {}
        }
        Ok(next)
    }

    /// The tax service's number. Before a report it replaces one that was only typed in; afterwards, and whenever a document
    /// has confirmed another one, a difference is a question for a person.
    fn rnm_assigned(&mut self, rnm: &Rnm, next: Next) {
        self.check_value(rnm.as_str());
        match self.kkt.rnm.as_deref() {
            Some(ours) if ours == rnm.as_str() => {}
            Some(ours) if next == Next::Stays || self.kkt.rnm_confirmed => {
                let text = words::other_rnm_assigned(&self.kkt, ours, rnm);
                self.task(TaskKind::Mismatch, text);
            }
            _ => self.kkt.rnm = Some(rnm.to_string()),
        }
    }

    fn rnm_typed(&mut self, rnm: &Rnm, unchecked: bool, reported: Option<&str>) -> Result<(), Rejected> {
        if self.kkt.rnm.as_deref() == Some(rnm.as_str()) {
            return Ok(());
        }
        if let (true, Some(confirmed)) = (self.kkt.rnm_confirmed, &self.kkt.rnm) {
            return Err(Rejected::RnmConfirmed { confirmed: confirmed.clone() });
        }
        if let (false, RnmCheck::Mismatch { expected }) = (unchecked, compare::rnm_check(rnm, &self.kkt)) {
            return Err(Rejected::RnmCheck { expected });
        }
        self.kkt.rnm = Some(rnm.to_string());
        if reported == Some(rnm.as_str()) {
            self.kkt.rnm_confirmed = true;
            self.kkt.mismatch.retain(|field| field != compare::RNM);
            if self.kkt.mismatch.is_empty() {
                self.close(TaskKind::Mismatch, "введён РНМ из отчёта");
            }
        }
        Ok(())
    }

    fn report(&mut self, facts: &ReportFacts, circumstances: Circumstances, next: Next) -> Next {
        if circumstances.late {
            self.actions.push(Action::Warn(format!("the report of ФД {} came late", facts.fd_number)));
            return Next::Stays;
        }
        // The card overtook the report that it was made for: nothing is waited for.
        let overtaken = self.kkt.state == State::Linked && self.kkt.report_seq.is_none();
        let first = self.kkt.report_seq.is_none();
        let fields = compare::take_report(&mut self.kkt, facts, circumstances);
        if let Some(changed) = &fields.fn_changed {
            if first {
                self.actions.push(Action::WithdrawFn(*changed));
            }
            if !(facts.form == ReportForm::Change && facts.replaces_fn == Some(true)) {
                let text = words::fn_changed(&self.kkt, changed, facts);
                self.task(TaskKind::FnChanged, text);
            }
        }
        if let Some(rnm) = &facts.rnm {
            self.check_value(rnm);
        }
        if is_registered(self.kkt.state) {
            self.close(TaskKind::ReportRefused, "получен новый отчёт");
        }
        self.kkt.report_seq = Some(facts.seq);
        self.kkt.mismatch = fields.differing.iter().map(|difference| difference.field.to_owned()).collect();
        if fields.differing.is_empty() {
            self.close(TaskKind::Mismatch, "новый отчёт сходится с договором");
        } else {
            let text = words::mismatch(facts, &fields.differing);
            self.task(TaskKind::Mismatch, text);
        }
        if overtaken && fields.differing.is_empty() { Next::Stays } else { next }
    }

    fn card(&mut self, facts: &CardFacts) -> Result<(), Rejected> {
        let differing = compare::card(&self.kkt, facts);
        if !differing.is_empty() {
            return Err(Rejected::CardDiffers {
                fields: differing.iter().map(|difference| difference.field.to_owned()).collect(),
                text: words::card_differs(facts, &differing),
            });
        }
        compare::take_card(&mut self.kkt, facts);
        self.close(TaskKind::CardMismatch, "карточка сходится с ККТ");
        if let Some(fn_number) = self.kkt.fn_number {
            self.actions.push(Action::RefreshSoft(fn_number));
        }
        Ok(())
    }

    fn deregistered(&mut self, from: u32, facts: &CardFacts, next: Next) -> Result<(), Rejected> {
        let differing = compare::deregistration(&self.kkt, facts);
        if !differing.is_empty() {
            return Err(Rejected::CardDiffers {
                fields: differing.iter().map(|difference| difference.field.to_owned()).collect(),
                text: words::card_differs(facts, &differing),
            });
        }
        if next != Next::Stays {
            self.kkt.deregistered_at = Some(from);
        }
        Ok(())
    }

    /// What a document says is stronger than what somebody typed: the number goes, a person asks for the right one.
    fn rnm_taken(&mut self, by: &str) {
        if self.kkt.rnm_confirmed || self.kkt.rnm.is_none() {
            return;
        }
        let text = words::rnm_taken(&self.kkt, by);
        (self.kkt.rnm, self.kkt.rnm_confirmed) = (None, false);
        self.task(TaskKind::Mismatch, text);
    }

    /// A refusal that comes after the card leaves the register where it is, and must not be lost.
    fn refused_afterwards(&mut self, codes: &[FnsCode]) {
        if is_registered(self.kkt.state) {
            let text = words::report_refused_afterwards(&self.kkt, codes);
            self.task(TaskKind::ReportRefused, text);
        }
    }

    /// A timer fires once: what stays is reminded of by its task.
    fn time_out(&mut self, next: Next, manual: Option<&ManualValues>) {
        self.kkt.due_at = None;
        let (kind, text) = match (self.kkt.state, next) {
            (State::RnmAssigned, _) => (TaskKind::ReportOverdue, words::report_overdue(&self.kkt)),
            (State::ReregForwarded, Next::Stays) => {
                (TaskKind::ReregReminder, words::rereg_reminder(&self.kkt, manual))
            }
            _ => (TaskKind::ManualCompletion, words::manual_completion(&self.kkt, manual)),
        };
        self.task(kind, text);
    }

    /// Leaves the state for another (or the same, anew): its tasks are done, timers and tasks of the new one begin.
    fn enter(&mut self, to: State, event: Event<'_>, periods: &RegistrationConfig, now: Timestamp) {
        let left = self.from.filter(|from| *from != to);
        let done = match left {
            Some(State::RnmAssigned) => Some((TaskKind::ReportOverdue, "отчёт получен")),
            Some(State::AwaitingManualCompletion) => {
                Some((TaskKind::ManualCompletion, "ожидание закончилось"))
            }
            Some(State::ReregForwarded) => Some((TaskKind::ReregReminder, "ожидание закончилось")),
            Some(State::ReportRefused) => Some((TaskKind::ReportRefused, "получен новый отчёт или карточка")),
            Some(State::ApplicationRefused) => {
                Some((TaskKind::ApplicationRefused, "регистрация продолжается"))
            }
            _ => None,
        };
        if let Some((kind, note)) = done {
            self.close(kind, note);
        }
        self.kkt.state = to;
        self.kkt.state_since = now;
        self.kkt.due_at = match to {
            State::RnmAssigned => periods.report_due(now),
            State::ReportForwarded | State::ReregForwarded => periods.card_due(now),
            _ => None,
        };
        match (to, event) {
            (State::ReportRefused, Event::Verdict { codes, .. } | Event::RegistrationRefused { codes }) => {
                let text = words::report_refused(&self.kkt, codes);
                self.task(TaskKind::ReportRefused, text);
            }
            (State::ApplicationRefused, Event::ApplicationRefused { reasons }) => {
                let text = words::application_refused(&self.kkt, reasons);
                self.task(TaskKind::ApplicationRefused, text);
            }
            _ => {}
        }
    }

    /// A wrong check value of a number that documents or the tax service bring is worth a line, no more: test benches use
    /// made-up numbers (A6).
    fn check_value(&mut self, rnm: &str) {
        let warning = match rnm.parse::<Rnm>() {
            Err(error) => format!("the registration number {rnm:?} is none: {error}"),
            Ok(rnm) => match compare::rnm_check(&rnm, &self.kkt) {
                RnmCheck::Mismatch { expected } => {
                    format!(
                        "the check value of the registration number {rnm} is wrong: {expected:06} would be right"
                    )
                }
                RnmCheck::Ok | RnmCheck::NotCheckable => return,
            },
        };
        self.actions.push(Action::Warn(warning));
    }

    fn task(&mut self, kind: TaskKind, text: String) {
        self.actions.push(Action::Task { kind, text });
    }

    fn close(&mut self, kind: TaskKind, note: &'static str) {
        self.actions.push(Action::CloseTasks { kind, note });
    }
}

#[cfg(test)]
mod tests;
