//! How often the history of an ФН was asked for, and how often it was missed.

use metrics::{Counter, counter, describe_counter};

/// What came of asking for the history of an ФН.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistoryOutcome {
    /// It was read.
    Found,
    /// Nothing of the ФН is stored.
    Nothing,
    /// The store could not be read.
    Failed,
    /// It took too long.
    Late,
}

impl HistoryOutcome {
    const ALL: [Self; 4] = [Self::Found, Self::Nothing, Self::Failed, Self::Late];

    fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }
}

/// One counter per outcome.
#[derive(Debug)]
pub(super) struct HistoryCounters {
    loads: [Counter; HistoryOutcome::ALL.len()],
    missed: Counter,
}

impl HistoryCounters {
    pub(super) fn new() -> Self {
        describe();
        Self {
            loads: HistoryOutcome::ALL
                .map(|outcome| counter!("fiscald_history_loads_total", "outcome" => outcome.as_str())),
            missed: counter!("fiscald_judged_without_history_total"),
        }
    }

    pub(super) fn loaded(&self, outcome: HistoryOutcome) {
        let position = HistoryOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = position.and_then(|position| self.loads.get(position)) {
            counter.increment(1);
        }
    }

    pub(super) fn missed(&self) {
        self.missed.increment(1);
    }
}

fn describe() {
    describe_counter!(
        "fiscald_history_loads_total",
        "Times the history of a fiscal storage was asked for, by outcome"
    );
    describe_counter!(
        "fiscald_judged_without_history_total",
        "Documents judged without what is known of their fiscal storage, because it could not be read in time"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::metrics::tests::check;

    #[test]
    fn histories_are_counted_by_outcome() {
        for outcome in HistoryOutcome::ALL {
            let line = format!(r#"fiscald_history_loads_total{{outcome="{}"}} 1"#, outcome.as_str());
            check(|metrics| metrics.history_loaded(outcome), &line);
        }
        check(Metrics::judged_without_history, "fiscald_judged_without_history_total 1");
    }
}
