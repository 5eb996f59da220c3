//! How a register becomes registered: number, report, card; and how it ends.

use ffd::{FnNumber, LocalTime, Rnm};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::documents::{Doc, DocIndex};
use super::feed::{Event, OtherEvent, Reason};
use super::registry::{Kkt, Report};
use super::{Action, World, millis};
use crate::fns::card::{Card, CardOfd, DEREGISTRATION_KND, REGISTRATION_KND};
use crate::fns::codes::Codes;
use crate::fns::door::{DocKey, ReportFacts};
use crate::fns::wire::{Device, Modes, Party, Place, TypedReport};

/// What registers' models are called when nobody said: reports carry no model.
const UNKNOWN_MODEL: &str = "не указана";
/// The tax service is in Moscow; its days begin there.
const MOSCOW_OFFSET: SignedDuration = SignedDuration::from_hours(3);

/// Why typed values did not complete a registration (endpoint 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fns) enum CompletionError {
    /// Nobody got this number.
    UnknownRnm,
    /// There is a card for the newest report already, or the register was struck off.
    AlreadyCompleted,
    /// The values are not those of the report: the JSON name of the first that differs.
    Mismatch(&'static str),
}

/// Why the control port could not make a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fns) enum CardError {
    /// Nobody got this number.
    UnknownRnm,
    /// The changed card is no card.
    Invalid(String),
}

/// A register made by the control port, as if its owner had got a number past the operator.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::fns) struct SeedKkt {
    /// The number; a new one when not given.
    #[serde(default)]
    pub(in crate::fns) rnm: Option<Rnm>,
    pub(in crate::fns) inn: String,
    pub(in crate::fns) kkt_serial: String,
    pub(in crate::fns) fn_serial: FnNumber,
    #[serde(default)]
    pub(in crate::fns) name: String,
    #[serde(default)]
    pub(in crate::fns) kkt_model: String,
    #[serde(default)]
    pub(in crate::fns) fn_model: String,
}

impl World {
    /// What the registry has against a document.
    pub(super) fn registry_codes(&self, doc: &Doc) -> Codes {
        let mut codes = Codes::NONE;
        let Some(kkt) = self.registry.get(doc.rnm) else {
            codes.add(902);
            return codes;
        };
        if !kkt.user.inn.is_empty() && doc.inn != 0 && self.words.text(doc.inn) != kkt.user.inn {
            codes.add(904);
        }
        if kkt.deregistered_at.is_some_and(|at| doc.date_time > at) {
            codes.add(905);
        }
        match kkt.storage(&doc.fn_number) {
            Some(storage) if !storage.reported => codes.add(906),
            Some(storage) if !storage.carded => codes.add(901),
            Some(_) => {}
            None if kkt.report.is_some() => codes.add(903),
            None => codes.add(906),
        }
        codes
    }

    /// A registration report came: the register is known from now on.
    pub(super) fn take_report(&mut self, rnm: u32, index: DocIndex, facts: &ReportFacts, now: i64) {
        let Some(doc) = self.documents.get(index).cloned() else { return };
        let Ok(number) = self.words.text(rnm).parse::<Rnm>() else { return };
        let inn = self.words.text(doc.inn).to_owned();
        let kkt = self.registry.entry(rnm, || Kkt { rnm: number.as_str().to_owned(), ..Kkt::default() });
        let is_stranger =
            kkt.report.is_none() && kkt.expected_fn.is_some_and(|expected| expected != doc.fn_number);
        let other_device = !kkt.device.serial.is_empty() && kkt.device.serial != facts.kkt_serial;
        if is_stranger || other_device {
            self.accuse(index, 903);
            return;
        }
        let other_owner = !kkt.user.inn.is_empty() && kkt.user.inn != inn;
        if other_owner || kkt.deregistered_at.is_some_and(|at| doc.date_time > at) {
            return;
        }
        let report = Report {
            doc: index,
            kind: doc.form.0,
            fn_number: doc.fn_number,
            fd_number: doc.fd_number,
            date_time: doc.date_time,
            fiscal_sign: doc.fiscal_sign,
        };
        let typed = kkt.typed.take();
        let typed_differs = typed.as_ref().and_then(|typed| difference(typed, &inn, &report));
        kkt.completed = typed.is_some() && typed_differs.is_none();
        kkt.refused = false;
        kkt.storage_mut(doc.fn_number).reported = true;
        kkt.report = Some(report);
        fill(kkt, facts, &inn);
        let completed = kkt.completed;
        if typed_differs.is_some() {
            self.accuse(index, 907);
        } else if !completed && self.config.auto_card {
            let due = now.saturating_add(millis(self.config.card_delay_ms));
            self.at(due, Action::Card { rnm, report: index });
        }
        self.judge_again(rnm, now);
    }

