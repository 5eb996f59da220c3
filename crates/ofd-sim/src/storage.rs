//! A simulated fiscal storage (ФН): numbers and signs documents, keeps them in a queue until they are
//! acknowledged, and checks every acknowledgement as a real one does.
//!
//! It has the published test keys of `soft-gost-1` by default and never claims to be a certified device.
//! What it leaves out: shifts and sums (that is [`crate::kkt`]) and the wire around the container
//! ([`crate::link`]).

use std::collections::VecDeque;
use std::fmt;

use ffd::{FdNumber, FnNumber, tags};
use kkt_proto::container::{self, ContainerHeader, ContainerKind};
use pkz::derive::{DocumentKeys, FnKeys, message_iv};

use crate::keys::SimKeys;
use crate::rng::Rng;

mod acknowledgement;

pub(crate) use acknowledgement::AckChecker;

/// What the storage does when a document is read a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reread {
    /// The same bytes again.
    SameBytes,
    /// The body is encrypted anew under a new vector; a storage that does not encrypt only changes the
    /// vector. Either way the container differs and the open document does not.
    EncryptAnew,
}

/// How a storage is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageSettings {
    /// Number of the ФН; debug storages begin with 9999.
    pub(crate) number: FnNumber,
    /// Bodies are encrypted (tag 1056 of the registration report).
    pub(crate) encrypted: bool,
    /// Behaviour of a second reading.
    pub(crate) reread: Reread,
    /// Seed of the vectors.
    pub(crate) seed: u64,
}

/// A document in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Its number.
    pub(crate) fd_number: FdNumber,
    /// Its form code.
    pub(crate) form: u16,
    /// The open document: form, length, TLV.
    pub(crate) document: Vec<u8>,
    /// The message sign ФПС.
    pub(crate) sign: [u8; 8],
    /// The container as it goes out.
    pub(crate) container: Vec<u8>,
}

/// An acknowledgement the storage took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The operator's code, tag 1022: 0, 11 or 14 by the tables, others are passed on as they came.
    pub(crate) code: u8,
}

/// Why a storage refuses an acknowledgement: the reason byte of ФН error 20h. The document stays in the
/// queue and is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// 1: ФПП or ФПО is not what the keys make of this document.
    Sign,
    /// 2: not an acknowledgement: layout, length, CRC, container type, form, missing fields.
    Format,
    /// 3: for another document.
    FdNumber,
    /// 4: for another storage.
    FnNumber,
}

impl RefusalReason {
    /// The reason byte, 1 to 4.
    #[must_use]
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Sign => 1,
            Self::Format => 2,
            Self::FdNumber => 3,
            Self::FnNumber => 4,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Sign => "wrong fiscal sign",
            Self::Format => "wrong format",
            Self::FdNumber => "wrong document number",
            Self::FnNumber => "wrong storage number",
        };
        write!(out, "{} ({text})", self.number())
    }
}

/// A document that the storage cannot make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StorageError {
    /// The counter of documents is past 2^24 - 1.
    #[error("the storage has no document numbers left")]
    Exhausted,
    /// The document is longer than its length fields can say.
    #[error("the document is too long for a container")]
    TooLong,
    /// The given fields are not TLV records.
    #[error("the fields of the document are not TLV records")]
    NotTlv,
    /// The keys do not fit together.
    #[error("keys: {0}")]
    Keys(String),
}

/// The storage.
#[derive(Debug)]
pub(crate) struct FiscalStorage {
    settings: StorageSettings,
    checker: AckChecker,
    document_keys: DocumentKeys,
    rng: Rng,
    next_fd: u32,
    queue: VecDeque<Outgoing>,
}

impl FiscalStorage {
    /// A new storage without documents.
    ///
    /// # Errors
    /// [`StorageError::Keys`] when the masters cannot be diversified.
    pub(crate) fn new(settings: StorageSettings, keys: &SimKeys) -> Result<Self, StorageError> {
        let wrong = |error: pkz::derive::DeriveError| StorageError::Keys(error.to_string());
        let fn_keys = FnKeys::derive(&settings.number, keys.message(), keys.operator()).map_err(wrong)?;
        let document_keys = DocumentKeys::derive(&settings.number, keys.document()).map_err(wrong)?;
        Ok(Self {
            checker: AckChecker::new(settings.number, fn_keys, keys.operator().is_some()),
            document_keys,
            rng: Rng::new(settings.seed),
            next_fd: 1,
            queue: VecDeque::new(),
            settings,
        })
    }

    /// Its number.
    #[cfg(test)]
    pub(crate) fn number(&self) -> FnNumber {
        self.settings.number
    }

    /// Whether bodies are encrypted.
    #[must_use]
    pub(crate) fn encrypted(&self) -> bool {
        self.settings.encrypted
    }

    /// Number of the next document.
    #[must_use]
    pub(crate) fn next_fd(&self) -> u32 {
        self.next_fd
    }

    /// Documents that wait for an acknowledgement.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The document to be sent now. It stays the first until its acknowledgement is accepted.
    #[must_use]
    pub(crate) fn front(&self) -> Option<&Outgoing> {
        self.queue.front()
    }

