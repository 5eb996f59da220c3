//! A database, nodes on it, a balancer in front, and honest registers that outlive all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fiscald_tests::fleet::{Fleet, Kept, REGISTERS};
use fiscald_tests::haproxy::Haproxy;
use pg_testing::{Cluster, free_port, url_of};

use crate::place::{Place, behind_balancer};

/// How long a register waits for an answer before it comes again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an outage may last.
const DEADLINE: Duration = Duration::from_secs(60);

/// Everything at work.
pub(crate) struct Stand {
    pub(crate) clusters: Vec<Cluster>,
    /// Which cluster takes writes.
    pub(crate) primary: usize,
    pub(crate) places: Vec<Place>,
    pub(crate) haproxy: Haproxy,
    pub(crate) fleet: Fleet,
}

impl Stand {
    /// So many nodes on a primary alone, or on one with a synchronous standby.
    pub(crate) fn new(nodes: usize, with_standby: bool) -> Self {
        let primary = Cluster::start();
        let database = primary.create_database();
        let mut clusters = vec![primary];
        if with_standby {
            let standby = clusters[0].standby("b");
            clusters[0].set_synchronous(&["b"]);
            clusters.push(standby);
        }
        let url = url_of(&clusters.iter().collect::<Vec<_>>(), &database);
        let mut places: Vec<Place> =
            (0..nodes).map(|_| Place::new(behind_balancer().with("store.url", &url))).collect();
        // They start together, and one of them makes the tables.
        std::thread::scope(|scope| {
            for place in &mut places {
                scope.spawn(|| place.start());
            }
        });
        let haproxy = Haproxy::start(&places.iter().map(|place| place.node).collect::<Vec<_>>(), free_port);
        let fleet = Fleet::start(PATIENCE);
        fleet.aim(Some(haproxy.registers));
        fleet.wait_for(4 * REGISTERS);
        Self { clusters, primary: 0, places, haproxy, fleet }
    }

    /// The cluster that takes writes.
    pub(crate) fn primary(&self) -> &Cluster {
        &self.clusters[self.primary]
    }

    /// The primary is lost with its machine, and the other takes over.
    pub(crate) fn fail_over(&mut self) {
        self.primary().kill();
        self.primary = 1 - self.primary;
        self.primary().promote();
    }

    /// The lost one comes back where it was, as the synchronous standby of the other.
    pub(crate) fn rebuild_standby(&mut self) {
        let lost = 1 - self.primary;
        let (port, name) = (self.clusters[lost].port(), ["a", "b"][lost]);
        let standby = self.primary().standby_at(name, Some(port));
        self.clusters[lost] = standby;
        self.primary().set_synchronous(&[name]);
    }

    /// Does something to the stand and waits until registers are answered again as they were before.
    pub(crate) fn outage(&mut self, what: &str, fault: impl FnOnce(&mut Self)) -> Duration {
        let watch = SilenceWatch::begin(&self.fleet);
        fault(self);
        self.fleet.wait_for(4 * REGISTERS);
        let silence = watch.end();
        eprintln!("{what}: longest silence {} ms", silence.as_millis());
        assert!(silence < DEADLINE, "{what}");
        silence
    }

    /// The end of every test: nothing acknowledged is lost, nothing is there twice, nothing panicked.
    pub(crate) fn expect_kept(mut self, what: &str) -> Kept {
        self.fleet.rest();
        for place in &mut self.places {
            if let Some(daemon) = &place.daemon {
                let log = daemon.log();
                assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
            }
        }
        let kept = self.fleet.compare(&self.places[0].setup);
        eprintln!("{what}: {} acknowledged, {} stored", kept.acknowledged, kept.journal);
        assert!(kept.journal >= kept.acknowledged);
        self.fleet.stop();
        kept
    }
}

/// Measures the longest time without any answer.
struct SilenceWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl SilenceWatch {
    fn begin(fleet: &Fleet) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, counter) = (Arc::clone(&stop), fleet.counter());
        let thread = std::thread::spawn(move || {
            let (mut seen, mut since, mut longest) = (counter(), Instant::now(), Duration::ZERO);
            while !stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
                let now = counter();
                longest = longest.max(since.elapsed());
                if now != seen {
                    (seen, since) = (now, Instant::now());
                }
            }
            longest
        });
        Self { stop, thread }
    }

    fn end(self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
