//! TLS to the server: its certificate is checked against one authority, and its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// PEM files.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsFiles {
    /// The authority of the server's certificate.
    pub(super) ca: Option<PathBuf>,
    /// Our own certificate, where the server asks for one.
    pub(super) cert: Option<PathBuf>,
    /// Its key.
    pub(super) key: Option<PathBuf>,
}

/// Reads the files.
pub(super) fn connector(files: &TlsFiles) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.ca {
        for certificate in certificates("store.ca", path)? {
            roots.add(certificate).map_err(|error| unusable("store.ca", path, &error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::refused(format!("TLS: {error}")))?
        .with_root_certificates(roots);
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates("store.cert", cert)?;
            let secret =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("store.key", key, &error))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| unusable("store.key", key, &error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(setting, path, &error))?;
    if read.is_empty() {
        return Err(unusable(setting, path, &"no certificate in it"));
    }
    Ok(read)
}

fn unusable(setting: &str, path: &Path, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::refused(format!("{setting} {}: {what}", path.display()))
}
