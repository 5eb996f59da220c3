//! What one event does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ffd::ids::{FdNumber, FnNumber, Rnm};
use jiff::Timestamp;
use ofd_store::{
    ApplicationFilter, CardKind, CardSource, DocumentVerdict, FnsCode, Kkt, KktKey, NewTask,
    RegistrationState, RegistryReader, ReportRow, StoreError, TaskFilter, TaskKind, Verdict,
};

use super::Outcome;
use crate::client::wire::{self, CardEvent, CodeJson, DocKey, Event, EventKind, TicketEvent};
use crate::registration::RegistrationConfig;
use crate::registration::application::{Decision, decide};
use crate::registration::card::{self, CardFacts, CardFault, Fate, Incoming, read_json};
use crate::registration::commit::{Draft, Touch};
use crate::registration::machine::{self, codes_words, register_words};
use crate::registration::report::{FORM_CHANGE, FORM_REGISTRATION};

/// Most refusals of one register that are looked through for a repeat.
const MAX_TOLD: usize = 100;

/// Takes one event into the change.
pub(super) fn take(
    registry: &RegistryReader,
    draft: &mut Draft,
    event: &Event,
    source: CardSource,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    match &event.kind {
        EventKind::Ticket(ticket) => take_ticket(registry, draft, ticket, event.at, periods, now),
        EventKind::RegistrationCard(card) => {
            take_card(registry, draft, card, CardKind::Registration, source, event.at, periods, now)
        }
        EventKind::DeregistrationCard(card) => {
            take_card(registry, draft, card, CardKind::Deregistration, source, event.at, periods, now)
        }
        EventKind::RegistrationRefused { doc_key, codes } => {
            let codes: Vec<FnsCode> = codes.iter().map(code).collect();
            registration_refused(registry, draft, doc_key, &codes, periods, now)
        }
        EventKind::ApplicationAccepted { application_id, rnm } => {
            let decision = match rnm.trim().parse::<Rnm>() {
                Ok(rnm) => Decision::Accepted { rnm: Some(rnm) },
                Err(error) => {
                    tracing::warn!(event = event.id, "an application is accepted with {rnm:?}: {error}");
                    return Ok(Outcome::Skipped);
                }
            };
            about_application(registry, draft, application_id, &decision, periods, now)
        }
        EventKind::ApplicationRefused { application_id, codes } => {
            let codes: Vec<FnsCode> = codes.iter().map(code).collect();
            let decision = Decision::Refused { reasons: codes_words(&codes) };
            about_application(registry, draft, application_id, &decision, periods, now)
        }
        EventKind::Unknown { kind } => {
            tracing::info!(
                event = event.id,
                kind,
                "an event of a type that this program does not know is skipped"
            );
            Ok(Outcome::Skipped)
        }
        EventKind::Malformed { kind, reason, text } => {
            unreadable(draft, event, kind, reason, text, now);
            Ok(Outcome::Skipped)
        }
    }
}

/// A verdict asked for is like a ticket of the feed.
pub(super) fn as_event(verdict: &DocumentVerdict) -> Event {
    let codes = verdict.codes.iter().map(|code| CodeJson {
        code: u32::try_from(code.code).unwrap_or(u32::MAX),
        text: code.text.clone(),
        path: code.path.clone(),
    });
    Event {
        id: String::new(),
        at: Some(verdict.at),
        kind: EventKind::Ticket(TicketEvent {
            doc_key: DocKey { fn_number: verdict.fn_number, fd_number: verdict.fd_number },
            ticket_id: verdict.ticket_id.clone(),
            verdict: match verdict.verdict {
                Verdict::Accepted => wire::Verdict::Accepted,
                Verdict::Soft => wire::Verdict::Soft,
                Verdict::Hard => wire::Verdict::Hard,
            },
            codes: codes.collect(),
        }),
    }
}

/// A ticket is a verdict about its document, and about its register when the document is the newest report of it.
fn take_ticket(
    registry: &RegistryReader,
    draft: &mut Draft,
    ticket: &TicketEvent,
    at: Option<Timestamp>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let DocKey { fn_number, fd_number } = ticket.doc_key;
    let verdict = match ticket.verdict {
        wire::Verdict::Accepted => Verdict::Accepted,
        wire::Verdict::Soft => Verdict::Soft,
        wire::Verdict::Hard => Verdict::Hard,
    };
    let codes: Vec<FnsCode> = ticket.codes.iter().map(code).collect();
    let document = DocumentVerdict {
        fn_number,
        fd_number,
        ticket_id: ticket.ticket_id.clone(),
        verdict,
        codes: codes.clone(),
        at: at.unwrap_or(now),
    };
    let Some(kkt) = registry.kkt(KktKey::FnEver(&fn_number))? else {
        draft.change.verdicts.push(document);
        return Ok(Outcome::Taken);
    };
    let outcome = match current_report(registry, &kkt, &fn_number, fd_number)? {
        Some(report) => {
            let judged = machine::Event::Verdict { verdict, codes: &codes };
            move_kkt(registry, draft, &kkt, judged, report.seq, periods, now)?
        }
        None if verdict == Verdict::Hard => {
            refused_document(registry, draft, &kkt, &fn_number, fd_number, &codes, now)?;
            Outcome::Taken
        }
        None => Outcome::Taken,
    };
    if outcome != Outcome::Later {
        draft.change.verdicts.push(document);
    }
    // The document has its verdict, whatever the register makes of it.
    Ok(if outcome == Outcome::Later { outcome } else { Outcome::Taken })
}

