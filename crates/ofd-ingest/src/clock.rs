//! The one place of this crate that reads the time, and the guard over it: an acknowledgement with a wrong time stays
//! in its ФН for five years, so while the clock cannot be trusted nothing is answered.
//!
//! Trusted is a clock that is not behind the newest acknowledgement and has not run away, by more than a minute, from
//! a clock that nobody sets. That clock is `CLOCK_BOOTTIME`: unlike `Instant` it counts the time a machine slept, so
//! waking up is no jump. A process that was stopped (SIGSTOP) and goes on sees none either. A virtual machine that was
//! frozen with all its clocks wakes in the past; when its wall clock is set right, that is a jump, and an operator is
//! asked. A clock that was wrong before the program began is noticed only if it shows an impossible date or is behind the
//! newest acknowledgement; then it is set right without a question. Any other is believed, and when NTP sets it by more
//! than a minute, that is a jump.

mod guard;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use metrics::{Gauge, describe_gauge, gauge};
use ofd_store::ClockConfirmation;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::guard::{Distrust, Guard, News, Reading};

/// How often the clock is looked at when no document comes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// UTC time of reception in the two shapes that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For the journal.
    pub(crate) timestamp: Timestamp,
    /// For tag 1012 of the acknowledgement: seconds since 1970, UTC.
    pub(crate) unix_s: u32,
}

/// Reads both clocks.
type ReadClocks = Box<dyn Fn() -> Reading + Send + Sync>;

/// The clock that acknowledgements are dated by.
pub struct TrustedClock {
    read: ReadClocks,
    state: Mutex<State>,
    trusted: Gauge,
    offset: Gauge,
}

struct State {
    guard: Guard,
    /// Why nothing is answered now.
    distrust: Option<Distrust>,
}

impl TrustedClock {
    /// The clock of this machine, compared from the first time it can be trusted. `newest` is the time of the newest acknowledgement that the
    /// store holds ([`ofd_store::Store::newest_acknowledged`]).
    ///
    /// Its metrics go to the recorder that is current.
    pub fn new(newest: Option<Timestamp>) -> Self {
        Self::reading(Box::new(read_clocks), newest)
    }

    pub(crate) fn reading(read: ReadClocks, newest: Option<Timestamp>) -> Self {
        describe_gauge!("fiscald_clock_trusted", "1 while the clock is trusted; at 0 nothing is answered");
        describe_gauge!(
            "fiscald_clock_offset_seconds",
            "How far the clock has run away from the one that nobody sets, or (negative) is behind the newest acknowledgement"
        );
        let guard = Guard::new(newest);
        let clock = Self {
            read,
            state: Mutex::new(State { guard, distrust: None }),
            trusted: gauge!("fiscald_clock_trusted"),
            offset: gauge!("fiscald_clock_offset_seconds"),
        };
        clock.trusted.set(1.0);
        // Compared from now on; and what is wrong from the start is told now, not with the first document.
        let _ = clock.look();
        clock
    }

    /// Looks after the clock until `stop` is cancelled: notices trouble although no document comes, and hears the
    /// operator's confirmations ([`ofd_store::Store::clock_confirmations`]) that the receiver has not seen yet.
    ///
    /// Cancellation-safe: nothing is in flight between two looks.
    pub async fn keep(
        &self,
        mut confirmations: watch::Receiver<Option<ClockConfirmation>>,
        stop: CancellationToken,
    ) {
        let mut interval = tokio::time::interval(LOOK_INTERVAL);
        let mut store_is_there = true;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = confirmations.changed(), if store_is_there => match changed {
                    Ok(()) => self.confirm(),
                    // The store is closed: the daemon is ending, and readiness is still asked about.
                    Err(_) => store_is_there = false,
                },
                _ = interval.tick() => {
                    let _ = self.look();
                }
            }
        }
    }

    /// Why nothing is answered now, in words for people; nothing when all is well.
    pub fn distrust(&self) -> Option<String> {
        self.look().err().map(|distrust| distrust.to_string())
    }

    /// The time now, for whoever must not be told a wrong one (the crypto device stops using keys by it); nothing while
    /// the clock is not trusted.
    pub fn trusted_now(&self) -> Option<Timestamp> {
        self.look().ok()
    }

    /// The time now for one document.
    pub(crate) fn now(&self) -> Result<Moment, Distrust> {
        let timestamp = self.look()?;
        // The guard lets only seconds pass that fit.
        let unix_s = u32::try_from(timestamp.as_second()).map_err(|_| Distrust::Impossible)?;
        Ok(Moment { timestamp, unix_s })
    }

    /// An acknowledgement of this moment is about to be given.
    pub(crate) fn acknowledged(&self, moment: Moment) {
        self.lock().guard.acknowledged(moment.timestamp);
    }

    /// An operator says that the clock is right now.
    fn confirm(&self) {
        self.lock().guard.confirm((self.read)());
        warn!("an operator confirmed the clock: earlier acknowledgements and jumps do not count any more");
        let _ = self.look();
    }

    fn look(&self) -> Result<Timestamp, Distrust> {
        let mut state = self.lock();
        // Read under the lock, or two threads could hand in their readings in the wrong order.
        let now = (self.read)();
        let looked = state.guard.look(now);
        let was = std::mem::replace(&mut state.distrust, looked.err());
        let offset = match looked {
            Err(Distrust::Behind { by, .. }) => -by,
            _ => state.guard.offset(now),
        };
        drop(state);
        self.offset.set(offset.as_secs_f64());
        match News::between(was, looked.err()) {
            Some(News::Distrusted(distrust)) => {
                self.trusted.set(0.0);
                error!("{distrust}");
            }
            Some(News::TrustedAgain) => {
                self.trusted.set(1.0);
                info!("the clock is trusted again, documents are answered");
            }
            None => {}
        }
        looked
    }

    /// A panic elsewhere leaves the state whole: nothing in here stops halfway.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TrustedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedClock").field("distrust", &self.lock().distrust).finish_non_exhaustive()
    }
}

