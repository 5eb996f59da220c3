//! Counters of a replay and what is said at its end.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::verify::{Compared, Right};
use crate::load::Histogram;

/// Problems that are told one by one.
const PROBLEMS_TOLD: usize = 20;

/// Counters of a running replay, to be read at will.
#[derive(Debug, Default)]
pub(crate) struct ReplayProgress {
    sent: AtomicU64,
    answered: AtomicU64,
    missing: AtomicU64,
    wrong: AtomicU64,
    no_answer_expected: AtomicU64,
    probes: AtomicU64,
    without_code: AtomicU64,
    same: AtomicU64,
    other_code: AtomicU64,
    other_bytes: AtomicU64,
    not_comparable: AtomicU64,
    connections: AtomicU64,
    reconnects: AtomicU64,
    late_us: AtomicU64,
    codes: Mutex<BTreeMap<u8, u64>>,
    problems: Mutex<Vec<String>>,
    latencies: Histogram,
}

/// The figures of a replay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ReplayReport {
    /// Messages written.
    pub(crate) sent: u64,
    /// Right answers; probes are counted in `probes` too.
    pub(crate) documents: u64,
    /// Answers that never came.
    pub(crate) missing: u64,
    /// Answers that are not right.
    pub(crate) wrong: u64,
    /// Messages that ask for no answer.
    pub(crate) no_answer_expected: u64,
    /// Answered messages without a body.
    pub(crate) probes: u64,
    /// Right answers by the operator's code.
    pub(crate) codes: BTreeMap<u8, u64>,
    /// Right answers whose code is encrypted, no keys being given.
    pub(crate) codes_unknown: u64,
    /// Answers that say what the captured ones said.
    pub(crate) same_as_captured: u64,
    /// Answers with another code than the captured ones.
    pub(crate) other_code: u64,
    /// Answers with the captured code that differ otherwise.
    pub(crate) other_bytes: u64,
    /// Answers that cannot be held against the captured ones without keys.
    pub(crate) not_comparable: u64,
    /// Connections made.
    pub(crate) connections: u64,
    /// Connections made anew because the operator closed one or fell silent.
    pub(crate) reconnects: u64,
    /// From the beginning to the last answer.
    pub(crate) seconds: f64,
    /// Quotient of the two.
    pub(crate) documents_per_second: f64,
    /// Median latency, microseconds.
    pub(crate) p50_us: u64,
    /// 99 % of the latencies do not exceed this.
    pub(crate) p99_us: u64,
    /// 99.9 % of the latencies do not exceed this.
    pub(crate) p999_us: u64,
    /// How far a message was at most behind its captured moment, microseconds; 0 without timing.
    pub(crate) most_late_us: u64,
    /// Cancelled from outside.
    pub(crate) interrupted: bool,
    /// The first problems, for people.
    pub(crate) problems: Vec<String>,
}

impl ReplayReport {
    /// Whether every answer came, was right, and had the code of the captured one.
    #[must_use]
    pub(crate) fn is_clean(&self) -> bool {
        self.missing + self.wrong + self.other_code == 0 && !self.interrupted
    }
}

impl ReplayProgress {
    /// Messages that are done with, one way or the other.
    #[must_use]
    pub(crate) fn finished(&self) -> u64 {
        [&self.answered, &self.missing, &self.wrong, &self.no_answer_expected]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }

    /// Answers that are missing, wrong, or with another code.
    #[must_use]
    pub(crate) fn failures(&self) -> u64 {
        [&self.missing, &self.wrong, &self.other_code]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn connected(&self, again: bool) {
        add(&self.connections);
        if again {
            add(&self.reconnects);
        }
    }

    pub(super) fn sent(&self, late: Duration) {
        add(&self.sent);
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.late_us.fetch_max(late, Ordering::Relaxed);
    }

    pub(super) fn no_answer_expected(&self) {
        add(&self.no_answer_expected);
    }

    pub(super) fn missing(&self, which: &str, reason: &str) {
        add(&self.missing);
        self.problem(format!("{which}: no answer: {reason}"));
    }

    pub(super) fn wrong(&self, which: &str, reason: &str) {
        add(&self.wrong);
        self.problem(format!("{which}: wrong answer: {reason}"));
    }

    pub(super) fn right(&self, which: impl Fn() -> String, is_probe: bool, right: Right, latency: Duration) {
        add(&self.answered);
        self.latencies.record(latency);
        match right.code {
            _ if is_probe => add(&self.probes),
            None => add(&self.without_code),
            Some(code) => {
                if let Ok(mut codes) = self.codes.lock() {
                    *codes.entry(code).or_default() += 1;
                }
            }
        }
        match right.compared {
            Compared::NotCaptured => {}
            Compared::Same => add(&self.same),
            Compared::OtherBytes => add(&self.other_bytes),
            Compared::Unknown => add(&self.not_comparable),
            Compared::OtherCode(was) => {
                add(&self.other_code);
                let code = right.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
                self.problem(format!("{}: code {code}, captured was {was}", which()));
            }
        }
    }

    fn problem(&self, text: String) {
        if let Ok(mut problems) = self.problems.lock()
            && problems.len() < PROBLEMS_TOLD
        {
            problems.push(text);
        }
    }

    /// The figures, `seconds` after the beginning.
    pub(super) fn report(&self, seconds: f64, interrupted: bool) -> ReplayReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let documents = read(&self.answered);
        let count = u32::try_from(documents).map_or(f64::from(u32::MAX), f64::from);
        ReplayReport {
            sent: read(&self.sent),
            documents,
            missing: read(&self.missing),
            wrong: read(&self.wrong),
            no_answer_expected: read(&self.no_answer_expected),
            probes: read(&self.probes),
            codes: self.codes.lock().map(|codes| codes.clone()).unwrap_or_default(),
            codes_unknown: read(&self.without_code),
            same_as_captured: read(&self.same),
            other_code: read(&self.other_code),
            other_bytes: read(&self.other_bytes),
            not_comparable: read(&self.not_comparable),
            connections: read(&self.connections),
            reconnects: read(&self.reconnects),
            seconds,
            documents_per_second: if seconds > 0.0 { count / seconds } else { 0.0 },
            p50_us: self.latencies.per_mille(500),
            p99_us: self.latencies.per_mille(990),
            p999_us: self.latencies.per_mille(999),
            most_late_us: read(&self.late_us),
            interrupted,
            problems: self.problems.lock().map(|problems| problems.clone()).unwrap_or_default(),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
