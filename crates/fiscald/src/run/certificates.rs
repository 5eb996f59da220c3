//! The files of the link with the tax service, looked at before a port opens: `serve` and `check-config` say the same.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, anyhow};
use ofd_fns::FnsConfig;
use ofd_fns::client::HttpTaxService;

use crate::config::Problem;

/// Bits of a key file that nobody but its owner and his group may have: reading by others, writing by anybody else.
const FORBIDDEN_BITS: u32 = 0o027;

/// Files that are not there, each with its key, and what is wrong with those that are. Nothing is looked at without a link,
/// or when it is plain HTTP to a gateway of this machine.
pub(crate) fn check(config: &FnsConfig) -> (Vec<Problem>, Option<anyhow::Error>) {
    if config.url.is_none() {
        return (Vec::new(), None);
    }
    let named = [("fns.ca", &config.ca), ("fns.cert", &config.cert), ("fns.key", &config.key)];
    let missing: Vec<Problem> = named
        .into_iter()
        .filter_map(|(key, path)| Some((key, path.as_ref().filter(|path| is_missing(path))?)))
        .map(|(key, path)| {
            let fix = "put the PEM file there, or name the one to be used";
            Problem::new(key, format!("there is no file {}", path.display()), fix)
        })
        .collect();
    if !missing.is_empty() {
        return (missing, None);
    }
    let wrong = config.key.as_deref().map_or(Ok(()), keep_secret);
    // Making the link reads the files, and holds certificate and key against each other.
    let wrong = wrong.and_then(|()| HttpTaxService::new(config).map(drop).map_err(Into::into));
    (Vec::new(), wrong.err())
}

fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// A key that others may read is no secret.
fn keep_secret(path: &Path) -> Result<()> {
    let fail = |error: std::io::Error| anyhow!("fns.key {}: {error}", path.display());
    let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode() & 0o7777;
    if mode & FORBIDDEN_BITS == 0 {
        return Ok(());
    }
    Err(anyhow!(
        "fns.key {}: others may read or change it (mode {mode:04o}); chmod 0600, owned by the user of the service",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::path::PathBuf;

    use ofd_sim::fns::CertificateFiles;

    use super::*;

    /// A folder with good files, and the settings that name them.
    fn linked() -> (tempfile::TempDir, FnsConfig) {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles::prepare(folder.path(), "ofd1", false, 365).unwrap();
        let config = FnsConfig {
            url: Some("https://127.0.0.1:9443".to_owned()),
            ofd_id: Some("ofd1".to_owned()),
            ca: Some(files.ca),
            cert: Some(files.client),
            key: Some(files.client_key),
            ..FnsConfig::default()
        };
        (folder, config)
    }

    /// What is said after the files were changed; empty when all is well.
    fn said(change: impl FnOnce(&mut FnsConfig, &Path)) -> String {
        let (folder, mut config) = linked();
        change(&mut config, folder.path());
        let (missing, wrong) = check(&config);
        let wrong = wrong.map(|error| format!("{error:#}"));
        missing.iter().map(ToString::to_string).chain(wrong).collect::<Vec<_>>().join("\n")
    }

    fn key_of(config: &FnsConfig) -> PathBuf {
        config.key.clone().unwrap()
    }

    #[test]
    fn every_fault_of_the_files_is_explained() {
        let check = |change: &dyn Fn(&mut FnsConfig, &Path), parts: &[&str]| {
            let said = said(change);
            assert!(
                parts.iter().all(|part| said.contains(part)) && said.is_empty() == parts.is_empty(),
                "{said}"
            );
        };
        let with_mode = |mode: u32| {
            move |config: &mut FnsConfig, _: &Path| {
                std::fs::set_permissions(key_of(config), Permissions::from_mode(mode)).unwrap();
            }
        };
        check(&|_, _| {}, &[]);
        // Without a link nobody looks at files, and a gateway needs none.
        check(&|config, _| *config = FnsConfig::default(), &[]);
        check(
            &|config, _| config.ca = Some("/no/ca.pem".into()),
            &["fns.ca: there is no file /no/ca.pem; put"],
        );
        check(
            &|config, _| (config.cert, config.key) = (Some("/no/c".into()), Some("/no/k".into())),
            &["fns.cert: there is no file /no/c", "fns.key: there is no file /no/k"],
        );
        check(&with_mode(0o644), &["fns.key", "mode 0644", "chmod 0600"]);
        check(&with_mode(0o660), &["fns.key", "mode 0660"]);
        check(&with_mode(0o640), &[]);
        check(&with_mode(0o400), &[]);
        check(
            &|config, folder| config.cert = Some(folder.join("other-ofd.pem")),
            &["fns.key", "does not fit"],
        );
        check(&|config, _| config.cert = config.key.clone(), &["fns.cert", "no certificate"]);
        check(&|config, _| config.ca = config.key.clone(), &["fns.ca", "no certificate"]);
        check(&|config, folder| config.ca = Some(folder.to_owned()), &["fns.ca"]);
    }

    #[test]
    fn what_stands_in_a_key_is_never_repeated() {
        let secret = "MC4CAQAwBQYDK2VwBCIEIJ";
        let said = said(|config, _| {
            let broken = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
            std::fs::write(key_of(config), broken).unwrap();
        });
        assert!(said.contains("fns.key") && !said.contains(secret), "{said}");
    }
}
