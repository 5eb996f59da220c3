//! The nine endpoints of the tax service.

mod answer;
pub(super) mod applications;
mod batch;
mod events;
pub(super) mod kkts;
mod request;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};

pub use batch::examine as examine_batch;

pub(super) use answer::{Answer, Problem, json, with_type};
pub(super) use request::{Incoming, form_values};

use super::config::Mode;
use super::connection::Peer;
use super::door::DocKey;
use super::shared::{Shared, now};
use super::wire::moment;

/// The header that names a request in both logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The service behind the tax service's port.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request<Body>,
) -> Answer {
    let id = new_request_id();
    let incoming = Incoming::new(request, peer.clone());
    let (method, path) = (incoming.method.clone(), incoming.path.clone());
    let mut answer = match Box::pin(respond(&shared, incoming)).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_answer(&id),
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    let is_cut = shared.mode() == Mode::Down || answer.extensions().get::<Cut>().is_some();
    if is_cut {
        peer.cut();
    }
    shared.count_answer(if is_cut { 0 } else { answer.status().as_u16() });
    tracing::debug!(%id, %method, path, status = answer.status().as_u16(), is_cut, "request");
    answer
}

/// Marks an answer that is not to be sent: its connection is closed instead.
#[derive(Debug, Clone, Copy)]
struct Cut;

/// A new name for a request.
pub(super) fn new_request_id() -> String {
    format!("R-{}", uuid::Uuid::now_v7())
}

async fn respond(shared: &Arc<Shared>, incoming: Incoming) -> Result<Answer, Problem> {
    let config = shared.config();
    let delay = config.delay();
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    let later = |status, code| {
        Err(Problem::new(status, code, "try again later").with_retry_after(config.retry_after_s))
    };
    match config.mode {
        Mode::TooManyRequests => return later(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS"),
        Mode::Unavailable => return later(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Mode::Ok | Mode::Down | Mode::Slow | Mode::DropAfterAccept => {}
    }
    if !shared.is_plain && !incoming.peer.has_certificate {
        let detail = "a client certificate of the service's CA is needed";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "NO_CLIENT_CERT", detail));
    }
    let path = incoming.path.clone();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (get, post) = (incoming.method == Method::GET, incoming.method == Method::POST);
    match segments.as_slice() {
        ["v1", "ping"] if get => Ok(ping()),
        ["v1", "ping"] => Err(Problem::not_allowed("GET")),
        ["v1", "kkts", rnm, "registration-report"] if post => kkts::complete(shared, rnm, incoming).await,
        ["v1", "kkts", _, "registration-report"] => Err(Problem::not_allowed("POST")),
        ["v1", "ofds", ofd_id, rest @ ..] => {
            check_operator(shared, &incoming.peer, ofd_id)?;
            of_operator(shared, incoming, rest, get, post).await
        }
        _ => Err(Problem::not_found("NOT_FOUND", "there is nothing at this path")),
    }
}

/// Endpoints 1 to 5, 7 and 8.
async fn of_operator(
    shared: &Arc<Shared>,
    incoming: Incoming,
    segments: &[&str],
    get: bool,
    post: bool,
) -> Result<Answer, Problem> {
    match segments {
        ["documents"] if post => batch::receive(shared, incoming).await,
        ["documents"] => Err(Problem::not_allowed("POST")),
        ["fss", fn_number, "documents", fd_number] if get => status(shared, fn_number, fd_number),
        ["events"] if get => events::page(shared, incoming).await,
        ["applications"] if post => applications::apply(shared, incoming).await,
        ["applications"] => Err(Problem::not_allowed("POST")),
        ["applications", id] if get => applications::state(shared, id),
        ["kkts", rnm] if get => kkts::entry(shared, rnm),
        ["kkts", rnm, "card"] if get => kkts::card(shared, rnm, &incoming),
        ["fss", _, "documents", _] | ["events"] | ["applications", _] | ["kkts", _] | ["kkts", _, "card"] => {
            Err(Problem::not_allowed("GET"))
        }
        _ => Err(Problem::not_found("NOT_FOUND", "there is nothing at this path")),
    }
}

/// The operator of the certificate, of the path and of the configuration are one.
fn check_operator(shared: &Shared, peer: &Peer, ofd_id: &str) -> Result<(), Problem> {
    let certified = shared.is_plain || peer.operator.as_deref() == Some(ofd_id);
    if certified && ofd_id == shared.ofd_id {
        return Ok(());
    }
    let detail = "the client certificate is of another operator than the path, or the operator is not known";
    Err(Problem::new(StatusCode::FORBIDDEN, "OFD_MISMATCH", detail))
}

/// Endpoint 9.
fn ping() -> Answer {
    json(StatusCode::OK, &serde_json::json!({ "time": moment(now()), "version": env!("CARGO_PKG_VERSION") }))
}

/// Endpoint 2.
fn status(shared: &Shared, fn_number: &str, fd_number: &str) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found("UNKNOWN_DOCUMENT", "this document never came");
    let key = DocKey::parse(&format!("{fn_number}-{fd_number}")).ok_or_else(unknown)?;
    shared.with(|world, _| {
        world.counts.status_requests += 1;
        let status = world.find_document(&key).and_then(|index| world.status(index)).ok_or_else(unknown)?;
        Ok(json(StatusCode::OK, &status))
    })
}
