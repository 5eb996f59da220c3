//! Whether our clock can be trusted, as a pure state machine over two readings: the wall clock and a clock that nobody
//! sets. An acknowledgement carries our time (tag 1012) for ever, and checks compare documents with it: a wrong clock
//! would refuse honest receipts for good, while silence costs them one repeat.

use std::fmt;
use std::mem::discriminant;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock that shows less than this is wrong: it is older than the program itself (2025-01-01T00:00:00Z).
pub(super) const EARLIEST_CREDIBLE_S: i64 = 1_735_689_600;

/// How far the wall clock may run away from the clock that nobody sets.
pub(super) const MAX_JUMP: SignedDuration = SignedDuration::from_secs(60);

/// How far back the wall clock may be set without a word: a correction of NTP, a leap second. Meanwhile time stands
/// still for acknowledgements.
pub(super) const MAX_STEP_BACK: SignedDuration = SignedDuration::from_secs(1);

/// How long two readings are compared: small corrections of many weeks must not add up to a jump.
pub(super) const COMPARED_FOR: Duration = Duration::from_secs(3600);

/// Both clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What the wall clock shows.
    pub(crate) wall: Timestamp,
    /// A clock that only goes forward and that nobody sets; its zero does not matter.
    pub(crate) steady: Duration,
}

/// Why the clock is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// A date that cannot be: before this program was written, or past the 32 bits of tag 1012.
    Impossible,
    /// The wall clock runs away from the steady one.
    Jumped {
        /// How far; negative when it was set back.
        by: SignedDuration,
        /// When that was noticed, by the time that was true before.
        noticed: Timestamp,
    },
    /// The wall clock is behind an acknowledgement.
    Behind {
        /// How far.
        by: SignedDuration,
        /// Time of the newest acknowledgement.
        newest: Timestamp,
    },
}

/// The state machine. Everything it knows of time is handed in.
#[derive(Debug)]
pub(super) struct Guard {
    /// A reading that was trusted. None before the first one: against a clock that was wrong from the start, setting it
    /// right is no jump.
    anchor: Option<Reading>,
    /// Time of the newest acknowledgement that counts.
    newest: Option<Timestamp>,
    /// When the jump that lasts was noticed.
    jump_noticed: Option<Timestamp>,
}

impl Guard {
    /// Begins with nothing but `newest`, the newest acknowledgement of the store.
    pub(super) fn new(newest: Option<Timestamp>) -> Self {
        Self { anchor: None, newest, jump_noticed: None }
    }

    /// The time for an acknowledgement, or why there is none.
    pub(super) fn look(&mut self, now: Reading) -> Result<Timestamp, Distrust> {
        if !is_credible(now.wall) {
            return Err(Distrust::Impossible);
        }
        let by = self.offset(now);
        if by.abs() > MAX_JUMP {
            let noticed = *self.jump_noticed.get_or_insert(self.expected(now));
            return Err(Distrust::Jumped { by, noticed });
        }
        self.jump_noticed = None;
        if let Some(newest) = self.newest
            && newest.duration_since(now.wall) > MAX_STEP_BACK
        {
            return Err(Distrust::Behind { by: newest.duration_since(now.wall), newest });
        }
        if self.anchor.is_none_or(|anchor| now.steady.saturating_sub(anchor.steady) >= COMPARED_FOR) {
            self.anchor = Some(now);
        }
        Ok(self.newest.map_or(now.wall, |newest| newest.max(now.wall)))
    }

    /// An acknowledgement of this time was given.
    pub(super) fn acknowledged(&mut self, at: Timestamp) {
        self.newest = self.newest.max(Some(at));
    }

    /// An operator says that the wall clock is right now, whatever was before. A date that cannot be is not anchored
    /// at: set right, it would be a jump.
    pub(super) fn confirm(&mut self, now: Reading) {
        *self = Self { anchor: is_credible(now.wall).then_some(now), ..Self::new(None) };
    }

    /// How far the wall clock is from where the steady clock expects it; nowhere before it was trusted.
    pub(super) fn offset(&self, now: Reading) -> SignedDuration {
        now.wall.duration_since(self.expected(now))
    }

    fn expected(&self, now: Reading) -> Timestamp {
        let Some(anchor) = self.anchor else { return now.wall };
        let passed = now.steady.saturating_sub(anchor.steady);
        anchor.wall.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

fn is_credible(wall: Timestamp) -> bool {
    (EARLIEST_CREDIBLE_S..=i64::from(u32::MAX)).contains(&wall.as_second())
}

/// In words, with what to do.
impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Impossible => f.write_str(
                "the clock shows an impossible date: set it; documents are not answered until then",
            ),
            Self::Jumped { by, noticed } => {
                let how = if by.is_negative() { "back" } else { "forward" };
                let seconds = by.as_secs_f64().abs();
                write!(
                    f,
                    "the clock jumped {how} by {seconds:.0} s at {noticed:.0}: {WHAT_TO_DO}; {JUST_SET}"
                )
            }
            Self::Behind { by, newest } => {
                let seconds = by.as_secs_f64();
                write!(
                    f,
                    "the clock is {seconds:.0} s behind the newest acknowledgement ({newest:.0}): {WHAT_TO_DO}"
                )
            }
        }
    }
}

