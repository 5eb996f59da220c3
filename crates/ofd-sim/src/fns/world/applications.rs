//! Applications (1110061, 1110062): checked, decided, answered by the feed.

use ffd::FnNumber;
use serde::{Deserialize, Serialize};

use super::World;
use super::feed::{Event, OtherEvent, Reason};
use super::registry::Kkt;
use crate::fns::wire::Application;

/// Applications kept; more are refused, a simulator's registry is not endless.
const MAX_APPLICATIONS: usize = 1_000_000;

/// An application that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fns) struct ApplicationEntry {
    pub(in crate::fns) id: String,
    pub(in crate::fns) kind: ApplicationKind,
    /// Milliseconds of UTC.
    pub(in crate::fns) received_at: i64,
    pub(in crate::fns) decision: Option<Decision>,
    /// What an accepted one makes of the register.
    kkt: Kkt,
}

/// What an application asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::fns) enum ApplicationKind {
    Registration,
    Reregistration,
    Deregistration,
}

/// How it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::fns) enum Decision {
    Accepted { rnm: String },
    Refused { codes: Vec<Reason> },
}

/// Why an application was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fns) enum ApplicationError {
    /// The register or the storage has a number already.
    AlreadyRegistered,
    /// JSON names of what is wrong, each with what it has to be.
    Invalid(Vec<(&'static str, &'static str)>),
}

impl World {
    /// Takes an application; the same `Idempotency-Key` gives the same number again.
    pub(in crate::fns) fn apply(
        &mut self,
        application: &Application,
        key: Option<&str>,
        now: i64,
    ) -> Result<String, ApplicationError> {
        let known =
            key.and_then(|key| self.application_keys.get(key)).and_then(|&at| self.applications.get(at));
        if let Some(entry) = known {
            return Ok(entry.id.clone());
        }
        let kind = kind_of(application);
        let (Some(kind), errors) = (kind, errors_of(application, kind, self)) else {
            return Err(ApplicationError::Invalid(vec![KIND_ERROR]));
        };
        if !errors.is_empty() {
            return Err(ApplicationError::Invalid(errors));
        }
        if kind == ApplicationKind::Registration && self.is_registered(application) {
            return Err(ApplicationError::AlreadyRegistered);
        }
        let place = self.applications.len();
        let id = format!("A-{}", place + 1);
        let entry = ApplicationEntry {
            id: id.clone(),
            kind,
            received_at: now,
            decision: None,
            kkt: kkt_of(application),
        };
        self.applications.push(entry);
        if let Some(key) = key {
            self.application_keys.insert(key.to_owned(), place);
        }
        if self.config.auto_applications {
            self.decide(&id, None, now);
        }
        Ok(id)
    }

    /// One application.
    pub(in crate::fns) fn application(&self, id: &str) -> Option<&ApplicationEntry> {
        self.applications.get(place_of(id)?)
    }

    /// All applications, oldest first.
    pub(in crate::fns) fn applications(&self) -> &[ApplicationEntry] {
        &self.applications
    }

    /// The applications of a snapshot.
    pub(super) fn restore_application(&mut self, entry: ApplicationEntry) {
        self.applications.push(entry);
    }

    /// Decides an application: with reasons it is refused. One that was decided before keeps its decision.
    pub(in crate::fns) fn decide(
        &mut self,
        id: &str,
        refusal: Option<Vec<Reason>>,
        now: i64,
    ) -> Option<Decision> {
        let place = place_of(id)?;
        let entry = self.applications.get(place)?;
        if let Some(decision) = &entry.decision {
            return Some(decision.clone());
        }
        let (kind, kkt) = (entry.kind, entry.kkt.clone());
        let application_id = id.to_owned();
        let (decision, event) = match refusal {
            Some(codes) => {
                let event = OtherEvent::ApplicationRefused { application_id, codes: codes.clone() };
                (Decision::Refused { codes }, event)
            }
            None => {
                let rnm = self.accept(kind, kkt);
                let event = OtherEvent::ApplicationAccepted { application_id, rnm: rnm.clone() };
                (Decision::Accepted { rnm }, event)
            }
        };
        self.feed.push(now, Event::Other(Box::new(event)));
        if let (ApplicationKind::Deregistration, Decision::Accepted { rnm }) = (kind, &decision) {
            let rnm = rnm.clone();
            self.deregister(&rnm, None, now);
        }
        self.applications.get_mut(place)?.decision = Some(decision.clone());
        Some(decision)
    }

