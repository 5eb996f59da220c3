//! The real `fiscald`, started on free ports in a folder of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a daemon may take for what is asked of it, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Path of one of the programs, beside the test that runs.
pub fn program(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    while folder.file_name().is_some_and(|name| name != "debug" && name != "release") {
        folder.pop();
    }
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built; run the tests by `cargo xtask test`", path.display());
    path
}

/// Settings of a daemon about to be started; what is not said is the default.
#[derive(Clone)]
pub struct Setup {
    folder: Arc<TempDir>,
    settings: HashMap<String, String>,
}

impl Setup {
    /// A daemon with the published test keys, signs required, unknown ФН accepted, everything on free ports.
    pub fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut setup = Self { folder, settings: HashMap::new() };
        setup.set("operator.inn", "7704211201");
        setup.set("ingest.listen", "127.0.0.1:0");
        setup.set("admin.listen", "127.0.0.1:0");
        setup.set("signs.test", "true");
        setup.set("registration.unknown_fn", "accept");
        setup.set("store.min_free_mib", "1");
        setup.set("log.format", "json");
        setup.set("log.filter", "info");
        let url = format!("sqlite:{}", setup.folder.path().join("fiscald.db").display());
        setup.set("store.url", &url);
        setup
    }

    /// Sets one key, as `section.key`.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a variable of the environment that is no setting, for example `LD_PRELOAD`.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    fn set(&mut self, key: &str, value: &str) {
        let name = format!("FISCALD__{}", key.replace('.', "__").to_uppercase());
        self.settings.insert(name, value.to_owned());
    }

    /// The folder that holds the store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command of `fiscald` with these settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("fiscald"));
        command.args(args).envs(&self.settings).current_dir(self.folder.path());
        command
    }

    /// Runs a command of `fiscald` to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and reads its standard output as JSON.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// The whole journal as `export --as jsonl` gives it.
    pub fn export(&self) -> Vec<serde_json::Value> {
        let output = self.run(&["export", "--as", "jsonl"]);
        assert!(output.status.success(), "export: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts the daemon and waits until it takes documents.
    pub fn start(&self) -> Daemon {
        self.start_by(self.command(&["serve"]))
    }

    /// The same with a command the caller has changed, see [`Self::command`].
    pub fn start_by(&self, command: Command) -> Daemon {
        let mut daemon = spawn(command);
        daemon.registers = daemon.address("registers");
        daemon.admin = daemon.address("admin");
        daemon
    }

    /// The same for a daemon that takes no documents and has no port for registers.
    pub fn start_forwarder_by(&self, command: Command) -> Daemon {
        let mut daemon = spawn(command);
        daemon.admin = daemon.address("admin");
        daemon
    }

    /// Starts a daemon that may refuse to run; `None` when it ended instead.
    pub fn try_start(&self) -> Option<Daemon> {
        let mut daemon = spawn(self.command(&["serve"]));
        let deadline = Instant::now() + PATIENCE;
        while daemon.ready_line().is_none() {
            if daemon.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "neither ready nor ended:\n{}", daemon.log().join("\n"));
            std::thread::sleep(Duration::from_millis(10));
        }
        daemon.registers = daemon.address("registers");
        daemon.admin = daemon.address("admin");
        Some(daemon)
    }
}

/// Starts the command and collects its log; the addresses are not known yet.
fn spawn(mut command: Command) -> Daemon {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let stderr = child.stderr.take().unwrap();
    let lines = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
    Daemon { child, log, registers: ([127, 0, 0, 1], 0).into(), admin: ([127, 0, 0, 1], 0).into() }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Where registers connect.
    pub registers: SocketAddr,
    /// Where `/metrics`, `/healthz` and `/readyz` are.
    pub admin: SocketAddr,
}

impl Daemon {
    /// Waits for the log line that says the daemon is ready and takes one of its two addresses from it.
    fn address(&mut self, port: &str) -> SocketAddr {
        self.wait_for(&format!("the {port} port"), |daemon| {
            Some(daemon.ready_line()?[port].as_str()?.parse().unwrap())
        })
    }

    fn ready_line(&self) -> Option<serde_json::Value> {
        self.log().iter().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["message"].as_str()?.starts_with("ready").then_some(line)
        })
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the question has an answer; fails with the log after 20 seconds or when the daemon has ended.
    pub fn wait_for<T>(&mut self, what: &str, mut question: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = question(self) {
                return answer;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "fiscald ended ({ended:?}) before {what}:\n{}", self.log().join("\n"));
            assert!(Instant::now() < deadline, "no {what} in 20 s:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request to the admin port: status and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Sum of all samples of a metric whose labels contain each given `name="value"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (status, text) = self.admin("/metrics");
        assert_eq!(status, 200);
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// The most memory the process ever had in use, in KiB (`VmHWM`).
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Process number, for signals.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, for example `TERM`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Ends the daemon at once, as a power cut does for a process.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and waits for that.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the end of a daemon that was told to stop.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "still running 30 s after the signal:\n{}",
                self.log().join("\n")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A daemon that has ended already answers with an error nobody needs.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
