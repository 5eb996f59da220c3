//! What the journal said of a message, turned into what the register hears.

use std::sync::Arc;

use kkt_proto::container::Container;
use kkt_proto::server::Answer;
use ofd_store::{AppendOutcome, QuarantineOutcome, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::scope::in_hand;
use super::{Admitted, Evidence, Intake};
use crate::metrics::{Mark, reason};

impl Intake {
    /// The journal's word on a document turned into its answer. Whatever it is but "new", the state of the ФН may be
    /// wrong now; it is forgotten with `admitted`.
    pub(crate) fn answer(&self, admitted: Admitted, outcome: Result<AppendOutcome, StoreError>) -> Answer {
        let _document = in_hand(&admitted.claimed());
        match outcome {
            Ok(AppendOutcome::Appended { seq }) => {
                debug!(seq, code = admitted.code.0, findings = admitted.findings.len(), "stored");
                self.metrics.document_stored(admitted.form, admitted.code, admitted.verdict);
                admitted.findings.iter().for_each(|finding| self.metrics.found(*finding));
                self.tell_marks(&admitted);
                if let Some(advance) = admitted.advance {
                    advance.stored();
                }
                Answer::Reply(admitted.acknowledgement)
            }
            Ok(AppendOutcome::Repeat { seq, acknowledgement }) => {
                debug!(seq, "came again");
                self.metrics.repeated();
                if let Some(advance) = admitted.advance {
                    advance.repeated();
                }
                self.stored_answer(seq, acknowledgement)
            }
            Ok(AppendOutcome::Conflict { seq }) => {
                self.metrics.conflicted();
                admitted.findings.iter().for_each(|finding| self.metrics.found(*finding));
                self.warn_limited(
                    "conflict",
                    &format_args!("other content under a known number, kept as {seq}"),
                );
                Answer::Reply(admitted.acknowledgement)
            }
            Err(error) => self.store_failed(&error),
        }
    }

    /// An acknowledgement out of the store, unless the disk has changed it: a register that is answered rubbish counts
    /// a failure, one that hears nothing asks again, and by then a backup may be in place.
    fn stored_answer(&self, seq: i64, acknowledgement: Vec<u8>) -> Answer {
        let Err(flaw) = Container::decode(&acknowledgement) else { return Answer::Reply(acknowledgement) };
        let detail =
            format_args!("the stored acknowledgement of {seq} is damaged ({flaw}): run `fiscald verify`");
        self.fail(reason::STORE_DAMAGED, &detail);
        Answer::Nothing
    }

    /// The store cannot keep what came: silence. The connection stays: some registers stop exchanging for good after a
    /// few failures in a row, while a wait costs them one time-out.
    ///
    /// A store that refuses this one document, while it takes others, will refuse it again: no outage, and a matter for
    /// those who wrote this program.
    pub(crate) fn store_failed(&self, error: &StoreError) -> Answer {
        match error {
            StoreError::Refused { .. } => {
                self.fail(reason::STORE_REFUSED, &format_args!("the store does not take it: {error}"));
            }
            _ => self.reject(reason::STORE_UNAVAILABLE, error),
        }
        Answer::Nothing
    }

    /// Counts the marks of a document that is new in the journal, and tells of those that a person may want to know of.
    fn tell_marks(&self, admitted: &Admitted) {
        admitted.marks.iter().for_each(|mark| self.metrics.marked(*mark));
        let fn_number = admitted.fn_number.as_str();
        if admitted.marks.contains(&Mark::FnChanged) {
            let register = admitted.register.as_deref().unwrap_or("its report");
            self.info_limited(
                Mark::FnChanged.as_str(),
                &format_args!("{register}: its contract names another ФН, from now on it is {fn_number}"),
            );
        }
        if admitted.marks.contains(&Mark::AfterDeregistration) {
            self.info_limited(
                Mark::AfterDeregistration.as_str(),
                &format_args!(
                    "the register of ФН {fn_number} was deregistered before this document: accepted, and the tax \
                     service decides"
                ),
            );
        }
    }

    /// A place for a copy on its way to quarantine; none while too many are.
    pub(crate) fn quarantine_place(&self, evidence: &Evidence) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.quarantine_places).try_acquire_owned().ok();
        if place.is_none() {
            let _document = evidence.in_hand();
            self.refuse(evidence.refusal, evidence.register.as_deref(), "silence");
            self.metrics.quarantine_not_kept(evidence.refusal);
            self.warn_limited(
                "quarantine_busy",
                &"too much for quarantine at once: the message was counted, not kept",
            );
        }
        place
    }

    /// The store's word on a message that was to be kept as evidence. The register hears nothing, unless it repeats what
    /// was acknowledged before its ФН fell out of favour.
    pub(crate) fn quarantined(
        &self,
        evidence: &Evidence,
        outcome: Result<QuarantineOutcome, StoreError>,
    ) -> Option<Answer> {
        let _document = evidence.in_hand();
        let refusal = evidence.refusal;
        if let Ok(QuarantineOutcome::Acknowledged { seq, acknowledgement }) = outcome {
            debug!(seq, reason = refusal.as_str(), "came again, and was acknowledged before");
            self.metrics.repeated();
            return Some(self.stored_answer(seq, acknowledgement));
        }
        self.refuse(refusal, evidence.register.as_deref(), "silence, a copy is for quarantine");
        match outcome {
            Ok(QuarantineOutcome::Kept) => self.metrics.quarantined(refusal),
            Ok(QuarantineOutcome::Repeat | QuarantineOutcome::Acknowledged { .. }) => {
                debug!("in quarantine already");
            }
            Ok(QuarantineOutcome::NotKept) => {
                self.metrics.quarantine_not_kept(refusal);
                self.warn_limited("quarantine_full", &"quarantine is full: the copy was counted, not kept");
            }
            Err(error) => {
                self.store_failed(&error);
            }
        }
        None
    }
}
