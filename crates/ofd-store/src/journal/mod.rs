//! Group commit: one OS thread writes what is queued, one transaction and one sync per batch.
//!
//! The thread takes what lies in the queue (at most a batch), without waiting for more: while one batch is
//! being synced the next one gathers by itself. An answer is released only after its batch is on disk. After a
//! failed write nobody is acknowledged until the engine was opened anew.
//!
//! Knows no database; that is behind [`crate::engine::Engine`].

mod status;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

pub use status::{StoreState, StoreStatus};

pub(crate) use self::status::Shared;
use self::worker::Worker;
use crate::engine::{Engine, EngineFactory, WriteItem, WriteOutcome};
use crate::postgres::is_postgres;
use crate::{
    AppendOutcome, NewDocument, NewQuarantine, QuarantineOutcome, StoreConfig, StoreError, Unavailability,
};

/// Sizes and patience of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// Most items of one batch.
    pub batch_max_documents: usize,
    /// Places in the queue.
    pub queue_max_documents: usize,
    /// How long a batch is tried again while somebody else holds the database.
    pub busy_patience: Duration,
    /// First pause before the engine is opened anew; doubles up to `reopen_pause_max`.
    pub reopen_pause_min: Duration,
    /// Longest pause between two attempts.
    pub reopen_pause_max: Duration,
    /// A batch older than this makes the state [`StoreState::Stalled`].
    pub stalled_after: Duration,
}

/// When a batch hangs. An ordinary one takes milliseconds, on a disk that is asleep a second or two.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// The running journal. Dropping it lets the queue drain and ends the thread; [`Journal::close`] waits for that.
#[derive(Debug)]
pub struct Journal {
    handle: JournalHandle,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

/// The way to the journal for everybody who writes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    queue: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

/// A document in the queue: a future of what became of it, ready after the commit of its batch.
///
/// Dropping it loses only the answer, not the document.
#[derive(Debug)]
#[must_use = "the document may be acknowledged only by this answer"]
pub struct PendingAppend(Pending);

/// A quarantined copy in the queue: a future of what became of it, ready after the commit of its batch.
#[derive(Debug)]
pub struct PendingQuarantine(Pending);

type Answer = Result<WriteOutcome, StoreError>;

#[derive(Debug)]
struct Pending(Option<oneshot::Receiver<Answer>>);

#[derive(Debug)]
enum Queued {
    Write {
        item: WriteItem,
        reply: oneshot::Sender<Answer>,
        queued_at: Instant,
    },
    /// Only ends the writer's wait, so that it sees that the journal is closing.
    Wake,
}

impl JournalSettings {
    /// The settings of the daemon: sizes from the configuration, patience fixed.
    #[must_use]
    pub fn from_config(config: &StoreConfig) -> Self {
        Self {
            batch_max_documents: config.batch_max_documents.max(1),
            queue_max_documents: config.queue_max_documents.max(1),
            busy_patience: Duration::from_secs(5),
            reopen_pause_min: Duration::from_millis(100),
            // A standby that is promoted is to be found soon; a disk that failed may take its time.
            reopen_pause_max: Duration::from_secs(if is_postgres(&config.url) { 1 } else { 5 }),
            stalled_after: STALLED_AFTER,
        }
    }
}

impl Journal {
    /// Starts the writer with an open engine; `factory` opens another one after a failure.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the system gives no thread.
    pub fn start(
        settings: JournalSettings,
        engine: Box<dyn Engine>,
        factory: EngineFactory,
    ) -> Result<Self, StoreError> {
        let (queue, receiver) = mpsc::channel(settings.queue_max_documents);
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared::serving(settings.stalled_after));
        let worker = Worker::new(settings, receiver, Arc::clone(&shared), factory);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                worker.run(engine);
                // The receiver is gone when nobody waits for the end.
                let _ = end.send(());
            })
            .map_err(|error| StoreError::unavailable(Unavailability::CannotOpen, error.to_string()))?;
        Ok(Self { handle: JournalHandle { queue, shared }, ended, thread })
    }

    /// A handle for a writer.
    #[must_use]
    pub fn handle(&self) -> JournalHandle {
        self.handle.clone()
    }

    /// Refuses new work, writes what is queued, ends the thread and closes the engine.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the queue was not written within `grace`, or was not written at all
    /// because the engine had failed; when the file was lost, whatever was written.
    pub async fn close(mut self, grace: Duration) -> Result<(), StoreError> {
        self.begin_close();
        if tokio::time::timeout(grace, &mut self.ended).await.is_err() {
            return Err(StoreError::unavailable(
                Unavailability::Busy,
                format!("the journal was not written within {} ms", grace.as_millis()),
            ));
        }
        let lost = self.handle.shared.is_lost();
        if lost || self.handle.shared.ended_failed() {
            let why = if lost { Unavailability::FileLost } else { Unavailability::WriteFailed };
            let reason = self.handle.status().reason.unwrap_or_default();
            return Err(StoreError::unavailable(why, reason));
        }
        Ok(())
    }

    fn begin_close(&self) {
        self.handle.shared.begin_close();
        // A full queue needs no waking: the writer is at work and looks at the flag after its batch.
        self.handle.wake();
        self.thread.thread().unpark();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.begin_close();
    }
}

