//! A thread that owns a connection to the store: the store blocks, the runtime must not.
//!
//! Opens the connection when it is first needed, and anew after a failure. Works off one call after another, in their order.

use std::sync::Arc;

use ofd_store::{StoreError, Unavailability};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::error::FnsError;

/// Calls that may wait; callers wait for their turn beyond.
const QUEUE: usize = 16;

type Work<T> = Box<dyn FnOnce(&mut Held<T>) + Send>;

/// How a connection is opened.
pub(crate) type Open<T> = Arc<dyn Fn() -> Result<T, StoreError> + Send + Sync>;

struct Held<T> {
    connection: Option<T>,
    open: Open<T>,
}

/// The way to the thread. The thread ends when the last one is dropped.
pub(crate) struct StoreThread<T> {
    queue: mpsc::Sender<Work<T>>,
}

impl<T> Clone for StoreThread<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + 'static> StoreThread<T> {
    /// Starts the thread with an open connection; `open` makes another one after a failure.
    ///
    /// # Errors
    /// [`FnsError::Thread`].
    pub(crate) fn start(
        name: &'static str,
        connection: T,
        open: Open<T>,
    ) -> Result<(Self, std::thread::JoinHandle<()>), FnsError> {
        let (queue, mut works) = mpsc::channel::<Work<T>>(QUEUE);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut held = Held { connection: Some(connection), open };
                while let Some(work) = works.blocking_recv() {
                    work(&mut held);
                }
            })
            .map_err(|error| FnsError::Thread { name, reason: error.to_string() })?;
        Ok((Self { queue }, thread))
    }

    /// Whether the thread is gone: a call broke down.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Runs `work` on the thread. Once it began it runs to its end, whether or not the answer is waited for.
    ///
    /// # Errors
    /// What `work` says, or why there is no connection. After an error the connection is made anew, but for those that say
    /// nothing against it.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work<T> = Box::new(move |held| {
            // The caller may have gone.
            let _ = reply.send(held.run(work));
        });
        let closed = || StoreError::Unavailable {
            why: Unavailability::Closed,
            detail: "the thread of the store has ended".to_owned(),
        };
        self.queue.send(work).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl<T> Held<T> {
    fn run<R>(&mut self, work: impl FnOnce(&mut T) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => (self.open)()?,
        };
        let result = work(&mut connection);
        let keep = match &result {
            Ok(_) | Err(StoreError::Refused { .. }) => true,
            Err(StoreError::Unavailable { why, .. }) => *why == Unavailability::Busy,
            Err(_) => false,
        };
        if keep {
            self.connection = Some(connection);
        } else {
            debug!("the connection to the store is made anew");
        }
        result
    }
}
