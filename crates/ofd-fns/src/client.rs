//! The link with the tax service, behind one trait: [`TaxService`]. [`HttpTaxService`] speaks mutual TLS to the service, or
//! plain HTTP to a gateway on this machine.
//!
//! Knows nothing of lanes, retries and breakers: one call, one request, one answer or [`CallError`].

mod error;
mod http;
mod retry_after;
pub(crate) mod tls;
pub mod wire;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ffd::ids::{FdNumber, FnNumber};

pub use error::{CallError, ErrorClass, Refusal, TransportFault};
pub use http::HttpTaxService;
use wire::{
    ApplicationAccepted, ApplicationJson, ApplicationState, BatchAnswer, CardJson, DocumentStatus,
    EventsPage, KktEntry, Pong,
};

/// What a call gives.
pub type CallResult<T> = Result<T, CallError>;

/// A call under way. Dropping it gives it up; whether the service got the request is not known then.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = CallResult<T>> + Send + 'a>>;

/// A batch ready to travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRequest {
    /// The idempotency key.
    pub batch_id: String,
    /// The JSON of B5.1, gzipped. The same bytes in every attempt.
    pub gzip: Arc<Vec<u8>>,
}

/// The tax service as the forwarder and the registration see it (B5). Every call has its own time-out.
pub trait TaxService: Send + Sync + 'static {
    /// Hands in a batch (endpoint 1).
    fn send_batch<'a>(&'a self, batch: &'a BatchRequest) -> Call<'a, BatchAnswer>;

    /// Status of one document (endpoint 2); nothing when the service does not know it.
    fn document_status(&self, fn_number: FnNumber, fd_number: FdNumber) -> Call<'_, Option<DocumentStatus>>;

    /// Events after a cursor (endpoint 3), at most `limit` (1 to 500); waits up to `wait_s` (0 to 30) for news.
    fn events<'a>(&'a self, after: Option<&'a str>, limit: u16, wait_s: u16) -> Call<'a, EventsPage>;

    /// Hands in an application (endpoint 4). `request_id` is the idempotency key.
    fn submit_application<'a>(
        &'a self,
        request_id: &'a str,
        application: &'a ApplicationJson,
    ) -> Call<'a, ApplicationAccepted>;

    /// State of an application (endpoint 5); nothing when the service does not know it.
    fn application<'a>(&'a self, application_id: &'a str) -> Call<'a, Option<ApplicationState>>;

    /// Registry entry of a register (endpoint 7); nothing when there is none.
    fn kkt<'a>(&'a self, rnm: &'a str) -> Call<'a, Option<KktEntry>>;

    /// The card of a register (endpoint 8); nothing when there is none.
    fn card<'a>(&'a self, rnm: &'a str) -> Call<'a, Option<CardJson>>;

    /// Whether the service is there and takes our certificate (endpoint 9).
    fn ping(&self) -> Call<'_, Pong>;
}

#[cfg(test)]
mod tests;
