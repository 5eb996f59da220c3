//! Streebog-256 (ГОСТ Р 34.11-2012, RFC 6986), with states that a keyed MAC can begin from.
//!
//! Three MACs a document take 25 compressions: most of the processor time that a document costs outside the store. The
//! compiler keeps too little of the compression of the `streebog` crate in registers; the form below takes three fifths
//! of its time. That crate is the judge in the tests, beside the standard's examples; there is no other reason
//! for this module, and it holds nothing but the hash itself.
//!
//! Tables are looked up by secret bytes, as in every fast implementation of this hash in software: time and caches may
//! tell something to whoever shares the processor.

mod tables;

use std::hint::black_box;
use std::sync::atomic::{Ordering, compiler_fence};

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use self::tables::{STEPS, TABLES};

/// Bytes of a block.
pub(crate) const BLOCK_LEN: usize = 64;

/// Bytes of a digest.
pub(crate) const DIGEST_LEN: usize = 32;

/// A block or a state, little-endian.
type Words = [u64; 8];

/// What the bytes of each input word add to the output.
type Tables = [[u64; 256]; 8];

/// A digest, wiped when dropped: it may be a key.
pub(crate) type Digest = Zeroizing<[u8; DIGEST_LEN]>;

/// The state after whole blocks. Wipes itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct State {
    hash: Words,
    /// Bits so far. The standard counts to 2^512; here no message is longer than a few containers.
    bits: u64,
    /// Sum of the blocks so far.
    sum: Words,
}

/// A hash under way. Wipes itself.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hasher {
    state: State,
    block: [u8; BLOCK_LEN],
    filled: usize,
}

impl State {
    /// The state before the first block.
    pub(crate) fn new() -> Self {
        Self { hash: [0x0101_0101_0101_0101; 8], bits: 0, sum: [0; 8] }
    }

    /// The state one whole block later.
    pub(crate) fn absorb(&mut self, block: &[u8; BLOCK_LEN]) {
        self.step(block, 512);
    }

    fn step(&mut self, block: &[u8; BLOCK_LEN], bits: u64) {
        let block = words(block);
        compress(&mut self.hash, self.bits, &block);
        self.bits = self.bits.wrapping_add(bits);
        let mut carry = false;
        for (sum, word) in self.sum.iter_mut().zip(block) {
            let (added, first) = sum.overflowing_add(word);
            let (added, second) = added.overflowing_add(carry.into());
            (*sum, carry) = (added, first || second);
        }
    }
}

impl Hasher {
    /// Goes on from a state.
    pub(crate) fn from(state: &State) -> Self {
        Self { state: state.clone(), block: [0; BLOCK_LEN], filled: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.filled > 0 {
            rest = self.fill(rest);
            if self.filled < BLOCK_LEN {
                return;
            }
            self.state.absorb(&self.block);
            self.filled = 0;
        }
        let (blocks, rest) = rest.as_chunks::<BLOCK_LEN>();
        blocks.iter().for_each(|block| self.state.absorb(block));
        self.fill(rest);
    }

    /// Takes bytes into the unfinished block, as many as fit; gives back the others.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.block.get_mut(self.filled..).unwrap_or_default();
        let (taken, rest) = bytes.split_at(bytes.len().min(room.len()));
        if let Some(place) = room.get_mut(..taken.len()) {
            place.copy_from_slice(taken);
        }
        self.filled += taken.len();
        rest
    }

    /// The digest: the unfinished block is filled up with one 1 bit and zeros.
    pub(crate) fn finish(mut self) -> Digest {
        let bits = u64::try_from(self.filled * 8).unwrap_or_default();
        if let Some((mark, zeros)) = self.block.get_mut(self.filled..).and_then(<[u8]>::split_first_mut) {
            *mark = 1;
            zeros.fill(0);
        }
        let block = Zeroizing::new(self.block);
        self.state.step(&block, bits);
        let State { hash, bits, sum } = &mut self.state;
        compress(hash, 0, &[*bits, 0, 0, 0, 0, 0, 0, 0]);
        compress(hash, 0, sum);
        let mut digest = Zeroizing::new([0; DIGEST_LEN]);
        // Of the 512 bits the upper half.
        let (places, _) = digest.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(hash.iter().skip(4)) {
            *place = word.to_le_bytes();
        }
        digest
    }
}

