//! The writer's thread: gathers, commits, answers, and opens the engine anew after a failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::status::Shared;
use super::{Answer, JournalSettings, Queued};
use crate::engine::{Engine, EngineError, EngineFactory, WriteItem, WriteOutcome};
use crate::{StoreError, Unavailability};

/// Pause between two attempts of a batch while somebody else holds the database. The engine waits by itself
/// too; this only keeps an engine that does not from spinning.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How often a failed journal looks into its queue while it waits for the next attempt to reopen.
const FAILED_LOOK: Duration = Duration::from_millis(20);
/// How often an idle journal tries whether a database that was held is free again.
const HELD_LOOK: Duration = Duration::from_millis(200);

/// How long a close is put off by work that nobody waits for.
const LONGEST_END: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    settings: JournalSettings,
    queue: mpsc::Receiver<Queued>,
    shared: Arc<Shared>,
    factory: EngineFactory,
    metrics: JournalMetrics,
    /// Before the next attempt to open the engine anew; grows until a batch was really written.
    pause: Duration,
    gathered: Vec<Queued>,
    items: Vec<WriteItem>,
    replies: Vec<oneshot::Sender<Answer>>,
}

/// Why the writer stopped serving.
enum Stopped {
    Closed,
    Failed,
}

/// Handles created once; names begin with `fiscald_`.
struct JournalMetrics {
    batch_documents: Histogram,
    queue_seconds: Histogram,
    commit_seconds: Histogram,
    tend_seconds: Histogram,
    serving: Gauge,
    commit_failures: Counter,
    refused: Counter,
    busy: Counter,
}

/// Leaves a true state behind, whatever way the thread ends (a panic in the engine included).
struct EndOfWriter(Arc<Shared>);

impl Worker {
    pub(super) fn new(
        settings: JournalSettings,
        queue: mpsc::Receiver<Queued>,
        shared: Arc<Shared>,
        factory: EngineFactory,
    ) -> Self {
        let metrics = JournalMetrics::new();
        metrics.serving.set(1.0);
        Self {
            pause: settings.reopen_pause_min,
            settings,
            queue,
            shared,
            factory,
            metrics,
            gathered: Vec::new(),
            items: Vec::new(),
            replies: Vec::new(),
        }
    }

    pub(super) fn run(mut self, mut engine: Box<dyn Engine>) {
        let _end = EndOfWriter(Arc::clone(&self.shared));
        loop {
            match self.serve(engine) {
                Stopped::Closed => return,
                Stopped::Failed => match self.reopen() {
                    Some(fresh) => engine = fresh,
                    None => return,
                },
            }
        }
    }

    /// Commits batch after batch until the queue is closed and empty, or a write failed. Drops the engine.
    fn serve(&mut self, mut engine: Box<dyn Engine>) -> Stopped {
        loop {
            if self.shared.is_held() && !self.wait_for_release(engine.as_mut()) {
                return Stopped::Failed;
            }
            if !self.follow(engine.as_mut()) {
                return Stopped::Failed;
            }
            let taken = self.queue.blocking_recv_many(&mut self.gathered, self.settings.batch_max_documents);
            if taken == 0 {
                Self::follow_before_the_end(engine.as_mut());
                return Stopped::Closed;
            }
            self.unpack();
            let engine = engine.as_mut();
            let goes_on = (self.items.is_empty() || self.commit(engine)) && self.tend(engine);
            if !goes_on {
                return Stopped::Failed;
            }
            if self.shared.is_closing() {
                // What is in the queue is still given out, and then nothing.
                self.queue.close();
            }
        }
    }

    /// While nothing is queued: tries until nobody holds the database any more, so that the state does not depend
    /// on the next document. False when the engine failed.
    fn wait_for_release(&mut self, engine: &mut dyn Engine) -> bool {
        while self.queue.is_empty() && !self.queue.is_closed() && !self.shared.is_closing() {
            match engine.probe() {
                Ok(()) => {
                    tracing::info!("the store is free again");
                    self.shared.set_held(None);
                    return true;
                }
                Err(EngineError::Busy(_)) => std::thread::park_timeout(HELD_LOOK),
                Err(error) => {
                    self.stop_serving(&error);
                    return false;
                }
            }
        }
        true
    }

    fn unpack(&mut self) {
        let now = Instant::now();
        for queued in self.gathered.drain(..) {
            if let Queued::Write { item, reply, queued_at } = queued {
                self.metrics.queue_seconds.record(now.duration_since(queued_at).as_secs_f64());
                self.items.push(item);
                self.replies.push(reply);
            }
        }
    }

