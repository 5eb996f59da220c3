//! What a card does: the change it makes, whichever way it came.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use ofd_store::{
    Card, CardKind, CardSource, Kkt, KktKey, NewTask, RegistrationState as State, RegistryReader, StoreError,
    TaskClose, TaskKind, row,
};
use sha2::{Digest, Sha256};

use super::CardFacts;
use crate::client::wire::DocKey;
use crate::registration::RegistrationConfig;
use crate::registration::commit::{Draft, Touch};
use crate::registration::machine::{Event, Rejected, Step, register_words, step};
use crate::registration::numbers;
use crate::registration::settings::MOSCOW;

/// Most cards of one register that are looked at again after a report.
const MAX_PENDING: usize = 100;
/// Most cards of one registration number that are looked at again after a report.
const MAX_WAITING: usize = 20;
/// Note of a task about a card that was applied after all.
const FOUND_ITS_REGISTER: &str = "карточка применена после отчёта";

/// A card on its way in.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    /// What it says.
    pub(crate) facts: &'a CardFacts,
    /// Which way it came.
    pub(crate) source: CardSource,
    /// Media type of `body`.
    pub(crate) media_type: &'a str,
    /// The card as it came.
    pub(crate) body: &'a [u8],
    /// Its detached signature.
    pub(crate) signature: Option<&'a [u8]>,
    /// When the tax service says it happened.
    pub(crate) at: Option<Timestamp>,
    /// The report that it was made from, where that is said.
    pub(crate) basis: Option<DocKey>,
}

/// What became of a card; rows are those of the draft, with numbers of [`row`](fn@row) where they are new.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It moved its register.
    Applied { kkt: Kkt, card: Card },
    /// It said nothing new.
    Confirmed { kkt: Option<Kkt>, card: Card },
    /// It differs from its register.
    Differs { kkt: Kkt, card: Card, fields: Vec<String> },
    /// Its register has no use for it.
    OutOfPlace { kkt: Kkt, card: Card },
    /// It fits no register.
    NoRegister { card: Card },
}

/// Takes a card into the change. None: the change has decided about its register already.
pub(crate) fn take(
    registry: &RegistryReader,
    draft: &mut Draft,
    incoming: &Incoming<'_>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<Option<Fate>, StoreError> {
    let facts = incoming.facts;
    let key = facts.number.clone().unwrap_or_else(|| hex(&Sha256::digest(incoming.body)));
    let existing = registry.card_by_key(facts.kind, &facts.rnm, &key)?;
    let found = find(registry, facts, existing.as_ref())?;
    let losers = match (&found, facts.kind) {
        (Some(kkt), CardKind::Registration) => {
            numbers::unconfirmed_elsewhere(registry, &facts.rnm, Some(kkt.id))?
        }
        _ => Vec::new(),
    };
    let mut touches = vec![Touch::Rnm(facts.rnm.clone())];
    touches.extend(numbers::touches(&losers));
    touches.extend(found.as_ref().map(|kkt| Touch::Kkt(kkt.id)));
    touches.extend(facts.fn_number.map(Touch::Fn));
    if !draft.touch(touches) {
        return Ok(None);
    }
    let repeated = existing.is_some();
    let mut card = existing.unwrap_or_else(|| new_card(incoming, key, now));
    if card.applied_at.is_some() {
        card.confirmed_at = Some(now);
        draft.change.cards.push(card.clone());
        return Ok(Some(Fate::Confirmed { kkt: found, card }));
    }
    // A card that failed before and comes again by itself makes no new task; a person who uploads it gets an answer.
    let quiet = repeated && incoming.source == CardSource::Event;
    let Some(kkt) = found else {
        if !quiet {
            let task = NewTask {
                kind: TaskKind::CardUnknown,
                seq: None,
                kkt_id: None,
                text: unknown_text(facts),
                at: now,
            };
            tracing::warn!(rnm = %facts.rnm, "{}", task.text);
            draft.change.tasks.push(task);
        }
        put_card(draft, &card);
        return Ok(Some(Fate::NoRegister { card }));
    };
    card.kkt_id = Some(kkt.id);
    if facts.kind == CardKind::Registration && is_of_older_report(registry, &kkt, incoming.basis)? {
        draft.warn(&kkt, format!("a card of РНМ {} is of a report before the newest one", facts.rnm));
        (card.applied_at, card.confirmed_at) = (Some(now), Some(now));
        put_card(draft, &card);
        return Ok(Some(Fate::Confirmed { kkt: Some(kkt), card }));
    }
    let event = match facts.kind {
        CardKind::Registration => Event::Card { facts },
        CardKind::Deregistration => {
            Event::Deregistered { from: deregistered_from(facts, incoming.at, now), facts }
        }
    };
    let judged = match fn_elsewhere(registry, &kkt, facts)? {
        Some(text) => Err(Rejected::CardDiffers { fields: vec!["fn".to_owned()], text }),
        None => step(Some(&kkt), event, periods, now),
    };
    let fate = match judged {
        Ok(step) => {
            let winner = step.kkt.clone();
            let fate = applied(registry, draft, card, step, now)?;
            numbers::take_away(registry, draft, &losers, &winner, periods, now)?;
            fate
        }
        Err(Rejected::CardDiffers { fields, text }) => {
            if !quiet {
                draft.task(&kkt, kkt.id, TaskKind::CardMismatch, text, None, now);
            }
            put_card(draft, &card);
            Fate::Differs { kkt, card, fields }
        }
        Err(rejected) => {
            if !quiet {
                let text = out_of_place_text(&kkt, facts);
                draft.warn(&kkt, rejected.to_string());
                draft.task(&kkt, kkt.id, TaskKind::CardMismatch, text, None, now);
            }
            put_card(draft, &card);
            Fate::OutOfPlace { kkt, card }
        }
    };
    Ok(Some(fate))
}

