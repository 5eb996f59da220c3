//! TLS to the server: with the right authority and name, and no other way.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for names.
    fn sign(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn only_the_right_authority_and_name_are_taken() {
    let (ours, theirs, folder) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (cert, key) = ours.sign(&["127.0.0.1"]);
    let cluster = Cluster::builder().without_sync().tls(&cert, &key).client_ca(&ours.pem).start();
    let ca = file(folder.path(), "ca.pem", &ours.pem);
    let other_ca = file(folder.path(), "other-ca.pem", &theirs.pem);
    let (cert, key) = ours.sign(&["node"]);
    let (cert, key) = (file(folder.path(), "cert.pem", &cert), file(folder.path(), "key.pem", &key));
    let check = |host: &str, parameters: String, expected: Result<(), &str>| {
        let url = format!("postgres://postgres@{host}:{}/postgres?{parameters}", cluster.port());
        match (open(&url, &Opening::Start, PATIENCE), expected) {
            (Ok(mut engine), Ok(())) => {
                engine.commit(&receipts(2, 1)).unwrap();
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{url}: {error}"),
            (found, _) => panic!("{url}: {:?}", found.err()),
        }
    };
    let with = |ca: &Path| {
        format!("sslrootcert={}&sslcert={}&sslkey={}", ca.display(), cert.display(), key.display())
    };
    check("127.0.0.1", with(&ca), Ok(()));
    check("127.0.0.1", with(&other_ca), Err("store.ca"));
    check("localhost", with(&ca), Err("store.ca"));
    check("127.0.0.1", format!("sslrootcert={}", ca.display()), Err("certificate"));
    check("127.0.0.1", "sslmode=disable".to_owned(), Err("pg_hba.conf"));
    check("127.0.0.1", with(&folder.path().join("none.pem")), Err("none.pem"));
}