    /// Adds a flaw that the document keeps.
    fn accuse(&mut self, index: DocIndex, code: u16) {
        if let Some(doc) = self.documents.get_mut(index) {
            doc.own.add(code);
        }
    }

    /// Orders the cards of all reports that wait for one.
    pub(super) fn schedule_waiting_cards(&mut self, now: i64) {
        let waiting = |kkt: &Kkt| !kkt.completed && !kkt.refused && kkt.deregistered_at.is_none();
        let mut reports: Vec<_> = self
            .registry
            .iter()
            .filter(|(_, kkt)| waiting(kkt))
            .filter_map(|(rnm, kkt)| Some((kkt.report.as_ref()?.doc, rnm)))
            .collect();
        reports.sort_unstable();
        let due = now.saturating_add(millis(self.config.card_delay_ms));
        for (report, rnm) in reports {
            self.at(due, Action::Card { rnm, report });
        }
    }

    /// Makes a card that was ordered, unless something happened to the register or its report meanwhile.
    pub(super) fn make_due_card(&mut self, rnm: u32, report: DocIndex, now: i64) {
        let is_still_due = self.registry.get(rnm).is_some_and(|kkt| {
            let is_newest = kkt.report.as_ref().is_some_and(|newest| newest.doc == report);
            is_newest && !kkt.completed && !kkt.refused && kkt.deregistered_at.is_none()
        });
        if is_still_due && self.config.auto_card {
            self.make_card(rnm, now);
        }
    }

    /// Makes the card of a register as it is known now, says so in the feed, and looks again at its documents.
    fn make_card(&mut self, rnm: u32, now: i64) {
        self.registry.cards += 1;
        let number = self.registry.cards;
        let Some(kkt) = self.registry.get_mut(rnm) else { return };
        let today = day(now);
        let registered_at =
            kkt.card.as_ref().map_or_else(|| today.clone(), |card| card.registered_at.clone());
        let storage = kkt.card_storage();
        let card = Box::new(Card {
            knd: REGISTRATION_KND.to_owned(),
            rnm: kkt.rnm.clone(),
            registered_at,
            user: kkt.user.clone(),
            kkt: device(&kkt.device.model, &kkt.device.serial),
            fn_storage: device(&kkt.fn_model, storage.as_ref().map_or("", FnNumber::as_str)),
            place: kkt.place.clone(),
            ofd: CardOfd { inn: kkt.ofd_inn.clone() },
            modes: kkt.modes.clone(),
            tax_office: tax_office(kkt),
            valid_from: today,
            card_number: format!("SIM-{number}"),
            deregistered_at: None,
        });
        if let Some(storage) = storage {
            kkt.storage_mut(storage).carded = true;
        }
        // The register is known now, so what its earlier storages recorded is too.
        for earlier in kkt.storages.iter_mut().filter(|earlier| earlier.reported) {
            earlier.carded = true;
        }
        kkt.completed = true;
        kkt.refused = false;
        kkt.card = Some(card.clone());
        self.push_card(rnm, card, now);
        self.judge_again(rnm, now);
    }

    fn push_card(&mut self, rnm: u32, card: Box<Card>, now: i64) {
        let Some(kkt) = self.registry.get(rnm) else { return };
        let report = kkt.report.as_ref().and_then(|report| self.documents.get(report.doc));
        let basis = report.map(|doc| doc.key().to_string());
        let event = OtherEvent::RegistrationCard { rnm: kkt.rnm.clone(), basis, card };
        self.feed.push(now, Event::Other(Box::new(event)));
    }

    /// The taxpayer typed the values of the report (endpoint 6, «Завершить регистрацию»).
    pub(in crate::fns) fn complete(
        &mut self,
        rnm: &str,
        typed: TypedReport,
        now: i64,
    ) -> Result<(), CompletionError> {
        let number = self.words.find(rnm).ok_or(CompletionError::UnknownRnm)?;
        let kkt = self.registry.get_mut(number).ok_or(CompletionError::UnknownRnm)?;
        if kkt.completed || kkt.deregistered_at.is_some() {
            return Err(CompletionError::AlreadyCompleted);
        }
        if let Some(report) = &kkt.report {
            if let Some(name) = difference(&typed, &kkt.user.inn, report) {
                return Err(CompletionError::Mismatch(name));
            }
        } else {
            if !kkt.user.inn.is_empty() && typed.user_inn.trim() != kkt.user.inn {
                return Err(CompletionError::Mismatch("userInn"));
            }
            kkt.typed = Some(typed);
        }
        self.make_card(number, now);
        Ok(())
    }