/// Whether a card was made from a report before the newest one: its register waits for another. A basis that is not in
/// the journal says nothing.
fn is_of_older_report(
    registry: &RegistryReader,
    kkt: &Kkt,
    basis: Option<DocKey>,
) -> Result<bool, StoreError> {
    let (Some(DocKey { fn_number, fd_number }), Some(seq)) = (basis, kkt.report_seq) else {
        return Ok(false);
    };
    let (Some(basis), Some(newest)) = (registry.report_of(&fn_number, fd_number)?, registry.report(seq)?)
    else {
        return Ok(false);
    };
    Ok(if basis.fn_number == newest.fn_number {
        (basis.chain, basis.fd_number) < (newest.chain, newest.fd_number)
    } else {
        basis.seq < newest.seq
    })
}

/// A register whose ФН is not known would take over that of its card: not one that is in another register or line. Says so,
/// Russian.
fn fn_elsewhere(
    registry: &RegistryReader,
    kkt: &Kkt,
    facts: &CardFacts,
) -> Result<Option<String>, StoreError> {
    let (None, Some(fn_number)) = (kkt.fn_number, &facts.fn_number) else { return Ok(None) };
    let holder = registry.kkt(KktKey::Fn(fn_number))?;
    let held = holder.is_some_and(|other| other.id != kkt.id && other.state != State::Deregistered);
    let named = registry.line_of_fn(fn_number)?.is_some_and(|line| Some(line.id) != kkt.line_id);
    Ok((held || named).then(|| {
        format!(
            "Карточка (РНМ {}) называет ФН {fn_number}, который записан за другой ККТ. {} не изменена.",
            facts.rnm,
            register_words(kkt)
        )
    }))
}