    /// Writes one batch and answers it. False after a failed write.
    fn commit(&mut self, engine: &mut dyn Engine) -> bool {
        if self.shared.is_lost() {
            self.items.clear();
            self.refuse_batch(&self.shared.refusal());
            return false;
        }
        let started = Instant::now();
        self.shared.begin_batch();
        let result = self.commit_patiently(engine);
        self.shared.end_batch();
        self.metrics.commit_seconds.record(started.elapsed().as_secs_f64());
        let documents = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.metrics.batch_documents.record(documents);
        self.items.clear();
        match result {
            Ok(outcomes) => {
                self.pause = self.settings.reopen_pause_min;
                self.shared.set_held(None);
                // The youngest first: a connection waits for its oldest document, and finds all others of the batch
                // answered when it wakes, which it does once.
                for (reply, outcome) in self.replies.drain(..).zip(outcomes).rev() {
                    if matches!(outcome, WriteOutcome::Refused { .. }) {
                        self.metrics.refused.increment(1);
                    }
                    // Nobody waits for it any more: the document is in all the same.
                    let _ = reply.send(Ok(outcome));
                }
                true
            }
            Err(EngineError::Busy(detail)) => {
                if !self.shared.is_held() {
                    tracing::warn!(documents, %detail, "the store is held by another process: batches are refused");
                }
                self.shared.set_held(Some(detail.clone()));
                self.refuse_batch(&StoreError::unavailable(Unavailability::Busy, detail));
                true
            }
            Err(error) => {
                self.metrics.commit_failures.increment(1);
                // The state first: nobody may see an answer of the failed batch while the journal still takes work.
                self.stop_serving(&error);
                self.refuse_batch(&self.shared.refusal());
                false
            }
        }
    }

    /// Lets the engine do its chores. Its answers have left: they are on disk. False when the engine failed.
    fn tend(&mut self, engine: &mut dyn Engine) -> bool {
        let started = Instant::now();
        self.shared.begin_batch();
        let result = engine.tend();
        self.shared.end_batch();
        self.metrics.tend_seconds.record(started.elapsed().as_secs_f64());
        match result {
            Ok(()) | Err(EngineError::Busy(_)) => true,
            Err(error) => {
                self.stop_serving(&error);
                false
            }
        }
    }

    /// While nothing is queued: what the engine has left for such moments. False when it failed.
    fn follow(&mut self, engine: &mut dyn Engine) -> bool {
        while self.queue.is_empty() && !self.queue.is_closed() && !self.shared.is_closing() {
            self.shared.begin_batch();
            let result = engine.follow(false);
            self.shared.end_batch();
            match result {
                Ok(true) => {}
                Ok(false) | Err(EngineError::Busy(_)) => break,
                Err(error) => {
                    self.stop_serving(&error);
                    return false;
                }
            }
        }
        true
    }

    /// What is left is done at the next start otherwise, so a failure is only told.
    fn follow_before_the_end(engine: &mut dyn Engine) {
        let deadline = Instant::now() + LONGEST_END;
        while Instant::now() < deadline {
            match engine.follow(true) {
                Ok(true) => {}
                Ok(false) | Err(EngineError::Busy(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, "what was left to be done before the close was not done");
                    return;
                }
            }
        }
    }

    /// Enters the failed state, from which only a new engine leads out (or nothing, when the file is lost).
    fn stop_serving(&mut self, error: &EngineError) {
        self.metrics.serving.set(0.0);
        match error {
            EngineError::Lost(detail) => {
                if self.shared.lose(detail) {
                    tracing::error!(%detail, "the store cannot be used by this process any more: reception refuses work until a restart");
                }
            }
            EngineError::Corrupt(detail) => {
                tracing::error!(%detail, "the store is damaged: reception refuses work");
                self.pause = self.settings.reopen_pause_max;
                self.shared.fail(detail.clone());
            }
            EngineError::Busy(detail) | EngineError::Failed(detail) => {
                tracing::error!(%detail, "a write of the journal failed: reception refuses work");
                self.shared.fail(detail.clone());
            }
        }
    }

