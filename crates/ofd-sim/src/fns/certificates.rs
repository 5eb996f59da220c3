//! The simulator's own CA and the certificates it gives out: files of a folder, made when absent.
//!
//! Existing files are kept, so that a restart has the same CA and clients go on working. Files of keys are for their
//! owner only. Everything here is for tests: these are no certificates of a real tax service, which demands ГОСТ.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a SAN URI of an operator's certificate begins with; the operator's id follows.
const OFD_URN: &str = "urn:ofd:";
/// The operator of `other-ofd.pem`, which nobody is configured to be.
const OTHER_OFD: &str = "other-ofd";
/// How long the CA and the server's certificate are valid, years.
const CA_YEARS: i32 = 10;

/// Names of the files in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The folder.
    pub folder: PathBuf,
    /// Certificate of the CA, the only one that the daemon is to trust.
    pub ca: PathBuf,
    /// Certificate of the server, for `localhost` and `127.0.0.1`.
    pub server: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// Certificate of the configured operator.
    pub client: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
    /// Certificate of another operator: its requests are 403.
    pub other_ofd: PathBuf,
    /// Its key.
    pub other_ofd_key: PathBuf,
    /// Certificate of a taxpayer, for endpoint 6.
    pub taxpayer: PathBuf,
    /// Its key.
    pub taxpayer_key: PathBuf,
}

impl CertificateFiles {
    /// The names in `folder`; nothing is read or written.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        Self {
            folder: folder.to_owned(),
            ca: file("ca.pem"),
            server: file("server.pem"),
            server_key: file("server.key"),
            client: file("client.pem"),
            client_key: file("client.key"),
            other_ofd: file("other-ofd.pem"),
            other_ofd_key: file("other-ofd.key"),
            taxpayer: file("taxpayer.pem"),
            taxpayer_key: file("taxpayer.key"),
        }
    }

    /// Makes what is absent. The operator's client certificate is made anew when it is another operator's, or when
    /// `renew_client` asks for it.
    ///
    /// # Errors
    /// The folder or a file cannot be read or written, or an existing key is not readable.
    pub fn prepare(
        folder: &Path,
        ofd_id: &str,
        renew_client: bool,
        client_days: u16,
    ) -> anyhow::Result<Self> {
        let files = Self::in_folder(folder);
        fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        let issuer = files.issuer()?;
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let long = today.saturating_add(CA_YEARS.years());
        let short = today.saturating_add(i32::from(client_days).days());
        let make = |certificate: &Path, key: &Path, subject: &Subject<'_>, until: Date| {
            issue(&issuer, certificate, key, subject, today, until)
        };
        if !(files.server.exists() && files.server_key.exists()) {
            make(&files.server, &files.server_key, &Subject::Server, long)?;
        }
        let is_ours = || {
            let pem = fs::read(&files.client).ok()?;
            let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
            (operator_of(&pem.contents)? == ofd_id).then_some(())
        };
        if renew_client || !files.client_key.exists() || is_ours().is_none() {
            make(&files.client, &files.client_key, &Subject::Operator(ofd_id), short)?;
        }
        if !(files.other_ofd.exists() && files.other_ofd_key.exists()) {
            make(&files.other_ofd, &files.other_ofd_key, &Subject::Operator(OTHER_OFD), long)?;
        }
        if !(files.taxpayer.exists() && files.taxpayer_key.exists()) {
            make(&files.taxpayer, &files.taxpayer_key, &Subject::Taxpayer, long)?;
        }
        Ok(files)
    }

    /// The CA: its key from the file, its name and extensions always the same, so that they need not be read back.
    fn issuer(&self) -> anyhow::Result<Issuer<'static, KeyPair>> {
        let key_file = self.folder.join("ca.key");
        let key = if key_file.exists() && self.ca.exists() {
            let pem =
                fs::read_to_string(&key_file).with_context(|| format!("reading {}", key_file.display()))?;
            KeyPair::from_pem(&pem).with_context(|| format!("{} is no private key", key_file.display()))?
        } else {
            let key = KeyPair::generate().context("making the CA's key")?;
            let mut params = ca_params()?;
            let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
            set_period(&mut params, today, today.saturating_add(CA_YEARS.years()))?;
            let certificate = params.self_signed(&key).context("signing the CA's certificate")?;
            write_file(&key_file, &key.serialize_pem(), 0o600)?;
            write_file(&self.ca, &certificate.pem(), 0o644)?;
            key
        };
        Ok(Issuer::new(ca_params()?, key))
    }
}

