//! Sending captured bytes to an operator and reading what it answers.
//!
//! A file may hold any layer from a bare document to a whole session message ([`message`]); what is missing
//! around it is built. Nothing is signed here: a capture keeps the sign it has, and one without a sign gets
//! zeros, so an operator that insists on signs will stay silent.

pub(crate) mod answer;
pub(crate) mod message;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kkt_proto::header::{HEADER_LEN, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) use answer::Answered;
pub(crate) use message::{Message, Recognised};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// The operator closed the connection before the whole answer had come.
    #[error("no answer: the operator closed the connection")]
    Closed,
    /// The connection broke.
    #[error("no answer: {0}")]
    Broken(#[source] io::Error),
    /// Nothing, or not all of it, came in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// What came is not a message of this protocol, or not for this register.
    #[error("unreadable answer: {0}")]
    Malformed(String),
}

/// Sends one message on a connection of its own and reads the answer.
///
/// # Errors
/// [`NoAnswer`], once `patience` is over at the latest.
pub(crate) async fn send(
    message: &Message,
    to: SocketAddr,
    patience: Duration,
) -> Result<Answered, NoAnswer> {
    tokio::time::timeout(patience, exchange(message, to)).await.unwrap_or(Err(NoAnswer::Timeout(patience)))
}

async fn exchange(message: &Message, to: SocketAddr) -> Result<Answered, NoAnswer> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to).await.map_err(NoAnswer::Connect)?;
    // A failure here only costs latency.
    let _ = stream.set_nodelay(true);
    stream.write_all(message.bytes()).await.map_err(lost)?;
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).await.map_err(lost)?;
    let header = Header::decode(&head).map_err(|error| NoAnswer::Malformed(error.to_string()))?;
    let mut body = vec![0; usize::from(header.body_len)];
    stream.read_exact(&mut body).await.map_err(lost)?;
    answer::read(message.header(), header, &body, began.elapsed()).map_err(NoAnswer::Malformed)
}

fn lost(error: io::Error) -> NoAnswer {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => NoAnswer::Closed,
        _ => NoAnswer::Broken(error),
    }
}

#[cfg(test)]
mod tests;
