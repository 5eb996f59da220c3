//! Keys and signs of `soft-gost-1`: diversification of masters into the keys of one fiscal storage, the four
//! signs, body encryption.
//!
//! Used by [`crate::SoftPkz`] and, with the document master that an operator never has, by the emulator of
//! fiscal storages.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ffd::{FdNumber, FnNumber, Inn};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    gost::{BodyCipher, KEY_LEN, KeyBytes, KeyedMac},
    test_keys,
    verdict::Generation,
};

/// Tag of the document sign (ФПД), left out of its own input.
const TAG_FPD: u16 = 1077;

pub(crate) mod label {
    //! KDF labels, ASCII, 8 bytes.
    pub(crate) const FPD: &[u8; 8] = b"OFD1-FPD";
    pub(crate) const FPS: &[u8; 8] = b"OFD1-FPS";
    pub(crate) const FPP: &[u8; 8] = b"OFD1-FPP";
    pub(crate) const FPO: &[u8; 8] = b"OFD1-FPO";
    pub(crate) const UP: &[u8; 8] = b"OFD1-CUP";
    pub(crate) const DOWN: &[u8; 8] = b"OFD1-CDN";
    pub(crate) const KCV: &[u8; 8] = b"OFD1-KCV";
}

/// Kinds of sign: the high nibble of the first byte. None equals a type byte of certified devices
/// (21, 31, 81, 82, 88).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignKind {
    /// ФПД, tag 1077.
    Document,
    /// ФПС, trailer of a register's container.
    Message,
    /// ФПП, trailer of an operator's container.
    Acknowledgement,
    /// ФПО, tag 1078.
    Operator,
}

impl SignKind {
    /// High nibble of the sign's first byte, low nibble zero.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Document => 0xC0,
            Self::Message => 0xD0,
            Self::Acknowledgement => 0xE0,
            Self::Operator => 0xF0,
        }
    }

    const fn prefix(self) -> &'static [u8; 8] {
        match self {
            Self::Document => b"OFD1.FPD",
            Self::Message => b"OFD1.FPS",
            Self::Acknowledgement => b"OFD1.FPP",
            Self::Operator => b"OFD1.FPO",
        }
    }
}

/// What a master key is for. The three masters are independent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// `msg`: message signs, acknowledgement signs, encryption. Held by the operator.
    Message,
    /// `opr`: operator signs. Held by the operator and the authority.
    Operator,
    /// `doc`: document signs. Held by the authority and the maker of storages, never by the operator.
    Document,
}

impl Purpose {
    /// The word of a keystore file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "msg",
            Self::Operator => "opr",
            Self::Document => "doc",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Key check value: tells keys apart without telling them. Four bytes derived from the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kcv([u8; 4]);

impl Kcv {
    pub(crate) const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kcv({self})")
    }
}

/// A master key of one purpose and generation. Only its keyed MAC state stays in memory.
pub struct MasterKey {
    purpose: Purpose,
    generation: Generation,
    kcv: Kcv,
    state: KeyedMac,
}

impl MasterKey {
    /// Takes over 32 key bytes; they are wiped before this returns.
    #[must_use]
    pub fn new(purpose: Purpose, generation: Generation, key: Box<Zeroizing<[u8; KEY_LEN]>>) -> Self {
        let state = KeyedMac::new(&key);
        drop(key);
        let check = state.derive(label::KCV, &[0; 9]);
        let [a, b, c, d, ..] = **check;
        Self { purpose, generation, kcv: Kcv::new([a, b, c, d]), state }
    }

    /// What the key is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Its generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Its check value.
    #[must_use]
    pub const fn kcv(&self) -> Kcv {
        self.kcv
    }

    /// Whether this is one of the keys everybody knows ([`test_keys`]).
    #[must_use]
    pub fn is_published_test_key(&self) -> bool {
        test_keys::PUBLISHED_KCVS.contains(&self.kcv.bytes())
    }

    /// The key with this label for one fiscal storage: `KDF(M, label, FN8 | generation)`.
    pub(crate) fn diversify(&self, label: &[u8; 8], fn8: &[u8; 8]) -> KeyBytes {
        let mut seed = [self.generation.get(); 9];
        for (to, from) in seed.iter_mut().zip(fn8) {
            *to = *from;
        }
        self.state.derive(label, &seed)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("purpose", &self.purpose)
            .field("generation", &self.generation)
            .field("kcv", &self.kcv)
            .finish_non_exhaustive()
    }
}

