//! The real `fns-sim` with mutual TLS on free ports, and the daemon's settings that lead to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Setup, program};

/// How long the other side may take for what is asked of it, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running simulator of the tax service; killed when dropped. Its folder outlives a restart.
pub struct Tax {
    child: Child,
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    /// Where the tax service listens.
    pub address: SocketAddr,
    /// Where it is told what to do.
    pub control: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Tax {
    /// A simulator that makes cards by itself.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with arguments of `fns-sim serve`, for example `--auto-card off`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::spawn(Arc::new(tempfile::tempdir().unwrap()), arguments, "127.0.0.1:0".parse().unwrap())
    }

    fn spawn(folder: Arc<TempDir>, arguments: Vec<String>, listen: SocketAddr) -> Self {
        let mut child = Command::new(program("fns-sim"))
            .args(["serve", "--control", "127.0.0.1:0", "--listen", &listen.to_string()])
            .arg("--write-certs")
            .arg(folder.path().join("certs"))
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let port = |after: &str| -> SocketAddr {
            let url = first.split_whitespace().skip_while(|word| *word != after).nth(1);
            let url =
                url.unwrap_or_else(|| panic!("no ready line: {first}\n{}", log.lock().unwrap().join("\n")));
            url.split("://").nth(1).unwrap().parse().unwrap()
        };
        let (address, control) = (port("ready:"), port("control"));
        Self { child, folder, arguments, address, control, log }
    }

    /// Ends it by a signal, such as `KILL`, and starts it anew on the same port, with the same certificates and arguments.
    #[must_use]
    pub fn restart(mut self, end_by: &str) -> Self {
        self.end(end_by);
        self.again()
    }

    /// Ends it by a signal.
    pub fn end(&mut self, by: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{by}"), &pid]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    /// Starts one that has ended anew, on the same port, with the same certificates and arguments.
    #[must_use]
    pub fn again(self) -> Self {
        Self::spawn(Arc::clone(&self.folder), self.arguments.clone(), self.address)
    }

    /// The folder that holds the certificates and whatever else a test puts there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of its certificates, such as `ca.pem`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join("certs").join(name)
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Settings of a daemon that forwards to it with short periods, for a compressed clock.
    pub fn serve(&self, setup: Setup) -> Setup {
        let file = |name: &str| self.certificate(name).display().to_string();
        setup
            .with("fns.url", &format!("https://{}", self.address))
            .with("fns.ofd_id", "ofd1")
            .with("fns.ca", &file("ca.pem"))
            .with("fns.cert", &file("client.pem"))
            .with("fns.key", &file("client.key"))
            .with("fns.linger_ms", "20")
            .with("fns.timeout_s", "2")
            .with("fns.lease_s", "4")
            .with("fns.retry_base_ms", "50")
            .with("fns.retry_cap_s", "1")
            .with("fns.breaker_open_s", "1")
            .with("fns.breaker_open_max_s", "2")
            .with("fns.probe_s", "1")
            .with("fns.events_wait_s", "1")
            .with("registration.tick_ms", "100")
    }

    /// One request to the control port; the answer must be a success.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, text) = self.request(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The same, whatever the answer: its status and body.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.exchange(method, path, "application/json", &body)
    }

    /// Sends a form as a browser does.
    pub fn post_form(&self, path: &str, form: &str) -> (u16, String) {
        self.exchange("POST", path, "application/x-www-form-urlencoded", form)
    }

    fn exchange(&self, method: &str, path: &str, media_type: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, if head.to_lowercase().contains("chunked") { unchunked(body) } else { body.to_owned() })
    }

    /// Changes its behaviour, for example `{"mode": "down"}`.
    pub fn set(&self, config: &Value) {
        self.ask("PUT", "/sim/config", config);
    }

    /// Every document it has.
    pub fn documents(&self) -> Vec<Value> {
        let answer = self.ask("GET", "/sim/documents", &Value::Null);
        let list = answer.get("documents").unwrap_or(&answer);
        list.as_array().unwrap_or_else(|| panic!("no list of documents: {answer}")).clone()
    }

    /// Waits until a question about it has an answer.
    pub fn wait_for<T>(&self, what: &str, mut question: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = question(self) {
                return answer;
            }
            assert!(Instant::now() < deadline, "no {what} in 30 s:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tax {
    fn drop(&mut self) {
        // One that has ended already answers with an error nobody needs.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Body of an answer that came in chunks.
fn unchunked(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
