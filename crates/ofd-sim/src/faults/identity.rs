//! Faults of identity: the container announces one document and holds another. All are hard.
//!
//! The operator does not remember such a document, which says nothing of the ФН that it came from: it misses the number
//! at the next one.

use ffd::{FdNumber, FnNumber, FormCode, tags};

use super::fault::Fault;

pub(super) const FAULTS: &[Fault] = &[
    Fault::new("identity.fd", "a receipt states the number of the document before it in 1040", |work| {
        work.receipt()?;
        work.draft.stated_fd = FdNumber::new(work.fd.checked_sub(1)?).ok();
        work.draft.stated_fd.map(|_| ())
    })
    .unremembered(),
    Fault::new("identity.fn", "a receipt states another storage in 1041", |work| {
        work.receipt()?;
        work.draft.stated_fn = FnNumber::from_padded(b"9999999999999999").ok();
        work.draft.stated_fn.map(|_| ())
    })
    .unremembered(),
    Fault::new(
        "identity.form",
        "a container of a receipt that holds a strict reporting form; no `live` makes it, to an operator it is a body without a sign",
        |work| {
            work.draft.stated_form = Some(match work.draft.form {
                FormCode::RECEIPT => FormCode::BSO,
                FormCode::BSO => FormCode::RECEIPT,
                FormCode::RECEIPT_CORRECTION => FormCode::BSO_CORRECTION,
                FormCode::BSO_CORRECTION => FormCode::RECEIPT_CORRECTION,
                _ => return None,
            });
            Some(())
        },
    )
    .unremembered()
    .unsent(),
    Fault::new("identity.rnm", "a receipt without the registration number (1037)", |work| {
        work.receipt()?.remove(&[tags::RNM])
    })
    .unremembered(),
    Fault::new("identity.sign", "a receipt without the sign of the document (1077)", |work| {
        work.receipt()?;
        work.draft.is_unsigned = true;
        Some(())
    })
    .unremembered(),
    Fault::new("identity.time", "a receipt without date and time (1012)", |work| {
        work.receipt()?.remove(&[tags::DATE_TIME])
    })
    .unremembered(),
];