/// Masters that do not belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeriveError {
    /// A master of another purpose was given.
    #[error("a {expected} master is needed, this one is {found}")]
    Purpose {
        /// What was needed.
        expected: Purpose,
        /// What was given.
        found: Purpose,
    },
    /// Message and operator master are of different generations.
    #[error("masters of generations {message} and {operator} do not belong together")]
    Generation {
        /// Of the message master.
        message: Generation,
        /// Of the operator master.
        operator: Generation,
    },
}

/// Message-side keys of one fiscal storage and generation: signs ФПС, ФПП, ФПО and body encryption.
///
/// The two cipher keys are derived at first use: most registers never encrypt.
pub struct FnKeys {
    fn8: [u8; 8],
    message: Arc<MasterKey>,
    fps: KeyedMac,
    fpp: KeyedMac,
    fpo: Option<KeyedMac>,
    up: OnceLock<BodyCipher>,
    down: OnceLock<BodyCipher>,
}

impl FnKeys {
    /// Derives the keys of a fiscal storage. Without the operator master (a storage has none) there is no ФПО.
    ///
    /// # Errors
    /// [`DeriveError`] when a master is of another purpose or the generations differ.
    pub fn derive(
        fn_number: &FnNumber,
        message: &Arc<MasterKey>,
        operator: Option<&MasterKey>,
    ) -> Result<Self, DeriveError> {
        expect_purpose(message, Purpose::Message)?;
        if let Some(operator) = operator {
            expect_purpose(operator, Purpose::Operator)?;
            if operator.generation != message.generation {
                return Err(DeriveError::Generation {
                    message: message.generation,
                    operator: operator.generation,
                });
            }
        }
        let fn8 = fn_number.to_bcd();
        Ok(Self {
            fn8,
            fps: KeyedMac::new(&message.diversify(label::FPS, &fn8)),
            fpp: KeyedMac::new(&message.diversify(label::FPP, &fn8)),
            fpo: operator.map(|master| KeyedMac::new(&master.diversify(label::FPO, &fn8))),
            message: Arc::clone(message),
            up: OnceLock::new(),
            down: OnceLock::new(),
        })
    }

    /// Generation of these keys.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.message.generation
    }

    /// Message sign (ФПС) of an open document (`form | length | TLV`).
    #[must_use]
    pub fn fps(&self, document: &[u8]) -> [u8; 8] {
        sign8(SignKind::Message, self.generation(), &self.fps, &self.fn8, document)
    }

    /// Sign of the acknowledgement (ФПП) of document 7 as sent, 1078 included.
    #[must_use]
    pub fn fpp(&self, document: &[u8]) -> [u8; 8] {
        sign8(SignKind::Acknowledgement, self.generation(), &self.fpp, &self.fn8, document)
    }

    /// Operator sign (ФПО); `None` without the operator master. Input: form 7, INN, ФД number and time (UTC
    /// seconds), so it can be rebuilt from what a storage archives.
    #[must_use]
    pub fn fpo(&self, ofd_inn: &Inn, fd_number: FdNumber, datetime: u32) -> Option<[u8; 8]> {
        let key = self.fpo.as_ref()?;
        let input = fpo_input(ofd_inn, fd_number, datetime);
        Some(sign8(SignKind::Operator, self.generation(), key, &self.fn8, &input))
    }

    /// Whether `sign` is the ФПС of `document`, first two bytes included, in constant time.
    #[must_use]
    pub fn check_fps(&self, document: &[u8], sign: &[u8; 8]) -> bool {
        self.fps(document).ct_eq(sign).into()
    }

    /// Whether `sign` is the ФПП of `document`, in constant time.
    #[must_use]
    pub fn check_fpp(&self, document: &[u8], sign: &[u8; 8]) -> bool {
        self.fpp(document).ct_eq(sign).into()
    }

    /// Encrypts or decrypts a body on its way from the storage to the operator, in place.
    pub fn crypt_up(&self, iv: &[u8; 8], data: &mut [u8]) {
        self.up.get_or_init(|| self.cipher(label::UP)).apply(iv, data);
    }

    /// Encrypts or decrypts a body on its way from the operator to the storage, in place.
    pub fn crypt_down(&self, iv: &[u8; 8], data: &mut [u8]) {
        self.down.get_or_init(|| self.cipher(label::DOWN)).apply(iv, data);
    }

    fn cipher(&self, label: &[u8; 8]) -> BodyCipher {
        BodyCipher::new(&self.message.diversify(label, &self.fn8))
    }
}

