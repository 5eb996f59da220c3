//! Settings of reception and of the admin port: sections `[ingest]` and `[admin]`, and the policy put together from
//! other sections. Reading files and environment is the binary's work; here are only the shapes, the defaults and
//! what may not be asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pkz::SignMode;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::IngestError;
use crate::proxy::Networks;

/// Smallest body limit worth having: a container with an empty document (32 header + 4 document + 10 trailer).
pub const MIN_BODY_LIMIT_BYTES: usize = 46;

/// Largest body limit: the body size of the session header is 16 bits wide.
pub const MAX_BODY_LIMIT_BYTES: usize = 65_535;

/// Section `[ingest]`: the port that registers connect to and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// Address and port of the listener. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections in all. For one more the one that was idle for longest is closed; if none is, the newcomer is.
    pub max_connections: usize,
    /// Connections of one address (an IPv6 address counts by its /64). Shops of a chain may share one address.
    pub max_connections_per_ip: usize,
    /// Seconds without a byte and without a document in work after which a connection is closed.
    pub idle_timeout_s: u64,
    /// Seconds that a started message may take to arrive, and a reply to be taken by the register.
    pub message_timeout_s: u64,
    /// Largest body of a message in bytes; a larger one is refused by its header.
    pub max_body_bytes: usize,
    /// Whether a balancer in front says whose connection it passes on.
    pub proxy_protocol: ProxyProtocol,
    /// Networks the balancers connect from; nobody else is let in while they have to introduce registers.
    pub proxy_from: Networks,
    /// Seconds that started messages and documents in flight have to finish after a stop was asked for.
    pub shutdown_grace_s: u64,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7777)),
            max_connections: 20_000,
            max_connections_per_ip: 5_000,
            idle_timeout_s: 300,
            message_timeout_s: 30,
            max_body_bytes: 33 * 1024,
            proxy_protocol: ProxyProtocol::Off,
            proxy_from: Networks::default(),
            shutdown_grace_s: 20,
        }
    }
}

impl IngestConfig {
    /// Checks what the types cannot say. [`IngestError::Config`] names the key and the rule.
    pub fn validate(&self) -> Result<(), IngestError> {
        at_least_one("ingest.max_connections", self.max_connections)?;
        at_least_one("ingest.max_connections_per_ip", self.max_connections_per_ip)?;
        period("ingest.idle_timeout_s", self.idle_timeout_s)?;
        period("ingest.message_timeout_s", self.message_timeout_s)?;
        period("ingest.shutdown_grace_s", self.shutdown_grace_s)?;
        body_limit("ingest.max_body_bytes", self.max_body_bytes)?;
        balancers("ingest.proxy_from", self.proxy_protocol, &self.proxy_from)
    }

    /// [`Self::idle_timeout_s`] as a duration.
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }

    /// [`Self::message_timeout_s`] as a duration.
    pub(crate) fn message_timeout(&self) -> Duration {
        Duration::from_secs(self.message_timeout_s)
    }

    /// [`Self::shutdown_grace_s`] as a duration.
    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_s)
    }
}

