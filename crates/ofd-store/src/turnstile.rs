//! Taking turns at the database within one process.
//!
//! SQLite has one writer at a time and no queue: who finds the lock taken sleeps and asks again, so that of two
//! busy writers one may starve, and both sleep through moments in which the lock is free. Writers of one process
//! therefore first take a turn here, in the order in which they came; the database's own lock is then free, but
//! for other processes. Nobody waits long for those while he has a turn.
//!
//! Registers wait for the journal, nobody waits for the others: while the journal is at work, they have the database for
//! a sixteenth of the time at most.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many times as long as it had its turn a modest writer stays away while the journal is at work.
const MODESTY: u32 = 15;
/// The longest it stays away.
const LONGEST_ABSENCE: Duration = Duration::from_secs(2);
/// So long after its newest turn the journal counts as at work.
const AT_WORK: Duration = Duration::from_millis(50);

/// A fair lock, shared by all its clones: turns are given in the order in which they were asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turnstile(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    /// The number that the next one to come gets.
    next: u64,
    /// Whose turn it is, if anybody has come.
    serving: u64,
    /// A sync of somebody failed: what the log shows may not be on the disk.
    trouble: Option<String>,
    /// When the journal had its newest turn.
    journal_at: Option<Instant>,
    /// Until when modest writers stay away from a journal at work.
    modest_until: Option<Instant>,
}

/// The right to write. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    gate: &'t Gate,
    /// Since when, of a modest writer.
    modest_since: Option<Instant>,
}

impl Turnstile {
    /// Waits for a turn of the journal.
    pub(crate) fn enter(&self) -> Turn<'_> {
        let gate = &*self.0;
        gate.wait_in(gate.line());
        Turn { gate, modest_since: None }
    }

    /// Waits for a turn of a writer that nobody waits for.
    pub(crate) fn enter_modestly(&self) -> Turn<'_> {
        let gate = &*self.0;
        let mut line = gate.line();
        while let Some(absence) = line.absence(Instant::now()) {
            line = gate
                .moved
                .wait_timeout(line, absence)
                .map_or_else(|lost| lost.into_inner().0, |(line, _)| line);
        }
        gate.wait_in(line);
        Turn { gate, modest_since: Some(Instant::now()) }
    }

    /// Tells the others that a sync failed.
    pub(crate) fn report_trouble(&self, what: &str) {
        self.0.line().trouble.get_or_insert_with(|| what.to_owned());
    }

    /// The trouble of another writer; told once.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.0.line().trouble.take()
    }

    /// How many have a turn or wait for one.
    #[cfg(test)]
    pub(crate) fn in_line(&self) -> u64 {
        let line = self.0.line();
        line.next.wrapping_sub(line.serving)
    }
}

