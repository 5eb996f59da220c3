//! Statuses of documents, asked for one by one: of those that wait for a verdict for too long, whose register got its card,
//! and of all without a final verdict after events were lost. What the tax service has lost is sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ofd_store::{
    DocumentVerdict, FnsCode, HolderId, LeaseProof, OutboxChange, RefreshRow, Registry, StoreError, Verdict,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{ASK_AT_ONCE, ROUND_PAUSE, Registrar, pause};
use crate::client::wire::{self, CodeJson, DocumentStatus};
use crate::client::{CallError, ErrorClass, TaxService};
use crate::forwarder::driver::wall_after;
use crate::registration::feed;

/// Documents marked in one transaction after events were lost: some milliseconds of the store.
const MARK_AT_ONCE: usize = 1_000;

/// What came of asking.
#[derive(Default)]
struct Asked {
    verdicts: Vec<DocumentVerdict>,
    /// Documents that were asked for, whatever came of it, and after how long they are to be asked for again.
    seqs: Vec<(i64, Duration)>,
    /// Those of them that the tax service does not know.
    lost: Vec<i64>,
    /// Why one of them was not answered.
    failed: Option<CallError>,
    /// Asking was broken off.
    broken_off: bool,
}

/// Answers that bring nothing new after which a document is asked for less and less often.
const PATIENCE: u32 = 3;
/// Longest distance between two questions about a document, if the shortest is no longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Documents whose questions are counted; the counts of more are begun anew, which costs some questions.
const MAX_COUNTED: usize = 100_000;

/// How often documents were asked for in vain. Forgotten by a restart, after which some are asked for sooner.
#[derive(Debug, Default)]
struct Vain {
    times: HashMap<i64, u32>,
}

impl Vain {
    /// It was not answered: how long until it is asked for again, longer from time to time.
    fn failed(&mut self, seq: i64, shortest: Duration) -> Duration {
        distance(shortest, self.count(seq).saturating_sub(1))
    }

    /// The answer was nothing new: how long until it is asked for again.
    fn unchanged(&mut self, seq: i64, shortest: Duration) -> Duration {
        distance(shortest, self.count(seq).saturating_sub(PATIENCE))
    }

    /// The answer was something new.
    fn changed(&mut self, seq: i64) {
        self.times.remove(&seq);
    }

    fn count(&mut self, seq: i64) -> u32 {
        if self.times.len() >= MAX_COUNTED && !self.times.contains_key(&seq) {
            self.times.clear();
        }
        let times = self.times.entry(seq).or_default();
        *times = times.saturating_add(1);
        *times
    }
}

fn distance(shortest: Duration, doublings: u32) -> Duration {
    shortest.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST.max(shortest))
}

