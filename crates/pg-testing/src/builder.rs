//! What a cluster is made with.

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cluster::{Access, Cluster};
use crate::folder;
use crate::ports::free_port;
use crate::server::Server;

/// Somebody may take the port between the look and the start.
const PORT_TRIES: usize = 20;

/// Choices for one cluster.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ClusterBuilder {
    settings: Vec<(String, String)>,
    password: Option<String>,
    tls: Option<Tls>,
    hba: Option<String>,
    port: Option<u16>,
    parent: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Tls {
    cert: String,
    key: String,
    client_ca: Option<String>,
}

impl ClusterBuilder {
    /// A line of `postgresql.conf`; the value is quoted here.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Nothing is synced to disk: faster, and a lie after a power cut. Only for suites that test no durability; a server
    /// that is killed still keeps its word, because the system has what was written.
    pub fn without_sync(self) -> Self {
        self.setting("fsync", "off").setting("full_page_writes", "off")
    }

    /// TCP connections need this password of `postgres` (SCRAM); without it everybody on loopback is trusted.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// The server speaks TLS with this certificate and key (PEM). Connections without TLS are refused.
    pub fn tls(mut self, cert: &str, key: &str) -> Self {
        self.tls = Some(Tls { cert: cert.to_owned(), key: key.to_owned(), client_ca: None });
        self
    }

    /// Clients must show a certificate of this authority (PEM); after [`ClusterBuilder::tls`].
    pub fn client_ca(mut self, ca: &str) -> Self {
        self.tls.as_mut().expect("tls() comes first").client_ca = Some(ca.to_owned());
        self
    }

    /// Replaces what `pg_hba.conf` says about TCP connections.
    pub fn hba(mut self, lines: &str) -> Self {
        self.hba = Some(lines.to_owned());
        self
    }

    /// This port instead of a free one: a node that is to be found where another was.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The data folder lies in this folder instead of the system's temporary one: another disk. The user `postgres` must
    /// be allowed to enter it.
    pub fn folder(mut self, parent: &Path) -> Self {
        self.parent = Some(parent.to_owned());
        self
    }

    /// Starts the cluster.
    pub fn start(self) -> Cluster {
        let folder = folder::private(self.parent.as_deref());
        let watcher = crate::server::watch(folder.path());
        let data = folder.path().join("data");
        folder::fill(&data);
        folder::make(&folder.path().join("socket"));
        self.write_tls(&data);
        write(&data.join("pg_hba.conf"), &self.hba_lines());
        let common = self.common_settings(folder.path());
        let (server, port) = start_on_free_port(folder.path(), self.port, |port| {
            write_settings(&data, &format!("{common}port = {port}\n"));
        });
        let access = Access { password: self.password.clone() };
        let cluster = Cluster::new(folder, watcher, server, port, access);
        if let Some(password) = &self.password {
            cluster.psql(&format!("ALTER ROLE postgres PASSWORD {}", quoted(password)));
        }
        cluster
    }

    fn common_settings(&self, folder: &Path) -> String {
        let mut text = base_settings(folder);
        if let Some(tls) = &self.tls {
            text.push_str("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
            if tls.client_ca.is_some() {
                text.push_str("ssl_ca_file = 'client-ca.crt'\n");
            }
        }
        for (name, value) in &self.settings {
            writeln!(text, "{name} = {}", quoted(value)).unwrap();
        }
        text
    }

    fn hba_lines(&self) -> String {
        // Our own psql comes through the socket in the private folder.
        let own = "local all all trust\nlocal replication all trust\n";
        if let Some(lines) = &self.hba {
            return format!("{own}{lines}\n");
        }
        let kind = if self.tls.is_some() { "hostssl" } else { "host" };
        let method = if self.password.is_some() { "scram-sha-256" } else { "trust" };
        let certificate = match &self.tls {
            Some(Tls { client_ca: Some(_), .. }) => " clientcert=verify-ca",
            _ => "",
        };
        format!(
            "{own}{kind} all all 127.0.0.1/32 {method}{certificate}\n{kind} replication all 127.0.0.1/32 {method}{certificate}\n"
        )
    }

    fn write_tls(&self, data: &Path) {
        let Some(tls) = &self.tls else { return };
        write(&data.join("server.crt"), &tls.cert);
        write(&data.join("server.key"), &tls.key);
        if let Some(ca) = &tls.client_ca {
            write(&data.join("client-ca.crt"), ca);
        }
    }
}

/// What every server of ours has.
pub(crate) fn base_settings(folder: &Path) -> String {
    format!(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = {}\nlog_line_prefix = '%m [%p] %a '\n",
        quoted(&folder.join("socket").to_string_lossy())
    )
}

/// Settings of ours stand behind those of `initdb`, in a file of their own, which is written anew at each try.
pub(crate) fn write_settings(data: &Path, text: &str) {
    write(&data.join("ours.conf"), text);
    let conf = data.join("postgresql.conf");
    let before = std::fs::read_to_string(&conf).unwrap();
    let include = "include 'ours.conf'\n";
    if !before.ends_with(include) {
        write(&conf, &format!("{before}{include}"));
    }
}

/// Starts the server where nobody else is; `settle` writes the port into the settings.
pub(crate) fn start_on_free_port(folder: &Path, fixed: Option<u16>, settle: impl Fn(u16)) -> (Server, u16) {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = fixed.unwrap_or_else(free_port);
        settle(port);
        match Server::start(folder) {
            Ok(server) => return (server, port),
            Err(log) => {
                let taken = fixed.is_none() && tries < PORT_TRIES && log.contains("Address already in use");
                assert!(taken, "the server does not start:\n{log}");
            }
        }
    }
}

/// A file that only the server may read.
pub(crate) fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(text.as_bytes()).unwrap();
    folder::give(path);
}

/// A value of SQL or of `postgresql.conf`.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
