//! The address of a database: `postgres://user@host1,host2/db?sslmode=verify-full&sslrootcert=FILE`.
//!
//! Host, port, user, password, database and the words about time-outs are read by the client library; what it does not
//! know or reads too mildly is taken out here before: everything about TLS, the file with the password, and whether a
//! commit may be acknowledged before it is on disk.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, TlsFiles};
use crate::StoreError;

/// For one address of one host, unless the URL says `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long without an answer of its machine a connection is given up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// What a session is called in `pg_stat_activity`, unless the URL says `application_name`.
const APPLICATION_NAME: &str = "fiscald";
const HIDDEN: &str = "***";
/// Keys of the query whose values may be shown.
const HARMLESS: [&str; 21] = [
    "allow_asynchronous_commit",
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "password_file",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A database and how it is reached. Its `Debug` shows no password.
#[derive(Clone)]
pub(crate) struct Target(Arc<Reached>);

struct Reached {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    masked: String,
    allow_asynchronous_commit: bool,
}

/// What an address says, before any file is read.
#[derive(Debug)]
struct Address {
    config: Config,
    masked: String,
    tls: Option<TlsFiles>,
    password_file: Option<PathBuf>,
    allow_asynchronous_commit: bool,
}

/// Whether an address is for this engine.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl Target {
    /// Reads an address, and the files that it names.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let Address { mut config, masked, tls, password_file, allow_asynchronous_commit } =
            Address::parse(url)?;
        if let Some(path) = password_file {
            config.password(read_password(&path)?);
        }
        let tls = tls.map(|files| tls::connector(&files)).transpose()?;
        Ok(Self(Arc::new(Reached { config, tls, masked, allow_asynchronous_commit })))
    }

    /// Checks an address without reading a file or asking anybody.
    pub(crate) fn check(url: &str) -> Result<(), StoreError> {
        Address::parse(url).map(|_| ())
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn tls(&self) -> Option<&MakeRustlsConnect> {
        self.0.tls.as_ref()
    }

    pub(super) fn allows_asynchronous_commit(&self) -> bool {
        self.0.allow_asynchronous_commit
    }

    /// How long one attempt over all hosts may take.
    pub(super) fn patience(&self) -> Duration {
        let hosts = u32::try_from(self.0.config.get_hosts().len().max(1)).unwrap_or(u32::MAX);
        let each = self.0.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        // A name may stand for two addresses, and the session is looked at before it is used.
        each.saturating_mul(hosts).saturating_mul(2).saturating_add(Duration::from_secs(5))
    }

    /// For logs and errors: without the password.
    pub(crate) fn masked(&self) -> &str {
        &self.0.masked
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.0.masked).finish()
    }
}

