//! Times (checks 3 to 5): tag 1012 against the beginning of the reform, our clock and the document before.
//!
//! The till's clock has no zone. Ours is UTC, so a right clock in Russia shows between two and twelve hours more.

use crate::check::case::Case;
use crate::check::report::Report;
use crate::dict::FormCode;
use crate::tags;
use crate::value::LocalTime;

/// 2016-09-01 00:00:00: no document is older than the reform.
const EARLIEST: u32 = 1_472_688_000;

/// How far ahead of UTC a clock may be before it is plainly wrong, seconds: a day.
const FUTURE_S: u32 = 24 * 60 * 60;

/// How far ahead of UTC a right clock may be, seconds: Kamchatka's twelve hours and the five minutes that the order
/// allows.
const AHEAD_S: u32 = (12 * 60 + 5) * 60;

pub(super) fn check(case: &Case<'_, '_>, report: &mut Report<'_>) {
    let Some(time) = case.time().filter(|_| case.form() != FormCode::OPERATOR_ACK) else { return };
    let place = case.at(tags::DATE_TIME);
    let shown = LocalTime::new(time);
    if time < EARLIEST {
        report.add("time.earliest", place, || format!("дата и время (тег 1012) {shown} раньше 2016-09-01"));
    }
    let received = LocalTime::new(case.received_at);
    if time > case.received_at.saturating_add(FUTURE_S) {
        report.add("time.future", place, || {
            format!(
                "дата и время (тег 1012) {shown} больше чем на сутки впереди времени приёма {received} UTC"
            )
        });
    } else if time > case.received_at.saturating_add(AHEAD_S) {
        report.add("time.ahead", place, || {
            format!("дата и время (тег 1012) {shown}: столько не может быть ни в одном часовом поясе России, приём {received} UTC")
        });
    }
    let previous = case.before().and_then(|(register, _)| register.last_time());
    if let Some(previous) = previous.filter(|&previous| time < previous) {
        report.add("time.order", place, || {
            format!(
                "дата и время (тег 1012) {shown} раньше, чем в предыдущем документе: {}",
                LocalTime::new(previous)
            )
        });
    }
}