    /// Takes the first document out without an acknowledgement: for generators that only want its bytes.
    pub(crate) fn take_front(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
    }

    /// The part that checks acknowledgements, for callers that keep no queue.
    #[must_use]
    pub(crate) fn into_checker(self) -> AckChecker {
        self.checker
    }

    /// Makes a document of `form` from `fields` (TLV records without 1040, 1041, 1077, which are the
    /// storage's own): numbers it, signs it twice, packs it, puts it into the queue.
    ///
    /// # Errors
    /// [`StorageError`]; the storage is unchanged then.
    pub(crate) fn make(&mut self, form: u16, fields: &[u8]) -> Result<&Outgoing, StorageError> {
        let fd_number = FdNumber::new(self.next_fd).map_err(|_| StorageError::Exhausted)?;
        let document = self.sign_document(form, fields, fd_number)?;
        let sign = self.checker.keys().fps(&document);
        let container = self.pack(form, fd_number, &document, sign)?;
        self.next_fd += 1;
        self.queue.push_back(Outgoing { fd_number, form, document, sign, container });
        self.queue.back().ok_or(StorageError::Exhausted)
    }

    /// Reads the first document again, as a register does after a restart.
    pub(crate) fn reread_front(&mut self) {
        if self.settings.reread == Reread::SameBytes {
            return;
        }
        let Some(mut front) = self.queue.pop_front() else { return };
        if let Ok(container) = self.pack(front.form, front.fd_number, &front.document, front.sign) {
            front.container = container;
        }
        self.queue.push_front(front);
    }

    /// Checks an acknowledgement of the first document without taking it.
    ///
    /// # Errors
    /// The reason a real storage would give; [`RefusalReason::FdNumber`] when nothing is waiting.
    pub(crate) fn check_acknowledgement(&self, container: &[u8]) -> Result<Accepted, RefusalReason> {
        let expected = self.queue.front().ok_or(RefusalReason::FdNumber)?;
        self.checker.check(expected.fd_number, container)
    }

    /// Checks an acknowledgement of the first document and, when it is right, removes the document.
    ///
    /// # Errors
    /// As [`Self::check_acknowledgement`]; the document stays the first of the queue then.
    pub(crate) fn acknowledge(&mut self, container: &[u8]) -> Result<Accepted, RefusalReason> {
        let accepted = self.check_acknowledgement(container)?;
        self.queue.pop_front();
        Ok(accepted)
    }

    /// Appends 1040, 1041 and 1077 and puts the head before it all.
    fn sign_document(&self, form: u16, fields: &[u8], fd: FdNumber) -> Result<Vec<u8>, StorageError> {
        let mut document = Vec::with_capacity(4 + fields.len() + 44);
        document.extend_from_slice(&form.to_le_bytes());
        document.extend_from_slice(&[0, 0]);
        document.extend_from_slice(fields);
        let mut own = crate::kkt::Fields::new();
        own.u32(tags::FD_NUMBER, fd.get()).raw(tags::FN_NUMBER, &self.settings.number.padded());
        document.extend_from_slice(&own.finish().map_err(|_| StorageError::TooLong)?);
        set_length(&mut document, 10)?;
        // The ФПД leaves 1077 itself out, so it can be computed before the tag is there.
        let fpd = self.document_keys.fpd(&document).map_err(|_| StorageError::NotTlv)?;
        let mut last = crate::kkt::Fields::new();
        last.raw(tags::FISCAL_SIGN, &fpd);
        document.extend_from_slice(&last.finish().map_err(|_| StorageError::TooLong)?);
        set_length(&mut document, 0)?;
        Ok(document)
    }

    fn pack(
        &mut self,
        form: u16,
        fd_number: FdNumber,
        document: &[u8],
        sign: [u8; 8],
    ) -> Result<Vec<u8>, StorageError> {
        let iv = message_iv(self.rng.bytes(), fd_number);
        let header = ContainerHeader {
            kind: ContainerKind::FROM_FN,
            form: u8::try_from(form).map_err(|_| StorageError::NotTlv)?,
            version: container::FORMAT_VERSION,
            service1: container::SERVICE_1,
            fn_number: self.settings.number,
            fd_number,
            iv,
            service2: container::SERVICE_2,
            open_len: u16::try_from(document.len()).map_err(|_| StorageError::TooLong)?,
        };
        if !self.settings.encrypted {
            return container::encode(&header, document, sign).map_err(|_| StorageError::TooLong);
        }
        let mut body = document.to_vec();
        self.checker.keys().crypt_up(&iv, &mut body);
        container::encode(&header, &body, sign).map_err(|_| StorageError::TooLong)
    }
}

/// Writes the length of the records (plus `coming` bytes that will be appended) into bytes 2..4.
fn set_length(document: &mut [u8], coming: usize) -> Result<(), StorageError> {
    let length = (document.len() + coming).saturating_sub(4);
    let length = u16::try_from(length).map_err(|_| StorageError::TooLong)?;
    if let Some(field) = document.get_mut(2..4) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
