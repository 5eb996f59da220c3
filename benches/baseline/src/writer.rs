//! Group commit: one thread takes what is queued, makes it durable in one go, releases the answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

/// Most documents of a batch.
const BATCH_MAX: usize = 512;

/// A message that waits for its answer.
pub(crate) struct Document {
    /// The message as it came.
    pub(crate) frame: Bytes,
    /// Told when it is durable.
    pub(crate) durable: oneshot::Sender<()>,
}

/// Where connections hand documents in.
pub(crate) type Documents = Sender<Document>;

/// What makes documents durable.
pub(crate) trait Store: Send + 'static {
    /// Returns when all of them are durable.
    fn commit(&mut self, batch: &[Document]) -> anyhow::Result<()>;
}

/// Starts the writing thread. A store that fails ends the process: an answer would be a lie.
pub(crate) fn start(store: impl Store) -> anyhow::Result<Documents> {
    let (documents, queue) = channel();
    thread::Builder::new().name("writer".to_owned()).spawn(move || {
        if let Err(error) = write(store, &queue) {
            // The process is of no use any more, and its last words are for whoever started it.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("baseline: {error:#}\n"));
            std::process::exit(1);
        }
    })?;
    Ok(documents)
}

/// No lingering: while one commit is under way the next batch forms by itself.
fn write(mut store: impl Store, queue: &Receiver<Document>) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(BATCH_MAX - 1));
        store.commit(&batch)?;
        for document in batch.drain(..) {
            // A register that has gone needs no answer.
            let _ = document.durable.send(());
        }
    }
    Ok(())
}
