//! The GOST primitives of the profile: HMAC on Streebog-256, KDF_GOSTR3411_2012_256 (Р 50.1.113-2016) and
//! Kuznyechik in counter mode (ГОСТ Р 34.13-2015, 5.2), each over boxed, self-wiping state.

use ctr::{
    CtrCore,
    cipher::{InnerIvInit, KeyInit as _, StreamCipher, StreamCipherCoreWrapper},
    flavors::Ctr128BE,
};
use kuznyechik::KuznyechikEnc;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::streebog::{BLOCK_LEN, Digest, Hasher, State};

/// Length of every key of the profile, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// Raw key bytes: boxed from birth so that moves copy a pointer, wiped when dropped.
pub(crate) type KeyBytes = Box<Zeroizing<[u8; KEY_LEN]>>;

/// A new all-zero key to be filled in place.
pub(crate) fn empty_key() -> KeyBytes {
    Box::new(Zeroizing::new([0; KEY_LEN]))
}

/// HMAC_GOSTR3411_2012_256 with its key already absorbed: two compressions less for each message, and the
/// raw key need not stay in memory. Wipes itself.
pub(crate) struct KeyedMac(Box<Pads>);

/// The states of the hash after the key with either pad (RFC 2104).
#[derive(ZeroizeOnDrop)]
struct Pads {
    inner: State,
    outer: State,
}

impl KeyedMac {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        let mut pads = Box::new(Pads { inner: State::new(), outer: State::new() });
        for (state, pad) in [(&mut pads.inner, 0x36), (&mut pads.outer, 0x5C)] {
            let mut block = Zeroizing::new([pad; BLOCK_LEN]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            state.absorb(&block);
        }
        Self(pads)
    }

    /// MAC of the concatenated parts. The result wipes itself.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Digest {
        let mut inner = Hasher::from(&self.0.inner);
        parts.iter().for_each(|part| inner.update(part));
        let mut outer = Hasher::from(&self.0.outer);
        outer.update(&*inner.finish());
        outer.finish()
    }

    /// Leftmost `N` bytes of the MAC, `N` at most 32.
    pub(crate) fn truncated<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let full = self.mac(parts);
        let mut left = [0; N];
        for (to, from) in left.iter_mut().zip(full.iter()) {
            *to = *from;
        }
        left
    }

    /// KDF_GOSTR3411_2012_256 with this key: `HMAC(K, 01 | label | 00 | seed | 01 00)`.
    pub(crate) fn derive(&self, label: &[u8], seed: &[u8]) -> KeyBytes {
        let output = self.mac(&[&[0x01], label, &[0x00], seed, &[0x01, 0x00]]);
        let mut key = empty_key();
        key.copy_from_slice(&*output);
        key
    }
}

/// Kuznyechik key schedule for the counter mode. Wipes itself.
pub(crate) struct BodyCipher(Box<KuznyechikEnc>);

impl BodyCipher {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(Box::new(KuznyechikEnc::new(key.into())))
    }

    /// Encrypts or decrypts in place. First counter block: the 8 bytes of the vector, then 8 zero bytes;
    /// the whole block counts up big-endian.
    pub(crate) fn apply(&self, iv: &[u8; 8], data: &mut [u8]) {
        let mut block = [0; 16];
        for (to, from) in block.iter_mut().zip(iv) {
            *to = *from;
        }
        let core = CtrCore::<&KuznyechikEnc, Ctr128BE>::inner_iv_init(&*self.0, &block.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;
    use streebog::Streebog256;

    use super::*;

    /// Fails to compile when a `zeroize` feature is lost from the workspace's manifest.
    #[test]
    fn whatever_holds_a_key_wipes_itself() {
        fn check<T: ZeroizeOnDrop>(_what: &T) {}
        let mac = KeyedMac::new(&[7; KEY_LEN]);
        check(&*mac.0);
        check(&Hasher::from(&mac.0.inner));
        check(&mac.mac(&[b"x"]));
        check(&*mac.derive(b"label", b"seed"));
        check(&*BodyCipher::new(&[7; KEY_LEN]).0);
    }

    #[test]
    fn parts_are_one_message() {
        let mac = KeyedMac::new(&[7; KEY_LEN]);
        assert_eq!(mac.truncated::<6>(&[b"ab", b"", b"c"]), mac.truncated::<6>(&[b"abc"]));
        assert_eq!(mac.truncated::<32>(&[b"abc"]), *mac.mac(&[b"abc"]));
    }

    proptest! {
        #[test]
        fn the_mac_agrees_with_the_crates(key: [u8; KEY_LEN], message in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut expected = Hmac::<Streebog256>::new_from_slice(&key).unwrap();
            expected.update(&message);
            prop_assert_eq!(KeyedMac::new(&key).mac(&[&message]).to_vec(), expected.finalize().into_bytes().to_vec());
        }
    }
}
