//! The software profile `soft-gost-1` as a device: both traits over two keystores.

use std::{
    borrow::Cow,
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use ffd::FnNumber;
use kkt_proto::container::Container;

use crate::{
    cache::KeyCache,
    derive::{FnKeys, MasterKey, Purpose, SignKind},
    device::{
        AckRequest, AckSigner, FiscalSignVerifier, OpenOutcome, RawContainer, RefusedReason, SealError,
        SealedAck,
    },
    keystore::{KeyRecord, Keystore},
    layout::{ack_container, clear_document, document_7, has_its_own_length},
    verdict::{Generation, InvalidReason, Scheme, UnverifiableReason, Verdict},
};

/// Entries of the key cache: about 20 MB when full.
pub const CACHE_ENTRIES: usize = 10_000;

/// Length byte of a message sign: six MAC bytes follow.
const MESSAGE_SIGN_LEN: u8 = 6;

/// The software crypto device. Works on the calling thread, about 20 µs for a document.
pub struct SoftPkz {
    message: Vec<KeyRecord>,
    operator: Vec<KeyRecord>,
    cache: KeyCache,
    now_unix: AtomicI64,
}

/// Keystores that make no device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetupError {
    /// A keystore of another purpose was given.
    #[error("a keystore of {expected} keys is needed, this one holds {found} keys")]
    Purpose {
        /// What was needed.
        expected: Purpose,
        /// What was given.
        found: Purpose,
    },
    /// Documents of this generation could be checked, but not acknowledged.
    #[error("generation {0} has a message key (msg) but no operator key (opr)")]
    NoOperatorKey(Generation),
}

/// Keys, and whether the cache gave them: then they need not be put there.
struct Found {
    keys: Arc<FnKeys>,
    is_kept: bool,
}

impl Deref for Found {
    type Target = FnKeys;

    fn deref(&self) -> &FnKeys {
        &self.keys
    }
}

impl SoftPkz {
    /// A device over a message and an operator keystore. The crate has no clock: `now_unix` (seconds) says
    /// which generations are in use, [`SoftPkz::set_now`] moves it.
    ///
    /// # Errors
    /// [`SetupError`] when a keystore is of the wrong purpose or the operator's lacks a generation.
    pub fn new(message: Keystore, operator: Keystore, now_unix: i64) -> Result<Self, SetupError> {
        expect_purpose(&message, Purpose::Message)?;
        expect_purpose(&operator, Purpose::Operator)?;
        let lonely = message.records().iter().find(|record| operator.record(record.generation()).is_none());
        if let Some(record) = lonely {
            return Err(SetupError::NoOperatorKey(record.generation()));
        }
        Ok(Self {
            message: message.into_records(),
            operator: operator.into_records(),
            cache: KeyCache::new(CACHE_ENTRIES),
            now_unix: AtomicI64::new(now_unix),
        })
    }

    /// The same device with another bound of its key cache; 0 derives all keys anew each time.
    #[must_use]
    pub fn with_cache_entries(mut self, entries: usize) -> Self {
        self.cache = KeyCache::new(entries);
        self
    }

    /// Moves the device's idea of the time, unix seconds: expired and revoked generations stop being used.
    pub fn set_now(&self, now_unix: i64) {
        self.now_unix.store(now_unix, Ordering::Relaxed);
    }

    /// The master keys held, both purposes, for health output (their `Debug` and check values are harmless).
    pub fn masters(&self) -> impl Iterator<Item = &MasterKey> {
        self.message.iter().chain(&self.operator).map(|record| &**record.key())
    }

    /// Whether any key is one everybody knows.
    #[must_use]
    pub fn has_published_test_key(&self) -> bool {
        self.masters().any(MasterKey::is_published_test_key)
    }

    /// When the last usable generation ends its period, unix seconds; `None` when none is usable, so that nothing can be
    /// checked or acknowledged. Its signs are accepted for a while after that, [`crate::keystore::VERIFY_GRACE_S`].
    #[must_use]
    pub fn usable_until(&self) -> Option<i64> {
        let now_unix = self.now_unix.load(Ordering::Relaxed);
        let ends = self.message.iter().filter_map(|message| {
            let operator = find(&self.operator, message.generation())?;
            let pair = [message, operator];
            let end = |record: &KeyRecord| {
                let revoked_at_s = record.revoked_at_s().unwrap_or(i64::MAX);
                record.not_after_s().min(revoked_at_s)
            };
            let usable = pair.iter().all(|record| record.verifies_at(now_unix));
            usable.then(|| end(message).min(end(operator)))
        });
        ends.max()
    }

    /// Checks a message sign (ФПС) of an open document again, at any later time: number, document and sign
    /// are enough, the container is not needed.
    #[must_use]
    pub fn verify(&self, fn_number: &FnNumber, document: &[u8], sign: &[u8; 8]) -> Verdict {
        match self.keys_for_sign(fn_number, sign) {
            Ok(keys) => self.judge(&keys, fn_number, document, sign),
            Err(verdict) => verdict,
        }
    }

    /// Steps one to four of the check: kind, length byte, generation; then the keys.
    fn keys_for_sign(&self, fn_number: &FnNumber, sign: &[u8; 8]) -> Result<Found, Verdict> {
        let generation = read_prefix(sign)?;
        self.keys(fn_number, generation).ok_or(Verdict::Unverifiable(UnverifiableReason::UnknownGeneration))
    }

