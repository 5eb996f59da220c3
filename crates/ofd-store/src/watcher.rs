//! What is looked at twice a second beside the work: register facts, the file, the disk, and whether the writer gets
//! on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use metrics::{Gauge, gauge};
use tokio::sync::oneshot;

use crate::journal::{JournalHandle, StoreState};
use crate::sqlite::disk::{self, OpenFiles};
use crate::watch::Watch;
use crate::{StoreError, Unavailability};

/// How often everything is looked at; the promise about register facts is one second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Least time from one look at the facts to the next, however many ask for one.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long a stop waits for a look that is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Free bytes where a file lies.
type FreeBytes = Box<dyn Fn(&Path) -> std::io::Result<u64> + Send>;

/// The watcher's threads. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Watcher {
    stopping: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, oneshot::Receiver<()>)>,
}

/// What the watcher tells the journal, and the gauges only it can keep true.
pub(crate) struct Guard {
    journal: JournalHandle,
    files: OpenFiles,
    min_free_bytes: u64,
    free_bytes: FreeBytes,
    last: StoreState,
    probe_fails: bool,
    queue_depth: Gauge,
    serving: Gauge,
    /// Of a store in a file.
    disk: Option<DiskGauges>,
}

/// Made at the first look at a disk: a gauge that nobody sets would show an empty one.
struct DiskGauges {
    free: Gauge,
    bytes: Gauge,
    log_bytes: Gauge,
}

impl DiskGauges {
    fn new() -> Self {
        Self {
            free: gauge!("fiscald_store_free_bytes"),
            bytes: gauge!("fiscald_store_bytes"),
            log_bytes: gauge!("fiscald_store_log_bytes"),
        }
    }
}

impl Guard {
    pub(crate) fn new(journal: JournalHandle, files: OpenFiles, min_free_bytes: u64) -> Self {
        Self {
            journal,
            files,
            min_free_bytes,
            free_bytes: Box::new(disk::free_bytes),
            last: StoreState::Serving,
            probe_fails: false,
            queue_depth: gauge!("fiscald_store_queue_depth"),
            serving: gauge!("fiscald_store_serving"),
            disk: None,
        }
    }

    /// A store on a server has no path.
    fn look(&mut self, path: Option<&Path>) {
        match path {
            Some(path) => {
                self.look_at_file();
                self.look_at_disk(path);
                let gauges = self.disk.get_or_insert_with(DiskGauges::new);
                set_bytes(&gauges.bytes, disk::file_bytes(path));
                set_bytes(&gauges.log_bytes, disk::file_bytes(&disk::beside(path, "-wal")));
            }
            // Whether the server is there shows only when it is asked: while no batch comes, the writer does that.
            None => self.journal.wake(),
        }
        self.queue_depth.set(u32::try_from(self.journal.queue_depth()).unwrap_or(u32::MAX));
        // While no batch comes nobody else would: what waits for such a moment is done in it, and on a short disk the log
        // is cut, which may be what takes the room.
        self.journal.wake();
        self.tell_changes();
    }

    fn look_at_file(&self) {
        if let Some(what) = self.files.lost()
            && self.journal.shared().lose(&what)
        {
            tracing::error!(%what, "the store's file is lost: reception refuses work until a restart");
        }
    }

    /// When the disk cannot be asked, the last answer stays in force.
    fn look_at_disk(&mut self, path: &Path) {
        match (self.free_bytes)(path) {
            Ok(free) => {
                self.probe_fails = false;
                set_bytes(&self.disk.get_or_insert_with(DiskGauges::new).free, free);
                let low = free < self.min_free_bytes;
                self.journal.shared().set_disk_low(low.then(|| self.in_words(path, free)));
            }
            Err(error) => {
                if !self.probe_fails {
                    tracing::warn!(%error, path = %path.display(), "the free space cannot be read");
                }
                self.probe_fails = true;
            }
        }
    }

    fn in_words(&self, path: &Path, free: u64) -> String {
        let (free, least) = (free >> 20, self.min_free_bytes >> 20);
        format!("{free} MiB are free at {}, store.min_free_mib is {least}", path.display())
    }

    /// One line when it begins and one when it is over. The other states are told by those who caused them.
    fn tell_changes(&mut self) {
        let status = self.journal.status();
        self.serving.set(if status.is_serving() { 1.0 } else { 0.0 });
        let is_ours = |state| matches!(state, StoreState::Stalled | StoreState::DiskLow);
        if status.state != self.last {
            if is_ours(status.state) {
                let reason = status.reason.unwrap_or_default();
                tracing::warn!(state = status.state.name(), %reason, "the store does not get on");
            } else if is_ours(self.last) && status.state == StoreState::Serving {
                tracing::info!(was = self.last.name(), "the store serves again");
            }
        }
        self.last = status.state;
    }
}

fn set_bytes(gauge: &Gauge, bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2^53 bytes are exact")]
    gauge.set(bytes as f64);
}

