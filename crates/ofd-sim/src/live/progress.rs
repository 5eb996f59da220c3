//! Counters of a live run: atomics that anybody may read while it goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ffd::check::Severity;
use ffd::ids::{FdNumber, FnNumber};
use serde::Serialize;

use crate::storage::RefusalReason;

/// Shared counters; make one, give an `Arc` of it to [`super::run`], read [`LiveProgress::snapshot`] at will.
#[derive(Debug, Default)]
pub struct LiveProgress {
    pub(super) registers_started: AtomicU64,
    pub(super) registers_finished: AtomicU64,
    pub(super) registers_failed: AtomicU64,
    pub(super) documents: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) unrecognised: AtomicU64,
    pub(super) format_logic: AtomicU64,
    pub(super) other_codes: AtomicU64,
    by_form: Mutex<BTreeMap<u16, u64>>,
    pub(super) unexpected: AtomicU64,
    by_fault: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) refused: [AtomicU64; 4],
    pub(super) repeats: AtomicU64,
    pub(super) lost_answers: AtomicU64,
    pub(super) silences: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) repeats_equal: AtomicU64,
    pub(super) repeats_different: AtomicU64,
    pub(super) turnover_kopecks: AtomicU64,
}

impl LiveProgress {
    /// The counters at this moment (each one exact, together only as consistent as a running count can be).
    #[must_use]
    pub fn snapshot(&self) -> LiveCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [sign, format, fd_number, fn_number] = &self.refused;
        LiveCounts {
            registers_started: read(&self.registers_started),
            registers_finished: read(&self.registers_finished),
            registers_failed: read(&self.registers_failed),
            documents: read(&self.documents),
            messages: read(&self.messages),
            accepted: read(&self.accepted),
            unrecognised: read(&self.unrecognised),
            format_logic: read(&self.format_logic),
            other_codes: read(&self.other_codes),
            by_form: entries(&self.by_form, |forms| forms.clone()),
            unexpected_codes: read(&self.unexpected),
            by_fault: entries(&self.by_fault, |faults| faults.clone()),
            refused_sign: read(sign),
            refused_format: read(format),
            refused_fd_number: read(fd_number),
            refused_fn_number: read(fn_number),
            repeats: read(&self.repeats),
            lost_answers: read(&self.lost_answers),
            silences: read(&self.silences),
            reconnects: read(&self.reconnects),
            repeats_equal: read(&self.repeats_equal),
            repeats_different: read(&self.repeats_different),
            turnover_kopecks: read(&self.turnover_kopecks),
        }
    }

    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn count_refusal(&self, reason: RefusalReason) {
        if let Some(counter) = self.refused.get(usize::from(reason.number()).saturating_sub(1)) {
            Self::add(counter, 1);
        }
    }

    /// Counts a document of `form` that was acknowledged with `code`, and the rule that it was made to break.
    pub(super) fn count_acknowledged(&self, form: u16, code: u8, fault: Option<&'static str>) {
        let counter = match code {
            0 => &self.accepted,
            11 => &self.unrecognised,
            14 => &self.format_logic,
            _ => &self.other_codes,
        };
        Self::add(counter, 1);
        entries(&self.by_form, |forms| *forms.entry(form).or_default() += 1);
        if let Some(rule) = fault {
            entries(&self.by_fault, |faults| *faults.entry(rule).or_default() += 1);
        }
        let is_hard = fault.and_then(ffd::check::rule).is_some_and(|rule| rule.severity == Severity::Hard);
        Self::add(&self.unexpected, u64::from(code != if is_hard { 14 } else { 0 }));
    }
}