    /// Last steps: the document's own length, then the MAC. Keys are kept only after a right sign, so that
    /// invented ФН numbers cannot push honest ones out of the cache.
    fn judge(&self, keys: &Found, fn_number: &FnNumber, document: &[u8], sign: &[u8; 8]) -> Verdict {
        if !has_its_own_length(document) {
            return Verdict::Invalid(InvalidReason::Malformed);
        }
        if !keys.check_fps(document, sign) {
            return Verdict::Invalid(InvalidReason::Mismatch);
        }
        self.keep(fn_number, keys);
        Verdict::Valid { scheme: Scheme::SoftGost1, generation: keys.generation() }
    }

    /// Keys of a usable generation, cached or derived.
    fn keys(&self, fn_number: &FnNumber, generation: Generation) -> Option<Found> {
        let now_unix = self.now_unix.load(Ordering::Relaxed);
        let message = find(&self.message, generation).filter(|record| record.verifies_at(now_unix))?;
        let operator = find(&self.operator, generation).filter(|record| record.verifies_at(now_unix))?;
        if let Some(keys) = self.cache.get(&(fn_number.to_bcd(), generation)) {
            return Some(Found { keys, is_kept: true });
        }
        // Purposes and generations were checked when the device was made, so this cannot fail.
        let derived = FnKeys::derive(fn_number, message.key(), Some(operator.key())).ok()?;
        Some(Found { keys: Arc::new(derived), is_kept: false })
    }

    fn keep(&self, fn_number: &FnNumber, found: &Found) {
        if !found.is_kept {
            self.cache.insert((fn_number.to_bcd(), found.generation()), Arc::clone(&found.keys));
        }
    }

    /// The generation new storages get, for requests that name none; while none is issued, the last that is still
    /// accepted: who may have a document checked may have it answered.
    fn newest(&self) -> Option<Generation> {
        let now_unix = self.now_unix.load(Ordering::Relaxed);
        let accepted = self.message.iter().filter(|record| record.verifies_at(now_unix));
        let rank =
            |record: &&KeyRecord| (record.issues_at(now_unix), record.not_before_s(), record.generation());
        accepted.max_by_key(rank).map(KeyRecord::generation)
    }
}

impl fmt::Debug for SoftPkz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.masters()).finish()
    }
}

impl FiscalSignVerifier for SoftPkz {
    fn open<'a>(&self, raw: &RawContainer<'a>) -> OpenOutcome<'a> {
        let sign = raw.container.sign;
        let clear = clear_document(&raw.container);
        let outcome =
            |document, verdict| OpenOutcome { document, sign, was_encrypted: clear.is_none(), verdict };
        let keys = match self.keys_for_sign(&raw.fn_number, &sign) {
            Ok(keys) => keys,
            Err(verdict) => return outcome(clear.map(Cow::Borrowed), verdict),
        };
        let document = match clear {
            Some(clear) => Cow::Borrowed(clear),
            None => match decrypted(&keys, &raw.container) {
                Some(document) => Cow::Owned(document),
                None => return outcome(None, Verdict::Invalid(InvalidReason::Mismatch)),
            },
        };
        let verdict = self.judge(&keys, &raw.fn_number, &document, &sign);
        outcome(Some(document), verdict)
    }

    fn kind(&self) -> &'static str {
        Scheme::SoftGost1.as_str()
    }
}

impl AckSigner for SoftPkz {
    fn seal(&self, request: &AckRequest<'_>) -> Result<SealedAck, SealError> {
        let refused = SealError::Refused;
        let unknown = refused(RefusedReason::UnknownGeneration);
        let generation = request.generation.or_else(|| self.newest()).ok_or(unknown)?;
        let keys = self.keys(&request.fn_number, generation).ok_or(unknown)?;
        let fpo = keys.fpo(&request.ofd_inn, request.fd_number, request.datetime).ok_or(unknown)?;
        let mut document = document_7(request, Some(&fpo)).map_err(refused)?;
        let fpp = keys.fpp(&document);
        if request.encrypt {
            keys.crypt_down(&request.iv, &mut document);
        }
        let container = ack_container(request, &document, fpp).map_err(refused)?;
        self.keep(&request.fn_number, &keys);
        Ok(SealedAck { container, fpo: Some(fpo.to_vec()), fpp })
    }
}

fn expect_purpose(store: &Keystore, expected: Purpose) -> Result<(), SetupError> {
    if store.purpose() == expected {
        Ok(())
    } else {
        Err(SetupError::Purpose { expected, found: store.purpose() })
    }
}

fn find(records: &[KeyRecord], generation: Generation) -> Option<&KeyRecord> {
    records.iter().find(|record| record.generation() == generation)
}

/// Kind and length byte of a message sign, in this order.
fn read_prefix(sign: &[u8; 8]) -> Result<Generation, Verdict> {
    let [kind, len, ..] = *sign;
    let high = kind & 0xF0;
    let other_kinds = [SignKind::Document, SignKind::Acknowledgement, SignKind::Operator];
    if other_kinds.into_iter().any(|other| other.code() == high) {
        return Err(Verdict::Invalid(InvalidReason::WrongKind));
    }
    if high != SignKind::Message.code() {
        return Err(Verdict::Unverifiable(UnverifiableReason::ForeignScheme));
    }
    if len != MESSAGE_SIGN_LEN {
        return Err(Verdict::Invalid(InvalidReason::Malformed));
    }
    Ok(Generation::from_low_nibble(kind))
}

/// The opened body, or `None` when what comes out does not fit the header: wrong key, sign or bytes.
fn decrypted(keys: &FnKeys, container: &Container<'_>) -> Option<Vec<u8>> {
    if container.data.len() != usize::from(container.header.open_len) {
        return None;
    }
    let mut document = container.data.to_vec();
    keys.crypt_up(&container.header.iv, &mut document);
    container.header.opens(&document).then_some(document)
}

#[cfg(test)]
mod tests;
