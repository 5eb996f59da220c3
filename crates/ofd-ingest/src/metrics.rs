//! What reception counts. All handles are made once and kept in [`Metrics`], so that counting a document costs an
//! atomic addition and no look-up by label.
//!
//! Names begin with `fiscald_`. The store adds its own: queue depth, batch size, commit and queue time, state.

use std::time::Duration;

use ffd::dict::FormCode;
use kkt_proto::ack::OperatorCode;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::decision::Refusal;
use crate::error::IngestError;
use crate::limits::Exceeded;

mod defence;
mod documents;
mod findings;
mod histories;
mod marks;
mod proxy;
mod refusals;

pub(crate) use defence::SisterOutcome;
use defence::{DefenceMetrics, SisterMetrics};
use documents::DocumentCounters;
use findings::FindingCounters;
pub(crate) use findings::FindingLabel;
use histories::HistoryCounters;
pub(crate) use histories::HistoryOutcome;
pub(crate) use marks::Mark;
use marks::MarkCounters;
use proxy::ProxyMetrics;
pub(crate) use proxy::ProxyOutcome;
use refusals::RefusalCounters;
pub(crate) use refusals::reason;

/// Upper bounds of the time histograms in seconds: from a hash of a short document to a disk that hangs.
const TIME_BUCKETS_S: &[f64] = &[
    0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01,
    0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Upper bounds of histograms of counts (documents in a batch).
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0];

/// Makes the process's recorder the one behind `/metrics`. Works once per process; call it before [`Metrics::new`]
/// and before the store opens, since handles made earlier count into nothing.
pub fn install_recorder() -> Result<PrometheusHandle, IngestError> {
    builder()?.install_recorder().map_err(|error| IngestError::Recorder(error.to_string()))
}

/// A recorder of its own, for tests and for programs that run several daemons in one process.
pub fn build_recorder() -> Result<PrometheusRecorder, IngestError> {
    Ok(builder()?.build_recorder())
}

fn builder() -> Result<PrometheusBuilder, IngestError> {
    let failed = |error: metrics_exporter_prometheus::BuildError| IngestError::Recorder(error.to_string());
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), TIME_BUCKETS_S)
        .map_err(failed)?
        .set_buckets(COUNT_BUCKETS)
        .map_err(failed)
}

/// Label of what has no counter of its own.
const OTHER: &str = "other";

/// Why a connection was closed by us although the register did nothing wrong with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimedOut {
    Idle,
    Message,
    Write,
}

/// Handles of every metric of reception.
#[derive(Debug)]
pub struct Metrics {
    connections_open: Gauge,
    connections_accepted: Counter,
    refused_in_all: Counter,
    refused_per_address: Counter,
    accept_errors: Counter,
    timeouts_idle: Counter,
    timeouts_message: Counter,
    timeouts_write: Counter,
    documents: DocumentCounters,
    repeats: Counter,
    conflicts: Counter,
    probes: Counter,
    in_flight: Gauge,
    refusals: RefusalCounters,
    pub(crate) defence: DefenceMetrics,
    pub(crate) sister: SisterMetrics,
    pub(crate) proxy: ProxyMetrics,
    findings: FindingCounters,
    marks: MarkCounters,
    histories: HistoryCounters,
    pub(crate) stage_decode: Histogram,
    pub(crate) stage_open: Histogram,
    pub(crate) stage_check: Histogram,
    pub(crate) stage_seal: Histogram,
    pub(crate) stage_write: Histogram,
}

