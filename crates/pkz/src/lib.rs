//! The operator's crypto device (ПКЗ): checks the message sign of a register's container, opens encrypted
//! bodies, seals acknowledgements.
//!
//! Two traits stand for the device: [`FiscalSignVerifier`] and [`AckSigner`]. Nothing secret crosses them, so
//! a certified module can be put behind the same pair. Two implementations are here:
//!
//! * [`SoftPkz`], the software profile `soft-gost-1`: real shapes (diversified keys, truncated HMAC on
//!   Streebog, Kuznyechik-CTR bodies), open algorithms. It is a stand-in and does **not** interoperate with
//!   certified fiscal storages; its sign types never equal real ones.
//! * [`NoPkz`]: no keys at all, nothing is checked and nothing is signed.
//!
//! The crate is pure: no files, clock, environment or logging. Time and random bytes are arguments. What is
//! answered after a verdict is decided by the caller.
//!
//! Key hygiene: raw key bytes live boxed and are wiped when dropped; what stays are keyed MAC states and
//! cipher schedules, wiped by their own crates. No key type can be cloned, printed or serialised, and no
//! error carries key material. Moves inside the cipher crates may leave copies on the stack: wiping is best
//! effort. The ciphers are table-based, so not constant-time against an attacker sharing the processor cache.

mod cache;
pub mod derive;
mod device;
mod gost;
pub mod keystore;
mod layout;
mod none;
mod self_test;
mod soft;
mod streebog;
pub mod test_keys;
mod verdict;

#[cfg(test)]
mod vectors;

pub use device::{
    AckRequest, AckSigner, FiscalSignVerifier, OpenOutcome, RawContainer, RefusedReason, SealError, SealedAck,
};
pub use keystore::Keystore;
pub use none::NoPkz;
pub use self_test::{SelfTestError, self_test};
pub use soft::{CACHE_ENTRIES, SetupError, SoftPkz};
pub use verdict::{Generation, InvalidReason, Scheme, SignMode, UnverifiableReason, Verdict};