impl Address {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let masked = masked(url);
        let wrong = |what: &str| StoreError::refused(format!("store.url {masked}: {what}"));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let keys = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
        let holds_password = is_ambiguous(url) || keys.into_iter().any(|key| plain_key(key) == "password");
        let (mut mode, mut files) = (None, TlsFiles::default());
        let (mut password_file, mut allow_asynchronous_commit, mut left) = (None, false, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let value =
                percent_decoded(raw).ok_or_else(|| wrong(&format!("{} is no text", masked_pair(key))))?;
            match key {
                "sslmode" => mode = Some(value),
                "sslrootcert" => files.ca = Some(value.into()),
                "sslcert" => files.cert = Some(value.into()),
                "sslkey" => files.key = Some(value.into()),
                "password_file" => password_file = Some(PathBuf::from(value)),
                "allow_asynchronous_commit" => match value.as_str() {
                    "true" => allow_asynchronous_commit = true,
                    "false" => {}
                    _ => return Err(wrong("allow_asynchronous_commit is true or false")),
                },
                "target_session_attrs" if value != "read-write" => {
                    return Err(wrong("target_session_attrs can only be read-write: a journal is written"));
                }
                _ => left.push(pair),
            }
        }
        let plain = if left.is_empty() { base.to_owned() } else { format!("{base}?{}", left.join("&")) };
        let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            // What the library says may quote a key, which may be the rest of a password that was cut in two.
            if holds_password {
                return wrong(
                    "cannot be read; in a password write % as %25, ? as %3F, @ as %40, / as %2F, # as %23, & as %26",
                );
            }
            let key = std::error::Error::source(&error).map(ToString::to_string);
            wrong(&format!("cannot be read ({})", key.unwrap_or_else(|| "its form is wrong".to_owned())))
        })?;
        if config.get_hosts().is_empty() {
            return Err(wrong("names no host"));
        }
        if config.get_dbname().is_none() {
            return Err(wrong("names no database: postgres://user@host/DATABASE"));
        }
        if config.get_user().is_none() {
            return Err(wrong("names no user: postgres://USER@host/database"));
        }
        if config.get_password().is_some() && password_file.is_some() {
            return Err(wrong(
                "has a password, and store.password_file names a file with one: keep one of them",
            ));
        }
        let tls = wants_tls(mode.as_deref(), &config, &files).map_err(|what| wrong(&what))?;
        settle(&mut config, tls);
        let tls = tls.then_some(files);
        Ok(Self { config, masked, tls, password_file, allow_asynchronous_commit })
    }
}

/// Fills in what the address leaves open.
fn settle(config: &mut Config, tls: bool) {
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION_NAME);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    // Two hours is the library's own; anything else was asked for.
    if config.get_keepalives_idle() == Duration::from_secs(2 * 60 * 60) {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
}

/// TLS with a checked certificate, or none. The modes between them would take any server for the right one.
fn wants_tls(mode: Option<&str>, config: &Config, files: &TlsFiles) -> Result<bool, String> {
    if files.cert.is_some() != files.key.is_some() {
        return Err(
            "a certificate of ours needs its key, and the key its certificate (sslcert, sslkey)".to_owned()
        );
    }
    let tls = match mode {
        Some("disable") if files.ca.is_some() || files.cert.is_some() => {
            return Err("sslmode=disable and a certificate contradict each other".to_owned());
        }
        Some("disable") => false,
        Some("verify-full") => true,
        None => files.ca.is_some() || files.cert.is_some() || !config.get_hosts().iter().all(is_here),
        Some(other) => {
            return Err(format!(
                "{} is not to be had: verify-full (a checked certificate), or disable where nobody can \
                 listen on the way",
                masked_pair(&format!("sslmode={}", percent_encoded(other)))
            ));
        }
    };
    if tls && files.ca.is_none() {
        return Err(
            "the server is another machine, so TLS is on, and store.ca (sslrootcert in the address) has to name the \
             authority of its certificate; sslmode=disable turns TLS off"
                .to_owned(),
        );
    }
    Ok(tls)
}

/// Whether nobody else is on the way to it.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// The first line of the file.
fn read_password(path: &Path) -> Result<String, StoreError> {
    let text = fs::read_to_string(path)
        .map_err(|error| StoreError::refused(format!("store.password_file {}: {error}", path.display())))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(StoreError::refused(format!("store.password_file {} holds no password", path.display()))),
    }
}

/// The address with stars in place of the password, wherever that stands.
///
/// What is shown is what is known to be harmless; of an address that can be read in more than one way that is little.
pub(crate) fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may hold signs that were to be written as %40 or %2F: up to the last @ everything is user and password.
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (format!("{}@", masked_login(login)), rest),
        None => (String::new(), rest),
    };
    if is_ambiguous(url) {
        return format!("{scheme}://{login}{HIDDEN}");
    }
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = base.split_once('/').map_or(base, |(hosts, _)| hosts);
    if let Some(host) = hosts.split(',').find_map(host_of_no_port) {
        // Who forgot the host has the password where the port is to stand.
        return format!("{scheme}://{login}{host}:{HIDDEN}");
    }
    let query =
        query.split('&').filter(|pair| !pair.is_empty()).map(masked_pair).collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{login}{base}{mark}{query}")
}

