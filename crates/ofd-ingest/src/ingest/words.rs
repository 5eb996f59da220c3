//! What is counted and told of messages that are not taken. A stranger can send as many as it likes, so the log has a
//! limit of its own; the counters have none.

use std::fmt::Display;
use std::time::Duration;

use ffd::{Document, tags};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Intake;
use super::scope::telling;
use crate::clock;
use crate::decision::Refusal;
use crate::derived::plain_text;

/// How long a reason must be quiet before the lines left out of the log are told without it.
const LEFT_OUT_AFTER: Duration = Duration::from_secs(5);

impl Intake {
    /// Reserved bits in the flags of a session header are no reason to refuse a till that works.
    pub(crate) fn note_reserved_bits(&self, bits: u16) {
        self.warn_limited(
            "reserved_flags",
            &format_args!("reserved bits {bits:#06x} in the session header, ignored"),
        );
    }

    /// A message that nothing could be decided about.
    pub(crate) fn reject(&self, reason: &'static str, detail: &dyn Display) {
        self.metrics.rejected(reason);
        self.warn_limited(reason, detail);
    }

    /// The same when it will not pass by itself: a person has to act.
    pub(super) fn fail(&self, reason: &'static str, detail: &dyn Display) {
        self.metrics.rejected(reason);
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            telling(|| error!(reason, left_out, "{detail}"));
        }
    }

    /// A message that was decided not to be answered. `register` names the register it comes from, if it says.
    pub(super) fn refuse(&self, refusal: Refusal, register: Option<&str>, consequence: &'static str) {
        self.metrics.refused(refusal);
        let (words, register) = (refusal.in_words(), register.unwrap_or_default());
        let separator = if register.is_empty() { "" } else { "; " };
        self.warn_limited(refusal.as_str(), &format_args!("{words}{separator}{register}: {consequence}"));
    }

    /// Writes into the log what was counted there and not told, now and then until `stop` is cancelled.
    ///
    /// Cancellation-safe: nothing is in flight between two looks.
    pub(crate) async fn tell_left_out(&self, stop: &CancellationToken) {
        let mut interval = tokio::time::interval(LEFT_OUT_AFTER);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = interval.tick() => self.tell_left_out_since(LEFT_OUT_AFTER),
            }
        }
    }

    /// The same once, for reasons that were quiet for so long.
    pub(crate) fn tell_left_out_since(&self, age: Duration) {
        for (reason, left_out) in self.log_limiter.take_left_out(age, clock::monotonic_now()) {
            warn!(reason, left_out, "lines left out of the log");
        }
    }

    /// Something worth knowing that needs nobody.
    pub(super) fn info_limited(&self, what: &'static str, detail: &dyn Display) {
        if let Some(left_out) = self.log_limiter.admit(what, clock::monotonic_now()) {
            telling(|| info!(left_out, "{detail}"));
        }
    }

    /// Peer and ФН are fields of the connection's span.
    pub(crate) fn warn_limited(&self, reason: &'static str, detail: &dyn Display) {
        if let Some(left_out) = self.log_limiter.admit(reason, clock::monotonic_now()) {
            telling(|| warn!(reason, left_out, "{detail}"));
        }
    }
}

/// The register that a registration report names, for the log; nothing of other documents, which do not say. Whatever
/// could break a line of the log is escaped.
pub(super) fn register_in_words(document: &Document<'_>) -> Option<String> {
    let stated = |tag| plain_text(document, tag).unwrap_or_else(|| "not stated".to_owned());
    document.form().is_registration().then(|| {
        let (serial, inn) = (stated(tags::KKT_SERIAL), stated(tags::USER_INN));
        format!("report of ККТ {}, INN {}", serial.escape_debug(), inn.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use ffd::FormCode;

    use super::*;
    use crate::testing::{FN, Till, set};

    fn check(form: FormCode, serial: &[u8], expected: Option<&str>) {
        let bytes = Till::new(FN).document_with(form, 1, |records| set(records, 1013, serial));
        let document = Document::decode(&bytes).unwrap();
        assert_eq!(register_in_words(&document).as_deref(), expected);
    }

    #[test]
    fn a_report_names_its_register_and_breaks_no_line_of_the_log() {
        check(FormCode::REGISTRATION, b"0042    ", Some("report of ККТ 0042, INN 7802781104"));
        check(FormCode::REGISTRATION_CHANGE, b"    ", Some("report of ККТ not stated, INN 7802781104"));
        check(FormCode::REGISTRATION, b"1\n2", Some("report of ККТ 1\\n2, INN 7802781104"));
        check(FormCode::RECEIPT, b"0042", None);
    }
}
