//! The registrar's work: follows the journal, reads the feed of events, fires timers, hands in applications, asks for the
//! status of documents without a verdict. Done by the one process that has the registrar's lease; every change shows it.
//!
//! Each worker is a loop of its own, so that one that waits for the tax service holds up no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{
    DocumentVerdict, FnsCode, Forwarding, HolderId, LeaseProof, NewTask, OutboxChange, RefreshRow, Registry,
    RegistryChange, StoreError, TaskKind, Verdict,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::remarks::{Remark, Remarks};
use super::store_thread::StoreThread;
use crate::client::wire::{self, CodeJson, DocumentStatus, EventsPage};
use crate::client::{CallError, ErrorClass, TaxService};
use crate::config::FnsConfig;
use crate::forwarder::backoff::Backoff;
use crate::forwarder::driver::{random, wall_after};
use crate::metrics::{Metrics, number};
use crate::registration::application::{self, Answer, Due};
use crate::registration::feed::{self, Applied};
use crate::registration::{RegistrationConfig, follower, timers};

/// Events asked for at a time.
const EVENTS_PAGE: u16 = 500;
/// Applications and statuses asked for at a time.
const ASK_AT_ONCE: usize = 50;
/// A document whose status brought nothing new is asked for again after so long.
const STATUS_AGAIN: Duration = Duration::from_secs(3_600);
/// Statuses are asked for again so long after the service failed.
const STATUS_FAILED: Duration = Duration::from_secs(60);
/// Between two counts of registers and tasks.
const COUNT_PAUSE: Duration = Duration::from_secs(5);

/// What the workers share.
#[derive(Clone)]
pub(crate) struct Registrar {
    pub(crate) config: Arc<FnsConfig>,
    pub(crate) periods: Arc<RegistrationConfig>,
    pub(crate) registry: StoreThread<Registry>,
    pub(crate) forwarding: StoreThread<Forwarding>,
    pub(crate) tax: Option<Arc<dyn TaxService>>,
    pub(crate) lease: watch::Receiver<Option<LeaseProof>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) remarks: Arc<Remarks>,
}

