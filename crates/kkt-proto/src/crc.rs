//! The one checksum of the protocol, shared by session headers and containers.

use crc::{CRC_16_IBM_3740, Crc, Table};

/// Sixteen look-up tables (8 KiB, one per byte of a 16-byte step): several times faster than the
/// usual single table on bodies of some hundred bytes.
static CCITT_FALSE: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_3740);

/// CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF, no reflection, no final XOR) over `parts`
/// one after another. Parts, because the CRC field lies inside the covered bytes and is left out,
/// not replaced by zeros. On the wire the result is little-endian (S-protocol, check code).
#[must_use]
pub fn ccitt_false(parts: &[&[u8]]) -> u16 {
    let mut digest = CCITT_FALSE.digest();
    for part in parts {
        digest.update(part);
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ccitt_false;

    /// The definition, bit by bit, as a second opinion.
    fn bit_by_bit(input: &[u8]) -> u16 {
        let mut crc = 0xFFFF_u16;
        for byte in input {
            crc ^= u16::from(*byte) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            }
        }
        crc
    }

    #[test]
    fn check_values() {
        assert_eq!(ccitt_false(&[b"123456789"]), 0x29B1);
        assert_eq!(ccitt_false(&[]), 0xFFFF);
        assert_eq!(ccitt_false(&[b"", b"12345", b"", b"6789"]), 0x29B1);
    }

    proptest! {
        #[test]
        fn tables_agree_with_the_definition(input in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let (left, right) = input.split_at(cut.min(input.len()));
            prop_assert_eq!(ccitt_false(&[left, right]), bit_by_bit(&input));
        }
    }
}