const WHAT_TO_DO: &str = "documents are not answered until it agrees again; check NTP, and if the time is right now, \
                          confirm it with `fiscald clock confirm`";

/// The usual case: the daemon began before NTP had set the clock.
const JUST_SET: &str = "also if NTP has just set it for the first time since the machine started";

/// What of a look at the clock is worth a line of the log. A distrust that lasts is told once, also when the figures in
/// it grow; another reason for it is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The clock is not trusted, or for another reason than before.
    Distrusted(Distrust),
    /// It is trusted again.
    TrustedAgain,
}

impl News {
    pub(super) fn between(was: Option<Distrust>, is: Option<Distrust>) -> Option<Self> {
        match (was, is) {
            (Some(_), None) => Some(Self::TrustedAgain),
            (None, Some(is)) => Some(Self::Distrusted(is)),
            (Some(was), Some(is)) if discriminant(&was) != discriminant(&is) => Some(Self::Distrusted(is)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-06-01T00:00:00Z.
    const START_S: i64 = 1_780_272_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(START_S + seconds).unwrap()
    }

    /// Readings after so many seconds of true time, with the wall clock off by so much.
    fn reading(steady_s: u64, wall_off_s: i64) -> Reading {
        let wall = at(i64::try_from(steady_s).unwrap() + wall_off_s);
        Reading { wall, steady: Duration::from_secs(1000 + steady_s) }
    }

    /// What happens to a clock, in order.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// Look after so many seconds, with the wall clock off by so much.
        Look(u64, i64, Seen),
        /// An acknowledgement was given at this second.
        Given(i64),
        /// The operator confirms.
        Confirm(u64, i64),
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Seen {
        /// Trusted, and the time for an acknowledgement.
        At(i64),
        Jumped(i64),
        Behind(i64),
    }

    use Seen::{At, Behind, Jumped};
    use Step::{Confirm, Given, Look};

    /// A guard that starts at second 0 with this newest acknowledgement.
    fn check(name: &str, newest: Option<i64>, steps: &[Step]) {
        let mut guard = Guard::new(newest.map(at));
        // The daemon looks when it starts.
        let _ = guard.look(reading(0, 0));
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Given(second) => guard.acknowledged(at(second)),
                Confirm(steady, off) => guard.confirm(reading(steady, off)),
                Look(steady, off, expected) => {
                    let seen = match guard.look(reading(steady, off)) {
                        Ok(time) => At(time.as_second() - START_S),
                        Err(Distrust::Jumped { by, .. }) => Jumped(by.as_secs()),
                        Err(Distrust::Behind { by, .. }) => Behind(by.as_secs()),
                        Err(Distrust::Impossible) => panic!("{name}, step {number}: impossible"),
                    };
                    assert_eq!(seen, expected, "{name}, step {number}: {step:?}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_runs_is_trusted() {
        check("runs", None, &[Look(0, 0, At(0)), Look(1, 0, At(1)), Look(86_400, 0, At(86_400))]);
        check("a store of yesterday", Some(-86_400), &[Look(0, 0, At(0))]);
        check("the newest is now", Some(0), &[Look(0, 0, At(0))]);
    }

    #[test]
    fn a_jump_is_noticed_both_ways_until_it_is_undone() {
        check("forward", None, &[Look(1, 60, At(61)), Look(2, 61, Jumped(61)), Look(3, 60, At(63))]);
        check("back", None, &[Look(100, -60, At(40)), Look(101, -61, Jumped(-61)), Look(102, 0, At(102))]);
        check(
            "a day, and it stays noticed however long it lasts",
            None,
            &[
                Look(1, 86_400, Jumped(86_400)),
                Look(90_000, 86_400, Jumped(86_400)),
                Look(90_001, 0, At(90_001)),
            ],
        );
        // While the machine slept, the steady clock went on, and so did the wall clock.
        check("sleep", None, &[Look(1, 0, At(1)), Look(1_000_000, 0, At(1_000_000))]);
    }

    #[test]
    fn small_corrections_do_not_add_up() {
        let hour = COMPARED_FOR.as_secs();
        check(
            "40 s an hour",
            None,
            &[
                Look(hour, 40, At(3640)),
                Look(2 * hour, 80, At(7280)),
                Look(3 * hour, 120, At(10_920)),
                Look(3 * hour + 1, 181, Jumped(61)),
            ],
        );
        check("80 s in less", None, &[Look(hour - 1, 40, At(3639)), Look(hour - 1, 80, Jumped(80))]);
    }

    #[test]
    fn behind_an_acknowledgement_nothing_is_answered() {
        check(
            "at the start",
            Some(3600),
            &[Look(0, 0, Behind(3600)), Look(3598, 0, Behind(2)), Look(3600, 0, At(3600))],
        );
        check(
            "an old one changes nothing",
            None,
            &[Given(10), Given(5), Look(1, 0, Behind(9)), Look(11, 0, At(11))],
        );
        check(
            "set back by less than a jump",
            None,
            &[Look(100, 0, At(100)), Given(100), Look(101, -50, Behind(49))],
        );
        check(
            "time stands still for a second",
            Some(1),
            &[Look(0, 0, At(1)), Look(1, 0, At(1)), Look(2, 0, At(2))],
        );
        check("both: the jump is told", None, &[Given(10), Look(20, -100, Jumped(-100))]);
        check(
            "wrong from the start and set right: no jump, and guarded from then on",
            Some(86_400),
            &[Look(1, 0, Behind(86_399)), Look(2, 90_000, At(90_002)), Look(3, 0, Jumped(-90_000))],
        );
    }

    #[test]
    fn an_operator_ends_the_distrust() {
        check(
            "a jump that is the truth",
            None,
            &[
                Look(1, 7200, Jumped(7200)),
                Confirm(2, 7200),
                Look(3, 7200, At(7203)),
                Look(4, 0, Jumped(-7200)),
            ],
        );
        check(
            "acknowledgements of tomorrow",
            Some(86_400),
            &[Look(1, 0, Behind(86_399)), Confirm(2, 0), Look(3, 0, At(3)), Given(3), Look(4, -3, Behind(2))],
        );
    }

    #[test]
    fn a_clock_of_another_age_is_never_trusted() {
        let impossible = |second: i64| {
            let wall = Timestamp::from_second(second).unwrap();
            let now = Reading { wall, steady: Duration::ZERO };
            let mut guard = Guard::new(None);
            guard.confirm(now);
            guard.look(now).is_err()
        };
        assert!(impossible(0));
        assert!(impossible(EARLIEST_CREDIBLE_S - 1));
        assert!(!impossible(EARLIEST_CREDIBLE_S));
        assert!(!impossible(i64::from(u32::MAX)));
        assert!(impossible(i64::from(u32::MAX) + 1));
        // A computer without a battery starts in 1970 and is told the time a little later.
        let born = Reading { wall: Timestamp::UNIX_EPOCH, steady: Duration::ZERO };
        let told = Reading { wall: at(0), steady: Duration::from_secs(5) };
        let mut guard = Guard::new(None);
        assert_eq!(guard.look(born), Err(Distrust::Impossible));
        assert_eq!(guard.look(told), Ok(at(0)));
        assert_eq!(guard.look(born), Err(Distrust::Impossible));
    }

    #[test]
    fn a_change_of_the_reason_is_news_and_growing_figures_are_not() {
        let behind =
            |seconds| Some(Distrust::Behind { by: SignedDuration::from_secs(seconds), newest: at(seconds) });
        let jumped = Some(Distrust::Jumped { by: SignedDuration::from_hours(1), noticed: at(5) });
        let check = |was, is, told: Option<News>| assert_eq!(News::between(was, is), told, "{was:?} {is:?}");
        check(None, None, None);
        check(None, jumped, jumped.map(News::Distrusted));
        check(behind(5), behind(4), None);
        check(behind(5), jumped, jumped.map(News::Distrusted));
        check(Some(Distrust::Impossible), behind(7), behind(7).map(News::Distrusted));
        check(jumped, None, Some(News::TrustedAgain));
    }

    #[test]
    fn a_confirmed_impossible_date_is_no_anchor() {
        let born = Reading { wall: Timestamp::UNIX_EPOCH, steady: Duration::ZERO };
        let told = Reading { wall: at(0), steady: Duration::from_secs(5) };
        let mut guard = Guard::new(Some(at(-60)));
        guard.confirm(born);
        assert_eq!(guard.look(born), Err(Distrust::Impossible));
        assert_eq!(guard.look(told), Ok(at(0)), "setting it right is no jump");
    }

    #[test]
    fn the_moment_of_a_jump_is_kept_and_said_in_words() {
        let mut guard = Guard::new(None);
        guard.look(reading(0, 0)).unwrap();
        guard.look(reading(5, -3600)).unwrap_err();
        let words = guard.look(reading(7, -3600)).unwrap_err().to_string();
        assert!(words.starts_with("the clock jumped back by 3600 s at 2026-06-01T00:00:05Z: "), "{words}");
        assert!(
            words.contains("if NTP has just set it") && words.contains("`fiscald clock confirm`"),
            "{words}"
        );
        guard.look(reading(8, 0)).unwrap();
        let words = guard.look(reading(9, 90)).unwrap_err().to_string();
        assert!(words.starts_with("the clock jumped forward by 90 s at 2026-06-01T00:00:09Z: "), "{words}");
        let mut guard = Guard::new(Some(at(30)));
        let words = guard.look(reading(1, 0)).unwrap_err().to_string();
        assert!(
            words.starts_with("the clock is 29 s behind the newest acknowledgement (2026-06-01T00:00:30Z): "),
            "{words}"
        );
    }
}
