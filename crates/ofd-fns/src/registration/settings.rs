//! Periods of the registration: those keys of section `[registration]` that this crate uses.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ConfigProblem;

/// Seconds of a day.
pub(crate) const DAY_S: u64 = 86_400;
/// Longest period that may be asked for: ten years.
const MAX_PERIOD_S: u64 = 3_653 * DAY_S;
/// Moscow time, in which the tax service dates.
pub(crate) const MOSCOW: Offset = Offset::constant(3);
/// Longest pause between two looks at the journal, milliseconds.
const MAX_TICK_MS: u64 = 60_000;

/// Periods of the way of a register to the registry. Defaults: tax-service notes B5.8, section "Law" (A7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationConfig {
    /// How long the registers of a stopped contract are served on, seconds.
    pub grace_s: u64,
    /// How long a card may take after the tax service has the report, seconds.
    pub t_card_s: u64,
    /// How long the report may take after the number was assigned, seconds. Absent: to the end of the next business day, as
    /// the law has it, on the clock of Moscow. Saturdays and Sundays are passed over; public holidays are not known.
    pub t_rnm_s: Option<u64>,
    /// After how long without documents a register counts as silent, seconds.
    pub silent_s: u64,
    /// How often journal, feed and timers are looked at, milliseconds.
    pub tick_ms: u64,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { grace_s: 3 * DAY_S, t_card_s: DAY_S, t_rnm_s: None, silent_s: 30 * DAY_S, tick_ms: 1_000 }
    }
}

impl RegistrationConfig {
    /// Checks what the types cannot say. Every fault found, not only the first.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut range = |key: &'static str, value: u64, min: u64, max: u64| {
            if !(min..=max).contains(&value) {
                problems.push(ConfigProblem {
                    key,
                    what: format!("{value} is outside {min} to {max}"),
                    fix: "write a number within it".to_owned(),
                });
            }
        };
        range("registration.grace_s", self.grace_s, 0, MAX_PERIOD_S);
        range("registration.t_card_s", self.t_card_s, 1, MAX_PERIOD_S);
        range("registration.t_rnm_s", self.t_rnm_s.unwrap_or(DAY_S), 1, MAX_PERIOD_S);
        range("registration.silent_s", self.silent_s, 1, MAX_PERIOD_S);
        range("registration.tick_ms", self.tick_ms, 10, MAX_TICK_MS);
        problems
    }

    /// [`Self::grace_s`] as a duration.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }

    /// [`Self::tick_ms`] as a duration.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_ms)
    }

    /// When the card is due, counted from `now`.
    pub(crate) fn card_due(&self, now: Timestamp) -> Option<Timestamp> {
        after(now, self.t_card_s)
    }

    /// When the report is due, counted from `now`.
    pub(crate) fn report_due(&self, now: Timestamp) -> Option<Timestamp> {
        match self.t_rnm_s {
            Some(seconds) => after(now, seconds),
            None => next_business_day_end(now),
        }
    }
}

/// The end of the first business day after that of `now`, on the clock of Moscow. None past the end of time.
fn next_business_day_end(now: Timestamp) -> Option<Timestamp> {
    let moscow = TimeZone::fixed(MOSCOW);
    let mut day = moscow.to_datetime(now).date().tomorrow().ok()?;
    while matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
        day = day.tomorrow().ok()?;
    }
    moscow.to_timestamp(day.tomorrow().ok()?.to_datetime(Time::midnight())).ok()
}

/// `seconds` after `now`; none past the end of time.
fn after(now: Timestamp, seconds: u64) -> Option<Timestamp> {
    now.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut RegistrationConfig), expected: &[&str]) {
        let mut config = RegistrationConfig::default();
        change(&mut config);
        let problems = config.validate();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, expected, "{problems:?}");
    }

    #[test]
    fn limits_at_their_edges() {
        check(|_| {}, &[]);
        check(|c| c.grace_s = 0, &[]);
        check(|c| c.grace_s = MAX_PERIOD_S, &[]);
        check(|c| c.grace_s = MAX_PERIOD_S + 1, &["registration.grace_s"]);
        check(|c| c.t_card_s = 0, &["registration.t_card_s"]);
        check(|c| c.t_card_s = 1, &[]);
        check(|c| c.t_rnm_s = Some(0), &["registration.t_rnm_s"]);
        check(|c| c.silent_s = 0, &["registration.silent_s"]);
        check(|c| c.tick_ms = 9, &["registration.tick_ms"]);
        check(|c| c.tick_ms = 60_001, &["registration.tick_ms"]);
        check(
            |c| (c.t_card_s, c.silent_s) = (0, u64::MAX),
            &["registration.t_card_s", "registration.silent_s"],
        );
    }

    #[test]
    fn the_report_is_due_at_the_end_of_the_next_business_day() {
        let check = |assigned: &str, due: &str| {
            let due: Timestamp = due.parse().unwrap();
            let config = RegistrationConfig::default();
            assert_eq!(config.report_due(assigned.parse().unwrap()), Some(due), "{assigned}");
        };
        // Thursday, on both sides of Moscow's midnight.
        check("2026-11-19T20:59:59Z", "2026-11-21T00:00:00+03:00");
        check("2026-11-19T21:00:00Z", "2026-11-24T00:00:00+03:00");
        // Friday, Saturday, Sunday, Monday.
        check("2026-11-20T12:00:00+03:00", "2026-11-24T00:00:00+03:00");
        check("2026-11-21T12:00:00+03:00", "2026-11-24T00:00:00+03:00");
        check("2026-11-22T12:00:00+03:00", "2026-11-24T00:00:00+03:00");
        check("2026-11-23T00:00:00+03:00", "2026-11-25T00:00:00+03:00");
        let stated = RegistrationConfig { t_rnm_s: Some(60), ..RegistrationConfig::default() };
        assert_eq!(stated.report_due(Timestamp::UNIX_EPOCH), Timestamp::from_second(60).ok());
        assert_eq!(RegistrationConfig::default().report_due(Timestamp::MAX), None);
    }

    #[test]
    fn unknown_keys_are_refused_and_moments_do_not_overflow() {
        assert!(serde_json::from_str::<RegistrationConfig>(r#"{"t_card_s": 5}"#).is_ok());
        assert!(serde_json::from_str::<RegistrationConfig>(r#"{"t_card": 5}"#).is_err());
        assert_eq!(after(Timestamp::MAX, 1), None);
        assert_eq!(after(Timestamp::UNIX_EPOCH, u64::MAX), None);
        assert_eq!(after(Timestamp::UNIX_EPOCH, 5), Timestamp::from_second(5).ok());
    }
}
