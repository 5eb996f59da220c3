//! The state of the journal, shared between its thread and all handles.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{StoreError, Unavailability};

/// State of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreState {
    /// Documents are taken.
    Serving,
    /// A write failed; work is refused until the engine was opened anew.
    Failed,
    /// Closing or closed.
    Closed,
}

/// State of the store and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// The state.
    pub state: StoreState,
    /// What failed last, while [`StoreState::Failed`].
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// Set once by the closing side; the writer acts on it between batches.
    closing: AtomicBool,
    /// Set by the writer when it ended without having written all it was given.
    ended_failed: AtomicBool,
    /// The hot path looks here first, without the lock.
    serving: AtomicBool,
    current: Mutex<(StoreState, Option<String>)>,
}

impl StoreState {
    /// Name for health answers: `serving`, `failed`, `closed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl StoreStatus {
    /// Whether documents are taken.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state == StoreState::Serving
    }
}

impl Shared {
    /// The state of a journal that starts with an open engine.
    pub(super) fn serving() -> Self {
        Self {
            closing: AtomicBool::new(false),
            ended_failed: AtomicBool::new(false),
            serving: AtomicBool::new(true),
            current: Mutex::new((StoreState::Serving, None)),
        }
    }

    pub(super) fn status(&self) -> StoreStatus {
        let (state, reason) = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StoreStatus { state, reason }
    }

    pub(super) fn refuse_unless_serving(&self) -> Result<(), StoreError> {
        if self.serving.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// The error for work that comes while the store does not serve.
    pub(super) fn refusal(&self) -> StoreError {
        let status = self.status();
        match status.state {
            StoreState::Failed => {
                StoreError::unavailable(Unavailability::WriteFailed, status.reason.unwrap_or_default())
            }
            StoreState::Serving | StoreState::Closed => StoreError::closed(),
        }
    }

    pub(super) fn fail(&self, reason: String) {
        self.enter(StoreState::Failed, Some(reason));
    }

    /// Back to service, unless the journal is closing.
    pub(super) fn recover(&self) {
        if !self.is_closing() {
            self.enter(StoreState::Serving, None);
        }
    }

    pub(super) fn begin_close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.serving.store(false, Ordering::Release);
        current.0 = StoreState::Closed;
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

    fn enter(&self, state: StoreState, reason: Option<String>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Closed is final; only the reason is still worth keeping.
        let state = if self.is_closing() { StoreState::Closed } else { state };
        self.serving.store(state == StoreState::Serving, Ordering::Release);
        *current = (state, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions() {
        let shared = Shared::serving();
        assert!(shared.status().is_serving());
        assert!(shared.refuse_unless_serving().is_ok());
        shared.fail("sync".to_owned());
        assert_eq!(
            shared.status(),
            StoreStatus { state: StoreState::Failed, reason: Some("sync".to_owned()) }
        );
        assert_eq!(
            shared.refuse_unless_serving(),
            Err(StoreError::unavailable(Unavailability::WriteFailed, "sync"))
        );
        shared.recover();
        assert_eq!(shared.status(), StoreStatus { state: StoreState::Serving, reason: None });
        shared.begin_close();
        shared.recover();
        shared.fail("late".to_owned());
        assert_eq!(shared.status().state, StoreState::Closed);
        assert_eq!(shared.refuse_unless_serving(), Err(StoreError::closed()));
    }
}