impl Metrics {
    /// Registers every metric with the recorder that is current: the installed one, or the local one of a test.
    pub fn new() -> Self {
        describe();
        let stage = |stage: &'static str| histogram!("fiscald_stage_seconds", "stage" => stage);
        let timeouts = |kind: &'static str| counter!("fiscald_timeouts_total", "kind" => kind);
        let refused = |limit: &'static str| counter!("fiscald_connections_refused_total", "limit" => limit);
        Self {
            connections_open: gauge!("fiscald_connections_open"),
            connections_accepted: counter!("fiscald_connections_accepted_total"),
            refused_in_all: refused("in_all"),
            refused_per_address: refused("per_address"),
            accept_errors: counter!("fiscald_accept_errors_total"),
            timeouts_idle: timeouts("idle"),
            timeouts_message: timeouts("message"),
            timeouts_write: timeouts("write"),
            documents: DocumentCounters::new(),
            repeats: counter!("fiscald_repeats_total"),
            conflicts: counter!("fiscald_conflicts_total"),
            probes: counter!("fiscald_probes_total"),
            in_flight: gauge!("fiscald_documents_in_flight"),
            refusals: RefusalCounters::new(),
            defence: DefenceMetrics::new(),
            sister: SisterMetrics::new(),
            proxy: ProxyMetrics::new(),
            findings: FindingCounters::new(),
            marks: MarkCounters::new(),
            histories: HistoryCounters::new(),
            stage_decode: stage("decode"),
            stage_open: stage("open"),
            stage_check: stage("check"),
            stage_seal: stage("seal"),
            stage_write: stage("write"),
        }
    }

    pub(crate) fn connection_accepted(&self) {
        self.connections_accepted.increment(1);
        self.connections_open.increment(1);
    }

    pub(crate) fn connection_ended(&self) {
        self.connections_open.decrement(1);
    }

    pub(crate) fn connection_refused(&self, limit: Exceeded) {
        match limit {
            Exceeded::InAll => self.refused_in_all.increment(1),
            Exceeded::PerAddress => self.refused_per_address.increment(1),
        }
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_errors.increment(1);
    }

    pub(crate) fn timed_out(&self, kind: TimedOut) {
        match kind {
            TimedOut::Idle => self.timeouts_idle.increment(1),
            TimedOut::Message => self.timeouts_message.increment(1),
            TimedOut::Write => self.timeouts_write.increment(1),
        }
    }

    /// A document that is new in the journal.
    pub(crate) fn document_stored(&self, form: FormCode, code: OperatorCode, verdict: &str) {
        self.documents.of(form, code, verdict).increment(1);
    }

    pub(crate) fn repeated(&self) {
        self.repeats.increment(1);
    }

    pub(crate) fn conflicted(&self) {
        self.conflicts.increment(1);
    }

    pub(crate) fn probed(&self) {
        self.probes.increment(1);
    }

    /// A document was handed to the store.
    pub(crate) fn in_flight_began(&self) {
        self.in_flight.increment(1);
    }

    /// The store said what became of it, or its connection is gone.
    pub(crate) fn in_flight_ended(&self) {
        self.in_flight.decrement(1);
    }

    /// A message was refused by a decision.
    pub(crate) fn refused(&self, reason: Refusal) {
        self.refusals.refused(reason);
    }

    /// A refused message was kept in quarantine.
    pub(crate) fn quarantined(&self, reason: Refusal) {
        self.refusals.quarantined(reason);
    }

    /// A message for quarantine of which no copy was kept: quarantine is full, or too much of it came at once.
    pub(crate) fn quarantine_not_kept(&self, reason: Refusal) {
        self.refusals.quarantine_not_kept(reason);
    }

    /// A document that is new in the journal has this finding.
    pub(crate) fn found(&self, finding: FindingLabel) {
        self.findings.of(finding).increment(1);
    }

    /// A document that is new in the journal has this mark.
    pub(crate) fn marked(&self, mark: Mark) {
        self.marks.of(mark).increment(1);
    }

    /// The history of an ФН was asked for.
    pub(crate) fn history_loaded(&self, outcome: HistoryOutcome) {
        self.histories.loaded(outcome);
    }

    /// A document was judged without what is known of its ФН.
    pub(crate) fn judged_without_history(&self) {
        self.histories.missed();
    }

