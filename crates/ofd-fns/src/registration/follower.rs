//! The follower: reports of the journal (forms 1, 11 and 6) move registers. It keeps a durable cursor of its own and works
//! whether or not anything is forwarded.
//!
//! Only a report that was acknowledged with 0 moves a state. One that was answered with 14 becomes a task; conflicts and
//! quarantined copies are not read at all.

mod find;

use jiff::Timestamp;
use ofd_store::{
    Commit, CommitIds, Kkt, LeaseProof, NewTask, Registry, RegistryReader, ReportRow, StoreError, TaskKind,
};

use super::RegistrationConfig;
use super::card::pending_steps;
use super::commit::{Draft, Settled, Touch, settle};
use super::machine::{Event, Rejected, step};
use super::numbers;
use super::report::{FORM_CLOSING, ReportFacts};

use find::Found;

/// Most reports of one transaction.
const BATCH: usize = 500;
/// Code of an acknowledgement: accepted.
const ACCEPTED: u8 = 0;
/// Code of an acknowledgement: did not pass the format and logic control.
const FAILED_CONTROL: u8 = 14;

/// What one step of the follower did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    /// Reports that have had their effect.
    pub reports: u64,
    /// Registers that came to another state.
    pub moved: u64,
    /// The journal holds more: call again at once.
    pub more: bool,
    /// The lease is lost: nothing was written.
    pub stale: bool,
}

