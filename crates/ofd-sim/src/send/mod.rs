//! Sending captured bytes to an operator and reading what it answers.
//!
//! A file may hold any layer from a bare document to a whole session message ([`message`]); what is missing
//! around it is built. Nothing is signed here: a capture keeps the sign it has, and one without a sign gets
//! zeros, so an operator that insists on signs will stay silent.

pub mod answer;
pub mod message;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kkt_proto::header::{HEADER_LEN, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use answer::Answered;
pub use message::{Message, Recognised, Unsendable};

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// No connection.
    Connect(io::Error),
    /// The operator closed the connection, or it broke; with how many bytes of an answer.
    Closed(io::Error),
    /// Nothing, or not all of it, came in time.
    Timeout(Duration),
    /// What came is not a message of this protocol, or not for this register.
    Malformed(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(out, "no connection: {error}"),
            Self::Closed(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                out.write_str("no answer: the operator closed the connection")
            }
            Self::Closed(error) => write!(out, "no answer: {error}"),
            Self::Timeout(time) => write!(out, "no answer within {} s", time.as_secs_f64()),
            Self::Malformed(problem) => write!(out, "unreadable answer: {problem}"),
        }
    }
}

impl std::error::Error for NoAnswer {}

/// Sends one message on a connection of its own and reads the answer.
///
/// # Errors
/// [`NoAnswer`], once `patience` is over at the latest.
pub async fn send(message: &Message, to: SocketAddr, patience: Duration) -> Result<Answered, NoAnswer> {
    tokio::time::timeout(patience, exchange(message, to)).await.unwrap_or(Err(NoAnswer::Timeout(patience)))
}

async fn exchange(message: &Message, to: SocketAddr) -> Result<Answered, NoAnswer> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(to).await.map_err(NoAnswer::Connect)?;
    // A failure here only costs latency.
    let _ = stream.set_nodelay(true);
    stream.write_all(message.bytes()).await.map_err(NoAnswer::Closed)?;
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).await.map_err(NoAnswer::Closed)?;
    let header = Header::decode(&head).map_err(|error| NoAnswer::Malformed(error.to_string()))?;
    let mut body = vec![0; usize::from(header.body_len)];
    stream.read_exact(&mut body).await.map_err(NoAnswer::Closed)?;
    answer::read(message.header(), header, &body, began.elapsed()).map_err(NoAnswer::Malformed)
}

#[cfg(test)]
mod tests;
