//! A journal that filled while the tax service was away, and what its drain takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fiscald_benches::processes::{Daemon, FnsSim, Used, kkt_sim, median_and_spread, real};
use serde_json::{Value, json};

use super::{Programs, Settings, busy_threads};

/// Receipts of one run of `kkt-sim` while filling: it makes them all in memory.
const CHUNK: u64 = 250_000;
/// Documents that a register sends before its receipts.
const OPENING: u64 = 2;
/// Registers of the trickle, and seconds of one run of it.
const TRICKLE: (u64, u64) = (50, 5);
/// Runs of the trickle before the drain, for comparison.
const QUIET_RUNS: usize = 4;
const SAMPLE: Duration = Duration::from_millis(500);
const MIB: f64 = 1_048_576.0;

/// One look while it drains.
struct Sample {
    seconds: f64,
    /// Documents that the service has.
    delivered: u64,
    /// Documents with a verdict, as the daemon counts.
    settled: f64,
    rss: u64,
}

/// Latency of the trickle, microseconds: p50 and p99 of each run.
type Latency = Vec<(f64, f64)>;

/// The figures.
pub(super) struct Backlog {
    documents: u64,
    fill_s: f64,
    journal_bytes: u64,
    seconds: f64,
    daemon: Used,
    fns_cpu_s: f64,
    rss_at_start: u64,
    peak: u64,
    growth: f64,
    samples: Vec<Sample>,
    quiet: Latency,
    draining: Latency,
    batches: f64,
    trickled: u64,
    threads: String,
    states: String,
    /// What does not agree between both sides.
    faults: Vec<String>,
}

/// Fills, drains, compares.
pub(super) fn run(programs: &Programs, settings: &Settings) -> Backlog {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let daemon = Daemon::start(&programs.fiscald, folder.path(), &[]);
    let documents = fill(programs, settings, &daemon);
    let fill_s = began.elapsed().as_secs_f64();
    eprintln!("{documents} documents received in {fill_s:.0} s, preparation included");
    let mut trickle = Trickle { programs, rate: settings.trickle, runs: 0, documents: 0 };
    let quiet: Latency = (0..QUIET_RUNS).filter_map(|_| trickle.run(&daemon)).collect();
    daemon.process.stop();
    let documents = documents + trickle.documents;
    trickle.documents = 0;
    let journal_bytes = store_size(folder.path());
    let sim = FnsSim::start(&programs.fns_sim, &folder.path().join("certs"));
    let daemon = Daemon::start(&programs.fiscald, folder.path(), &sim.settings());
    let drained = drain(&daemon, &sim, documents, &mut trickle);
    let all = documents + trickle.documents;
    let (states, faults) = agree(&daemon, &sim, all);
    let batches = sum(&daemon.metrics(), "fns_send_total");
    let (peak, threads) = (daemon.process.memory("VmHWM"), busy_threads(&daemon.process));
    daemon.process.stop();
    let per_document = real(journal_bytes) / real(documents);
    let growth =
        real(store_size(folder.path())) - real(journal_bytes) - real(trickle.documents) * per_document;
    Backlog {
        documents,
        fill_s,
        journal_bytes,
        seconds: drained.seconds,
        daemon: drained.daemon,
        fns_cpu_s: drained.fns_cpu_s,
        rss_at_start: drained.rss_at_start,
        peak,
        growth,
        samples: drained.samples,
        quiet,
        draining: drained.latency,
        batches,
        trickled: trickle.documents,
        threads,
        states,
        faults,
    }
}

/// Sends the backlog through the real reception, with forwarding off. How many documents it came to.
fn fill(programs: &Programs, settings: &Settings, daemon: &Daemon) -> u64 {
    let mut documents = 0;
    let mut left = settings.backlog;
    let mut base: u64 = 1_000_000;
    while left > 0 {
        let chunk = left.min(CHUNK);
        let [registers, amount, first] = [settings.registers, chunk, base].map(|number| number.to_string());
        let arguments = ["load", "--registers", &registers, "--documents", &amount, "--base", &first];
        let kind = ["--items", "retail", "--encrypted", "33", "--mode", "window=16"];
        let report = kkt_sim(&programs.kkt_sim, &daemon.registers, &[&arguments[..], &kind].concat());
        assert_eq!(report["documents"].as_u64(), Some(chunk), "{report}");
        documents += chunk + OPENING * settings.registers.min(chunk);
        base += settings.registers;
        left -= chunk;
    }
    documents
}

/// Registers that go on sending.
struct Trickle<'p> {
    programs: &'p Programs,
    rate: u64,
    runs: u64,
    /// Documents that it sent.
    documents: u64,
}

