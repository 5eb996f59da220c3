//! The tax service over HTTP (B5): reqwest with rustls, or plain HTTP to a gateway on this machine.
//!
//! One address, one client certificate, one authority. No system roots, no proxies, no redirects, no cookies. Answers are
//! read up to a bound. The certificates can be replaced while requests are under way: those finish with the old ones.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ffd::ids::{FdNumber, FnNumber};
use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::wire::{
    ApplicationAccepted, ApplicationJson, ApplicationState, BatchAnswer, CardJson, DocumentStatus,
    EventsPage, KktEntry, Pong, Problem,
};
use super::{
    BatchRequest, Call, CallError, CallResult, Refusal, TaxService, TransportFault, retry_after, tls,
};
use crate::config::{Endpoint, FnsConfig};
use crate::error::FnsError;

/// Largest answer that is read: a page of 500 events with their cards.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// How much of a refusal is kept as evidence.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How long an idle connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// The link over HTTP.
#[derive(Debug)]
pub struct HttpTaxService {
    endpoint: Endpoint,
    /// Address that requests go to: that of the endpoint with the pinned name as its host.
    base: Url,
    connect_timeout: Duration,
    timeout: Duration,
    /// Replaced as a whole when certificates are read anew.
    client: RwLock<reqwest::Client>,
}

impl HttpTaxService {
    /// Makes the client; reads the certificates. Nothing when no tax service is configured. The settings must be valid.
    ///
    /// # Errors
    /// [`FnsError::Certificate`] for a file that cannot be used, [`FnsError::Client`] if the client cannot be made.
    pub fn new(config: &FnsConfig) -> Result<Option<Self>, FnsError> {
        let Some(endpoint) = config.endpoint() else { return Ok(None) };
        let connect_timeout = Duration::from_secs(config.connect_timeout_s);
        let client = client(&endpoint, connect_timeout, config.timeout())?;
        Ok(Some(Self {
            base: pinned(&endpoint)?,
            endpoint,
            connect_timeout,
            timeout: config.timeout(),
            client: RwLock::new(client),
        }))
    }

    /// Reads the certificates anew; connections made from now on use them. Those under way end by themselves.
    ///
    /// # Errors
    /// As [`Self::new`]; the old certificates stay in use then.
    pub fn reload(&self) -> Result<(), FnsError> {
        let client = client(&self.endpoint, self.connect_timeout, self.timeout)?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    fn request(&self, method: Method, segments: &[&str]) -> CallResult<RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| CallError::Unreadable { detail: "the address has no path".to_owned() })?
            .clear()
            .push("v1")
            .extend(segments);
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(client.request(method, url).header(ACCEPT, "application/json"))
    }

    /// A request under `/v1/ofds/{ofdId}`.
    fn ours(&self, method: Method, segments: &[&str]) -> CallResult<RequestBuilder> {
        let mut path = vec!["ofds", self.endpoint.ofd_id.as_str()];
        path.extend(segments);
        self.request(method, &path)
    }

    async fn batch(&self, batch: &BatchRequest) -> CallResult<BatchAnswer> {
        let request = self
            .ours(Method::POST, &["documents"])?
            .header("Idempotency-Key", &batch.batch_id)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_ENCODING, "gzip")
            .body(batch.gzip.as_ref().clone());
        answer(request).await
    }

    async fn status(&self, fn_number: FnNumber, fd_number: FdNumber) -> CallResult<Option<DocumentStatus>> {
        let number = fd_number.get().to_string();
        maybe(self.ours(Method::GET, &["fss", fn_number.as_str(), "documents", &number])?).await
    }

    async fn page(&self, after: Option<&str>, limit: u16, wait_s: u16) -> CallResult<EventsPage> {
        let mut request = self
            .ours(Method::GET, &["events"])?
            .query_pairs(&[("limit", limit.to_string()), ("wait", wait_s.to_string())]);
        if let Some(after) = after {
            request = request.query_pairs(&[("after", after.to_owned())]);
        }
        // The service waits for news within the time of the request, not on top of it.
        let patience = self.timeout.saturating_add(Duration::from_secs(wait_s.into()));
        answer(request.timeout(patience)).await
    }

    async fn submit(
        &self,
        request_id: &str,
        application: &ApplicationJson,
    ) -> CallResult<ApplicationAccepted> {
        let body = serde_json::to_vec(application)
            .map_err(|error| CallError::Unreadable { detail: error.to_string() })?;
        let request = self
            .ours(Method::POST, &["applications"])?
            .header("Idempotency-Key", request_id)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        answer(request).await
    }
}

impl TaxService for HttpTaxService {
    fn send_batch<'a>(&'a self, batch: &'a BatchRequest) -> Call<'a, BatchAnswer> {
        Box::pin(self.batch(batch))
    }

    fn document_status(&self, fn_number: FnNumber, fd_number: FdNumber) -> Call<'_, Option<DocumentStatus>> {
        Box::pin(self.status(fn_number, fd_number))
    }

    fn events<'a>(&'a self, after: Option<&'a str>, limit: u16, wait_s: u16) -> Call<'a, EventsPage> {
        Box::pin(self.page(after, limit, wait_s))
    }

    fn submit_application<'a>(
        &'a self,
        request_id: &'a str,
        application: &'a ApplicationJson,
    ) -> Call<'a, ApplicationAccepted> {
        Box::pin(self.submit(request_id, application))
    }

    fn application<'a>(&'a self, application_id: &'a str) -> Call<'a, Option<ApplicationState>> {
        Box::pin(async move { maybe(self.ours(Method::GET, &["applications", application_id])?).await })
    }

    fn kkt<'a>(&'a self, rnm: &'a str) -> Call<'a, Option<KktEntry>> {
        Box::pin(async move { maybe(self.ours(Method::GET, &["kkts", rnm])?).await })
    }

    fn card<'a>(&'a self, rnm: &'a str) -> Call<'a, Option<CardJson>> {
        Box::pin(async move { maybe(self.ours(Method::GET, &["kkts", rnm, "card"])?).await })
    }

    fn ping(&self) -> Call<'_, Pong> {
        Box::pin(async move { answer(self.request(Method::GET, &["ping"])?).await })
    }
}