    /// Sends a card again, or one that the registry does not hold: `change` is merged into the JSON of the present
    /// card (RFC 7396). A register without a card gets one first.
    pub(in crate::fns) fn send_card(&mut self, rnm: &str, change: &Value, now: i64) -> Result<(), CardError> {
        let number = self.words.find(rnm).ok_or(CardError::UnknownRnm)?;
        let kkt = self.registry.get(number).ok_or(CardError::UnknownRnm)?;
        let Some(card) = kkt.card.clone() else {
            self.make_card(number, now);
            return if is_nothing(change) { Ok(()) } else { self.send_card(rnm, change, now) };
        };
        if is_nothing(change) {
            self.push_card(number, card, now);
            return Ok(());
        }
        let invalid = |error: serde_json::Error| CardError::Invalid(error.to_string());
        let mut changed = serde_json::to_value(&*card).map_err(invalid)?;
        merge(&mut changed, change, 0);
        let changed: Card = serde_json::from_value(changed).map_err(invalid)?;
        self.push_card(number, Box::new(changed), now);
        Ok(())
    }

    /// Refuses the newest report of a register, or the named one.
    pub(super) fn refuse_registration(&mut self, rnm: u32, report: DocKey, codes: Vec<Reason>, now: i64) {
        if let Some(kkt) = self.registry.get_mut(rnm) {
            kkt.refused = true;
            kkt.completed = false;
        }
        let event = OtherEvent::RegistrationRefused { doc_key: report.to_string(), codes };
        self.feed.push(now, Event::Other(Box::new(event)));
    }

    /// The same by the control port; false when no such report came.
    pub(in crate::fns) fn refuse_report(&mut self, report: DocKey, codes: Vec<Reason>, now: i64) -> bool {
        let found = self.documents.find(&report).and_then(|index| self.documents.get(index));
        let Some(doc) = found.filter(|doc| doc.form.is_registration()) else { return false };
        let rnm = doc.rnm;
        self.refuse_registration(rnm, report, codes, now);
        true
    }

    /// Name of the newest report of a register.
    pub(in crate::fns) fn report_of(&self, rnm: &str) -> Option<DocKey> {
        let report = self.kkt(rnm)?.report.as_ref()?;
        Some(DocKey { fn_number: report.fn_number, fd_number: report.fd_number })
    }

    /// Strikes a register off at a time of its clock, now when none is given; false when there is none.
    pub(in crate::fns) fn deregister(&mut self, rnm: &str, at: Option<u32>, now: i64) -> bool {
        let Some(number) = self.words.find(rnm) else { return false };
        self.registry.cards += 1;
        let card_number = format!("SIM-{}", self.registry.cards);
        let Some(kkt) = self.registry.get_mut(number) else { return false };
        let at = at.unwrap_or_else(|| moscow_clock(now));
        kkt.deregistered_at = Some(at);
        let day = LocalTime::new(at).civil().date().to_string();
        let storage = kkt.card_storage();
        let card = Card {
            knd: DEREGISTRATION_KND.to_owned(),
            rnm: kkt.rnm.clone(),
            registered_at: day.clone(),
            user: kkt.user.clone(),
            kkt: device(&kkt.device.model, &kkt.device.serial),
            fn_storage: device(&kkt.fn_model, storage.as_ref().map_or("", FnNumber::as_str)),
            place: kkt.place.clone(),
            ofd: CardOfd { inn: kkt.ofd_inn.clone() },
            modes: kkt.modes.clone(),
            tax_office: tax_office(kkt),
            valid_from: day.clone(),
            card_number,
            deregistered_at: Some(day),
        };
        let event = OtherEvent::DeregistrationCard { rnm: kkt.rnm.clone(), card: Box::new(card) };
        self.feed.push(now, Event::Other(Box::new(event)));
        self.judge_again(number, now);
        true
    }

    /// A register by its РНМ.
    pub(in crate::fns) fn kkt(&self, rnm: &str) -> Option<&Kkt> {
        self.registry.get(self.words.find(rnm)?)
    }

    /// All registers, by РНМ.
    pub(in crate::fns) fn kkts(&self) -> Vec<&Kkt> {
        let mut kkts: Vec<_> = self.registry.iter().map(|(_, kkt)| kkt).collect();
        kkts.sort_by(|one, two| one.rnm.cmp(&two.rnm));
        kkts
    }

