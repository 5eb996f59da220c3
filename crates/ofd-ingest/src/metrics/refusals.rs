//! Messages that got no answer, and what was kept of them.

use kkt_proto::error::Flaw;
use metrics::{Counter, counter, describe_counter};

use super::OTHER;
use crate::decision::Refusal;

/// Reasons of refusal that are not decisions: our own troubles, and a register that hung up in a message.
pub(crate) mod reason {
    pub(crate) const STORE_UNAVAILABLE: &str = "store_unavailable";
    pub(crate) const STORE_REFUSED: &str = "store_refused";
    pub(crate) const STORE_DAMAGED: &str = "store_damaged";
    pub(crate) const SIGNER_UNAVAILABLE: &str = "signer_unavailable";
    pub(crate) const CLOCK_UNTRUSTED: &str = "clock_untrusted";
    pub(crate) const CUT_OFF: &str = "cut_off";
}

/// Flaws of messages that the operator's end can meet.
const FLAWS: [Flaw; 19] = [
    Flaw::Signature,
    Flaw::SVersion,
    Flaw::PVersion,
    Flaw::FnNumber,
    Flaw::CrcMode,
    Flaw::Capability,
    Flaw::BodySize,
    Flaw::EmptyContainer,
    Flaw::BodyWithoutContainer,
    Flaw::MarkingService,
    Flaw::HeaderCrc,
    Flaw::MessageCrc,
    Flaw::ContainerLength,
    Flaw::ContainerCrc,
    Flaw::ContainerKind,
    Flaw::ContainerVersion,
    Flaw::ContainerFn,
    Flaw::ContainerFd,
    Flaw::ForeignContainer,
];

/// One counter per reason.
#[derive(Debug)]
pub(super) struct RefusalCounters {
    quarantined: [Counter; Refusal::ALL.len()],
    quarantine_not_kept: [Counter; Refusal::ALL.len()],
    refusals: [Counter; Refusal::ALL.len()],
    rejects: Vec<(&'static str, Counter)>,
    rejects_other: Counter,
}

impl RefusalCounters {
    pub(super) fn new() -> Self {
        describe();
        Self {
            quarantined: Refusal::ALL
                .map(|reason| counter!("fiscald_quarantined_total", "reason" => reason.as_str())),
            quarantine_not_kept: Refusal::ALL
                .map(|reason| counter!("fiscald_quarantine_not_kept_total", "reason" => reason.as_str())),
            refusals: Refusal::ALL.map(|reason| reject_counter(reason.as_str())),
            rejects: reject_reasons().map(|reason| (reason, reject_counter(reason))).collect(),
            rejects_other: reject_counter(OTHER),
        }
    }

    pub(super) fn refused(&self, reason: Refusal) {
        add_one(&self.refusals, reason);
    }

    pub(super) fn quarantined(&self, reason: Refusal) {
        add_one(&self.quarantined, reason);
    }

    pub(super) fn quarantine_not_kept(&self, reason: Refusal) {
        add_one(&self.quarantine_not_kept, reason);
    }

    pub(super) fn rejected(&self, reason: &'static str) {
        let known = self.rejects.iter().find(|(known, _)| *known == reason);
        known.map_or(&self.rejects_other, |(_, counter)| counter).increment(1);
    }
}

fn reject_counter(reason: &'static str) -> Counter {
    counter!("fiscald_rejects_total", "reason" => reason)
}

fn reject_reasons() -> impl Iterator<Item = &'static str> {
    use reason::{
        CLOCK_UNTRUSTED, CUT_OFF, SIGNER_UNAVAILABLE, STORE_DAMAGED, STORE_REFUSED, STORE_UNAVAILABLE,
    };
    let ours =
        [STORE_UNAVAILABLE, STORE_REFUSED, STORE_DAMAGED, SIGNER_UNAVAILABLE, CLOCK_UNTRUSTED, CUT_OFF];
    FLAWS.into_iter().map(Flaw::reason).chain(ours)
}

fn add_one(counters: &[Counter; Refusal::ALL.len()], reason: Refusal) {
    let position = Refusal::ALL.iter().position(|known| *known == reason);
    if let Some(counter) = position.and_then(|position| counters.get(position)) {
        counter.increment(1);
    }
}

fn describe() {
    describe_counter!("fiscald_quarantined_total", "Messages kept in quarantine, by reason");
    describe_counter!(
        "fiscald_quarantine_not_kept_total",
        "Messages for quarantine of which no copy was kept, by reason: it is full, or too much came at once"
    );
    describe_counter!("fiscald_rejects_total", "Messages that got no answer, by reason");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::check;

    #[test]
    fn every_refusal_has_its_counter_from_the_start() {
        for reason in Refusal::ALL {
            let label = reason.as_str();
            check(|_| {}, &format!(r#"fiscald_rejects_total{{reason="{label}"}} 0"#));
            check(
                |metrics| metrics.refused(reason),
                &format!(r#"fiscald_rejects_total{{reason="{label}"}} 1"#),
            );
            check(
                |metrics| metrics.quarantined(reason),
                &format!(r#"fiscald_quarantined_total{{reason="{label}"}} 1"#),
            );
            check(
                |metrics| metrics.quarantine_not_kept(reason),
                &format!(r#"fiscald_quarantine_not_kept_total{{reason="{label}"}} 1"#),
            );
        }
        for label in reject_reasons() {
            check(
                |metrics| metrics.rejected(label),
                &format!(r#"fiscald_rejects_total{{reason="{label}"}} 1"#),
            );
        }
        check(|metrics| metrics.rejected("a new flaw"), r#"fiscald_rejects_total{reason="other"} 1"#);
    }
}
