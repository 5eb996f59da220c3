//! The processes of a server: started, stopped, killed, made to stand still, and never left behind.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::programs::Programs;

/// A loaded machine may take its time, and recovery after a crash too.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Ends the server and removes its folder when the process that started it is gone. It holds the other end of a pipe
/// that the system closes then, and stands in a group of its own, so that no signal for the tests reaches it.
const WATCHER: &str = r#"
trap '' INT TERM HUP QUIT
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
ours() { [ -n "$pid" ] && grep -qs -- "$1" "/proc/$pid/cmdline"; }
if ours "$1"; then
    family="$pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)"
    kill -QUIT "$pid"
    kill -CONT $family
    tries=0
    while ours "$1" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    ours "$1" && kill -KILL $family
fi
rm -rf -- "$1"
"#;

/// Starts the watcher; it acts when the child's standard input is closed.
pub(crate) fn watch(folder: &Path) -> Child {
    let mut watcher = Command::new("sh");
    watcher.args(["-c", WATCHER, "watcher"]).arg(folder).process_group(0);
    watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    watcher.spawn().unwrap_or_else(|error| panic!("cannot start sh: {error}"))
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    postmaster: Child,
    data: PathBuf,
}

impl Server {
    /// Starts the server of a data folder and waits until it takes connections; `Err` is the end of its log.
    pub(crate) fn start(folder: &Path) -> Result<Self, String> {
        let data = folder.join("data");
        let log_path = folder.join("log");
        let log = File::options().create(true).append(true).open(&log_path).unwrap();
        let mut command = Programs::find().command("postgres", folder);
        command.arg("-D").arg(&data).stdout(log.try_clone().unwrap()).stderr(log);
        // An interrupt from the keyboard is for the tests; they stop the server themselves.
        command.process_group(0);
        let postmaster = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let mut server = Self { postmaster, data };
        let deadline = Instant::now() + PATIENCE;
        while !server.is_ready() {
            if server.has_ended() {
                return Err(last_lines(&log_path));
            }
            assert!(Instant::now() < deadline, "the server does not start:\n{}", last_lines(&log_path));
            std::thread::sleep(POLL);
        }
        Ok(server)
    }

    /// The server writes its state into the eighth line of the file that holds its process number.
    fn is_ready(&self) -> bool {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        let pid = lines.next().and_then(|pid| pid.trim().parse::<u32>().ok());
        pid == Some(self.postmaster.id()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.postmaster.try_wait().unwrap().is_some()
    }

    /// Number of the first process.
    pub(crate) fn pid(&self) -> u32 {
        self.postmaster.id()
    }

    /// Asks the server to end and waits for that; who does not end in time is killed.
    pub(crate) fn stop(&mut self, signal: Signal) {
        self.signal_family(Signal::CONT);
        self.signal_postmaster(signal);
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() {
            if Instant::now() > deadline {
                self.kill();
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends every process at once, as the loss of the machine does. What the server holds outside its folder stays behind,
    /// as it would; the returned files are to be removed if it never starts again.
    pub(crate) fn kill(&mut self) -> Vec<PathBuf> {
        // Nobody new while we look who is there.
        self.signal_postmaster(Signal::STOP);
        let children = children(self.pid());
        let mut left = shared_memory(self.pid());
        left.extend(children.iter().flat_map(|child| shared_memory(*child)));
        self.signal_postmaster(Signal::KILL);
        for child in &children {
            signal(*child, Signal::KILL);
        }
        self.postmaster.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while children.iter().any(|child| is_alive(*child)) {
            assert!(Instant::now() < deadline, "a backend does not end");
            std::thread::sleep(POLL);
        }
        left
    }

    /// To the postmaster and all of its children.
    pub(crate) fn signal_family(&self, what: Signal) {
        // The postmaster is first to stand still: it starts nobody then.
        self.signal_postmaster(what);
        for child in children(self.pid()) {
            signal(child, what);
        }
    }

    fn signal_postmaster(&self, what: Signal) {
        signal(self.pid(), what);
    }
}

/// Whoever is gone already needs no signal.
fn signal(pid: u32, what: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, what);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if status(child).is_some_and(|(_, parent)| parent == pid) {
            found.push(child);
        }
    }
    found
}

/// A process that has ended may wait for somebody to ask how.
fn is_alive(pid: u32) -> bool {
    status(pid).is_some_and(|(state, _)| state != 'Z')
}

/// State and parent of a process.
fn status(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "123 (name with ) signs) S 1 ..."
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// What a killed process leaves in the system's shared memory.
fn shared_memory(pid: u32) -> Vec<PathBuf> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().filter_map(|line| Some(line.split_at(line.find("/dev/shm/PostgreSQL.")?).1.into())).collect()
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}
