//! A small HTTP client over real sockets: one connection at a time, opened again when it was closed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Wire for T {}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The code of a problem, after a look at everything a problem has to have.
    #[track_caller]
    pub(super) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"));
        assert!(problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string());
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// The client.
pub(super) struct Client {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    connection: Option<Box<dyn Wire>>,
}

impl Client {
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, connection: None }
    }

    /// With TLS: trusts `ca`, shows `identity` (certificate and key) when there is one.
    pub(super) fn tls(address: SocketAddr, ca: &Path, identity: Option<(&Path, &Path)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        Self { address, tls: Some(TlsConnector::from(Arc::new(config))), connection: None }
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.request("GET", path, &[], b"").await.unwrap()
    }

    pub(super) async fn send(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.request(method, path, &[("content-type", "application/json")], body.as_bytes()).await.unwrap()
    }

    pub(super) async fn batch(&mut self, id: &str, body: &str) -> Reply {
        self.try_batch(id, body).await.unwrap()
    }

    pub(super) async fn try_batch(&mut self, id: &str, body: &str) -> std::io::Result<Reply> {
        let headers = [("content-type", "application/json"), ("idempotency-key", id)];
        self.request("POST", "/v1/ofds/ofd1/documents", &headers, body.as_bytes()).await
    }

    /// An error is a connection that was refused or closed without a whole answer.
    pub(super) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        connection.write_all(&[head.as_bytes(), body].concat()).await?;
        connection.flush().await?;
        let reply = read(&mut connection).await?;
        self.connection = Some(connection);
        Ok(reply)
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost").unwrap(), stream).await?),
        })
    }
}

async fn read(connection: &mut Box<dyn Wire>) -> std::io::Result<Reply> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        fill(connection, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < end + length {
        fill(connection, &mut bytes).await?;
    }
    Ok(Reply { status, headers, body: bytes[end..].to_vec() })
}

async fn fill(connection: &mut Box<dyn Wire>, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut part = vec![0; 16384];
    let count = connection.read(&mut part).await?;
    if count == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend_from_slice(&part[..count]);
    Ok(())
}
