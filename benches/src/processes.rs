//! Whole programs as benchmarks see them: started, asked, measured from outside through `/proc`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "for benchmarks: a broken assumption must stop them at once"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A program of the same build: the benchmark itself lies one folder deeper.
///
/// Ends the process with a hint when it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join(name);
    if !path.exists() {
        eprintln!(
            "{} is not built: cargo build --release -p fiscald -p ofd-sim -p fiscald-baseline",
            path.display()
        );
        std::process::exit(1);
    }
    path
}

/// Counts here stay far below 2^52.
#[must_use]
pub fn real(count: u64) -> f64 {
    u32::try_from(count).map_or_else(|_| count.to_string().parse().unwrap(), f64::from)
}

/// The median of figures, and how far they lie apart as a share of it. Zeros without figures.
#[must_use]
pub fn median_and_spread(figures: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (figures.first(), figures.last()) else { return (0.0, 0.0) };
    let half = figures.len() / 2;
    let median =
        if figures.len() % 2 == 1 { figures[half] } else { f64::midpoint(figures[half - 1], figures[half]) };
    (median, if median > 0.0 { (last - first) / median } else { 0.0 })
}

/// Cores and load of the machine.
#[must_use]
pub fn machine() -> Value {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({ "cores": cores, "load": load.split(' ').next() })
}

/// Busy and all processor time of the machine so far, ticks.
#[must_use]
pub fn machine_ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let first = stat.lines().next().unwrap();
    let ticks: Vec<f64> =
        first.split_whitespace().skip(1).take(8).map(|tick| tick.parse().unwrap()).collect();
    let all: f64 = ticks.iter().sum();
    (all - ticks[3] - ticks[4], all)
}

/// Waits until the machine is idle but for `most_busy` of it, half a second long, at most `patience`. Whether it is, and
/// the load average then.
#[must_use]
pub fn wait_for_quiet(most_busy: f64, patience: Duration) -> (bool, String) {
    let deadline = Instant::now() + patience;
    loop {
        let before = machine_ticks();
        std::thread::sleep(Duration::from_millis(500));
        let after = machine_ticks();
        let quiet = (after.0 - before.0) / (after.1 - before.1).max(1.0) <= most_busy;
        if quiet || Instant::now() >= deadline {
            let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
            return (quiet, load.split(' ').next().unwrap_or_default().to_owned());
        }
    }
}

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// User and system time, seconds.
    pub cpu_s: f64,
    /// Bytes that it had the disk write.
    pub written: u64,
}

impl Process {
    /// Takes over a child.
    #[must_use]
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// What it has used so far.
    #[must_use]
    pub fn used(&self) -> Used {
        let io = fs::read_to_string(self.folder().join("io")).unwrap();
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
        Used { cpu_s: cpu_s(&self.folder().join("stat")), written: written.parse().unwrap() }
    }

    /// CPU seconds of its threads, by name; those of threads that ended are not among them.
    #[must_use]
    pub fn threads(&self) -> BTreeMap<String, f64> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(self.folder().join("task")).unwrap().flatten() {
            // A thread may end in between.
            let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
            *threads.entry(name.trim().to_owned()).or_default() += cpu_s(&entry.path().join("stat"));
        }
        threads
    }

    /// A size of `/proc/PID/status` in bytes: `VmRSS`, `VmHWM`.
    #[must_use]
    pub fn memory(&self, which: &str) -> u64 {
        let status = fs::read_to_string(self.folder().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "process {pid} does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose: what it wrote goes with it.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// User and system time of a `stat` file of `/proc`, seconds.
fn cpu_s(stat: &Path) -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    let per_second = TICKS.get_or_init(|| {
        let ticks = Command::new("getconf").arg("CLK_TCK").output().unwrap();
        String::from_utf8(ticks.stdout).unwrap().trim().parse().unwrap()
    });
    let Ok(stat) = fs::read_to_string(stat) else { return 0.0 };
    // The name in brackets may hold spaces; user and system time are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / per_second
}

/// The daemon with the published test keys, every ФН accepted.
#[derive(Debug)]
pub struct Daemon {
    /// The process.
    pub process: Process,
    /// Where registers connect.
    pub registers: String,
    /// Where metrics are.
    pub admin: String,
}

impl Daemon {
    /// Starts it with its store in `folder` (`bench.db`) and further settings, and waits until it is ready.
    #[must_use]
    pub fn start(program: &Path, folder: &Path, settings: &[(String, String)]) -> Self {
        let mut child = Command::new(program)
            .arg("serve")
            .current_dir(folder)
            .envs([
                ("FISCALD__OPERATOR__INN", "7704211201"),
                ("FISCALD__INGEST__LISTEN", "127.0.0.1:0"),
                ("FISCALD__ADMIN__LISTEN", "127.0.0.1:0"),
                ("FISCALD__SIGNS__TEST", "true"),
                ("FISCALD__REGISTRATION__UNKNOWN_FN", "accept"),
                ("FISCALD__STORE__URL", "sqlite:bench.db"),
                ("FISCALD__LOG__FORMAT", "json"),
                ("FISCALD__LOG__FILTER", "info"),
            ])
            .envs(settings.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process::new(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut said = Vec::new();
        let ready = loop {
            assert!(Instant::now() < deadline, "fiscald is not ready after 60 s");
            let Some(line) = lines.next() else { panic!("fiscald ended before it was ready: {said:#?}") };
            let line = line.unwrap();
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            if value["message"].as_str().is_some_and(|message| message.starts_with("ready")) {
                break value;
            }
            said.push(line);
        };
        // A pipe that nobody empties would stop the daemon. What it complains about belongs beside the figures.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                if matches!(value["level"].as_str(), Some("WARN" | "ERROR")) {
                    eprintln!("fiscald: {line}");
                }
            }
        });
        let address = |member: &str| ready[member].as_str().unwrap_or_default().to_owned();
        Self { process, registers: address("registers"), admin: address("admin") }
    }

    /// Its metrics: name with labels as it is printed, value.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let page = get(&self.admin, "/metrics");
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, v)| (name.to_owned(), v.parse().unwrap()))
            .collect()
    }
}