fn entries<K, T>(counts: &Mutex<BTreeMap<K, u64>>, work: impl FnOnce(&mut BTreeMap<K, u64>) -> T) -> T {
    // A count cannot be left half done, so the map of a thread that died is as good as any.
    work(&mut counts.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Counts of a live run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveCounts {
    /// Registers that began their life.
    pub registers_started: u64,
    /// Registers whose last document is acknowledged.
    pub registers_finished: u64,
    /// Registers that gave up (no answer after all tries, or a register's own failure).
    pub registers_failed: u64,
    /// Different documents made by the storages.
    pub documents: u64,
    /// Messages sent, repeats included.
    pub messages: u64,
    /// Documents acknowledged with code 0.
    pub accepted: u64,
    /// Documents acknowledged with code 11.
    pub unrecognised: u64,
    /// Documents acknowledged with code 14.
    pub format_logic: u64,
    /// Documents acknowledged with a code that the tables do not name.
    pub other_codes: u64,
    /// Documents acknowledged, whatever the code, by their form code.
    pub by_form: BTreeMap<u16, u64>,
    /// Documents acknowledged with another code than they were made for: 14 with a hard fault, else 0.
    pub unexpected_codes: u64,
    /// Documents that were spoiled on purpose and acknowledged, by the rule that they break.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_fault: BTreeMap<&'static str, u64>,
    /// Acknowledgements the ФН refused: reason 1, wrong fiscal sign.
    pub refused_sign: u64,
    /// Reason 2, wrong format.
    pub refused_format: u64,
    /// Reason 3, wrong document number.
    pub refused_fd_number: u64,
    /// Reason 4, wrong ФН number.
    pub refused_fn_number: u64,
    /// Documents sent again: after silence, a lost connection, or on purpose.
    pub repeats: u64,
    /// Connections broken on purpose before the answer was read.
    pub lost_answers: u64,
    /// Exchanges that ended without an answer (time-out or a connection closed by the operator).
    pub silences: u64,
    /// Connections opened anew after one was lost.
    pub reconnects: u64,
    /// Deliberate repeats answered with the very bytes of the first answer.
    pub repeats_equal: u64,
    /// Deliberate repeats answered with other bytes: against the rule of the stored acknowledgement.
    pub repeats_different: u64,
    /// Sums of all sale receipts (form 3) less their refunds, kopecks.
    pub turnover_kopecks: u64,
}

impl LiveCounts {
    /// Documents that are acknowledged for ever, whatever the code.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.accepted + self.unrecognised + self.format_logic + self.other_codes
    }

    /// Acknowledgements that the storages refused, all reasons.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused_sign + self.refused_format + self.refused_fd_number + self.refused_fn_number
    }
}

/// How the life of one ФН ended.
#[derive(Clone, Debug, Serialize)]
pub struct RegisterReport {
    /// Its ФН.
    pub fn_number: FnNumber,
    /// Documents its ФН made.
    pub documents: u32,
    /// Documents still waiting for an acknowledgement.
    pub waiting: usize,
    /// Why it gave up, in words; absent after a good life.
    pub failure: Option<String>,
    /// The documents that break a rule; nothing of honest registers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spoiled: Vec<SpoiledDocument>,
}

/// A document that breaks a rule on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpoiledDocument {
    /// Its number.
    pub fd_number: FdNumber,
    /// The rule that it was made to break.
    pub fault: Option<&'static str>,
    /// The rules that it breaks because of earlier faults, honest as it is.
    pub echoes: Vec<&'static str>,
    /// The operator's answer.
    pub code: u8,
}

/// The result of a live run.
#[derive(Clone, Debug, Serialize)]
pub struct LiveReport {
    /// All counts.
    pub counts: LiveCounts,
    /// Wall time of the run, seconds.
    pub seconds: f64,
    /// The run was ended from outside before the registers were ready.
    pub cancelled: bool,
    /// One line for each ФН: those of a register together and in their order, the registers in the order of
    /// their first numbers.
    pub registers: Vec<RegisterReport>,
}

impl LiveReport {
    /// Every document acknowledged with the code that it was made for (0, or 14 with a hard fault), no refusal, every
    /// deliberate repeat equal, nobody gave up.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let counts = &self.counts;
        !self.cancelled
            && counts.acknowledged() == counts.documents
            && counts.unexpected_codes == 0
            && counts.refused() == 0
            && counts.repeats_different == 0
            && counts.registers_failed == 0
    }
}