impl Gate {
    /// Takes the next number and waits until it is called.
    fn wait_in(&self, mut line: MutexGuard<'_, Line>) {
        let mine = line.next;
        line.next = line.next.wrapping_add(1);
        while line.serving != mine {
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is done under the lock that could leave a line half moved.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// How long a modest writer has to stay away still.
    fn absence(&self, now: Instant) -> Option<Duration> {
        let journal_idle_at = self.journal_at? + AT_WORK;
        let until = self.modest_until?.min(journal_idle_at);
        until.checked_duration_since(now).filter(|absence| !absence.is_zero())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut line = self.gate.line();
        match self.modest_since {
            Some(since) => {
                let absence = now.saturating_duration_since(since).saturating_mul(MODESTY);
                line.modest_until = Some(now + absence.min(LONGEST_ABSENCE));
            }
            None => line.journal_at = Some(now),
        }
        line.serving = line.serving.wrapping_add(1);
        // A modest writer that stays away looks again by itself.
        let is_awaited = line.serving != line.next;
        drop(line);
        if is_awaited {
            self.gate.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    fn wait_for_line(turnstile: &Turnstile, length: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while turnstile.in_line() < length {
            assert!(Instant::now() < deadline, "nobody came");
            std::thread::yield_now();
        }
    }

    #[test]
    fn turns_are_given_in_the_order_of_coming() {
        let turnstile = Turnstile::default();
        let (told, order) = mpsc::channel();
        let first = turnstile.enter();
        let threads: Vec<_> = (2..10_u64)
            .map(|number| {
                let (turnstile, told) = (turnstile.clone(), told.clone());
                let thread = {
                    let turnstile = turnstile.clone();
                    std::thread::spawn(move || {
                        let _turn = turnstile.enter();
                        told.send(number).unwrap();
                    })
                };
                wait_for_line(&turnstile, number);
                thread
            })
            .collect();
        drop(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(told);
        assert_eq!(order.iter().collect::<Vec<_>>(), (2..10).collect::<Vec<_>>());
        assert_eq!(turnstile.in_line(), 0);
    }

    #[test]
    fn nobody_gets_two_turns_while_another_waits() {
        let turnstile = Turnstile::default();
        let turns = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for name in ["greedy", "modest"] {
                let (turnstile, turns) = (&turnstile, &turns);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let _turn = turnstile.enter();
                        turns.lock().unwrap().push(name);
                        // Both are at it: whoever has the turn lets it go only when the other waits, or is done.
                        let deadline = Instant::now() + Duration::from_secs(10);
                        while turnstile.in_line() < 2 && Instant::now() < deadline {
                            let counted = turns.lock().unwrap();
                            if counted.iter().filter(|other| **other != name).count() == 50 {
                                break;
                            }
                            drop(counted);
                            std::thread::yield_now();
                        }
                    }
                });
            }
        });
        let turns = turns.into_inner().unwrap();
        assert_eq!(turns.len(), 100);
        assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
    }

    #[test]
    fn a_modest_writer_stays_away_from_a_journal_at_work_and_from_nobody_else() {
        let now = Instant::now();
        let ms = Duration::from_millis;
        let check =
            |journal_at: Option<Duration>, modest_until: Option<Duration>, expected: Option<Duration>| {
                let line = Line {
                    journal_at: journal_at.map(|ago| now - ago),
                    modest_until: modest_until.map(|later| now + later),
                    ..Line::default()
                };
                assert_eq!(line.absence(now), expected, "{journal_at:?} {modest_until:?}");
            };
        check(None, Some(ms(300)), None);
        check(Some(ms(10)), None, None);
        check(Some(ms(10)), Some(ms(30)), Some(ms(30)));
        // It may be idle by then: looked at again at once.
        check(Some(ms(10)), Some(ms(300)), Some(ms(40)));
        check(Some(ms(50)), Some(ms(300)), None);
        check(Some(ms(10)), Some(ms(0)), None);
    }

    #[test]
    fn the_absence_follows_from_the_turn() {
        let turnstile = Turnstile::default();
        let turn = turnstile.enter_modestly();
        let held_from = Instant::now();
        wait_for_line(&turnstile, 1);
        std::thread::sleep(Duration::from_millis(2));
        drop(turn);
        let until = turnstile.0.line().modest_until.unwrap();
        assert!(
            until >= held_from + Duration::from_millis(2) * (MODESTY + 1),
            "its turn, and its absence after it"
        );
        assert!(until <= Instant::now() + LONGEST_ABSENCE);
        assert!(turnstile.0.line().journal_at.is_none());
        drop(turnstile.enter());
        assert!(turnstile.0.line().journal_at.is_some());
    }

    #[test]
    fn trouble_is_told_once() {
        let turnstile = Turnstile::default();
        assert_eq!(turnstile.take_trouble(), None);
        turnstile.report_trouble("first");
        turnstile.clone().report_trouble("second");
        assert_eq!(turnstile.take_trouble().as_deref(), Some("first"));
        assert_eq!(turnstile.take_trouble(), None);
    }
}
