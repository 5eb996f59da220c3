//! A simulated fiscal storage (ФН): numbers and signs documents, keeps them in a queue until they are
//! acknowledged, and checks every acknowledgement as a real one does.
//!
//! It has the published test keys of `soft-gost-1` by default and never claims to be a certified device.
//! What it leaves out: shifts and sums (that is [`crate::kkt`]) and the wire around the container
//! ([`crate::link`]).

use std::collections::VecDeque;

use ffd::{FdNumber, FfdVersion, FnNumber, tags};
use kkt_proto::container::{self, ContainerHeader, ContainerKind};
use pkz::derive::{DocumentKeys, FnKeys, message_iv};

use crate::keys::SimKeys;
use crate::kkt::Draft;
use crate::rng::Rng;

mod acknowledgement;
mod outcome;

pub use acknowledgement::AckChecker;
pub(crate) use outcome::StorageError;
pub use outcome::{Accepted, RefusalReason};

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
    /// Version of its documents: decides how acknowledgements look; not known, any look is taken.
    pub(crate) ffd: Option<FfdVersion>,
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
    /// The rule that it was made to break.
    pub(crate) fault: Option<&'static str>,
    /// The rules that it breaks because of earlier faults.
    pub(crate) echoes: Vec<&'static str>,
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
    /// Bits of 1206 in the acknowledgements since the last shift report.
    notices: u8,
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
            checker: AckChecker::new(settings.number, settings.ffd, fn_keys, keys.operator().is_some()),
            document_keys,
            rng: Rng::new(settings.seed),
            next_fd: 1,
            queue: VecDeque::new(),
            notices: 0,
            settings,
        })
    }

    /// Its number.
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

    /// The queue, the document to be sent first.
    pub(crate) fn queue(&self) -> impl Iterator<Item = &Outgoing> {
        self.queue.iter()
    }

    /// What the operator said in tag 1206 since [`Self::forget_notices`].
    #[must_use]
    pub(crate) fn notices(&self) -> u8 {
        self.notices
    }

    /// A shift report has passed the operator's messages on.
    pub(crate) fn forget_notices(&mut self) {
        self.notices = 0;
    }

    /// The message sign of bytes that do not go through the queue.
    #[must_use]
    pub(crate) fn sign_message(&self, document: &[u8]) -> [u8; 8] {
        self.checker.keys().fps(document)
    }

    /// An empty storage for the register that this one leaves, of the same kind.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn successor(
        &self,
        number: FnNumber,
        ffd: FfdVersion,
        seed: u64,
        keys: &SimKeys,
    ) -> Result<Self, StorageError> {
        Self::new(StorageSettings { number, ffd: Some(ffd), seed, ..self.settings }, keys)
    }

    /// Makes a document of `form` from `fields` (TLV records without 1040, 1041, 1077, which are the
    /// storage's own): numbers it, signs it twice, packs it, puts it into the queue.
    ///
    /// # Errors
    /// [`StorageError`]; the storage is unchanged then.
    #[cfg(test)]
    pub(crate) fn make(&mut self, form: u16, fields: &[u8]) -> Result<&Outgoing, StorageError> {
        self.make_from(&Draft::new(ffd::FormCode(form), fields.to_vec()))
    }

    /// Numbers a draft, signs it twice, packs it, puts it into the queue.
    ///
    /// # Errors
    /// [`StorageError`]; the storage is unchanged then.
    pub(crate) fn make_from(&mut self, draft: &Draft) -> Result<&Outgoing, StorageError> {
        let form = draft.form.0;
        let number = self.next_fd.saturating_add(draft.lost_before);
        let fd_number = FdNumber::new(number).map_err(|_| StorageError::Exhausted)?;
        let document = self.sign_document(draft, fd_number)?;
        let sign = self.checker.keys().fps(&document);
        let container = self.pack(form, fd_number, &document, sign)?;
        self.next_fd = number + 1;
        let (fault, echoes) = (draft.fault, draft.echoes.clone());
        self.queue.push_back(Outgoing { fd_number, form, document, sign, container, fault, echoes });
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
        self.notices |= accepted.notices;
        self.queue.pop_front();
        Ok(accepted)
    }

    /// Appends 1040, 1041 and 1077 and puts the head before it all.
    fn sign_document(&self, draft: &Draft, fd: FdNumber) -> Result<Vec<u8>, StorageError> {
        let mut document = Vec::with_capacity(4 + draft.body.len() + 44);
        document.extend_from_slice(&draft.stated_form.unwrap_or(draft.form).0.to_le_bytes());
        document.extend_from_slice(&[0, 0]);
        document.extend_from_slice(&draft.body);
        let mut own = crate::kkt::Fields::new();
        let stated_fn = draft.stated_fn.unwrap_or(self.settings.number);
        own.u32(tags::FD_NUMBER, draft.stated_fd.unwrap_or(fd).get());
        own.raw(tags::FN_NUMBER, &stated_fn.padded());
        document.extend_from_slice(&own.finish().map_err(|_| StorageError::TooLong)?);
        if draft.is_unsigned {
            set_length(&mut document, 0)?;
            return Ok(document);
        }
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
