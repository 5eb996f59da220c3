//! The header `Retry-After`: seconds, or a moment in the format of HTTP.

use std::time::Duration;

use jiff::Timestamp;

/// Longest pause that a service may ask for; past it somebody made a mistake.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long to wait from `now`. Nothing for what cannot be read; a moment in the past is no wait at all.
pub(super) fn read(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let now: Timestamp = "2026-11-22T08:49:37Z".parse().unwrap();
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(read(value, now), expected.map(Duration::from_secs), "{value:?}");
        };
        check("0", Some(0));
        check("120", Some(120));
        check(" 7 ", Some(7));
        check("86401", Some(86_400));
        check("99999999999999999999999", Some(86_400));
        check("Sun, 22 Nov 2026 08:50:37 GMT", Some(60));
        check("Sun, 22 Nov 2026 08:49:30 GMT", Some(0));
        check("", None);
        check("-5", None);
        check("1.5", None);
        check("soon", None);
    }
}
