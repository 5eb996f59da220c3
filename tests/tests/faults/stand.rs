//! What every fault needs: a daemon on the lying layer and honest registers that outlive it.

use std::time::{Duration, Instant};

use fiscald_tests::daemon::{Daemon, Setup};
use fiscald_tests::fleet::{Fleet, Kept, REGISTERS};
use fiscald_tests::shim::Shim;

/// How long registers wait for an answer: outages are short here.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a fault may take to show, or to be over.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Stand {
    pub(crate) setup: Setup,
    pub(crate) shim: Shim,
    pub(crate) fleet: Fleet,
    daemon: Option<Daemon>,
    kills: usize,
}

impl Stand {
    /// A daemon at work.
    pub(crate) fn new(setup: Setup) -> Self {
        let shim = Shim::build(setup.folder());
        let setup = shim.under(setup);
        let mut stand = Self { setup, shim, fleet: Fleet::start(PATIENCE), daemon: None, kills: 0 };
        stand.start();
        stand.fleet.wait_for(2 * REGISTERS);
        stand
    }

    pub(crate) fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    pub(crate) fn start(&mut self) {
        let daemon = self.setup.start();
        self.fleet.aim(Some(daemon.registers));
        self.daemon = Some(daemon);
    }

    /// As a power cut does for a process.
    pub(crate) fn kill(&mut self) {
        self.kills += 1;
        self.daemon.take().unwrap().kill();
        self.fleet.aim(None);
    }

    /// Asks the daemon to end; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        // Nobody is to wait for the grace period.
        self.fleet.aim(None);
        self.daemon.take().unwrap().stop().code()
    }

    /// Waits until `/readyz` is red for a reason that contains one of `words`; then nobody may get an answer.
    pub(crate) fn expect_silence(&mut self, what: &str, words: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        let body = loop {
            let (status, body) = self.daemon().admin("/readyz");
            if status == 503 {
                break body;
            }
            assert!(Instant::now() < deadline, "{what}: still ready\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(words.iter().any(|word| body.contains(word)), "{what}: {body}");
        assert_eq!(self.daemon().admin("/healthz").0, 200, "{what}: it is alive");
        // Answers that were on their way when it turned red.
        std::thread::sleep(Duration::from_millis(50));
        let before = self.fleet.answered();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self.fleet.answered(), before, "{what}: an answer while red\n{}", self.log());
        eprintln!("{what}: silent, {body}");
    }

    /// Waits until `/readyz` is green again without hands, and documents go on.
    pub(crate) fn expect_recovery(&mut self, what: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (status, body) = self.daemon().admin("/readyz");
            if status == 200 {
                break;
            }
            assert!(Instant::now() < deadline, "{what}: still red: {body}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.fleet.wait_for(2 * REGISTERS);
    }

    /// Whether a line of the log of this level speaks of one of `words`.
    pub(crate) fn logged(&mut self, level: &str, words: &[&str]) -> bool {
        self.daemon().log().iter().any(|line| {
            line.contains(&format!("\"level\":\"{level}\"")) && words.iter().any(|word| line.contains(word))
        })
    }

    pub(crate) fn log(&mut self) -> String {
        self.daemon().log().join("\n")
    }

    /// The end of every fault: nothing acknowledged is lost, nothing is there twice, nothing panicked.
    pub(crate) fn expect_kept(mut self, what: &str) -> Kept {
        self.fleet.aim(None);
        if let Some(daemon) = &self.daemon {
            assert!(!daemon.log().iter().any(|line| line.contains("panicked")), "{}", self.log());
        }
        let kept = self.fleet.compare(&self.setup);
        eprintln!("{what}: {} acknowledged, {} in the journal", kept.acknowledged, kept.journal);
        assert!(kept.journal >= kept.acknowledged);
        drop(self.daemon.take());
        self.fleet.stop();
        kept
    }

    pub(crate) fn kills(&self) -> usize {
        self.kills
    }
}