impl fmt::Debug for FnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnKeys").field("master", &self.message).finish_non_exhaustive()
    }
}

/// Key of document signs of one fiscal storage: for the emulator and the authority, not for an operator.
pub struct DocumentKeys {
    fn8: [u8; 8],
    generation: Generation,
    fpd: KeyedMac,
}

impl DocumentKeys {
    /// Derives the key from the document master.
    ///
    /// # Errors
    /// [`DeriveError::Purpose`] when the master is of another purpose.
    pub fn derive(fn_number: &FnNumber, document: &MasterKey) -> Result<Self, DeriveError> {
        expect_purpose(document, Purpose::Document)?;
        let fn8 = fn_number.to_bcd();
        let fpd = KeyedMac::new(&document.diversify(label::FPD, &fn8));
        Ok(Self { fn8, generation: document.generation, fpd })
    }

    /// Document sign (ФПД): covers the form code and all top-level records but 1077, in wire order. The last
    /// four bytes, big-endian, are what a receipt prints.
    ///
    /// # Errors
    /// [`MalformedDocument`] when the top level is not TLV.
    pub fn fpd(&self, document: &[u8]) -> Result<[u8; 6], MalformedDocument> {
        let Some((head, children)) = document.split_first_chunk::<4>() else { return Err(MalformedDocument) };
        let [form_low, form_high, ..] = *head;
        let form = [form_low, form_high];
        let records = ffd::tlv::records(children, 0).map_err(|_| MalformedDocument)?;
        let mut parts: Vec<&[u8]> = vec![SignKind::Document.prefix(), &self.fn8, &form];
        for record in records.iter().filter(|record| record.tag != TAG_FPD) {
            let end = record.offset + 4 + record.value.len();
            parts.push(children.get(record.offset..end).ok_or(MalformedDocument)?);
        }
        let [a, b, c, d] = self.fpd.truncated::<4>(&parts);
        Ok([SignKind::Document.code() | self.generation.get(), 4, a, b, c, d])
    }
}

impl fmt::Debug for DocumentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentKeys").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A document whose top level is not TLV cannot be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the document's top level is not TLV")]
pub struct MalformedDocument;

/// Initialisation vector by the producer's rule: five random bytes, then the ФД number u24 BE. Never use one
/// twice with different content; a stored acknowledgement is resent as it is.
#[must_use]
pub fn message_iv(random: [u8; 5], fd_number: FdNumber) -> [u8; 8] {
    let [a, b, c, d, e] = random;
    let [_, high, middle, low] = fd_number.get().to_be_bytes();
    [a, b, c, d, e, high, middle, low]
}

fn expect_purpose(master: &MasterKey, expected: Purpose) -> Result<(), DeriveError> {
    if master.purpose == expected {
        Ok(())
    } else {
        Err(DeriveError::Purpose { expected, found: master.purpose })
    }
}

fn sign8(kind: SignKind, generation: Generation, key: &KeyedMac, fn8: &[u8; 8], input: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f] = key.truncated::<6>(&[kind.prefix(), fn8, input]);
    [kind.code() | generation.get(), 6, a, b, c, d, e, f]
}

