//! The sections of the configuration that belong to no other crate, with their defaults.
//!
//! `[ingest]`, `[sister]`, `[admin]`, `[store]` and `[fns]` are described by the crates that use them. A section whose part is
//! not built yet stands here too, so that a configuration written today is still right tomorrow.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ffd::check::Weight;
use ofd_fns::registration::RegistrationConfig as Periods;
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

/// `[registration]`: which registers are served, and the periods of their way to the tax service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistrationConfig {
    /// What happens to documents of an ФН nobody told us about.
    pub(crate) unknown_fn: UnknownFn,
    /// How long the registers of a stopped contract are still served, seconds.
    pub(crate) grace_s: u64,
    /// How long to wait for the registration card from the tax service, seconds.
    pub(crate) t_card_s: u64,
    /// How long to wait for the registration report after a number was assigned, seconds; absent: to the end of the next
    /// business day in Moscow.
    pub(crate) t_rnm_s: Option<u64>,
    /// After how long without documents a register counts as silent, seconds.
    pub(crate) silent_s: u64,
    /// How often journal, events and due registers are looked at, milliseconds.
    pub(crate) tick_ms: u64,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        let Periods { grace_s, t_card_s, t_rnm_s, silent_s, tick_ms } = Periods::default();
        Self { unknown_fn: UnknownFn::Hold, grace_s, t_card_s, t_rnm_s, silent_s, tick_ms }
    }
}

impl RegistrationConfig {
    /// The periods, as the part that works with them takes them.
    pub(crate) fn periods(&self) -> Periods {
        let Self { unknown_fn: _, grace_s, t_card_s, t_rnm_s, silent_s, tick_ms } = *self;
        Periods { grace_s, t_card_s, t_rnm_s, silent_s, tick_ms }
    }
}

/// `[checks]`: rule of the format and logic control = weight of its findings.
pub(crate) type ChecksConfig = BTreeMap<String, Weight>;

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
