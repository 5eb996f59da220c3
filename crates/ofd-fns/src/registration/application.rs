//! Applications (заявление, КНД 1110061 and 1110062): reading and checking their JSON, and what the service loop does with
//! those that are stored.
//!
//! The application of a first registration moves its register; those of a change and of an end only have a state of their
//! own, the register follows its documents and cards.

mod fields;

use std::time::Duration;

use ffd::ids::Rnm;
use jiff::{SignedDuration, Timestamp};
use ofd_store::{
    Application, ApplicationFilter, ApplicationState, FnsCode, KktKey, LeaseProof, Registry, RegistryReader,
    StoreError, TaskKind,
};

use super::RegistrationConfig;
use super::commit::{Draft, Settled, settle};
use super::machine::{Event, codes_words, step};
use crate::client::wire::{ApplicationJson, ApplicationKind, ApplicationStage, CodeJson};

pub(crate) use fields::closing_report;
pub use fields::{FieldFault, MAX_APPLICATION_BYTES, read, validate};

/// First pause between two questions about an application, seconds; doubles up to the longest that is set.
const FIRST_POLL_S: i64 = 2;

/// Questions in a row after which a person is told that the number of a granted application does not come.
const POLLS_WITHOUT_RNM: u32 = 10;
/// What stands beside such an application.
const NO_NUMBER: &str = "the tax service accepted the application and names no registration number";

/// Something to do about an application now.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// To be handed in; `row.case_id` is the idempotency key.
    Submit {
        /// The stored row.
        row: Application,
        /// What to send.
        application: Box<ApplicationJson>,
    },
    /// To be asked about, by `application_id`.
    Poll {
        /// The stored row.
        row: Application,
        /// Its number at the tax service.
        application_id: String,
    },
}

/// What the tax service answered about an application.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It took it at the door.
    Received {
        /// Its number there.
        application_id: String,
    },
    /// It refused it at the door for good (422, 409).
    RefusedAtDoor {
        /// What it said, for people.
        reason: String,
    },
    /// Its state, asked for.
    Stage(ApplicationStage),
    /// It does not know the application (404).
    Unknown,
    /// No answer, or one that says to try again.
    Failed {
        /// What went wrong.
        error: String,
        /// When to try again.
        next_at: Timestamp,
    },
}

/// What the tax service decided about an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Granted, with this registration number; none of a change or an end.
    Accepted { rnm: Option<Rnm> },
    /// Refused.
    Refused { reasons: String },
}

/// Applications with something to do at `now`, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub fn due(registry: &RegistryReader, now: Timestamp, limit: usize) -> Result<Vec<Due>, StoreError> {
    let filter = ApplicationFilter { due_at: Some(now), ..ApplicationFilter::default() };
    let rows = registry.applications(&filter, limit)?;
    let due = rows.into_iter().filter_map(|row| match (row.state, row.application_id.clone()) {
        (ApplicationState::New, _) => match serde_json::from_str(&row.request) {
            Ok(application) => Some(Due::Submit { row, application: Box::new(application) }),
            Err(error) => {
                tracing::error!(application = row.id, "a stored application cannot be read: {error}");
                None
            }
        },
        (ApplicationState::Sent, Some(application_id)) => Some(Due::Poll { row, application_id }),
        _ => None,
    });
    Ok(due.collect())
}

/// Records what the tax service answered about the application of the row `id`; it is asked about again after
/// `longest_pause` at the latest. False: the lease is lost.
///
/// # Errors
/// [`StoreError`].
pub fn answered(
    registry: &mut Registry,
    lease: Option<&LeaseProof>,
    periods: &RegistrationConfig,
    id: i64,
    answer: &Answer,
    longest_pause: Duration,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let settled = settle::<_, StoreError>(registry, |registry| {
        let mut draft = Draft::under(lease);
        let filter = ApplicationFilter { after_id: id.saturating_sub(1), ..ApplicationFilter::default() };
        let row = registry.applications(&filter, 1)?.into_iter().find(|row| row.id == id);
        if let Some(row) = row {
            record(registry, &mut draft, row, answer, periods, longest_pause, now)?;
        }
        Ok((draft, ()))
    })?;
    Ok(matches!(settled, Settled::Done(..)))
}

fn record(
    registry: &RegistryReader,
    draft: &mut Draft,
    mut row: Application,
    answer: &Answer,
    periods: &RegistrationConfig,
    longest_pause: Duration,
    now: Timestamp,
) -> Result<(), StoreError> {
    if is_decided(&row) {
        return Ok(());
    }
    let decision = match answer {
        Answer::RefusedAtDoor { reason } => Decision::Refused { reasons: reason.clone() },
        Answer::Stage(ApplicationStage::Refused { codes }) => Decision::Refused { reasons: words(codes) },
        Answer::Stage(ApplicationStage::Accepted { rnm }) => match rnm.trim().parse() {
            Ok(rnm) => Decision::Accepted { rnm: Some(rnm) },
            Err(error) => {
                let error = format!("the application was accepted with {rnm:?}: {error}");
                again(&mut row, Some(error), longest_pause, now);
                draft.change.applications.push(row);
                return Ok(());
            }
        },
        Answer::Stage(ApplicationStage::AcceptedWithoutRnm)
            if row.kind != kind_name(ApplicationKind::Registration) =>
        {
            Decision::Accepted { rnm: None }
        }
        Answer::Stage(ApplicationStage::AcceptedWithoutRnm) => {
            without_rnm(registry, draft, row, longest_pause, now)?;
            return Ok(());
        }
        Answer::Received { application_id } => {
            row.state = ApplicationState::Sent;
            row.application_id = Some(application_id.clone());
            (row.attempts, row.last_error) = (0, None);
            row.next_at = now.checked_add(poll_pause(0, longest_pause)).ok();
            row.updated_at = now;
            draft.change.applications.push(row);
            return Ok(());
        }
        Answer::Stage(ApplicationStage::Pending) => {
            again(&mut row, None, longest_pause, now);
            draft.change.applications.push(row);
            return Ok(());
        }
        Answer::Unknown => {
            // Lost there: handed in again under the same key.
            row.state = ApplicationState::New;
            row.application_id = None;
            let error = "the tax service does not know the application: it is handed in again".to_owned();
            again(&mut row, Some(error), longest_pause, now);
            draft.change.applications.push(row);
            return Ok(());
        }
        Answer::Failed { error, next_at } => {
            again(&mut row, Some(error.clone()), longest_pause, now);
            row.next_at = Some(*next_at);
            draft.change.applications.push(row);
            return Ok(());
        }
    };
    decide(registry, draft, row, &decision, periods, now)?;
    Ok(())
}

