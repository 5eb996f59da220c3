//! Settings of the link with the tax service: section `[fns]`. Reading files and environment is the binary's work; here are
//! only the shape, the defaults (tax-service notes B5.8) and what may not be asked for.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Longest period that a setting may name, seconds: 30 days. Anything longer is a slip of the pen.
const MAX_PERIOD_S: u64 = 30 * 86_400;
/// Largest window of documents kept in memory: about 200 bytes each.
const MAX_WINDOW_DOCS: u32 = 1_000_000;
/// Longest wait of the events feed, seconds (B5, endpoint 3).
pub(crate) const MAX_EVENTS_WAIT_S: u64 = 30;

/// Section `[fns]`: the tax service. Without `url` nothing is sent; registration works all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FnsConfig {
    /// Address of the tax service, `https://HOST[:PORT]`; `http://` only to this machine (a gateway with ГОСТ TLS).
    pub url: Option<String>,
    /// Our name among the operators, the `{ofdId}` of the paths; the client certificate must carry it.
    pub ofd_id: Option<String>,
    /// PEM file of the certificate authority of the tax service. No other authority is trusted.
    pub ca: Option<PathBuf>,
    /// PEM file of our client certificate, with its chain.
    pub cert: Option<PathBuf>,
    /// PEM file of the private key of `cert`.
    pub key: Option<PathBuf>,
    /// Name that the certificate of the tax service must have; the host of `url` when absent.
    pub server_name: Option<String>,
    /// Forward documents of a ФН that nobody told us about at once, not only when it becomes known.
    pub forward_unknown: bool,
    /// Most documents of one batch.
    pub batch_docs: u32,
    /// Most bytes of the JSON of one batch before compression.
    pub batch_bytes: u64,
    /// How long a document waits for others of its batch, milliseconds. Registration reports do not wait.
    pub linger_ms: u64,
    /// How many batches are under way at once; the registers are spread over so many workers.
    pub workers: u32,
    /// Most documents held in memory that are not delivered yet.
    pub window_docs: u32,
    /// Seconds until a connection must stand.
    pub connect_timeout_s: u64,
    /// Seconds that a request may take in all.
    pub timeout_s: u64,
    /// Seconds for which a process holds its part of the registers without renewing; longer than `timeout_s`.
    pub lease_s: u64,
    /// Unit of the growing pause between two attempts, milliseconds.
    pub retry_base_ms: u64,
    /// Longest pause between two attempts, seconds.
    pub retry_cap_s: u64,
    /// Failures in a row after which nothing is sent for a while.
    pub breaker_failures: u32,
    /// First pause of the breaker, seconds; doubles with every failure of a probe.
    pub breaker_open_s: u64,
    /// Longest pause of the breaker, seconds.
    pub breaker_open_max_s: u64,
    /// Seconds between two probes after the tax service has refused our certificate.
    pub probe_s: u64,
    /// Seconds that a request for events waits for news at the tax service, 0 to 30.
    pub events_wait_s: u64,
    /// Seconds after which the status of a delivered document is asked for that still has no verdict.
    pub status_after_s: u64,
    /// Seconds until it is asked for again when that brought nothing new.
    pub status_again_s: u64,
    /// Seconds without such questions after the tax service did not answer one; also until the status of a document is
    /// asked for that it had already when it was sent again.
    pub status_retry_s: u64,
    /// Longest pause between two questions about an application, seconds; the first are asked sooner.
    pub application_poll_s: u64,
    /// Age of the oldest document not delivered that is worth a warning, seconds.
    pub age_warn_s: u64,
    /// Age that is an error, seconds.
    pub age_high_s: u64,
    /// Age at which somebody has to be called, seconds.
    pub age_critical_s: u64,
    /// Which generation of names the JSON uses.
    pub names: FnsNames,
}

/// Names of the JSON of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FnsNames {
    /// Names of the ФФД 1.2 era, for documents of every version.
    #[default]
    Modern,
    /// Names of the schemas of 2017.
    Legacy,
}

impl Default for FnsConfig {
    fn default() -> Self {
        Self {
            url: None,
            ofd_id: None,
            ca: None,
            cert: None,
            key: None,
            server_name: None,
            forward_unknown: false,
            batch_docs: 100,
            batch_bytes: 1_048_576,
            linger_ms: 200,
            workers: 8,
            window_docs: 20_000,
            connect_timeout_s: 5,
            timeout_s: 30,
            lease_s: 60,
            retry_base_ms: 1_000,
            retry_cap_s: 300,
            breaker_failures: 5,
            breaker_open_s: 30,
            breaker_open_max_s: 600,
            probe_s: 60,
            events_wait_s: 20,
            status_after_s: 3_600,
            status_again_s: 3_600,
            status_retry_s: 60,
            application_poll_s: 60,
            age_warn_s: 3_600,
            age_high_s: 43_200,
            age_critical_s: 86_400,
            names: FnsNames::Modern,
        }
    }
}

