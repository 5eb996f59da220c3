//! Taking turns at the database within one process.
//!
//! SQLite has one writer at a time and no queue: who finds the lock taken sleeps and asks again, so that of two
//! busy writers one may starve, and both sleep through moments in which the lock is free. Writers of one process
//! therefore first take a turn here, in the order in which they came; the database's own lock is then free, but
//! for other processes. Nobody waits long for those while he has a turn.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
}

/// The right to write. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t>(&'t Gate);

impl Turnstile {
    /// Waits for a turn.
    pub(crate) fn enter(&self) -> Turn<'_> {
        let gate = &*self.0;
        let mut line = gate.line();
        let mine = line.next;
        line.next = line.next.wrapping_add(1);
        while line.serving != mine {
            line = gate.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(gate)
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
    /// Nothing is done under the lock that could leave a line half moved.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.serving = line.serving.wrapping_add(1);
        drop(line);
        self.0.moved.notify_all();
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
    fn trouble_is_told_once() {
        let turnstile = Turnstile::default();
        assert_eq!(turnstile.take_trouble(), None);
        turnstile.report_trouble("first");
        turnstile.clone().report_trouble("second");
        assert_eq!(turnstile.take_trouble().as_deref(), Some("first"));
        assert_eq!(turnstile.take_trouble(), None);
    }
}
