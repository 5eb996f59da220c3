//! The registrar's work: follows the journal, reads the feed of events, fires timers, hands in applications, asks for the
//! status of documents and for cards. Done by the one process that has the registrar's lease; every change shows it.
//!
//! Each worker is a loop of its own, so that one that waits for the tax service holds up no other.

mod cards;
mod statuses;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{Commit, Forwarding, LeaseProof, NewTask, Registry, RegistryChange, StoreError, TaskKind};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::remarks::{Remark, Remarks};
use super::store_thread::StoreThread;
use crate::client::wire::EventsPage;
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
/// Applications, statuses and cards asked for at a time.
const ASK_AT_ONCE: usize = 50;
/// Between two counts of registers and tasks.
const COUNT_PAUSE: Duration = Duration::from_secs(5);
/// Between two rounds of questions when there are more at once: the journal's writer has the store in between.
const ROUND_PAUSE: Duration = Duration::from_millis(20);
/// Longest rest after a page of events that was the last one for now: further ones are written together.
const AFTER_NEWS: Duration = Duration::from_millis(500);
/// Between two settings of the age of the feed.
const AGE_PAUSE: Duration = Duration::from_secs(1);

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
    /// Certificates were read anew: worth asking for events at once.
    pub(crate) reloaded: Arc<Notify>,
    pub(crate) shared: Arc<Shared>,
}

/// What one worker tells another.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// When the feed was last read to its end, or its reading began; none while another process reads it.
    read_to_end: Mutex<Option<Instant>>,
    /// Timers of cards may fire that run out until then: the tax service was asked, or does not answer.
    cards_asked: Mutex<Option<Timestamp>>,
}

