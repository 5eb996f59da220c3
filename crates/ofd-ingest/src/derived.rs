//! Columns of the journal that are taken out of a document. They are a view: whoever has the opened document can make
//! them again with the same function.

use ffd::Document;
use ofd_store::Derived;

const TAG_TIME: u16 = 1012;
const TAG_KKT_SERIAL: u16 = 1013;
const TAG_USER_INN: u16 = 1018;
const TAG_TOTAL: u16 = 1020;
const TAG_RNM: u16 = 1037;
const TAG_SHIFT: u16 = 1038;
const TAG_RECEIPT_NUMBER: u16 = 1042;
const TAG_OPERATION: u16 = 1054;
const TAG_FFD_VERSION: u16 = 1209;

/// The columns of a document. A field that is absent, broken or too large for its column is left out.
pub fn derived(document: &Document<'_>) -> Derived {
    Derived {
        ffd_version: number(document, TAG_FFD_VERSION),
        local_time: document.time(TAG_TIME).map(|time| time.get()),
        rnm: plain_text(document, TAG_RNM),
        user_inn: plain_text(document, TAG_USER_INN),
        kkt_serial: plain_text(document, TAG_KKT_SERIAL),
        shift: number(document, TAG_SHIFT),
        receipt_number: number(document, TAG_RECEIPT_NUMBER),
        operation: number(document, TAG_OPERATION),
        total_kopecks: document.unsigned(TAG_TOTAL),
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
