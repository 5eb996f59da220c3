//! Settings of reception and of the admin port: sections `[ingest]` and `[admin]`, and the policy put together from
//! other sections. Reading files and environment is the binary's work; here are only the shapes, the defaults and
//! what may not be asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pkz::SignMode;
use serde::{Deserialize, Serialize};

use crate::error::IngestError;

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
    /// Connections in all; one more is closed at once.
    pub max_connections: usize,
    /// Connections of one address (an IPv6 address counts by its /64). Shops of a chain may share one address.
    pub max_connections_per_ip: usize,
    /// Seconds without a byte and without a document in work after which a connection is closed.
    pub idle_timeout_s: u64,
    /// Seconds that a started message may take to arrive, and a reply to be taken by the register.
    pub message_timeout_s: u64,
    /// Largest body of a message in bytes; a larger one is refused by its header.
    pub max_body_bytes: usize,
    /// Expect a PROXY protocol header from a balancer. Not built yet: asking for it is refused at start.
    pub proxy_protocol: bool,
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
            proxy_protocol: false,
            shutdown_grace_s: 20,
        }
    }
}

impl IngestConfig {
    /// Checks what the types cannot say. [`IngestError::Config`] names the key and the rule.
    pub fn validate(&self) -> Result<(), IngestError> {
        at_least_one("max_connections", self.max_connections)?;
        at_least_one("max_connections_per_ip", self.max_connections_per_ip)?;
        period("idle_timeout_s", self.idle_timeout_s)?;
        period("message_timeout_s", self.message_timeout_s)?;
        period("shutdown_grace_s", self.shutdown_grace_s)?;
        if !(MIN_BODY_LIMIT_BYTES..=MAX_BODY_LIMIT_BYTES).contains(&self.max_body_bytes) {
            return Err(IngestError::config(
                "ingest.max_body_bytes",
                format!(
                    "{} is outside {MIN_BODY_LIMIT_BYTES}..={MAX_BODY_LIMIT_BYTES} bytes",
                    self.max_body_bytes
                ),
            ));
        }
        if self.proxy_protocol {
            return Err(IngestError::config(
                "ingest.proxy_protocol",
                "the PROXY protocol is not built yet; with it on, every register would be taken for garbage. \
                 Set it to false and let the balancer pass connections through"
                    .to_owned(),
            ));
        }
        Ok(())
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

/// Longest period that a setting may name: a week. Anything longer is a slip of the pen.
const MAX_PERIOD_S: u64 = 7 * 24 * 3600;

fn at_least_one(key: &str, value: usize) -> Result<(), IngestError> {
    if value == 0 {
        return Err(IngestError::config(&format!("ingest.{key}"), "must be at least 1".to_owned()));
    }
    Ok(())
}

fn period(key: &str, seconds: u64) -> Result<(), IngestError> {
    if !(1..=MAX_PERIOD_S).contains(&seconds) {
        return Err(IngestError::config(
            &format!("ingest.{key}"),
            format!("{seconds} is outside 1..={MAX_PERIOD_S} seconds"),
        ));
    }
    Ok(())
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
        check(|config| config.proxy_protocol = true, Some("ingest.proxy_protocol"));
    }
}
