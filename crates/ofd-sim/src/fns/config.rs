//! What of the simulator can be changed while it runs (`PUT /sim/config`).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the simulator treats requests to the tax service's endpoints. The control port always answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything works.
    #[default]
    Ok,
    /// New connections are closed at once, requests of existing ones are cut without an answer.
    Down,
    /// Every request is answered 429 with `Retry-After`.
    #[serde(rename = "429")]
    TooManyRequests,
    /// Every request is answered 503 with `Retry-After`.
    #[serde(rename = "503")]
    Unavailable,
    /// Every request waits [`SimConfig::slow_ms`] first.
    Slow,
    /// A batch is taken as usual, then its connection is closed without an answer. Other requests work.
    DropAfterAccept,
}

/// Behaviour of the simulator. The JSON of the control port has the same names in camelCase; `PUT /sim/config` changes
/// the members it names and keeps the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SimConfig {
    /// Whether a registration report makes its card by itself. Off is December 2016: verdict soft 901 until the
    /// taxpayer types the three values (endpoint 6).
    pub auto_card: bool,
    /// From a report's reception to its card, milliseconds. Shorter than [`SimConfig::verdict_delay_ms`] = the card
    /// comes before the ticket.
    pub card_delay_ms: u64,
    /// From a document's reception to its ticket, milliseconds.
    pub verdict_delay_ms: u64,
    /// Share of documents answered `BUSY`, 0 to 1. The documents of the same ФН behind a busy one in its batch are busy
    /// too: a document overtaking another would be a fault of the tax service.
    pub fail_rate: f64,
    /// Added to every answer, milliseconds.
    pub latency_ms: u64,
    /// See [`Mode`].
    pub mode: Mode,
    /// Delay of mode `slow`, milliseconds.
    pub slow_ms: u64,
    /// `Retry-After` of the modes `429` and `503`, seconds.
    pub retry_after_s: u64,
    /// Whether applications are accepted by themselves; otherwise they wait for `POST /sim/applications/{id}/decide`.
    pub auto_applications: bool,
    /// Most documents of a batch; more is 413.
    pub max_batch_documents: usize,
    /// Most bytes of a batch's JSON before compression; more is 413.
    pub max_batch_bytes: usize,
    /// How long events stay readable, seconds. A cursor older than that is 410.
    pub retention_s: u64,
    /// Whether a ФД number below the highest of its ФН is hard 911.
    pub check_order: bool,
    /// Whether a document later than a day after our clock is hard 502.
    pub check_future: bool,
    /// Whether other content under a known number is refused at the door (`CONFLICT_HASH`). Otherwise it is received
    /// and its ticket is hard 912.
    pub conflict_at_door: bool,
    /// A batch holding one of these `docKey`s is answered 422 as a whole: a body that the service cannot digest.
    pub poison: BTreeSet<String>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            auto_card: true,
            card_delay_ms: 0,
            verdict_delay_ms: 0,
            fail_rate: 0.0,
            latency_ms: 0,
            mode: Mode::Ok,
            slow_ms: 60_000,
            retry_after_s: 1,
            auto_applications: true,
            max_batch_documents: 100,
            // 1 MiB of documents, and room for the envelope around them.
            max_batch_bytes: (1 << 20) + (64 << 10),
            retention_s: 30 * 24 * 60 * 60,
            check_order: true,
            check_future: true,
            conflict_at_door: true,
            poison: BTreeSet::new(),
        }
    }
}

/// A setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct ConfigError {
    /// Name of the setting as the control port spells it.
    pub key: &'static str,
    /// What is wrong with it, and what would be right.
    pub what: &'static str,
}

/// The longest of all delays: longer is a slip of the unit.
const MAX_DELAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The largest batch a simulator may be told to take, bytes.
const MAX_BATCH_BYTES: usize = 64 << 20;

impl SimConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key, what| Err(ConfigError { key, what });
        if !(0.0..=1.0).contains(&self.fail_rate) {
            return wrong("failRate", "is a share from 0 to 1");
        }
        let delays = [
            ("cardDelayMs", self.card_delay_ms),
            ("verdictDelayMs", self.verdict_delay_ms),
            ("latencyMs", self.latency_ms),
            ("slowMs", self.slow_ms),
        ];
        if let Some((key, _)) = delays.into_iter().find(|(_, delay)| *delay > MAX_DELAY_MS) {
            return wrong(key, "is at most a day (86400000 milliseconds)");
        }
        if self.max_batch_documents == 0 {
            return wrong("maxBatchDocuments", "is at least 1");
        }
        if !(1024..=MAX_BATCH_BYTES).contains(&self.max_batch_bytes) {
            return wrong("maxBatchBytes", "is 1024 to 67108864");
        }
        Ok(())
    }

    /// What every answer waits for, by mode and latency.
    pub(super) fn delay(&self) -> Duration {
        let slow = if self.mode == Mode::Slow { self.slow_ms } else { 0 };
        Duration::from_millis(self.latency_ms.saturating_add(slow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_control_port() {
        let text = serde_json::to_value(SimConfig::default()).unwrap();
        assert_eq!(text["mode"], "ok");
        assert_eq!(text["autoCard"], true);
        let check = |mode: &str, expected| {
            let config: SimConfig = serde_json::from_value(serde_json::json!({ "mode": mode })).unwrap();
            assert_eq!(config.mode, expected);
        };
        check("ok", Mode::Ok);
        check("down", Mode::Down);
        check("429", Mode::TooManyRequests);
        check("503", Mode::Unavailable);
        check("slow", Mode::Slow);
        check("drop_after_accept", Mode::DropAfterAccept);
        assert!(serde_json::from_str::<SimConfig>(r#"{"autocard":true}"#).is_err());
    }

    #[test]
    fn ranges_are_checked() {
        let check = |change: fn(&mut SimConfig), key: Option<&str>| {
            let mut config = SimConfig::default();
            change(&mut config);
            assert_eq!(config.validate().err().map(|error| error.key), key);
        };
        check(|_| (), None);
        check(|config| config.fail_rate = 1.0, None);
        check(|config| config.fail_rate = 1.01, Some("failRate"));
        check(|config| config.fail_rate = f64::NAN, Some("failRate"));
        check(|config| config.latency_ms = 86_400_000, None);
        check(|config| config.latency_ms = 86_400_001, Some("latencyMs"));
        check(|config| config.max_batch_documents = 0, Some("maxBatchDocuments"));
        check(|config| config.max_batch_bytes = 1023, Some("maxBatchBytes"));
        check(|config| config.max_batch_bytes = MAX_BATCH_BYTES, None);
    }
}