/// Who a certificate is for.
enum Subject<'s> {
    Server,
    Operator(&'s str),
    Taxpayer,
}

fn ca_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new()).context("the CA's certificate")?;
    params.distinguished_name = named("fns-sim CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "fns-sim (test certificates)");
    name.push(DnType::CommonName, common_name);
    name
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    certificate: &Path,
    key_file: &Path,
    subject: &Subject<'_>,
    from: Date,
    until: Date,
) -> anyhow::Result<()> {
    let key = KeyPair::generate().context("making a key")?;
    let (names, common_name, usage) = match subject {
        Subject::Server => {
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
            (names, "fns-sim", ExtendedKeyUsagePurpose::ServerAuth)
        }
        Subject::Operator(id) => (Vec::new(), *id, ExtendedKeyUsagePurpose::ClientAuth),
        Subject::Taxpayer => (Vec::new(), "taxpayer", ExtendedKeyUsagePurpose::ClientAuth),
    };
    let mut params = CertificateParams::new(names).context("a certificate's names")?;
    params.distinguished_name = named(common_name);
    if let Subject::Operator(id) = subject {
        let urn = format!("{OFD_URN}{id}").try_into().context("the operator's id is ASCII")?;
        params.subject_alt_names.push(SanType::URI(urn));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    set_period(&mut params, from, until)?;
    let signed = params.signed_by(&key, issuer).context("signing a certificate")?;
    // The key first: a reader that meets both files of different pairs refuses them, one that meets only the old
    // certificate with the old key cannot be helped by any order.
    write_file(key_file, &key.serialize_pem(), 0o600)?;
    write_file(certificate, &signed.pem(), 0o644)
}

/// From yesterday (clocks differ) to `until`.
fn set_period(params: &mut CertificateParams, from: Date, until: Date) -> anyhow::Result<()> {
    let from = from.saturating_sub(1.day());
    let date = |date: Date| {
        let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day())?);
        anyhow::Ok(rcgen::date_time_ymd(date.year().into(), month, day))
    };
    params.not_before = date(from)?;
    params.not_after = date(until)?;
    Ok(())
}

/// Writes beside and renames, so that a reader never meets half a file.
fn write_file(path: &Path, content: &str, mode: u32) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// The operator that a client certificate (DER) names: SAN URI `urn:ofd:<id>`, else the common name.
pub(super) fn operator_of(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let urn = names.iter().flat_map(|names| &names.value.general_names).find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(OFD_URN),
        _ => None,
    });
    if let Some(id) = urn {
        return Some(id.to_owned());
    }
    let common_name = certificate.subject().iter_common_name().next()?;
    common_name.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn operator_in(file: &Path) -> Option<String> {
        let pem = fs::read(file).unwrap();
        operator_of(&x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents)
    }

    #[test]
    fn files_are_made_once_and_the_client_is_renewed_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let prepare = |id: &str, renew| CertificateFiles::prepare(folder.path(), id, renew, 30).unwrap();
        let files = prepare("ofd1", false);
        let read = |path: &Path| fs::read(path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for key in [&files.server_key, &files.client_key, &files.other_ofd_key, &files.taxpayer_key] {
            assert_eq!(mode(key), 0o600, "{}", key.display());
        }
        assert_eq!(mode(&folder.path().join("ca.key")), 0o600);
        assert_eq!(operator_in(&files.client).as_deref(), Some("ofd1"));
        assert_eq!(operator_in(&files.other_ofd).as_deref(), Some(OTHER_OFD));
        assert_eq!(operator_in(&files.taxpayer).as_deref(), Some("taxpayer"));
        let (ca, client, server) = (read(&files.ca), read(&files.client), read(&files.server));
        prepare("ofd1", false);
        assert_eq!((&ca, &client, &server), (&read(&files.ca), &read(&files.client), &read(&files.server)));
        prepare("ofd1", true);
        assert_ne!(client, read(&files.client));
        prepare("ofd2", false);
        assert_eq!(operator_in(&files.client).as_deref(), Some("ofd2"));
        assert_eq!((ca, server), (read(&files.ca), read(&files.server)));
    }

    #[test]
    fn garbage_is_no_operator() {
        assert_eq!(operator_of(b""), None);
        assert_eq!(operator_of(&[0x30; 64]), None);
    }
}
