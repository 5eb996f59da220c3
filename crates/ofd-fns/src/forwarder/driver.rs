//! The shell around the scheduler: gives it documents, moments and answers, and does what it says. Runs on the runtime of
//! the service's own thread; the store is behind another one.
//!
//! A session is one holder of leases. When the store fails, what is in memory may not be what is on disk: the session ends,
//! and the next one begins by taking over what this one left, as if another process had died.

mod holder;
mod round;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{Forwarding, HolderId, LeaseProof, StoreError, Unavailability};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::round::RoundReport;
use self::session::{Sent, Session};
use super::Moment;
use super::body::Envelope;
use crate::client::TaxService;
use crate::config::FnsConfig;
use crate::metrics::Metrics;
use crate::service::remarks::{Remark, Remarks};
use crate::service::store_thread::StoreThread;

/// How long requests under way may take after a stop; what is cut off is sent again under its key.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// First and longest pause after the store failed.
const STORE_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What the forwarder is made of.
pub(crate) struct Driver {
    pub(crate) config: FnsConfig,
    pub(crate) envelope: Envelope,
    /// Nothing: only leases are held, nothing is sent.
    pub(crate) tax: Option<Arc<dyn TaxService>>,
    pub(crate) store: StoreThread<Forwarding>,
    pub(crate) metrics: Arc<Metrics>,
    /// Who holds the registrar's lease: told to its workers.
    pub(crate) registrar: watch::Sender<Option<LeaseProof>>,
    /// Certificates were read anew.
    pub(crate) reloaded: Arc<Notify>,
    pub(crate) remarks: Arc<Remarks>,
}

impl Driver {
    /// Sends until `stop` is cancelled. True when everything under way was recorded and the leases were given back.
    pub(crate) async fn run(self, stop: CancellationToken) -> bool {
        let mut pause = STORE_PAUSE.0;
        let mut left_behind = None;
        loop {
            let began = Instant::now();
            let ended = Box::pin(self.session(&stop, &mut left_behind)).await;
            self.registrar.send_replace(None);
            let Err(why) = ended else {
                self.remarks.set(Remark::Store, None);
                return true;
            };
            if self.store.has_ended() {
                return false;
            }
            if matches!(why, StoreError::Unavailable { why: Unavailability::FileLost, .. }) {
                error!(error = %why, "the file of the store is not the one that was opened: forwarding ends until a restart");
                self.remarks.set(Remark::Store, Some(format!("the store is lost: {why}")));
                return false;
            }
            error!(error = %why, "forwarding cannot read or write the store; it tries again, reception is not touched by that");
            self.remarks.set(Remark::Store, Some(format!("the store fails: {why}")));
            if began.elapsed() > STORE_PAUSE.1 {
                pause = STORE_PAUSE.0;
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(STORE_PAUSE.1);
        }
    }

    /// One holder, from its first lease to its last. A holder's name never comes again. What the one before could not give
    /// back is given back first: nobody else uses it.
    async fn session(
        &self,
        stop: &CancellationToken,
        left_behind: &mut Option<HolderId>,
    ) -> Result<(), StoreError> {
        if let Some(old) = left_behind.clone() {
            self.store.call(move |store| store.leave(&old)).await?;
        }
        let holder = holder::new_name()?;
        *left_behind = Some(holder.clone());
        self.remarks.set(Remark::Link, None);
        let mut session = Session::new(self, holder.clone(), Instant::now());
        let ended = self.drive(&mut session, stop).await;
        // Whatever happened: nobody shall wait for leases that nobody uses. After a failure this may fail too.
        let left = self.store.call(move |store| store.leave(&holder)).await;
        if left.is_ok() {
            *left_behind = None;
        }
        self.metrics.slots_held.set(0.0);
        ended.and(left)
    }

    /// Not cancellation-safe: to be run to its end.
    async fn drive(&self, session: &mut Session<'_>, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut sends: JoinSet<Sent> = JoinSet::new();
        let mut visit: JoinSet<Result<RoundReport, StoreError>> = JoinSet::new();
        let mut deadline: Option<Moment> = None;
        loop {
            let now = session.now();
            if stop.is_cancelled() && deadline.is_none() {
                session.stop();
                deadline = Some(now.saturating_add(STOP_GRACE.min(self.config.timeout())));
            }
            if deadline.is_some_and(|deadline| deadline <= now) && !sends.is_empty() {
                warn!(
                    requests = sends.len(),
                    "requests under way are given up; they are sent again under their keys"
                );
                sends.abort_all();
            }
            for (worker, request) in session.begin_sends(now) {
                if let Some(tax) = self.tax.clone() {
                    sends.spawn(async move {
                        let began = Instant::now();
                        let answer = tax.send_batch(&request).await;
                        Sent { worker, answer, took: began.elapsed() }
                    });
                }
            }
            if visit.is_empty()
                && let Some(round) = session.next_round(now)
            {
                let store = self.store.clone();
                visit.spawn(async move { store.call(|store| round.run(store)).await });
            }
            if deadline.is_some() && visit.is_empty() && sends.is_empty() {
                return Ok(());
            }
            // Past it nothing but what is under way is waited for.
            let deadline_wake = deadline.filter(|deadline| *deadline > now && !sends.is_empty());
            let wake = session.next_wake(now, visit.is_empty()).into_iter().chain(deadline_wake).min();
            let pause = wake.map_or(Duration::from_secs(3_600), |wake| wake.saturating_sub(now));
            tokio::select! {
                Some(report) = visit.join_next() => {
                    let report = report.map_err(|error| lost(&error))??;
                    session.visited(report);
                    // Building takes the processor; answers and timers get their turn in between.
                    while session.build_one() {
                        tokio::task::yield_now().await;
                    }
                }
                Some(sent) = sends.join_next() => {
                    // Given up: the batch stays as it is in the store.
                    if let Ok(sent) = sent {
                        session.answered(sent);
                    }
                }
                () = self.reloaded.notified() => session.reloaded(),
                () = stop.cancelled(), if deadline.is_none() => info!("forwarding stops"),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

fn lost(error: &tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable { why: Unavailability::Closed, detail: error.to_string() }
}

/// So long after now by the wall clock, for what is stored.
pub(crate) fn wall_after(pause: Duration) -> Timestamp {
    Timestamp::now()
        .saturating_add(jiff::SignedDuration::try_from(pause).unwrap_or_default())
        .unwrap_or(Timestamp::MAX)
}

/// A number for a pause. Without one from the system the pause is the longest.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
