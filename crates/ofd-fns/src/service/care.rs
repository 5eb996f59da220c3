//! Looks after the certificates of the link: reads them anew when asked or when the files change, and says in time when they
//! end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::remarks::{Remark, Remarks};
use crate::certificates::{Expiry, Nearness, expiry, nearness};
use crate::client::HttpTaxService;
use crate::config::{FnsConfig, TlsFiles};
use crate::error::FnsError;
use crate::metrics::Metrics;

/// How often the files are looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// The certificates in use.
pub(crate) struct Certificates {
    config: FnsConfig,
    link: Arc<HttpTaxService>,
    expiry: Expiry,
    /// As they were when they were read.
    stamps: Vec<Option<Stamp>>,
    said: [Nearness; 2],
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

impl Certificates {
    /// Nothing when the link has none.
    ///
    /// # Errors
    /// [`FnsError::Certificate`].
    pub(crate) fn new(config: &FnsConfig, link: Arc<HttpTaxService>) -> Result<Option<Self>, FnsError> {
        let Some(expiry) = expiry(config)? else { return Ok(None) };
        let mut certificates =
            Self { config: config.clone(), link, expiry, stamps: Vec::new(), said: [Nearness::Far; 2] };
        certificates.stamps = certificates.stamp();
        Ok(Some(certificates))
    }

    /// Their files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.config.endpoint().and_then(|endpoint| endpoint.tls);
        files.map(|TlsFiles { ca, cert, key }| vec![ca, cert, key]).unwrap_or_default()
    }

    /// Cares until `stop` is cancelled. Those behind `reloaded` are told when new ones are in use.
    ///
    /// Cancellation-safe: nothing is in flight between two looks.
    pub(crate) async fn care(
        mut self,
        asked: Arc<Notify>,
        reloaded: [Arc<Notify>; 2],
        metrics: Arc<Metrics>,
        remarks: Arc<Remarks>,
        stop: CancellationToken,
    ) {
        loop {
            self.tell(&metrics, &remarks);
            let wanted = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK_PAUSE) => false,
            };
            let stamps = self.stamp();
            if wanted || stamps != self.stamps {
                self.stamps = stamps;
                self.reload(&reloaded, &remarks);
            }
        }
    }

    fn reload(&mut self, reloaded: &[Arc<Notify>], remarks: &Remarks) {
        match self.link.reload().and_then(|()| expiry(&self.config)) {
            Ok(Some(expiry)) => {
                self.expiry = expiry;
                self.said = [Nearness::Far; 2];
                info!(client_until = %expiry.client, ca_until = %expiry.ca, "the certificates of the link with the tax service were read anew");
                remarks.set(Remark::Certificates, None);
                reloaded.iter().for_each(|waiting| waiting.notify_one());
            }
            Ok(None) => {}
            Err(why) => {
                error!(error = %why, "the certificates of the link with the tax service cannot be read; the old ones stay in use");
                remarks.set(Remark::Certificates, Some(why.to_string()));
            }
        }
    }

    /// Said once per step: 30, 7 and 1 days before the end, and at the end.
    fn tell(&mut self, metrics: &Metrics, remarks: &Remarks) {
        let now = Timestamp::now();
        let ends = [
            ("fns.cert", self.expiry.client, &metrics.expires_client),
            ("fns.ca", self.expiry.ca, &metrics.expires_ca),
        ];
        for ((key, end, gauge), said) in ends.into_iter().zip(&mut self.said) {
            gauge.set(end.duration_since(now).as_secs_f64());
            let near = nearness(end, now);
            if near <= *said {
                continue;
            }
            *said = near;
            match near {
                Nearness::Far => {}
                Nearness::Within(std::cmp::Reverse(days)) if days > 7 => {
                    warn!(key, until = %end, "a certificate of the link with the tax service ends within {days} days");
                }
                Nearness::Within(std::cmp::Reverse(days)) => {
                    error!(key, until = %end, "a certificate of the link with the tax service ends within {days} days: replace it");
                    remarks.set(Remark::Certificates, Some(format!("{key} ends at {end}")));
                }
                Nearness::Over => {
                    error!(key, until = %end, "a certificate of the link with the tax service HAS ENDED: nothing will be taken from us");
                    remarks.set(Remark::Certificates, Some(format!("{key} ended at {end}")));
                }
            }
        }
    }

    fn stamp(&self) -> Vec<Option<Stamp>> {
        let stamp = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.files().iter().map(stamp).collect()
    }
}