impl Registrar {
    /// Works until `stop` is cancelled, or until a worker cannot go on. Changes under way are made to their end by the
    /// store's thread; answers not recorded yet are asked for again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let follow = self.clone().follow(stop.clone());
        match self.tax.clone() {
            None => Box::pin(follow).await,
            Some(tax) => {
                let events = self.clone().events(tax.clone(), stop.clone());
                let applications = self.clone().applications(tax.clone(), stop.clone());
                let statuses = self.statuses(tax, stop);
                tokio::select! {
                    () = Box::pin(follow) => {}
                    () = Box::pin(events) => {}
                    () = Box::pin(applications) => {}
                    () = Box::pin(statuses) => {}
                }
            }
        }
    }

    fn lease(&self) -> Option<LeaseProof> {
        self.lease.borrow().clone()
    }

    fn backoff(&self) -> Backoff {
        Backoff {
            base: Duration::from_millis(self.config.retry_base_ms),
            cap: Duration::from_secs(self.config.retry_cap_s),
        }
    }

    /// Reports of the journal and timers.
    async fn follow(self, stop: CancellationToken) {
        let mut counted: Option<Instant> = None;
        let mut failing = false;
        loop {
            let mut more = false;
            if let Some(lease) = self.lease() {
                match self.follow_once(lease).await {
                    Ok(again) => more = again,
                    Err(why) if !failing => {
                        error!(error = %why, "registers cannot be followed; it is tried again")
                    }
                    Err(_) => {}
                }
            }
            if counted.is_none_or(|at| at.elapsed() >= COUNT_PAUSE) {
                let counts = self
                    .registry
                    .call(|registry| Ok((registry.state_counts()?, registry.open_tasks()?)))
                    .await;
                failing = counts.is_err();
                let words = counts.as_ref().err().map(|why| format!("registers cannot be read: {why}"));
                self.remarks.set(Remark::Registration, words);
                if let Ok((registers, tasks)) = counts {
                    self.metrics.registers(&registers);
                    self.metrics.tasks_open.set(number(tasks));
                }
                counted = Some(Instant::now());
            }
            if self.registry.has_ended() {
                return;
            }
            if !pause(if more { Duration::ZERO } else { self.periods.tick() }, &stop).await {
                return;
            }
        }
    }

    /// One step of the follower and of the timers. True if there is more to do at once.
    async fn follow_once(&self, lease: LeaseProof) -> Result<bool, StoreError> {
        let periods = Arc::clone(&self.periods);
        let work = move |registry: &mut Registry| {
            let now = Timestamp::now();
            let followed = follower::follow(registry, Some(&lease), &periods, now)?;
            let fired = timers::fire(registry, Some(&lease), &periods, now)?;
            Ok((followed, fired))
        };
        let (followed, fired) = self.registry.call(work).await?;
        if followed.reports > 0 || fired.moved > 0 {
            let moved = followed.moved.saturating_add(fired.moved);
            debug!(reports = followed.reports, moved, "registers were followed");
        }
        Ok((followed.more && !followed.stale) || (fired.more && !fired.stale))
    }

    /// The feed of events.
    async fn events(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        let mut failures = 0_u32;
        // Until the feed was read to its end for the first time, it counts from the start.
        let mut at_end = Instant::now();
        loop {
            self.metrics.events_cursor_age.set(at_end.elapsed().as_secs_f64());
            let wait = match self.lease() {
                None => {
                    at_end = Instant::now();
                    self.periods.tick()
                }
                Some(lease) => match self.events_once(&*tax, lease, &stop).await {
                    Poll::Page { more } => {
                        if failures > 0 {
                            info!("events of the tax service come again");
                        }
                        failures = 0;
                        if !more {
                            at_end = Instant::now();
                        }
                        // A service that does not wait shall not be asked without pause.
                        if more || self.config.events_wait_s > 0 {
                            Duration::ZERO
                        } else {
                            self.periods.tick()
                        }
                    }
                    Poll::Again => self.periods.tick(),
                    Poll::Stopped => return,
                    Poll::Failed { barred, retry_after } => {
                        failures = failures.saturating_add(1);
                        match barred {
                            true => self.config.probe(),
                            false => self
                                .backoff()
                                .pause(failures, random(), retry_after)
                                .max(Duration::from_millis(50)),
                        }
                    }
                },
            };
            if !pause(wait, &stop).await {
                return;
            }
        }
    }

    async fn events_once(&self, tax: &dyn TaxService, lease: LeaseProof, stop: &CancellationToken) -> Poll {
        let after = match self.registry.call(|registry| registry.cursors()).await {
            Ok(cursors) => cursors.events,
            Err(why) => return self.store_failed(&why),
        };
        let wait_s = u16::try_from(self.config.events_wait_s).unwrap_or(u16::MAX);
        let page = tokio::select! {
            // A page that nobody applied comes again.
            () = stop.cancelled() => return Poll::Stopped,
            page = tax.events(after.as_deref(), EVENTS_PAGE, wait_s) => page,
        };
        match page {
            Ok(page) => self.apply(lease, after, page).await,
            Err(error) if error.class() == ErrorClass::Gone => self.expired(lease, after, &error).await,
            Err(error) => {
                let barred = matches!(error.class(), ErrorClass::Unauthorised | ErrorClass::Foreign);
                match barred {
                    true => {
                        error!(%error, "the tax service does not give us its events; verdicts and cards do not come")
                    }
                    false => warn!(%error, "events of the tax service do not come; it is tried again"),
                }
                Poll::Failed { barred, retry_after: error.retry_after() }
            }
        }
    }

    async fn apply(&self, lease: LeaseProof, after: Option<String>, page: EventsPage) -> Poll {
        if page.events.is_empty() && after.as_deref() == Some(page.cursor.as_str()) {
            return Poll::Page { more: false };
        }
        let periods = Arc::clone(&self.periods);
        let (more, moved_on) = (page.more, after.as_deref() != Some(page.cursor.as_str()));
        let work = move |registry: &mut Registry| {
            feed::apply_page(registry, Some(&lease), &periods, after.as_deref(), &page, Timestamp::now())
        };
        match self.registry.call(work).await {
            Ok(Applied { stale: true, .. }) => Poll::Again,
            Ok(applied) => {
                self.count(&applied);
                debug!(events = applied.events, moved = applied.moved, "events were applied");
                if applied.unknown > 0 || applied.skipped > 0 {
                    warn!(
                        unknown = applied.unknown,
                        skipped = applied.skipped,
                        "events of the tax service that we cannot use"
                    );
                }
                // A feed that says "more" without moving on would be asked for ever.
                Poll::Page { more: more && moved_on }
            }
            Err(why) => self.store_failed(&why),
        }
    }

    fn count(&self, applied: &Applied) {
        for document in &applied.verdicts.applied {
            self.metrics.verdict(document.to);
        }
    }

    async fn expired(&self, lease: LeaseProof, after: Option<String>, error: &CallError) -> Poll {
        error!(%error, "our place in the feed of events has expired: EVENTS MAY BE LOST; reading begins anew at the oldest one, statuses of documents are asked for one by one");
        // A feed without a beginning: nothing to be forgotten, nothing to be asked for.
        let Some(after) = after else { return Poll::Failed { barred: false, retry_after: None } };
        let task = NewTask {
            kind: TaskKind::EventsLost,
            seq: None,
            kkt_id: None,
            text: "Лента событий ФНС устарела: часть квитанций и карточек могла потеряться. Чтение начато заново с самого \
                   старого события; сверьте регистрации в кабинете ФНС"
                .to_owned(),
            at: Timestamp::now(),
        };
        let work = move |registry: &mut Registry| {
            let change =
                RegistryChange { lease: Some(lease.clone()), tasks: vec![task], ..RegistryChange::default() };
            registry.commit(&change)?;
            feed::begin_anew(registry, Some(&lease), &after)
        };
        match self.registry.call(work).await {
            Ok(_) => Poll::Again,
            Err(why) => self.store_failed(&why),
        }
    }

    fn store_failed(&self, why: &StoreError) -> Poll {
        warn!(error = %why, "events cannot be stored; they are asked for again");
        Poll::Failed { barred: false, retry_after: None }
    }

    /// Applications: handed in and asked about.
    async fn applications(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        while pause(self.periods.tick(), &stop).await {
            let Some(lease) = self.lease() else { continue };
            let due = self
                .registry
                .call(|registry| application::due(registry, Timestamp::now(), ASK_AT_ONCE))
                .await;
            let due = match due {
                Ok(due) => due,
                Err(why) => {
                    debug!(error = %why, "applications cannot be read");
                    continue;
                }
            };
            for due in due {
                let (id, answer) = tokio::select! {
                    // Handed in again under the same number after the start.
                    () = stop.cancelled() => return,
                    answer = self.ask(&*tax, &due) => answer,
                };
                let (lease, periods) = (lease.clone(), Arc::clone(&self.periods));
                let work = move |registry: &mut Registry| {
                    application::answered(registry, Some(&lease), &periods, id, &answer, Timestamp::now())
                };
                if let Err(why) = self.registry.call(work).await {
                    warn!(error = %why, "the answer to an application cannot be stored; it is asked for again");
                }
            }
        }
    }

    async fn ask(&self, tax: &dyn TaxService, due: &Due) -> (i64, Answer) {
        match due {
            Due::Submit { row, application } => {
                let answer = match tax.submit_application(&row.case_id, application).await {
                    Ok(accepted) => Answer::Received { application_id: accepted.application_id },
                    Err(error) => match error.class() {
                        ErrorClass::Invalid | ErrorClass::KeyReused => {
                            warn!(case_id = row.case_id, %error, "the tax service refuses an application");
                            Answer::RefusedAtDoor { reason: error.to_string() }
                        }
                        _ => self.try_again(&error, row.attempts),
                    },
                };
                (row.id, answer)
            }
            Due::Poll { row, application_id } => {
                let answer = match tax.application(application_id).await {
                    Ok(Some(state)) => Answer::Stage(state.stage()),
                    Ok(None) => Answer::Unknown,
                    Err(error) => self.try_again(&error, row.attempts),
                };
                (row.id, answer)
            }
        }
    }

    fn try_again(&self, error: &CallError, attempts: u32) -> Answer {
        let wait = self.backoff().pause(attempts.saturating_add(1), random(), error.retry_after());
        warn!(%error, attempts, "an application was not answered; it is tried again");
        Answer::Failed { error: error.to_string(), next_at: wall_after(wait) }
    }

    /// Statuses of documents that wait for a verdict for too long, or whose register got its card.
    async fn statuses(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        let mut not_before = Instant::now();
        while pause(self.periods.tick(), &stop).await {
            let Some(lease) = self.lease().filter(|_| not_before <= Instant::now()) else { continue };
            let due = self.forwarding.call(|store| store.refresh_due(Timestamp::now(), ASK_AT_ONCE)).await;
            let Ok(due) = due else { continue };
            if due.is_empty() {
                continue;
            }
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                asked = ask_statuses(&*tax, due) => asked,
            };
            if let Some(error) = &asked.failed {
                warn!(%error, "statuses of documents cannot be asked for; it is tried again");
                not_before = Instant::now() + error.retry_after().unwrap_or_default().max(STATUS_FAILED);
            }
            if let Err(why) = self.store_statuses(lease, asked).await {
                warn!(error = %why, "statuses of documents cannot be stored; they are asked for again");
            }
        }
    }

    async fn store_statuses(&self, lease: LeaseProof, asked: Asked) -> Result<(), StoreError> {
        let Asked { verdicts, seqs, .. } = asked;
        if !verdicts.is_empty() {
            let periods = Arc::clone(&self.periods);
            let work = move |registry: &mut Registry| {
                feed::apply_verdicts(registry, Some(&lease), &periods, &verdicts, Timestamp::now())
            };
            self.count(&self.registry.call(work).await?);
        }
        if seqs.is_empty() {
            return Ok(());
        }
        let again = Some(wall_after(STATUS_AGAIN));
        let holder = HolderId::new("status")?;
        let mut change = OutboxChange::new(holder, Timestamp::now());
        change.refresh_later = seqs.into_iter().map(|seq| (seq, again)).collect();
        self.forwarding.call(move |store| store.commit(&change)).await.map(|_| ())
    }
}