/// Query parameters without the feature of reqwest that would do it.
trait QueryPairs {
    fn query_pairs(self, pairs: &[(&str, String)]) -> Self;
}

impl QueryPairs for RequestBuilder {
    fn query_pairs(self, pairs: &[(&str, String)]) -> Self {
        let (client, request) = self.build_split();
        match request {
            Ok(mut request) => {
                request.url_mut().query_pairs_mut().extend_pairs(pairs);
                Self::from_parts(client, request)
            }
            // Cannot be told here; the request is built anew to fail where it is sent.
            Err(_) => client.get("invalid:"),
        }
    }
}

/// The address with the pinned name as its host, so that TLS asks for that name and checks it.
fn pinned(endpoint: &Endpoint) -> Result<Url, FnsError> {
    let mut url = endpoint.url.clone();
    if url.host_str().is_some_and(|host| host.trim_matches(['[', ']']) == endpoint.server_name) {
        return Ok(url);
    }
    url.set_host(Some(&endpoint.server_name))
        .map_err(|_| FnsError::Client("fns.server_name is no name of a host".to_owned()))?;
    Ok(url)
}

fn client(endpoint: &Endpoint, connect: Duration, total: Duration) -> Result<reqwest::Client, FnsError> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .timeout(total)
        .pool_idle_timeout(IDLE_CONNECTION)
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(Gateway::new(endpoint)))
        .user_agent(concat!("fiscald/", env!("CARGO_PKG_VERSION")));
    let builder = match &endpoint.tls {
        Some(files) => builder.https_only(true).tls_backend_preconfigured(tls::client_config(files)?),
        // A client without TLS still wants a configuration; this one trusts nobody.
        None => builder.tls_backend_preconfigured(tls::trusting_nobody()?),
    };
    builder.build().map_err(|error| FnsError::Client(words(&error)))
}

/// Looks up the configured host whatever name the certificate must have.
struct Gateway {
    host: String,
    port: u16,
}

impl Gateway {
    fn new(endpoint: &Endpoint) -> Self {
        let host = endpoint.url.host_str().unwrap_or_default();
        let port = endpoint.url.port_or_known_default().unwrap_or_default();
        Self { host: host.trim_matches(['[', ']']).to_owned(), port }
    }
}

impl Resolve for Gateway {
    fn resolve(&self, _pinned: Name) -> Resolving {
        let (host, port) = (self.host.clone(), self.port);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Sends a request whose answer must be there.
async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> CallResult<T> {
    let response = request.send().await.map_err(transport)?;
    if response.status().is_success() {
        return read(response).await;
    }
    Err(refusal(response).await)
}

/// Sends a request to which 404 is an answer: there is none.
async fn maybe<T: DeserializeOwned>(request: RequestBuilder) -> CallResult<Option<T>> {
    let response = request.send().await.map_err(transport)?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if response.status().is_success() {
        return read(response).await.map(Some);
    }
    Err(refusal(response).await)
}

async fn read<T: DeserializeOwned>(response: Response) -> CallResult<T> {
    let body = body(response, MAX_ANSWER_BYTES).await?;
    if body.cut {
        return Err(CallError::Unreadable { detail: format!("it is longer than {MAX_ANSWER_BYTES} bytes") });
    }
    serde_json::from_slice(&body.bytes).map_err(|error| CallError::Unreadable { detail: error.to_string() })
}

async fn refusal(response: Response) -> CallError {
    let status = response.status().as_u16();
    let retry_after = wanted_pause(response.headers());
    // A refusal whose text does not arrive is a refusal all the same.
    let bytes = body(response, MAX_REFUSAL_BYTES).await.map(|body| body.bytes).unwrap_or_default();
    let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
    CallError::refused(Refusal { status, problem, body: bytes, retry_after })
}

fn wanted_pause(headers: &HeaderMap<HeaderValue>) -> Option<Duration> {
    retry_after::read(headers.get(RETRY_AFTER)?.to_str().ok()?, Timestamp::now())
}

struct Body {
    bytes: Vec<u8>,
    /// There was more.
    cut: bool,
}

async fn body(mut response: Response, limit: usize) -> CallResult<Body> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        let room = limit - bytes.len();
        bytes.extend(chunk.iter().take(room));
        if chunk.len() > room {
            return Ok(Body { bytes, cut: true });
        }
    }
    Ok(Body { bytes, cut: false })
}

fn transport(error: reqwest::Error) -> CallError {
    let fault = if tls::refuses_us(&error) {
        TransportFault::Refused
    } else if error.is_timeout() {
        TransportFault::TimedOut
    } else if error.is_connect() || error.is_builder() {
        TransportFault::Connect
    } else {
        TransportFault::Broken
    };
    CallError::Transport { fault, detail: words(&error.without_url()) }
}

/// The error with its causes; the outermost alone says next to nothing.
fn words(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}