    /// Writes an accepted application into the registry; gives the РНМ.
    fn accept(&mut self, kind: ApplicationKind, mut kkt: Kkt) -> String {
        match kind {
            ApplicationKind::Registration => {
                kkt.rnm = self.issue_rnm(&kkt.user.inn, &kkt.device.serial);
                let rnm = kkt.rnm.clone();
                self.add_kkt(kkt);
                rnm
            }
            ApplicationKind::Reregistration => {
                let rnm = kkt.rnm.clone();
                let number = self.words.number(&rnm);
                if let Some(known) = self.registry.get_mut(number) {
                    known.device.model = kkt.device.model;
                    known.fn_model = kkt.fn_model;
                    known.tax_office = kkt.tax_office;
                }
                rnm
            }
            ApplicationKind::Deregistration => kkt.rnm,
        }
    }

    fn is_registered(&self, application: &Application) -> bool {
        let fn_number: Option<FnNumber> = application.fn_storage.serial.parse().ok();
        let is_busy = |kkt: &Kkt| {
            let same_device = kkt.device.serial == application.kkt.serial
                && [&kkt.device.model, &application.kkt.model].iter().any(|model| model.is_empty())
                || kkt.device == application.kkt;
            let same_storage = fn_number
                .is_some_and(|number| kkt.expected_fn == Some(number) || kkt.storage(&number).is_some());
            kkt.deregistered_at.is_none() && (same_device || same_storage)
        };
        self.registry.iter().any(|(_, kkt)| is_busy(kkt))
    }
}

const KIND_ERROR: (&str, &str) = ("kind", "is registration, reregistration or deregistration");

fn kind_of(application: &Application) -> Option<ApplicationKind> {
    match application.kind.as_str() {
        "registration" => Some(ApplicationKind::Registration),
        "reregistration" => Some(ApplicationKind::Reregistration),
        "deregistration" => Some(ApplicationKind::Deregistration),
        _ => None,
    }
}

fn errors_of(
    application: &Application,
    kind: Option<ApplicationKind>,
    world: &World,
) -> Vec<(&'static str, &'static str)> {
    let is_inn = |inn: &str| matches!(inn.len(), 10 | 12) && inn.bytes().all(|byte| byte.is_ascii_digit());
    let knd = if kind == Some(ApplicationKind::Deregistration) { "1110062" } else { "1110061" };
    let fn_number = &application.fn_storage.serial;
    let is_fn = fn_number.len() == 16 && fn_number.parse::<FnNumber>().is_ok();
    let known_rnm = application.rnm.as_deref().is_some_and(|rnm| world.kkt(rnm).is_some());
    let checks = [
        (application.knd == knd, ("knd", "is 1110061, for a deregistration 1110062")),
        (is_inn(&application.user.inn), ("user.inn", "has 10 or 12 digits")),
        (!application.user.name.trim().is_empty(), ("user.name", "is not empty")),
        (!application.kkt.model.trim().is_empty(), ("kkt.model", "is not empty")),
        (!application.kkt.serial.trim().is_empty(), ("kkt.serial", "is not empty")),
        (!application.fn_storage.model.trim().is_empty(), ("fn.model", "is not empty")),
        (is_fn, ("fn.serial", "has 16 digits")),
        (is_inn(&application.ofd.inn), ("ofd.inn", "has 10 or 12 digits")),
        (kind == Some(ApplicationKind::Registration) || known_rnm, ("rnm", "is a number that was given out")),
        (world.applications.len() < MAX_APPLICATIONS, ("kind", "cannot be taken: too many applications")),
    ];
    checks.into_iter().filter(|(fine, _)| !fine).map(|(_, error)| error).collect()
}

fn kkt_of(application: &Application) -> Kkt {
    Kkt {
        rnm: application.rnm.clone().unwrap_or_default(),
        user: application.user.clone(),
        device: application.kkt.clone(),
        fn_model: application.fn_storage.model.clone(),
        place: application.place.clone(),
        modes: application.modes.clone(),
        tax_office: application.tax_office.clone(),
        ofd_inn: application.ofd.inn.clone(),
        expected_fn: application.fn_storage.serial.parse().ok(),
        ..Kkt::default()
    }
}

fn place_of(id: &str) -> Option<usize> {
    let number: usize = id.strip_prefix("A-")?.parse().ok()?;
    number.checked_sub(1)
}
