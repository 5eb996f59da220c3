//! Opening a connection and keeping it going.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::session::Health;
use super::wait::sockets;
use super::{Error, Result};

/// Connects, however many hosts that takes, and lets the connection run by itself.
pub(super) fn connect(url: &str, patience: Duration) -> Result<(Client, Arc<Health>, AbortHandle)> {
    let sockets = sockets().map_err(Error::Lost)?;
    let (send, receive) = mpsc::sync_channel(1);
    let url = url.to_owned();
    let attempt = sockets.spawn(async move {
        let made = tokio_postgres::connect(&url, NoTls).await;
        // Nobody may be waiting any more; then the client is dropped, and with it the connection.
        let _ = send.send(made);
    });
    match receive.recv_timeout(patience) {
        Ok(made) => {
            let (client, connection) = made?;
            let health = Arc::<Health>::default();
            let driver = sockets.spawn(drive(connection, Arc::clone(&health))).abort_handle();
            Ok((client, health, driver))
        }
        Err(_) => {
            attempt.abort();
            Err(Error::Lost("no connection in time".to_owned()))
        }
    }
}

/// Until the client is dropped or the connection ends.
pub(super) async fn drive<S, T>(mut connection: Connection<S, T>, health: Arc<Health>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // Whatever language the server tells it in: this is where it gives up waiting for a standby.
                if notice.routine() == Some("SyncRepWaitForLSN") {
                    health.unsafe_commit.store(true, Ordering::SeqCst);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let words = super::error::in_words(&error);
                *health.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
                return;
            }
            None => return,
        }
    }
}
