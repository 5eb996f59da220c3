//! Looks at the register facts that somebody asks for, between those that the watcher takes by its clock.
//!
//! Of several nodes on one database each hears of a register that another let in at its next look. Its next document may
//! come first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

use tokio::sync::watch;

/// Counts the looks, and wakes the thread that takes them.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    begun: AtomicU64,
    /// Number of a look that somebody waits for.
    wanted: AtomicU64,
    /// Number of the newest look that is over, however it ended.
    ended: watch::Sender<u64>,
    thread: OnceLock<Thread>,
}

impl Looks {
    /// From now on this thread looks when [`Self::are_asked_for`] says so; it is unparked then.
    pub(crate) fn are_taken_by(&self, thread: Thread) {
        // Set once: there is one watcher for the life of the facts.
        let _ = self.thread.set(thread);
    }

    /// Whether somebody looks when asked.
    pub(crate) fn can_be_asked_for(&self) -> bool {
        self.thread.get().is_some()
    }

    /// Whether somebody waits for a look that has not begun. To be asked before parking: whatever is done in a look may
    /// use up an unpark that came meanwhile.
    pub(crate) fn are_asked_for(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > self.begun.load(Ordering::SeqCst)
    }

    /// Takes a look, for all who asked before.
    pub(crate) fn take<T>(&self, look: impl FnOnce() -> T) -> T {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let seen = look();
        self.ended.send_replace(number);
        seen
    }

    /// Waits for the end of a look that begins from now on. One that is under way may have passed over what was committed
    /// meanwhile.
    ///
    /// Cancellation-safe. Without a thread that can be asked it returns at once; when that thread ends, never.
    pub(crate) async fn another(&self) {
        let Some(thread) = self.thread.get() else { return };
        let mut ended = self.ended.subscribe();
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        self.wanted.fetch_max(wanted, Ordering::SeqCst);
        thread.unpark();
        // The sender lives as long as this.
        let _ = ended.wait_for(|newest| *newest >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn nobody_to_ask_is_no_wait() {
        let looks = Looks::default();
        assert!(!looks.can_be_asked_for());
        looks.another().await;
    }

    #[tokio::test]
    async fn a_look_under_way_is_not_enough() {
        let looks = Arc::new(Looks::default());
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let own = Arc::clone(&looks);
        let taker = std::thread::spawn(move || {
            for number in [1, 2] {
                // The second one only when it is asked for.
                while number == 2 && !own.are_asked_for() {
                    std::thread::park();
                }
                own.take(|| {
                    tell.send(number).unwrap();
                    may_go_on.recv().unwrap();
                });
            }
        });
        assert_eq!(told.recv().unwrap(), 1);
        looks.are_taken_by(taker.thread().clone());
        let asked = tokio::spawn({
            let looks = Arc::clone(&looks);
            async move { looks.another().await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        go_on.send(()).unwrap();
        tokio::task::spawn_blocking(move || assert_eq!(told.recv().unwrap(), 2)).await.unwrap();
        assert!(!asked.is_finished(), "the first look began before it was asked for");
        go_on.send(()).unwrap();
        asked.await.unwrap();
        taker.join().unwrap();
    }
}
