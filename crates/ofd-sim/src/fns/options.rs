//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::config::SimConfig;

/// How to start a simulator; the defaults listen on free ports of loopback.
#[derive(Debug, Clone)]
pub struct FnsSimOptions {
    /// Where the tax service listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control port and the taxpayer's page listen; loopback only, port 0 takes a free one.
    pub control: SocketAddr,
    /// The one operator that the service knows: `{ofdId}` of the paths and of the client certificate.
    pub ofd_id: String,
    /// The folder of CA, server and client certificates, made when absent; needed for TLS. `None` = plain http, as
    /// behind a local gateway, and then [`FnsSimOptions::listen`] must be loopback.
    pub certificates: Option<PathBuf>,
    /// Makes the operator's client certificate anew although there is one.
    pub renew_client: bool,
    /// How long a new client certificate is valid, days.
    pub client_days: u16,
    /// State is read from this file at start, when it exists, and written to it at the end.
    pub snapshot: Option<PathBuf>,
    /// Keeps every document as it came; without it only hash, numbers and verdict are kept.
    pub keep_bodies: bool,
    /// Checks ФПД and ФПС with the published test keys: a wrong one is hard 910.
    pub check_signs: bool,
    /// Seed of all chance ([`SimConfig::fail_rate`]).
    pub seed: u64,
    /// Behaviour at start. A snapshot does not change it.
    pub config: SimConfig,
}

impl Default for FnsSimOptions {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: loopback,
            control: loopback,
            ofd_id: "ofd1".to_owned(),
            certificates: None,
            renew_client: false,
            client_days: 365,
            snapshot: None,
            keep_bodies: false,
            check_signs: false,
            seed: 1,
            config: SimConfig::default(),
        }
    }
}
