//! A cluster: a data folder and, most of the time, a server that works on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::builder::{ClusterBuilder, quoted};
use crate::programs::{Programs, run};
use crate::server::Server;

/// How long a state of the server may take to come on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL of its own. Dropping it stops the server and removes everything.
#[derive(Debug)]
pub struct Cluster {
    state: Mutex<State>,
    watcher: Child,
    folder: TempDir,
    port: u16,
    access: Access,
}

#[derive(Debug)]
struct State {
    server: Option<Server>,
    /// Shared memory of killed servers; the next start of the same folder clears it up.
    left: Vec<PathBuf>,
}

/// How clients are let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) password: Option<String>,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, everything is written down, standbys get the rest.
    Fast,
    /// As after a power cut, but by the server's own hand: the next start recovers from the log.
    Immediate,
}

impl Cluster {
    /// A cluster with the server's own settings: durable, trusting everybody on loopback.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A cluster with choices.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    pub(crate) fn new(folder: TempDir, watcher: Child, server: Server, port: u16, access: Access) -> Self {
        let state = Mutex::new(State { server: Some(server), left: Vec::new() });
        Self { state, watcher, folder, port, access }
    }

    /// The port of 127.0.0.1 it listens on, the same after every start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients find one of its databases, as the superuser.
    pub fn url(&self, database: &str) -> String {
        url_of(&[self], database)
    }

    /// The user part of a URL.
    pub(crate) fn user(&self) -> String {
        self.access
            .password
            .as_ref()
            .map_or_else(|| "postgres".to_owned(), |password| format!("postgres:{password}"))
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The private folder: `data`, `log` and the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server wrote into its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Number of the first process of the server.
    ///
    /// # Panics
    ///
    /// When the server does not run.
    pub fn pid(&self) -> u32 {
        self.state().server.as_ref().expect("the server runs").pid()
    }

    /// A new empty database with a name nobody else has.
    pub fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.psql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        name
    }

    /// Runs statements in the database `postgres` as the superuser; rows come one a line, columns parted by `|`.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql)
    }

    /// Runs statements in a database as the superuser.
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|reason| panic!("{sql}: {reason}"))
    }

    /// Runs statements; `Err` is what the server or psql said against them.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        run(self.psql_command(database, sql))
    }

    /// The command behind [`Cluster::try_psql`], for callers that need its process: to let it wait, or to kill it.
    pub fn psql_command(&self, database: &str, sql: &str) -> Command {
        let mut command = Programs::find().command("psql", self.folder());
        command
            .arg("-XAtq")
            .args(["-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p"])
            .arg(self.port.to_string());
        command.arg("-h").arg(self.folder().join("socket")).args(["-d", database, "-c", sql]);
        command
    }

    /// Waits until a statement answers `expected`; fails with the last answer after a minute.
    pub fn wait_for(&self, sql: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_psql("postgres", sql);
            if answer.as_deref() == Ok(expected) {
                return;
            }
            assert!(Instant::now() < deadline, "{sql}: not {expected:?} but {answer:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Changes a setting as `ALTER SYSTEM` does and lets the server read it.
    pub fn set(&self, name: &str, value: &str) {
        self.psql(&format!("ALTER SYSTEM SET {name} = {}", quoted(value)));
        self.psql("SELECT pg_reload_conf()");
    }

    /// Ends the server; does nothing when it does not run.
    pub fn stop(&self, how: Stop) {
        let mut state = self.state();
        if let Some(mut server) = state.server.take() {
            server.stop(match how {
                Stop::Fast => Signal::INT,
                Stop::Immediate => Signal::QUIT,
            });
        }
    }

    /// Ends every process of the server at once, as the loss of its machine does.
    pub fn kill(&self) {
        let mut state = self.state();
        if let Some(mut server) = state.server.take() {
            let left = server.kill();
            state.left.extend(left);
        }
    }

    /// Starts the server again on its old port, after [`Cluster::stop`] or [`Cluster::kill`].
    pub fn start_again(&self) {
        let mut state = self.state();
        assert!(state.server.is_none(), "the server runs");
        let started = Server::start(self.folder());
        state.server = Some(started.unwrap_or_else(|log| panic!("the server does not start again:\n{log}")));
        state.left.clear();
    }

    /// Stops the server cleanly and starts it again.
    pub fn restart(&self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    /// Lets every process of the server stand still: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.state().server.as_ref().expect("the server runs").signal_family(Signal::STOP);
    }

    /// Ends a [`Cluster::pause`].
    pub fn resume(&self) {
        self.state().server.as_ref().expect("the server runs").signal_family(Signal::CONT);
    }

    /// Whether the server runs. One that was stopped, killed, or ended by itself does not.
    pub fn is_running(&self) -> bool {
        self.state().server.as_mut().is_some_and(|server| !server.has_ended())
    }

    /// A test that panicked must not keep the others from cleaning up.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(Stop::Immediate);
        for file in self.state().left.drain(..) {
            // Another start may have cleared it up.
            drop(std::fs::remove_file(file));
        }
        // What is left of the work is to remove the folder, which the watcher does as well as we.
        drop(self.watcher.stdin.take());
        drop(self.watcher.wait());
    }
}

/// Where clients find a database that lives on several servers, of which one takes writes.
///
/// # Panics
///
/// Without a cluster.
pub fn url_of(clusters: &[&Cluster], database: &str) -> String {
    let hosts: Vec<String> = clusters.iter().map(|cluster| format!("127.0.0.1:{}", cluster.port())).collect();
    let user = clusters.first().expect("at least one cluster").user();
    let several = if clusters.len() > 1 { "?target_session_attrs=read-write" } else { "" };
    format!("postgres://{user}@{}/{database}{several}", hosts.join(","))
}
