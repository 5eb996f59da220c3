//! The client against small real servers: mutual TLS made by `rcgen`, HTTP/1.1 written by hand.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::FnsConfig;

/// An authority and what it signed, as PEM files.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let folder = tempfile::tempdir().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str, hosts: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn config(&self, address: SocketAddr, client: &str) -> FnsConfig {
        FnsConfig {
            url: Some(format!("https://{address}")),
            ofd_id: Some("ofd1".to_owned()),
            ca: Some(self.path("ca.pem")),
            cert: Some(self.path(&format!("{client}.pem"))),
            key: Some(self.path(&format!("{client}.key"))),
            connect_timeout_s: 20,
            ..FnsConfig::default()
        }
    }
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let pem = std::fs::read(path).unwrap();
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

/// What a server saw: request heads with bodies, and the common names of clients.
type Seen = Arc<Mutex<Vec<String>>>;

/// Serves one answer for ever; over TLS with the certificate `server` of the authority.
async fn serve(
    authority: &Authority,
    server: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    answer: &'static str,
) -> (SocketAddr, Seen) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain(&authority.path("ca.pem")).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.path(&format!("{server}.key"))).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(&authority.path(&format!("{server}.pem"))), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let stream = match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => stream,
                    Err((_, mut stream)) => {
                        // Hanging up on what is not read would take the alert away with it.
                        let _ = stream.shutdown().await;
                        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        return;
                    }
                };
                {
                    let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
                    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).unwrap();
                    let name =
                        certificate.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned();
                    converse(stream, answer, &log, &name).await;
                }
            });
        }
    });
    (address, seen)
}

async fn serve_plain(answer: &'static str) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move { converse(stream, answer, &log, "-").await });
        }
    });
    (address, seen)
}

/// One request, one answer, the end. An empty answer is none.
async fn converse(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    answer: &str,
    log: &Seen,
    client: &str,
) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    let (head, length) = loop {
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        request.extend_from_slice(&chunk[..read]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(request[..end].to_vec()).unwrap().to_lowercase();
            let length = head
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
            break (end + 4, length);
        }
    };
    while request.len() < head + length {
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        request.extend_from_slice(&chunk[..read]);
    }
    log.lock().unwrap().push(format!("{client}: {}", String::from_utf8_lossy(&request)));
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(answer.replace('\n', "\r\n").as_bytes()).await;
    let _ = stream.shutdown().await;
}

const PONG: &str = "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 17\nConnection: close\n\n{\"version\":\"sim\"}";
const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn link(config: &FnsConfig) -> HttpTaxService {
    assert_eq!(config.validate(), []);
    HttpTaxService::new(config).unwrap().unwrap()
}

fn plain(address: SocketAddr) -> FnsConfig {
    FnsConfig {
        url: Some(format!("http://{address}")),
        ofd_id: Some("ofd1".to_owned()),
        ..FnsConfig::default()
    }
}

#[tokio::test]
async fn mutual_tls_with_our_authority_only() {
    let authority = Authority::new();
    authority.sign("server", &["127.0.0.1"]);
    authority.sign("ofd1", &[]);
    for versions in [BOTH, &[&rustls::version::TLS12]] {
        let (address, seen) = serve(&authority, "server", versions, PONG).await;
        let pong = link(&authority.config(address, "ofd1")).ping().await.unwrap();
        assert_eq!(pong.version.as_deref(), Some("sim"));
        assert!(seen.lock().unwrap()[0].starts_with("ofd1: GET /v1/ping HTTP/1.1\r\n"));
    }
    // Somebody else's authority, for the server or for us.
    let other = Authority::new();
    other.sign("ofd1", &[]);
    other.sign("server", &["127.0.0.1"]);
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for versions in [BOTH, &[&rustls::version::TLS12]] {
        let check = async |server: &Authority, config: FnsConfig, fault: TransportFault| {
            let (address, seen) = serve(server, "server", versions, PONG).await;
            let config = FnsConfig { url: Some(format!("https://{address}")), ..config };
            let error = link(&config).ping().await.unwrap_err();
            assert!(matches!(error, CallError::Transport { fault: found, .. } if found == fault), "{error}");
            assert_eq!(seen.lock().unwrap().len(), 0);
            error.class()
        };
        // A service that we do not trust may be somebody in between, who goes away again.
        let class = check(&other, authority.config(nowhere, "ofd1"), TransportFault::Connect).await;
        assert_eq!(class, ErrorClass::Down);
        let mut stranger = other.config(nowhere, "ofd1");
        stranger.ca = Some(authority.path("ca.pem"));
        let class = check(&authority, stranger, TransportFault::Refused).await;
        assert_eq!(class, ErrorClass::Unauthorised);
    }
}