/// A document that the tax service refused for good. Reports other than the newest say nothing to anybody.
fn refused_document(
    registry: &RegistryReader,
    draft: &mut Draft,
    kkt: &Kkt,
    fn_number: &FnNumber,
    fd_number: FdNumber,
    codes: &[FnsCode],
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = registry.report_of(fn_number, fd_number)? else { return Ok(()) };
    if matches!(row.form, FORM_REGISTRATION | FORM_CHANGE) {
        return Ok(());
    }
    let text = format!(
        "{}: ФНС не приняла ФД {fd_number} (ФН {fn_number}): {}. Исправить его нельзя, клиент формирует чек коррекции.",
        register_words(kkt),
        codes_words(codes)
    );
    draft.task(kkt, kkt.id, TaskKind::DocumentRefused, text, Some(row.seq), now);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "an event has that many sides")]
fn take_card(
    registry: &RegistryReader,
    draft: &mut Draft,
    event: &CardEvent,
    kind: CardKind,
    source: CardSource,
    at: Option<Timestamp>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let facts = match facts_of(event, kind) {
        Ok(facts) => facts,
        Err(fault) => {
            let text = format!("Карточка РНМ {:?} из ФНС не читается: {fault}. Она не применена.", event.rnm);
            tracing::warn!(rnm = event.rnm, "a card cannot be used: {fault}");
            let task = NewTask { kind: TaskKind::CardUnknown, seq: None, kkt_id: None, text, at: now };
            draft.change.tasks.push(task);
            return Ok(Outcome::Skipped);
        }
    };
    let xml =
        event.xml_base64.as_deref().and_then(|xml| STANDARD.decode(xml).ok()).filter(|xml| !xml.is_empty());
    let signature = event.signature_base64.as_deref().and_then(|signature| STANDARD.decode(signature).ok());
    let (media_type, body) = match xml {
        Some(xml) => ("application/xml", xml),
        None => ("application/json", serde_json::to_vec(event).unwrap_or_default()),
    };
    let basis = event.basis.as_ref().and_then(|basis| basis.doc_key.as_deref()?.parse().ok());
    let signature = signature.as_deref();
    let incoming = Incoming { facts: &facts, source, media_type, body: &body, signature, at, basis };
    Ok(match card::take(registry, draft, &incoming, periods, now)? {
        None => Outcome::Later,
        Some(Fate::Applied { .. }) => Outcome::Taken,
        Some(Fate::Confirmed { .. }) => Outcome::Repeated,
        Some(Fate::NoRegister { .. }) => Outcome::Unknown,
        Some(Fate::Differs { .. } | Fate::OutOfPlace { .. }) => Outcome::Taken,
    })
}

/// What the card of an event says. The event of a deregistration may come without one.
fn facts_of(event: &CardEvent, kind: CardKind) -> Result<CardFacts, CardFault> {
    let rnm = event.rnm.trim();
    let facts = match (&event.card, kind) {
        (Some(card), _) => read_json(card)?,
        (None, _) => {
            let rnm: Rnm = rnm
                .parse()
                .map_err(|error| CardFault::Field { path: "rnm", what: format!("{rnm:?}: {error}") })?;
            CardFacts {
                kind,
                number: None,
                rnm: rnm.to_string(),
                kkt_serial: None,
                fn_number: None,
                inn: None,
                dated: None,
            }
        }
    };
    if facts.kind != kind {
        let what = format!("a card of {} in an event of {}", facts.kind.name(), kind.name());
        return Err(CardFault::Field { path: "knd", what });
    }
    if facts.rnm != rnm {
        let what = format!("the event names {rnm:?}, its card {}", facts.rnm);
        return Err(CardFault::Field { path: "rnm", what });
    }
    Ok(facts)
}

/// A refused registration moves its register, if that is about its newest report; else a person is told.
fn registration_refused(
    registry: &RegistryReader,
    draft: &mut Draft,
    doc_key: &DocKey,
    codes: &[FnsCode],
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let Some(kkt) = registry.kkt(KktKey::FnEver(&doc_key.fn_number))? else {
        tracing::warn!(doc_key = %doc_key, "the tax service refused a registration of a register that we do not know");
        return Ok(Outcome::Unknown);
    };
    let event = machine::Event::RegistrationRefused { codes };
    match current_report(registry, &kkt, &doc_key.fn_number, doc_key.fd_number)? {
        Some(report) => move_kkt(registry, draft, &kkt, event, report.seq, periods, now),
        None => refused_before(registry, draft, &kkt, doc_key, codes, now),
    }
}

