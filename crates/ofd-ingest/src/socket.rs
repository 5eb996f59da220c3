//! What connections of every port do with their sockets: read a chunk, write within a time, close without destroying what
//! was written.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes taken from a socket at once. One buffer per worker thread, none per connection.
const READ_CHUNK_BYTES: usize = 32 * 1024;

/// How long a closed connection still takes bytes and throws them away. Closing a socket with unread bytes makes the
/// system reset it, and a reset can destroy replies that are still on their way to the register.
const LINGER: Duration = Duration::from_secs(1);

/// Most bytes thrown away while lingering.
const LINGER_MAX_BYTES: usize = 256 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_CHUNK_BYTES].into_boxed_slice());
}

/// How a connection came to its end.
pub(crate) enum End {
    /// Everything that was to be said was said.
    Finished,
    /// The register does not take its replies.
    WriteTimeout,
    /// The connection broke.
    Broken(io::Error),
}

/// Hands what the socket has, at most one chunk, to `take`; no bytes are the end of the stream. Nothing happens when
/// there is nothing yet.
pub(crate) fn read_now(stream: &TcpStream, take: impl FnOnce(&[u8])) -> io::Result<()> {
    READ_BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
        Ok(count) => {
            take(buffer.get(..count).unwrap_or_default());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    })
}

/// Writes all of `bytes`, in one call where the socket takes it; a peer that does not take the rest in time has left.
/// `waits` is called when the socket does not take all at once.
pub(crate) async fn write_within(
    stream: &TcpStream,
    bytes: &[u8],
    limit: Duration,
    waits: impl FnOnce(),
) -> Result<(), End> {
    let count = write_now(stream, bytes).map_err(End::Broken)?;
    let rest = bytes.get(count..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(());
    }
    waits();
    // Boxed: it happens rarely, and would make every connection larger by the half.
    match Box::pin(timeout(limit, write_rest(stream, rest))).await {
        Ok(written) => written.map_err(End::Broken),
        Err(_) => Err(End::WriteTimeout),
    }
}

fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

pub(crate) async fn write_rest(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        let count = write_now(stream, bytes)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Says that no more replies come, then takes what the register still sends, for a short while.
pub(crate) async fn close_gently(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    // Whatever ends the waiting, the connection is closed after it.
    let _ = timeout(LINGER, throw_away(&stream)).await;
}

async fn throw_away(stream: &TcpStream) -> io::Result<()> {
    let mut left = LINGER_MAX_BYTES;
    while left > 0 {
        stream.readable().await?;
        match READ_BUFFER.with_borrow_mut(|buffer| stream.try_read(buffer)) {
            Ok(0) => return Ok(()),
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
