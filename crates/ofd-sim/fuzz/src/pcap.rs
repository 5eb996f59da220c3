//! Capture files out of streams, cut and shuffled as networks do it.

use super::dice::Dice;

/// Head of a classic pcap file: microseconds, little-endian, Ethernet.
const FILE_HEAD: [u32; 6] = [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 1];
const ETHERNET_IPV4: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const ACK: u8 = 0x10;

/// A piece of a stream: its flags, the place of its first byte, its bytes.
#[derive(Clone)]
pub(crate) struct Piece<'a> {
    flags: u8,
    at: usize,
    bytes: &'a [u8],
}

/// The stream of a register from its SYN to its FIN, in order.
pub(crate) fn in_order<'a>(stream: &'a [u8], dice: &mut Dice) -> Vec<Piece<'a>> {
    let mut pieces = vec![Piece { flags: SYN, at: 0, bytes: &[] }];
    let mut at = 0;
    for bytes in dice.pieces(stream) {
        pieces.push(Piece { flags: ACK, at, bytes });
        at += bytes.len();
    }
    pieces.push(Piece { flags: FIN | ACK, at, bytes: &[] });
    pieces
}

/// The same pieces as a bad network delivers them: swapped, repeated, overlapping; none lost, the SYN first.
pub(crate) fn disordered<'a>(stream: &'a [u8], pieces: &[Piece<'a>], dice: &mut Dice) -> Vec<Piece<'a>> {
    let mut pieces = pieces.to_vec();
    for _ in 0..pieces.len() {
        let (one, other) = (1 + dice.below(pieces.len() - 1), 1 + dice.below(pieces.len() - 1));
        match dice.below(3) {
            0 => pieces.swap(one, other),
            1 => pieces.insert(one, pieces[other].clone()),
            _ if !stream.is_empty() => {
                let at = dice.below(stream.len());
                let len = 1 + dice.below(stream.len() - at);
                pieces.insert(one, Piece { flags: ACK, at, bytes: &stream[at..at + len] });
            }
            _ => {}
        }
    }
    pieces
}

/// A pcap file with one frame for each piece, numbered from `first`.
pub(crate) fn file(pieces: &[Piece<'_>], first: u32) -> Vec<u8> {
    let mut file: Vec<u8> = FILE_HEAD.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (second, piece) in (1_u32..).zip(pieces) {
        let frame = frame(piece, first);
        let len = u32::try_from(frame.len()).unwrap();
        for word in [second, 0, len, len] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

/// Ethernet, IPv4 and TCP without checksums, from 10.0.0.1:50000 to 10.0.0.2:7777.
fn frame(piece: &Piece<'_>, first: u32) -> Vec<u8> {
    let behind_syn = if piece.flags & SYN == 0 { 1 } else { 0 };
    let sequence = first.wrapping_add(behind_syn).wrapping_add(u32::try_from(piece.at).unwrap());
    let whole = u16::try_from(40 + piece.bytes.len()).unwrap();
    let mut frame = ETHERNET_IPV4.to_vec();
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&whole.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend_from_slice(&50_000_u16.to_be_bytes());
    frame.extend_from_slice(&7777_u16.to_be_bytes());
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 0x50, piece.flags, 0xFF, 0xFF, 0, 0, 0, 0]);
    frame.extend_from_slice(piece.bytes);
    frame
}
