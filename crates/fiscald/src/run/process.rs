//! What the daemon asks of the operating system for itself: no core dumps, enough descriptors, word to systemd, and an
//! end that a hung disk does not put off.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Descriptors beside those of connections: store, admin port, log, timers.
const SPARE_DESCRIPTORS: u64 = 128;
/// How often a long start shows that it goes on.
const START_TICK: Duration = Duration::from_secs(10);
/// How much longer the service manager waits after each of these signs of life.
const START_EXTENSION: Duration = Duration::from_secs(60);

/// Keys stay in this process: no core dump, no debugger of the same user. Best effort, what fails is said.
pub(crate) fn harden() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "cannot forbid core dumps and debuggers; keys in memory are less safe");
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        warn!(%error, "cannot set the limit of core dumps to zero");
    }
}

/// Raises the limit of open descriptors as far as the system lets us. Gives the number of connections that fit: the one
/// asked for, or fewer, said loudly, because a connection that cannot be accepted is worse than one that makes room.
pub(crate) fn raise_descriptor_limit(max_connections: usize) -> usize {
    let needed = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(SPARE_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    let enough = |value: Option<u64>| value.is_none_or(|value| value >= needed);
    if enough(limit.current) {
        return max_connections;
    }
    let wanted = if enough(limit.maximum) { Some(needed) } else { limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum }) {
        warn!(%error, "cannot raise the limit of open descriptors");
    }
    let got = getrlimit(Resource::Nofile).current;
    if enough(got) {
        return max_connections;
    }
    let fit = connections_within(got.unwrap_or(needed));
    warn!(
        limit = got,
        needed,
        max_connections = fit,
        "the system allows fewer descriptors than ingest.max_connections needs, so FEWER CONNECTIONS are served; \
         raise LimitNOFILE of the unit"
    );
    fit
}

/// Connections that fit into so many descriptors: at least one, or nobody could be served at all.
fn connections_within(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(usize::MAX).max(1)
}

/// Tells the service manager, if there is one.
pub(crate) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}

/// Opens the store. An upgrade of a large journal reads all of it, which takes longer than the service manager waits for a
/// start: killed, it would begin anew and never end. So every ten seconds more time is asked for, and the log says why.
pub(crate) fn while_starting<T>(work: impl FnOnce() -> T) -> T {
    let more = u32::try_from(START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    ticking(
        START_TICK,
        |passed| {
            let seconds = passed.as_secs();
            info!(seconds, "the store is still being opened");
            let status = format!("opening the store, {seconds} s so far");
            tell(&[NotifyState::ExtendTimeoutUsec(more), NotifyState::Status(&status)]);
        },
        work,
    )
}

/// Works, and tells every `period` meanwhile how long that has been.
fn ticking<T>(period: Duration, tell: impl Fn(Duration) + Send, work: impl FnOnce() -> T) -> T {
    let (working, over) = mpsc::channel::<()>();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while over.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                tell(began.elapsed());
            }
        });
        let result = work();
        drop(working);
        result
    })
}

/// Ends the runtime. Blocking work that has not ended by then (a read of a disk that hangs) is left behind: nothing that
/// was acknowledged depends on it, and the process would otherwise hang until it is killed.
pub(crate) fn end(runtime: Runtime, patience: Duration) {
    runtime.shutdown_timeout(patience);
}

/// Feeds the watchdog of the service manager, if it is armed. A runtime that hangs stops feeding it, and so does a
/// writer of the journal that hangs: nothing would be acknowledged any more, and only a restart helps.
pub(crate) async fn feed_watchdog(is_progressing: impl Fn() -> bool, stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    debug!(?period, "the service manager's watchdog is fed");
    // Often enough that one bite left out for a passing hang does not bring the next one to the deadline.
    let pause = (period / 6).max(Duration::from_millis(10));
    feed(pause, is_progressing, || tell(&[NotifyState::Watchdog]), stop).await;
}

