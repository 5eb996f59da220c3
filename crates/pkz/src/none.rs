//! The device without keys.

use std::borrow::Cow;

use crate::{
    device::{
        AckRequest, AckSigner, FiscalSignVerifier, OpenOutcome, RawContainer, RefusedReason, SealError,
        SealedAck,
    },
    layout::{ack_container, clear_document, document_7},
    verdict::{UnverifiableReason, Verdict},
};

/// The profile `none`: nothing is checked, acknowledgements carry no ФПО and a zero ФПП. Only an emulator takes
/// those; a real ФН answers "wrong fiscal sign".
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPkz;

impl FiscalSignVerifier for NoPkz {
    fn open<'a>(&self, raw: &RawContainer<'a>) -> OpenOutcome<'a> {
        let clear = clear_document(&raw.container);
        OpenOutcome {
            document: clear.map(Cow::Borrowed),
            sign: raw.container.sign,
            was_encrypted: clear.is_none(),
            verdict: Verdict::Unverifiable(UnverifiableReason::Disabled),
        }
    }

    fn kind(&self) -> &'static str {
        "none"
    }
}

impl AckSigner for NoPkz {
    fn seal(&self, request: &AckRequest<'_>) -> Result<SealedAck, SealError> {
        if request.encrypt {
            return Err(SealError::Refused(RefusedReason::CannotEncrypt));
        }
        let fpp = [0; 8];
        let document = document_7(request, None).map_err(SealError::Refused)?;
        let container = ack_container(request, &document, fpp).map_err(SealError::Refused)?;
        Ok(SealedAck { container, fpo: None, fpp })
    }
}
