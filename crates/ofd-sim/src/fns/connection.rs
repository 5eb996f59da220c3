//! Connections: TLS, who is at the other end, and the switch that cuts a connection without an answer.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::Context;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::certificates::{CertificateFiles, operator_of};
use super::config::Mode;
use super::shared::Shared;

/// Connections at a time; more wait in the queue of the system.
const MAX_CONNECTIONS: usize = 1024;
/// Handshakes done and not yet taken by the server.
const QUEUE: usize = 16;
/// Patience with a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// Whether a client certificate of our CA was shown.
    pub(super) has_certificate: bool,
    /// The operator it names.
    pub(super) operator: Option<String>,
    cut: Arc<AtomicBool>,
}

impl Peer {
    /// Closes the connection instead of the next byte to it.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Accepted>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Accepted>) -> Self {
        stream.remote_addr().clone()
    }
}

/// TLS 1.2 and 1.3 with the server's certificate; a client without a certificate gets in as far as the answer 401.
pub(super) fn tls(files: &CertificateFiles) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).with_context(|| format!("{} is no CA", files.ca.display()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .context("the check of client certificates")?;
    let key = PrivateKeyDer::from_pem_file(&files.server_key)
        .with_context(|| format!("reading {}", files.server_key.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("the versions of TLS")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.server)?, key)
        .context("the server's certificate")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .with_context(|| format!("reading {}", path.display()))
}

/// Connections whose handshake is done.
pub(super) struct Accepted {
    ready: mpsc::Receiver<(Io, Peer)>,
}

impl Listener for Accepted {
    type Io = Io;
    type Addr = Peer;

    async fn accept(&mut self) -> (Io, Peer) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The acceptor has ended, so the server is ending too.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::default())
    }
}

/// Accepts in the background until `stop`; handshakes do not wait for each other.
pub(super) fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Accepted {
    let (ready, receiver) = mpsc::channel(QUEUE);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let Ok((stream, address)) = accepted else {
                // Out of file descriptors: the next try has to wait for one to be closed.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if shared.mode() == Mode::Down {
                shared.count_answer(0);
                continue;
            }
            let (tls, ready) = (tls.clone(), ready.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(stream, tls, place)).await {
                    Ok(Ok(connection)) => drop(ready.send(connection).await),
                    Ok(Err(error)) => tracing::info!(%address, %error, "no agreement on TLS"),
                    Err(_) => tracing::info!(%address, "the handshake took too long"),
                }
            });
        }
    });
    Accepted { ready: receiver }
}

async fn handshake(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    place: OwnedSemaphorePermit,
) -> io::Result<(Io, Peer)> {
    stream.set_nodelay(true)?;
    let mut peer = Peer::default();
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let stream = tls.accept(stream).await?;
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            peer.has_certificate = certificate.is_some();
            peer.operator = certificate.and_then(|certificate| operator_of(certificate));
            Stream::Tls(Box::new(stream))
        }
    };
    Ok((Io { stream, cut: Arc::clone(&peer.cut), _place: place }, peer))
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that can be cut.
pub(super) struct Io {
    stream: Stream,
    cut: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl Io {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
