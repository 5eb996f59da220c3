//! Cards that are asked for by registration number (endpoint 8): of a register whose card is overdue, once before a person
//! is asked to complete the registration by hand; and of every register without its card after events were lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use ofd_store::{
    Commit, Kkt, KktFilter, LeaseProof, MAX_PAGE_ROWS, RegistrationState as State, Registry, RegistryChange,
    RegistryReader, StoreError,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{ASK_AT_ONCE, ROUND_PAUSE, Registrar, pause};
use crate::client::wire::{CardEvent, CardJson};
use crate::client::{CallError, TaxService};
use crate::registration::{feed, follower};

/// Moscow time, in which the tax service dates.
const MOSCOW: Offset = Offset::constant(3);

/// Why asking was broken off.
enum Trouble {
    Tax(CallError),
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Registrar {
    /// Asks until `stop` is cancelled.
    pub(super) async fn cards(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        let mut not_before = Instant::now();
        // Registers asked for whose timer runs out soon, and when it does.
        let mut asked: HashMap<i64, Option<Timestamp>> = HashMap::new();
        let mut more = false;
        while pause(if more { ROUND_PAUSE } else { self.periods.tick() }, &stop).await {
            more = false;
            let Some(lease) = self.lease() else { continue };
            if Instant::now() < not_before {
                // Nobody can say whether there is a card: a person shall not wait for that.
                self.shared.cards_were_asked(self.horizon());
                continue;
            }
            let round = async {
                self.overdue(&*tax, &lease, &mut asked).await?;
                self.recalled(&*tax, &lease).await
            };
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = round => done,
            };
            match done {
                Ok(again) => more = again,
                Err(Trouble::Tax(error)) => {
                    warn!(%error, "cards cannot be asked for; it is tried again");
                    let wanted = error.retry_after().unwrap_or_default();
                    not_before = Instant::now() + wanted.max(self.config.status_retry());
                }
                Err(Trouble::Store(why)) => {
                    warn!(error = %why, "cards cannot be stored; they are asked for again");
                }
            }
        }
    }

    /// Timers that run out until then are looked at before they do.
    fn horizon(&self) -> Timestamp {
        let ahead = SignedDuration::try_from(self.periods.tick() * 2).unwrap_or_default();
        Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
    }

    /// Registers whose card is overdue, or soon will be: each once.
    async fn overdue(
        &self,
        tax: &dyn TaxService,
        lease: &LeaseProof,
        asked: &mut HashMap<i64, Option<Timestamp>>,
    ) -> Result<(), Trouble> {
        let horizon = self.horizon();
        let due = self.registry.call(move |registry| registry.due(horizon, MAX_PAGE_ROWS)).await?;
        asked.retain(|id, at| due.iter().any(|kkt| kkt.id == *id && kkt.due_at == *at));
        let wanted = |kkt: &&Kkt| {
            matches!(kkt.state, State::ReportForwarded | State::ReregForwarded)
                && !asked.contains_key(&kkt.id)
        };
        let wanted: Vec<Kkt> = due.iter().filter(wanted).cloned().collect();
        let rest = wanted.get(ASK_AT_ONCE).and_then(|kkt| kkt.due_at);
        for kkt in wanted.into_iter().take(ASK_AT_ONCE) {
            let (id, at) = (kkt.id, kkt.due_at);
            self.ask_card(tax, lease, kkt).await?;
            asked.insert(id, at);
        }
        let before = |at: Timestamp| at.saturating_sub(SignedDuration::from_micros(1)).unwrap_or(at);
        self.shared.cards_were_asked(rest.map_or(horizon, before));
        Ok(())
    }