fn read_clocks() -> Reading {
    let steady = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(steady.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(steady.tv_nsec).unwrap_or_default();
    Reading { wall: Timestamp::now(), steady: Duration::new(seconds, nanos) }
}

/// Time for time-outs and for stage costs.
pub(crate) fn monotonic_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;

    use super::*;

    /// A machine whose clocks a test sets.
    #[derive(Debug, Clone)]
    pub(crate) struct Machine(Arc<Mutex<Reading>>);

    impl Machine {
        /// The true time, standing still until it is moved.
        pub(crate) fn new() -> Self {
            Self(Arc::new(Mutex::new(read_clocks())))
        }

        pub(crate) fn clock(&self, newest: Option<Timestamp>) -> TrustedClock {
            let readings = Arc::clone(&self.0);
            TrustedClock::reading(Box::new(move || *readings.lock().unwrap()), newest)
        }

        pub(crate) fn wall(&self) -> Timestamp {
            self.0.lock().unwrap().wall
        }

        /// Sets the wall clock by so many seconds.
        pub(crate) fn set_by(&self, seconds: i64) {
            self.0.lock().unwrap().wall += SignedDuration::from_secs(seconds);
        }

        /// Lets time go by.
        pub(crate) fn pass(&self, seconds: u32) {
            let mut reading = self.0.lock().unwrap();
            reading.wall += SignedDuration::from_secs(seconds.into());
            reading.steady += Duration::from_secs(seconds.into());
        }
    }

    /// Value of a gauge after `work`.
    fn gauge_after(name: &str, work: impl FnOnce()) -> f64 {
        let recorder = crate::metrics::build_recorder().unwrap();
        metrics::with_local_recorder(&recorder, work);
        let text = recorder.handle().render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    }

    #[test]
    fn the_gauges_tell_trust_and_offset() {
        let check = |newest_s: Option<i64>, set_by: i64, trusted: &str, offset: &str| {
            let look = || {
                let machine = Machine::new();
                let newest = newest_s.map(|seconds| machine.wall() + SignedDuration::from_secs(seconds));
                let clock = machine.clock(newest);
                machine.set_by(set_by);
                let _ = clock.now();
            };
            assert_eq!(gauge_after("fiscald_clock_trusted", look).to_string(), trusted);
            assert_eq!(gauge_after("fiscald_clock_offset_seconds", look).to_string(), offset);
        };
        check(None, 0, "1", "0");
        check(None, 45, "1", "45");
        check(None, -3600, "0", "-3600");
        check(Some(90), 0, "0", "-90");
        check(Some(90), 60, "0", "-30");
    }

    #[test]
    fn acknowledgements_move_what_counts_as_behind() {
        let machine = Machine::new();
        let clock = machine.clock(None);
        let moment = clock.now().unwrap();
        assert_eq!(moment.timestamp, machine.wall());
        assert_eq!(i64::from(moment.unix_s), machine.wall().as_second());
        machine.set_by(-30);
        assert!(clock.now().is_ok(), "nothing was acknowledged yet");
        clock.acknowledged(moment);
        assert!(clock.distrust().unwrap().contains("30 s behind"));
        assert_eq!(clock.trusted_now(), None);
        machine.pass(30);
        assert_eq!(clock.distrust(), None);
        assert_eq!(clock.trusted_now(), Some(machine.wall()));
    }

    /// Waits until the keeper of a clock has seen what a test did.
    async fn until(what: &str, seen: impl Fn() -> bool) {
        let deadline = monotonic_now() + Duration::from_secs(20);
        while !seen() {
            assert!(monotonic_now() < deadline, "{what} was not seen in 20 s");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn only_a_new_confirmation_is_heard_and_silence_is_no_hiding_place() {
        let machine = Machine::new();
        let clock = Arc::new(machine.clock(None));
        let confirmation = |after_seq| Some(ClockConfirmation { confirmed_at: machine.wall(), after_seq });
        let (operator, heard) = watch::channel(confirmation(1));
        let stop = CancellationToken::new();
        let keeper = tokio::spawn({
            let (clock, stop) = (Arc::clone(&clock), stop.clone());
            async move { clock.keep(heard, stop).await }
        });
        machine.set_by(7200);
        // Nobody asks; the keeper looks by itself, and the confirmation of before does not count.
        until("the jump", || clock.lock().distrust.is_some()).await;
        assert!(clock.now().is_err());
        operator.send(confirmation(2)).unwrap();
        until("the confirmation", || clock.now().is_ok()).await;
        drop(operator);
        machine.set_by(-7200);
        until("the jump after the store has gone", || clock.lock().distrust.is_some()).await;
        stop.cancel();
        keeper.await.unwrap();
    }

    #[test]
    fn the_real_clocks_agree_with_each_other() {
        let clock = TrustedClock::new(None);
        assert!(clock.now().is_ok());
        let (before, after) = (read_clocks(), read_clocks());
        assert!(after.steady >= before.steady);
    }
}
