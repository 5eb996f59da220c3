//! Mutual TLS from three PEM files: the authority of the tax service (no other is trusted), our certificate, our key.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::config::TlsFiles;
use crate::error::FnsError;

/// Largest PEM file that is read.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// Reads the files and makes the configuration of TLS 1.2 and 1.3 from them.
///
/// # Errors
/// [`FnsError::Certificate`] names the setting, the file and what is wrong; never what stands in the file.
pub(super) fn client_config(files: &TlsFiles) -> Result<ClientConfig, FnsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("fns.ca", &files.ca)? {
        roots.add(certificate).map_err(|error| bad("fns.ca", &files.ca, &error))?;
    }
    let chain = certificates("fns.cert", &files.cert)?;
    let key = private_key(&files.key)?;
    builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| bad("fns.key", &files.key, &format_args!("does not fit fns.cert: {error}")))
}

/// A configuration by which no server is trusted, for a client that speaks plain HTTP only.
///
/// # Errors
/// [`FnsError::Client`] if the cryptography cannot be set up.
pub(super) fn trusting_nobody() -> Result<ClientConfig, FnsError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Whether an error comes from an alert of TLS by which the other side refuses our certificate, or to talk with us at all:
/// it will do so again until a person acts. In TLS 1.3 the alert comes when our side has finished the handshake, instead of
/// the answer.
pub(super) fn refuses_us(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() {
            return is_refusal(*alert);
        }
        // What an I/O error wraps is not among its causes.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}

fn is_refusal(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, FnsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| FnsError::Client(error.to_string()))
}

/// All certificates of a PEM file, at least one.
///
/// # Errors
/// [`FnsError::Certificate`].
pub(crate) fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FnsError> {
    let pem = read(key, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        // The reader's own words may repeat lines of the file.
        .map_err(|_| bad(key, path, &"is no readable PEM file"))?;
    if certificates.is_empty() {
        return Err(bad(key, path, &"holds no certificate (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FnsError> {
    let pem = read("fns.key", path)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| bad("fns.key", path, &"holds no readable private key (-----BEGIN PRIVATE KEY-----)"))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, FnsError> {
    let len = fs::metadata(path).map_err(|error| bad(key, path, &error))?.len();
    if len > MAX_PEM_BYTES {
        return Err(bad(key, path, &format_args!("has {len} bytes, more than {MAX_PEM_BYTES}")));
    }
    fs::read(path).map_err(|error| bad(key, path, &error))
}

fn bad(key: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> FnsError {
    FnsError::Certificate { key, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_that_mean_us() {
        let check = |alert: AlertDescription, expected: bool| {
            let inner = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
            let outer = io::Error::other(inner);
            assert_eq!(refuses_us(&outer), expected, "{alert:?}");
        };
        check(AlertDescription::CertificateExpired, true);
        check(AlertDescription::UnknownCA, true);
        check(AlertDescription::HandshakeFailure, true);
        check(AlertDescription::CloseNotify, false);
        check(AlertDescription::InternalError, false);
        assert!(!refuses_us(&io::Error::from(io::ErrorKind::ConnectionReset)));
    }
}
