//! Columns of the journal that are taken out of a document. They are a view: whoever has the opened document can make
//! them again with the same function.

use ffd::{Document, tags};
use ofd_store::Derived;

/// The columns of a document. A field that is absent, broken or too large for its column is left out.
pub fn derived(document: &Document<'_>) -> Derived {
    Derived {
        ffd_version: number(document, tags::FFD_VERSION),
        local_time: document.time(tags::DATE_TIME).map(|time| time.get()),
        rnm: plain_text(document, tags::RNM),
        user_inn: plain_text(document, tags::USER_INN),
        kkt_serial: plain_text(document, tags::KKT_SERIAL),
        shift: number(document, tags::SHIFT_NUMBER),
        receipt_number: number(document, tags::RECEIPT_NUMBER),
        operation: number(document, tags::OPERATION_TYPE),
        total_kopecks: document.unsigned(tags::TOTAL_SUM),
        fiscal_sign: document.fiscal_sign(),
    }
}

/// A text field without padding; a blank one is absent.
pub(crate) fn plain_text(document: &Document<'_>, tag: u16) -> Option<String> {
    let text = document.text(tag)?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn number<N: TryFrom<u64>>(document: &Document<'_>, tag: u16) -> Option<N> {
    N::try_from(document.unsigned(tag)?).ok()
}