    fn commit_patiently(&self, engine: &mut dyn Engine) -> Result<Vec<WriteOutcome>, EngineError> {
        let deadline = Instant::now() + self.settings.busy_patience;
        loop {
            match engine.commit(&self.items) {
                Err(EngineError::Busy(_)) if Instant::now() < deadline => {
                    self.metrics.busy.increment(1);
                    std::thread::sleep(BUSY_PAUSE);
                }
                Ok(outcomes) if outcomes.len() != self.items.len() => {
                    return Err(EngineError::Failed(format!(
                        "{} outcomes for {} items",
                        outcomes.len(),
                        self.items.len()
                    )));
                }
                result => return result,
            }
        }
    }

    fn refuse_batch(&mut self, error: &StoreError) {
        for reply in self.replies.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Tries to open the engine anew, with growing pauses; refuses what comes meanwhile. `None` when the
    /// journal is to end.
    ///
    /// An engine that opens may fail at its next batch all the same, so the pauses go on growing until a batch was
    /// written.
    fn reopen(&mut self) -> Option<Box<dyn Engine>> {
        loop {
            if !self.wait_refusing(self.pause) {
                self.shared.end_failed();
                return None;
            }
            self.pause = self.pause.saturating_mul(2).min(self.settings.reopen_pause_max);
            if self.shared.is_lost() {
                continue;
            }
            match (self.factory)() {
                Ok(engine) => {
                    tracing::info!("the store was opened anew");
                    self.metrics.serving.set(1.0);
                    self.shared.recover();
                    return Some(engine);
                }
                Err(StoreError::Unavailable { why: Unavailability::FileLost, detail }) => {
                    self.stop_serving(&EngineError::Lost(detail));
                }
                Err(error) => {
                    tracing::warn!(%error, "the store cannot be opened anew yet");
                    self.shared.fail(error.to_string());
                }
            }
        }
    }

    /// Waits, answering everything queued with the failure. False when the journal is closing.
    fn wait_refusing(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            if self.shared.is_closing() {
                self.queue.close();
            }
            if !self.refuse_queued() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::park_timeout(left.min(FAILED_LOOK));
        }
    }

    /// False when the queue is closed and empty.
    fn refuse_queued(&mut self) -> bool {
        loop {
            match self.queue.try_recv() {
                Ok(Queued::Write { reply, .. }) => {
                    let _ = reply.send(Err(self.shared.refusal()));
                }
                Ok(Queued::Wake) => {}
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}

impl JournalMetrics {
    fn new() -> Self {
        describe();
        Self {
            batch_documents: histogram!("fiscald_store_batch_documents"),
            queue_seconds: histogram!("fiscald_stage_seconds", "stage" => "queue"),
            commit_seconds: histogram!("fiscald_stage_seconds", "stage" => "commit"),
            tend_seconds: histogram!("fiscald_stage_seconds", "stage" => "tend"),
            serving: gauge!("fiscald_store_serving"),
            commit_failures: counter!("fiscald_store_commit_failures_total"),
            refused: counter!("fiscald_store_refused_total"),
            busy: counter!("fiscald_store_busy_total"),
        }
    }
}

/// Help texts of all metrics of the store, those of the watcher and the log among them.
fn describe() {
    describe_histogram!("fiscald_store_batch_documents", "Documents and copies written in one transaction");
    describe_gauge!("fiscald_store_serving", "1 while the store takes documents, 0 after a failure");
    describe_gauge!("fiscald_store_queue_depth", "Documents that wait for the writer");
    describe_gauge!("fiscald_store_free_bytes", "Free space of the disk that holds the store");
    describe_gauge!("fiscald_store_log_pages", "Pages of 4 KiB in the write-ahead log");
    describe_gauge!(
        "fiscald_store_unindexed_documents",
        "Documents whose keys wait for their place in journal_keys; readers find them all the same"
    );
    describe_gauge!("fiscald_store_unindexed_seconds", "How long the oldest of them has been waiting");
    describe_counter!(
        "fiscald_store_commit_failures_total",
        "Transactions that failed: nothing of them was answered"
    );
    describe_gauge!("fiscald_store_log_bytes", "Size of the file of the write-ahead log");
    describe_gauge!("fiscald_store_bytes", "Size of the file of the store, without its log");
    describe_counter!(
        "fiscald_store_refused_total",
        "Documents and copies that the store would not take and did not answer: too many conflicts under one number, \
         a broken constraint"
    );
    describe_counter!(
        "fiscald_store_busy_total",
        "Times the writer waited because another process held the store"
    );
}

impl Drop for EndOfWriter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end_failed();
            self.0.fail("the writer's thread broke down".to_owned());
        } else {
            self.0.begin_close();
        }
    }
}
