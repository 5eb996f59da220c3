//! Waiting for PostgreSQL in a thread that is to wait: a writer's own one, one of a pool, or one that tokio runs tasks in.
//!
//! The sockets are served by a runtime of their own; a caller sleeps until its answer is there. So it does not matter
//! where it sleeps, and a thread of tokio is blocked no worse than by a read of the disk.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};

/// Wakes a sleeping thread.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The runtime that serves the sockets of all sessions, or why there is none.
pub(crate) fn sockets() -> Result<&'static Handle, String> {
    static SOCKETS: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = SOCKETS.get_or_init(|| {
        let built =
            Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build();
        built.map_err(|error| error.to_string())
    });
    made.as_ref().map(Runtime::handle).map_err(Clone::clone)
}

/// Sleeps until the future is done; none when that took longer than `patience`.
pub(crate) fn wait<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    // Without a budget: where a task of tokio blocks, it would be used up for ever.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Sleeper(thread::current())));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now() + patience;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> impl Future<Output = u8> {
        let (send, receive) = tokio::sync::oneshot::channel();
        sockets().unwrap().spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            send.send(7_u8).unwrap();
        });
        async { receive.await.unwrap() }
    }

    #[test]
    fn waits_in_a_thread_and_gives_up_in_time() {
        assert_eq!(wait(answer(), Duration::from_secs(60)), Some(7));
        assert_eq!(wait(std::future::pending::<()>(), Duration::from_millis(1)), None);
        assert_eq!(wait(std::future::ready(1), Duration::ZERO), Some(1));
    }

    #[tokio::test]
    async fn waits_inside_of_a_task() {
        for _ in 0..300 {
            assert_eq!(wait(answer(), Duration::from_secs(60)), Some(7));
        }
    }
}