/// After a report: cards that could not be applied before are tried again, those of its register and those with its
/// registration number that came when no register fitted them, or were taken to be of another. (A card that fits has that
/// number, so nothing else has to be looked through.) Adds the step of the first that fits.
pub(crate) fn pending_steps(
    registry: &RegistryReader,
    draft: &mut Draft,
    steps: &mut Vec<Step>,
    periods: &RegistrationConfig,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(kkt) = steps.last().map(|step| step.kkt.clone()) else { return Ok(()) };
    let mut cards = if kkt.id == 0 { Vec::new() } else { registry.cards(Some(kkt.id), 0, MAX_PENDING)? };
    if let Some(rnm) = &kkt.rnm {
        cards.extend(registry.waiting_cards(rnm, MAX_WAITING)?);
    }
    let waiting = |card: &Card| card.kind == CardKind::Registration && card.applied_at.is_none();
    for mut card in cards.into_iter().filter(waiting) {
        let facts = facts_of(&card);
        let Ok(mut linked) = step(Some(&kkt), Event::Card { facts: &facts }, periods, now) else { continue };
        if !linked.moved() {
            continue;
        }
        if let Some(other) = card.kkt_id.filter(|id| *id != kkt.id) {
            let (kind, note) = (TaskKind::CardMismatch, Some(FOUND_ITS_REGISTER.to_owned()));
            draft.change.close_tasks.push(TaskClose::OfKkt { kind, kkt_id: other, at: now, note });
        } else if card.kkt_id.is_none() {
            let (kind, note) = (TaskKind::CardUnknown, Some(FOUND_ITS_REGISTER.to_owned()));
            let text = unknown_text(&facts);
            draft.change.close_tasks.push(TaskClose::OfText { kind, text, at: now, note });
        }
        card.kkt_id = Some(if kkt.id == 0 { row(draft.change.kkts.len()) } else { kkt.id });
        card.applied_at = Some(now);
        linked.kkt.card_id = Some(card.id);
        draft.change.cards.push(card);
        steps.push(linked);
        break;
    }
    Ok(())
}

/// The register of a card: of one applied before, that; else by registration number, by the ФН, by serial number and ИНН.
/// A register that has the number only by somebody's word, and another serial number or ФН, is passed over for one that
/// has those: the number was mistyped there.
fn find(
    registry: &RegistryReader,
    facts: &CardFacts,
    existing: Option<&Card>,
) -> Result<Option<Kkt>, StoreError> {
    if let Some(id) = existing.filter(|card| card.applied_at.is_some()).and_then(|card| card.kkt_id) {
        return registry.kkt(KktKey::Id(id));
    }
    let by_rnm = registry.kkt(KktKey::Rnm(&facts.rnm))?;
    if let Some(kkt) = &by_rnm
        && (kkt.rnm_confirmed || !contradicts(kkt, facts))
    {
        return Ok(by_rnm);
    }
    if facts.kind == CardKind::Deregistration && by_rnm.is_none() {
        return Ok(None);
    }
    let in_use = |kkt: &Kkt| kkt.state != State::Deregistered;
    if let Some(fn_number) = &facts.fn_number
        && let Some(kkt) = registry.kkt(KktKey::Fn(fn_number))?.filter(in_use)
    {
        return Ok(Some(kkt));
    }
    let Some(serial) = &facts.kkt_serial else { return Ok(by_rnm) };
    let same_user = |kkt: &Kkt| kkt.inn.is_some() && kkt.inn == facts.inn;
    Ok(registry.kkt(KktKey::Serial(serial))?.filter(in_use).filter(same_user).or(by_rnm))
}

/// Whether a card names another ККТ or another ФН than a register.
fn contradicts(kkt: &Kkt, facts: &CardFacts) -> bool {
    let differ =
        |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && theirs.is_some() && ours != theirs;
    let other_fn = kkt.fn_number.is_some() && facts.fn_number.is_some() && kkt.fn_number != facts.fn_number;
    other_fn || differ(&kkt.serial, &facts.kkt_serial)
}