impl Watcher {
    /// Looks at file and disk, then starts the threads.
    pub(crate) fn start(mut watch: Watch, mut guard: Guard) -> Result<Self, StoreError> {
        let path = watch.path().map(Path::to_path_buf);
        guard.look(path.as_deref());
        let mut watcher = Self { stopping: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        if path.is_none() {
            // A server may be slow to answer about facts; that must not keep the guard from its rounds.
            let facts = watch.facts();
            let asked = Arc::clone(&facts);
            let thread = watcher.every_interval(
                "facts",
                move || asked.looks().are_asked_for(),
                move || {
                    watch.renew();
                    std::thread::sleep(LOOK_PAUSE);
                },
            )?;
            facts.looks().are_taken_by(thread);
            watcher.every_interval("watcher", || false, move || guard.look(None))?;
            return Ok(watcher);
        }
        let look = move || {
            guard.look(path.as_deref());
            // A file that was put in the place of ours tells nothing about our registers.
            if !guard.journal.shared().is_lost() {
                watch.renew();
            }
        };
        watcher.every_interval("watcher", || false, look)?;
        Ok(watcher)
    }

    /// Earlier when it is asked to; the thread has to be unparked then.
    fn every_interval(
        &mut self,
        name: &str,
        is_asked_to: impl Fn() -> bool + Send + 'static,
        mut look: impl FnMut() + Send + 'static,
    ) -> Result<Thread, StoreError> {
        let (end, ended) = oneshot::channel();
        let stop = Arc::clone(&self.stopping);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    if !is_asked_to() {
                        std::thread::park_timeout(LOOK_INTERVAL);
                    }
                    look();
                }
                // The connection is closed before the end is told.
                drop(look);
                let _ = end.send(());
            })
            .map_err(|error| StoreError::unavailable(Unavailability::CannotOpen, error.to_string()))?;
        let handle = thread.thread().clone();
        self.threads.push((thread, ended));
        Ok(handle)
    }

    /// Ends the threads and waits until they have closed the file, at most a second.
    pub(crate) async fn stop(mut self) {
        self.begin_stop();
        let all = async {
            for (_, ended) in &mut self.threads {
                let _ = ended.await;
            }
        };
        // Past the patience they end by themselves a little later.
        let _ = tokio::time::timeout(STOP_PATIENCE, all).await;
    }

    fn begin_stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for (thread, _) in &self.threads {
            thread.thread().unpark();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::engine::{Engine, EngineError, WriteItem, WriteOutcome};
    use crate::journal::{Journal, JournalSettings};
    use crate::support::{PLAIN_FN, document, quarantined};
    use crate::{StoreConfig, StoreState};

    /// Remembers that something came as far as the engine.
    struct Untouched(Arc<AtomicBool>);

    impl Engine for Untouched {
        fn commit(&mut self, _: &[WriteItem]) -> Result<Vec<WriteOutcome>, EngineError> {
            self.0.store(true, Ordering::SeqCst);
            Err(EngineError::Failed("nothing was to be written".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_low_disk_refuses_at_the_door_until_there_is_space() {
        let settings = JournalSettings::from_config(&StoreConfig::default());
        let factory = Box::new(|| Err(StoreError::closed()));
        let touched = Arc::new(AtomicBool::new(false));
        let journal = Journal::start(settings, Box::new(Untouched(Arc::clone(&touched))), factory).unwrap();
        let handle = journal.handle();
        let free = Arc::new(AtomicU64::new(0));
        let mut guard = Guard::new(handle.clone(), OpenFiles::default(), 100 << 20);
        let asked = Arc::clone(&free);
        guard.free_bytes = Box::new(move |_| match asked.load(Ordering::SeqCst) {
            u64::MAX => Err(std::io::ErrorKind::PermissionDenied.into()),
            free => Ok(free),
        });
        let mut check = async |bytes: u64, low: bool| {
            free.store(bytes, Ordering::SeqCst);
            guard.look(Some(Path::new("data/store.db")));
            let status = handle.status();
            assert_eq!(status.state, if low { StoreState::DiskLow } else { StoreState::Serving }, "{bytes}");
            if low {
                let words = status.reason.unwrap();
                assert!(words.contains("min_free_mib is 100") && words.contains("data/store.db"), "{words}");
                let refused = [
                    handle.append(document(PLAIN_FN, 1, 3, "x")).await.err(),
                    handle.quarantine(quarantined(PLAIN_FN, 1, "x")).await.err(),
                ];
                for error in refused {
                    let why = Unavailability::DiskLow;
                    assert!(
                        matches!(error, Some(StoreError::Unavailable { why: found, .. }) if found == why)
                    );
                }
            }
        };
        check(100 << 20, false).await;
        check((100 << 20) - 1, true).await;
        check(u64::MAX, true).await;
        check(200 << 20, false).await;
        check(u64::MAX, false).await;
        // The queue may still hold a call to the writer to look after its engine; closing empties it.
        journal.close(Duration::from_secs(60)).await.unwrap();
        assert!(!touched.load(Ordering::SeqCst), "a refused item reached the engine");
    }
}
