//! Alarms about the age of the oldest document that was not delivered: said when a threshold is crossed, and when it is over.

use std::time::Duration;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Fine,
    Warn,
    High,
    Critical,
}

/// Thresholds, and what was said last.
#[derive(Debug)]
pub(crate) struct AgeAlarm {
    warn: Duration,
    high: Duration,
    critical: Duration,
    said: Level,
}

impl AgeAlarm {
    pub(crate) fn new(warn: Duration, high: Duration, critical: Duration) -> Self {
        Self { warn, high, critical, said: Level::Fine }
    }

    /// The level to be said now, if it is another than before.
    pub(crate) fn observe(&mut self, age: Duration) -> Option<Level> {
        let level = match age {
            age if age >= self.critical => Level::Critical,
            age if age >= self.high => Level::High,
            age if age >= self.warn => Level::Warn,
            _ => Level::Fine,
        };
        let news = (level != self.said).then_some(level);
        self.said = level;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_said_once() {
        let seconds = Duration::from_secs;
        let mut alarm = AgeAlarm::new(seconds(10), seconds(20), seconds(30));
        let mut check = |age: u64, expected: Option<Level>| {
            assert_eq!(alarm.observe(seconds(age)), expected, "{age}");
        };
        check(0, None);
        check(9, None);
        check(10, Some(Level::Warn));
        check(19, None);
        check(20, Some(Level::High));
        check(45, Some(Level::Critical));
        check(60, None);
        check(25, Some(Level::High));
        check(0, Some(Level::Fine));
        check(30, Some(Level::Critical));
    }
}