/// Cancellation-safe: nothing is in flight between two ticks.
async fn feed(pause: Duration, is_progressing: impl Fn() -> bool, bite: impl Fn(), stop: CancellationToken) {
    let mut interval = tokio::time::interval(pause);
    let mut hung = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let hangs = !is_progressing();
        if hangs && !hung {
            error!(
                "the writer of the journal hangs: the service manager's watchdog is not fed until it goes on"
            );
        }
        hung = hangs;
        if !hangs {
            bite();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    /// Each look at the writer, and whether a bite followed.
    fn fed(looks: &[bool]) -> Vec<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (stop, seen) = (CancellationToken::new(), RefCell::new(Vec::new()));
        let is_progressing = || {
            let look = looks[seen.borrow().len()];
            seen.borrow_mut().push(false);
            if seen.borrow().len() == looks.len() {
                stop.cancel();
            }
            look
        };
        let bite = || *seen.borrow_mut().last_mut().unwrap() = true;
        runtime.block_on(super::feed(Duration::from_millis(1), is_progressing, bite, stop.clone()));
        seen.into_inner()
    }

    #[test]
    fn the_watchdog_starves_while_the_writer_hangs() {
        for looks in [vec![true], vec![false], vec![true, false, false, true, false]] {
            assert_eq!(fed(&looks), looks);
        }
    }

    #[test]
    fn long_work_is_told_until_it_ends() {
        let (tell, told) = std::sync::mpsc::channel();
        let tick = move |passed: Duration| tell.send(passed).unwrap();
        let seen = super::ticking(Duration::from_millis(1), tick, || {
            let three: Vec<Duration> = told.iter().take(3).collect();
            three
        });
        assert!(seen.len() == 3 && seen.is_sorted(), "{seen:?}");
        // Work that is quick is not told, and one that breaks down takes the teller with it.
        let never = |_| panic!("a tick of an hour");
        assert_eq!(super::ticking(Duration::from_secs(3_600), never, || 7), 7);
        let broken = std::panic::catch_unwind(|| {
            super::ticking(Duration::from_secs(3_600), never, || panic!("the work broke down"))
        });
        assert!(broken.is_err());
    }

    #[test]
    fn a_hung_read_does_not_put_off_the_end() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (release, hung) = std::sync::mpsc::channel::<()>();
        let (begin, began) = std::sync::mpsc::channel();
        runtime.spawn_blocking(move || {
            begin.send(()).unwrap();
            hung.recv()
        });
        began.recv().unwrap();
        super::end(runtime, Duration::from_millis(1));
        // It still hangs: the end has not waited for it.
        assert!(release.send(()).is_ok());
    }

    fn unit() -> String {
        let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/fiscald.service");
        std::fs::read_to_string(path).unwrap()
    }

    /// Values of a key of the shipped unit, in their order.
    fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
        unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    #[test]
    fn connections_fit_beside_what_else_is_open() {
        for (descriptors, expected) in [
            (0, 1),
            (super::SPARE_DESCRIPTORS, 1),
            (super::SPARE_DESCRIPTORS + 2, 2),
            (u64::from(u32::MAX), 4_294_967_167),
        ] {
            assert_eq!(super::connections_within(descriptors), expected, "{descriptors}");
        }
    }

    #[test]
    fn the_shipped_unit_fits_the_program() {
        let unit = unit();
        for (key, expected) in [
            // A clock that NTP sets after the start is a jump, and silence until a person confirms it.
            ("After", "network-online.target time-sync.target"),
            ("Wants", "network-online.target time-sync.target"),
            ("Type", "notify"),
            ("ExecStart", "/usr/bin/fiscald serve --config /etc/fiscald/fiscald.toml"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("RestartPreventExitStatus", "2 64"),
            ("StateDirectory", "fiscald"),
        ] {
            assert_eq!(values(&unit, key), [expected], "{key}");
        }
        let seconds =
            |key: &str| values(&unit, key).first().and_then(|text| text.parse::<u64>().ok()).unwrap();
        assert!(seconds("WatchdogSec") >= 10);
        let ingest = ofd_ingest::IngestConfig::default();
        assert!(seconds("TimeoutStopSec") > 2 * ingest.shutdown_grace_s, "killed before the last commit");
        let files = seconds("LimitNOFILE");
        assert!(files >= u64::try_from(ingest.max_connections).unwrap() + super::SPARE_DESCRIPTORS);
    }

    #[test]
    fn the_shipped_unit_is_read_by_systemd() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fiscald.service");
        // Programs are looked up; neither ours nor `kill` need be on the machine of the test.
        let text = unit().replace("/usr/bin/fiscald", "/bin/sh").replace("/bin/kill", "/bin/sh");
        std::fs::write(&path, text).unwrap();
        match Command::new("systemd-analyze").arg("verify").arg(&path).output() {
            // An unknown key is only a line on stderr, so the exit code alone says nothing.
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let ours: Vec<&str> = said.lines().filter(|line| line.contains("fiscald.service")).collect();
                assert!(output.status.success() && ours.is_empty(), "{said}");
            }
            Err(error) => {
                eprintln!("systemd-analyze is not here ({error}): only the shape of the unit is checked");
                for line in unit().lines().map(str::trim).filter(|line| !line.is_empty()) {
                    let shape = line.starts_with(['#', '[']) || line.split_once('=').is_some();
                    assert!(shape, "{line}");
                }
            }
        }
    }
}
