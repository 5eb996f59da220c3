//! What a run costs in processor time: the sender itself, the processes it is told to watch, the whole machine.
//!
//! Sender and server usually share one machine: a rate means nothing without knowing what else worked meanwhile.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Processor time of a measured run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Microseconds of this process for each document, preparation not among them.
    pub(crate) sender_cpu_us: f64,
    /// Microseconds of the watched processes and their children for each document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) watched_cpu_us: Option<f64>,
    /// How much of the machine had nothing to do; waiting for a disk is that too.
    pub(crate) idle_share: f64,
    /// How much of the machine neither this process nor a watched one had: the kernel's own threads, strangers, and what
    /// the host took away.
    pub(crate) foreign_share: f64,
}

/// Seconds so far.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    own: f64,
    watched: f64,
    idle: f64,
    all: f64,
}

/// The readings of one moment, to be compared with those of a later one.
#[derive(Debug)]
pub(crate) struct Meter {
    watch: Vec<u32>,
    begin: Reading,
}

impl Meter {
    pub(crate) fn start(watch: &[u32]) -> Self {
        Self { watch: watch.to_vec(), begin: Reading::now(watch) }
    }

    /// What was used since the start, for so many documents.
    pub(crate) fn stop(&self, documents: u64) -> Cost {
        let (begin, end) = (self.begin, Reading::now(&self.watch));
        let documents = f64::from(u32::try_from(documents.max(1)).unwrap_or(u32::MAX));
        let all = (end.all - begin.all).max(f64::EPSILON);
        let (own, watched, idle) = (end.own - begin.own, end.watched - begin.watched, end.idle - begin.idle);
        Cost {
            sender_cpu_us: own * 1e6 / documents,
            watched_cpu_us: (!self.watch.is_empty()).then_some(watched * 1e6 / documents),
            idle_share: idle / all,
            foreign_share: ((all - idle - own - watched) / all).max(0.0),
        }
    }
}

impl Reading {
    fn now(watch: &[u32]) -> Self {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u32::try_from(own.tv_sec).map_or(0.0, f64::from);
        let own = seconds + u32::try_from(own.tv_nsec).map_or(0.0, f64::from) / 1e9;
        let tick = 1.0 / f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100));
        let watched =
            processes().filter(|process| process.is_watched(watch)).map(|process| process.ticks).sum::<f64>();
        let (idle, all) = machine(&fs::read_to_string("/proc/stat").unwrap_or_default());
        Self { own, watched: watched * tick, idle: idle * tick, all: all * tick }
    }
}

/// Idle ticks and all ticks of the machine: user, nice, system, idle, waiting for a disk, interrupts, soft ones, stolen.
fn machine(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).take(8).filter_map(|tick| tick.parse().ok()).collect();
    (ticks.iter().skip(3).take(2).sum(), ticks.iter().sum())
}

/// A line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    id: u32,
    parent: u32,
    /// User and system time.
    ticks: f64,
}

impl Process {
    fn is_watched(&self, watch: &[u32]) -> bool {
        watch.contains(&self.id) || watch.contains(&self.parent)
    }

    fn read(stat: &str) -> Option<Self> {
        // The name in brackets may hold spaces and brackets.
        let (head, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let user: f64 = fields.nth(9)?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some(Self { id: head.split(' ').next()?.parse().ok()?, parent, ticks: user + system })
    }
}

/// All processes that can be read; one that ends meanwhile is left out.
fn processes() -> impl Iterator<Item = Process> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = folders
        .filter(|folder| folder.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    numbered.filter_map(|folder| Process::read(&fs::read_to_string(folder.path().join("stat")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let stat = "4242 (a (b) c) S 17 4242 4242 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 3 0 99";
        assert_eq!(Process::read(stat), Some(Process { id: 4242, parent: 17, ticks: 200.0 }));
        assert_eq!(Process::read("4242 (a"), None);
        assert_eq!(machine("cpu  1 2 3 40 5 6 7 8 9 10\ncpu0 1"), (45.0, 72.0));
        assert_eq!(machine(""), (0.0, 0.0));
    }

    #[test]
    fn own_work_is_seen_and_shares_are_shares() {
        let me = std::process::id();
        let meter = Meter::start(&[me]);
        let mut sum = 0_u64;
        // Until the ticks of the kernel have seen it too.
        let cost = loop {
            sum = (0..1_000_000).fold(sum, |sum, next| std::hint::black_box(sum ^ next));
            let cost = meter.stop(1);
            if cost.watched_cpu_us.unwrap() > 0.0 {
                break cost;
            }
        };
        assert!(cost.sender_cpu_us > 0.0, "{cost:?}");
        assert!(
            (0.0..=1.0).contains(&cost.idle_share) && (0.0..=1.0).contains(&cost.foreign_share),
            "{cost:?}"
        );
    }
}
