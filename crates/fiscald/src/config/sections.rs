//! The sections of the configuration that belong to no other crate, with their defaults.
//!
//! `[ingest]`, `[sister]`, `[admin]` and `[store]` are described by the crates that use them. A section whose part is not built
//! yet stands here too, so that a configuration written today is still right tomorrow.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ffd::check::Weight;
use ofd_ingest::UnknownFn;
use serde::Deserialize;

/// `[operator]`: who acknowledges.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OperatorConfig {
    /// INN of the operator, tag 1017 of every acknowledgement. `serve` does not run without it.
    pub(crate) inn: Option<String>,
    /// Name of the operator, for pages and mail.
    pub(crate) name: Option<String>,
    /// Public address of the operator's site.
    pub(crate) site: Option<String>,
}

/// `[signs]`: what is done with fiscal signs, and where the keys lie.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignsConfig {
    /// How strict reception is about the message sign.
    pub(crate) mode: pkz::SignMode,
    /// Which device makes and checks signs.
    pub(crate) profile: SignProfile,
    /// Keystore file of the message masters.
    pub(crate) keys_msg: Option<PathBuf>,
    /// Keystore file of the operator masters.
    pub(crate) keys_opr: Option<PathBuf>,
    /// Permits the published test keys, and uses them when no key files are named.
    pub(crate) test: bool,
    /// The second switch that mode `off` needs.
    pub(crate) i_understand_unsigned: bool,
}

impl Default for SignsConfig {
    fn default() -> Self {
        Self {
            mode: pkz::SignMode::Required,
            profile: SignProfile::SoftGost1,
            keys_msg: None,
            keys_opr: None,
            test: false,
            i_understand_unsigned: false,
        }
    }
}

/// The device behind the signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum SignProfile {
    /// The open software profile.
    #[serde(rename = "soft-gost-1")]
    SoftGost1,
    /// A certified module; no adapter is built yet.
    #[serde(rename = "hsm")]
    Hsm,
    /// Nothing is checked and nothing is signed; only with mode `off`.
    #[serde(rename = "none")]
    None,
}

/// `[registration]`: which registers are served. Only `unknown_fn` works in this build.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistrationConfig {
    /// What happens to documents of an ФН nobody told us about.
    pub(crate) unknown_fn: UnknownFn,
    /// How long a register without a contract is still served, seconds.
    pub(crate) grace_s: u64,
    /// How long to wait for the registration card from the tax service, seconds.
    pub(crate) t_card_s: u64,
    /// After how long without documents a register counts as silent, seconds.
    pub(crate) silent_s: u64,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { unknown_fn: UnknownFn::Hold, grace_s: 3 * DAY_S, t_card_s: DAY_S, silent_s: 30 * DAY_S }
    }
}

const DAY_S: u64 = 86_400;

/// `[checks]`: rule of the format and logic control = weight of its findings.
pub(crate) type ChecksConfig = BTreeMap<String, Weight>;

/// `[fns]`: the tax service. Forwarding is not built yet; `forward_unknown` already marks the documents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FnsConfig {
    pub(crate) url: Option<String>,
    pub(crate) ofd_id: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) forward_unknown: bool,
    pub(crate) batch_docs: u32,
    pub(crate) batch_bytes: u64,
    pub(crate) linger_ms: u64,
    pub(crate) workers: u32,
    pub(crate) connect_timeout_s: u64,
    pub(crate) timeout_s: u64,
    pub(crate) retry_base_ms: u64,
    pub(crate) retry_cap_s: u64,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_open_s: u64,
    pub(crate) breaker_open_max_s: u64,
    pub(crate) age_warn_s: u64,
    pub(crate) age_high_s: u64,
    pub(crate) age_critical_s: u64,
    pub(crate) names: FnsNames,
}

impl Default for FnsConfig {
    fn default() -> Self {
        Self {
            url: None,
            ofd_id: None,
            ca: None,
            cert: None,
            key: None,
            forward_unknown: false,
            batch_docs: 100,
            batch_bytes: 1_048_576,
            linger_ms: 200,
            workers: 8,
            connect_timeout_s: 5,
            timeout_s: 30,
            retry_base_ms: 1_000,
            retry_cap_s: 300,
            breaker_failures: 5,
            breaker_open_s: 30,
            breaker_open_max_s: 600,
            age_warn_s: 3_600,
            age_high_s: 43_200,
            age_critical_s: 86_400,
            names: FnsNames::Modern,
        }
    }
}

/// Which names the tax service's JSON uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FnsNames {
    Modern,
    Legacy,
}

/// `[web]`: the cabinet. Not built yet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebConfig {
    pub(crate) listen: SocketAddr,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)) }
    }
}

/// `[mail]`: receipts to buyers. Not built yet; off while `relay` is absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MailConfig {
    pub(crate) relay: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

/// `[log]`: what goes to stderr.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}
