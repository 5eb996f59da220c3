//! What became of connections that a balancer has to introduce.

use metrics::{Counter, counter, describe_counter};

/// How an introduction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyOutcome {
    /// The register's address is known and its connection goes on.
    Register,
    /// The balancer only looked whether somebody is there.
    HealthCheck,
    /// From an address that is no balancer's.
    Stranger,
    /// Too many connections were waiting for their header.
    TooMany,
    /// Something else came in place of the header.
    NoHeader,
    /// The header breaks the rules of one.
    Damaged,
    /// The header names no TCP address.
    NoAddress,
    /// The connection ended in the middle of the header.
    CutOff,
    /// The header did not come in time.
    Late,
}

impl ProxyOutcome {
    const ALL: [Self; 9] = [
        Self::Register,
        Self::HealthCheck,
        Self::Stranger,
        Self::TooMany,
        Self::NoHeader,
        Self::Damaged,
        Self::NoAddress,
        Self::CutOff,
        Self::Late,
    ];

    /// Label of metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::HealthCheck => "health_check",
            Self::Stranger => "stranger",
            Self::TooMany => "too_many",
            Self::NoHeader => "no_header",
            Self::Damaged => "damaged",
            Self::NoAddress => "no_address",
            Self::CutOff => "cut_off",
            Self::Late => "late",
        }
    }
}

/// Counters of introductions, of every port together.
#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    outcomes: [Counter; ProxyOutcome::ALL.len()],
}

impl ProxyMetrics {
    /// Handles of the recorder that is current.
    pub(crate) fn new() -> Self {
        describe_counter!(
            "fiscald_proxy_connections_total",
            "Connections that a balancer has to introduce (PROXY protocol), by what came of it"
        );
        let outcome = |outcome: ProxyOutcome| counter!("fiscald_proxy_connections_total", "outcome" => outcome.as_str());
        Self { outcomes: ProxyOutcome::ALL.map(outcome) }
    }

    pub(crate) fn count(&self, outcome: ProxyOutcome) {
        let position = ProxyOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = position.and_then(|position| self.outcomes.get(position)) {
            counter.increment(1);
        }
    }
}
