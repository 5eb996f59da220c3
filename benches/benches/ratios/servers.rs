//! The servers of a table: bare ones and the daemon, each started anew with a fresh store for every run.

use fiscald_benches::processes::{Baseline, Daemon};
use pg_testing::Cluster;
use tempfile::TempDir;

use crate::Programs;

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Answers at once.
    Echo,
    /// Appends to a preallocated file.
    Log,
    /// Inserts into SQLite.
    BareSqlite,
    /// Inserts into PostgreSQL.
    BarePostgres,
    /// The daemon on SQLite.
    Sqlite(Signs),
    /// The daemon on PostgreSQL, signs required.
    Postgres,
}

/// What the daemon does about signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signs {
    /// Checked and made.
    Required,
    /// Neither.
    Off,
}

/// A server at work.
pub(crate) struct Running {
    /// Where registers connect.
    pub(crate) registers: String,
    /// Processes whose time is its time.
    pub(crate) processes: Vec<u32>,
    /// Kept for its end and its metrics.
    kind: Kind,
    /// Its store; removed after it has ended.
    _folder: TempDir,
}

enum Kind {
    Bare(Baseline),
    Daemon(Daemon),
}

impl Server {
    /// As tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Log => "log",
            Self::BareSqlite => "bare SQLite",
            Self::BarePostgres => "bare PostgreSQL",
            Self::Sqlite(Signs::Required) | Self::Postgres => "signs required",
            Self::Sqlite(Signs::Off) => "signs off",
        }
    }

    /// Whether it is the daemon.
    pub(crate) fn is_daemon(self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::Postgres)
    }

    /// Starts it with a fresh store.
    pub(crate) fn start(self, programs: &Programs, cluster: Option<&Cluster>) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let database = || {
            let cluster = cluster.expect("tables of PostgreSQL have a cluster");
            (cluster.url(&cluster.create_database()), cluster.pid())
        };
        let bare = |arguments: &[&str]| Baseline::start(&programs.baseline, folder.path(), arguments);
        let daemon = |settings: &[(&str, &str)]| {
            let owned: Vec<(String, String)> = settings
                .iter()
                .map(|(key, value)| (format!("FISCALD__{key}"), (*value).to_owned()))
                .collect();
            Daemon::start(&programs.fiscald, folder.path(), &owned)
        };
        let mut also = None;
        let kind = match self {
            Self::Echo => Kind::Bare(bare(&["echo"])),
            Self::Log => Kind::Bare(bare(&["log", "bench.log"])),
            Self::BareSqlite => Kind::Bare(bare(&["sqlite", "bench.db"])),
            Self::BarePostgres => {
                let (url, pid) = database();
                also = Some(pid);
                Kind::Bare(bare(&["postgres", &url]))
            }
            Self::Sqlite(Signs::Required) => Kind::Daemon(daemon(&[])),
            Self::Sqlite(Signs::Off) => Kind::Daemon(daemon(&[
                ("SIGNS__MODE", "off"),
                ("SIGNS__I_UNDERSTAND_UNSIGNED", "true"),
                ("SIGNS__TEST", "false"),
                ("SIGNS__PROFILE", "none"),
            ])),
            Self::Postgres => {
                let (url, pid) = database();
                also = Some(pid);
                Kind::Daemon(daemon(&[("STORE__URL", &url)]))
            }
        };
        let (registers, id) = match &kind {
            Kind::Bare(server) => (server.registers.clone(), server.process.id()),
            Kind::Daemon(server) => (server.registers.clone(), server.process.id()),
        };
        Running { registers, processes: also.into_iter().chain([id]).collect(), kind, _folder: folder }
    }
}

impl Running {
    /// The daemon, when it is one.
    pub(crate) fn daemon(&self) -> Option<&Daemon> {
        match &self.kind {
            Kind::Daemon(daemon) => Some(daemon),
            Kind::Bare(_) => None,
        }
    }

    /// Stops at once when the daemon refused, doubted or quarantined anything: such a run measures something else.
    pub(crate) fn must_have_accepted_everything(&self) {
        let Some(daemon) = self.daemon() else { return };
        for (name, value) in daemon.metrics() {
            let refused = name.starts_with("fiscald_documents_total{") && !name.contains("code=\"0\"");
            let other = ["fiscald_rejects_total", "fiscald_quarantined_total", "fiscald_conflicts_total"];
            let rejected = other.iter().any(|metric| name.starts_with(metric));
            assert!(
                !(refused || rejected) || value == 0.0,
                "the daemon did not take every document: {name} {value}"
            );
        }
    }
}
