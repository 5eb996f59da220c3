//! The sockets: messages in, answers out.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::frame::{REPLY, cut};
use crate::writer::{Document, Documents};

/// Room that every read offers: a window of 16 receipts.
const READ_BYTES: usize = 16 * 1024;

/// Serves connections for ever.
pub(crate) async fn accept(listener: TcpListener, documents: Option<Documents>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, documents.clone()));
        }
    }
}

/// Serves one connection until it ends or something fails.
async fn serve(mut stream: TcpStream, documents: Option<Documents>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut received = BytesMut::with_capacity(READ_BYTES);
    let (mut waiting, mut replies) = (Vec::new(), Vec::new());
    loop {
        while let Some(frame) = cut(&mut received) {
            let Some(documents) = &documents else {
                replies.extend_from_slice(&REPLY);
                continue;
            };
            let (durable, wait) = oneshot::channel();
            documents.send(Document { frame, durable }).ok()?;
            waiting.push(wait);
        }
        for wait in waiting.drain(..) {
            wait.await.ok()?;
            replies.extend_from_slice(&REPLY);
        }
        if !replies.is_empty() {
            stream.write_all(&replies).await.ok()?;
            replies.clear();
        }
        received.reserve(READ_BYTES);
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
    }
}
