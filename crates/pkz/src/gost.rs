//! The GOST primitives of the profile: HMAC on Streebog-256, KDF_GOSTR3411_2012_256 (Р 50.1.113-2016) and
//! Kuznyechik in counter mode (ГОСТ Р 34.13-2015, 5.2), each over boxed, self-wiping state.

use ctr::{
    CtrCore,
    cipher::{InnerIvInit, KeyInit as _, StreamCipher, StreamCipherCoreWrapper},
    flavors::Ctr128BE,
};
use hmac::{Hmac, Mac as _, digest::CtOutput};
use kuznyechik::KuznyechikEnc;
use streebog::Streebog256;
use zeroize::Zeroizing;

/// Length of every key of the profile, in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// Raw key bytes: boxed from birth so that moves copy a pointer, wiped when dropped.
pub(crate) type KeyBytes = Box<Zeroizing<[u8; KEY_LEN]>>;

/// A new all-zero key to be filled in place.
pub(crate) fn empty_key() -> KeyBytes {
    Box::new(Zeroizing::new([0; KEY_LEN]))
}

/// HMAC_GOSTR3411_2012_256 with its key already absorbed: two compressions less for each message, and the
/// raw key need not stay in memory. Wipes itself (feature `zeroize` of the hash crates).
pub(crate) struct KeyedMac(Box<Hmac<Streebog256>>);

impl KeyedMac {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(Box::new(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    /// MAC of the concatenated parts. The result wipes itself and compares in constant time.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> CtOutput<Hmac<Streebog256>> {
        let mut state = (*self.0).clone();
        for part in parts {
            state.update(part);
        }
        state.finalize()
    }

    /// Leftmost `N` bytes of the MAC, `N` at most 32.
    pub(crate) fn truncated<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let full = self.mac(parts);
        let mut left = [0; N];
        for (to, from) in left.iter_mut().zip(full.as_bytes()) {
            *to = *from;
        }
        left
    }

    /// KDF_GOSTR3411_2012_256 with this key: `HMAC(K, 01 | label | 00 | seed | 01 00)`.
    pub(crate) fn derive(&self, label: &[u8], seed: &[u8]) -> KeyBytes {
        let output = self.mac(&[&[0x01], label, &[0x00], seed, &[0x01, 0x00]]);
        let mut key = empty_key();
        key.copy_from_slice(output.as_bytes());
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
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// Fails to compile when a `zeroize` feature is lost from the workspace's manifest.
    #[test]
    fn whatever_holds_a_key_wipes_itself() {
        fn check<T: ZeroizeOnDrop>(_what: &T) {}
        let mac = KeyedMac::new(&[7; KEY_LEN]);
        // The HMAC type lacks the marker, but is nothing beside hash cores and a block buffer, which have it.
        check(&Streebog256::default());
        check(&mac.mac(&[b"x"]));
        check(&*mac.derive(b"label", b"seed"));
        check(&*BodyCipher::new(&[7; KEY_LEN]).0);
    }

    #[test]
    fn parts_are_one_message() {
        let mac = KeyedMac::new(&[7; KEY_LEN]);
        assert_eq!(mac.truncated::<6>(&[b"ab", b"", b"c"]), mac.truncated::<6>(&[b"abc"]));
        assert_eq!(mac.truncated::<32>(&[b"abc"]), **mac.mac(&[b"abc"]).as_bytes());
    }
}