    /// A message was refused before there was anything to decide, or could not be finished: damage, store or signer
    /// out of work, clock not trusted.
    pub(crate) fn rejected(&self, reason: &'static str) {
        self.refusals.rejected(reason);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn describe() {
    describe_gauge!("fiscald_connections_open", "Connections of registers that are open now");
    describe_counter!("fiscald_connections_accepted_total", "Connections accepted since the start");
    describe_counter!(
        "fiscald_connections_refused_total",
        "Connections closed at once because a limit was reached"
    );
    describe_counter!("fiscald_accept_errors_total", "Times the system could not hand over a new connection");
    describe_counter!(
        "fiscald_timeouts_total",
        "Connections closed because the register was silent, slow or did not read"
    );
    describe_counter!(
        "fiscald_documents_total",
        "Documents new in the journal, by form, code of the acknowledgement and verdict on the sign"
    );
    describe_counter!(
        "fiscald_repeats_total",
        "Documents that came again and got their stored acknowledgement"
    );
    describe_counter!("fiscald_conflicts_total", "Documents with other content under a known number");
    describe_counter!("fiscald_probes_total", "Messages without a body that were answered");
    describe_gauge!("fiscald_documents_in_flight", "Documents handed to the store and not answered yet");
    describe_counter!(
        "fiscald_findings_total",
        "Findings in documents new in the journal, by rule and severity (hard: answered with code 14)"
    );
    describe_counter!(
        "fiscald_marked_total",
        "Documents new in the journal that are forwarded with a mark, by mark"
    );
    describe_histogram!(
        "fiscald_stage_seconds",
        Unit::Seconds,
        "What one document costs in each stage: decode, open, check, seal, queue, commit; write is one write of ready replies, \
         tend what the store does between two batches"
    );
}

/// Records how long something took.
pub(crate) fn record(histogram: &Histogram, elapsed: Duration) {
    histogram.record(elapsed.as_secs_f64());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What `/metrics` shows after `work`.
    fn rendered(work: impl FnOnce(&Metrics)) -> String {
        let recorder = build_recorder().unwrap();
        metrics::with_local_recorder(&recorder, || work(&Metrics::new()));
        recorder.handle().render()
    }

    pub(crate) fn check(work: impl FnOnce(&Metrics), expected_line: &str) {
        let text = rendered(work);
        assert!(text.lines().any(|line| line == expected_line), "{expected_line} is not in:\n{text}");
    }

    #[test]
    fn documents_are_counted_by_form_code_and_verdict() {
        check(
            |metrics| metrics.document_stored(FormCode::RECEIPT, OperatorCode::ACCEPTED, "valid"),
            r#"fiscald_documents_total{form="3",code="0",verdict="valid"} 1"#,
        );
        check(
            |metrics| {
                metrics.document_stored(FormCode::FN_CLOSE, OperatorCode::FORMAT_LOGIC, "cannot_decrypt")
            },
            r#"fiscald_documents_total{form="6",code="14",verdict="cannot_decrypt"} 1"#,
        );
        check(
            |metrics| metrics.document_stored(FormCode(99), OperatorCode::UNRECOGNISED, "disabled"),
            r#"fiscald_documents_total{form="other",code="11",verdict="disabled"} 1"#,
        );
        check(
            |metrics| metrics.document_stored(FormCode::RECEIPT, OperatorCode(77), "valid"),
            r#"fiscald_documents_total{form="other",code="other",verdict="other"} 1"#,
        );
    }

    #[test]
    fn marks_are_counted() {
        for mark in Mark::ALL {
            let line = format!(r#"fiscald_marked_total{{mark="{}"}} 1"#, mark.as_str());
            check(|metrics| metrics.marked(mark), &line);
        }
    }

    #[test]
    fn connections_come_and_go() {
        check(
            |metrics| {
                metrics.connection_accepted();
                metrics.connection_accepted();
                metrics.connection_ended();
            },
            "fiscald_connections_open 1",
        );
        check(
            |metrics| metrics.connection_refused(Exceeded::PerAddress),
            r#"fiscald_connections_refused_total{limit="per_address"} 1"#,
        );
        check(|metrics| metrics.timed_out(TimedOut::Write), r#"fiscald_timeouts_total{kind="write"} 1"#);
    }

    #[test]
    fn stages_have_buckets_for_microseconds() {
        let text = rendered(|metrics| record(&metrics.stage_open, Duration::from_micros(15)));
        assert!(
            text.contains(r#"fiscald_stage_seconds_bucket{stage="open",le="0.00002"} 1"#),
            "no such bucket in:\n{text}"
        );
    }
}
