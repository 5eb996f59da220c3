//! One header of the PROXY protocol, version 2, read from whatever pieces it comes in, and not a byte beyond it.
//!
//! Without a socket and without a clock. It stands alone, so that the fuzzer has it without the rest of the crate.

use std::fmt;
use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX, ParseError, Protocol};

/// Prefix, version and command, family, length: what every header begins with.
pub(crate) const FIXED_BYTES: usize = 16;

/// Longest header that is read. The addresses of two sockets and every extension of the balancers that are in use fit
/// many times; a length of 65,535 is nobody's.
pub(crate) const MAX_HEADER_BYTES: usize = 2048;

/// A header on its way.
#[derive(Debug)]
pub(crate) struct HeaderReader {
    /// As many bytes as it is known to have, of which so many are there.
    bytes: Vec<u8>,
    have: usize,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Introduction {
    /// A register's connection, passed on.
    Register(SocketAddr),
    /// The balancer's own, for its health check.
    Balancer,
}

/// Why there is no header.
#[derive(Debug, PartialEq)]
pub(crate) enum HeaderFlaw {
    /// It is not one of version 2.
    NotOne,
    /// It is one of version 1, a line of text.
    Version1,
    /// It begins as a header and breaks the rules of one.
    Damaged(ParseError),
    /// So many bytes.
    TooLong(usize),
    /// It does not say the address of a TCP connection.
    NoAddress,
}

impl HeaderReader {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; FIXED_BYTES], have: 0 }
    }

    /// How many bytes have come.
    pub(crate) fn have(&self) -> usize {
        self.have
    }

    /// Where the next bytes belong. What is known to be of the header fits, and nothing that may be behind it.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.have..).unwrap_or_default()
    }

    /// So many bytes came into the space. `None` while the header is not whole.
    pub(crate) fn filled(&mut self, count: usize) -> Result<Option<Introduction>, HeaderFlaw> {
        self.have = self.have.saturating_add(count).min(self.bytes.len());
        // Whoever sends something else may never send as much as a header has.
        check_prefix(self.bytes.get(..self.have).unwrap_or_default())?;
        if self.have < self.bytes.len() {
            return Ok(None);
        }
        let whole = whole_len(&self.bytes)?;
        if self.have >= whole {
            return decode(&self.bytes).map(Some);
        }
        self.bytes.resize(whole, 0);
        Ok(None)
    }
}

impl fmt::Display for HeaderFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => f.write_str("it sent no PROXY header of version 2; is send-proxy-v2 missing?"),
            Self::Version1 => f.write_str("its PROXY header has version 1; set send-proxy-v2"),
            Self::Damaged(error) => write!(f, "damaged PROXY header: {error}"),
            Self::TooLong(bytes) => {
                write!(f, "a PROXY header of {bytes} bytes, of {MAX_HEADER_BYTES} at most")
            }
            Self::NoAddress => f.write_str("its PROXY header names no TCP address of a register"),
        }
    }
}

/// Whether bytes are, or may become, the beginning of a header.
fn check_prefix(bytes: &[u8]) -> Result<(), HeaderFlaw> {
    if bytes.iter().zip(PROTOCOL_PREFIX).all(|(byte, expected)| byte == expected) {
        return Ok(());
    }
    let version1 = b"PROXY ";
    let begins_v1 = bytes.iter().zip(version1).all(|(byte, expected)| byte == expected);
    Err(if begins_v1 { HeaderFlaw::Version1 } else { HeaderFlaw::NotOne })
}

/// Length of the header that begins with these bytes.
fn whole_len(fixed: &[u8]) -> Result<usize, HeaderFlaw> {
    let length = fixed.get(FIXED_BYTES - 2..).and_then(<[u8]>::first_chunk::<2>);
    let length = length.map_or(0, |length| u16::from_be_bytes(*length));
    let whole = FIXED_BYTES + usize::from(length);
    if whole > MAX_HEADER_BYTES { Err(HeaderFlaw::TooLong(whole)) } else { Ok(whole) }
}

/// Reads a whole header.
fn decode(bytes: &[u8]) -> Result<Introduction, HeaderFlaw> {
    let header = Header::try_from(bytes).map_err(HeaderFlaw::Damaged)?;
    // With LOCAL, whatever else the header says is to be skipped.
    if header.command == Command::Local {
        return Ok(Introduction::Balancer);
    }
    if header.protocol != Protocol::Stream {
        return Err(HeaderFlaw::NoAddress);
    }
    let register = match header.addresses {
        Addresses::IPv4(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
        Addresses::IPv6(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
        Addresses::Unspecified | Addresses::Unix(_) => return Err(HeaderFlaw::NoAddress),
    };
    // Addresses that nobody has would all be counted as one register.
    if register.ip().is_unspecified() {
        return Err(HeaderFlaw::NoAddress);
    }
    Ok(Introduction::Register(register))
}
