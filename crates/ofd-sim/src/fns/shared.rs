//! What all requests share: the world under its lock, news of events, the log of batches.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::config::{Mode, SimConfig};
use super::signs::SignCheck;
use super::world::World;

/// Batches remembered for `GET /sim/requests`.
const LOGGED_BATCHES: usize = 1000;

/// One request with a batch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchRecord {
    pub(super) at: String,
    pub(super) batch_id: String,
    /// First 16 hexadecimal digits of the hash of the body before compression.
    pub(super) content: String,
    /// Key and content were here before.
    pub(super) repeated: bool,
    /// False when the connection was cut instead.
    pub(super) answered: bool,
    pub(super) documents: usize,
    pub(super) duplicates: usize,
    pub(super) refused: usize,
    /// Names of its documents, in order.
    pub(super) doc_keys: Vec<String>,
}

/// Shared by all requests.
pub(super) struct Shared {
    world: Mutex<World>,
    batches: Mutex<VecDeque<BatchRecord>>,
    /// Number of the newest event.
    pub(super) news: watch::Sender<u64>,
    /// Something is due at another time than before.
    pub(super) rescheduled: Notify,
    pub(super) stop: CancellationToken,
    pub(super) ofd_id: String,
    /// No TLS: a gateway in front has checked who asks.
    pub(super) is_plain: bool,
    pub(super) keep_bodies: bool,
    pub(super) signs: Option<SignCheck>,
    pub(super) snapshot: Option<PathBuf>,
}

impl Shared {
    pub(super) fn new(world: World, options: &super::FnsSimOptions) -> Self {
        Self {
            news: watch::Sender::new(world.newest_event()),
            world: Mutex::new(world),
            batches: Mutex::default(),
            rescheduled: Notify::new(),
            stop: CancellationToken::new(),
            ofd_id: options.ofd_id.clone(),
            is_plain: options.certificates.is_none(),
            keep_bodies: options.keep_bodies,
            signs: options.check_signs.then(SignCheck::new),
            snapshot: options.snapshot.clone(),
        }
    }

    /// Does something with the world, after everything that is due by now.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut World, i64) -> R) -> R {
        let mut world = self.lock();
        let now = now();
        world.run_due(now);
        let before = world.next_due();
        let result = act(&mut world, now);
        world.run_due(now);
        let (after, newest) = (world.next_due(), world.newest_event());
        drop(world);
        self.news.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        if before != after {
            self.rescheduled.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // The world of a thread that panicked is still a world; the simulator goes on.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present behaviour.
    pub(super) fn config(&self) -> SimConfig {
        self.lock().config.clone()
    }

    /// The present mode.
    pub(super) fn mode(&self) -> Mode {
        self.lock().config.mode
    }

    /// Counts an answer; 0 is a cut connection.
    pub(super) fn count_answer(&self, status: u16) {
        *self.lock().counts.answers.entry(status).or_default() += 1;
    }

    /// Remembers a batch.
    pub(super) fn log_batch(&self, record: BatchRecord) {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if batches.len() == LOGGED_BATCHES {
            batches.pop_front();
        }
        batches.push_back(record);
    }

    /// The newest batches, oldest first.
    pub(super) fn batches(&self) -> Vec<BatchRecord> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets the batches.
    pub(super) fn forget_batches(&self) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Writes the snapshot, when there is a file for it.
    pub(super) fn save(&self) -> anyhow::Result<bool> {
        let Some(path) = &self.snapshot else { return Ok(false) };
        self.lock().save(path)?;
        Ok(true)
    }

    /// Does what is due at its time, until the end. Cancellation-safe.
    pub(super) async fn keep_time(&self) {
        loop {
            let due = self.with(|world, now| world.next_due().map(|due| due.saturating_sub(now)));
            let pause = async {
                match due {
                    Some(due) => {
                        let millis = u64::try_from(due).unwrap_or(0);
                        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.rescheduled.notified() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }
}

/// Milliseconds of UTC.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
