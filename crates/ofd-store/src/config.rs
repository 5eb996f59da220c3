//! The `[store]` section of the configuration and the reading of its address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::postgres::{Target, is_postgres, masked, percent_encoded};

/// Largest `batch_max_documents` and `queue_max_documents` that are accepted: past it a typing error would
/// take the memory of the machine.
const MAX_DOCUMENTS_SETTING: usize = 1 << 20;
const BYTES_PER_MIB: u64 = 1 << 20;
/// Longer than a server needs to restart its standby's connection, shorter than what the watchdog takes for a hang.
const COMMIT_TIMEOUTS_S: std::ops::RangeInclusive<u64> = 1..=15;

/// Section `[store]`. Unknown keys are refused; every key has a default.
///
/// Its `Debug` shows the password of an address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where the journal lies: `sqlite:PATH`, or `postgres://USER@HOST[:PORT][,HOST...]/DATABASE`.
    pub url: String,
    /// PostgreSQL: file whose first line is the password. The password may stand in the address too.
    pub password_file: Option<PathBuf>,
    /// PostgreSQL: PEM file of the authority that signed the server's certificate; needed for a server on another machine
    /// unless the address says `sslmode=disable`.
    pub ca: Option<PathBuf>,
    /// PostgreSQL: PEM file of our own certificate, where the server asks for one.
    pub cert: Option<PathBuf>,
    /// PostgreSQL: PEM file of its key.
    pub key: Option<PathBuf>,
    /// PostgreSQL: documents may be acknowledged before they are safe, where the server has `synchronous_commit` off.
    pub allow_asynchronous_commit: bool,
    /// PostgreSQL: how long the confirmation of a batch is waited for. Past it nobody is answered, and the session is
    /// opened anew: what became of the batch shows when the registers repeat.
    pub commit_timeout_s: u64,
    /// Most documents written in one transaction (one sync).
    pub batch_max_documents: usize,
    /// Places in the queue before the writer; a full queue makes `append` wait.
    pub queue_max_documents: usize,
    /// Free space where the store lies, MiB, under which new documents are refused; looked at twice a second.
    pub min_free_mib: u64,
    /// Room for quarantined copies, MiB in all; past it they are counted, not kept.
    pub quarantine_max_mib: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:data/fiscald.db".to_owned(),
            password_file: None,
            ca: None,
            cert: None,
            key: None,
            allow_asynchronous_commit: false,
            commit_timeout_s: 10,
            batch_max_documents: 512,
            queue_max_documents: 8192,
            min_free_mib: 1024,
            quarantine_max_mib: 256,
        }
    }
}

impl StoreConfig {
    /// Checks the values without opening anything.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the key and what is wrong with its value.
    pub fn validate(&self) -> Result<(), StoreError> {
        match is_postgres(&self.url) {
            true => Target::check(&self.address())?,
            false => {
                sqlite_path(&self.url)?;
                self.refuse_what_is_for_servers()?;
            }
        }
        if !COMMIT_TIMEOUTS_S.contains(&self.commit_timeout_s) {
            let (least, most) = (COMMIT_TIMEOUTS_S.start(), COMMIT_TIMEOUTS_S.end());
            let found = self.commit_timeout_s;
            return Err(StoreError::refused(format!(
                "store.commit_timeout_s = {found} must be within {least}..={most}"
            )));
        }
        within("store.batch_max_documents", self.batch_max_documents)?;
        within("store.queue_max_documents", self.queue_max_documents)
    }

    /// The address with everything in it that a session needs, as [`crate::Reader::open`] and its like take it. Holds no
    /// password that was not in `url`, but the name of the file with it.
    #[must_use]
    pub fn address(&self) -> String {
        if !is_postgres(&self.url) {
            return self.url.clone();
        }
        let mut address = self.url.clone();
        let mut add = |key: &str, value: &str| {
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str(key);
            address.push('=');
            address.push_str(&percent_encoded(value));
        };
        for (key, file) in [
            ("password_file", &self.password_file),
            ("sslrootcert", &self.ca),
            ("sslcert", &self.cert),
            ("sslkey", &self.key),
        ] {
            if let Some(file) = file {
                add(key, &file.to_string_lossy());
            }
        }
        if self.allow_asynchronous_commit {
            add("allow_asynchronous_commit", "true");
        }
        address
    }

    /// Reads the files that a session with a server needs, and connects to nobody.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the key and what is wrong with its file.
    pub fn check_files(&self) -> Result<(), StoreError> {
        if is_postgres(&self.url) { Target::parse(&self.address()).map(|_| ()) } else { Ok(()) }
    }

    /// `commit_timeout_s` as a duration.
    pub(crate) fn commit_timeout(&self) -> Duration {
        Duration::from_secs(self.commit_timeout_s)
    }

