//! Whether anything may be sent now: the circuit breaker, a certificate that is refused, a pause the service asked for.
//!
//! Pure: moments are arguments.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;

/// Calls over which the share of failures is counted.
const WINDOW_CALLS: usize = 20;

/// Settings of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GateSettings {
    /// Failures in a row that open the breaker.
    pub(crate) failures: u32,
    /// First pause.
    pub(crate) open: Duration,
    /// Longest pause.
    pub(crate) open_max: Duration,
    /// Between two probes after a refused certificate.
    pub(crate) probe: Duration,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Anything.
    Free,
    /// One batch of one document.
    Probe,
    /// Nothing before that moment; nothing at all before an answer comes, if there is none.
    Closed(Option<Moment>),
}

/// What an answer says about the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The service works, whatever it thinks of the content.
    Alive,
    /// No answer, or one of a service in trouble.
    Down,
    /// It does not take us: certificate, address.
    Barred,
}

/// State of the breaker, for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

/// What changed by an answer; worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The breaker opened, for so long.
    Opened(Duration),
    /// It closed: the service is back.
    Closed,
    /// All sending is stopped.
    Barred,
    /// The service takes us again.
    Admitted,
}

/// The gate.
#[derive(Debug)]
pub(crate) struct Gate {
    settings: GateSettings,
    in_a_row: u32,
    /// True for failures, newest last.
    window: VecDeque<bool>,
    /// Open until, with the pause that was taken.
    open: Option<(Moment, Duration)>,
    /// Barred; next probe at.
    barred: Option<Moment>,
    /// A probe is under way.
    probing: bool,
    /// A pause that the service asked for.
    held_until: Moment,
}

impl Gate {
    pub(crate) fn new(settings: GateSettings) -> Self {
        Self {
            settings,
            in_a_row: 0,
            window: VecDeque::with_capacity(WINDOW_CALLS),
            open: None,
            barred: None,
            probing: false,
            held_until: Moment::ZERO,
        }
    }

    /// What may be sent now.
    pub(crate) fn permit(&self, now: Moment) -> Permit {
        let closed_until = [self.open.map(|(until, _)| until), self.barred].into_iter().flatten().max();
        let until = closed_until.unwrap_or_default().max(self.held_until);
        match (now < until, closed_until.is_some(), self.probing) {
            (_, true, true) => Permit::Closed(None),
            (true, _, _) => Permit::Closed(Some(until)),
            (false, true, false) => Permit::Probe,
            (false, false, _) => Permit::Free,
        }
    }

    /// A probe leaves.
    pub(crate) fn probe_begins(&mut self) {
        self.probing = true;
    }

    /// A probe was called off before it was answered.
    pub(crate) fn probe_called_off(&mut self) {
        self.probing = false;
    }

    /// An answer came; `probe` when it is that of the probe. A pause that the service asked for holds for all.
    pub(crate) fn answered(
        &mut self,
        sign: Sign,
        probe: bool,
        retry_after: Option<Duration>,
        now: Moment,
    ) -> Option<Turn> {
        if let Some(pause) = retry_after {
            self.held_until = self.held_until.max(now.saturating_add(pause));
        }
        if probe {
            self.probing = false;
        }
        match sign {
            Sign::Alive => self.alive(probe),
            Sign::Down => self.down(probe, now),
            Sign::Barred => {
                let first = self.barred.is_none();
                self.barred = Some(now.saturating_add(self.settings.probe));
                // The breaker has its answer: somebody is there.
                self.open = None;
                self.reset();
                first.then_some(Turn::Barred)
            }
        }
    }

    /// The certificates were read anew: worth a probe at once.
    pub(crate) fn reloaded(&mut self, now: Moment) {
        if let Some(next) = &mut self.barred {
            *next = now;
        }
        // A service that trusts our old certificate no more may have hung up without a word.
        if let Some((until, _)) = &mut self.open {
            *until = now;
        }
    }

    /// For metrics: what the breaker shows. Barred counts as open.
    pub(crate) fn state(&self, now: Moment) -> BreakerState {
        match (self.permit(now), self.open.is_some() || self.barred.is_some()) {
            (_, false) => BreakerState::Closed,
            (Permit::Probe, true) => BreakerState::HalfOpen,
            (_, true) if self.probing => BreakerState::HalfOpen,
            (_, true) => BreakerState::Open,
        }
    }

