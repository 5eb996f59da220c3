//! How an ФН checks an acknowledgement: container, numbers, ФПП, document 7, ФПО, code.
//!
//! The order follows what was seen of a real storage: layout first, then the numbers, then the sign. An
//! answer that cannot even be taken apart is reason 2; one that was decrypted into nonsense is reason 1,
//! since only the sign could have told.

use std::borrow::Cow;

use ffd::{FdNumber, FfdVersion, FnNumber, FormCode};
use kkt_proto::ack::{AckFormat, Acknowledgement};
use kkt_proto::container::{Container, ContainerKind};
use pkz::derive::FnKeys;

use super::{Accepted, RefusalReason};
use crate::keys::SimKeys;

/// Checks acknowledgements for one storage.
#[derive(Debug)]
pub struct AckChecker {
    number: FnNumber,
    ffd: Option<FfdVersion>,
    keys: FnKeys,
    checks_fpo: bool,
}

impl AckChecker {
    /// The checker of the storage with this number and these keys, whose documents are of version `ffd` (not known,
    /// any look of an acknowledgement is taken). None when the masters do not belong together.
    #[must_use]
    pub fn of_storage(number: FnNumber, ffd: Option<FfdVersion>, keys: &SimKeys) -> Option<Self> {
        let fn_keys = FnKeys::derive(&number, keys.message(), keys.operator()).ok()?;
        Some(Self::new(number, ffd, fn_keys, keys.operator().is_some()))
    }

    pub(super) fn new(number: FnNumber, ffd: Option<FfdVersion>, keys: FnKeys, checks_fpo: bool) -> Self {
        Self { number, ffd, keys, checks_fpo }
    }

    pub(super) fn keys(&self) -> &FnKeys {
        &self.keys
    }

    /// Number of the storage.
    #[must_use]
    pub(crate) fn number(&self) -> FnNumber {
        self.number
    }

    /// Checks the container of an answer to the document `expected`.
    ///
    /// # Errors
    /// The reason a real storage would give.
    pub fn check(&self, expected: FdNumber, bytes: &[u8]) -> Result<Accepted, RefusalReason> {
        let container = Container::decode(bytes).map_err(|_| RefusalReason::Format)?;
        let header = &container.header;
        if header.kind != ContainerKind::FROM_OFD
            || FormCode(header.form.into()) != FormCode::OPERATOR_ACK
            || container.tail != [0, 0]
        {
            return Err(RefusalReason::Format);
        }
        if header.fn_number != self.number {
            return Err(RefusalReason::FnNumber);
        }
        if header.fd_number != expected {
            return Err(RefusalReason::FdNumber);
        }
        let document = self.open(&container);
        if !self.keys.check_fpp(&document, &container.sign) {
            return Err(RefusalReason::Sign);
        }
        self.check_document(expected, &document)
    }

    fn open<'a>(&self, container: &Container<'a>) -> Cow<'a, [u8]> {
        if container.is_open() {
            return Cow::Borrowed(container.data);
        }
        let mut body = container.data.to_vec();
        self.keys.crypt_down(&container.header.iv, &mut body);
        Cow::Owned(body)
    }

    fn check_document(&self, expected: FdNumber, bytes: &[u8]) -> Result<Accepted, RefusalReason> {
        let ack = Acknowledgement::decode(bytes).map_err(|_| RefusalReason::Format)?;
        if ack.fn_number != self.number {
            return Err(RefusalReason::FnNumber);
        }
        if ack.fd_number != expected {
            return Err(RefusalReason::FdNumber);
        }
        // Registers of FFD 1.05 and 1.2 are answered with 1068; 1206 belongs to FFD 1.1.
        if self.ffd.is_some() && ack.format != AckFormat::for_document(self.ffd, ack.code) {
            return Err(RefusalReason::Format);
        }
        if self.checks_fpo {
            let right = self.keys.fpo(&ack.ofd_inn, expected, ack.datetime);
            if right.is_none_or(|right| ack.fpo != right) {
                return Err(RefusalReason::Sign);
            }
        }
        Ok(Accepted { code: ack.code.0, notices: ack.notice.map_or(0, |notice| notice.0) })
    }
}