/// One fault of the settings: the path of the key, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Path of the key, `fns.url`.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.what, self.fix)
    }
}

/// Where the tax service is and how we show who we are; made from checked settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Address with scheme, host and port; never with credentials.
    pub(crate) url: Url,
    /// Our name in the paths.
    pub(crate) ofd_id: String,
    /// Name pinned in the certificate of the tax service, a DNS name or an IP address.
    pub(crate) server_name: String,
    /// Files of the mutual TLS; none with plain `http://` to this machine.
    pub(crate) tls: Option<TlsFiles>,
}

/// Files of the mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl FnsConfig {
    /// Checks what the types cannot say. Every fault found, not only the first; files are not opened.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = self.numbers();
        match &self.url {
            Some(url) => problems.extend(self.link(url)),
            None => problems.extend(self.given_without_url()),
        }
        problems
    }

    /// Where the tax service is; nothing when it is not configured. The settings must be valid.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let url = Url::parse(self.url.as_deref()?).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let tls = match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(cert), Some(key)) if url.scheme() == "https" => {
                Some(TlsFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() })
            }
            _ => None,
        };
        Some(Endpoint {
            server_name: self.server_name.clone().unwrap_or(host),
            ofd_id: self.ofd_id.clone()?,
            url,
            tls,
        })
    }

    fn numbers(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut range = |key: &'static str, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                problems.push(ConfigProblem {
                    key,
                    what: format!("{value} is outside {min} to {max}"),
                    fix: "write a number within it".to_owned(),
                });
            }
        };
        range("fns.batch_docs", self.batch_docs.into(), 1, 10_000);
        range("fns.batch_bytes", self.batch_bytes, 1_024, 64 << 20);
        range("fns.linger_ms", self.linger_ms, 0, 60_000);
        range("fns.workers", self.workers.into(), 1, 256);
        range("fns.window_docs", self.window_docs.into(), self.batch_docs.into(), MAX_WINDOW_DOCS.into());
        range("fns.connect_timeout_s", self.connect_timeout_s, 1, 3_600);
        range("fns.timeout_s", self.timeout_s, 1, 3_600);
        range("fns.lease_s", self.lease_s, 2, MAX_PERIOD_S);
        range("fns.retry_base_ms", self.retry_base_ms, 1, self.retry_cap_s.saturating_mul(1_000).max(1));
        range("fns.retry_cap_s", self.retry_cap_s, 1, MAX_PERIOD_S);
        range("fns.breaker_failures", self.breaker_failures.into(), 1, 1_000_000);
        range("fns.breaker_open_s", self.breaker_open_s, 1, self.breaker_open_max_s.max(1));
        range("fns.breaker_open_max_s", self.breaker_open_max_s, 1, MAX_PERIOD_S);
        range("fns.probe_s", self.probe_s, 1, MAX_PERIOD_S);
        range("fns.events_wait_s", self.events_wait_s, 0, MAX_EVENTS_WAIT_S);
        range("fns.status_after_s", self.status_after_s, 1, MAX_PERIOD_S);
        range("fns.status_again_s", self.status_again_s, 1, MAX_PERIOD_S);
        range("fns.status_retry_s", self.status_retry_s, 1, MAX_PERIOD_S);
        range("fns.application_poll_s", self.application_poll_s, 1, MAX_PERIOD_S);
        range("fns.age_warn_s", self.age_warn_s, 1, self.age_high_s.max(1));
        range("fns.age_high_s", self.age_high_s, 1, self.age_critical_s.max(1));
        range("fns.age_critical_s", self.age_critical_s, 1, MAX_PERIOD_S);
        let mut shorter = |key: &'static str, value: u64, than: &str, limit: u64, fix: &str| {
            if value >= limit {
                let what = format!("{value} is not shorter than {than} = {limit}");
                problems.push(ConfigProblem { key, what, fix: fix.to_owned() });
            }
        };
        shorter(
            "fns.timeout_s",
            self.timeout_s,
            "fns.lease_s",
            self.lease_s,
            "a request must end before the lease of its registers; make fns.lease_s longer",
        );
        problems
    }

    fn link(&self, url: &str) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut bad = |key: &'static str, what: &str, fix: &str| {
            problems.push(ConfigProblem { key, what: what.to_owned(), fix: fix.to_owned() });
        };
        let secure = match address(url) {
            Ok(Scheme::Secure) => true,
            Ok(Scheme::PlainLoopback) => false,
            Err((what, fix)) => {
                bad("fns.url", what, fix);
                // Which other keys are needed is not known then.
                return problems;
            }
        };
        match &self.ofd_id {
            None => bad(
                "fns.ofd_id",
                "is missing beside fns.url",
                "write our name among the operators, such as \"ofd1\"",
            ),
            Some(id) if !is_path_word(id) => {
                bad("fns.ofd_id", "is no word of a path", "write 1 to 64 letters, digits, '-', '_' or '.'");
            }
            Some(_) => {}
        }
        let files = [("fns.ca", &self.ca), ("fns.cert", &self.cert), ("fns.key", &self.key)];
        for (key, file) in files {
            match file {
                None if secure => bad(
                    key,
                    "is missing beside fns.url",
                    "name its PEM file; the tax service wants a client certificate",
                ),
                Some(_) if !secure => bad(
                    key,
                    "is given, but http:// uses no certificates",
                    "remove the line or write https://",
                ),
                _ => {}
            }
        }
        if let Some(name) = &self.server_name
            && (!secure || !is_dns_name(name))
        {
            bad(
                "fns.server_name",
                "is no DNS name, or stands beside http://",
                "write the name of the certificate, such as \"fns.example\", or remove the line",
            );
        }
        problems
    }

    fn given_without_url(&self) -> Vec<ConfigProblem> {
        let given = |key: &'static str, path: Option<&Path>| path.map(|_| key);
        let word = |key: &'static str, word: Option<&str>| word.map(|_| key);
        [
            word("fns.ofd_id", self.ofd_id.as_deref()),
            given("fns.ca", self.ca.as_deref()),
            given("fns.cert", self.cert.as_deref()),
            given("fns.key", self.key.as_deref()),
            word("fns.server_name", self.server_name.as_deref()),
        ]
        .into_iter()
        .flatten()
        .map(|key| ConfigProblem {
            key,
            what: "is given without fns.url".to_owned(),
            fix: "name the service, or remove the line".to_owned(),
        })
        .collect()
    }

    /// [`Self::timeout_s`] as a duration.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// [`Self::lease_s`] as a duration.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    /// [`Self::probe_s`] as a duration.
    pub(crate) fn probe(&self) -> Duration {
        Duration::from_secs(self.probe_s)
    }

    /// [`Self::status_after_s`] as a duration.
    pub(crate) fn status_after(&self) -> Duration {
        Duration::from_secs(self.status_after_s)
    }

    /// [`Self::status_again_s`] as a duration.
    pub(crate) fn status_again(&self) -> Duration {
        Duration::from_secs(self.status_again_s)
    }

    /// [`Self::status_retry_s`] as a duration.
    pub(crate) fn status_retry(&self) -> Duration {
        Duration::from_secs(self.status_retry_s)
    }

    /// [`Self::linger_ms`] as a duration.
    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}

