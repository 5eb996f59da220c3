//! The acknowledgement of a document: document 7 in a container, signed, before the journal is asked.

use ffd::Document;
use kkt_proto::ack::{AckFields, AckFormat};
use pkz::{AckRequest, RefusedReason, SealError, SealedAck, derive::message_iv};

use super::records::sealing_generation;
use super::{Intake, Message};
use crate::clock;
use crate::decision::Admission;
use crate::metrics::{self, reason};

impl Intake {
    /// Document 7 in its container, encrypted if the request was.
    pub(super) fn seal(&self, message: &Message<'_>, admission: &Admission) -> Option<Vec<u8>> {
        let began = clock::monotonic_now();
        let Message { container, opened, tree, moment, .. } = *message;
        let claimed = &container.header;
        let version = tree.map(Document::version);
        let items = AckFields {
            ofd_inn: self.operator_inn,
            fn_number: claimed.fn_number,
            fd_number: claimed.fd_number,
            datetime: moment.unix_s,
            code: admission.code,
            format: AckFormat::for_document(version, admission.code),
        }
        .items();
        let random = match stock::take() {
            Ok(random) => random,
            Err(error) => {
                let detail = format_args!("no random bytes from the system: {error}");
                self.reject(reason::SIGNER_UNAVAILABLE, &detail);
                return None;
            }
        };
        let request = AckRequest {
            fn_number: claimed.fn_number,
            generation: sealing_generation(opened),
            fd_number: claimed.fd_number,
            ofd_inn: self.operator_inn,
            datetime: moment.unix_s,
            items: &items.bytes,
            fpo_offset: items.fpo_offset,
            reply_to: claimed,
            iv: message_iv(random, claimed.fd_number),
            encrypt: opened.was_encrypted,
        };
        let sealed = self.seal_with_some_key(request, opened.verdict.is_valid());
        metrics::record(&self.metrics.stage_seal, began.elapsed());
        match sealed {
            Ok(sealed) => Some(sealed.container),
            Err(error) => {
                self.reject(reason::SIGNER_UNAVAILABLE, &error);
                None
            }
        }
    }

    /// A document that was let in although its sign is not valid may name keys that do not exist; then the newest
    /// ones have to do.
    fn seal_with_some_key(
        &self,
        request: AckRequest<'_>,
        sign_is_valid: bool,
    ) -> Result<SealedAck, SealError> {
        match self.signer.seal(&request) {
            Err(SealError::Refused(RefusedReason::UnknownGeneration))
                if !sign_is_valid && request.generation.is_some() =>
            {
                self.signer.seal(&AckRequest { generation: None, ..request })
            }
            outcome => outcome,
        }
    }
}

/// Random bytes for initialisation vectors, fetched from the system for many documents at once. A vector is told to
/// everybody who hears the acknowledgement; it must only never come twice.
mod stock {
    use std::cell::RefCell;

    /// Random bytes of a vector.
    const LEN: usize = 5;

    /// Vectors of one call of the system, which gives 256 bytes at once.
    const VECTORS: usize = 51;

    thread_local! {
        static STOCK: RefCell<Vec<[u8; LEN]>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn take() -> Result<[u8; LEN], getrandom::Error> {
        STOCK.with_borrow_mut(|stock| {
            if let Some(random) = stock.pop() {
                return Ok(random);
            }
            let mut fresh = [[0; LEN]; VECTORS];
            getrandom::fill(fresh.as_flattened_mut())?;
            let [first, rest @ ..] = fresh;
            stock.extend_from_slice(&rest);
            Ok(first)
        })
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn none_is_given_twice() {
            let mut taken: Vec<_> = (0..5 * super::VECTORS).map(|_| super::take().unwrap()).collect();
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), 5 * super::VECTORS);
        }
    }
}
