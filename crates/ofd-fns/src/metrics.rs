//! What the link with the tax service counts. All handles are made once, at the start, so that a metric is there (and an
//! alarm on it works) before the first document.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use ofd_store::{OutboxDepths, OutboxState, RegistrationState, Verdict};

/// Results of requests, as labels.
const RESULTS: [&str; 9] = [
    "accepted",
    "timeout",
    "transport",
    "unreadable",
    "unavailable",
    "throttled",
    "invalid",
    "key_reused",
    "unauthorised",
];
/// Label of any other result.
const OTHER: &str = "foreign";

/// Handles of every metric of this crate.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) oldest_age: Gauge,
    depth: Vec<(OutboxState, Gauge)>,
    depth_waiting: Gauge,
    backlog: Gauge,
    pub(crate) send_seconds: Histogram,
    sends: Vec<(&'static str, Counter)>,
    sends_other: Counter,
    pub(crate) breaker_state: Gauge,
    pub(crate) events_cursor_age: Gauge,
    verdicts: Vec<(Verdict, Counter)>,
    pub(crate) gaps: Counter,
    pub(crate) expires_client: Gauge,
    pub(crate) expires_ca: Gauge,
    pub(crate) slots_held: Gauge,
    pub(crate) split: Counter,
    pub(crate) dead: Counter,
    registers: Vec<(RegistrationState, Gauge)>,
    pub(crate) tasks_open: Gauge,
}

impl Metrics {
    /// Registers every metric with the recorder that is current.
    pub(crate) fn new() -> Self {
        describe();
        let sends = |result: &'static str| counter!("fns_send_total", "result" => result);
        let depth = |state: &'static str| gauge!("fns_outbox_depth", "state" => state);
        let verdicts = |verdict: Verdict| counter!("fns_docs_total", "verdict" => verdict.name());
        let registers = |state: RegistrationState| gauge!("registration_registers", "state" => state.name());
        let expires = |which: &'static str| gauge!("fns_certificate_expires_seconds", "which" => which);
        Self {
            oldest_age: gauge!("fns_outbox_oldest_age_seconds"),
            depth: OutboxState::ALL.map(|state| (state, depth(state.name()))).into(),
            depth_waiting: depth("waiting"),
            backlog: gauge!("fns_outbox_backlog_documents"),
            send_seconds: histogram!("fns_send_seconds"),
            sends: RESULTS.map(|result| (result, sends(result))).into(),
            sends_other: sends(OTHER),
            breaker_state: gauge!("fns_breaker_state"),
            events_cursor_age: gauge!("fns_events_cursor_age_seconds"),
            verdicts: [Verdict::Accepted, Verdict::Soft, Verdict::Hard].map(|v| (v, verdicts(v))).into(),
            gaps: counter!("fns_fd_gap_total"),
            expires_client: expires("client"),
            expires_ca: expires("ca"),
            slots_held: gauge!("fns_slots_held"),
            split: counter!("fns_batches_split_total"),
            dead: counter!("fns_dead_total"),
            registers: RegistrationState::ALL.iter().map(|state| (*state, registers(*state))).collect(),
            tasks_open: gauge!("registration_tasks_open"),
        }
    }

    pub(crate) fn sent(&self, result: &str) {
        match self.sends.iter().find(|(name, _)| *name == result) {
            Some((_, counter)) => counter.increment(1),
            None => self.sends_other.increment(1),
        }
    }

    /// A document came to the state of a verdict.
    pub(crate) fn verdict(&self, to: OutboxState) {
        if let Some((_, counter)) = self.verdicts.iter().find(|(verdict, _)| verdict.state() == to) {
            counter.increment(1);
        }
    }

    pub(crate) fn depths(&self, depths: &OutboxDepths) {
        for (state, gauge) in &self.depth {
            gauge.set(number(depths.of(*state)));
        }
        self.depth_waiting.set(number(depths.waiting));
        self.backlog.set(number(depths.backlog));
    }

    pub(crate) fn registers(&self, counts: &[(RegistrationState, u64)]) {
        for (state, gauge) in &self.registers {
            let count = counts.iter().find(|(other, _)| other == state).map_or(0, |(_, count)| *count);
            gauge.set(number(count));
        }
    }
}

/// A count as a gauge wants it; exact up to 2^53, far beyond any count that occurs.
pub(crate) fn number(count: u64) -> f64 {
    let half = |half: u64| u32::try_from(half).map_or(0.0, f64::from);
    half(count >> 32).mul_add(4_294_967_296.0, half(count & 0xFFFF_FFFF))
}

fn describe() {
    describe_gauge!(
        "fns_outbox_oldest_age_seconds",
        Unit::Seconds,
        "Age of the oldest document that the tax service did not take yet; 0 when none is configured"
    );
    describe_gauge!(
        "fns_outbox_depth",
        "Documents on their way to the tax service, by state; waiting: for their storage to become known"
    );
    describe_gauge!(
        "fns_outbox_backlog_documents",
        "Documents of the journal that the forwarder has not looked at yet"
    );
    describe_histogram!("fns_send_seconds", Unit::Seconds, "Time of a batch request, answered or not");
    describe_counter!("fns_send_total", "Batch requests, by result");
    describe_gauge!(
        "fns_breaker_state",
        "Circuit breaker: 0 closed, 1 half open, 2 open or certificate refused"
    );
    describe_gauge!(
        "fns_events_cursor_age_seconds",
        Unit::Seconds,
        "Time since the feed of events was last read to its end"
    );
    describe_counter!("fns_docs_total", "Verdicts of the tax service about documents, by verdict");
    describe_counter!("fns_fd_gap_total", "Gaps found in the document numbers of a storage");
    describe_gauge!(
        "fns_certificate_expires_seconds",
        Unit::Seconds,
        "Time until a certificate of the link expires"
    );
    describe_gauge!("fns_slots_held", "Slots of lanes that this process holds, of 256");
    describe_counter!("fns_batches_split_total", "Batches refused as a whole and split");
    describe_counter!("fns_dead_total", "Documents that the tax service will never take as they are");
    describe_gauge!("registration_registers", "Registers by state of their registration");
    describe_gauge!("registration_tasks_open", "Open tasks for people");
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn counts_are_exact() {
        let check = |count: u64, expected: &str| assert_eq!(format!("{}", number(count)), expected);
        check(0, "0");
        check(4_294_967_295, "4294967295");
        check(4_294_967_296, "4294967296");
        check(9_007_199_254_740_991, "9007199254740991");
        check(u64::MAX, "18446744073709552000");
    }
}