    /// Whether sending is stopped because the service does not take us.
    #[cfg(test)]
    pub(crate) fn is_barred(&self) -> bool {
        self.barred.is_some()
    }

    fn alive(&mut self, probe: bool) -> Option<Turn> {
        if probe || (self.open.is_none() && self.barred.is_none()) {
            self.note(false);
            self.in_a_row = 0;
        }
        // Answers to what left before it opened say nothing about now.
        if !probe {
            return None;
        }
        let (was_barred, was_open) = (self.barred.take().is_some(), self.open.take().is_some());
        self.reset();
        match (was_barred, was_open) {
            (true, _) => Some(Turn::Admitted),
            (_, true) => Some(Turn::Closed),
            _ => None,
        }
    }

    fn down(&mut self, probe: bool, now: Moment) -> Option<Turn> {
        if let Some((_, pause)) = self.open {
            if !probe {
                return None;
            }
            return Some(self.open_for(pause.saturating_mul(2).min(self.settings.open_max), now));
        }
        if let Some(next) = &mut self.barred {
            if probe {
                *next = now.saturating_add(self.settings.probe);
            }
            return None;
        }
        self.note(true);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let failed = self.window.iter().filter(|failed| **failed).count();
        let mostly = self.window.len() == WINDOW_CALLS && failed * 2 >= WINDOW_CALLS;
        if self.in_a_row >= self.settings.failures || mostly {
            return Some(self.open_for(self.settings.open, now));
        }
        None
    }

    fn open_for(&mut self, pause: Duration, now: Moment) -> Turn {
        self.open = Some((now.saturating_add(pause), pause));
        self.reset();
        Turn::Opened(pause)
    }

    fn note(&mut self, failed: bool) {
        if self.window.len() == WINDOW_CALLS {
            self.window.pop_front();
        }
        self.window.push_back(failed);
    }