impl JournalHandle {
    /// Queues a document; waits while the queue is full. The answer comes from the returned future.
    ///
    /// Cancellation-safe: dropped while waiting for a place, nothing was queued.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] after a failed write, while the disk is low or while closing; nothing was
    /// queued then.
    pub async fn append(&self, document: impl Into<Box<NewDocument>>) -> Result<PendingAppend, StoreError> {
        Ok(PendingAppend(self.enqueue(WriteItem::Document(document.into())).await?))
    }

    /// Queues a copy for the quarantine; waits while the queue is full.
    ///
    /// # Errors
    /// As [`JournalHandle::append`].
    pub async fn quarantine(
        &self,
        copy: impl Into<Box<NewQuarantine>>,
    ) -> Result<PendingQuarantine, StoreError> {
        Ok(PendingQuarantine(self.enqueue(WriteItem::Quarantine(copy.into())).await?))
    }

    /// State of the store.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        self.shared.status()
    }

    /// Whether the writer's thread gets on: false while the batch in hand is older than four times
    /// [`STALLED_AFTER`]. For the watchdog of the service: a hanging write may be helped by a restart, one that is
    /// only slow may not.
    ///
    /// A database that another process holds is no reason: its batches are refused in time, the state says
    /// [`StoreState::Stalled`], and a restart would find the same lock.
    #[must_use]
    pub fn is_progressing(&self) -> bool {
        self.shared.is_progressing()
    }

    /// Lets the writer look after its engine although nothing was queued. A full queue wakes it anyway.
    pub(crate) fn wake(&self) {
        let _ = self.queue.try_send(Queued::Wake);
    }

    /// For the watcher, which sees the file and the disk.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Items waiting for the writer.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.queue.max_capacity().saturating_sub(self.queue.capacity())
    }

    async fn enqueue(&self, item: WriteItem) -> Result<Pending, StoreError> {
        self.shared.refuse_unless_taking()?;
        let (reply, receiver) = oneshot::channel();
        let queued = Queued::Write { item, reply, queued_at: Instant::now() };
        self.queue.send(queued).await.map_err(|_| StoreError::closed())?;
        Ok(Pending(Some(receiver)))
    }
}

impl Pending {
    fn try_take(&mut self) -> Option<Answer> {
        let answer = match self.0.as_mut()?.try_recv() {
            Ok(answer) => answer,
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => Err(StoreError::closed()),
        };
        self.0 = None;
        Some(answer)
    }

    /// Ready with "closed" when polled again after the answer was taken.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(receiver) = self.0.as_mut() else {
            return Poll::Ready(Err(StoreError::closed()));
        };
        let answer = std::task::ready!(Pin::new(receiver).poll(context));
        self.0 = None;
        Poll::Ready(answer.unwrap_or_else(|_| Err(StoreError::closed())))
    }
}

impl PendingAppend {
    /// The answer, if it is there already. Given out once.
    pub fn try_take(&mut self) -> Option<Result<AppendOutcome, StoreError>> {
        self.0.try_take().map(of_append)
    }
}

impl Future for PendingAppend {
    type Output = Result<AppendOutcome, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_answer(context).map(of_append)
    }
}

impl PendingQuarantine {
    /// The answer, if it is there already. Given out once.
    pub fn try_take(&mut self) -> Option<Result<QuarantineOutcome, StoreError>> {
        self.0.try_take().map(of_quarantine)
    }
}

impl Future for PendingQuarantine {
    type Output = Result<QuarantineOutcome, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_answer(context).map(of_quarantine)
    }
}

fn of_append(answer: Answer) -> Result<AppendOutcome, StoreError> {
    match answer? {
        WriteOutcome::Append(outcome) => Ok(outcome),
        WriteOutcome::Refused { reason } => Err(StoreError::Refused { reason }),
        WriteOutcome::Quarantine(_) => Err(StoreError::corrupt("the engine mixed up its outcomes")),
    }
}

fn of_quarantine(answer: Answer) -> Result<QuarantineOutcome, StoreError> {
    match answer? {
        WriteOutcome::Quarantine(outcome) => Ok(outcome),
        WriteOutcome::Refused { reason } => Err(StoreError::Refused { reason }),
        WriteOutcome::Append(_) => Err(StoreError::corrupt("the engine mixed up its outcomes")),
    }
}

#[cfg(test)]
mod tests;
