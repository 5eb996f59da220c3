//! The state of the journal, shared between its thread, the watcher and all handles.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{StoreError, Unavailability};

/// How many times the age of a stalled batch makes a hung one. A stall colours the readiness; a hang ends the process,
/// which must not happen to a disk that recovers by itself, nor to a batch that waits for a lock until it is refused.
const HUNG_FACTOR: u32 = 4;

/// State of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreState {
    /// Documents are taken.
    Serving,
    /// Documents are still queued, but nothing gets written: the batch in hand hangs, or another process holds
    /// the database and the last batch was refused.
    Stalled,
    /// Too little space is free on the disk; new work is refused until there is more.
    DiskLow,
    /// A write failed or the file was lost; work is refused until the engine was opened anew.
    Failed,
    /// Closing or closed.
    Closed,
}

/// State of the store and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// The state.
    pub state: StoreState,
    /// What is wrong, in every state but [`StoreState::Serving`] (and after a regular close).
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// A batch older than this hangs.
    stalled_after: Duration,
    /// Set once by the closing side; the writer acts on it between batches.
    closing: AtomicBool,
    /// Set by the writer when it ended without having written all it was given.
    ended_failed: AtomicBool,
    /// The hot path looks here first, without the lock: true while [`Current::refusal`] has nothing to say.
    taking: AtomicBool,
    current: Mutex<Current>,
}

/// What is known about the store; the public state is made of it.
#[derive(Debug, Default)]
struct Current {
    closed: bool,
    /// Why the last write or attempt to open failed.
    failure: Option<String>,
    /// What became of the file; final.
    lost: Option<String>,
    disk_low: Option<String>,
    /// Since when the batch in hand is being written.
    batch_since: Option<Instant>,
    /// What the engine said when the last batch was refused as busy.
    held: Option<String>,
}

impl StoreState {
    /// Name for health answers: `serving`, `stalled`, `disk_low`, `failed`, `closed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Stalled => "stalled",
            Self::DiskLow => "disk_low",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl StoreStatus {
    /// Whether documents are taken and written.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state == StoreState::Serving
    }
}

impl Current {
    fn status(&self, stalled_after: Duration) -> StoreStatus {
        let (state, reason) = if self.closed {
            (StoreState::Closed, self.lost.clone().or_else(|| self.failure.clone()))
        } else if let Some(reason) = self.lost.as_ref().or(self.failure.as_ref()) {
            (StoreState::Failed, Some(reason.clone()))
        } else if let Some(reason) = &self.disk_low {
            (StoreState::DiskLow, Some(reason.clone()))
        } else if let Some(reason) = self.stall(stalled_after) {
            (StoreState::Stalled, Some(reason))
        } else {
            (StoreState::Serving, None)
        };
        StoreStatus { state, reason }
    }

    fn stall(&self, stalled_after: Duration) -> Option<String> {
        if let Some(seconds) = self.hangs(stalled_after) {
            return Some(format!("the batch in hand has not been written for {seconds} s"));
        }
        self.held.as_ref().map(|detail| format!("another process holds the database ({detail})"))
    }

    /// How old the batch in hand is, when it is too old.
    fn hangs(&self, stalled_after: Duration) -> Option<u64> {
        let age = self.batch_since?.elapsed();
        (age >= stalled_after).then_some(age.as_secs())
    }

    /// The error for new work, unless it is taken.
    fn refusal(&self) -> Option<StoreError> {
        if self.closed {
            return Some(StoreError::closed());
        }
        let refusals = [
            (Unavailability::FileLost, &self.lost),
            (Unavailability::WriteFailed, &self.failure),
            (Unavailability::DiskLow, &self.disk_low),
        ];
        let (why, detail) = refusals.into_iter().find_map(|(why, detail)| Some((why, detail.as_ref()?)))?;
        Some(StoreError::unavailable(why, detail.clone()))
    }
}

impl Shared {
    /// The state of a journal that starts with an open engine.
    pub(crate) fn serving(stalled_after: Duration) -> Self {
        Self {
            stalled_after,
            closing: AtomicBool::new(false),
            ended_failed: AtomicBool::new(false),
            taking: AtomicBool::new(true),
            current: Mutex::default(),
        }
    }

    pub(crate) fn status(&self) -> StoreStatus {
        self.lock().status(self.stalled_after)
    }

    /// Whether the batch in hand, if there is one, is younger than the limit.
    pub(super) fn is_progressing(&self) -> bool {
        self.lock().hangs(self.stalled_after * HUNG_FACTOR).is_none()
    }