/// A report that a newer one has followed was refused: that changes no state, and must not be lost.
fn refused_before(
    registry: &RegistryReader,
    draft: &mut Draft,
    kkt: &Kkt,
    doc_key: &DocKey,
    codes: &[FnsCode],
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let row = registry.report_of(&doc_key.fn_number, doc_key.fd_number)?;
    let Some(row) = row.filter(|row| matches!(row.form, FORM_REGISTRATION | FORM_CHANGE)) else {
        return Ok(Outcome::Repeated);
    };
    if kkt.state == RegistrationState::Deregistered || is_told(registry, kkt, row.seq)? {
        return Ok(Outcome::Repeated);
    }
    if !draft.touch(vec![Touch::Kkt(kkt.id)]) {
        return Ok(Outcome::Later);
    }
    let text = format!(
        "{}: ФНС отказала по прежнему отчёту (ФН {}, ФД {}): {}. После него пришёл новый отчёт, состояние ККТ не изменено.",
        register_words(kkt),
        doc_key.fn_number,
        doc_key.fd_number,
        codes_words(codes)
    );
    draft.task(kkt, kkt.id, TaskKind::ReportRefused, text, Some(row.seq), now);
    Ok(Outcome::Taken)
}

/// Whether a person was told of the refusal of a report before: then it is a repeat, whatever happened since.
fn is_told(registry: &RegistryReader, kkt: &Kkt, seq: i64) -> Result<bool, StoreError> {
    let filter = TaskFilter {
        kind: Some(TaskKind::ReportRefused),
        kkt_id: Some(kkt.id),
        with_closed: true,
        before_id: None,
    };
    Ok(registry.tasks(&filter, MAX_TOLD)?.iter().any(|task| task.seq == Some(seq)))
}

fn move_kkt(
    registry: &RegistryReader,
    draft: &mut Draft,
    kkt: &Kkt,
    event: machine::Event<'_>,
    seq: i64,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let refuses = matches!(
        event,
        machine::Event::RegistrationRefused { .. } | machine::Event::Verdict { verdict: Verdict::Hard, .. }
    );
    if refuses && is_told(registry, kkt, seq)? {
        return Ok(Outcome::Repeated);
    }
    let says = |step: &machine::Step| {
        step.actions.iter().any(|action| matches!(action, machine::Action::Task { .. }))
    };
    Ok(match machine::step(Some(kkt), event, periods, now) {
        Ok(step) if step.moved() || says(&step) => {
            if !draft.touch(vec![Touch::Kkt(kkt.id)]) {
                return Ok(Outcome::Later);
            }
            draft.put(vec![step], Some(seq), now);
            Outcome::Taken
        }
        // A move that the change has brought about already must not be judged by the row before it.
        Ok(_) | Err(_) if draft.is_touched(&Touch::Kkt(kkt.id)) => Outcome::Later,
        Ok(_) => Outcome::Repeated,
        Err(rejected) => {
            draft.warn(kkt, rejected.to_string());
            Outcome::Repeated
        }
    })
}

fn about_application(
    registry: &RegistryReader,
    draft: &mut Draft,
    application_id: &str,
    decision: &Decision,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let filter =
        ApplicationFilter { application_id: Some(application_id.to_owned()), ..ApplicationFilter::default() };
    let Some(application) = registry.applications(&filter, 1)?.into_iter().next() else {
        tracing::warn!(application_id, "the tax service decided about an application that we do not know");
        return Ok(Outcome::Unknown);
    };
    if !draft.touch(vec![Touch::Application(application.id), Touch::Kkt(application.kkt_id)]) {
        return Ok(Outcome::Later);
    }
    let decided = decide(registry, draft, application, decision, periods, now)?;
    Ok(if decided { Outcome::Taken } else { Outcome::Repeated })
}

/// The newest report of a register, if it is this document.
fn current_report(
    registry: &RegistryReader,
    kkt: &Kkt,
    fn_number: &FnNumber,
    fd_number: FdNumber,
) -> Result<Option<ReportRow>, StoreError> {
    let Some(seq) = kkt.report_seq else { return Ok(None) };
    let report = registry.report(seq)?;
    Ok(report.filter(|report| report.fn_number == *fn_number && report.fd_number == fd_number))
}

/// An event that cannot be read may have been a card: a person has to look at it.
fn unreadable(draft: &mut Draft, event: &Event, kind: &str, reason: &str, text: &str, now: Timestamp) {
    tracing::warn!(event = event.id, kind, "an event cannot be read and is skipped: {reason}");
    let text = format!("Событие ФНС «{kind}» {} не читается ({reason}) и пропущено: {text}", event.id);
    draft.change.tasks.push(NewTask { kind: TaskKind::CardUnknown, seq: None, kkt_id: None, text, at: now });
}

fn code(code: &CodeJson) -> FnsCode {
    FnsCode { code: i64::from(code.code), text: code.text.clone(), path: code.path.clone() }
}