/// A card that its register takes: it moves the register, or confirms what is known.
fn applied(
    registry: &RegistryReader,
    draft: &mut Draft,
    mut card: Card,
    mut step: Step,
    now: Timestamp,
) -> Result<Fate, StoreError> {
    card.applied_at = Some(now);
    let moved = step.moved();
    if moved {
        step.kkt.card_id = Some(if card.id == 0 { row(draft.change.cards.len()) } else { card.id });
    } else {
        card.confirmed_at = Some(now);
    }
    put_card(draft, &card);
    if !moved
        && let Some(id) = step.kkt.card_id
        && let Some(mut linking) = registry.card(id)?.filter(|linking| linking.id != card.id)
    {
        linking.confirmed_at = Some(now);
        draft.change.cards.push(linking);
    }
    let kkt = step.kkt.clone();
    draft.follow_line(registry, &kkt)?;
    draft.put(vec![step], None, now);
    Ok(if moved { Fate::Applied { kkt, card } } else { Fate::Confirmed { kkt: Some(kkt), card } })
}

fn put_card(draft: &mut Draft, card: &Card) {
    draft.change.cards.push(card.clone());
}

fn new_card(incoming: &Incoming<'_>, key: String, now: Timestamp) -> Card {
    let facts = incoming.facts;
    Card {
        id: 0,
        kind: facts.kind,
        rnm: facts.rnm.clone(),
        key,
        kkt_id: None,
        kkt_serial: facts.kkt_serial.clone(),
        fn_number: facts.fn_number,
        inn: facts.inn.clone(),
        dated: facts.dated.clone(),
        source: incoming.source,
        media_type: incoming.media_type.to_owned(),
        body: incoming.body.to_vec(),
        signature: incoming.signature.map(<[u8]>::to_vec),
        received_at: now,
        applied_at: None,
        confirmed_at: None,
    }
}

/// What a stored card says.
fn facts_of(card: &Card) -> CardFacts {
    CardFacts {
        kind: card.kind,
        number: Some(card.key.clone()),
        rnm: card.rnm.clone(),
        kkt_serial: card.kkt_serial.clone(),
        fn_number: card.fn_number,
        inn: card.inn.clone(),
        dated: card.dated.clone(),
    }
}

/// Till time from which on a register is struck off: the moment of the event on the clock of Moscow, in which the tax
/// service dates; of a card that names another day, the end of that day.
fn deregistered_from(facts: &CardFacts, at: Option<Timestamp>, now: Timestamp) -> u32 {
    let moscow = |at: Timestamp| TimeZone::fixed(MOSCOW).to_datetime(at);
    let dated: Option<Date> = facts.dated.as_deref().and_then(|dated| dated.parse().ok());
    let from = match (dated, at.map(moscow)) {
        (Some(day), Some(at)) if at.date() == day => at,
        (None, Some(at)) => at,
        (Some(day), _) => day.saturating_add(1.day()).to_datetime(jiff::civil::Time::midnight()),
        (None, None) => moscow(now),
    };
    // The wall clock counted as if it were UTC, as tag 1012 does.
    let seconds = TimeZone::UTC.to_timestamp(from).map_or(0, Timestamp::as_second);
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

fn unknown_text(facts: &CardFacts) -> String {
    let what = match facts.kind {
        CardKind::Registration => "Карточка регистрации",
        CardKind::Deregistration => "Карточка о снятии с учёта",
    };
    let field = |name: &str, value: Option<String>| {
        value.map(|value| format!(", {name} {value}")).unwrap_or_default()
    };
    format!(
        "{what} РНМ {}{}{}{} не относится ни к одной известной ККТ. Карточка сохранена. Проверьте договор.",
        facts.rnm,
        field("зав. №", facts.kkt_serial.clone()),
        field("ФН", facts.fn_number.map(|number| number.to_string())),
        field("ИНН", facts.inn.clone()),
    )
}

fn out_of_place_text(kkt: &Kkt, facts: &CardFacts) -> String {
    let what = match facts.kind {
        CardKind::Registration => "карточка регистрации",
        CardKind::Deregistration => "карточка о снятии с учёта",
    };
    format!(
        "{}: пришла {what}, которой состояние ККТ ({}) не ждёт. Карточка сохранена, состояние не изменено. Разберитесь с \
         клиентом.",
        register_words(kkt),
        kkt.state.name()
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
