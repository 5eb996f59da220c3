//! What the scheduler decided, in the words of the store.

use std::time::Duration;

use ofd_store::{BatchStep, DocumentOutcome, DocumentResult};
use tracing::error;

use super::{Session, wall_after};
use crate::config::FnsConfig;
use crate::forwarder::answers::Outcome;
use crate::forwarder::body::Built;
use crate::forwarder::scheduler::{Item, Step, StepKind, doc_key};

impl Session<'_> {
    /// Steps of the scheduler become steps of the store.
    pub(super) fn record(&mut self, steps: impl IntoIterator<Item = Step>, evidence: &[u8]) {
        for Step { id, slots, kind } in steps {
            self.touched.extend(slots);
            let built = match kind {
                StepKind::Retry { .. } => None,
                _ => self.built.remove(&id),
            };
            let step = match kind {
                StepKind::Settle(items) => {
                    BatchStep::Settle { id, results: results(&self.driver.config, items, built.as_ref()) }
                }
                StepKind::Dead { item, code, error } => {
                    let request = built.map(|built| built.json()).unwrap_or_default();
                    say_dead(&item, &error);
                    let outcome = DocumentOutcome::Dead { code, error, request, answer: evidence.to_vec() };
                    BatchStep::Settle { id, results: vec![DocumentResult { seq: item.seq, outcome }] }
                }
                StepKind::Retry { pause, error } => {
                    BatchStep::Retry { id, next_at: wall_after(pause), error }
                }
                StepKind::Dissolve { pause, error } => {
                    BatchStep::Dissolve { id, next_at: pause.map(wall_after), error }
                }
            };
            self.steps.push(step);
        }
    }
}

fn results(
    config: &FnsConfig,
    items: Vec<(Item, Outcome, Option<Duration>)>,
    built: Option<&Built>,
) -> Vec<DocumentResult> {
    let refused = items.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Refused { .. }));
    let json = built.filter(|_| refused).map(Built::json).unwrap_or_default();
    let result = |(index, (item, outcome, pause)): (usize, (Item, Outcome, Option<Duration>))| {
        let outcome = match outcome {
            Outcome::Received { ticket_id, duplicate } => {
                // The ticket of one that it had already may have gone by in the feed.
                let wait = if duplicate { config.status_retry() } else { config.status_after() };
                DocumentOutcome::Delivered { ticket_id, refresh_at: Some(wall_after(wait)) }
            }
            Outcome::Busy { error } => DocumentOutcome::Again { next_at: pause.map(wall_after), error },
            Outcome::Refused { code, error, answer } => {
                say_dead(&item, &error);
                let request = built.map(|built| built.item(&json, index)).unwrap_or_default();
                DocumentOutcome::Dead { code, error, request, answer: answer.into_bytes() }
            }
        };
        DocumentResult { seq: item.seq, outcome }
    };
    items.into_iter().enumerate().map(result).collect()
}

fn say_dead(item: &Item, error: &str) {
    let (document, seq) = (doc_key(item), item.seq);
    error!(
        document,
        seq, error, "the tax service will never take a document as it is; see `fiscald outbox show`"
    );
}
