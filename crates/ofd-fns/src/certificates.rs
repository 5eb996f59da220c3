//! How long the certificates of the link still hold, and whether the files can be used at all.

use std::path::Path;

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client::{HttpTaxService, tls};
use crate::config::{FnsConfig, TlsFiles};
use crate::error::FnsError;

/// Days before the end at which it is said, the earliest first.
const WARNING_DAYS: [i64; 3] = [30, 7, 1];
const DAY_S: i64 = 86_400;

/// When certificates of the link expire: of a file with several, the first to expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Our own certificate.
    pub client: Timestamp,
    /// The authority of the tax service.
    pub ca: Timestamp,
}

/// Checks that the files of the link can be used: readable, PEM, key and certificate of one another.
///
/// # Errors
/// [`FnsError`] with setting, file and reason; what stands in the file is not repeated. Nothing is wrong with settings
/// that have no link.
pub fn check(config: &FnsConfig) -> Result<(), FnsError> {
    HttpTaxService::new(config)?;
    expiry(config).map(|_| ())
}

/// When the certificates of the link expire; nothing where there are none.
///
/// # Errors
/// [`FnsError::Certificate`].
pub fn expiry(config: &FnsConfig) -> Result<Option<Expiry>, FnsError> {
    let Some(TlsFiles { ca, cert, .. }) = config.endpoint().and_then(|endpoint| endpoint.tls) else {
        return Ok(None);
    };
    Ok(Some(Expiry { client: first_end("fns.cert", &cert)?, ca: first_end("fns.ca", &ca)? }))
}

fn first_end(key: &'static str, path: &Path) -> Result<Timestamp, FnsError> {
    let unreadable = || FnsError::Certificate {
        key,
        path: path.to_owned(),
        reason: "holds an unreadable certificate".to_owned(),
    };
    let mut first: Option<Timestamp> = None;
    for certificate in tls::certificates(key, path)? {
        let (_, certificate) = X509Certificate::from_der(&certificate).map_err(|_| unreadable())?;
        let end = certificate.validity().not_after.timestamp();
        let end = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
        first = Some(first.map_or(end, |first| first.min(end)));
    }
    first.ok_or_else(unreadable)
}

/// How near the end of a certificate is, in the steps in which it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    Far,
    /// Fewer days than this are left.
    Within(std::cmp::Reverse<i64>),
    Over,
}

/// How near an end is now.
pub(crate) fn nearness(end: Timestamp, now: Timestamp) -> Nearness {
    let left_s = end.as_second().saturating_sub(now.as_second());
    if left_s <= 0 {
        return Nearness::Over;
    }
    let within = WARNING_DAYS.into_iter().rev().find(|days| left_s <= days * DAY_S);
    within.map_or(Nearness::Far, |days| Nearness::Within(std::cmp::Reverse(days)))
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn steps_of_nearness() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let check = |left_s: i64, expected: Nearness| {
            let end = Timestamp::from_second(now.as_second() + left_s).unwrap();
            assert_eq!(nearness(end, now), expected, "{left_s}");
        };
        check(30 * DAY_S + 1, Nearness::Far);
        check(30 * DAY_S, Nearness::Within(Reverse(30)));
        check(7 * DAY_S + 1, Nearness::Within(Reverse(30)));
        check(7 * DAY_S, Nearness::Within(Reverse(7)));
        check(DAY_S, Nearness::Within(Reverse(1)));
        check(1, Nearness::Within(Reverse(1)));
        check(0, Nearness::Over);
        check(-5, Nearness::Over);
        assert!(Nearness::Far < Nearness::Within(Reverse(30)));
        assert!(Nearness::Within(Reverse(30)) < Nearness::Within(Reverse(1)));
        assert!(Nearness::Within(Reverse(1)) < Nearness::Over);
    }
}
