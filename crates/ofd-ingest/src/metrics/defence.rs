//! What reception counts about signs and about those who send wrong ones, and what the sister service counts.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use pkz::{UnverifiableReason, Verdict};

use crate::abuse::Penalty;

/// Verdicts on signs, penalties, and connections that made room.
#[derive(Debug)]
pub(crate) struct DefenceMetrics {
    signs: [Counter; SIGNS.len()],
    pair_refused: Counter,
    address_refused: Counter,
    pub(crate) refused_pairs: Gauge,
    pub(crate) evicted: Counter,
}

/// What can come of a look at a sign, in every mode. The alarm on forged signs watches `invalid`.
const SIGNS: [&str; 5] = ["valid", "invalid", "foreign_scheme", "unverifiable", "unavailable"];

impl DefenceMetrics {
    /// Handles of the recorder that is current.
    pub(crate) fn new() -> Self {
        describe_counter!("fiscald_signs_total", "Fiscal signs that were looked at, by what came of it");
        describe_gauge!(
            "fiscald_abuse_refused_pairs",
            "Pairs of address and ФН that are refused for a while after too many wrong signs"
        );
        describe_counter!(
            "fiscald_connections_evicted_total",
            "Connections that were closed to make room for a newcomer: idle, or with a message begun and not finished"
        );
        let rejected = |reason: &'static str| counter!("fiscald_rejects_total", "reason" => reason);
        Self {
            signs: SIGNS.map(|verdict| counter!("fiscald_signs_total", "verdict" => verdict)),
            pair_refused: rejected(Penalty::Pair.reason()),
            address_refused: rejected(Penalty::Address.reason()),
            refused_pairs: gauge!("fiscald_abuse_refused_pairs"),
            evicted: counter!("fiscald_connections_evicted_total"),
        }
    }

    /// A sign was looked at.
    pub(crate) fn sign(&self, verdict: &Verdict) {
        let label = match verdict {
            Verdict::Valid { .. } => "valid",
            Verdict::Invalid(_) => "invalid",
            Verdict::Unverifiable(UnverifiableReason::ForeignScheme) => "foreign_scheme",
            Verdict::Unverifiable(_) => "unverifiable",
            Verdict::Unavailable { .. } => "unavailable",
        };
        let position = SIGNS.iter().position(|known| *known == label);
        if let Some(counter) = position.and_then(|position| self.signs.get(position)) {
            counter.increment(1);
        }
    }

    /// A message was refused before anybody looked at its sign.
    pub(crate) fn refused(&self, penalty: Penalty) {
        match penalty {
            Penalty::Pair | Penalty::TrustedPair => self.pair_refused.increment(1),
            Penalty::Address => self.address_refused.increment(1),
        }
    }
}

/// What came of a message or a connection at the sister service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SisterOutcome {
    /// A probe, answered here.
    Probe,
    /// The upstream's answer was passed back.
    Relayed,
    /// No upstream is configured.
    NoUpstream,
    /// The upstream cannot be reached, or it hung up.
    Unreachable,
    /// The upstream did not connect or answer in time.
    TimedOut,
    /// What the upstream said is no answer to this register.
    BadAnswer,
    /// The register sent what this port does not take.
    Refused,
    /// The register was silent, slow, or did not read.
    Slow,
    /// One connection too many.
    TooMany,
}

impl SisterOutcome {
    const ALL: [Self; 9] = [
        Self::Probe,
        Self::Relayed,
        Self::NoUpstream,
        Self::Unreachable,
        Self::TimedOut,
        Self::BadAnswer,
        Self::Refused,
        Self::Slow,
        Self::TooMany,
    ];

    /// Label of metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Relayed => "relayed",
            Self::NoUpstream => "no_upstream",
            Self::Unreachable => "upstream_unreachable",
            Self::TimedOut => "upstream_timeout",
            Self::BadAnswer => "upstream_bad_answer",
            Self::Refused => "refused",
            Self::Slow => "slow",
            Self::TooMany => "too_many",
        }
    }
}

/// Counters of the sister service.
#[derive(Debug)]
pub(crate) struct SisterMetrics {
    outcomes: [Counter; SisterOutcome::ALL.len()],
    pub(crate) connections_open: Gauge,
}

impl SisterMetrics {
    /// Handles of the recorder that is current.
    pub(crate) fn new() -> Self {
        describe_counter!(
            "fiscald_sister_total",
            "Messages and connections at the port of the marking point, by what came of them"
        );
        describe_gauge!("fiscald_sister_connections_open", "Connections at the port of the marking point");
        Self {
            outcomes: SisterOutcome::ALL
                .map(|outcome| counter!("fiscald_sister_total", "outcome" => outcome.as_str())),
            connections_open: gauge!("fiscald_sister_connections_open"),
        }
    }

    pub(crate) fn count(&self, outcome: SisterOutcome) {
        let position = SisterOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = position.and_then(|position| self.outcomes.get(position)) {
            counter.increment(1);
        }
    }
}