fn words(block: &[u8; BLOCK_LEN]) -> Words {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The compression function `g` with the number of bits so far.
fn compress(hash: &mut Words, bits: u64, message: &Words) {
    // Of unknown place, or the look-ups below could be moved past their fences.
    let tables = black_box(&TABLES);
    let mut key = transform(hash, &[bits, 0, 0, 0, 0, 0, 0, 0], tables);
    let mut block = *message;
    for step in &STEPS {
        block = transform(&block, &key, tables);
        key = transform(&key, step, tables);
    }
    for (((hash, block), key), message) in hash.iter_mut().zip(block).zip(key).zip(message) {
        *hash ^= block ^ key ^ message;
    }
}

/// `LPS(state ^ key)`.
#[inline(always)]
fn transform(state: &Words, key: &Words, tables: &Tables) -> Words {
    let (mut low, mut high) = ([0; 8], [0; 8]);
    for (((low, high), state), key) in low.iter_mut().zip(&mut high).zip(state).zip(key) {
        let [a, b, c, d, e, f, g, h] = (state ^ key).to_le_bytes();
        (*low, *high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    }
    // Taken from memory, not shifted down from the words again.
    let high = black_box(high);
    let ([a, b, c, d], [e, f, g, h]) = (four_words(&low, tables), four_words(&high, tables));
    [a, b, c, d, e, f, g, h]
}

/// Four words of the output: four sums, half a word and an address are what the registers hold.
///
/// The fences cost nothing by themselves. They keep the compiler from taking all look-ups for one piece of code, which it
/// orders by the words of the output, and then runs out of registers.
#[inline(always)]
fn four_words(halves: &[u32; 8], tables: &Tables) -> [u64; 4] {
    let at = |table: &[u64; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
    let (mut a, mut b, mut c, mut d) = (0, 0, 0, 0);
    for (half, table) in halves.iter().zip(tables) {
        let [p, q, r, s] = half.to_le_bytes();
        a ^= at(table, p);
        b ^= at(table, q);
        c ^= at(table, r);
        d ^= at(table, s);
        compiler_fence(Ordering::SeqCst);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use streebog::{Digest as _, Streebog256};

    use super::*;

    fn digest(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
        let mut hasher = Hasher::from(&State::new());
        parts.iter().for_each(|part| hasher.update(part));
        *hasher.finish()
    }

    /// Examples 1 and 2 of RFC 6986, in the order of its bytes.
    #[test]
    fn the_examples_of_the_standard() {
        let check = |message: &str, expected: &str| {
            let mut message = hex::decode(message).unwrap();
            let mut expected = hex::decode(expected).unwrap();
            // The standard prints the last byte first.
            message.reverse();
            expected.reverse();
            assert_eq!(digest(&[&message]).as_slice(), expected);
        };
        check(
            "323130393837363534333231303938373635343332313039383736353433323130393837363534333231303938373635343332313039383736353433323130",
            "00557be5e584fd52a449b16b0251d05d27f94ab76cbaa6da890b59d8ef1e159d",
        );
        check(
            "fbe2e5f0eee3c820fbeafaebef20fffbf0e1e0f0f520e0ed20e8ece0ebe5f0f2f120fff0eeec20f120faf2fee5e2202ce8f6f3ede220e8e6eee1e8f0f2d1202ce8f0f2e5e220e5d1",
            "508f7e553c06501d749a66fc28c6cac0b005746d97537fa85d9e40904efed29d",
        );
    }

    #[test]
    fn every_length_around_a_block_agrees_with_the_crate() {
        for len in 0..=3 * BLOCK_LEN {
            let message: Vec<u8> = (0..=u8::MAX).cycle().skip(len % 7).take(len).collect();
            assert_eq!(digest(&[&message]).as_slice(), Streebog256::digest(&message).as_slice(), "{len}");
        }
    }

    /// All carries of the sum, and a counter past one byte.
    #[test]
    fn a_long_message_of_ones_agrees_with_the_crate() {
        let message = vec![0xFF; 300 * BLOCK_LEN + 1];
        assert_eq!(digest(&[&message]).as_slice(), Streebog256::digest(&message).as_slice());
    }

    proptest! {
        #[test]
        fn any_message_in_any_parts_agrees_with_the_crate(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let expected = Streebog256::digest(parts.concat());
            prop_assert_eq!(digest(&parts).to_vec(), expected.to_vec());
        }
    }
}
