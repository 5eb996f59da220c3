//! The admin port: `/metrics` for Prometheus, `/healthz` (the process answers) and `/readyz` (it takes documents).
//! Plain HTTP without authentication, meant for a private address.
//!
//! Trouble of forwarding never turns `/readyz` red: a register does not care where its document goes later, and a
//! balancer must not take reception away because the tax service is down. It is told there as a remark.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use ofd_store::{JournalHandle, StoreState, StoreStatus};
use pkz::SignMode;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::TrustedClock;
use crate::config::AdminConfig;
use crate::error::IngestError;
use crate::listener::ReceptionState;

/// Histograms gather single values until somebody looks; this bounds how many, when nobody does.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How long answers that have begun may still take after a stop was asked for.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Where health answers come from.
#[derive(Debug, Clone)]
pub struct Health {
    reception: Option<ReceptionHealth>,
    /// What works worse than it should while documents are taken all the same.
    remarks: Vec<Trouble>,
    /// Cancelled when a process without reception is told to stop.
    stopping: CancellationToken,
}

/// What can keep documents from being taken.
#[derive(Debug, Clone)]
struct ReceptionHealth {
    journal: JournalHandle,
    state: Arc<ReceptionState>,
    clock: Arc<TrustedClock>,
    keys: Trouble,
    sign_mode: SignMode,
}

/// What is wrong with a part, in words for people; nothing when it is well.
#[derive(Clone)]
pub struct Trouble(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl Trouble {
    /// Asked at every look at `/readyz`; must not block.
    pub fn new(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    fn ask(&self) -> Option<String> {
        (self.0)()
    }
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trouble").finish_non_exhaustive()
    }
}

impl Health {
    /// Health of a daemon with this journal, reception, clock, crypto device and `signs.mode`.
    pub fn new(
        journal: JournalHandle,
        reception: Arc<ReceptionState>,
        clock: Arc<TrustedClock>,
        keys: Trouble,
        sign_mode: SignMode,
    ) -> Self {
        let reception = ReceptionHealth { journal, state: reception, clock, keys, sign_mode };
        Self { reception: Some(reception), remarks: Vec::new(), stopping: CancellationToken::new() }
    }

    /// Health of a process that takes no documents. It is ready until `stopping` is cancelled.
    pub fn without_reception(stopping: CancellationToken) -> Self {
        Self { reception: None, remarks: Vec::new(), stopping }
    }

    /// With the trouble of a part that keeps no document from being taken.
    #[must_use]
    pub fn with_remark(mut self, trouble: Trouble) -> Self {
        self.remarks.push(trouble);
        self
    }

    /// Whether documents can be taken now (without reception: whether the process works), and if not, everything that
    /// stands in the way.
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        match &self.reception {
            Some(reception) => reception.add_trouble(&mut reasons),
            None if self.stopping.is_cancelled() => reasons.push("the daemon is stopping".to_owned()),
            None => {}
        }
        let remarks = self.remarks.iter().filter_map(Trouble::ask).collect();
        Readiness { ready: reasons.is_empty(), reasons, remarks }
    }

    fn liveness(&self) -> Liveness {
        let alive = Liveness { alive: true, ..Liveness::default() };
        let Some(reception) = &self.reception else { return alive };
        Liveness {
            sign_mode: Some(reception.sign_mode.as_str()),
            connections: reception.state.open_connections(),
            queue_depth: reception.journal.queue_depth(),
            hints: reception.hints(),
            ..alive
        }
    }
}

impl ReceptionHealth {
    fn add_trouble(&self, reasons: &mut Vec<String>) {
        reasons.extend(store_trouble(self.journal.status()));
        if self.state.is_stopping() {
            reasons.push("the daemon is stopping".to_owned());
        } else if !self.state.is_serving() {
            reasons.push("the listener is not up".to_owned());
        }
        reasons.extend(self.clock.distrust());
        reasons.extend(self.keys.ask());
    }

    fn hints(&self) -> Vec<&'static str> {
        match self.sign_mode {
            SignMode::Required => Vec::new(),
            SignMode::LogOnly => vec!["signs.mode is \"log-only\": wrong signs are recorded, not refused"],
            SignMode::Off => {
                vec!["signs.mode is \"off\": signs are not checked, acknowledgements may be unsigned"]
            }
        }
    }
}

/// What keeps the store from writing documents.
fn store_trouble(store: StoreStatus) -> Option<String> {
    let what = match store.state {
        StoreState::Serving => return None,
        StoreState::Stalled => "the store does not get on",
        StoreState::DiskLow => "the disk of the store is low",
        StoreState::Failed => "the store is failed",
        StoreState::Closed => "the store is closed",
    };
    let why = store.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{what}{why}"))
}

/// Body of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether documents can be taken.
    pub ready: bool,
    /// Why not; empty when ready.
    pub reasons: Vec<String>,
    /// What else a person should know: trouble that keeps no document from being taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Body of `/healthz`.
#[derive(Debug, Default, Serialize)]
struct Liveness {
    alive: bool,
    /// Absent without reception, which alone knows signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_mode: Option<&'static str>,
    connections: usize,
    queue_depth: usize,
    hints: Vec<&'static str>,
}

#[derive(Clone)]
struct Shared {
    health: Arc<Health>,
    prometheus: PrometheusHandle,
}

/// Opens the admin port. Errors: [`IngestError::Bind`].
pub async fn bind(config: &AdminConfig) -> Result<TcpListener, IngestError> {
    bind_to(config.listen).await
}

async fn bind_to(address: SocketAddr) -> Result<TcpListener, IngestError> {
    TcpListener::bind(address).await.map_err(|source| IngestError::Bind { address, source })
}

/// Answers on `listener` until `token` is cancelled. Cancel it after reception has stopped, so that `/readyz` can say
/// that the daemon is stopping. Also keeps the metrics of `prometheus` tidy.
///
/// Errors: the port failed.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    prometheus: PrometheusHandle,
    token: CancellationToken,
) -> Result<(), IngestError> {
    let shared = Shared { health: Arc::new(health), prometheus: prometheus.clone() };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(shared);
    let stop = token.clone().cancelled_owned();
    let server = axum::serve(listener, router).with_graceful_shutdown(stop);
    tokio::select! {
        served = server.into_future() => Ok(served?),
        () = keep_metrics_tidy(&prometheus) => Ok(()),
        () = end_of_patience(&token) => Ok(()),
    }
}

/// A client that keeps its connection open must not keep the daemon from ending.
async fn end_of_patience(token: &CancellationToken) {
    token.cancelled().await;
    tokio::time::sleep(STOP_PATIENCE).await;
}

/// Never ends.
async fn keep_metrics_tidy(prometheus: &PrometheusHandle) {
    let mut interval = tokio::time::interval(METRICS_UPKEEP);
    loop {
        interval.tick().await;
        prometheus.run_upkeep();
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.prometheus.render())
        .into_response()
}

async fn healthz(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, &shared.health.liveness())
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let readiness = shared.health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