    /// After events were lost: the next registers without their card. True if there are more.
    async fn recalled(&self, tax: &dyn TaxService, lease: &LeaseProof) -> Result<bool, Trouble> {
        let Some(from) = self.registry.call(|registry| registry.recalled_cards()).await? else {
            return Ok(false);
        };
        let (proof, periods) = (lease.clone(), Arc::clone(&self.periods));
        let page = move |registry: &mut Registry| {
            // What the journal says about them first.
            if !follower::catch_up(registry, Some(&proof), &periods, Timestamp::now())? {
                return Ok(None);
            }
            let filter = KktFilter { after_id: from, ..KktFilter::default() };
            registry.kkts(&filter, MAX_PAGE_ROWS).map(Some)
        };
        let Some(page) = self.registry.call(page).await? else { return Ok(false) };
        let last = page.len() < MAX_PAGE_ROWS;
        let (mut to, mut calls, mut whole) = (from, 0, true);
        let mut failed = None;
        for kkt in page {
            let id = kkt.id;
            if waits_for_card(&kkt) {
                if calls == ASK_AT_ONCE {
                    whole = false;
                    break;
                }
                calls += 1;
                if let Err(trouble) = self.ask_card(tax, lease, kkt).await {
                    (failed, whole) = (Some(trouble), false);
                    break;
                }
            }
            to = id;
        }
        let to = if last && whole { None } else { Some(to) };
        if to != Some(from) {
            let change = RegistryChange {
                lease: Some(lease.clone()),
                recalled_cards: Some((from, to)),
                ..RegistryChange::default()
            };
            let done = self.registry.call(move |registry| registry.commit(&change)).await?;
            if to.is_none() && matches!(done, Commit::Done(_)) {
                info!("after the loss of events every register without its card was asked for");
            }
        }
        match failed {
            Some(trouble) => Err(trouble),
            None => Ok(to.is_some()),
        }
    }

    async fn ask_card(&self, tax: &dyn TaxService, lease: &LeaseProof, kkt: Kkt) -> Result<(), Trouble> {
        let Some(rnm) = kkt.rnm.clone() else { return Ok(()) };
        let Some(card) = tax.card(&rnm).await.map_err(Trouble::Tax)? else {
            debug!(rnm, "the tax service has no card of a register");
            return Ok(());
        };
        let (lease, periods) = (lease.clone(), Arc::clone(&self.periods));
        let work = move |registry: &mut Registry| {
            if !is_for_report(registry, &kkt, &card)? {
                return Ok(None);
            }
            let event =
                CardEvent { rnm, basis: None, card: Some(card), xml_base64: None, signature_base64: None };
            feed::apply_card(registry, Some(&lease), &periods, &event, Timestamp::now()).map(Some)
        };
        if let Some(applied) = self.registry.call(work).await? {
            self.count(&applied);
        }
        Ok(())
    }
}

/// A register with a report and without the card for it.
fn waits_for_card(kkt: &Kkt) -> bool {
    matches!(
        kkt.state,
        State::ReportReceived
            | State::ReportForwarded
            | State::AwaitingManualCompletion
            | State::ReportRefused
            | State::ReregReportReceived
            | State::ReregForwarded
    )
}

/// A register that was registered before has an older card until it gets the one for its newest report. That is told by its
/// day; and without a number it could not be told from the old one that came another way.
fn is_for_report(registry: &RegistryReader, kkt: &Kkt, card: &CardJson) -> Result<bool, StoreError> {
    let was_registered =
        kkt.card_id.is_some() || matches!(kkt.state, State::ReregReportReceived | State::ReregForwarded);
    if !was_registered {
        return Ok(true);
    }
    let Some(report) = kkt.report_seq.map(|seq| registry.report(seq)).transpose()?.flatten() else {
        return Ok(true);
    };
    let day = |day: &Option<String>| day.as_deref().and_then(|day| day.parse::<jiff::civil::Date>().ok());
    let Some(of_card) = day(&card.valid_from).max(day(&card.registered_at)) else { return Ok(false) };
    let received = TimeZone::fixed(MOSCOW).to_datetime(report.received_at).date();
    let told = report.derived.local_time.and_then(|at| Timestamp::from_second(at.into()).ok());
    let of_report = told.map_or(received, |at| TimeZone::UTC.to_datetime(at).date()).min(received);
    Ok(card.card_number.is_some() && of_card >= of_report)
}
