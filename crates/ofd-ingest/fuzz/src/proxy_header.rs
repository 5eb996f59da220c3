//! The header of a balancer, and what a register sends behind it.
//!
//! However the stream is cut, the header says the same and ends at the same byte; what follows belongs to the register and
//! changes nothing. Whose address is believed stands in the bytes, at the places where the protocol has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::dice::Dice;
use super::header::{FIXED_BYTES, HeaderFlaw, HeaderReader, Introduction, MAX_HEADER_BYTES};

const PREFIX: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Checks one connection, as it is, behind the prefix, and with the length put right: a fuzzer seldom guesses them.
pub fn check(input: &[u8]) {
    stream(input);
    let mut prefixed = [PREFIX.as_slice(), input].concat();
    stream(&prefixed);
    let payload = prefixed.len().saturating_sub(FIXED_BYTES);
    if let (Ok(payload), Some(place)) = (u16::try_from(payload), prefixed.get_mut(14..FIXED_BYTES)) {
        place.copy_from_slice(&payload.to_be_bytes());
        stream(&prefixed);
    }
}

/// How a connection began.
#[derive(Debug, PartialEq)]
struct Beginning {
    /// `None`: it ended before its header did.
    said: Option<Result<Introduction, HeaderFlaw>>,
    taken: usize,
}

fn stream(bytes: &[u8]) {
    let at_once = begin(&[bytes]);
    assert!(at_once.taken <= bytes.len().min(MAX_HEADER_BYTES));
    let mut dice = Dice::of(bytes);
    for pieces in [dice.pieces(bytes), bytes.chunks(1).take(MAX_HEADER_BYTES).collect()] {
        let in_pieces = begin(&pieces);
        assert_eq!(in_pieces.said, at_once.said, "the same bytes in other pieces");
        // What is no header may be noticed earlier; a header ends where it ends.
        let is_flaw = matches!(at_once.said, Some(Err(_)));
        assert!(in_pieces.taken == at_once.taken || (is_flaw && in_pieces.taken < at_once.taken));
    }
    match &at_once.said {
        Some(Ok(introduction)) => {
            let header = &bytes[..at_once.taken];
            believed(header, *introduction);
            assert_eq!(begin(&[header]), at_once);
            let shorter = &header[..dice.below(header.len())];
            assert_eq!(begin(&[shorter]), Beginning { said: None, taken: shorter.len() });
        }
        Some(Err(_)) => {}
        None => assert_eq!(at_once.taken, bytes.len()),
    }
}

/// Reads as a connection does that brings these pieces and ends.
fn begin(pieces: &[&[u8]]) -> Beginning {
    let mut header = HeaderReader::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let space = header.space();
            assert!(!space.is_empty(), "nothing is wanted, and nothing is said");
            let (now, later) = rest.split_at(rest.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            if let Some(said) = header.filled(now.len()).transpose() {
                assert!(!said.as_ref().is_err_and(|flaw| flaw.to_string().is_empty()));
                // Which of the two it is may be too early to say; it is refused in any case.
                let said = said.map_err(|flaw| match flaw {
                    HeaderFlaw::Version1 => HeaderFlaw::NotOne,
                    flaw => flaw,
                });
                return Beginning { said: Some(said), taken: header.have() };
            }
            rest = later;
        }
    }
    Beginning { said: None, taken: header.have() }
}

/// The address is the one in the bytes.
fn believed(header: &[u8], introduction: Introduction) {
    assert!(header.starts_with(PREFIX));
    let length = u16::from_be_bytes([header[14], header[15]]);
    assert_eq!(header.len(), FIXED_BYTES + usize::from(length));
    let payload = &header[FIXED_BYTES..];
    match introduction {
        Introduction::Balancer => assert_eq!(header[12], 0x20),
        Introduction::Register(register) => {
            assert_eq!(header[12], 0x21);
            let (address, port): (IpAddr, &[u8]) = match header[13] {
                0x11 => (Ipv4Addr::from(*payload.first_chunk().unwrap()).into(), &payload[8..10]),
                0x21 => (Ipv6Addr::from(*payload.first_chunk::<16>().unwrap()).into(), &payload[32..34]),
                other => panic!("a register's address of the family {other:#x}"),
            };
            assert_eq!(register, SocketAddr::new(address, u16::from_be_bytes([port[0], port[1]])));
            assert!(!address.is_unspecified());
        }
    }
}