impl Trickle<'_> {
    /// One run: p50 and p99, microseconds. Nothing without a rate.
    fn run(&mut self, daemon: &Daemon) -> Option<(f64, f64)> {
        let (registers, seconds) = TRICKLE;
        if self.rate == 0 {
            return None;
        }
        self.runs += 1;
        let numbers = [registers, self.rate * seconds, self.rate, 500_000_000 + self.runs * registers];
        let [registers_text, documents, rate, base] = numbers.map(|number| number.to_string());
        let amount = ["load", "--registers", &registers_text, "--documents", &documents, "--base", &base];
        let kind = ["--rate", &rate, "--items", "retail", "--encrypted", "33"];
        let report = kkt_sim(&self.programs.kkt_sim, &daemon.registers, &[&amount[..], &kind].concat());
        assert_eq!(report["errors"].as_u64(), Some(0), "{report}");
        self.documents += report["documents"].as_u64().unwrap() + OPENING * registers;
        let figure = |member: &str| real(report[member].as_u64().unwrap());
        Some((figure("p50_us"), figure("p99_us")))
    }
}

/// What the drain took.
struct Drained {
    seconds: f64,
    daemon: Used,
    fns_cpu_s: f64,
    rss_at_start: u64,
    samples: Vec<Sample>,
    latency: Latency,
}

/// From the daemon's start until so many documents have a verdict. What comes in meanwhile comes behind them.
fn drain(daemon: &Daemon, sim: &FnsSim, documents: u64, trickle: &mut Trickle<'_>) -> Drained {
    let began = Instant::now();
    let (before, fns_before) = (daemon.process.used(), sim.process.used());
    let rss_at_start = daemon.process.memory("VmRSS");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let latency = scope.spawn(|| {
            let mut latency = Latency::new();
            while !over.load(Ordering::Relaxed) {
                match trickle.run(daemon) {
                    Some(run) => latency.push(run),
                    None => break,
                }
            }
            latency
        });
        let mut samples: Vec<Sample> = Vec::new();
        let mut told = Instant::now();
        while samples.last().is_none_or(|sample| sample.settled < real(documents)) {
            std::thread::sleep(SAMPLE);
            let sample = Sample {
                seconds: began.elapsed().as_secs_f64(),
                delivered: sim.documents(),
                settled: settled(&daemon.metrics()),
                rss: daemon.process.memory("VmRSS"),
            };
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                eprintln!("{}", sample.line());
            }
            samples.push(sample);
        }
        let (after, fns_after) = (daemon.process.used(), sim.process.used());
        let seconds = began.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        Drained {
            seconds,
            daemon: Used { cpu_s: after.cpu_s - before.cpu_s, written: after.written - before.written },
            fns_cpu_s: fns_after.cpu_s - fns_before.cpu_s,
            rss_at_start,
            samples,
            latency: latency.join().unwrap(),
        }
    })
}

/// Waits until everything has its verdict, then compares both sides: states of the outbox, and what does not agree.
fn agree(daemon: &Daemon, sim: &FnsSim, documents: u64) -> (String, Vec<String>) {
    let depth = |metrics: &BTreeMap<String, f64>, state: &str| {
        metrics.get(&format!("fns_outbox_depth{{state=\"{state}\"}}")).copied().unwrap_or(f64::NAN)
    };
    let ended = |metrics: &BTreeMap<String, f64>| {
        ["accepted", "soft", "hard", "dead"].iter().map(|state| depth(metrics, state)).sum::<f64>()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut metrics = daemon.metrics();
    while ended(&metrics) < real(documents) && Instant::now() < deadline {
        std::thread::sleep(SAMPLE);
        metrics = daemon.metrics();
    }
    let mut faults = Vec::new();
    let mut check = |what: &str, is: f64, expected: f64| {
        if (is - expected).abs() > 0.5 {
            faults.push(format!("{what}: {is} instead of {expected}"));
        }
    };
    check("documents with a verdict", ended(&metrics), real(documents));
    check("documents at the service", real(sim.documents()), real(documents));
    for state in ["new", "in_flight", "delivered", "dead", "waiting"] {
        check(state, depth(&metrics, state), 0.0);
    }
    check("backlog", sum(&metrics, "fns_outbox_backlog_documents"), 0.0);
    check("the service owes verdicts", f64::from(u8::from(sim.has_waiting())), 0.0);
    let states =
        ["accepted", "soft", "hard", "dead"].map(|state| format!("{state} {}", depth(&metrics, state)));
    (states.join(", "), faults)
}

/// Documents with a verdict: final ones are counted when they come, soft ones stand in the outbox.
fn settled(metrics: &BTreeMap<String, f64>) -> f64 {
    let count = |verdict: &str| sum(metrics, &format!("fns_docs_total{{verdict=\"{verdict}\""));
    count("accepted") + count("hard") + sum(metrics, "fns_outbox_depth{state=\"soft\"")
}

fn sum(metrics: &BTreeMap<String, f64>, prefix: &str) -> f64 {
    metrics.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value).sum()
}