/// Whoever may write a header may claim any address, so it has to be said who may.
fn balancers(key: &str, protocol: ProxyProtocol, from: &Networks) -> Result<(), IngestError> {
    if protocol == ProxyProtocol::Required && from.is_empty() {
        return Err(IngestError::config(
            key,
            "proxy_protocol = \"required\" needs the networks of the balancers, as in [\"10.1.0.0/24\"]"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Longest period that a setting may name: a week. Anything longer is a slip of the pen.
const MAX_PERIOD_S: u64 = 7 * 24 * 3600;

fn at_least_one(key: &str, value: usize) -> Result<(), IngestError> {
    if value == 0 {
        return Err(IngestError::config(key, "must be at least 1".to_owned()));
    }
    Ok(())
}

fn body_limit(key: &str, bytes: usize) -> Result<(), IngestError> {
    if !(MIN_BODY_LIMIT_BYTES..=MAX_BODY_LIMIT_BYTES).contains(&bytes) {
        return Err(IngestError::config(
            key,
            format!("{bytes} is outside {MIN_BODY_LIMIT_BYTES}..={MAX_BODY_LIMIT_BYTES} bytes"),
        ));
    }
    Ok(())
}

fn period(key: &str, seconds: u64) -> Result<(), IngestError> {
    if !(1..=MAX_PERIOD_S).contains(&seconds) {
        return Err(IngestError::config(key, format!("{seconds} is outside 1..={MAX_PERIOD_S} seconds")));
    }
    Ok(())
}

/// Section `[sister]`: the port for messages about marking codes (signature DD 80 CA A1), relayed to the marking system.
/// Off while `listen` is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SisterConfig {
    /// Address and port of the listener. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Where messages are relayed to, `host:port`. Without it only probes are answered.
    pub upstream: Option<String>,
    /// Seconds until the upstream has to have taken the connection.
    pub connect_timeout_s: u64,
    /// Seconds from then on until its whole answer has to be there.
    pub answer_timeout_s: u64,
    /// Connections in all; an idle one makes room for one more, else that is closed at once.
    pub max_connections: usize,
    /// Connections of one address (an IPv6 address counts by its /64).
    pub max_connections_per_ip: usize,
    /// Seconds without a byte and without a message in work after which a connection is closed.
    pub idle_timeout_s: u64,
    /// Seconds that a started message may take to arrive, and an answer to be taken by the register.
    pub message_timeout_s: u64,
    /// Largest body of a message or an answer in bytes.
    pub max_body_bytes: usize,
    /// Whether a balancer in front says whose connection it passes on.
    pub proxy_protocol: ProxyProtocol,
    /// Networks the balancers connect from.
    pub proxy_from: Networks,
    /// Seconds that messages in work have to finish after a stop was asked for: at least [`Self::connect_timeout_s`] and
    /// [`Self::answer_timeout_s`] together.
    pub shutdown_grace_s: u64,
}

impl Default for SisterConfig {
    fn default() -> Self {
        Self {
            listen: None,
            upstream: None,
            connect_timeout_s: 5,
            answer_timeout_s: 30,
            max_connections: 2_000,
            max_connections_per_ip: 500,
            idle_timeout_s: 60,
            message_timeout_s: 30,
            max_body_bytes: 33 * 1024,
            proxy_protocol: ProxyProtocol::Off,
            proxy_from: Networks::default(),
            shutdown_grace_s: 40,
        }
    }
}

impl SisterConfig {
    /// Checks what the types cannot say. [`IngestError::Config`] names the key and the rule.
    pub fn validate(&self) -> Result<(), IngestError> {
        for (key, value) in [
            ("sister.max_connections", self.max_connections),
            ("sister.max_connections_per_ip", self.max_connections_per_ip),
        ] {
            at_least_one(key, value)?;
        }
        for (key, seconds) in [
            ("sister.connect_timeout_s", self.connect_timeout_s),
            ("sister.answer_timeout_s", self.answer_timeout_s),
            ("sister.idle_timeout_s", self.idle_timeout_s),
            ("sister.message_timeout_s", self.message_timeout_s),
            ("sister.shutdown_grace_s", self.shutdown_grace_s),
        ] {
            period(key, seconds)?;
        }
        body_limit("sister.max_body_bytes", self.max_body_bytes)?;
        balancers("sister.proxy_from", self.proxy_protocol, &self.proxy_from)?;
        let longest_relay_s = self.connect_timeout_s + self.answer_timeout_s;
        if self.listen.is_some() && self.shutdown_grace_s < longest_relay_s {
            return Err(IngestError::config(
                "sister.shutdown_grace_s",
                format!(
                    "{} is less than connect_timeout_s and answer_timeout_s together ({longest_relay_s}): a stop would \
                     cut answers off",
                    self.shutdown_grace_s
                ),
            ));
        }
        match &self.upstream {
            Some(upstream) if !is_host_and_port(upstream) => Err(IngestError::config(
                "sister.upstream",
                format!("\"{upstream}\" is no HOST:PORT, as in \"oism.example.org:7000\""),
            )),
            _ => Ok(()),
        }
    }
}

/// A name or an address (IPv6 in brackets), a colon, and a port above zero. Whether the name exists is asked later.
fn is_host_and_port(upstream: &str) -> bool {
    let Some((host, port)) = upstream.rsplit_once(':') else { return false };
    let host_is_whole = if host.contains(':') { host.starts_with('[') && host.ends_with(']') } else { true };
    !host.is_empty() && host_is_whole && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether connections begin with a header of a balancer (`ingest.proxy_protocol`, `sister.proxy_protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyProtocol {
    /// Registers connect themselves, or the balancer keeps their addresses. The default.
    #[default]
    Off,
    /// Every connection begins with a header of the PROXY protocol, version 2; without one it is closed.
    Required,
}

impl<'de> Deserialize<'de> for ProxyProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProxyProtocolVisitor)
    }
}

struct ProxyProtocolVisitor;

impl Visitor<'_> for ProxyProtocolVisitor {
    type Value = ProxyProtocol;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"off\" or \"required\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ProxyProtocol, E> {
        match text {
            "off" | "false" => Ok(ProxyProtocol::Off),
            "required" => Ok(ProxyProtocol::Required),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    /// Files of the time when it could only be switched off say `false`.
    fn visit_bool<E: de::Error>(self, on: bool) -> Result<ProxyProtocol, E> {
        if on { Err(E::invalid_type(Unexpected::Bool(on), &self)) } else { Ok(ProxyProtocol::Off) }
    }
}

/// Section `[admin]`: the port for metrics and health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Address and port; keep it off public networks, there is no authentication.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)) }
    }
}

/// What to do with documents of an ФН that nobody announced (`registration.unknown_fn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownFn {
    /// Quarantine and silence until the ФН or its ККТ is announced. The default.
    #[default]
    Hold,
    /// Journal and answer as for a known one.
    Accept,
    /// Count and stay silent, keep nothing.
    Reject,
}

/// The operator's choices that the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// `registration.unknown_fn`.
    pub unknown_fn: UnknownFn,
    /// `signs.mode`.
    pub sign_mode: SignMode,
    /// `fns.forward_unknown`: forward documents of an unknown ФН at once instead of when it becomes known.
    pub forward_unknown: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut IngestConfig), expected_key: Option<&str>) {
        let mut config = IngestConfig::default();
        change(&mut config);
        match (config.validate(), expected_key) {
            (Ok(()), None) => {}
            (Err(IngestError::Config { key, .. }), Some(expected)) => assert_eq!(key, expected),
            (other, expected) => panic!("{other:?} where {expected:?} was expected"),
        }
    }

    fn check_sister(change: impl FnOnce(&mut SisterConfig), expected_key: Option<&str>) {
        let mut config = SisterConfig::default();
        change(&mut config);
        match (config.validate(), expected_key) {
            (Ok(()), None) => {}
            (Err(IngestError::Config { key, .. }), Some(expected)) => assert_eq!(key, expected),
            (other, expected) => panic!("{other:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn the_settings_of_the_sister_service_are_checked() {
        check_sister(|_| {}, None);
        check_sister(|config| config.max_connections = 0, Some("sister.max_connections"));
        check_sister(|config| config.max_connections_per_ip = 0, Some("sister.max_connections_per_ip"));
        check_sister(|config| config.connect_timeout_s = 0, Some("sister.connect_timeout_s"));
        check_sister(|config| config.answer_timeout_s = MAX_PERIOD_S + 1, Some("sister.answer_timeout_s"));
        check_sister(|config| config.proxy_protocol = ProxyProtocol::Required, Some("sister.proxy_from"));
        check_sister(|config| config.max_body_bytes = 0, Some("sister.max_body_bytes"));
        let grace = |listen: Option<&str>, seconds| {
            let listen = listen.map(|address| address.parse().unwrap());
            move |config: &mut SisterConfig| {
                *config = SisterConfig { listen, shutdown_grace_s: seconds, ..SisterConfig::default() };
            }
        };
        check_sister(grace(Some("127.0.0.1:7001"), 35), None);
        check_sister(grace(Some("127.0.0.1:7001"), 34), Some("sister.shutdown_grace_s"));
        check_sister(grace(None, 1), None);
        let upstream = |text: &str| {
            let text = text.to_owned();
            move |config: &mut SisterConfig| config.upstream = Some(text)
        };
        for good in ["localhost:7000", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            check_sister(upstream(good), None);
        }
        for bad in
            ["", "localhost", ":7000", "localhost:0", "localhost:65536", "2001:db8::1:7000", "host:port"]
        {
            check_sister(upstream(bad), Some("sister.upstream"));
        }
    }

    #[test]
    fn every_limit_is_checked_at_its_edge() {
        check(|_| {}, None);
        check(|config| config.max_connections = 0, Some("ingest.max_connections"));
        check(|config| config.max_connections = 1, None);
        check(|config| config.max_connections_per_ip = 0, Some("ingest.max_connections_per_ip"));
        check(|config| config.idle_timeout_s = 0, Some("ingest.idle_timeout_s"));
        check(|config| config.message_timeout_s = MAX_PERIOD_S, None);
        check(|config| config.message_timeout_s = MAX_PERIOD_S + 1, Some("ingest.message_timeout_s"));
        check(|config| config.shutdown_grace_s = 0, Some("ingest.shutdown_grace_s"));
        check(|config| config.max_body_bytes = MIN_BODY_LIMIT_BYTES, None);
        check(|config| config.max_body_bytes = MIN_BODY_LIMIT_BYTES - 1, Some("ingest.max_body_bytes"));
        check(|config| config.max_body_bytes = MAX_BODY_LIMIT_BYTES, None);
        check(|config| config.max_body_bytes = MAX_BODY_LIMIT_BYTES + 1, Some("ingest.max_body_bytes"));
        check(|config| config.proxy_protocol = ProxyProtocol::Required, Some("ingest.proxy_from"));
        check(
            |config| {
                config.proxy_protocol = ProxyProtocol::Required;
                config.proxy_from = "127.0.0.0/8".parse().unwrap();
            },
            None,
        );
    }

    #[test]
    fn the_proxy_protocol_is_off_or_required() {
        for (text, expected) in [
            ("\"off\"", Some(ProxyProtocol::Off)),
            ("\"required\"", Some(ProxyProtocol::Required)),
            ("false", Some(ProxyProtocol::Off)),
            ("true", None),
            ("\"on\"", None),
            ("0", None),
        ] {
            assert_eq!(serde_json::from_str(text).ok(), expected, "{text}");
        }
    }
}