    /// The next number, with its check value for this owner and register.
    pub(super) fn issue_rnm(&mut self, inn: &str, serial: &str) -> String {
        loop {
            self.registry.issued += 1;
            let ordinal = self.registry.issued;
            // A serial number with letters has no check value.
            let rnm = Rnm::compute(ordinal, inn, serial)
                .map_or_else(|| format!("{ordinal:010}000000"), |rnm| rnm.as_str().to_owned());
            if self.kkt(&rnm).is_none() {
                return rnm;
            }
        }
    }

    /// Makes a register as if its owner had got a number past the operator. Gives the number; nothing when it is taken.
    pub(in crate::fns) fn seed(&mut self, seed: SeedKkt) -> Option<String> {
        let rnm = match seed.rnm {
            Some(rnm) => rnm.as_str().to_owned(),
            None => self.issue_rnm(&seed.inn, &seed.kkt_serial),
        };
        if self.kkt(&rnm).is_some() {
            return None;
        }
        let kkt = Kkt {
            rnm: rnm.clone(),
            user: Party { inn: seed.inn, name: seed.name },
            device: Device { model: seed.kkt_model, serial: seed.kkt_serial },
            fn_model: seed.fn_model,
            expected_fn: Some(seed.fn_serial),
            ..Kkt::default()
        };
        self.add_kkt(kkt);
        Some(rnm)
    }

    /// Adds a register; an earlier one of the same number stays.
    pub(super) fn add_kkt(&mut self, kkt: Kkt) {
        let number = self.words.number(&kkt.rnm);
        self.registry.entry(number, || kkt);
    }
}

/// Takes over what a report says of its register.
fn fill(kkt: &mut Kkt, facts: &ReportFacts, inn: &str) {
    let take = |place: &mut String, value: &str| {
        if !value.is_empty() {
            value.clone_into(place);
        }
    };
    take(&mut kkt.user.inn, inn);
    take(&mut kkt.user.name, &facts.user_name);
    take(&mut kkt.device.serial, &facts.kkt_serial);
    take(&mut kkt.ofd_inn, &facts.ofd_inn);
    kkt.place = Place { address: facts.place.address.clone(), name: facts.place.name.clone() };
    kkt.modes = Modes { ..facts.modes.clone() };
}

/// The JSON name of the first typed value that is not the report's.
fn difference(typed: &TypedReport, inn: &str, report: &Report) -> Option<&'static str> {
    let sign = typed.fiscal_sign.trim();
    let minute = LocalTime::new(report.date_time).civil().strftime("%Y-%m-%dT%H:%M").to_string();
    let is_sign = (1..=10).contains(&sign.len()) && sign.bytes().all(|byte| byte.is_ascii_digit());
    let checks = [
        ("userInn", typed.user_inn.trim() == inn),
        ("reportKind", typed.report_kind == report.kind),
        ("dateTime", typed.date_time.trim() == minute),
        ("fdNumber", typed.fd_number == report.fd_number.get()),
        ("fiscalSign", is_sign && sign.parse() == Ok(report.fiscal_sign)),
    ];
    checks.into_iter().find(|(_, equal)| !equal).map(|(name, _)| name)
}

fn device(model: &str, serial: &str) -> Device {
    let model = if model.is_empty() { UNKNOWN_MODEL } else { model };
    Device { model: model.to_owned(), serial: serial.to_owned() }
}

/// Of the application, else the first four digits of the owner's INN.
fn tax_office(kkt: &Kkt) -> String {
    if kkt.tax_office.is_empty() { kkt.user.inn.chars().take(4).collect() } else { kkt.tax_office.clone() }
}

fn day(now: i64) -> String {
    let moment = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.saturating_add(MOSCOW_OFFSET).unwrap_or(moment).to_zoned(TimeZone::UTC).date().to_string()
}

fn moscow_clock(now: i64) -> u32 {
    u32::try_from(now / 1000 + MOSCOW_OFFSET.as_secs()).unwrap_or(u32::MAX)
}

fn is_nothing(change: &Value) -> bool {
    change.is_null() || change.as_object().is_some_and(serde_json::Map::is_empty)
}

/// JSON merge patch, as deep as a card is.
fn merge(target: &mut Value, change: &Value, depth: usize) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) if depth < 4 => {
            for (name, value) in change {
                if value.is_null() {
                    target.remove(name);
                } else {
                    merge(target.entry(name.clone()).or_insert(Value::Null), value, depth + 1);
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}