/// What came of asking for events.
enum Poll {
    /// A page was applied.
    Page {
        more: bool,
    },
    /// Ask again.
    Again,
    /// The service is ending.
    Stopped,
    Failed {
        barred: bool,
        retry_after: Option<Duration>,
    },
}

/// What came of asking for statuses.
#[derive(Default)]
struct Asked {
    verdicts: Vec<DocumentVerdict>,
    /// Documents that were asked for, whatever came of it.
    seqs: Vec<i64>,
    /// Why asking was broken off.
    failed: Option<CallError>,
}

async fn ask_statuses(tax: &dyn TaxService, due: Vec<RefreshRow>) -> Asked {
    let mut asked = Asked::default();
    for row in due {
        match tax.document_status(row.fn_number, row.fd_number).await {
            Ok(Some(status)) => asked.verdicts.extend(verdict(&row, status)),
            Ok(None) => {
                let (fn_number, fd_number) = (row.fn_number.as_str(), row.fd_number.get());
                error!(
                    fn_number,
                    fd_number,
                    ticket = row.ticket_id,
                    "the tax service does not know a document that it took; `fiscald outbox requeue` sends it again"
                );
            }
            Err(error) => {
                asked.failed = Some(error);
                return asked;
            }
        }
        asked.seqs.push(row.seq);
    }
    asked
}

fn verdict(row: &RefreshRow, status: DocumentStatus) -> Option<DocumentVerdict> {
    Some(DocumentVerdict {
        fn_number: row.fn_number,
        fd_number: row.fd_number,
        ticket_id: status.ticket_id.or_else(|| row.ticket_id.clone()),
        verdict: verdict_of(status.verdict?),
        codes: status.codes.into_iter().map(code).collect(),
        at: status.at.unwrap_or_else(Timestamp::now),
    })
}

fn verdict_of(verdict: wire::Verdict) -> Verdict {
    match verdict {
        wire::Verdict::Accepted => Verdict::Accepted,
        wire::Verdict::Soft => Verdict::Soft,
        wire::Verdict::Hard => Verdict::Hard,
    }
}

fn code(code: CodeJson) -> FnsCode {
    FnsCode { code: code.code.into(), text: code.text, path: code.path }
}

/// False when it is time to stop.
async fn pause(period: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(period) => true,
    }
}