/// Bytes of the store's files.
fn store_size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap().flatten();
    let of_store = files.filter(|file| file.file_name().to_string_lossy().starts_with("bench.db"));
    of_store.map(|file| file.metadata().unwrap().len()).sum()
}

impl Sample {
    fn line(&self) -> String {
        format!(
            "{:>8.1} {:>10} {:>10.0} {:>9.1}",
            self.seconds,
            self.delivered,
            self.settled,
            real(self.rss) / MIB
        )
    }
}

impl Backlog {
    /// Smallest, median, largest resident memory while it drained.
    fn memory(&self) -> [u64; 3] {
        let mut all: Vec<u64> = self.samples.iter().map(|sample| sample.rss).collect();
        all.sort_unstable();
        [all[0], all[all.len() / 2], all[all.len() - 1]]
    }

    fn daemon_us(&self) -> f64 {
        self.daemon.cpu_s * 1e6 / real(self.documents)
    }

    fn fns_us(&self) -> f64 {
        self.fns_cpu_s * 1e6 / real(self.documents)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "documents": self.documents, "seconds": self.seconds,
            "documents_per_second": real(self.documents) / self.seconds,
            "cpu_us_per_document": self.daemon_us(), "fns_sim_cpu_us_per_document": self.fns_us(),
            "rss_bytes": self.memory(), "rss_bytes_at_start": self.rss_at_start, "rss_bytes_peak": self.peak,
            "journal_bytes": self.journal_bytes, "growth_bytes_per_document": self.growth / real(self.documents),
            "written_bytes_per_document": real(self.daemon.written) / real(self.documents),
            "batches": self.batches, "trickled": self.trickled,
            "quiet_us": latency(&self.quiet), "draining_us": latency(&self.draining),
            "states": self.states, "faults": self.faults,
        })
    }

    pub(super) fn print(&self) {
        let (count, mib) = (real(self.documents), |bytes: u64| real(bytes) / MIB);
        println!(
            "\nbacklog: {} documents, {:.0} MiB of journal, received in {:.0} s",
            self.documents,
            mib(self.journal_bytes),
            self.fill_s
        );
        println!(
            "drained in {:.1} s = {:.0} documents/s, {:.0} requests",
            self.seconds,
            count / self.seconds,
            self.batches
        );
        println!(
            "CPU a document: fiscald {:.0} us ({:.1} s), fns-sim {:.0} us ({:.1} s)",
            self.daemon_us(),
            self.daemon.cpu_s,
            self.fns_us(),
            self.fns_cpu_s
        );
        println!("CPU s by thread since its start: {}", self.threads);
        let [least, median, most] = self.memory().map(mib);
        println!(
            "resident memory: {:.1} MiB at the start; least {least:.1}, median {median:.1}, most {most:.1}; peak {:.1}",
            mib(self.rss_at_start),
            mib(self.peak)
        );
        println!(
            "a document adds {:.0} bytes to the file; {:.0} written for it",
            self.growth / count,
            real(self.daemon.written) / count
        );
        let trickles = [("before", &self.quiet), ("during", &self.draining)];
        for (name, runs) in trickles.into_iter().filter(|(_, runs)| !runs.is_empty()) {
            let [p50, p99, worst] = latency(runs);
            println!(
                "trickle {name} the drain, {} runs: p50 {p50:.0} us, p99 {p99:.0} us, worst p99 {worst:.0} us",
                runs.len()
            );
        }
        println!(
            "states: {}; of {} documents, {} of them of the trickle",
            self.states,
            self.documents + self.trickled,
            self.trickled
        );
        match self.faults.as_slice() {
            [] => println!("both sides agree"),
            faults => println!("BOTH SIDES DO NOT AGREE: {}", faults.join("; ")),
        }
        println!("{:>8} {:>10} {:>10} {:>9}", "s", "delivered", "verdicts", "RSS MiB");
        let step = (self.samples.len() / 12).max(1);
        let last = self.samples.len() - 1;
        for (index, sample) in self.samples.iter().enumerate() {
            if index % step == 0 || index == last {
                println!("{}", sample.line());
            }
        }
    }
}

/// Medians of p50 and p99 over the runs, and the largest p99.
fn latency(runs: &Latency) -> [f64; 3] {
    let worst = runs.iter().map(|run| run.1).fold(0.0, f64::max);
    [
        median_and_spread(runs.iter().map(|run| run.0)).0,
        median_and_spread(runs.iter().map(|run| run.1)).0,
        worst,
    ]
}