impl Registrar {
    /// Asks until `stop` is cancelled.
    pub(super) async fn statuses(self, tax: Arc<dyn TaxService>, stop: CancellationToken) {
        let mut not_before = Instant::now();
        let mut more = false;
        let mut vain = Vain::default();
        while pause(if more { ROUND_PAUSE } else { self.periods.tick() }, &stop).await {
            more = false;
            let Some(lease) = self.lease() else { continue };
            match self.forwarding.call(|store| store.recall_statuses(MARK_AT_ONCE)).await {
                Ok(marked) => more = marked,
                Err(why) => {
                    warn!(error = %why, "documents cannot be marked to be asked for; it is tried again")
                }
            }
            if Instant::now() < not_before {
                continue;
            }
            let due = self.forwarding.call(|store| store.refresh_due(Timestamp::now(), ASK_AT_ONCE)).await;
            let Ok(due) = due else { continue };
            if due.is_empty() {
                continue;
            }
            more |= due.len() == ASK_AT_ONCE;
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                asked = self.ask_statuses(&*tax, due, &mut vain) => asked,
            };
            if let Some(error) = &asked.failed {
                warn!(%error, "statuses of documents cannot be asked for; it is tried again");
            }
            if asked.broken_off {
                let wanted = asked.failed.as_ref().and_then(CallError::retry_after).unwrap_or_default();
                not_before = Instant::now() + wanted.max(self.config.status_retry());
            }
            if !asked.lost.is_empty() {
                let documents = asked.lost.len();
                warn!(documents, "the tax service does not know documents that it took: they are sent again");
            }
            if let Err(why) = self.store_statuses(lease, asked).await {
                warn!(error = %why, "statuses of documents cannot be stored; they are asked for again");
                more = false;
            }
        }
    }

    async fn store_statuses(&self, lease: LeaseProof, asked: Asked) -> Result<(), StoreError> {
        let Asked { verdicts, seqs, lost, .. } = asked;
        if !verdicts.is_empty() {
            let periods = Arc::clone(&self.periods);
            let work = move |registry: &mut Registry| {
                feed::apply_verdicts(registry, Some(&lease), &periods, &verdicts, Timestamp::now())
            };
            self.count(&self.registry.call(work).await?);
        }
        if seqs.is_empty() {
            return Ok(());
        }
        let mut change = OutboxChange::new(HolderId::new("status")?, Timestamp::now());
        change.refresh_later = seqs.into_iter().map(|(seq, wait)| (seq, Some(wall_after(wait)))).collect();
        change.resend = lost;
        self.forwarding.call(move |store| store.commit(&change)).await.map(|_| ())
    }

    /// Documents that are not answered are postponed too, so that they do not stand before the others for ever.
    async fn ask_statuses(&self, tax: &dyn TaxService, due: Vec<RefreshRow>, vain: &mut Vain) -> Asked {
        let mut asked = Asked::default();
        for row in due {
            let wait = match tax.document_status(row.fn_number, row.fd_number).await {
                Ok(Some(status)) => {
                    let verdict = verdict(&row, status);
                    let is_new = verdict.as_ref().is_some_and(|verdict| verdict.verdict.state() != row.state);
                    asked.verdicts.extend(verdict);
                    if is_new {
                        vain.changed(row.seq);
                        self.config.status_again()
                    } else {
                        vain.unchanged(row.seq, self.config.status_again())
                    }
                }
                Ok(None) => {
                    let (fn_number, fd_number) = (row.fn_number.as_str(), row.fd_number.get());
                    debug!(fn_number, fd_number, ticket = row.ticket_id, "lost by the tax service");
                    asked.lost.push(row.seq);
                    vain.unchanged(row.seq, self.config.status_again())
                }
                Err(error) => {
                    asked.broken_off = matches!(
                        error.class(),
                        ErrorClass::Down | ErrorClass::Unauthorised | ErrorClass::Throttled
                    );
                    asked.failed = Some(error);
                    vain.failed(row.seq, self.config.status_retry())
                }
            };
            asked.seqs.push((row.seq, wait));
            if asked.broken_off {
                break;
            }
        }
        asked
    }
}

fn verdict(row: &RefreshRow, status: DocumentStatus) -> Option<DocumentVerdict> {
    Some(DocumentVerdict {
        fn_number: row.fn_number,
        fd_number: row.fd_number,
        ticket_id: status.ticket_id.or_else(|| row.ticket_id.clone()),
        verdict: verdict_of(status.verdict?),
        codes: status.codes.into_iter().map(code).collect(),
        at: status.at.unwrap_or_else(Timestamp::now),
    })
}

fn verdict_of(verdict: wire::Verdict) -> Verdict {
    match verdict {
        wire::Verdict::Accepted => Verdict::Accepted,
        wire::Verdict::Soft => Verdict::Soft,
        wire::Verdict::Hard => Verdict::Hard,
    }
}

fn code(code: CodeJson) -> FnsCode {
    FnsCode { code: code.code.into(), text: code.text, path: code.path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_in_vain_is_asked_for_less_often() {
        const HOUR: u64 = 3_600;
        let hours = |waits: &[u64]| waits.iter().map(|hours| hours * HOUR).collect::<Vec<u64>>();
        let shortest = Duration::from_secs(HOUR);
        let mut vain = Vain::default();
        let waits: Vec<u64> = (0..9).map(|_| vain.unchanged(1, shortest).as_secs()).collect();
        assert_eq!(waits, hours(&[1, 1, 1, 2, 4, 8, 16, 24, 24]));
        assert_eq!(vain.unchanged(2, shortest), shortest, "another one");
        vain.changed(1);
        let waits: Vec<u64> = (0..6).map(|_| vain.failed(1, shortest).as_secs()).collect();
        assert_eq!(waits, hours(&[1, 2, 4, 8, 16, 24]));
        for _ in 0..100 {
            vain.failed(1, shortest);
        }
        assert_eq!(vain.failed(1, shortest), LONGEST);
        // The operator wants it rarely.
        assert_eq!(vain.failed(1, LONGEST * 7), LONGEST * 7);
    }
}