/// A first registration was granted and its number is not named: the feed or a later question has to bring it. When they do
/// not, a person is told, once, and the questions go on.
fn without_rnm(
    registry: &RegistryReader,
    draft: &mut Draft,
    mut row: Application,
    longest_pause: Duration,
    now: Timestamp,
) -> Result<(), StoreError> {
    if row.last_error.as_deref() != Some(NO_NUMBER) {
        row.attempts = 0;
    }
    again(&mut row, Some(NO_NUMBER.to_owned()), longest_pause, now);
    if row.attempts == POLLS_WITHOUT_RNM
        && let Some(kkt) = registry.kkt(KktKey::Id(row.kkt_id))?
    {
        let text = format!(
            "{}: ФНС одобрила заявление {}, но не сообщает РНМ. Узнайте РНМ у клиента или в налоговом органе и введите его \
             (`fiscald registers rnm`).",
            super::machine::register_words(&kkt),
            row.application_id.as_deref().unwrap_or_default()
        );
        draft.task(&kkt, kkt.id, TaskKind::Mismatch, text, None, now);
    }
    draft.change.applications.push(row);
    Ok(())
}

/// Takes a decision into the change: the application is done, and the register of a first registration moves. False: it was
/// decided before.
pub(crate) fn decide(
    registry: &RegistryReader,
    draft: &mut Draft,
    mut row: Application,
    decision: &Decision,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if is_decided(&row) {
        return Ok(false);
    }
    let event = match decision {
        Decision::Accepted { rnm } => {
            row.state = ApplicationState::Accepted;
            row.rnm = rnm.map(|rnm| rnm.to_string());
            rnm.as_ref().map(|rnm| Event::ApplicationAccepted { rnm })
        }
        Decision::Refused { reasons } => {
            row.state = ApplicationState::Refused;
            row.refusal = Some(reasons.clone());
            Some(Event::ApplicationRefused { reasons })
        }
    };
    (row.attempts, row.next_at, row.last_error, row.updated_at) = (0, None, None, now);
    let kkt = registry.kkt(KktKey::Id(row.kkt_id))?;
    let first = row.kind == kind_name(ApplicationKind::Registration);
    draft.change.applications.push(row);
    let Some(kkt) = kkt else { return Ok(true) };
    if !first {
        if let Decision::Refused { reasons } = decision {
            draft.task(&kkt, kkt.id, TaskKind::ApplicationRefused, refused_words(&kkt, reasons), None, now);
        }
        return Ok(true);
    }
    let Some(event) = event else { return Ok(true) };
    match step(Some(&kkt), event, periods, now) {
        Ok(step) => {
            draft.follow_line(registry, &step.kkt)?;
            draft.put(vec![step], None, now);
        }
        Err(rejected) => draft.warn(&kkt, rejected.to_string()),
    }
    Ok(true)
}

/// Name of a kind as stored.
pub(crate) fn kind_name(kind: ApplicationKind) -> &'static str {
    match kind {
        ApplicationKind::Registration => "registration",
        ApplicationKind::Reregistration => "reregistration",
        ApplicationKind::Deregistration => "deregistration",
    }
}

/// Whether nothing is left to do about an application.
pub(crate) fn is_decided(row: &Application) -> bool {
    matches!(row.state, ApplicationState::Accepted | ApplicationState::Refused)
}

fn again(row: &mut Application, error: Option<String>, longest_pause: Duration, now: Timestamp) {
    let pause = poll_pause(row.attempts, longest_pause);
    row.attempts = row.attempts.saturating_add(1);
    row.last_error = error;
    row.next_at = now.checked_add(pause).ok();
    row.updated_at = now;
}

fn poll_pause(attempts: u32, longest: Duration) -> SignedDuration {
    let longest = SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX);
    SignedDuration::from_secs(FIRST_POLL_S << attempts.min(30)).min(longest)
}

fn words(codes: &[CodeJson]) -> String {
    let codes = codes.iter().map(|code| FnsCode {
        code: i64::from(code.code),
        text: code.text.clone(),
        path: code.path.clone(),
    });
    codes_words(&codes.collect::<Vec<_>>())
}

fn refused_words(kkt: &ofd_store::Kkt, reasons: &str) -> String {
    format!(
        "{}: ФНС отказала по заявлению: {reasons}. Исправьте и подайте новое.",
        super::machine::register_words(kkt)
    )
}

#[cfg(test)]
mod tests;