/// What ФПО covers after prefix and FN8: form code 7 LE, INN padded to 12, ФД number and time u32 LE.
fn fpo_input(ofd_inn: &Inn, fd_number: FdNumber, datetime: u32) -> Vec<u8> {
    let mut input = Vec::with_capacity(22);
    input.extend_from_slice(&7_u16.to_le_bytes());
    input.extend_from_slice(&ofd_inn.padded());
    input.extend_from_slice(&fd_number.get().to_le_bytes());
    input.extend_from_slice(&datetime.to_le_bytes());
    input
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Keystore;

    fn master(text: &str, purpose: Purpose, generation: u8) -> Arc<MasterKey> {
        let store = Keystore::parse(text, purpose).unwrap();
        Arc::clone(store.record(Generation::new(generation).unwrap()).unwrap().key())
    }

    fn message(generation: u8) -> Arc<MasterKey> {
        master(test_keys::message_keystore(), Purpose::Message, generation)
    }

    fn operator(generation: u8) -> Arc<MasterKey> {
        master(test_keys::operator_keystore(), Purpose::Operator, generation)
    }

    fn document_keys() -> DocumentKeys {
        let master = master(test_keys::document_keystore(), Purpose::Document, 1);
        DocumentKeys::derive(&fn_number(), &master).unwrap()
    }

    fn fn_number() -> FnNumber {
        FnNumber::from_padded(b"999907891234567").unwrap()
    }

    #[test]
    fn masters_that_do_not_belong_together_are_refused() {
        let purpose = |expected, found| Some(DeriveError::Purpose { expected, found });
        let check = |message: &Arc<MasterKey>, operator: Option<&MasterKey>, expected| {
            assert_eq!(FnKeys::derive(&fn_number(), message, operator).err(), expected);
        };
        check(&message(1), Some(&operator(1)), None);
        check(&message(1), None, None);
        check(&operator(1), None, purpose(Purpose::Message, Purpose::Operator));
        check(&message(1), Some(&message(1)), purpose(Purpose::Operator, Purpose::Message));
        let (first, second) = (message(1).generation(), message(2).generation());
        let apart = DeriveError::Generation { message: first, operator: second };
        check(&message(1), Some(&operator(2)), Some(apart));
        let wrong = DocumentKeys::derive(&fn_number(), &message(1)).err();
        assert_eq!(wrong, purpose(Purpose::Document, Purpose::Message));
    }

    #[test]
    fn without_the_operator_master_there_is_no_operator_sign() {
        let keys = FnKeys::derive(&fn_number(), &message(1), None).unwrap();
        let inn = Inn::from_padded(b"7700000001").unwrap();
        assert_eq!(keys.fpo(&inn, FdNumber::new(1).unwrap(), 0), None);
    }

    #[test]
    fn the_document_sign_leaves_itself_out_and_nothing_else() {
        let document = |records: &[(u16, &[u8])]| {
            let mut bytes = vec![3, 0, 0, 0];
            for (tag, value) in records {
                ffd::tlv::write_record(&mut bytes, *tag, value).unwrap();
            }
            bytes
        };
        let keys = document_keys();
        let sign = keys.fpd(&document(&[(1020, &[1]), (1077, &[0; 6]), (1023, &[2])])).unwrap();
        assert_eq!(sign, keys.fpd(&document(&[(1020, &[1]), (1023, &[2]), (1077, &[9; 6])])).unwrap());
        assert_ne!(sign, keys.fpd(&document(&[(1023, &[2]), (1020, &[1])])).unwrap(), "order counts");
        assert_ne!(sign, keys.fpd(&document(&[(1020, &[1]), (1023, &[3])])).unwrap());
        assert_eq!(sign[..2], [0xC1, 4]);
        assert_eq!(keys.fpd(&[3, 0]), Err(MalformedDocument));
        assert_eq!(keys.fpd(&[3, 0, 1, 0, 9]), Err(MalformedDocument));
    }

    proptest! {
        #[test]
        fn encryption_undoes_itself_and_differs_by_direction(body in prop::collection::vec(any::<u8>(), 16..300), iv: [u8; 8]) {
            let keys = FnKeys::derive(&fn_number(), &message(1), None).unwrap();
            let (mut up, mut down) = (body.clone(), body.clone());
            keys.crypt_up(&iv, &mut up);
            keys.crypt_down(&iv, &mut down);
            prop_assert_ne!(&up, &body);
            prop_assert_ne!(&up, &down);
            keys.crypt_up(&iv, &mut up);
            keys.crypt_down(&iv, &mut down);
            prop_assert_eq!(&up, &body);
            prop_assert_eq!(&down, &body);
        }

        #[test]
        fn any_document_is_signed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let readable = bytes.len() >= 4 && ffd::tlv::records(&bytes[4..], 0).is_ok();
            prop_assert_eq!(document_keys().fpd(&bytes).is_ok(), readable);
        }
    }
}