enum Scheme {
    Secure,
    PlainLoopback,
}

/// The scheme of an address that may be used; else what is wrong and what to do. The address itself is not repeated: it
/// may hold a password.
fn address(text: &str) -> Result<Scheme, (&'static str, &'static str)> {
    const WANTED: &str = "write https://HOST[:PORT]";
    let url = Url::parse(text).map_err(|_| ("is no address", WANTED))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err((
            "holds a user or a password",
            "remove them: the tax service knows us by our certificate",
        ));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(("has something behind the host", WANTED));
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(Scheme::Secure),
        ("http", Some(host)) if is_loopback(host) => Ok(Scheme::PlainLoopback),
        ("http", _) => Err((
            "is plain http to another machine",
            "write https://; http:// is only for a gateway on this machine (127.0.0.1, [::1], localhost)",
        )),
        _ => Err(("is no https:// address", WANTED)),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn is_path_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(fits) && !text.bytes().all(|byte| byte == b'.')
}

fn is_dns_name(text: &str) -> bool {
    let is_name =
        |name: &rustls::pki_types::ServerName<'_>| matches!(name, rustls::pki_types::ServerName::DnsName(_));
    rustls::pki_types::ServerName::try_from(text).as_ref().is_ok_and(is_name)
}

#[cfg(test)]
mod tests;
