//! The order of each storage over all connections: who must wait until so many of its messages are done with.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::oneshot;

/// One gate for each storage of a plan.
#[derive(Debug)]
pub(super) struct Gates(Vec<Mutex<Gate>>);

#[derive(Debug, Default)]
struct Gate {
    finished: usize,
    /// Who waits for which count.
    waiting: BTreeMap<usize, Vec<oneshot::Sender<()>>>,
}

impl Gates {
    pub(super) fn new(storages: usize) -> Self {
        Self((0..storages).map(|_| Mutex::default()).collect())
    }

    /// One more message of the storage is answered, or never will be.
    pub(super) fn finish(&self, storage: usize) {
        let Some(Ok(mut gate)) = self.0.get(storage).map(Mutex::lock) else { return };
        gate.finished += 1;
        let later = gate.finished + 1;
        let rest = gate.waiting.split_off(&later);
        for waiter in std::mem::replace(&mut gate.waiting, rest).into_values().flatten() {
            // One that no longer waits needs no news.
            let _ = waiter.send(());
        }
    }

    /// Whether so many messages of the storage are done with.
    pub(super) fn is_open(&self, storage: usize, after: usize) -> bool {
        after == 0
            || self.0.get(storage).is_none_or(|gate| gate.lock().is_ok_and(|gate| gate.finished >= after))
    }

    /// Waits until so many messages of the storage are done with. Cancellation-safe.
    pub(super) async fn opened(&self, storage: usize, after: usize) {
        let receiver = {
            let Some(Ok(mut gate)) = self.0.get(storage).map(Mutex::lock) else { return };
            if gate.finished >= after {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            gate.waiting.entry(after).or_default().push(sender);
            receiver
        };
        // The sender lives as long as the gate.
        let _ = receiver.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_opens_at_its_count() {
        let gates = Gates::new(2);
        assert!(gates.is_open(0, 0) && !gates.is_open(0, 2));
        let waiting = gates.opened(0, 2);
        tokio::pin!(waiting);
        gates.finish(0);
        gates.finish(1);
        assert!(futures_pending(waiting.as_mut()).await);
        gates.finish(0);
        waiting.await;
        assert!(gates.is_open(0, 2));
        gates.opened(0, 1).await;
        gates.opened(7, 1).await;
    }

    async fn futures_pending(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        tokio::select! {
            biased;
            () = future => false,
            () = std::future::ready(()) => true,
        }
    }
}