#[test]
fn ends_of_certificates() {
    let authority = Authority::new();
    authority.sign("ofd1", &[]);
    let config = authority.config("127.0.0.1:1".parse().unwrap(), "ofd1");
    let expiry = crate::certificates::expiry(&config).unwrap().unwrap();
    // What `rcgen` gives when nothing is asked for.
    assert_eq!([expiry.client.to_string(), expiry.ca.to_string()], ["4096-01-01T00:00:00Z"; 2]);
    crate::certificates::check(&config).unwrap();
    let plain =
        FnsConfig { ca: None, cert: None, key: None, url: Some("http://127.0.0.1:1".to_owned()), ..config };
    assert_eq!(crate::certificates::expiry(&plain).unwrap(), None);
}

#[tokio::test]
async fn the_name_of_the_server_is_pinned() {
    let authority = Authority::new();
    authority.sign("server", &["tax.example"]);
    authority.sign("ofd1", &[]);
    let (address, seen) = serve(&authority, "server", BOTH, PONG).await;
    let config = authority.config(address, "ofd1");
    let error = link(&config).ping().await.unwrap_err();
    assert!(matches!(error, CallError::Transport { fault: TransportFault::Connect, .. }), "{error}");
    let config = FnsConfig { url: Some(format!("https://localhost:{}", address.port())), ..config };
    assert!(link(&config).ping().await.is_err(), "the name of the address is not that of the certificate");
    let config = FnsConfig { server_name: Some("tax.example".to_owned()), ..config };
    link(&config).ping().await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn certificates_are_replaced_while_it_works() {
    let authority = Authority::new();
    authority.sign("server", &["127.0.0.1"]);
    authority.sign("ofd1", &[]);
    authority.sign("renewed", &[]);
    let (address, seen) = serve(&authority, "server", BOTH, PONG).await;
    let link = link(&authority.config(address, "ofd1"));
    link.ping().await.unwrap();
    for kind in ["pem", "key"] {
        let (from, to) =
            (authority.path(&format!("renewed.{kind}")), authority.path(&format!("ofd1.{kind}")));
        std::fs::copy(from, to).unwrap();
    }
    link.reload().unwrap();
    link.ping().await.unwrap();
    std::fs::write(authority.path("ofd1.key"), "SECRET").unwrap();
    let error = link.reload().unwrap_err().to_string();
    assert!(error.contains("fns.key") && !error.contains("SECRET"), "{error}");
    link.ping().await.unwrap();
    let seen = seen.lock().unwrap();
    let names: Vec<&str> = seen.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["ofd1", "renewed", "renewed"], "the old ones stay in use");
}