    pub(super) fn refuse_unless_taking(&self) -> Result<(), StoreError> {
        if self.taking.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// The error for work that is not taken.
    pub(super) fn refusal(&self) -> StoreError {
        self.lock().refusal().unwrap_or_else(StoreError::closed)
    }

    pub(super) fn fail(&self, reason: String) {
        self.change(|current| current.failure = Some(reason));
    }

    /// Back to service, unless the file is lost or the journal is closing.
    pub(super) fn recover(&self) {
        self.change(|current| {
            current.failure = None;
            current.held = None;
        });
    }

    /// The file is not ours any more: no work from now on, whatever is opened anew. True for the first to say so.
    pub(crate) fn lose(&self, reason: &str) -> bool {
        let mut first = false;
        self.change(|current| {
            first = current.lost.is_none();
            current.lost.get_or_insert_with(|| reason.to_owned());
        });
        first
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lock().lost.is_some()
    }

    /// Too little free space, with the words for people; `None` when there is enough.
    pub(crate) fn set_disk_low(&self, reason: Option<String>) {
        self.change(|current| current.disk_low = reason);
    }

    /// The writer took a batch in hand.
    pub(super) fn begin_batch(&self) {
        self.lock().batch_since = Some(Instant::now());
    }

    /// The batch in hand came to an end, good or bad.
    pub(super) fn end_batch(&self) {
        self.lock().batch_since = None;
    }

    /// Whether the last batch was refused because another process holds the database, with what the engine said.
    pub(super) fn set_held(&self, detail: Option<String>) {
        self.lock().held = detail;
    }

    pub(super) fn is_held(&self) -> bool {
        self.lock().held.is_some()
    }

    pub(super) fn begin_close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.change(|current| current.closed = true);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// The writer left work unwritten when it ended.
    pub(super) fn end_failed(&self) {
        self.ended_failed.store(true, Ordering::SeqCst);
    }

    pub(super) fn ended_failed(&self) -> bool {
        self.ended_failed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Current)) {
        let mut current = self.lock();
        change(&mut current);
        self.taking.store(current.refusal().is_none(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shared: &Shared, state: StoreState, reason: Option<&str>, refusal: Option<Unavailability>) {
        assert_eq!(shared.status(), StoreStatus { state, reason: reason.map(str::to_owned) });
        let refused = shared.refuse_unless_taking().err().map(|error| match error {
            StoreError::Unavailable { why, .. } => why,
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, refusal, "{state:?}");
    }

    #[test]
    fn transitions() {
        use StoreState::{Closed, DiskLow, Failed, Serving};
        let shared = Shared::serving(Duration::from_secs(5));
        check(&shared, Serving, None, None);
        shared.fail("sync".to_owned());
        check(&shared, Failed, Some("sync"), Some(Unavailability::WriteFailed));
        shared.set_disk_low(Some("full".to_owned()));
        check(&shared, Failed, Some("sync"), Some(Unavailability::WriteFailed));
        shared.recover();
        check(&shared, DiskLow, Some("full"), Some(Unavailability::DiskLow));
        shared.set_disk_low(None);
        check(&shared, Serving, None, None);
        assert!(shared.lose("removed"));
        assert!(!shared.lose("once more"));
        shared.recover();
        check(&shared, Failed, Some("removed"), Some(Unavailability::FileLost));
        shared.begin_close();
        shared.recover();
        shared.fail("late".to_owned());
        check(&shared, Closed, Some("removed"), Some(Unavailability::Closed));
    }

    #[test]
    fn a_stall_is_told_and_takes_work_all_the_same() {
        let shared = Shared::serving(Duration::ZERO);
        shared.begin_batch();
        assert!(!shared.is_progressing());
        check(&shared, StoreState::Stalled, Some("the batch in hand has not been written for 0 s"), None);
        shared.end_batch();
        assert!(shared.is_progressing());
        shared.set_held(Some("locked".to_owned()));
        let reason = "another process holds the database (locked)";
        check(&shared, StoreState::Stalled, Some(reason), None);
        assert!(shared.is_progressing(), "a restart would not take the lock away");
        shared.set_held(None);
        check(&shared, StoreState::Serving, None, None);
        let patient = Shared::serving(Duration::from_secs(3600));
        patient.begin_batch();
        check(&patient, StoreState::Serving, None, None);
    }
}