/// Whether a `?` stands before an `@`: then it belongs to a password, or the `@` to a value of the query, and what
/// follows either may be the rest of a password.
fn is_ambiguous(url: &str) -> bool {
    url.split_once('?').is_some_and(|(_, rest)| rest.contains('@'))
}

fn masked_login(login: &str) -> String {
    let (user, password) = login.split_once(':').map_or((login, ""), |(user, _)| (user, ":***"));
    let user = if user.contains(['?', '/', '@', '#', '&', '=']) { HIDDEN } else { user };
    format!("{user}{password}")
}

/// The host of a pair whose port is none.
fn host_of_no_port(pair: &str) -> Option<&str> {
    let (host, port) = match pair.starts_with('[') {
        true => pair.rsplit_once("]:")?,
        false => pair.split_once(':')?,
    };
    (!port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// A key is shown when it is known, its value when it is harmless and looks like it.
fn masked_pair(pair: &str) -> String {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let key = plain_key(key);
    if HARMLESS.contains(&key.as_str()) && is_harmless(value) {
        return format!("{key}={value}");
    }
    if key == "password" || HARMLESS.contains(&key.as_str()) {
        return format!("{key}={HIDDEN}");
    }
    HIDDEN.to_owned()
}

/// A key as it is meant, however it is written.
fn plain_key(key: &str) -> String {
    percent_decoded(key).unwrap_or_default().to_lowercase()
}

/// Whether nothing can be hidden in the value, as there is in `disable?password=...`.
fn is_harmless(value: &str) -> bool {
    percent_decoded(value)
        .is_some_and(|value| value.chars().all(|sign| sign.is_alphanumeric() || "-_./,: ".contains(sign)))
}

/// For a value of the query.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses() {
        let check = |url: &str, expected: Result<bool, &str>| match (Address::parse(url), expected) {
            (Ok(address), Ok(tls)) => assert_eq!(address.tls.is_some(), tls, "{url}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{url}: {error}"),
            (found, _) => panic!("{url}: {found:?}"),
        };
        check("postgres://u@127.0.0.1/d", Ok(false));
        check("postgresql://u:p@localhost:5433/d?connect_timeout=3", Ok(false));
        check("postgres://u@localhost:5001,127.0.0.1:5002/d?target_session_attrs=read-write", Ok(false));
        check("postgres://u@%2Frun%2Fpostgresql/d", Ok(false));
        check("postgres://u@db1,db2/d?sslrootcert=/etc/ca.pem", Ok(true));
        check("postgres://u@localhost/d?sslmode=verify-full&sslrootcert=ca.pem&sslcert=c&sslkey=k", Ok(true));
        check("postgres://u@db1/d?sslmode=disable", Ok(false));
        check("postgres://u@db1/d", Err("store.ca"));
        check("postgres://u@db1/d?sslmode=require", Err("verify-full"));
        check("postgres://u@db1/d?sslmode=disable&sslrootcert=x", Err("contradict"));
        check("postgres://u@db1/d?sslrootcert=x&sslcert=c", Err("needs its key"));
        check("postgres://u@/d", Err("no host"));
        check("postgres://u@h?sslmode=disable", Err("no database"));
        check("postgres://localhost/d", Err("no user"));
        check("postgres://u@localhost:port/d", Err("cannot be read"));
        check("postgres://u@localhost/d?connect_timeout=soon", Err("connect_timeout"));
        check("postgres://u@localhost/d?colour=red", Err("colour"));
        check("postgres://u@localhost/d?target_session_attrs=any", Err("read-write"));
        check("postgres://u@localhost/d?allow_asynchronous_commit=yes", Err("true or false"));
        check("postgres://u:p@localhost/d?password_file=x", Err("keep one"));
        check("postgres://u@localhost/d?sslrootcert=%F", Err("no text"));
    }

    #[test]
    fn passwords_are_hidden() {
        let check = |url: &str, expected: &str| {
            assert_eq!(masked(url), expected);
            let told = format!("{:?}", Target::parse(url)).to_lowercase();
            assert!(!told.contains("secret"), "{told}");
        };
        check("postgres://u:secret@h:1,h:2/d?sslmode=disable", "postgres://u:***@h:1,h:2/d?sslmode=disable");
        check("postgres://u@h/d?password=secret&a=b", "postgres://u@h/d?password=***&***");
        check("postgres://u:secr@secret@h/d", "postgres://u:***@h/d");
        check("postgres://u:secret/secret@h/d", "postgres://u:***@h/d");
        check("postgres://u:secret@[::1]:5432/d", "postgres://u:***@[::1]:5432/d");
        check("postgres://u@h/d", "postgres://u@h/d");
        check(
            "postgres://u@h/d?connect_timeout=3&sslrootcert=/etc/a.pem",
            "postgres://u@h/d?connect_timeout=3&sslrootcert=/etc/a.pem",
        );
        // Nobody knows which sign ends what, so nothing behind it is shown.
        check("postgres://u:TopSecret#x?y@127.0.0.1/d", "postgres://u:***@***");
        check("postgres://u:se?cretsecret@h/d", "postgres://u:***@***");
        check("postgres://u:Top/Secret?Secret@h/d", "postgres://u:***@***");
        check("postgres://u@h/d?password=x@secret", "postgres://***@***");
        check("postgres://u:1?secret@h/d", "postgres://u:***@***");
        check("postgres://u:secret/d", "postgres://u:***");
        check("postgres://u@h/d?PASSWORD=TopSecret", "postgres://u@h/d?password=***");
        check("postgres://u@h/d?passw%6Frd=TopSecret", "postgres://u@h/d?password=***");
        check("postgres://u@h/d?password=x&Secret=y", "postgres://u@h/d?password=***&***");
        check("postgres://u@h/d?sslmode=x?password=TopSecret", "postgres://u@h/d?sslmode=***");
        check("postgres://u@h/d?secret", "postgres://u@h/d?***");
    }

    proptest! {
        /// Wherever a password was put, no piece of it is shown, and none is told by an error.
        #[test]
        fn no_piece_of_a_password_is_shown(
            pieces in prop::collection::vec("QX[A-Z0-9]{0,6}[#?@/:&=%,;+ \\[\\]'.]{0,3}", 1..5),
            place in prop::sample::select(vec![
                "postgres://u:{}@h/d",
                "postgresql://u:{}@h1:5432,h2/d?sslmode=disable",
                "postgres://:{}@[::1]:5432/d?connect_timeout=3&application_name=a",
                "postgres://u:{}@h/d?application_name=a@b",
                "postgres://u@h/d?password={}",
                "postgres://u@h/d?sslmode=disable&PassWord={}&connect_timeout=3",
                "postgres://u@h/d?p%61ss%77ord={}&application_name=a",
                "postgres://h/d?user=u&password={}",
                "postgres://u:{}@h",
            ]),
            encoded in any::<bool>(),
        ) {
            let password = pieces.concat();
            let url = place.replace("{}", &if encoded { percent_encoded(&password) } else { password });
            let told = [masked(&url), format!("{:?}", Address::parse(&url).map(|address| address.masked))];
            for told in told {
                prop_assert!(!told.contains("QX"), "{url}: {told}");
            }
        }
    }

    #[test]
    fn percent_signs_come_back() {
        for text in ["/etc/a b.pem", "ключ", "a&b=c?%"] {
            assert_eq!(percent_decoded(&percent_encoded(text)).as_deref(), Some(text));
        }
    }
}