/// Follows the journal for one batch of at most 500 reports: effects and cursor in one transaction. Reports about a register
/// that the batch has decided about already begin the next one.
///
/// # Errors
/// [`StoreError`]: the store is unavailable; nothing was written, call again later.
pub fn follow(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Followed, StoreError> {
    match follow_some(registry, lease, periods, now, BATCH) {
        // One report that the store does not take must not hold up those behind it.
        Err(StoreError::Refused { .. }) => match follow_some(registry, lease, periods, now, 1) {
            Err(StoreError::Refused { reason }) => pass_over(registry, lease, &reason, now),
            other => other,
        },
        other => other,
    }
}

/// Follows the journal to its end. False: the lease is lost.
pub(crate) fn catch_up(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<bool, StoreError> {
    loop {
        let followed = follow(registry, lease, periods, now)?;
        if followed.stale || !followed.more {
            return Ok(!followed.stale);
        }
    }
}

fn follow_some(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    now: Timestamp,
    limit: usize,
) -> Result<Followed, StoreError> {
    let settled = settle(registry, |registry| plan(registry, lease, periods, now, limit))?;
    Ok(match settled {
        Settled::Done(followed, _) => followed,
        Settled::Stale => Followed { stale: true, ..Followed::default() },
    })
}

/// The change of the next reports.
fn plan(
    registry: &RegistryReader,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    now: Timestamp,
    limit: usize,
) -> Result<(Draft, Followed), StoreError> {
    let cursor = registry.cursors()?.reports;
    let rows = registry.reports_after(cursor, limit)?;
    let mut draft = Draft::under(lease);
    let mut followed = Followed { more: !rows.is_empty(), ..Followed::default() };
    let mut to = cursor;
    for row in &rows {
        if !take(registry, &mut draft, row, periods, now)? {
            break;
        }
        to = row.seq;
        followed.reports += 1;
    }
    if to != cursor {
        draft.change.reports_cursor = Some((cursor, to));
    }
    followed.moved = draft.moved;
    Ok((draft, followed))
}

/// Takes one report into the change; false when the change has decided about its register already.
fn take(
    registry: &RegistryReader,
    draft: &mut Draft,
    row: &ReportRow,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match (row.code, row.form) {
        (ACCEPTED, FORM_CLOSING) => closing(registry, draft, row, periods, now),
        (ACCEPTED, _) => match ReportFacts::of(row) {
            Some(facts) => report(registry, draft, row, &facts, periods, now),
            None => Ok(true),
        },
        (FAILED_CONTROL, form) if form != FORM_CLOSING => rejected(registry, draft, row, now),
        // Unreadable: reception made a task of it.
        _ => Ok(true),
    }
}

fn report(
    registry: &RegistryReader,
    draft: &mut Draft,
    row: &ReportRow,
    facts: &ReportFacts,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Found { kkt, line, circumstances } = find::of_report(registry, row, facts)?;
    let mut touches = vec![Touch::Fn(facts.fn_number)];
    touches.extend(facts.kkt_serial.clone().map(Touch::Serial));
    touches.extend(facts.rnm.clone().map(Touch::Rnm));
    touches.extend(kkt.as_ref().map(|kkt| Touch::Kkt(kkt.id)));
    let losers = match &facts.rnm {
        Some(rnm) => numbers::unconfirmed_elsewhere(registry, rnm, kkt.as_ref().map(|kkt| kkt.id))?,
        None => Vec::new(),
    };
    touches.extend(numbers::touches(&losers));
    if !draft.touch(touches) {
        return Ok(false);
    }
    let event = Event::Report { facts, circumstances };
    let mut first = match step(kkt.as_ref(), event, periods, now) {
        Ok(step) => step,
        Err(rejected) => {
            out_of_place(draft, kkt.as_ref(), row, &rejected, now);
            return Ok(true);
        }
    };
    if let (None, Some(line)) = (&kkt, &line) {
        first.kkt.line_id = Some(line.id);
        first.kkt.model.clone_from(&line.kkt_model);
    }
    let mut steps = vec![first];
    pending_steps(registry, draft, &mut steps, periods, now)?;
    let after = steps.last().map(|step| step.kkt.clone());
    if let Some(kkt) = &after {
        draft.follow_line(registry, kkt)?;
    }
    draft.put(steps, Some(row.seq), now);
    if let Some(kkt) = after.filter(|kkt| kkt.rnm_confirmed && kkt.rnm == facts.rnm) {
        numbers::take_away(registry, draft, &losers, &kkt, periods, now)?;
    }
    Ok(true)
}

/// A ФН was closed. Of a register that has another one by now it is only history.
fn closing(
    registry: &RegistryReader,
    draft: &mut Draft,
    row: &ReportRow,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(kkt) = find::holder(registry, &row.fn_number)? else { return Ok(true) };
    if !draft.touch(vec![Touch::Fn(row.fn_number), Touch::Kkt(kkt.id)]) {
        return Ok(false);
    }
    if find::of_older_chain(registry, &kkt, row)? {
        return Ok(true);
    }
    match step(Some(&kkt), Event::FnClosing, periods, now) {
        Ok(step) if step.moved() => {
            draft.put(vec![step], Some(row.seq), now);
        }
        Ok(_) => {}
        Err(rejected) => draft.warn(&kkt, format!("{rejected} (ФД {})", row.fd_number)),
    }
    Ok(true)
}

/// A report that was answered with 14 moves nothing: the register has to make another.
fn rejected(
    registry: &RegistryReader,
    draft: &mut Draft,
    row: &ReportRow,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let text = format!(
        "Отчёт (форма {}, ФН {}, ФД {}) не прошёл форматно-логический контроль (код 14): регистрация по нему не \
         продолжается. Клиент исправляет данные и формирует отчёт заново.",
        row.form, row.fn_number, row.fd_number
    );
    match find::holder(registry, &row.fn_number)? {
        Some(kkt) => draft.task(&kkt, kkt.id, TaskKind::ReportRejected, text, Some(row.seq), now),
        None => {
            let nobody = Kkt {
                fn_number: Some(row.fn_number),
                ..Kkt::new(ofd_store::RegistrationState::Contracted, now)
            };
            draft.warn(&nobody, text.clone());
            let kind = TaskKind::ReportRejected;
            draft.change.tasks.push(NewTask { kind, seq: Some(row.seq), kkt_id: None, text, at: now });
        }
    }
    Ok(true)
}

/// A report that the state has no use for: one of a register that was struck off, under the same registration number.
fn out_of_place(draft: &mut Draft, kkt: Option<&Kkt>, row: &ReportRow, rejected: &Rejected, now: Timestamp) {
    let Some(kkt) = kkt else { return };
    let text = format!(
        "Отчёт (ФН {}, ФД {}) пришёл от ККТ, снятой с учёта под этим же РНМ. Он принят и передаётся в ФНС, состояние ККТ не \
         изменено. Уточните у клиента.",
        row.fn_number, row.fd_number
    );
    draft.warn(kkt, rejected.to_string());
    draft.task(kkt, kkt.id, TaskKind::Mismatch, text, Some(row.seq), now);
}

/// Passes over a report that the store refuses to give an effect: a person has to look at it.
fn pass_over(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    reason: &str,
    now: Timestamp,
) -> Result<Followed, StoreError> {
    let cursor = registry.cursors()?.reports;
    let Some(row) = registry.reports_after(cursor, 1)?.into_iter().next() else {
        return Ok(Followed::default());
    };
    let mut draft = Draft::under(lease);
    draft.change.reports_cursor = Some((cursor, row.seq));
    let text = format!(
        "Отчёт (ФН {}, ФД {}) не удалось связать с ККТ: {reason}. Состояние ККТ не изменено.",
        row.fn_number, row.fd_number
    );
    tracing::error!(fn_number = %row.fn_number, fd_number = row.fd_number.get(), "a report is passed over: {reason}");
    let kind = TaskKind::Mismatch;
    draft.change.tasks.push(NewTask { kind, seq: Some(row.seq), kkt_id: None, text, at: now });
    match registry.commit(&draft.change)? {
        Commit::Done(CommitIds { .. }) => Ok(Followed { reports: 1, more: true, ..Followed::default() }),
        Commit::Stale => Ok(Followed { stale: true, ..Followed::default() }),
    }
}

#[cfg(test)]
mod tests;