    fn refuse_what_is_for_servers(&self) -> Result<(), StoreError> {
        let said = [
            ("password_file", self.password_file.is_some()),
            ("ca", self.ca.is_some()),
            ("cert", self.cert.is_some()),
            ("key", self.key.is_some()),
            ("allow_asynchronous_commit", self.allow_asynchronous_commit),
        ];
        match said.iter().find(|(_, is_said)| *is_said) {
            Some((key, _)) => {
                Err(StoreError::refused(format!("store.{key} is for store.url = \"postgres://...\" only")))
            }
            None => Ok(()),
        }
    }

    /// `min_free_mib` in bytes.
    pub(crate) fn min_free_bytes(&self) -> u64 {
        self.min_free_mib.saturating_mul(BYTES_PER_MIB)
    }

    /// `quarantine_max_mib` in bytes.
    pub(crate) fn quarantine_max_bytes(&self) -> u64 {
        self.quarantine_max_mib.saturating_mul(BYTES_PER_MIB)
    }
}

/// The address of a store as people may read it: without the password.
#[must_use]
pub fn shown_url(url: &str) -> String {
    if is_postgres(url) { masked(url) } else { url.to_owned() }
}

/// The file behind `sqlite:PATH`.
///
/// The path is kept relative to the current folder with a leading `./`, because SQLite would read a bare
/// `file:...` as a URI with options of its own and `:memory:` as no file at all.
pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf, StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Err(StoreError::refused(
            "this is done with a store in a file only, store.url = \"sqlite:PATH\"",
        ));
    }
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Err(StoreError::refused(format!(
            "store.url {url:?} must begin with \"sqlite:\" or \"postgres://\""
        )));
    };
    if path.is_empty() || path.ends_with('/') || path.starts_with(":memory:") || path.contains('\0') {
        return Err(StoreError::refused(format!("store.url {url:?} names no file")));
    }
    let path = Path::new(path);
    Ok(if path.is_absolute() { path.to_path_buf() } else { Path::new(".").join(path) })
}

fn within(key: &str, value: usize) -> Result<(), StoreError> {
    if (1..=MAX_DOCUMENTS_SETTING).contains(&value) {
        return Ok(());
    }
    Err(StoreError::refused(format!("{key} = {value} must be within 1..={MAX_DOCUMENTS_SETTING}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(sqlite_path(url).ok(), expected.map(PathBuf::from), "{url}");
        };
        check("sqlite:data/fiscald.db", Some("./data/fiscald.db"));
        check("sqlite:/var/lib/fiscald/fiscald.db", Some("/var/lib/fiscald/fiscald.db"));
        check("sqlite:file:x?mode=memory", Some("./file:x?mode=memory"));
        check("sqlite:", None);
        check("sqlite:data/", None);
        check("sqlite::memory:", None);
        check("data/fiscald.db", None);
        check("mysql://x", None);
    }

    #[test]
    fn postgres_is_named() {
        let check = |config: StoreConfig, expected: Result<&str, &str>| match (config.validate(), expected) {
            (Ok(()), Ok(address)) => assert_eq!(config.address(), address),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?} {expected:?}"),
        };
        let at = |url: &str| StoreConfig { url: url.to_owned(), ..StoreConfig::default() };
        check(at("postgres://u@localhost/d"), Ok("postgres://u@localhost/d"));
        let files = StoreConfig {
            password_file: Some("/etc/p w".into()),
            ca: Some("/etc/ca.pem".into()),
            allow_asynchronous_commit: true,
            ..at("postgres://u@db1,db2/d?connect_timeout=1")
        };
        check(
            files,
            Ok("postgres://u@db1,db2/d?connect_timeout=1&password_file=/etc/p%20w&sslrootcert=/etc/ca.pem\
                &allow_asynchronous_commit=true"),
        );
        check(at("postgres://u@db1/d"), Err("store.ca"));
        check(StoreConfig { ca: Some("ca".into()), ..StoreConfig::default() }, Err("store.ca"));
        check(StoreConfig { commit_timeout_s: 16, ..StoreConfig::default() }, Err("store.commit_timeout_s"));
        assert!(sqlite_path("postgres://u@localhost/d").unwrap_err().to_string().contains("file only"));
    }

    #[test]
    fn limits_of_settings() {
        let check = |batch: usize, queue: usize, fine: bool| {
            let config = StoreConfig {
                batch_max_documents: batch,
                queue_max_documents: queue,
                ..StoreConfig::default()
            };
            assert_eq!(config.validate().is_ok(), fine, "{batch} {queue}");
        };
        check(512, 8192, true);
        check(1, 1, true);
        check(0, 1, false);
        check(1, 0, false);
        check(MAX_DOCUMENTS_SETTING, MAX_DOCUMENTS_SETTING, true);
        check(MAX_DOCUMENTS_SETTING + 1, 1, false);
        check(1, MAX_DOCUMENTS_SETTING + 1, false);
    }
}