/// A bare server of `benches/baseline`.
#[derive(Debug)]
pub struct Baseline {
    /// The process.
    pub process: Process,
    /// Where registers connect.
    pub registers: String,
}

impl Baseline {
    /// Starts it in `folder` with these arguments and waits until it is ready.
    #[must_use]
    pub fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let process = Process::new(child);
        let registers = ready.trim().strip_prefix("ready ").expect("the baseline ended before it was ready");
        Self { process, registers: registers.to_owned() }
    }
}

/// The simulated tax service behind mutual TLS, in a process of its own.
#[derive(Debug)]
pub struct FnsSim {
    /// The process.
    pub process: Process,
    url: String,
    control: String,
    certificates: PathBuf,
}

impl FnsSim {
    /// Starts it with its certificates in `certificates` (made when absent) and waits until it is ready.
    #[must_use]
    pub fn start(program: &Path, certificates: &Path) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--write-certs"])
            .arg(certificates)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let process = Process::new(child);
        let ready = lines.next().expect("fns-sim ended before it was ready").unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let mut words = ready.split_whitespace().skip(1);
        let url = words.next().unwrap().to_owned();
        let control = words.nth(1).unwrap().trim_start_matches("http://").to_owned();
        Self { process, url, control, certificates: certificates.to_owned() }
    }

    /// The daemon's settings to forward to it, unknown ФН too.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let file = |name: &str| self.certificates.join(name).display().to_string();
        [
            ("URL", self.url.clone()),
            ("OFD_ID", "ofd1".to_owned()),
            ("CA", file("ca.pem")),
            ("CERT", file("client.pem")),
            ("KEY", file("client.key")),
            ("FORWARD_UNKNOWN", "true".to_owned()),
        ]
        .map(|(key, value)| (format!("FISCALD__FNS__{key}"), value))
        .into()
    }

    /// Counts of its control port: `/sim/requests`.
    #[must_use]
    pub fn requests(&self) -> Value {
        serde_json::from_str(&get(&self.control, "/sim/requests")).unwrap()
    }

    /// Documents that it has.
    #[must_use]
    pub fn documents(&self) -> u64 {
        let page = get(&self.control, "/sim/documents?limit=1");
        serde_json::from_str::<Value>(&page).unwrap()["total"].as_u64().unwrap()
    }

    /// Whether it has documents without a verdict.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let page = get(&self.control, "/sim/documents?limit=1&verdict=waiting");
        serde_json::from_str::<Value>(&page).unwrap()["documents"]
            .as_array()
            .is_some_and(|found| !found.is_empty())
    }
}

/// Runs `kkt-sim` to its end; what it printed as JSON. Its words are shown when it reports errors.
#[must_use]
pub fn kkt_sim(program: &Path, registers: &str, arguments: &[&str]) -> Value {
    kkt_sim_with_words(program, registers, arguments).0
}

/// Runs `kkt-sim` to its end; what it printed as JSON, and its words. These are shown when it reports errors.
#[must_use]
pub fn kkt_sim_with_words(program: &Path, registers: &str, arguments: &[&str]) -> (Value, String) {
    let output: Output = Command::new(program)
        .args(arguments)
        .args(["--to", registers, "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        eprintln!("kkt-sim {arguments:?}:\n{said}");
    }
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("kkt-sim {arguments:?}: {said}"));
    (report, said)
}

/// The body of a plain HTTP answer.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    body.to_owned()
}