    fn reset(&mut self) {
        self.in_a_row = 0;
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: GateSettings = GateSettings {
        failures: 5,
        open: Duration::from_secs(30),
        open_max: Duration::from_secs(100),
        probe: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn fail(gate: &mut Gate, times: usize, now: Moment) -> Option<Turn> {
        (0..times).map(|_| gate.answered(Sign::Down, false, None, now)).last().flatten()
    }

    fn probe(gate: &mut Gate, sign: Sign, now: Moment) -> Option<Turn> {
        assert_eq!(gate.permit(now), Permit::Probe);
        gate.probe_begins();
        assert_eq!(gate.permit(now), Permit::Closed(None));
        gate.answered(sign, true, None, now)
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let mut gate = Gate::new(SETTINGS);
        assert_eq!(fail(&mut gate, 4, at(0)), None);
        assert_eq!(gate.answered(Sign::Alive, false, None, at(0)), None);
        assert_eq!(fail(&mut gate, 4, at(0)), None);
        assert_eq!(gate.permit(at(0)), Permit::Free);
        assert_eq!(fail(&mut gate, 1, at(0)), Some(Turn::Opened(at(30))));
        assert_eq!(gate.permit(at(29)), Permit::Closed(Some(at(30))));
        assert_eq!(gate.state(at(29)), BreakerState::Open);
        assert_eq!(gate.permit(at(30)), Permit::Probe);
        assert_eq!(gate.state(at(30)), BreakerState::HalfOpen);
    }

    #[test]
    fn half_of_the_last_twenty_open_it() {
        let mut gate = Gate::new(SETTINGS);
        for round in 0..9 {
            assert_eq!(fail(&mut gate, 1, at(0)), None, "{round}");
            gate.answered(Sign::Alive, false, None, at(0));
        }
        assert_eq!(fail(&mut gate, 1, at(0)), None, "nineteen calls are not enough");
        gate.answered(Sign::Alive, false, None, at(0));
        assert_eq!(fail(&mut gate, 1, at(0)), Some(Turn::Opened(at(30))));
    }

    #[test]
    fn less_than_half_leave_it_closed() {
        let mut gate = Gate::new(SETTINGS);
        for round in 0..100 {
            assert_eq!(fail(&mut gate, 1, at(0)), None, "{round}");
            gate.answered(Sign::Alive, false, None, at(0));
            gate.answered(Sign::Alive, false, None, at(0));
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut gate = Gate::new(SETTINGS);
        fail(&mut gate, 5, at(0));
        assert_eq!(probe(&mut gate, Sign::Down, at(30)), Some(Turn::Opened(at(60))));
        assert_eq!(gate.permit(at(89)), Permit::Closed(Some(at(90))));
        assert_eq!(probe(&mut gate, Sign::Down, at(90)), Some(Turn::Opened(at(100))));
        assert_eq!(probe(&mut gate, Sign::Down, at(190)), Some(Turn::Opened(at(100))));
        assert_eq!(probe(&mut gate, Sign::Alive, at(290)), Some(Turn::Closed));
        assert_eq!(gate.permit(at(290)), Permit::Free);
        assert_eq!(gate.state(at(290)), BreakerState::Closed);
        assert_eq!(fail(&mut gate, 5, at(291)), Some(Turn::Opened(at(30))));
    }

    #[test]
    fn late_answers_change_nothing_while_it_is_open() {
        let mut gate = Gate::new(SETTINGS);
        fail(&mut gate, 5, at(0));
        assert_eq!(fail(&mut gate, 3, at(1)), None);
        assert_eq!(gate.answered(Sign::Alive, false, None, at(1)), None);
        assert_eq!(gate.permit(at(1)), Permit::Closed(Some(at(30))));
    }

    #[test]
    fn a_probe_called_off_may_be_made_again() {
        let mut gate = Gate::new(SETTINGS);
        fail(&mut gate, 5, at(0));
        gate.probe_begins();
        gate.probe_called_off();
        assert_eq!(gate.permit(at(30)), Permit::Probe);
    }

    #[test]
    fn a_refused_certificate_stops_all_and_is_probed() {
        let mut gate = Gate::new(SETTINGS);
        assert_eq!(gate.answered(Sign::Barred, false, None, at(0)), Some(Turn::Barred));
        assert_eq!(gate.answered(Sign::Barred, false, None, at(1)), None, "said once");
        assert!(gate.is_barred());
        assert_eq!(gate.permit(at(60)), Permit::Closed(Some(at(61))));
        assert_eq!(probe(&mut gate, Sign::Barred, at(61)), None);
        assert_eq!(probe(&mut gate, Sign::Down, at(121)), None);
        assert_eq!(gate.permit(at(122)), Permit::Closed(Some(at(181))));
        gate.reloaded(at(130));
        assert_eq!(probe(&mut gate, Sign::Alive, at(130)), Some(Turn::Admitted));
        assert_eq!(gate.permit(at(130)), Permit::Free);
    }

    #[test]
    fn new_certificates_are_tried_at_once_while_it_is_open() {
        let mut gate = Gate::new(SETTINGS);
        fail(&mut gate, 5, at(0));
        assert_eq!(probe(&mut gate, Sign::Down, at(30)), Some(Turn::Opened(at(60))));
        gate.reloaded(at(40));
        assert_eq!(probe(&mut gate, Sign::Down, at(40)), Some(Turn::Opened(at(100))), "no shorter for it");
        gate.reloaded(at(50));
        assert_eq!(probe(&mut gate, Sign::Alive, at(50)), Some(Turn::Closed));
        gate.reloaded(at(60));
        assert_eq!(gate.permit(at(60)), Permit::Free);
    }

    #[test]
    fn a_pause_that_the_service_asked_for_holds_for_all() {
        let mut gate = Gate::new(SETTINGS);
        gate.answered(Sign::Alive, false, Some(at(10)), at(5));
        gate.answered(Sign::Alive, false, Some(at(2)), at(5));
        assert_eq!(gate.permit(at(14)), Permit::Closed(Some(at(15))));
        assert_eq!(gate.state(at(14)), BreakerState::Closed);
        assert_eq!(gate.permit(at(15)), Permit::Free);
    }
}