#[tokio::test]
async fn requests_are_as_agreed() {
    let (address, seen) = serve_plain("HTTP/1.1 202 Accepted\nContent-Length: 14\n\n{\"results\":[]}").await;
    let batch = BatchRequest { batch_id: "B-1".to_owned(), gzip: Arc::new(b"packed".to_vec()) };
    link(&plain(address)).send_batch(&batch).await.unwrap();
    let request = seen.lock().unwrap()[0].to_lowercase();
    for part in [
        "-: post /v1/ofds/ofd1/documents http/1.1\r\n",
        "\r\nidempotency-key: b-1\r\n",
        "\r\ncontent-encoding: gzip\r\n",
        "\r\ncontent-type: application/json\r\n",
        "\r\n\r\npacked",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    let (address, seen) = serve_plain("HTTP/1.1 200 OK\nContent-Length: 14\n\n{\"cursor\":\"4\"}").await;
    let link = link(&plain(address));
    assert_eq!(link.events(Some("a/b &c"), 500, 0).await.unwrap().cursor, "4");
    assert_eq!(link.events(None, 7, 20).await.unwrap().cursor, "4");
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].contains("GET /v1/ofds/ofd1/events?limit=500&wait=0&after=a%2Fb+%26c HTTP"),
        "{}",
        seen[0]
    );
    assert!(seen[1].contains("GET /v1/ofds/ofd1/events?limit=7&wait=20 HTTP"), "{}", seen[1]);
}

#[tokio::test]
async fn answers_that_are_none() {
    let check = async |answer: &'static str, class: ErrorClass, words: &str| {
        let (address, _) = serve_plain(answer).await;
        let error = link(&plain(address)).events(None, 1, 0).await.unwrap_err();
        assert_eq!(error.class(), class, "{answer}: {error}");
        assert!(error.to_string().contains(words), "{answer}: {error}");
        error
    };
    let problem = "HTTP/1.1 403 Forbidden\nContent-Length: 23\n\n{\"code\":\"OFD_MISMATCH\"}";
    check(problem, ErrorClass::Unauthorised, "HTTP 403 OFD_MISMATCH").await;
    check("HTTP/1.1 410 Gone\nContent-Length: 0\n\n", ErrorClass::Gone, "HTTP 410").await;
    // Not followed.
    check(
        "HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/\nContent-Length: 0\n\n",
        ErrorClass::Foreign,
        "HTTP 302",
    )
    .await;
    check("HTTP/1.1 200 OK\nContent-Length: 1\n\n{", ErrorClass::Down, "cannot be read").await;
    check("HTTP/1.1 200 OK\nContent-Length: 9\n\n{", ErrorClass::Down, "broke").await;
    check("nonsense\n\n", ErrorClass::Down, "").await;
    let busy =
        check("HTTP/1.1 429 Busy\nRetry-After: 7\nContent-Length: 0\n\n", ErrorClass::Throttled, "429").await;
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn not_found_is_an_answer_where_it_may_be() {
    let (address, seen) = serve_plain("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n").await;
    let link = link(&plain(address));
    let key: wire::DocKey = "9999078900005488-1".parse().unwrap();
    assert_eq!(link.document_status(key.fn_number, key.fd_number).await.unwrap(), None);
    assert_eq!(link.application("A/1").await.unwrap(), None);
    assert_eq!(link.kkt("0000000005008570").await.unwrap(), None);
    assert_eq!(link.card("0000000005008570").await.unwrap(), None);
    assert_eq!(link.ping().await.unwrap_err().class(), ErrorClass::Foreign);
    let seen = seen.lock().unwrap();
    let paths: Vec<&str> = seen.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    let expected = [
        "/v1/ofds/ofd1/fss/9999078900005488/documents/1",
        "/v1/ofds/ofd1/applications/A%2F1",
        "/v1/ofds/ofd1/kkts/0000000005008570",
        "/v1/ofds/ofd1/kkts/0000000005008570/card",
        "/v1/ping",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up() {
    let (address, _) = serve_plain("").await;
    let config = FnsConfig { timeout_s: 1, ..plain(address) };
    let error = link(&config).ping().await.unwrap_err();
    assert!(matches!(error, CallError::Transport { fault: TransportFault::TimedOut, .. }), "{error}");
    let text = error.to_string();
    assert!(!text.contains("127.0.0.1") && !text.contains("/v1"), "{text}");
}