impl Shared {
    fn feed_is_read(&self, at: Option<Instant>) {
        *self.read_to_end.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Age of the feed; nothing when it is not ours to read.
    fn feed_age(&self) -> Duration {
        let at = *self.read_to_end.lock().unwrap_or_else(PoisonError::into_inner);
        at.map_or(Duration::ZERO, |at| at.elapsed())
    }

    fn cards_were_asked(&self, until: Timestamp) {
        *self.cards_asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn timers_may_fire(&self, now: Timestamp) -> bool {
        self.cards_asked.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now <= until)
    }
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
                let statuses = self.clone().statuses(tax.clone(), stop.clone());
                let cards = self.clone().cards(tax, stop.clone());
                let age = self.age(stop);
                tokio::select! {
                    () = Box::pin(follow) => {}
                    () = Box::pin(events) => {}
                    () = Box::pin(applications) => {}
                    () = Box::pin(statuses) => {}
                    () = Box::pin(cards) => {}
                    () = Box::pin(age) => {}
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
        let (has_tax, shared) = (self.tax.is_some(), Arc::clone(&self.shared));
        let work = move |registry: &mut Registry| {
            let now = Timestamp::now();
            let followed = follower::follow(registry, Some(&lease), &periods, now)?;
            // Nobody is asked to complete by hand what the tax service has completed.
            let fired = match !has_tax || shared.timers_may_fire(now) {
                true => timers::fire(registry, Some(&lease), &periods, now)?,
                false => timers::Fired::default(),
            };
            Ok((followed, fired))
        };
        let (followed, fired) = self.registry.call(work).await?;
        if followed.reports > 0 || fired.moved > 0 {
            let moved = followed.moved.saturating_add(fired.moved);
            debug!(reports = followed.reports, moved, "registers were followed");
        }
        Ok((followed.more && !followed.stale) || (fired.more && !fired.stale))
    }

    /// The age of the feed grows whatever its reader waits for.
    async fn age(self, stop: CancellationToken) {
        while pause(AGE_PAUSE, &stop).await {
            self.metrics.events_cursor_age.set(self.shared.feed_age().as_secs_f64());
        }
    }

    /// The feed of events.
    async fn events(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        let mut failures = 0_u32;
        let mut is_ours = false;
        loop {
            let lease = self.lease();
            if lease.is_some() != is_ours {
                is_ours = lease.is_some();
                // Until it was read to its end for the first time, it counts from the start.
                self.shared.feed_is_read(is_ours.then(Instant::now));
            }
            let mut failed = false;
            let began = Instant::now();
            let wait = match lease {
                None => self.periods.tick(),
                Some(lease) => match self.events_once(&*tax, lease, &stop).await {
                    Poll::Page { more, news } => {
                        if failures > 0 {
                            info!("events of the tax service come again");
                        }
                        failures = 0;
                        if !more {
                            self.shared.feed_is_read(Some(Instant::now()));
                        }
                        let asked = Duration::from_secs(self.config.events_wait_s);
                        match asked.is_zero() {
                            true if more => Duration::ZERO,
                            true => self.periods.tick(),
                            false if more => Duration::ZERO,
                            // A durable write for every handful of verdicts would take the disk from the registers.
                            false if news => self.periods.tick().min(AFTER_NEWS),
                            false => rest_after(asked, began.elapsed()),
                        }
                    }
                    Poll::Again => self.periods.tick(),
                    Poll::Stopped => return,
                    Poll::Failed { barred, retry_after } => {
                        failures = failures.saturating_add(1);
                        failed = true;
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
            let goes_on = tokio::select! {
                goes_on = pause(wait, &stop) => goes_on,
                () = self.reloaded.notified(), if failed => true,
            };
            if !goes_on {
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
            return Poll::Page { more: false, news: false };
        }
        let periods = Arc::clone(&self.periods);
        let (more, moved_on) = (page.more, after.as_deref() != Some(page.cursor.as_str()));
        let news = moved_on && !page.events.is_empty();
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
                Poll::Page { more: more && moved_on, news }
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
        error!(%error, "our place in the feed of events has expired: EVENTS MAY BE LOST; reading begins anew at the oldest one; every document without a final verdict and every register without its card are asked for one by one");
        // A feed without a beginning: nothing to be forgotten, nothing to be asked for.
        let Some(after) = after else { return Poll::Failed { barred: false, retry_after: None } };
        let task = NewTask {
            kind: TaskKind::EventsLost,
            seq: None,
            kkt_id: None,
            text: "Лента событий ФНС устарела: часть событий могла потеряться. Чтение начато заново с самого старого \
                   события, статусы документов и карточки запрашиваются по одному. Снятие с учёта и отказы в \
                   регистрации так не узнать: сверьте их в кабинете ФНС"
                .to_owned(),
            at: Timestamp::now(),
        };
        let change = RegistryChange {
            lease: Some(lease),
            events_cursor: Some((Some(after), None)),
            recall: Some(task.at),
            tasks: vec![task],
            ..RegistryChange::default()
        };
        match self.registry.call(move |registry| registry.commit(&change)).await {
            Ok(Commit::Done(_) | Commit::Stale) => Poll::Again,
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
                let longest = Duration::from_secs(self.config.application_poll_s);
                let work = move |registry: &mut Registry| {
                    let now = Timestamp::now();
                    application::answered(registry, Some(&lease), &periods, id, &answer, longest, now)
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
}

/// What came of asking for events.
enum Poll {
    /// A page was applied.
    Page {
        more: bool,
        news: bool,
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

/// A service that was asked to wait for news and did not shall not be asked without pause: how long to rest after a page
/// without news that came so fast.
fn rest_after(asked: Duration, took: Duration) -> Duration {
    (asked / 2).min(Duration::from_secs(1)).saturating_sub(took)
}

/// False when it is time to stop.
async fn pause(period: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(period) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_does_not_wait_is_given_rest() {
        let check = |asked_ms: u64, took_ms: u64, expected_ms: u64| {
            let rest = rest_after(Duration::from_millis(asked_ms), Duration::from_millis(took_ms));
            assert_eq!(rest, Duration::from_millis(expected_ms), "{asked_ms} {took_ms}");
        };
        check(20_000, 0, 1_000);
        check(20_000, 45, 955);
        check(20_000, 1_000, 0);
        check(20_000, 20_000, 0);
        check(2_000, 0, 1_000);
        check(1_000, 0, 500);
        check(1_000, 600, 0);
    }
}
