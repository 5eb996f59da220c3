//! The real HAProxy, with the configuration that is shipped: only addresses are others, and what needs root is left out.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a state may take to come on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node as the balancer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Where registers are passed on to.
    pub registers: u16,
    /// Where its health is asked.
    pub admin: u16,
}

/// A running balancer; killed when dropped.
pub struct Haproxy {
    folder: TempDir,
    child: Option<Child>,
    /// Where registers connect.
    pub registers: SocketAddr,
    stats: SocketAddr,
}

/// The configuration that is shipped.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/haproxy.cfg")
}

/// Runs HAProxy to its end with these arguments.
pub fn run(args: &[&str]) -> Output {
    program().args(args).stdin(Stdio::null()).output().unwrap()
}

/// Debian keeps it where only root looks.
fn program() -> Command {
    let places = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
    let found = places.into_iter().find(|place| Path::new(place).exists());
    Command::new(found.expect(
        "HAProxy is not installed: apt-get install -y --no-install-recommends haproxy, or `cargo xtask test` as root",
    ))
}

impl Haproxy {
    /// Starts a balancer in front of these nodes, on ports that stay free when it is killed.
    pub fn start(nodes: &[Node], free_port: impl Fn() -> u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (registers, stats) = (free_port(), free_port());
        let text = std::fs::read_to_string(shipped()).unwrap();
        std::fs::write(folder.path().join("haproxy.cfg"), adapted(&text, nodes, registers, stats)).unwrap();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut haproxy = Self { folder, child: None, registers: address(registers), stats: address(stats) };
        haproxy.start_again();
        haproxy
    }

    /// Starts it again after [`Haproxy::kill`].
    pub fn start_again(&mut self) {
        let mut command = program();
        command.args(["-db", "-f"]).arg(self.folder.path().join("haproxy.cfg")).stdin(Stdio::null());
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.stats).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "HAProxy does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once, with every connection that goes through it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Column `name` of the statistics, one value for each node.
    pub fn of_nodes(&self, name: &str) -> Vec<String> {
        let text = self.page("/stats;csv");
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
        let place = |wanted: &str| head.iter().position(|column| *column == wanted).unwrap();
        let (of_backend, server, column) = (place("pxname"), place("svname"), place(name));
        lines
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|row| row[of_backend] == "fiscald" && row[server] != "BACKEND")
            // Those for when no node is green are not asked how they are.
            .filter(|row| !row[server].ends_with("-silent"))
            .map(|row| row[column].to_owned())
            .collect()
    }

    /// Waits until exactly these nodes are used.
    pub fn wait_for(&self, up: &[bool]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let states = self.of_nodes("status");
            // "UP 1/2" is on its way down, "DOWN 1/2" on its way up.
            if states.iter().map(|state| state.starts_with("UP")).eq(up.iter().copied()) {
                return;
            }
            assert!(Instant::now() < deadline, "{states:?} where {up:?} was expected");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A page of its statistics.
    pub fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.stats).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.kill();
    }
}

/// It answers in chunks, whatever was asked.
fn dechunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        text.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    text
}

/// The shipped configuration with other addresses.
fn adapted(shipped: &str, nodes: &[Node], registers: u16, stats: u16) -> String {
    let mut text = String::new();
    let mut replaced = 0;
    for line in shipped.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let own = match words.as_slice() {
            // Needs root, or folders that only a service has.
            ["log", "/dev/log", ..] | ["chroot" | "user" | "group", ..] | ["stats", "socket", ..] => {
                String::new()
            }
            // The tests may not be allowed so many descriptors.
            ["maxconn", ..] => "    maxconn 1000".to_owned(),
            ["bind", ":7777"] => format!("    bind 127.0.0.1:{registers}"),
            ["bind", "127.0.0.1:8404"] => format!("    bind 127.0.0.1:{stats}"),
            ["server", "node1", ..] => servers(nodes, ""),
            ["server", "node1-silent", ..] => servers(nodes, "-silent"),
            ["server", ..] => String::new(),
            _ => {
                writeln!(text, "{line}").unwrap();
                continue;
            }
        };
        replaced += 1;
        writeln!(text, "{own}").unwrap();
    }
    assert_eq!(replaced, 14, "the shipped configuration has lines that this harness does not know");
    text
}

/// Those that are asked how they are, or those for when no node is green.
fn servers(nodes: &[Node], kind: &str) -> String {
    let lines = nodes.iter().enumerate().map(|(index, node)| {
        // Several nodes of one machine have an admin port each.
        let health =
            if kind.is_empty() { format!("port {}", node.admin) } else { "no-check backup".to_owned() };
        format!("    server node{index}{kind} 127.0.0.1:{} {health}", node.registers)
    });
    lines.collect::<Vec<_>>().join("\n")
}
